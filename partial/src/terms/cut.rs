//! Cutting a shard's complete list to its largest counts.

use std::cmp::Reverse;

use gleaner_query::aggregation::{BucketOrder, TermsAggregation, TermsFilter};

/// Which keys of a list stay, asked key by key, and what is known of the others.
#[derive(Debug)]
pub struct Cut {
    /// The least count that stays.
    floor: u64,
    /// How many with that count may stay yet.
    room: usize,
    /// Documents of the keys that were dropped.
    pub unlisted: u64,
    /// Most documents that one of them has.
    pub bound: u64,
}

impl Cut {
    /// Returns what keeps the `wanted` largest of `counts`; `None` where all stay.
    pub fn of(counts: impl Iterator<Item = u64>, wanted: usize) -> Option<Self> {
        let mut counts: Vec<u64> = counts.collect();
        if wanted == 0 || counts.len() <= wanted {
            return None;
        }
        let (_, last, _) = counts.select_nth_unstable_by_key(wanted - 1, |count| Reverse(*count));
        let floor = *last;
        let num_larger = counts.iter().filter(|count| **count > floor).count();
        Some(Self {
            floor,
            room: wanted - num_larger,
            unlisted: 0,
            bound: 0,
        })
    }

    /// Returns whether the next key stays, which has `count` documents; they come in their order. Of those with the last count the
    /// smallest stay; the bound covers the others.
    pub fn keeps(&mut self, count: u64) -> bool {
        let fills = count == self.floor && self.room > 0;
        self.room -= usize::from(fills);
        let keeps = count > self.floor || fills;
        if !keeps {
            self.unlisted += count;
            self.bound = self.bound.max(count);
        }
        keeps
    }
}

/// Returns the keys of a shard's list to which one that is longer than `limit` is cut; `None` where the order or the
/// filter of the request allow no such cut.
pub fn num_largest(request: &TermsAggregation, limit: usize) -> Option<LongList> {
    if matches!(request.include, Some(TermsFilter::Values(_))) {
        return None;
    }
    let wanted = super::shard_size(request);
    let is_by_count = matches!(
        request.order.first(),
        None | Some((BucketOrder::Count, true))
    );
    is_by_count.then_some(LongList {
        wanted,
        longest: limit.max(wanted),
    })
}

/// How long a list may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LongList {
    /// Keys that are kept of a longer one.
    pub wanted: usize,
    /// Keys of the longest that stays whole.
    pub longest: usize,
}
