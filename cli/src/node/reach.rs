//! Which leaves a root reaches, and at which addresses.
//!
//! Does: ask each leaf twice a second whether it serves, by which that knows that roots call it; say in etcd which leaf
//! was not reached for [`PATIENCE`], until it is. Does not: count what other roots say, end leases ([`Complaints`] do).
//! Called by the process of a root. Read first: [`Watch::run`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gleaner_coordinator::{Coordinator, entries::EntryTable};
use gleaner_etcd::Complaints;
use gleaner_model::{ClusterState, Incarnation, NodeId, NodeUuid, Role};
use gleaner_proto::{
    Connect, GrpcNode,
    node::{NodeClient, NodeFault},
};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::{Setup, root::peer_of};

/// How long a leaf is not reached before the root says so.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long ago a leaf may have answered that counts as reached beside one that is not. Less than [`PATIENCE`]: a root that is
/// cut off from all leaves finds none.
const LATELY: Duration = Duration::from_secs(5);

/// How often a leaf is asked.
const EVERY: Duration = Duration::from_millis(500);

/// How long its answer is waited for: any is enough.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Where a leaf is called, as that changes.
pub(super) struct Addressed {
    node: NodeId,
    /// That of the file, while it has registered none.
    fallback: Arc<str>,
    entries: Option<watch::Receiver<Arc<EntryTable>>>,
}

impl Addressed {
    pub(super) fn new(coordinator: &dyn Coordinator, node: NodeId, fallback: &str) -> Self {
        Self {
            node,
            fallback: fallback.into(),
            entries: coordinator.entries().map(|entries| entries.watch()),
        }
    }

    fn current(&self) -> Arc<str> {
        let table = self.entries.as_ref().map(watch::Receiver::borrow);
        let registered = table.and_then(|table| table.address_of(&self.node).cloned());
        registered.unwrap_or_else(|| Arc::clone(&self.fallback))
    }

    /// Waits until the address is another one than `known`.
    async fn other_than(&mut self, known: &str) {
        while *self.current() == *known {
            let Some(entries) = &mut self.entries else {
                return std::future::pending().await;
            };
            if entries.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// Does `work` with the address, and anew with each other one, for ever.
    pub(super) async fn each<F: Future<Output = ()>>(mut self, work: impl Fn(&str) -> F) {
        loop {
            let address = self.current();
            let working = work(&address);
            tokio::select! {
                () = working => return,
                () = self.other_than(&address) => {}
            }
        }
    }
}

/// Watches all leaves of the file, until the tasks are dropped.
pub(super) fn watch(
    setup: &Setup,
    coordinator: &Arc<dyn Coordinator>,
    complaints: &Complaints,
) -> JoinSet<()> {
    let reached = Arc::<Reached>::default();
    let mut tasks = JoinSet::new();
    let members = setup.membership.nodes.iter();
    for member in members.filter(|member| member.role == Role::Leaf) {
        let node = NodeId(member.name.as_str().into());
        let Some(entries) = coordinator.entries() else {
            continue;
        };
        let watch = Watch {
            addressed: Addressed::new(&**coordinator, node.clone(), &member.address),
            connect: setup.dialling.leaves.clone(),
            node,
            state: coordinator.watch(),
            entries: entries.watch(),
            reached: Arc::clone(&reached),
            complaints: complaints.clone(),
            last: None,
            filed: None,
        };
        tasks.spawn(watch.run());
    }
    tasks
}

/// When each leaf last answered this root.
#[derive(Default)]
struct Reached(Mutex<BTreeMap<NodeId, Instant>>);

impl Reached {
    fn note(&self, node: &NodeId) {
        let mut reached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reached.insert(node.clone(), Instant::now());
    }

    /// Returns whether at least half of the leaves in `alive` answered lately, `node` apart, and there are any.
    fn is_half(&self, alive: &[NodeId], node: &NodeId, now: Instant) -> bool {
        let reached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_reached = |other: &&&NodeId| {
            let last = reached.get(**other);
            last.is_some_and(|last| now.saturating_duration_since(*last) < LATELY)
        };
        let others: Vec<&NodeId> = alive.iter().filter(|other| *other != node).collect();
        !others.is_empty() && others.iter().filter(is_reached).count() * 2 >= others.len()
    }
}

/// Watches one leaf.
struct Watch {
    node: NodeId,
    addressed: Addressed,
    connect: Connect,
    state: watch::Receiver<Arc<ClusterState>>,
    entries: watch::Receiver<Arc<EntryTable>>,
    reached: Arc<Reached>,
    complaints: Complaints,
    /// The process that was alive when it was last asked, and when that was reached last, or first seen.
    last: Option<(Incarnation, Instant)>,
    /// The node of which this root says that it is not reached.
    filed: Option<NodeUuid>,
}

impl Watch {
    async fn run(mut self) {
        let mut turns = interval(EVERY);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut address: Arc<str> = "".into();
        let mut client = None;
        loop {
            turns.tick().await;
            let current = self.addressed.current();
            if client.is_none() || address != current {
                client = Some(GrpcNode::new(peer_of(&self.connect, &self.node, &current)));
                address = current;
            }
            let Some(client) = &client else { continue };
            let is_reached = match timeout(ANSWER_WITHIN, client.readiness()).await {
                Ok(Ok(_) | Err(NodeFault::Unreadable { .. })) => true,
                Ok(Err(NodeFault::Unreachable { .. })) | Err(_) => false,
            };
            self.note(is_reached).await;
        }
    }

    /// Says what follows from whether the leaf was reached.
    async fn note(&mut self, is_reached: bool) {
        let table = Arc::clone(&self.entries.borrow());
        let Some(uuid) = table.nodes.get(&self.node).copied() else {
            return;
        };
        let alive = table.alive.get(&uuid).copied();
        let known = self.last.map(|(incarnation, _)| incarnation);
        if is_reached || (alive.is_some() && alive != known) {
            self.last = alive
                .or(known)
                .map(|incarnation| (incarnation, Instant::now()));
        }
        if is_reached {
            self.reached.note(&self.node);
        }
        let is_meant = |(incarnation, since): &(Incarnation, Instant)| {
            alive == Some(*incarnation) && since.elapsed() >= PATIENCE
        };
        if let Some((incarnation, _)) = self.last.filter(is_meant) {
            // A root that reaches hardly any leaf is the one that is cut off.
            let alive = self.alive_leaves(&table);
            if self.reached.is_half(&alive, &self.node, Instant::now()) {
                self.complain(uuid, incarnation).await;
            }
        } else if let Some(filed) = self.filed
            && (is_reached || filed != uuid)
        {
            self.withdraw(filed).await;
        }
    }

    fn alive_leaves(&self, table: &EntryTable) -> Vec<NodeId> {
        let state = self.state.borrow();
        let leaves = state
            .nodes
            .iter()
            .filter(|(_, meta)| meta.role == Role::Leaf);
        let is_alive = |node: &&NodeId| {
            let uuid = table.nodes.get(*node);
            uuid.is_some_and(|uuid| table.alive.contains_key(uuid))
        };
        leaves
            .map(|(node, _)| node)
            .filter(is_alive)
            .cloned()
            .collect()
    }

    async fn complain(&mut self, uuid: NodeUuid, incarnation: Incarnation) {
        let node = &self.node;
        let is_first = self.filed.replace(uuid) != Some(uuid);
        if is_first {
            let address = self.addressed.current();
            tracing::warn!(%node, %address, "a leaf that is alive was not reached for {PATIENCE:?}");
        }
        match self.complaints.file(uuid, incarnation).await {
            Ok(true) => {
                tracing::warn!(%node, "most roots cannot reach a leaf: it lost its lease, and others may take over");
            }
            Ok(false) => {}
            Err(error) if is_first => {
                tracing::warn!(%node, %error, "etcd does not take that a leaf cannot be reached");
            }
            Err(error) => tracing::debug!(%node, %error, "etcd does not take it"),
        }
    }

    async fn withdraw(&mut self, uuid: NodeUuid) {
        let node = &self.node;
        match self.complaints.withdraw(uuid).await {
            Ok(()) => {
                self.filed = None;
                tracing::info!(%node, "a leaf is reached again");
            }
            Err(error) => {
                tracing::debug!(%node, %error, "a leaf is reached, and etcd does not take it");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str) -> NodeId {
        NodeId(name.into())
    }

    #[test]
    fn a_root_that_reaches_less_than_half_of_the_other_leaves_takes_itself_for_cut_off() {
        let reached = Reached::default();
        let alive = ["a", "b", "c", "d"].map(node);
        let now = Instant::now();
        let is_half =
            |of: &[NodeId], unreached: &str, now| reached.is_half(of, &node(unreached), now);
        assert!(!is_half(&alive, "a", now));
        reached.note(&node("a"));
        reached.note(&node("b"));
        assert!(!is_half(&alive, "a", now), "one of three");
        assert!(is_half(&alive, "c", now), "two of three");
        assert!(!is_half(&alive[..1], "a", now), "nobody could take over");
        let later = Instant::now() + LATELY;
        assert!(!is_half(&alive, "c", later), "that was long ago");
    }
}
