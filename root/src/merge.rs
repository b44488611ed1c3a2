//! RankedHit lists of shards → one ranked list, while they come.

use std::cmp::Ordering;
use std::time::Duration;

use gleaner_model::ShardKey;
use gleaner_query::answer::{Explanation, ShardHit};
use gleaner_query::order::{self, keep_first_of_groups};
use gleaner_query::search::{SearchRequest, SortKey};
use tokio::time::Instant;

/// A hit of the merged list and where to fetch it.
#[derive(Debug, Clone)]
pub(crate) struct RankedHit {
    /// Position of its index among the plans.
    pub(crate) plan: usize,
    pub(crate) shard: ShardKey,
    pub(crate) hit: ShardHit,
    /// How its score came about, where it was scored anew.
    pub(crate) rescored: Option<Explanation>,
}

/// The best hits of the lists that have come, by (score or sort keys, tie-break, index, shard): an
/// order of all hits, so it does not matter in which order lists come.
///
/// A list is merged from where its first hit belongs to where the wanted hits are full. One that is
/// behind them costs one comparison, and no list is held for the others: the work of a wide scatter is
/// done while its stragglers are waited for.
pub(crate) struct HitMerger<'a> {
    sort: &'a [SortKey],
    wanted: usize,
    is_collapsed: bool,
    ranked: Vec<RankedHit>,
    began: Option<Instant>,
    took: Duration,
}

impl<'a> HitMerger<'a> {
    /// Returns none yet of the hits that `request` wants.
    pub(crate) fn of(request: &'a SearchRequest) -> Self {
        Self {
            is_collapsed: request.collapse.is_some(),
            ..Self::new(&request.sort, request.num_ranked())
        }
    }

    /// Returns none yet of the best `wanted` hits.
    fn new(sort: &'a [SortKey], wanted: usize) -> Self {
        Self {
            sort,
            wanted,
            is_collapsed: false,
            ranked: Vec::new(),
            began: None,
            took: Duration::ZERO,
        }
    }

    /// Merges the hits of a shard, best first; `plan` is the position of its plan.
    pub(crate) fn take(&mut self, plan: usize, shard: ShardKey, hits: Vec<ShardHit>) {
        let now = Instant::now();
        debug_assert!(
            hits.is_sorted_by(|a, b| in_order(a, b, self.sort).is_le()),
            "a shard's hits are ranked"
        );
        let ranked = |hit| RankedHit {
            plan,
            shard,
            hit,
            rescored: None,
        };
        let ranked = hits.into_iter().map(ranked);
        match self.is_collapsed {
            false => self.merge(ranked),
            true => self.merge_groups(ranked),
        }
        self.began.get_or_insert(now);
        self.took += now.elapsed();
    }

    fn merge(&mut self, list: impl Iterator<Item = RankedHit>) {
        let (sort, wanted) = (self.sort, self.wanted);
        let mut list = list.take(wanted).peekable();
        let Some(head) = list.peek() else {
            return;
        };
        let is_before = |other: &RankedHit| compare(other, head, sort).is_lt();
        let start = self.ranked.partition_point(is_before);
        let mut behind = self.ranked.split_off(start).into_iter().peekable();
        while self.ranked.len() < wanted {
            let is_list_next = match (list.peek(), behind.peek()) {
                (Some(new), Some(old)) => compare(new, old, sort).is_lt(),
                (Some(_), None) => true,
                (None, _) => false,
            };
            let next = if is_list_next {
                list.next()
            } else {
                behind.next()
            };
            match next {
                Some(next) => self.ranked.push(next),
                None => break,
            }
        }
    }

    /// Merges hits of which each value keeps the best alone.
    fn merge_groups(&mut self, list: impl Iterator<Item = RankedHit>) {
        self.ranked.extend(list);
        self.ranked.sort_by(|a, b| compare(a, b, self.sort));
        keep_first_of_groups(&mut self.ranked, |ranked| ranked.hit.group.as_ref());
        self.ranked.truncate(self.wanted);
    }

    /// Returns when merging began, and how much time it took in all, waiting left out.
    pub(crate) fn time(&self) -> (Option<Instant>, Duration) {
        (self.began, self.took)
    }

    /// Returns the hits wanted, of all lists that came, the best first.
    pub(crate) fn into_ranked(self) -> Vec<RankedHit> {
        self.ranked
    }
}

/// Returns the hits of the page that `request` wants.
pub(crate) fn page_of(mut ranked: Vec<RankedHit>, request: &SearchRequest) -> Vec<RankedHit> {
    ranked.drain(..request.from.min(ranked.len()));
    ranked.truncate(request.size());
    ranked
}

/// Compares two hits as a shard ranks its own.
fn in_order(a: &ShardHit, b: &ShardHit, sort: &[SortKey]) -> Ordering {
    by_keys(a, b, sort).then_with(|| a.tie.cmp(&b.tie))
}

fn by_keys(a: &ShardHit, b: &ShardHit, sort: &[SortKey]) -> Ordering {
    if sort.is_empty() {
        let (a, b) = (a.score.unwrap_or(0.0), b.score.unwrap_or(0.0));
        return b.total_cmp(&a);
    }
    order::compare_keys(sort, &a.keys, &b.keys)
}

fn compare(a: &RankedHit, b: &RankedHit, sort: &[SortKey]) -> Ordering {
    // One id that was read and one that was not say nothing.
    let by_id = match (&a.hit.tie.id, &b.hit.tie.id) {
        (Some(one), Some(other)) => one.cmp(other),
        _ => Ordering::Equal,
    };
    by_keys(&a.hit, &b.hit, sort)
        .then_with(|| a.hit.tie.hash.cmp(&b.hit.tie.hash))
        .then(by_id)
        // Documents of one id in several indices: by index name, as the plans stand; in several
        // shards of an index, by their routing: by shard.
        .then_with(|| a.plan.cmp(&b.plan))
        .then_with(|| a.shard.cmp(&b.shard))
}

#[cfg(test)]
mod tests;
