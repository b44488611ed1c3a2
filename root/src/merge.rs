//! Ranked lists of shards → one ranked list.

use std::cmp::Ordering;

use gleaner_model::ShardKey;
use gleaner_query::answer::{ShardHit, ShardHits};
use gleaner_query::order;
use gleaner_query::search::SortKey;

/// A hit of the merged list and where to fetch it.
#[derive(Debug, Clone)]
pub(crate) struct Ranked {
    /// Position of its index among the plans.
    pub(crate) plan: usize,
    pub(crate) shard: ShardKey,
    pub(crate) hit: ShardHit,
}

/// Returns hits `from..from + size` of all shards by (score or sort keys, tie-break,
/// index, shard).
///
/// `answers` holds (position of the plan, shard, its hits in order). Lists are as long as the
/// window at most, so sorting them all at once costs little more than a heap of heads.
pub(crate) fn top(
    answers: Vec<(usize, ShardKey, ShardHits)>,
    sort: &[SortKey],
    from: usize,
    size: usize,
) -> Vec<Ranked> {
    let mut ranked: Vec<Ranked> = Vec::new();
    for (plan, shard, answer) in answers {
        let ranked_of = |hit| Ranked { plan, shard, hit };
        ranked.extend(answer.hits.into_iter().map(ranked_of));
    }
    let wanted = from.saturating_add(size);
    if wanted < ranked.len() && wanted > 0 {
        ranked.select_nth_unstable_by(wanted - 1, |a, b| compare(a, b, sort));
        ranked.truncate(wanted);
    }
    ranked.sort_unstable_by(|a, b| compare(a, b, sort));
    ranked.into_iter().skip(from).take(size).collect()
}

fn compare(a: &Ranked, b: &Ranked, sort: &[SortKey]) -> Ordering {
    let by_order = if sort.is_empty() {
        let (a, b) = (a.hit.score.unwrap_or(0.0), b.hit.score.unwrap_or(0.0));
        b.total_cmp(&a)
    } else {
        order::compare_keys(sort, &a.hit.keys, &b.hit.keys)
    };
    by_order
        .then_with(|| a.hit.tie.cmp(&b.hit.tie))
        // Documents of one id in several indices: by index name, as the plans stand.
        .then_with(|| a.plan.cmp(&b.plan))
        .then_with(|| a.shard.cmp(&b.shard))
}

#[cfg(test)]
mod tests;
