//! Documents that were read back lately, unpacked, under one budget of bytes.
//!
//! A segment's store packs documents into blocks: to read one is to unpack its block, which costs more than
//! to find it. What a document holds never changes as long as its segment exists, so an entry is
//! true until it leaves. Entries leave by use: one that is asked for again stays before many that are read
//! once (TinyLFU: Einziger, Friedman, Manes, ACM Transactions on Storage 13(4), 2017).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use gleaner_model::DocumentId;
use moka::sync::Cache;
use tantivy::DocId;
use tantivy::index::SegmentId;

/// Default of [`DocumentCache::new`]'s budget.
pub const DEFAULT_BUDGET_BYTES: u64 = 64 << 20;

/// Bytes of an entry beside id, routing and source: key, pointers, table.
const ENTRY_OVERHEAD_BYTES: usize = 192;

/// The part of the budget that one document may take.
const LARGEST_SHARE: u64 = 64;

/// A document's segment, which is unique across shards, and its number there.
pub(crate) type Key = (SegmentId, DocId);

/// What the store holds of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CachedDocument {
    pub(crate) id: DocumentId,
    pub(crate) routing: Option<String>,
    pub(crate) source: Bytes,
}

impl CachedDocument {
    fn num_bytes(&self) -> usize {
        let routing = self.routing.as_ref().map_or(0, String::len);
        self.id.as_str().len() + routing + self.source.len() + ENTRY_OVERHEAD_BYTES
    }
}

/// Counts since the cache was made, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DocumentCacheStats {
    /// Look-ups that found the document.
    pub hits: u64,
    /// Look-ups that did not.
    pub misses: u64,
    /// Bytes of the documents held now.
    pub bytes: u64,
}

/// The cache; one per node, shared by all shards.
pub struct DocumentCache {
    documents: Cache<Key, Arc<CachedDocument>>,
    budget_bytes: u64,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl std::fmt::Debug for DocumentCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let budget_bytes = self.budget_bytes;
        f.debug_struct("DocumentCache")
            .field("budget_bytes", &budget_bytes)
            .finish_non_exhaustive()
    }
}

impl Default for DocumentCache {
    fn default() -> Self {
        Self::new(DEFAULT_BUDGET_BYTES)
    }
}

impl DocumentCache {
    /// Returns an empty cache of `budget_bytes`; 0 keeps nothing.
    pub fn new(budget_bytes: u64) -> Self {
        let documents = Cache::builder()
            .max_capacity(budget_bytes)
            .weigher(|_, kept: &Arc<CachedDocument>| {
                kept.num_bytes().try_into().unwrap_or(u32::MAX)
            })
            .build();
        Self {
            documents,
            budget_bytes,
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Arc<CachedDocument>> {
        if self.budget_bytes == 0 {
            return None;
        }
        let found = self.documents.get(key);
        let counter = match found {
            Some(_) => &self.hits,
            None => &self.misses,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// Keeps a document, unless it would take too much of the room.
    pub(crate) fn insert(&self, key: Key, kept: &Arc<CachedDocument>) {
        if kept.num_bytes() as u64 <= self.budget_bytes / LARGEST_SHARE {
            self.documents.insert(key, Arc::clone(kept));
        }
    }

    /// Forgets all documents: some were made of bytes that are not what was written.
    pub fn clear(&self) {
        self.documents.invalidate_all();
    }

    /// Returns the counters.
    pub fn stats(&self) -> DocumentCacheStats {
        self.documents.run_pending_tasks();
        DocumentCacheStats {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            bytes: self.documents.weighted_size(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(num_bytes: usize) -> Arc<CachedDocument> {
        Arc::new(CachedDocument {
            id: DocumentId::parse("a").expect("an id"),
            routing: None,
            source: Bytes::from(vec![b' '; num_bytes]),
        })
    }

    #[test]
    fn what_is_kept_is_found_and_stays_within_its_budget() {
        let cache = DocumentCache::new(1 << 20);
        let segment = SegmentId::generate_random();
        for doc in 0..1_000 {
            cache.insert((segment, doc), &kept(4_000));
        }
        let stats = cache.stats();
        assert!(stats.bytes <= 1 << 20, "{stats:?}");
        assert!(stats.bytes > 1 << 19, "{stats:?}");
        let other = SegmentId::generate_random();
        assert_eq!(cache.get(&(other, 1)), None);
        let found = (0..1_000).filter(|doc| cache.get(&(segment, *doc)).is_some());
        assert!(found.count() > 100);
        assert!(cache.stats().hits > 100);
    }

    #[test]
    fn large_documents_are_not_kept_and_without_a_budget_none_is() {
        let segment = SegmentId::generate_random();
        let cache = DocumentCache::new(1 << 20);
        cache.insert((segment, 0), &kept(100_000));
        assert_eq!(cache.get(&(segment, 0)), None);
        let none = DocumentCache::new(0);
        none.insert((segment, 0), &kept(1));
        assert_eq!(none.get(&(segment, 0)), None);
        assert_eq!(none.stats(), DocumentCacheStats::default());
    }
}
