//! Calls by which another leaf makes and keeps a copy of a shard.
//!
//! A copy begins with the files of a durable commit of the primary ([`SnapshotCall`],
//! [`FileCall`]) and then follows the primary's log ([`LogTailCall`]). The primary serves meanwhile. Copies that agree
//! through an entry follow by streams instead, one for all shards of a pair of leaves ([`ReplicationClient::follow`]).

mod stream;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use gleaner_model::{History, NodeId, PrimaryTerm, SeqNo, ShardKey};

use crate::LeafFault;
use crate::node::NodeFault;
pub use stream::{
    BatchRecords, FollowerMessage, FollowerMessages, PrimaryMessage, PrimaryMessages,
};

/// Asks for records of a shard's log, in order.
#[derive(Debug, Clone)]
pub struct LogTailCall {
    /// The shard.
    pub shard: ShardKey,
    /// Who asks: the log is not trimmed below what its followers still need.
    pub follower: NodeId,
    /// First record wanted; everything below is durable at the follower.
    pub from: SeqNo,
    /// Bytes of payload wanted at most, ≥ 1; at least one record is returned when there is one.
    pub max_bytes: usize,
    /// How long to wait for a record when there is none yet; then an empty page is returned.
    pub wait: Duration,
    /// What the follower holds, where that is to be compared with the primary's log; `None` where it was,
    /// and from followers of older versions.
    pub held: Option<History>,
}

/// One record of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// Its position.
    pub seq_no: SeqNo,
    /// Term it was appended under.
    pub term: PrimaryTerm,
    /// A `model::Operation`, encoded.
    pub payload: Bytes,
}

/// Records of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPage {
    /// In order, without a gap.
    pub records: Vec<LogRecord>,
    /// Oldest record the log still has; when it is beyond what was asked for, the copy must begin
    /// again from files.
    pub first_available: SeqNo,
    /// The position after the last durable record of the log.
    pub end: SeqNo,
    /// Position up to which the primary shows operations to searches.
    pub visible: SeqNo,
}

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
    /// What the follower holds, which it is to give up for the files; `None` from older versions.
    pub held: Option<History>,
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
    /// The last operation in the files, where the log still holds it.
    pub last: Option<LogRecord>,
    /// The history of the log up to `next_seq_no`; `None` from older versions.
    pub history: Option<History>,
    /// What a log that begins at `next_seq_no` has to know; `None` where copies follow the log of their primary.
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
    /// Returns records from the primary's log, waiting for the first one.
    async fn log_tail(&self, call: LogTailCall) -> Result<LogPage, LeafFault>;

    /// Makes a durable commit and keeps its files.
    async fn open_snapshot(&self, call: SnapshotCall) -> Result<Snapshot, LeafFault>;

    /// Returns bytes of a file of a snapshot; fewer than asked for only at its end.
    async fn read_file(&self, call: FileCall) -> Result<Bytes, LeafFault>;

    /// Returns the history of the shard's log, whatever this copy is and whether it serves.
    async fn history(&self, shard: ShardKey) -> Result<History, LeafFault>;

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
