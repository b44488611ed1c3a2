//! What copies of one shard say to each other on a stream between their leaves.
//!
//! A stream keeps order and loses nothing while it is open; after it has ended, the driver passes on
//! nothing more that came by it. Several shards share a stream, so the driver gathers messages of many
//! shards into one (`Have`, `Agreed`, `Beat`). Each message says under which term it was sent.

use std::sync::Arc;

use bytes::Bytes;
use gleaner_model::{Entry, HistoryId, PrimaryTerm, Revision, SeqNo};

use crate::terms::TermEnd;

/// A batch of records as it is in a log: whole, with the term of the primary that ordered it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Batch {
    /// Term of all its records.
    pub term: PrimaryTerm,
    /// Position of its first record.
    pub first: SeqNo,
    /// Position after its last record.
    pub next: SeqNo,
    /// The records with their producer; never looked into here.
    pub payload: Bytes,
}

/// From a follower to its primary.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FromFollower {
    /// The follower asks to follow. Its fence is that term, durably.
    Join(Join),
    /// All records below `end` are durable in the follower's log, and searches on it see those below
    /// `visible`.
    Have {
        /// The term followed.
        term: PrimaryTerm,
        /// Position after the last durable record.
        end: SeqNo,
        /// Position after the last visible record.
        visible: SeqNo,
    },
    /// The follower is about to end: nobody has to wait for it.
    Leave {
        /// The term followed.
        term: PrimaryTerm,
    },
    /// Answers a beat and gives the primary a read right.
    Beat(Beat),
}

/// A follower's log, as the primary has to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Join {
    /// The history that its records are of.
    pub history: HistoryId,
    /// The term adopted.
    pub term: PrimaryTerm,
    /// The greatest version of the entry that the follower has seen.
    pub version: u64,
    /// Position after its last durable record.
    pub end: SeqNo,
    /// Term of its last record; 0 where it has none.
    pub last_term: PrimaryTerm,
    /// Everything below is agreed.
    pub agreed: SeqNo,
    /// Term of the record before `agreed`; `None` where the log does not hold it.
    pub agreed_term: Option<PrimaryTerm>,
    /// Position after its last visible record.
    pub visible: SeqNo,
}

/// One beat of a stream, for one shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Beat {
    /// The term followed.
    pub term: PrimaryTerm,
    /// Number among the beats of the sender on this stream.
    pub number: u64,
    /// Number of the last beat that the sender has received on this stream.
    pub echo: Option<u64>,
    /// Whether the beat gives the receiver the right that its sender can give: a read right from a
    /// follower, a serving right from a primary.
    pub gives_right: bool,
}

/// From a primary to a follower.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FromPrimary {
    /// The follower's log is the beginning of the primary's; batches come from its end on.
    Accept {
        /// The primary's term.
        term: PrimaryTerm,
    },
    /// The logs part: cut, then join again.
    Diverged {
        /// The primary's term.
        term: PrimaryTerm,
        /// Up to where the primary agrees at most.
        at: TermEnd,
    },
    /// The primary's log does not reach back to the follower's end: copy files, then join again.
    Trimmed {
        /// The primary's term.
        term: PrimaryTerm,
        /// Position of the primary's first record.
        first: SeqNo,
    },
    /// The join is refused: the copy that was asked is no primary of that term or history, or the entry does
    /// not name the follower. Hints to look at the entry.
    Refused {
        /// Fence of the refusing copy.
        fence: PrimaryTerm,
        /// The greatest version of the entry that it has seen.
        version: u64,
    },
    /// Records that follow those sent before.
    Batches {
        /// The history that the records are of.
        history: HistoryId,
        /// The primary's term.
        term: PrimaryTerm,
        /// Everything below is agreed.
        agreed: SeqNo,
        /// Whole batches, in order.
        batches: Vec<Batch>,
    },
    /// More is agreed.
    Agreed {
        /// The primary's term.
        term: PrimaryTerm,
        /// Everything below is agreed.
        agreed: SeqNo,
        /// Records from here on must be kept: other copies may need them from this one.
        keep_from: SeqNo,
    },
    /// A beat; gives a serving right where it says so.
    Beat(Beat),
    /// The follower has been made primary.
    TakeOver {
        /// The entry that says so.
        entry: Arc<Entry>,
        /// Its revision.
        revision: Revision,
    },
}
