//! What a copy wants done: all that a machine does to the world.
//!
//! The driver performs the effects of one copy in the order in which they are given. It may end at any
//! moment: what the log has not made durable may then be lost, what was sent may arrive or not.

use std::sync::Arc;

use gleaner_model::{
    CopyId, Entry, HistoryId, Incarnation, NodeUuid, PrimaryTerm, Revision, SeqNo,
};

use crate::change::Change;
use crate::message::{Batch, FromFollower, FromPrimary};

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Raise the log's fence, durably; then [`Event::Fenced`](crate::Event::Fenced).
    Fence {
        /// The term.
        term: PrimaryTerm,
    },
    /// Append a primary's batches to the log, under the fence; then [`Event::Durable`](crate::Event::Durable).
    Append {
        /// The batches.
        batches: Vec<Batch>,
    },
    /// Cut the log, durably; then [`Event::Truncated`](crate::Event::Truncated).
    Truncate {
        /// The first position that goes.
        from: SeqNo,
    },
    /// Replace this copy by files of the primary, whose log does not reach back far enough; then
    /// [`Event::Installed`](crate::Event::Installed).
    CopyFiles {
        /// The primary.
        from: CopyId,
    },
    /// The entry names another history than that of the records here: close the copy. Whoever opens it again sees to them by
    /// [`HeldRecords`](crate::HeldRecords).
    OtherHistory,
    /// Open a stream to the leaf of this copy, and keep it open in place of any other for this shard.
    Follow {
        /// The primary.
        primary: CopyId,
    },
    /// Send a message to the primary that is followed.
    ToPrimary {
        /// The primary.
        to: CopyId,
        /// The message.
        message: FromFollower,
    },
    /// Send a message to a follower.
    ToFollower {
        /// The follower.
        to: CopyId,
        /// The message.
        message: FromPrimary,
    },
    /// Read whole batches from the log and send them as [`FromPrimary::Batches`], in order with other
    /// messages to that follower.
    Stream {
        /// The follower.
        to: CopyId,
        /// The history of this copy.
        history: HistoryId,
        /// The primary's term.
        term: PrimaryTerm,
        /// The first position to send.
        from: SeqNo,
        /// Position after the last to send.
        until: SeqNo,
        /// Everything below is agreed.
        agreed: SeqNo,
    },
    /// Make a change; then [`Event::Answer`](crate::Event::Answer).
    Propose(Proposal),
    /// All records below are agreed: apply them; on the primary, acknowledge them.
    Agreed {
        /// Position after the last of them.
        to: SeqNo,
    },
    /// This copy is primary: rebuild what a primary needs, append a refresh record, take writes.
    Lead {
        /// Its term.
        term: PrimaryTerm,
        /// The term start.
        start: SeqNo,
    },
    /// This copy is primary no longer: writes that wait end with an unknown outcome, those that are held
    /// back with the new entry.
    StepDown,
    /// Searches everywhere that are not flagged see all records below.
    Refreshed {
        /// Position after the last of them.
        position: SeqNo,
    },
    /// Something that people should know.
    Report(Report),
}

/// A change that a copy wants made by one transaction.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Proposal {
    /// Tells this proposal from all others of the process, so that each answer meets its own.
    pub number: u64,
    /// The change.
    pub change: Change,
    /// The revision that the entry must still have.
    pub expected: Revision,
    /// The entry after the change.
    pub entry: Arc<Entry>,
    /// What else must hold in the transaction.
    pub guard: Option<Guard>,
}

/// What the transaction of a take-over compares beside the entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Guard {
    /// The node whose `alive` key must be absent.
    pub absent: NodeUuid,
    /// The node whose `alive` key must hold `incarnation`.
    pub node: NodeUuid,
    /// The process that asks.
    pub incarnation: Incarnation,
}

/// What people should know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Report {
    /// The entry is older than one seen before: was a backup of the store restored? It is not followed.
    OldEntry {
        /// The greatest version seen.
        seen: u64,
        /// The version of this one.
        version: u64,
    },
    /// The primary's log lacks records that are agreed on this copy, which keeps them and does not follow.
    PrimaryLacksAgreed {
        /// Everything below is agreed here.
        agreed: SeqNo,
    },
    /// This primary's log lacks records that a follower knows to be agreed: its disk has lost them. It
    /// resigns.
    LacksAgreed {
        /// The follower.
        follower: CopyId,
        /// Everything below is agreed there.
        agreed: SeqNo,
    },
    /// The primary sent records that do not follow the log's end. The driver closes the stream.
    BadBatches {
        /// Where the log ends.
        end: SeqNo,
    },
}
