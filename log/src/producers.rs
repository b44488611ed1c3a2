//! The last append of each recent producer: a bounded memory of what must not be applied twice.

use std::collections::{BTreeMap, HashMap};

use gleaner_model::SeqNo;

use crate::base::ProducerSpan;
use crate::shard_log::Appended;

impl ProducerSpan {
    /// The answer to the same append sent again.
    pub(crate) fn appended(self) -> Appended {
        Appended {
            first: self.first,
            last: self.last,
            duplicate: true,
        }
    }
}

/// Producers by id, and by their last position so that the one silent longest goes first.
#[derive(Debug, Clone)]
pub(crate) struct Producers {
    capacity: usize,
    by_id: HashMap<u128, ProducerSpan>,
    by_last: BTreeMap<SeqNo, u128>,
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
    pub(crate) fn get(&self, id: u128) -> Option<ProducerSpan> {
        self.by_id.get(&id).copied()
    }

    /// Replaces the last append of a producer; returns the one before.
    pub(crate) fn insert(&mut self, span: ProducerSpan) -> Option<ProducerSpan> {
        let before = self.by_id.insert(span.id, span);
        if let Some(before) = before {
            self.by_last.remove(&before.last);
        }
        self.by_last.insert(span.last, span.id);
        before
    }

    /// Undoes an insert.
    pub(crate) fn restore(&mut self, id: u128, before: Option<ProducerSpan>) {
        if let Some(span) = self.by_id.remove(&id) {
            self.by_last.remove(&span.last);
        }
        if let Some(before) = before {
            self.insert(before);
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

    /// Returns those whose last append is before `end`, the one silent longest first.
    pub(crate) fn before(&self, end: SeqNo) -> Vec<ProducerSpan> {
        let known = self.by_last.range(..end).map(|(_, id)| self.get(*id));
        known.flatten().collect()
    }
}
