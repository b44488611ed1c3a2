//! What is before a log's first record: what a log that begins in the middle must know of the rest.

use gleaner_model::{PrimaryTerm, SeqNo};

/// What is known of the records before a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogBase {
    /// The term of the last of them, 0 where there is none; `None` where it is not known.
    pub term: Option<PrimaryTerm>,
    /// Hash over all of them, as [`crate::ShardLog::chain`] gives it; 0 where that is not known. The hashes of two
    /// logs can be compared when both began with the same one.
    pub chain: u64,
    /// The last append of each producer that is remembered, by ascending position.
    pub producers: Vec<ProducerSpan>,
}

impl LogBase {
    /// Nothing was written before.
    pub const NOTHING: Self = Self {
        term: Some(PrimaryTerm(0)),
        chain: 0,
        producers: Vec::new(),
    };

    /// There are records before, of which nothing is known.
    pub const UNKNOWN: Self = Self {
        term: None,
        chain: 0,
        producers: Vec::new(),
    };
}

/// The last append of a producer, and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerSpan {
    /// The producer.
    pub id: u128,
    /// Its number for the append.
    pub sequence: u64,
    /// Position of the first record of the append.
    pub first: SeqNo,
    /// Position of the last one.
    pub last: SeqNo,
}

/// Where a log without records begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogStart {
    /// Position of its first record.
    pub at: SeqNo,
    /// The lowest term that may append; that of the record before where it is higher.
    pub fence: PrimaryTerm,
    /// What is known of the records before.
    pub base: LogBase,
}

impl LogStart {
    /// The beginning of a log of which nothing was written yet.
    pub const FIRST: Self = Self {
        at: SeqNo(0),
        fence: PrimaryTerm(0),
        base: LogBase::NOTHING,
    };
}
