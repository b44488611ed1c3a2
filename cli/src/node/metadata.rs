//! The cluster state as a node sees it: its own when it keeps it, the keeper's else.

use std::sync::Arc;

use anyhow::{Context, Result};
use gleaner_coordinator::{Coordinator, Embedded, update};
use gleaner_model::ClusterState;
use gleaner_proto::{
    GrpcMetadata, MetadataClient, Peer,
    keeper::{Follower, Keeper},
};
use gleaner_root::placing;
use tokio::task::block_in_place;

use super::{Setup, owner::Owner};

/// A coordinator, and what answers other nodes where this one keeps the state.
pub(super) struct Metadata {
    pub(super) coordinator: Arc<dyn Coordinator>,
    pub(super) keeper: Option<Arc<dyn MetadataClient>>,
}

/// Opens the cluster state, waits for the keeper when that is another node, and sees to it that the
/// data folder is this node's.
pub(super) async fn open(setup: &Setup) -> Result<Metadata> {
    let metadata = open_state(setup).await?;
    let owner = Owner {
        cluster_uuid: metadata.coordinator.state().cluster_uuid.clone(),
        node: setup.member.name.clone(),
    };
    block_in_place(|| owner.claim(setup.folder.path()))?;
    Ok(metadata)
}

async fn open_state(setup: &Setup) -> Result<Metadata> {
    if !setup.is_keeper() {
        let address = setup.membership.keeper_address();
        let keeper: Arc<dyn MetadataClient> = Arc::new(GrpcMetadata::new(Peer::new(address)?));
        let follower = Follower::start(keeper).await;
        return Ok(Metadata {
            coordinator: Arc::new(follower),
            keeper: None,
        });
    }
    let initial = ClusterState {
        cluster_uuid: format!("{:032x}", rand::random::<u128>()),
        cluster_name: setup.config.cluster_name.clone(),
        ..ClusterState::default()
    };
    setup.folder.check_whole()?;
    let embedded = block_in_place(|| Embedded::open(setup.folder.path(), initial));
    let coordinator: Arc<dyn Coordinator> =
        Arc::new(embedded.context("cannot open the cluster state")?);
    enrol(&*coordinator, setup).await?;
    let keeper = Arc::new(Keeper(Arc::clone(&coordinator)));
    Ok(Metadata {
        coordinator,
        keeper: Some(keeper),
    })
}

/// Notes the members of the file in the state, and places the copies that indices lack on them.
async fn enrol(coordinator: &dyn Coordinator, setup: &Setup) -> Result<()> {
    let nodes = setup.membership.nodes();
    update::<anyhow::Error, _>(coordinator, |state| {
        let mut next = ClusterState {
            nodes: nodes.clone(),
            ..state.clone()
        };
        let lacked_any = placing::fill_up(&mut next)?;
        Ok((lacked_any || state.nodes != nodes).then_some(next))
    })
    .await
    .context("cannot note the members of the cluster")?;
    Ok(())
}
