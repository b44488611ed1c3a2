//! Roaring bitmaps of what filters match, per segment, under one budget of bytes.
//!
//! A bitmap holds live and deleted documents alike (deletes are applied outside), so it stays true
//! as long as its segment exists. Costly filters are kept at their first use, others from their second
//! on; cheap ones only where they are asked about single documents, and segments of few documents are left
//! out. Entries leave by least recent use.

mod bitmap_docset;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gleaner_partial::control::{Control, Stop};
use gleaner_query::resolved::Clause;
use moka::sync::Cache;
use roaring::RoaringBitmap;
use tantivy::index::SegmentId;
use tantivy::{DocSet, TERMINATED};
use twox_hash::XxHash3_64;

pub use bitmap_docset::BitmapDocSet;
pub(crate) use bitmap_docset::BitmapScorer;

use crate::EngineError;

/// Documents between two looks at the clock while a bitmap is built.
const DOCUMENTS_PER_CHECK: usize = 4_096;
/// Filters whose first use is remembered.
const FIRST_USES_KEPT: u64 = 16_384;
/// Bytes of an entry beside its bitmap's containers: key, pointers, table.
const ENTRY_OVERHEAD_BYTES: u64 = 192;

/// How much is kept, and from which size on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilterCacheOptions {
    /// Bytes of all bitmaps together; default 64 MiB. 0 keeps nothing.
    pub budget_bytes: u64,
    /// Documents of the smallest segment that is cached; default 4,096, below which evaluating a
    /// filter costs less than finding its bitmap.
    pub min_segment_documents: u32,
}

impl Default for FilterCacheOptions {
    fn default() -> Self {
        Self {
            budget_bytes: 64 << 20,
            min_segment_documents: 4_096,
        }
    }
}

/// What a filter matches is looked up by segment and by the filter's fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FilterKey {
    /// The segment; unique across shards.
    pub segment: SegmentId,
    /// [`fingerprint`] of the filter.
    pub filter: u128,
}

/// Counts since the cache was made, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FilterCacheStats {
    /// Look-ups that found a bitmap.
    pub hits: u64,
    /// Look-ups that did not.
    pub misses: u64,
    /// Bitmaps held now.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The cache; one per node, shared by all shards.
pub struct FilterCache {
    /// `None` keeps nothing.
    kept: Option<Kept>,
    min_segment_documents: u32,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// Bitmaps, and filters that were used once. To make both costs some ten microseconds: too much for each request.
struct Kept {
    bitmaps: Cache<FilterKey, Arc<RoaringBitmap>>,
    first_uses: Cache<FilterKey, ()>,
}

impl FilterCache {
    /// Returns an empty cache.
    pub fn new(options: FilterCacheOptions) -> Self {
        let kept = (options.budget_bytes > 0).then(|| Kept {
            bitmaps: Cache::builder()
                .max_capacity(options.budget_bytes)
                .weigher(|_, bitmap: &Arc<RoaringBitmap>| weight_of(bitmap))
                .build(),
            first_uses: Cache::new(FIRST_USES_KEPT),
        });
        Self {
            kept,
            min_segment_documents: options.min_segment_documents,
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// Returns a cache that keeps nothing, for queries about a few documents.
    pub(crate) fn none() -> Arc<Self> {
        Arc::new(Self::new(FilterCacheOptions {
            budget_bytes: 0,
            ..FilterCacheOptions::default()
        }))
    }

    /// Returns whether filters on a segment of `max_doc` documents are kept.
    pub fn admits(&self, max_doc: u32) -> bool {
        self.kept.is_some() && max_doc >= self.min_segment_documents
    }

    /// Returns the bitmap of `key`.
    pub fn get(&self, key: &FilterKey) -> Option<Arc<RoaringBitmap>> {
        let found = self.kept.as_ref().and_then(|kept| kept.bitmaps.get(key));
        let counter = if found.is_some() {
            &self.hits
        } else {
            &self.misses
        };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// Returns whether `key` was asked for before, and remembers that it was asked for now.
    pub fn is_second_use(&self, key: &FilterKey) -> bool {
        let Some(kept) = &self.kept else {
            return false;
        };
        let is_known = kept.first_uses.contains_key(key);
        kept.first_uses.insert(*key, ());
        is_known
    }

    /// Keeps the bitmap of `key`.
    pub fn insert(&self, key: FilterKey, bitmap: Arc<RoaringBitmap>) {
        if let Some(kept) = &self.kept {
            kept.bitmaps.insert(key, bitmap);
        }
    }

    /// Forgets all bitmaps: some were made of bytes that are not what was written.
    pub fn clear(&self) {
        if let Some(kept) = &self.kept {
            kept.bitmaps.invalidate_all();
        }
    }

    /// Returns the counters.
    pub fn stats(&self) -> FilterCacheStats {
        let bitmaps = self.kept.as_ref().map(|kept| &kept.bitmaps);
        if let Some(bitmaps) = bitmaps {
            bitmaps.run_pending_tasks();
        }
        FilterCacheStats {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            entries: bitmaps.map_or(0, Cache::entry_count),
            bytes: bitmaps.map_or(0, Cache::weighted_size),
        }
    }
}

/// Returns the fingerprint of a filter: equal filters have equal ones, and for others to collide
/// both halves of 64 bits would have to.
///
/// # Errors
/// When the clause cannot be encoded.
pub fn fingerprint(clause: &Clause) -> Result<u128, EngineError> {
    let bytes = postcard::to_stdvec(clause)
        .map_err(|error| EngineError::internal(format!("a filter has no encoding: {error}")))?;
    let half = |seed| u128::from(XxHash3_64::oneshot_with_seed(seed, &bytes));
    Ok(half(1) << 64 | half(2))
}

/// Collects what is left of `docset`.
///
/// # Errors
/// When `control` stops it; checked every 4,096 documents.
pub fn collect_bitmap<D: DocSet + ?Sized>(
    docset: &mut D,
    control: &Control,
) -> Result<RoaringBitmap, Stop> {
    let mut bitmap = RoaringBitmap::new();
    let mut block = Vec::with_capacity(DOCUMENTS_PER_CHECK);
    let mut doc = docset.doc();
    while doc != TERMINATED {
        control.check()?;
        block.clear();
        while doc != TERMINATED && block.len() < DOCUMENTS_PER_CHECK {
            block.push(doc);
            doc = docset.advance();
        }
        bitmap
            .append(block.iter().copied())
            .expect("a docset's documents ascend");
    }
    // Scorers that were called off, or cut short, end early.
    control.check_whole()?;
    bitmap.optimize();
    Ok(bitmap)
}

/// Bytes of a bitmap: its serialised size is within a few bytes per container of its heap use.
fn weight_of(bitmap: &RoaringBitmap) -> u32 {
    let bytes = bitmap.serialized_size() as u64 + ENTRY_OVERHEAD_BYTES;
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use tantivy::query::EmptyScorer;

    use super::*;

    fn key(filter: u128) -> FilterKey {
        FilterKey {
            segment: SegmentId::generate_random(),
            filter,
        }
    }

    #[test]
    fn what_is_kept_stays_within_the_budget() {
        let options = FilterCacheOptions {
            budget_bytes: 40_000,
            ..Default::default()
        };
        let cache = FilterCache::new(options);
        for filter in 0..100 {
            let bitmap: RoaringBitmap = (0..2_000).map(|doc| doc * 3).collect();
            cache.insert(key(filter), Arc::new(bitmap));
        }
        let stats = cache.stats();
        assert!(stats.bytes <= 40_000 && stats.entries > 2, "{stats:?}");
    }

    #[test]
    fn hits_and_misses_are_counted_and_second_uses_known() {
        let cache = FilterCache::new(FilterCacheOptions::default());
        let wanted = key(7);
        assert!(cache.get(&wanted).is_none());
        assert!(!cache.is_second_use(&wanted));
        assert!(cache.is_second_use(&wanted));
        cache.insert(wanted, Arc::new(RoaringBitmap::from([1, 5])));
        assert_eq!(cache.get(&wanted).unwrap().len(), 2);
        assert_eq!((cache.stats().hits, cache.stats().misses), (1, 1));
    }

    #[test]
    fn small_segments_and_an_empty_budget_are_not_cached() {
        let cache = FilterCache::new(FilterCacheOptions::default());
        assert!(cache.admits(4_096) && !cache.admits(4_095));
        let none = FilterCache::none();
        assert!(!none.admits(1 << 20));
        let (key, bitmap) = (key(7), RoaringBitmap::from([1]));
        none.insert(key, Arc::new(bitmap));
        assert!(none.get(&key).is_none());
        assert!(!none.is_second_use(&key) && !none.is_second_use(&key));
        assert_eq!((none.stats().entries, none.stats().bytes), (0, 0));
    }

    #[test]
    fn no_bitmap_is_made_of_a_scorer_that_ended_early() {
        let control = Control::unlimited();
        let none = collect_bitmap(&mut EmptyScorer, &control);
        assert_eq!(none.expect("nothing is an answer").len(), 0);
        control.cancel();
        let cut_short = collect_bitmap(&mut EmptyScorer, &control);
        assert_eq!(cut_short, Err(Stop::Cancelled));
        let late = Control::unlimited();
        late.cut_short();
        let cut_short = collect_bitmap(&mut EmptyScorer, &late);
        assert_eq!(cut_short, Err(Stop::Deadline));
    }

    #[test]
    fn building_a_bitmap_stops_when_cancelled() {
        let control = Control::unlimited();
        control.cancel();
        let mut docset = BitmapDocSet::new(Arc::new((0..10_000).collect()));
        assert_eq!(collect_bitmap(&mut docset, &control), Err(Stop::Cancelled));
    }
}
