//! What all parts of a leaf stand on: its options, the cluster state, the log, other leaves, its tasks.
//!
//! Does: says which copies this node holds and where they are on disk, runs tasks that the leaf waits for.
//! Does not: hold copies. Called by every part of the leaf. Read first: [`Node`].

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use gleaner_coordinator::Coordinator;
use gleaner_leases::Grants;
use gleaner_log::ShardLog;
use gleaner_model::{ClusterState, IndexMeta, NodeId, PrimaryTerm, ShardKey, ShardNumber};
use gleaner_proto::ReplicationClient;
use tokio::sync::watch;

use crate::agree::{Agreeing, AgreeingOptions};
use crate::lifecycle::folders::Folders;
use crate::lifecycle::set_aside::SetAside;
use crate::lifecycle::starts::FolderStarts;
use crate::{LeafOptions, Peers};

/// Why a leaf with an identity is not started.
const NO_ENTRIES: &str =
    "copies are to agree with others, and the coordinator keeps no entries of shards";

/// What a copy is among the copies of its shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Orders the writes.
    Primary,
    /// Follows the primary.
    Replica,
}

/// One node: shared by the leaf, its copies and their tasks.
pub(crate) struct Node {
    pub(crate) options: LeafOptions,
    pub(crate) coordinator: Arc<dyn Coordinator>,
    pub(crate) log: Arc<dyn ShardLog>,
    pub(crate) peers: Arc<dyn Peers>,
    /// Copies that agree through entries; `None` where this process has the only copy of each shard.
    pub(crate) agreeing: Option<Arc<Agreeing>>,
    /// Copies whose operations ended the process, and what writers work on.
    pub(crate) set_aside: SetAside,
    /// How often a node was started on its folder.
    pub(crate) starts: FolderStarts,
    /// Leases that it has granted to those who keep answers.
    pub(crate) grants: Arc<Grants>,
    /// When this process began to hold copies.
    pub(crate) started: Instant,
    /// Held while this leaf changes the cluster state, so that its shards do not race each other.
    pub(crate) changing_metadata: tokio::sync::Mutex<()>,
    stopping: watch::Sender<bool>,
    /// Background tasks under way.
    tasks: Arc<watch::Sender<usize>>,
}

impl Node {
    /// Returns a node that begins now.
    ///
    /// # Errors
    /// That it is to agree with others, and its coordinator keeps no entries.
    pub(crate) fn new(
        options: LeafOptions,
        coordinator: Arc<dyn Coordinator>,
        log: Arc<dyn ShardLog>,
        peers: Arc<dyn Peers>,
    ) -> io::Result<Self> {
        let agreeing = options.identity.map(|identity| {
            let entries = coordinator.entries();
            let entries = entries.ok_or_else(|| io::Error::other(NO_ENTRIES))?;
            Ok::<_, io::Error>(Agreeing::new(AgreeingOptions {
                entries,
                identity,
                log: Arc::clone(&log),
                peers: Arc::clone(&peers),
                state: coordinator.watch(),
                search_lease: options.lease,
            }))
        });
        Ok(Self {
            agreeing: agreeing.transpose()?,
            set_aside: SetAside::open(&options.folder),
            starts: FolderStarts::of(&options.folder),
            options,
            coordinator,
            log,
            peers,
            grants: Arc::default(),
            started: Instant::now(),
            changing_metadata: tokio::sync::Mutex::default(),
            stopping: watch::Sender::new(false),
            tasks: Arc::new(watch::Sender::new(0)),
        })
    }

    /// Returns this node's name among the copies; empty where one process holds everything.
    pub(crate) fn name(&self) -> NodeId {
        let name = self.options.node.clone();
        name.unwrap_or_else(|| NodeId("".into()))
    }

    /// Returns the time: milliseconds since the epoch.
    pub(crate) fn now_ms(&self) -> i64 {
        (self.options.clock)()
    }

    /// Returns what this node holds of a shard of `index`; `None` when it holds no copy.
    pub(crate) fn role_in(&self, index: &IndexMeta, shard: ShardNumber) -> Option<Role> {
        if let Some(agreeing) = &self.agreeing {
            let index = index.uuid;
            return agreeing.role(ShardKey { index, shard });
        }
        // One process holds everything.
        Some(Role::Primary)
    }

    /// Returns what this node is to hold of `key`; `None` when it is to hold no copy.
    pub(crate) fn role(&self, state: &ClusterState, key: ShardKey) -> Option<Role> {
        self.role_in(state.indices.get(&key.index)?, key.shard)
    }

    /// Returns the leaf of `key`'s primary, when that is another one that can be called.
    pub(crate) fn primary_of(&self, key: ShardKey) -> Option<Arc<dyn ReplicationClient>> {
        self.agreeing.as_ref()?.primary(key)
    }

    /// Returns the nodes of the other copies of a shard.
    pub(crate) fn other_copies(&self, key: ShardKey) -> Vec<NodeId> {
        let state = self.coordinator.state();
        let index = state.indices.get(&key.index);
        index.map_or_else(Vec::new, |index| self.other_copies_in(index, key.shard))
    }

    /// Returns the nodes of the other copies of a shard of `index`.
    pub(crate) fn other_copies_in(&self, index: &IndexMeta, shard: ShardNumber) -> Vec<NodeId> {
        let is_other = |node: &&NodeId| Some(*node) != self.options.node.as_ref();
        let others = index.copies_of(shard).iter().filter(is_other);
        others.cloned().collect()
    }

    /// Returns whether a primary of the shard was ever opened.
    pub(crate) fn was_opened(&self, key: ShardKey) -> bool {
        let state = self.coordinator.state();
        let terms = state.indices.get(&key.index).map(|i| &i.primary_terms);
        let term = terms.and_then(|terms| terms.get(key.shard.0 as usize));
        term.is_some_and(|term| *term > PrimaryTerm::default())
    }

    /// Returns where a copy is on disk.
    pub(crate) fn folders(&self, key: ShardKey) -> Folders {
        Folders::of(&self.options.folder, key)
    }

    /// Begins the end of the leaf.
    pub(crate) fn begin_stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Returns whether the leaf stops.
    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Waits until the leaf stops.
    pub(crate) async fn stopped(&self) {
        // An error means that the sender is gone, and it lives in `self`.
        drop(
            self.stopping
                .subscribe()
                .wait_for(|stopping| *stopping)
                .await,
        );
    }

    /// Runs a task whose end is waited for when the leaf stops.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.send_modify(|tasks| *tasks += 1);
        let task = Task(Arc::clone(&self.tasks));
        tokio::spawn(async move {
            work.await;
            drop(task);
        });
    }

    /// Waits until no task runs any more.
    pub(crate) async fn wait_for_tasks(&self) {
        let mut tasks = self.tasks.subscribe();
        // An error means that the sender is gone, and it lives in `self`.
        drop(tasks.wait_for(|tasks| *tasks == 0).await);
    }
}

/// A task under way; it holds no node, so that the leaf is let go once its last task has ended.
struct Task(Arc<watch::Sender<usize>>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.send_modify(|tasks| *tasks -= 1);
    }
}
