//! A node that is registered in the etcd of its cluster, for as long as it runs.
//!
//! Does: know the node by its data folder, register it under a lease before it does anything else. Does not: renew the
//! lease (a [`Session`] does). Called by the process of a leaf.

use anyhow::{Context, Result, anyhow};
use gleaner_etcd::{NodeEntry, Session, SessionState};
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
    let StateSource { client, keys, .. } = setup.state_source()?;
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
    let session = Session::start(client, keys.clone(), &entry, lease).await?;
    let identity = NodeIdentity {
        node,
        incarnation: session.incarnation(),
    };
    tracing::info!(%node, "node is registered");
    Ok(Registered { session, identity })
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

    /// Returns what tells whether most roots cannot reach the node.
    pub(super) fn out_of_reach(&self) -> impl Fn() -> bool + use<> {
        let state = self.session.state();
        move || *state.borrow() == SessionState::OutOfReach
    }

    /// Says that the node is gone.
    pub(super) async fn end(self) {
        if let Err(fault) = self.session.end().await {
            tracing::warn!(%fault, "the node counts as alive until its lease runs out");
        }
    }
}
