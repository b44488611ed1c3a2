//! The keeper of metadata, behind the same trait on both ends.

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use gleaner_model::ClusterState;
use tokio::sync::watch;

use super::{serve_at, services, soon};
use crate::metadata::{MetadataFault, StateStream};
use crate::{GrpcMetadata, MetadataClient, Peer};

/// Keeps the state in memory; a state named `full` cannot be kept.
pub(super) struct Keeper(watch::Sender<Arc<ClusterState>>);

impl Default for Keeper {
    fn default() -> Self {
        Self(watch::Sender::new(Arc::default()))
    }
}

#[async_trait]
impl MetadataClient for Keeper {
    async fn state(&self) -> Result<Arc<ClusterState>, MetadataFault> {
        Ok(Arc::clone(&self.0.borrow()))
    }

    async fn watch(&self) -> Result<StateStream, MetadataFault> {
        let mut receiver = self.0.subscribe();
        receiver.mark_changed();
        let states = futures::stream::unfold(receiver, |mut receiver| async move {
            receiver.changed().await.ok()?;
            let state = Arc::clone(&receiver.borrow_and_update());
            Some((Ok(state), receiver))
        });
        Ok(states.boxed())
    }

    async fn compare_and_swap(
        &self,
        expected: u64,
        mut next: ClusterState,
    ) -> Result<Arc<ClusterState>, MetadataFault> {
        let current = self.0.borrow().version;
        if current != expected {
            return Err(MetadataFault::Conflict { current });
        }
        if next.cluster_name == "full" {
            let reason = "no space".to_owned();
            return Err(MetadataFault::Store { reason });
        }
        next.version = expected + 1;
        let next = Arc::new(next);
        self.0.send_replace(Arc::clone(&next));
        Ok(next)
    }
}

fn named(name: &str) -> ClusterState {
    ClusterState {
        cluster_name: name.to_owned(),
        ..ClusterState::default()
    }
}

#[tokio::test]
async fn a_state_is_read_changed_and_watched() {
    let keeper = Arc::new(Keeper::default());
    let served = serve_at("127.0.0.1:0", services(None, Some(keeper))).await;
    let peer = Peer::new(&served.address).expect("an address");
    let client = GrpcMetadata::new(peer);
    let mut states = soon(client.watch()).await.expect("it answers");
    let first = soon(states.next()).await.expect("there is one");
    assert_eq!(first.expect("no fault").version, 0);

    let swapped = soon(client.compare_and_swap(0, named("wheat"))).await;
    let swapped = swapped.expect("nobody else is there");
    assert_eq!((swapped.version, &*swapped.cluster_name), (1, "wheat"));
    let seen = soon(states.next()).await.expect("there is one");
    assert_eq!(seen.expect("no fault"), swapped);
    assert_eq!(soon(client.state()).await, Ok(swapped));

    let lost = soon(client.compare_and_swap(0, named("rye"))).await;
    assert_eq!(lost, Err(MetadataFault::Conflict { current: 1 }));
    let full = soon(client.compare_and_swap(1, named("full"))).await;
    let reason = "no space".to_owned();
    assert_eq!(full, Err(MetadataFault::Store { reason }));

    // A watch does not hold up the stop; it ends with it.
    served.end().await;
    assert!(soon(states.next()).await.is_none_or(|state| state.is_err()));
    let away = soon(client.state()).await;
    assert!(
        matches!(away, Err(MetadataFault::Unreachable { .. })),
        "{away:?}"
    );
}
