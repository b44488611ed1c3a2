//! A store of entries in memory, and a coordinator that has it.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use gleaner_coordinator::entries::{EntryChange, EntryOutcome, EntryTable, StoredEntry};
use gleaner_coordinator::{Coordinator, CoordinatorError, Embedded, ShardEntries};
use gleaner_model::{
    ClusterState, CopyId, CopyMeta, Entry, Incarnation, NodeId, NodeUuid, Revision, ShardKey,
};
use gleaner_replication::Change;
use parking_lot::Mutex;
use tokio::sync::watch;

/// Entries and nodes in memory.
pub(super) struct MemoryEntries {
    table: watch::Sender<Arc<EntryTable>>,
    /// What each change that was made has left, in their order.
    made: Mutex<Vec<Arc<Entry>>>,
}

impl MemoryEntries {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            table: watch::Sender::new(Arc::default()),
            made: Mutex::default(),
        })
    }

    pub(super) fn table(&self) -> Arc<EntryTable> {
        Arc::clone(&self.table.borrow())
    }

    /// Returns what each change that was made has left, in their order.
    pub(super) fn made(&self) -> Vec<Arc<Entry>> {
        self.made.lock().clone()
    }

    fn write<T>(&self, change: impl FnOnce(&mut EntryTable) -> T) -> T {
        let mut outcome = None;
        self.table.send_modify(|table| {
            let table = Arc::make_mut(table);
            table.revision = Revision(table.revision.0 + 1);
            outcome = Some(change(table));
        });
        outcome.expect("it was called")
    }

    /// Says that a node is alive under a name, or not any more.
    pub(super) fn set_alive(&self, name: &str, node: NodeUuid, process: Option<Incarnation>) {
        self.write(|table| {
            table.nodes.insert(NodeId(name.into()), node);
            match process {
                Some(process) => table.alive.insert(node, process),
                None => table.alive.remove(&node),
            }
        });
    }

    /// Makes the entry of a shard with copies on nodes, the primary's first.
    pub(super) fn create(&self, shard: ShardKey, nodes: &[NodeUuid]) {
        let copies: Vec<_> = nodes.iter().map(|node| (CopyId(node.0), *node)).collect();
        let create = Change::Create {
            primary: copies[0].0,
            copies: copies
                .iter()
                .map(|(copy, node)| (*copy, CopyMeta::on(*node)))
                .collect::<BTreeMap<_, _>>(),
        };
        let entry = create.apply(None, 1).expect("allowed").expect("an entry");
        self.write(|table| {
            let stored = StoredEntry {
                entry: Arc::new(entry),
                revision: table.revision,
            };
            table.shards.insert(shard, stored);
        });
    }
}

#[async_trait]
impl ShardEntries for MemoryEntries {
    fn watch(&self) -> watch::Receiver<Arc<EntryTable>> {
        self.table.subscribe()
    }

    async fn read(&self, shard: ShardKey) -> Result<Option<StoredEntry>, CoordinatorError> {
        Ok(self.table().shards.get(&shard).cloned())
    }

    async fn change(&self, change: EntryChange) -> EntryOutcome {
        self.write(|table| {
            let Some(stored) = table.shards.get(&change.shard).cloned() else {
                return EntryOutcome::Gone;
            };
            let is_held = change.guard.is_none_or(|guard| {
                !table.alive.contains_key(&guard.absent)
                    && table.alive.get(&guard.node) == Some(&guard.incarnation)
            });
            if stored.revision != change.expected || !is_held {
                return EntryOutcome::Refused(stored);
            }
            self.made.lock().push(Arc::clone(&change.entry));
            let revision = table.revision;
            let stored = StoredEntry {
                entry: change.entry,
                revision,
            };
            table.shards.insert(change.shard, stored);
            EntryOutcome::Made { revision }
        })
    }
}

/// A state in memory, with entries.
pub(super) struct WithEntries {
    pub(super) state: Embedded,
    pub(super) entries: Arc<MemoryEntries>,
}

#[async_trait]
impl Coordinator for WithEntries {
    fn state(&self) -> Arc<ClusterState> {
        self.state.state()
    }

    async fn latest(&self) -> Result<Arc<ClusterState>, CoordinatorError> {
        self.state.latest().await
    }

    fn watch(&self) -> watch::Receiver<Arc<ClusterState>> {
        self.state.watch()
    }

    fn entries(&self) -> Option<Arc<dyn ShardEntries>> {
        Some(Arc::clone(&self.entries) as _)
    }

    async fn compare_and_swap(
        &self,
        expected: u64,
        next: ClusterState,
    ) -> Result<Arc<ClusterState>, CoordinatorError> {
        self.state.compare_and_swap(expected, next).await
    }
}
