//! What happens to a copy: all that a machine hears of the world.
//!
//! The driver reports what became of each [`Effect`](crate::Effect) as an event, in the order of the
//! effects where they are of the log.

use std::collections::BTreeSet;
use std::sync::Arc;

use gleaner_model::{CopyId, Entry, NodeUuid, PrimaryTerm, Revision, SeqNo};

use crate::effect::Proposal;
use crate::message::{FromFollower, FromPrimary};
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
    /// Whether roots call the node of this copy; they do where nothing else is said. A primary that none calls may be the one
    /// that cannot be reached: it takes nobody out whose node is alive.
    Called {
        /// Whether one has called lately.
        is_called: bool,
    },
    /// What became of a [`Effect::Propose`](crate::Effect::Propose).
    Answer(Answer),
    /// A stream to the primary that [`Effect::Follow`](crate::Effect::Follow) named is open.
    Connected {
        /// The primary.
        primary: CopyId,
    },
    /// The stream to this primary has ended. Not to be mixed up with one that the same copy has opened to
    /// this one as its follower, which may end at the same time.
    Disconnected {
        /// The primary.
        primary: CopyId,
    },
    /// The stream that this follower had opened has ended.
    FollowerGone {
        /// The follower.
        follower: CopyId,
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
    /// The log was cut as [`Effect::Truncate`](crate::Effect::Truncate) said, durably.
    Truncated,
    /// The log gave up its records below a position, all of which are agreed: who needs them is to copy files.
    Trimmed {
        /// Position of the first record that is left.
        first: SeqNo,
    },
    /// Files of the primary are installed, as [`Effect::CopyFiles`](crate::Effect::CopyFiles) said. The log begins where
    /// they end.
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
    /// These copies are to be removed from the entry: they get no serving right any more. A copy that is not named any
    /// longer gets it again.
    Withdraw {
        /// The copies.
        copies: BTreeSet<CopyId>,
    },
    /// A refresh waits until all records below are visible everywhere.
    Refresh {
        /// Position after the refresh record.
        position: SeqNo,
    },
    /// The driver is about to send a beat on the stream with a follower.
    BeatDue {
        /// The follower.
        follower: CopyId,
        /// The beat's number on that stream.
        number: u64,
    },
    /// Time has passed. Patience is as exact as the distance of two ticks.
    Tick,
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
    /// It was not made: here is the entry as it was then. Where that is gone, [`Event::EntryGone`] comes
    /// instead of an answer.
    Refused {
        /// The entry in force.
        entry: Arc<Entry>,
        /// Its revision.
        revision: Revision,
    },
    /// No answer came in time: it may have been made, or may still be.
    Unknown,
}
