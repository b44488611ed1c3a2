//! The answers that are kept, within a bound of memory.
//!
//! The key has no edition in it: a new answer takes the place of the old one, and the policy of what stays (TinyLFU)
//! remembers how often a request comes, whatever changes meanwhile.

use std::sync::Arc;

use gleaner_model::{AnswerKey, metric};
use http::StatusCode;
use metrics::{Counter, Gauge};
use moka::notification::RemovalCause;

use crate::entry::{Answer, Entry};
use crate::overflow::Falling;

/// The largest entry is at most this part of all.
const SHARE_OF_ENTRY: u64 = 64;

/// Returns the bytes of the largest answer that is kept.
pub(crate) fn most_bytes(memory_bytes: u64, entry_bytes: u64) -> u64 {
    entry_bytes.min(memory_bytes / SHARE_OF_ENTRY)
}

/// Answers by what was asked.
pub(crate) struct Store {
    entries: moka::sync::Cache<AnswerKey, Arc<Entry>>,
    most_bytes: u64,
    hits: Counter,
    misses: Counter,
    bytes: Gauge,
}

impl Store {
    /// Returns an empty store of `memory_bytes`, for answers of `most_bytes` at most.
    /// What falls out for want of room is given to `falling`.
    pub(crate) fn new(memory_bytes: u64, most_bytes: u64, falling: Option<Falling>) -> Self {
        let evictions = metrics::counter!(metric::CACHE_EVICTIONS.name);
        let bytes = metrics::gauge!(metric::CACHE_BYTES.name);
        let removed = {
            let bytes = bytes.clone();
            move |key: Arc<AnswerKey>, entry: Arc<Entry>, cause: RemovalCause| {
                bytes.decrement(weight(&entry));
                if cause == RemovalCause::Size {
                    evictions.increment(1);
                    if let Some(falling) = &falling {
                        falling.take(*key, &entry);
                    }
                }
            }
        };
        let entries = moka::sync::Cache::builder()
            .max_capacity(memory_bytes)
            .weigher(|_, entry: &Arc<Entry>| weight(entry))
            .eviction_listener(removed)
            .build();
        Self {
            entries,
            most_bytes,
            hits: metrics::counter!(metric::CACHE_HITS.name),
            misses: metrics::counter!(metric::CACHE_MISSES.name),
            bytes,
        }
    }

    /// Returns the answer to `key`, of whichever edition.
    pub(crate) fn get(&self, key: &AnswerKey) -> Option<Arc<Entry>> {
        self.entries.get(key)
    }

    /// Returns whether an answer is one that is kept, by its status and size.
    pub(crate) fn takes(&self, answer: &Answer) -> bool {
        answer.status == StatusCode::OK && answer.body.len() as u64 <= self.most_bytes
    }

    /// Keeps an answer, in place of an older one.
    pub(crate) fn put(&self, key: AnswerKey, entry: Arc<Entry>) {
        self.bytes.increment(weight(&entry));
        self.entries.insert(key, entry);
    }

    /// Counts a request that was not evaluated.
    pub(crate) fn note_hit(&self) {
        self.hits.increment(1);
    }

    /// Counts a request that was evaluated.
    pub(crate) fn note_miss(&self) {
        self.misses.increment(1);
    }
}

fn weight(entry: &Entry) -> u32 {
    u32::try_from(entry.num_bytes()).unwrap_or(u32::MAX)
}
