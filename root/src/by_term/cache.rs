//! Posting lists of hot terms. A list of a generation never changes, so nothing is ever stale here:
//! what a shard shows now is found out elsewhere.

use std::sync::Arc;

use gleaner_model::{FieldPath, Generation, ShardKey};
use moka::sync::Cache;

use super::lists::TermList;

/// Which list.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) shard: ShardKey,
    pub(super) generation: Generation,
    pub(super) field: FieldPath,
    pub(super) term: String,
    /// Whether it has frequencies and lengths.
    pub(super) is_weighted: bool,
}

/// Bytes of an entry beside the list itself, roughly.
const OVERHEAD: u64 = 256;

/// Lists by shard, generation, field and term, within a bound of bytes.
pub(super) struct TermLists(Cache<Key, Arc<TermList>>);

impl TermLists {
    /// Holds at most `max_bytes`, 0 to hold nothing.
    pub(super) fn new(max_bytes: u64) -> Self {
        let weigh = |key: &Key, list: &Arc<TermList>| {
            let texts = key.term.len() + key.field.as_str().len();
            let bytes = list.list.num_bytes() + texts as u64 + OVERHEAD;
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        Self(
            Cache::builder()
                .max_capacity(max_bytes)
                .weigher(weigh)
                .build(),
        )
    }

    /// Returns the list, or one with more beside it than is asked for.
    pub(super) fn find(&self, key: &Key) -> Option<Arc<TermList>> {
        if let Some(list) = self.0.get(key) {
            return Some(list);
        }
        if key.is_weighted {
            return None;
        }
        self.0.get(&Key {
            is_weighted: true,
            ..key.clone()
        })
    }

    pub(super) fn keep(&self, key: Key, list: Arc<TermList>) {
        self.0.insert(key, list);
    }
}
