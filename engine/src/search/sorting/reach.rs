//! Segments that no hit can come from, by the values that their documents are sorted by.
//!
//! Segments are searched in the order of the best first key that any of their documents can have: those of a data stream newest
//! first. What they find is shared: once there are as many hits as are wanted, a segment whose best key comes behind the last of
//! them is not looked at. Equal keys are: the keys behind the first, or the hash of the id, decide between them.
//!
//! Does not: leave out hits that are put together by a value, of which several segments may have the same.

use std::cmp::Ordering;

use gleaner_query::answer::SortValue;
use gleaner_query::order::compare_key;
use gleaner_query::resolved::ShardQuery;
use gleaner_query::search::SortTarget;
use parking_lot::Mutex;

use super::{KeyReader, SortedHit};
use crate::score::top::Heap;
use crate::search::{SearchEnv, Target};
use crate::view::SegmentView;

/// The first keys of the best hits that all segments together have found.
pub(super) struct Reach {
    best: Mutex<Heap<SortValue>>,
}

impl Reach {
    /// Returns that of a search for `wanted` hits, none of which is found.
    pub(super) fn new(wanted: usize) -> Self {
        Self {
            best: Mutex::new(Heap::new(wanted)),
        }
    }

    /// Takes the hits of a segment into account.
    pub(super) fn rise(&self, query: &ShardQuery, hits: &[SortedHit]) {
        let (None, Some(key)) = (&query.collapse, query.sort.first()) else {
            return;
        };
        let mut best = self.best.lock();
        for first in hits.iter().filter_map(|hit| hit.keys.first()) {
            best.offer(first.clone(), |a, b| compare_key(key, a, b));
        }
    }

    /// Returns whether no document whose first key is `key` or comes behind it is among the best.
    pub(super) fn excludes(&self, query: &ShardQuery, key: &SortValue) -> bool {
        let best = self.best.lock();
        let both = query.sort.first().zip(best.worst());
        both.is_some_and(|(sorted_by, worst)| {
            compare_key(sorted_by, key, worst) == Ordering::Greater
        })
    }
}

/// Returns a first key that no document of the segment has a better one than; `None` where that takes more than a look at its
/// extremes.
pub(in crate::search) fn best_key(
    query: &ShardQuery,
    target: &Target,
    segment: &SegmentView,
    env: &SearchEnv<'_>,
) -> Option<SortValue> {
    let key = query.sort.first().filter(|_| query.collapse.is_none())?;
    // To open these takes more than that.
    if matches!(key.target, SortTarget::Score | SortTarget::Distance(_)) {
        return None;
    }
    // The search of the segment meets the same error, and reports it.
    let reader = KeyReader::open(key, &target.view, target.key, segment, env.memory).ok()?;
    reader.best().ok()?
}
