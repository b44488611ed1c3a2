//! How much of what was asked an answer has seen, and whether that is enough.

use std::collections::BTreeSet;

use gleaner_model::{IndexUuid, ShardKey};
use gleaner_proto::LeafFault;
use gleaner_query::answer::ShardHits;

use super::prepared::SearchOptions;
use crate::RootError;
use crate::response::{Coverage, SearchResponse, ShardFailure, ShardSummary};

/// What the shards that answered hold.
#[derive(Debug, Default)]
pub(super) struct ShardsSeen(Vec<SeenShard>);

#[derive(Debug)]
struct SeenShard {
    shard: ShardKey,
    /// `None` where nobody has counted them.
    num_documents: Option<u64>,
    /// Whether the evaluation was cut short.
    is_cut: bool,
}

impl ShardsSeen {
    pub(super) fn add(&mut self, shard: ShardKey, hits: &ShardHits) {
        self.0.push(SeenShard {
            shard,
            num_documents: Some(hits.num_documents),
            is_cut: hits.timed_out,
        });
    }

    /// Notes shards that were cut short after they had been seen.
    pub(super) fn cut(&mut self, shards: &[ShardKey]) {
        for seen in &mut self.0 {
            seen.is_cut |= shards.contains(&seen.shard);
        }
    }

    /// Adds a shard in which nothing can match, for what it holds: it is as good as seen.
    pub(super) fn add_excluded(&mut self, shard: ShardKey, num_documents: Option<u64>) {
        self.0.push(SeenShard {
            shard,
            num_documents,
            is_cut: false,
        });
    }

    /// Returns the indices of the shards that answered.
    fn indices(&self) -> impl Iterator<Item = IndexUuid> {
        self.0.iter().map(|seen| seen.shard.index)
    }

    /// Returns what an answer covers in which the shards of `summary.failures` are missing; `known`
    /// tells how many documents a shard held when it was last seen.
    pub(super) fn coverage(
        &self,
        summary: &ShardSummary,
        known: impl Fn(ShardKey) -> Option<u64>,
    ) -> Coverage {
        let mut coverage = Coverage::default();
        let failures = &summary.failures;
        let is_missing = |shard| failures.iter().any(|failure| failure.shard == shard);
        for seen in &self.0 {
            if is_missing(seen.shard) {
                continue;
            }
            let (shards, documents) = match seen.is_cut {
                true => (&mut coverage.shards_cut, &mut coverage.documents_cut),
                false => (&mut coverage.shards_seen, &mut coverage.documents_seen),
            };
            *shards += 1;
            *documents += seen.num_documents.unwrap_or(0);
        }
        coverage.shards_missing = failures.len() as u32;
        let missing = |failure: &ShardFailure| {
            let mut seen = self.0.iter();
            let seen = seen.find(|seen| seen.shard == failure.shard);
            seen.map_or_else(|| known(failure.shard), |seen| seen.num_documents)
        };
        let missing: Option<u64> = failures.iter().map(missing).sum();
        let is_counted = self.0.iter().all(|seen| seen.num_documents.is_some());
        let answered = coverage.documents_seen + coverage.documents_cut;
        coverage.documents_total = missing
            .filter(|_| is_counted)
            .map(|missing| answered + missing);
        coverage
    }
}

/// Refuses an answer that covers too little; `seen` is what it covers.
pub(super) fn check(
    response: &SearchResponse,
    seen: &ShardsSeen,
    options: &SearchOptions,
    phase: &'static str,
) -> Result<(), RootError> {
    let failures = &response.shards.failures;
    let is_wrong = |failure: &ShardFailure| matches!(failure.fault, LeafFault::BadQuery { .. });
    // What one shard calls wrong is wrong for its index, and when it is wrong for all that were
    // searched, it is refused instead of answered in part.
    let wrong = failures.iter().filter(|failure| is_wrong(failure));
    let wrong: BTreeSet<IndexUuid> = wrong.map(|failure| failure.shard.index).collect();
    let is_refused = !wrong.is_empty() && seen.indices().all(|index| wrong.contains(&index));
    let is_late =
        |failure: &ShardFailure| matches!(failure.fault, LeafFault::DeadlinePassed { .. });
    // A search that ran out of time everywhere is answered as such: late, with nothing in it.
    let has_nothing =
        response.shards.successful == 0 && !failures.is_empty() && !failures.iter().all(is_late);
    if has_nothing || is_refused {
        return Err(RootError::AllShardsFailed {
            phase,
            failures: failures.clone(),
        });
    }
    if options.refuse_partial && !failures.is_empty() {
        return Err(RootError::PartialRefused {
            failures: failures.clone(),
        });
    }
    if options.refuse_stale && response.shards.stale > 0 {
        return Err(RootError::StaleRefused {
            stale: response.shards.stale,
            total: response.shards.total,
        });
    }
    let share = response.coverage.share();
    match options.min_coverage {
        Some(wanted) if share < wanted => Err(RootError::CoverageTooLow {
            wanted,
            share,
            failures: failures.clone(),
        }),
        _ => Ok(()),
    }
}

/// Refuses a page of a scroll that lacks shards, or was cut short.
pub(crate) fn check_page(page: &SearchResponse) -> Result<(), RootError> {
    check_complete(&page.shards.failures, page.timed_out)
}

/// Refuses to go on where shards failed. What is wrong for an index is wrong on every page: its shards
/// are none of those that the pages go through.
pub(super) fn check_complete<'a>(
    failures: impl IntoIterator<Item = &'a ShardFailure>,
    is_cut_short: bool,
) -> Result<(), RootError> {
    let is_wrong = |failure: &ShardFailure| matches!(failure.fault, LeafFault::BadQuery { .. });
    let failures = failures.into_iter().filter(|failure| !is_wrong(failure));
    let failures: Vec<ShardFailure> = failures.cloned().collect();
    let is_gone = |failure: &&ShardFailure| matches!(failure.fault, LeafFault::ViewMissing { .. });
    if let Some(gone) = failures.iter().find(is_gone) {
        return Err(RootError::ContextMissing(gleaner_model::names::shown(
            &gone.shard.index,
        )));
    }
    match failures.is_empty() && !is_cut_short {
        true => Ok(()),
        false => Err(RootError::PageIncomplete { failures }),
    }
}

#[cfg(test)]
mod tests {
    use gleaner_model::Generation;
    use gleaner_query::answer::ViewId;

    use super::*;
    use crate::testing::shard;

    fn hits(num_documents: u64, timed_out: bool) -> ShardHits {
        ShardHits {
            generation: Generation::default(),
            view: ViewId(1),
            num_documents,
            total: 0,
            hits: Vec::new(),
            max_score: None,
            aggregations: None,
            timed_out,
            terminated_early: false,
            times: None,
            unmatched: None,
            may_be_stale: false,
        }
    }

    fn summary(missing: &[ShardKey]) -> ShardSummary {
        let failure = |shard: &ShardKey| ShardFailure {
            index: String::new(),
            shard: *shard,
            node: None,
            fault: LeafFault::DeadlinePassed { shard: *shard },
        };
        ShardSummary {
            failures: missing.iter().map(failure).collect(),
            ..ShardSummary::default()
        }
    }

    #[test]
    fn documents_count_and_those_of_shards_cut_short_are_not_covered() {
        let mut seen = ShardsSeen::default();
        seen.add(shard(1, 0), &hits(600, false));
        seen.add(shard(1, 1), &hits(100, true));
        let coverage = seen.coverage(&summary(&[shard(1, 2)]), |_| Some(300));
        assert_eq!(coverage.documents_total, Some(1_000));
        assert_eq!(
            (coverage.documents_seen, coverage.documents_cut),
            (600, 100)
        );
        assert_eq!((coverage.shards_seen, coverage.shards_cut), (1, 1));
        assert_eq!(coverage.share(), 0.6);
    }

    #[test]
    fn shards_stand_for_documents_that_nobody_counted() {
        let mut seen = ShardsSeen::default();
        seen.add(shard(1, 0), &hits(600, false));
        let coverage = seen.coverage(&summary(&[shard(1, 1)]), |_| None);
        assert_eq!((coverage.documents_total, coverage.share()), (None, 0.5));
    }

    #[test]
    fn a_shard_that_holds_nothing_that_matches_is_as_good_as_seen() {
        let mut seen = ShardsSeen::default();
        seen.add(shard(1, 0), &hits(100, false));
        seen.add_excluded(shard(1, 1), Some(700));
        let coverage = seen.coverage(&summary(&[shard(1, 2)]), |_| Some(200));
        assert_eq!((coverage.documents_seen, coverage.share()), (800, 0.8));
        seen.add_excluded(shard(1, 3), None);
        let coverage = seen.coverage(&summary(&[shard(1, 2)]), |_| Some(200));
        assert_eq!((coverage.documents_total, coverage.share()), (None, 0.75));
    }

    #[test]
    fn a_shard_lost_after_it_was_searched_is_missing() {
        let mut seen = ShardsSeen::default();
        seen.add(shard(1, 0), &hits(75, false));
        seen.add(shard(1, 1), &hits(25, false));
        let coverage = seen.coverage(&summary(&[shard(1, 1)]), |_| None);
        assert_eq!(coverage.share(), 0.75);
        assert_eq!((coverage.shards_seen, coverage.shards_missing), (1, 1));
    }
}
