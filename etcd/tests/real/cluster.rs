//! Coordinators of one cluster, and states that they can be asked for.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use gleaner_coordinator::Coordinator;
use gleaner_etcd::{EtcdCoordinator, IfAbsent, Keys};
use gleaner_model::{ClusterState, IndexMeta, IndexName, IndexUuid};
use gleaner_proto::etcd::Client;

/// Longest time that anything here may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The cluster of the tests.
pub(crate) fn keys() -> Keys {
    Keys::of("barley").expect("a good name")
}

/// Waits for what a test waits for, but not for ever.
pub(crate) async fn within<T>(what: impl Future<Output = T>) -> T {
    let ended = tokio::time::timeout(PATIENCE, what).await;
    ended.expect("it takes too long")
}

/// Opens a coordinator of the cluster, which it begins where it is the first.
pub(crate) async fn open(client: Client) -> EtcdCoordinator {
    let opened = EtcdCoordinator::open(client, keys(), IfAbsent::Begin(Box::default()));
    within(opened).await.expect("it opens")
}

/// The state with another name: a change.
pub(crate) fn renamed(state: &ClusterState, name: &str) -> ClusterState {
    ClusterState {
        cluster_name: name.to_owned(),
        ..state.clone()
    }
}

/// The state with one index more.
pub(crate) fn with_index(state: &ClusterState, number: u8) -> ClusterState {
    let index = IndexMeta::new(
        IndexUuid([number; 16]),
        IndexName::parse(&format!("index-{number}")).expect("a good name"),
    );
    let mut next = state.clone();
    next.indices.insert(index.uuid, Arc::new(index));
    next
}

/// Makes a change from the newest state that `coordinator` knows, which nobody else changes.
pub(crate) async fn change(
    coordinator: &EtcdCoordinator,
    next: impl FnOnce(&ClusterState) -> ClusterState,
) -> Arc<ClusterState> {
    let state = coordinator.state();
    let swapped = coordinator.compare_and_swap(state.version, next(&state));
    within(swapped).await.expect("nobody else changes it")
}

/// Waits until `coordinator` has seen a version by itself.
pub(crate) async fn seen(coordinator: &EtcdCoordinator, version: u64) -> Arc<ClusterState> {
    let mut states = coordinator.watch();
    let state = within(states.wait_for(|state| state.version >= version)).await;
    Arc::clone(&state.expect("it follows"))
}
