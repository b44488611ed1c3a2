//! Whole batches: what one append put into a log, as it goes from the log of one copy to that of another.

use bytes::Bytes;
use gleaner_model::{PrimaryTerm, SeqNo};

use crate::error::LogError;
use crate::shard_log::{Appended, ProducerSequence};

/// A batch as it stands in a log: all of one append, never a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordBatch {
    /// Position of its first record.
    pub first: SeqNo,
    /// The term of the primary that ordered it.
    pub term: PrimaryTerm,
    /// Which append it is; `None` where its producer gave no sequence.
    pub producer: Option<ProducerSequence>,
    /// One payload per position from `first` on; at least one.
    pub payloads: Vec<Bytes>,
}

impl RecordBatch {
    /// Returns the position after its last record.
    pub fn next(&self) -> SeqNo {
        SeqNo(self.first.0.saturating_add(self.payloads.len() as u64))
    }

    /// Returns the bytes of all payloads together.
    pub fn payload_bytes(&self) -> usize {
        payload_bytes(&self.payloads)
    }

    /// Looks whether `held`, the page of a log from its position on, begins with it; returns where it stands.
    pub(crate) fn compare(&self, held: &BatchPage) -> Result<Appended, LogError> {
        let first = self.first;
        match held.batches.first() {
            Some(batch) if batch == self => Ok(Appended {
                first,
                last: SeqNo(self.next().0 - 1),
                duplicate: true,
            }),
            None if first < held.first_available => Err(LogError::Trimmed {
                first: held.first_available,
            }),
            _ => Err(LogError::Differs { first }),
        }
    }
}

/// Returns the bytes of all payloads together.
pub(crate) fn payload_bytes(payloads: &[Bytes]) -> usize {
    payloads.iter().map(Bytes::len).sum()
}

/// A page of consecutive batches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchPage {
    /// Consecutive. The first one holds the asked position, and begins before it when that lies inside it. Empty at
    /// the tail, and when that position was trimmed (then `first_available` is above it).
    pub batches: Vec<RecordBatch>,
    /// The oldest position still held; the position after the tail when nothing is held.
    pub first_available: SeqNo,
    /// Where the next page starts: ask for it to go on, also when `batches` is empty.
    pub next: SeqNo,
}

impl BatchPage {
    /// Returns the page of a shard that was never named.
    pub(crate) fn of_unknown_shard(from: SeqNo) -> Self {
        Self {
            batches: Vec::new(),
            first_available: SeqNo(0),
            next: from,
        }
    }

    /// Takes one more batch, unless the page has one and would grow beyond `max_bytes`; returns whether it did.
    pub(crate) fn take(&mut self, batch: RecordBatch, max_bytes: &mut usize) -> bool {
        let bytes = batch.payload_bytes();
        if !self.batches.is_empty() && bytes > *max_bytes {
            return false;
        }
        *max_bytes = max_bytes.saturating_sub(bytes);
        self.next = batch.next();
        self.batches.push(batch);
        true
    }
}
