//! The cluster state as a node sees it: its own when it keeps it, that of the keeper or of an etcd else.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use gleaner_coordinator::{Coordinator, CoordinatorError, Embedded, update};
use gleaner_keeper::{JoinGate, Keeper, Roster};
use gleaner_model::{ClusterState, NodeId, Role};
use gleaner_proto::MetadataClient;
use gleaner_root::placing::{self, Sources};
use tokio::task::block_in_place;

use super::{
    Setup,
    owner::Owner,
    state::{Participant, StateSource, new_cluster},
};
use gleaner_machine::durable;

/// A coordinator, and what answers other nodes where this one keeps the state.
pub(super) struct Metadata {
    pub(super) coordinator: Arc<dyn Coordinator>,
    pub(super) keeper: Option<Arc<dyn MetadataClient>>,
    /// Which leaves are waited for before a new cluster is changed.
    joining: Option<Arc<Roster>>,
}

impl Metadata {
    /// Completes when this node has begun a new cluster in place of one that its leaves hold data of; returns
    /// why it must end.
    pub(super) fn refused(&self) -> impl Future<Output = anyhow::Error> + use<> {
        let joining = self.joining.clone();
        async move {
            match joining {
                Some(joining) => anyhow!(joining.refused().await),
                None => std::future::pending().await,
            }
        }
    }
}

/// Says that the cluster was begun and not all of its leaves have joined.
const BEGUN: &str = "cluster.begun";

/// How long a change of a new cluster waits for leaves that have not joined yet.
const JOINING_PATIENCE: Duration = Duration::from_secs(30);

/// How long after an attempt to note the members in an etcd that is away there is another one.
const ENROL_AGAIN: Duration = Duration::from_secs(1);

/// Opens the cluster state, waits for the keeper or the etcd that has it, and sees to it that the
/// data folder is this node's.
pub(super) async fn open(setup: &Setup) -> Result<Metadata> {
    let metadata = open_state(setup).await?;
    let owner = Owner {
        cluster_uuid: metadata.coordinator.state().cluster_uuid.clone(),
        node: setup.member.name.clone(),
        uuid: None,
    };
    block_in_place(|| owner.claim(setup.folder.path()))?;
    // Where a node keeps the state, it has done so. Any root can, as all have the same file.
    if setup.membership.keeper.is_none() && setup.member.role == Role::Root {
        enrol_in_time(&*metadata.coordinator, setup).await?;
    }
    Ok(metadata)
}

async fn open_state(setup: &Setup) -> Result<Metadata> {
    if !setup.is_keeper() {
        return follow_state(setup).await;
    }
    setup.folder.check_whole()?;
    let begun = setup.folder.path().join(BEGUN);
    if setup.folder.is_new() {
        block_in_place(|| durable::replace(&begun, b"")).context("cannot begin a cluster")?;
    }
    let initial = new_cluster(&setup.config.cluster_name);
    let embedded = block_in_place(|| Embedded::open(setup.folder.path(), initial));
    let coordinator: Arc<dyn Coordinator> =
        Arc::new(embedded.context("cannot open the cluster state")?);
    enrol(&*coordinator, setup).await?;
    let joining = Arc::new(Roster::new(awaited(setup, &begun)));
    tokio::spawn(end_beginning(Arc::clone(&joining), begun));
    let coordinator: Arc<dyn Coordinator> = Arc::new(JoinGate {
        state: coordinator,
        joining: Arc::clone(&joining),
        patience: JOINING_PATIENCE,
    });
    let keeper = Keeper::new(Arc::clone(&coordinator), Arc::clone(&joining));
    Ok(Metadata {
        coordinator,
        keeper: Some(Arc::new(keeper)),
        joining: Some(joining),
    })
}

/// Participant what another node or an etcd keeps.
async fn follow_state(setup: &Setup) -> Result<Metadata> {
    let source = StateSource::of(&setup.cluster_file(), &setup.calls())?;
    let held = block_in_place(|| Owner::of(setup.folder.path()))?;
    let member = Participant::Member {
        node: setup.node_id(),
        held: held.as_ref().map(|owner| owner.cluster_uuid.as_str()),
    };
    Ok(Metadata {
        coordinator: source.open(member).await?,
        keeper: None,
        joining: None,
    })
}

/// Enrols as soon as the state can be changed.
async fn enrol_in_time(coordinator: &dyn Coordinator, setup: &Setup) -> Result<()> {
    loop {
        let Err(error) = enrol(coordinator, setup).await else {
            return Ok(());
        };
        match error.downcast_ref::<CoordinatorError>() {
            Some(CoordinatorError::Unavailable { .. }) => {
                tracing::warn!("{error:#}; trying again");
            }
            _ => return Err(error),
        }
        tokio::time::sleep(ENROL_AGAIN).await;
    }
}

/// Returns the other leaves, where the cluster was begun and not all of them have joined.
fn awaited(setup: &Setup, begun: &Path) -> BTreeSet<NodeId> {
    if !begun.exists() {
        return BTreeSet::new();
    }
    let nodes = setup.membership.nodes().into_iter();
    let leaves = nodes
        .filter(|(_, meta)| meta.role == Role::Leaf)
        .map(|(node, _)| node);
    leaves.filter(|node| *node != setup.node_id()).collect()
}

/// Forgets, once all leaves have joined, that the cluster is a new one.
async fn end_beginning(joining: Arc<Roster>, begun: PathBuf) {
    joining.joined().await;
    match fs::remove_file(&begun) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(%error, file = %begun.display(), "cannot be removed");
        }
        _ => {}
    }
}

/// Notes the members of the file in the state, and places the copies that indices lack on them.
async fn enrol(coordinator: &dyn Coordinator, setup: &Setup) -> Result<()> {
    let nodes = setup.membership.nodes();
    let sources = Sources::of(coordinator.entries().is_some());
    update::<anyhow::Error, _>(coordinator, |state| {
        let mut next = ClusterState {
            nodes: nodes.clone(),
            ..state.clone()
        };
        let lacked_any = placing::fill_up(&mut next, sources)?;
        Ok((lacked_any || state.nodes != nodes).then_some(next))
    })
    .await
    .context("cannot note the members of the cluster")?;
    Ok(())
}
