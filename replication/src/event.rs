//! What happens to a copy, and what it wants done: the whole border of the machines.
//!
//! The driver performs the effects of one copy in the order in which they are given, and reports what
//! became of each as an event, in the same order for the log. It may end at any moment: what the log has
//! not made durable may then be lost, what was sent may arrive or not.

use std::sync::Arc;

use gleaner_model::{CopyId, Entry, Incarnation, NodeUuid, PrimaryTerm, Revision, SeqNo};

use crate::change::Change;
use crate::message::{Batch, FromFollower, FromPrimary};
use crate::terms::TermTable;

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// The entry as it is, or was a short while ago, in the store.
    Entry {
        /// The entry.
        entry: Arc<Entry>,
        /// Its revision.
        revision: Revision,
    },
    /// The entry is gone: the shard was deleted.
    EntryGone,
    /// Whether the store has a node's `alive` key.
    Alive {
        /// The node.
        node: NodeUuid,
        /// Whether the key is there.
        is_alive: bool,
    },
    /// What became of a [`Effect::Propose`].
    Answer(Answer),
    /// A stream to the primary that [`Effect::Follow`] named is open.
    Connected {
        /// The primary.
        peer: CopyId,
    },
    /// The stream with this copy has ended, whichever side had opened it.
    Disconnected {
        /// The copy at its other end.
        peer: CopyId,
    },
    /// A follower's message.
    FromFollower {
        /// The follower.
        from: CopyId,
        /// What it says.
        message: FromFollower,
    },
    /// A primary's message.
    FromPrimary {
        /// The primary.
        from: CopyId,
        /// What it says.
        message: FromPrimary,
    },
    /// A fence is durable; so is everything that was appended before.
    Fenced {
        /// The term.
        term: PrimaryTerm,
    },
    /// The primary has ordered records under its term; they are queued in its log, not durable yet. Only
    /// while [`ShardCopy::may_order`](crate::ShardCopy::may_order).
    Appended {
        /// Position after the last of them.
        next: SeqNo,
    },
    /// Records are durable.
    Durable {
        /// Position after the last of them.
        end: SeqNo,
    },
    /// The log was cut as [`Effect::Truncate`] said, durably.
    Truncated,
    /// Files of the primary are installed as [`Effect::CopyFiles`] or [`Effect::StartOver`] said, and the
    /// log begins where they end.
    Installed {
        /// The log's table.
        terms: TermTable,
        /// Everything below is agreed.
        agreed: SeqNo,
    },
    /// Searches on this copy see all records below; the first time says that it has recovered.
    Shown {
        /// Position after the last visible record.
        visible: SeqNo,
    },
    /// The log cannot make anything durable any more.
    LogFailed,
    /// The primary shall hand over to another member of the in-sync set.
    HandOver {
        /// The member.
        to: CopyId,
    },
    /// A refresh waits until all records below are visible everywhere.
    Refresh {
        /// Position after the refresh record.
        position: SeqNo,
    },
    /// The driver is about to send a beat on the stream with a follower.
    BeatDue {
        /// The follower.
        peer: CopyId,
        /// The beat's number on that stream.
        number: u64,
    },
    /// Time has passed. Patience is as exact as the distance of two ticks.
    Tick,
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

/// The answer to a proposal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Answer {
    /// What was proposed, as it was given out.
    pub proposal: Proposal,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a proposal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It is made.
    Made {
        /// The revision of the new entry.
        revision: Revision,
    },
    /// It was not made: here is the entry as it was then.
    Refused {
        /// The entry in force.
        entry: Arc<Entry>,
        /// Its revision.
        revision: Revision,
    },
    /// No answer came in time: it may have been made, or may still be.
    Unknown,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Raise the log's fence, durably; then [`Event::Fenced`].
    Fence {
        /// The term.
        term: PrimaryTerm,
    },
    /// Append a primary's batches to the log, under the fence; then [`Event::Durable`].
    Append {
        /// The batches.
        batches: Vec<Batch>,
    },
    /// Cut the log, durably; then [`Event::Truncated`].
    Truncate {
        /// The first position that goes.
        from: SeqNo,
    },
    /// Replace this copy by files of the primary, whose log does not reach back far enough; then
    /// [`Event::Installed`].
    CopyFiles {
        /// The primary.
        from: CopyId,
    },
    /// As [`Effect::CopyFiles`], because an operator forced a term that lacks what is agreed here.
    StartOver {
        /// The primary.
        from: CopyId,
    },
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
        /// The primary's term.
        term: PrimaryTerm,
        /// The first position to send.
        from: SeqNo,
        /// Position after the last to send.
        until: SeqNo,
        /// Everything below is agreed.
        agreed: SeqNo,
    },
    /// Make a change; then [`Event::Answer`].
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
