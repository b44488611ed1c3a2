//! The entries of shards whose copies agree, and the nodes that are alive.
//!
//! Does: define what a store of entries answers, and which entries a new index has. Does not: say how an entry may
//! change (`replication` does).
//! Called by `leaf`, which drives copies, and `root`, which finds primaries. Read first: [`ShardEntries`].

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use gleaner_model::{
    CopyId, CopyMeta, Entry, Incarnation, IndexMeta, NodeId, NodeUuid, Revision, ShardKey,
};
use tokio::sync::watch;

use crate::{CoordinatorError, CopyMarks};

/// An entry with the revision at which it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEntry {
    /// The entry.
    pub entry: Arc<Entry>,
    /// Its revision.
    pub revision: Revision,
}

/// All entries and nodes as they were at one revision.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntryTable {
    /// The revision.
    pub revision: Revision,
    /// The entries.
    pub shards: BTreeMap<ShardKey, StoredEntry>,
    /// The nodes by their names for people; the one that bears the name now.
    pub nodes: BTreeMap<NodeId, NodeUuid>,
    /// The nodes that are alive, with the process that runs on each.
    pub alive: BTreeMap<NodeUuid, Incarnation>,
    /// Where nodes said that they are called (`HOST:PORT`) when they registered.
    pub addresses: BTreeMap<NodeUuid, Arc<str>>,
}

impl EntryTable {
    /// Returns the name of a node; `None` where no node of that identity bears one.
    pub fn name_of(&self, node: NodeUuid) -> Option<&NodeId> {
        let named = self.nodes.iter().find(|(_, uuid)| **uuid == node);
        named.map(|(name, _)| name)
    }

    /// Returns where a node said that it is called; `None` where none of that name has registered.
    pub fn address_of(&self, node: &NodeId) -> Option<&Arc<str>> {
        self.addresses.get(self.nodes.get(node)?)
    }
}

/// Returns the entries of the shards of a new index: each with the first of its nodes that is alive as primary, in sync by
/// itself, as nothing was ever written.
///
/// # Errors
/// [`CoordinatorError::Unavailable`] where no node of a shard was ever registered.
pub fn first_entries(
    table: &EntryTable,
    index: &IndexMeta,
) -> Result<Vec<(ShardKey, Entry)>, CoordinatorError> {
    let mut made = Vec::new();
    for (shard, row) in index.shards().zip(&index.copies) {
        if row.is_empty() {
            continue;
        }
        let nodes = row.iter().filter_map(|name| table.nodes.get(name));
        let copies: Vec<_> = nodes.map(|node| (CopyId(rand::random()), *node)).collect();
        let is_alive = |(_, node): &&(CopyId, _)| table.alive.contains_key(node);
        let primary = copies.iter().find(is_alive).or(copies.first());
        let Some((primary, _)) = primary else {
            let names = row.iter().map(ToString::to_string);
            let names = names.collect::<Vec<_>>().join("`, `");
            let reason = format!("none of the nodes `{names}` has registered yet");
            return Err(CoordinatorError::Unavailable { reason });
        };
        let copies = copies
            .iter()
            .map(|(copy, node)| (*copy, CopyMeta::on(*node)));
        made.push((shard, Entry::first(*primary, copies.collect())));
    }
    Ok(made)
}

/// What must hold beside the entry for a copy to take over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TakeOverGuard {
    /// The node that must not be alive.
    pub absent: NodeUuid,
    /// The node that must be,
    pub node: NodeUuid,
    /// with this process.
    pub incarnation: Incarnation,
}

/// A change of one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryChange {
    /// The shard.
    pub shard: ShardKey,
    /// The revision that the entry must still have.
    pub expected: Revision,
    /// The entry after the change.
    pub entry: Arc<Entry>,
    /// What else must hold.
    pub guard: Option<TakeOverGuard>,
}

/// What became of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryOutcome {
    /// It was made.
    Made {
        /// The revision of the new entry.
        revision: Revision,
    },
    /// It was not made; this is the entry in force.
    Refused(StoredEntry),
    /// It was not made: the entry is gone.
    Gone,
    /// It may have been made, or may still be.
    Unknown {
        /// Why that is not known.
        reason: String,
    },
}

/// A store of entries. Each entry changes by compare-and-swap on its own revision.
#[async_trait]
pub trait ShardEntries: Send + Sync {
    /// Returns a channel that always holds the newest table known here.
    fn watch(&self) -> watch::Receiver<Arc<EntryTable>>;

    /// Returns the entry in force, from the store; `None` where there is none.
    ///
    /// # Errors
    /// [`CoordinatorError::Unavailable`] when the store does not answer, [`CoordinatorError::Unreadable`].
    async fn read(&self, shard: ShardKey) -> Result<Option<StoredEntry>, CoordinatorError>;

    /// Makes a change.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the outcome unknown.
    async fn change(&self, change: EntryChange) -> EntryOutcome;

    /// Returns what copies were known to hold, which is kept where the entries are.
    fn marks(&self) -> Arc<dyn CopyMarks>;
}
