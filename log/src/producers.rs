//! The last append of each recent producer: a bounded memory of what must not be applied twice.

use std::collections::{BTreeMap, HashMap};

use gleaner_model::SeqNo;

use crate::shard_log::Appended;

/// The last append of one producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// The producer's number for it.
    pub(crate) sequence: u64,
    /// First position it was given.
    pub(crate) first: u64,
    /// Last position it was given.
    pub(crate) last: u64,
}

impl Span {
    /// The answer to the same append sent again.
    pub(crate) fn appended(self) -> Appended {
        Appended {
            first: SeqNo(self.first),
            last: SeqNo(self.last),
            duplicate: true,
        }
    }
}

/// Producers by id, and by their last position so that the one silent longest goes first.
#[derive(Debug)]
pub(crate) struct Producers {
    capacity: usize,
    by_id: HashMap<u128, Span>,
    by_last: BTreeMap<u64, u128>,
}

impl Producers {
    /// Remembers up to `capacity` producers after each [`Producers::evict`].
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            by_id: HashMap::new(),
            by_last: BTreeMap::new(),
        }
    }

    /// Returns the last append of a producer.
    pub(crate) fn get(&self, id: u128) -> Option<Span> {
        self.by_id.get(&id).copied()
    }

    /// Replaces the last append of a producer; returns the one before.
    pub(crate) fn insert(&mut self, id: u128, span: Span) -> Option<Span> {
        let before = self.by_id.insert(id, span);
        if let Some(before) = before {
            self.by_last.remove(&before.last);
        }
        self.by_last.insert(span.last, id);
        before
    }

    /// Undoes an insert.
    pub(crate) fn restore(&mut self, id: u128, before: Option<Span>) {
        if let Some(span) = self.by_id.remove(&id) {
            self.by_last.remove(&span.last);
        }
        if let Some(before) = before {
            self.insert(id, before);
        }
    }

    /// Forgets the producers silent longest until the memory is within bounds.
    pub(crate) fn evict(&mut self) {
        while self.by_id.len() > self.capacity {
            let Some((_, id)) = self.by_last.pop_first() else {
                break;
            };
            self.by_id.remove(&id);
        }
    }
}
