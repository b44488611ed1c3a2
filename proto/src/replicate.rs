//! Calls by which another leaf makes and keeps a copy of a shard.
//!
//! A copy begins empty, or with the files of a durable commit of the primary ([`SnapshotCall`], [`FileCall`]), and then
//! follows by a stream, one for all shards of a pair of leaves ([`ReplicationClient::follow`]). The primary serves
//! meanwhile.

mod stream;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use gleaner_model::{HistoryId, NodeId, PrimaryTerm, SeqNo, ShardKey};

use crate::LeafFault;
use crate::node::NodeFault;
pub use stream::{
    BatchRecords, FollowerMessage, FollowerMessages, PrimaryMessage, PrimaryMessages,
};

/// Asks for a durable commit whose files stay until released.
#[derive(Debug, Clone)]
pub struct SnapshotCall {
    /// The shard.
    pub shard: ShardKey,
    /// Who asks; the log is kept from the commit on for it.
    pub follower: NodeId,
    /// How long the files stay when nothing is asked of them.
    pub keep_alive: Duration,
    /// Whether a replica may answer: for a primary whose own files are damaged.
    pub any_copy: bool,
    /// The history that the copy is of: files of another one are not for it.
    pub history: HistoryId,
}

/// One file of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotFile {
    /// Name inside the shard's folder.
    pub name: String,
    /// Its length.
    pub num_bytes: u64,
    /// CRC-32C of its bytes.
    pub crc32c: u32,
}

/// The files of a durable commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Names it in further calls.
    pub id: u64,
    /// The next operation due after the commit.
    pub next_seq_no: SeqNo,
    /// All files that make the commit.
    pub files: Vec<SnapshotFile>,
    /// What a log that begins at `next_seq_no` has to know; `None` from older versions.
    pub base: Option<SnapshotBase>,
}

/// What is known of the records before a position of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotBase {
    /// Term of the last of them.
    pub term: PrimaryTerm,
    /// The last append of each producer that is remembered, by ascending position.
    pub producers: Vec<Production>,
}

/// The last append of a producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Production {
    /// The producer.
    pub id: u128,
    /// Its number for the append.
    pub sequence: u64,
    /// Position of the first record of the append.
    pub first: SeqNo,
    /// Position of the last one.
    pub last: SeqNo,
}

/// Asks for bytes of a file.
#[derive(Debug, Clone)]
pub struct FileCall {
    /// The shard.
    pub shard: ShardKey,
    /// The snapshot.
    pub snapshot: u64,
    /// The file.
    pub name: String,
    /// First byte wanted.
    pub offset: u64,
    /// Bytes wanted at most.
    pub max_bytes: usize,
}

/// What a leaf answers to another leaf that holds, or is to hold, a copy of its shard.
#[async_trait]
pub trait ReplicationClient: Send + Sync {
    /// Makes a durable commit and keeps its files.
    async fn open_snapshot(&self, call: SnapshotCall) -> Result<Snapshot, LeafFault>;

    /// Returns bytes of a file of a snapshot; fewer than asked for only at its end.
    async fn read_file(&self, call: FileCall) -> Result<Bytes, LeafFault>;

    /// Opens a stream to the primaries of this leaf, for all shards that the caller's leaf follows here.
    ///
    /// # Errors
    /// [`NodeFault::Unreachable`]; [`NodeFault::Unreadable`] where copies do not follow by streams.
    async fn follow(&self, messages: FollowerMessages) -> Result<PrimaryMessages, NodeFault> {
        drop(messages);
        let reason = "its copies do not follow by streams".to_owned();
        Err(NodeFault::Unreadable { reason })
    }

    /// Lets the files of a snapshot go; unknown ones are let go already.
    async fn close_snapshot(&self, shard: ShardKey, snapshot: u64) -> Result<(), LeafFault>;
}
