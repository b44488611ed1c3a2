//! A coordinator with entries in memory that notes what each change of an entry has left.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use gleaner_coordinator::entries::{EntryChange, EntryOutcome, EntryTable, StoredEntry};
use gleaner_coordinator::{CoordinatorError, CopyMarks, EmbeddedEntries, ShardEntries};
use gleaner_model::{CopyId, CopyMeta, Entry, Incarnation, NodeId, NodeUuid, ShardKey};
use parking_lot::Mutex;
use tokio::sync::watch;

/// Entries whose changes are noted.
#[derive(Default)]
pub(super) struct NotedEntries {
    inner: EmbeddedEntries,
    made: Mutex<Vec<Arc<Entry>>>,
}

impl NotedEntries {
    pub(super) fn table(&self) -> Arc<EntryTable> {
        self.inner.table()
    }

    /// Returns what each change that was made has left, in their order.
    pub(super) fn made(&self) -> Vec<Arc<Entry>> {
        self.made.lock().clone()
    }

    /// Says that a node is alive under a name, or not any more.
    pub(super) fn set_alive(&self, name: &str, node: NodeUuid, process: Option<Incarnation>) {
        self.inner.set_alive(&NodeId(name.into()), node, process);
    }

    /// Makes the entry of a shard with copies on nodes, the primary's first.
    pub(super) fn create(&self, shard: ShardKey, nodes: &[NodeUuid]) {
        let copies = nodes
            .iter()
            .map(|node| (CopyId(node.0), CopyMeta::on(*node)));
        let copies: BTreeMap<_, _> = copies.collect();
        self.inner
            .put(shard, Entry::first(CopyId(nodes[0].0), copies));
    }
}

#[async_trait]
impl ShardEntries for NotedEntries {
    fn watch(&self) -> watch::Receiver<Arc<EntryTable>> {
        self.inner.watch()
    }

    async fn read(&self, shard: ShardKey) -> Result<Option<StoredEntry>, CoordinatorError> {
        self.inner.read(shard).await
    }

    async fn change(&self, change: EntryChange) -> EntryOutcome {
        let mut made = self.made.lock();
        let (entry, outcome) = (Arc::clone(&change.entry), self.inner.swap(change));
        if let EntryOutcome::Made { .. } = outcome {
            made.push(entry);
        }
        outcome
    }

    fn marks(&self) -> Arc<dyn CopyMarks> {
        self.inner.marks()
    }
}
