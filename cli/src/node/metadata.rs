//! The cluster state as a node follows it, and what a node sees to before it works with it.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use gleaner_coordinator::{Coordinator, CoordinatorError, update};
use gleaner_model::{ClusterState, Role};
use gleaner_root::placing;
use tokio::task::block_in_place;

use super::{Setup, owner::Owner, state::Participant};

/// How long after an attempt to note the members in an etcd that is away there is another one.
const ENROL_AGAIN: Duration = Duration::from_secs(1);

/// Waits for the etcd that has the cluster state, and sees to it that the data folder is this node's.
pub(super) async fn open(setup: &Setup) -> Result<Arc<dyn Coordinator>> {
    let source = setup.state_source()?;
    let held = block_in_place(|| Owner::of(setup.folder.path()))?;
    let member = Participant::Member {
        role: setup.member.role,
        held: held.as_ref().map(|owner| owner.cluster_uuid.as_str()),
    };
    let coordinator = source.open(member).await?;
    let owner = Owner {
        cluster_uuid: coordinator.state().cluster_uuid.clone(),
        node: setup.member.name.clone(),
        uuid: None,
    };
    block_in_place(|| owner.claim(setup.folder.path()))?;
    // Any root can, as all have the same file.
    if setup.member.role == Role::Root {
        enrol_in_time(&*coordinator, setup).await?;
    }
    Ok(coordinator)
}

/// Enrols as soon as the state can be changed.
async fn enrol_in_time(coordinator: &dyn Coordinator, setup: &Setup) -> Result<()> {
    loop {
        let Err(error) = enrol(coordinator, setup).await else {
            return Ok(());
        };
        match error.downcast_ref::<CoordinatorError>() {
            Some(CoordinatorError::Unavailable { .. } | CoordinatorError::OutOfQuota { .. }) => {
                tracing::warn!("{error:#}; trying again");
            }
            _ => return Err(error),
        }
        tokio::time::sleep(ENROL_AGAIN).await;
    }
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
