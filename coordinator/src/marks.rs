//! What the copies of a node were known to hold, kept outside of the node's folder.
//!
//! A folder that is gone, or that an older one has taken the place of, cannot tell what it lacks. So each node notes from
//! time to time up to where each of its copies in sync had agreed, and how often it was started. A copy that holds less is
//! not in sync, whatever its entry says. A mark that is old finds less, and nothing else.
//!
//! Does: define marks, and the store that keeps them. Does not: write them (`leaf` does), decide what follows. Read first:
//! [`CopyMarks`].

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use gleaner_model::{CopyId, HistoryId, NodeUuid, PrimaryTerm, SeqNo, ShardKey};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::CoordinatorError;

/// What one copy was known to hold: everything of its history below a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyMark {
    /// The copy.
    pub copy: CopyId,
    /// The history whose records it held.
    #[serde(default, skip_serializing_if = "HistoryId::is_first")]
    pub history: HistoryId,
    /// Position after the last record that was agreed, and durable in this copy.
    pub position: SeqNo,
    /// Term of the record before `position`; 0 where that was not known.
    pub term: PrimaryTerm,
    /// When it was noted: milliseconds since the epoch.
    pub noted_ms: i64,
}

/// The marks of the copies of one node.
pub type NodeMarks = BTreeMap<ShardKey, CopyMark>;

/// A store of marks, which outlives the folders of nodes.
#[async_trait]
pub trait CopyMarks: Send + Sync {
    /// Returns the marks of a node's copies.
    ///
    /// # Errors
    /// [`CoordinatorError::Unavailable`] when the store does not answer, [`CoordinatorError::Unreadable`].
    async fn of_node(&self, node: NodeUuid) -> Result<NodeMarks, CoordinatorError>;

    /// Returns the mark of one copy.
    ///
    /// # Errors
    /// As for [`CopyMarks::of_node`].
    async fn of_copy(
        &self,
        node: NodeUuid,
        shard: ShardKey,
    ) -> Result<Option<CopyMark>, CoordinatorError>;

    /// Replaces the marks of a node that have `changed`; `all` are those of all of its copies.
    ///
    /// # Errors
    /// [`CoordinatorError::Unavailable`] and [`CoordinatorError::Store`]: some may be written.
    async fn write(
        &self,
        node: NodeUuid,
        all: &NodeMarks,
        changed: &BTreeSet<ShardKey>,
    ) -> Result<(), CoordinatorError>;

    /// Returns how often a node was started; 0 where nobody has counted.
    ///
    /// # Errors
    /// As for [`CopyMarks::of_node`].
    async fn num_starts(&self, node: NodeUuid) -> Result<u64, CoordinatorError>;

    /// Notes how often a node was started.
    ///
    /// # Errors
    /// As for [`CopyMarks::write`].
    async fn note_starts(&self, node: NodeUuid, num_starts: u64) -> Result<(), CoordinatorError>;
}

/// Marks that end with the process: for clusters in one process, whose nodes start and end in it.
#[derive(Debug, Default)]
pub struct MarksInMemory {
    nodes: Mutex<BTreeMap<NodeUuid, (u64, NodeMarks)>>,
}

#[async_trait]
impl CopyMarks for MarksInMemory {
    async fn of_node(&self, node: NodeUuid) -> Result<NodeMarks, CoordinatorError> {
        let nodes = self.nodes.lock();
        Ok(nodes
            .get(&node)
            .map(|(_, marks)| marks.clone())
            .unwrap_or_default())
    }

    async fn of_copy(
        &self,
        node: NodeUuid,
        shard: ShardKey,
    ) -> Result<Option<CopyMark>, CoordinatorError> {
        let nodes = self.nodes.lock();
        Ok(nodes
            .get(&node)
            .and_then(|(_, marks)| marks.get(&shard).copied()))
    }

    async fn write(
        &self,
        node: NodeUuid,
        all: &NodeMarks,
        _changed: &BTreeSet<ShardKey>,
    ) -> Result<(), CoordinatorError> {
        self.nodes.lock().entry(node).or_default().1 = all.clone();
        Ok(())
    }

    async fn num_starts(&self, node: NodeUuid) -> Result<u64, CoordinatorError> {
        Ok(self
            .nodes
            .lock()
            .get(&node)
            .map_or(0, |(starts, _)| *starts))
    }

    async fn note_starts(&self, node: NodeUuid, num_starts: u64) -> Result<(), CoordinatorError> {
        self.nodes.lock().entry(node).or_default().0 = num_starts;
        Ok(())
    }
}
