//! A process that is registered in the etcd of its cluster, for as long as it runs.
//!
//! Does: know a leaf by its data folder, register it under a lease before it does anything else; have a root tell which
//! version of the cluster state it shows. Does not: renew leases ([`Session`] and [`ShownVersion`] do). Called by the
//! processes of leaves and roots.

use anyhow::{Context, Result, anyhow};
use gleaner_coordinator::Coordinator;
use gleaner_etcd::{NodeEntry, Session, SessionState, ShownVersion};
use gleaner_leaf::NodeIdentity;
use gleaner_proto::Versions;
use tokio::task::block_in_place;

use super::{Setup, owner::Owner, state::StateSource};

/// A node that is registered.
pub(super) struct Registered {
    session: Session,
    pub(super) identity: NodeIdentity,
}

/// Registers the node.
///
/// # Errors
/// Another node that is alive bears its name, or its folder cannot be used.
pub(super) async fn register(setup: &Setup) -> Result<Registered> {
    let StateSource { client, keys, .. } = StateSource::of(&setup.cluster_file(), &setup.calls())?;
    let node = block_in_place(|| Owner::identity(setup.folder.path()))?;
    let meta = setup.membership.nodes().remove(&setup.node_id());
    let entry = NodeEntry {
        uuid: node,
        name: setup.node_id(),
        meta: meta.context("the node is not among the members")?,
        build: env!("CARGO_PKG_VERSION").to_owned(),
        wire: Versions::OURS,
        features: Vec::new(),
    };
    let lease = setup.membership.lease();
    let session = Session::start(&client, keys, &entry, lease).await?;
    let identity = NodeIdentity {
        node,
        incarnation: session.incarnation(),
    };
    tracing::info!(%node, "node is registered");
    Ok(Registered { session, identity })
}

/// Has changes of the cluster state wait for this root before they are acknowledged. Waits until etcd knows of it.
///
/// # Errors
/// A state that cannot be read.
pub(super) async fn tell_shown(
    setup: &Setup,
    coordinator: &dyn Coordinator,
) -> Result<ShownVersion> {
    let StateSource { client, keys, .. } = StateSource::of(&setup.cluster_file(), &setup.calls())?;
    let lease = setup.membership.lease();
    let shown = ShownVersion::start(client, keys, coordinator, lease).await;
    shown.context("cannot tell which cluster state this root shows")
}

impl Registered {
    /// Completes when the node must end, as another process is this node; returns why.
    pub(super) fn replaced(&self) -> impl Future<Output = anyhow::Error> + use<> {
        let mut state = self.session.state();
        async move {
            let ended = |state: &SessionState| matches!(state, SessionState::Ended { .. });
            match state.wait_for(ended).await.as_deref() {
                Ok(SessionState::Ended { reason }) => anyhow!(reason.clone()),
                _ => std::future::pending().await,
            }
        }
    }

    /// Says that the node is gone.
    pub(super) async fn end(self) {
        if let Err(fault) = self.session.end().await {
            tracing::warn!(%fault, "the node counts as alive until its lease runs out");
        }
    }
}
