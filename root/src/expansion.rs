//! Scored patterns → the terms they stand for, asked of the shards of all indices at once, or remembered.

mod cache;

use std::sync::Arc;

use gleaner_proto::search::{ExpandAnswer, ExpandCall, StatisticsCall};
use gleaner_query::resolved::{ExpansionCandidate, ExpansionRequest, StatisticsRequest};
use tokio::time::Instant;

use crate::RootError;
use crate::health::Phase;
use crate::plan::IndexPlan;
use crate::planner::{DatedRequest, Planner};
use crate::resolve::Expansions;
use crate::scatter::{Answer, Trip};
use crate::statistics::zeros;
use cache::CachedExpansion;

pub(crate) use cache::Cache;

impl Planner {
    /// Resolves the queries of all plans, asking the shards what scored patterns stand for, unless
    /// that is remembered and the trip may guess. Shards that were asked are bound to the moment they
    /// answered from, those that were not are expected to be of the one remembered; those that failed
    /// are lost. Returns whether there are such patterns.
    ///
    /// Indices for which the queries are wrong are given up.
    pub(crate) async fn resolve_all(
        &self,
        plans: &mut [IndexPlan],
        request: DatedRequest<'_>,
        trip: &mut Trip,
    ) -> Result<bool, RootError> {
        let mut expansions: Vec<Expansions> = plans.iter().map(|_| Expansions::default()).collect();
        let all = 0..plans.len();
        self.resolve_open(plans, all, &mut expansions, request)?;
        let has_patterns = |at: &usize| expansions[*at].is_open();
        let with_patterns: Vec<usize> = (0..plans.len()).filter(has_patterns).collect();
        if with_patterns.is_empty() {
            return Ok(false);
        }
        for at in &with_patterns {
            plans[*at].has_patterns = true;
        }
        let looking = Instant::now();
        let mut open = with_patterns.clone();
        open.retain(|at| !expansions[*at].wanted.is_empty());
        open.retain(|at| !trip.may_guess() || !self.recall(&mut plans[*at], &mut expansions[*at]));
        trip.did("cache", looking);
        if !open.is_empty() {
            Box::pin(self.expand(plans, &open, &mut expansions, trip)).await;
        }
        Box::pin(self.count_terms(plans, &mut expansions, trip)).await;
        self.resolve_open(plans, with_patterns, &mut expansions, request)?;
        Ok(true)
    }

    /// Asks the shards of all plans for the numbers of terms that any of them wants: all choose by the same ones. Shards
    /// that were asked are bound as by [`Planner::expand`].
    async fn count_terms(
        &self,
        plans: &mut [IndexPlan],
        expansions: &mut [Expansions],
        trip: &mut Trip,
    ) {
        let mut wanted = StatisticsRequest::default();
        for expansions in &mut *expansions {
            for (field, terms) in &expansions.uncounted.fields {
                let all = wanted.fields.entry(field.clone()).or_default();
                all.extend(terms.iter().cloned());
            }
        }
        if wanted.fields.is_empty() {
            return;
        }
        let mut counted = zeros(&wanted);
        let wanted = Arc::new(wanted);
        let gathered = self
            .scatterer
            .scatter(plans, trip, Phase::Statistics, |call| {
                let asked = StatisticsCall {
                    shards: call.shards,
                    request: Arc::clone(&wanted),
                    remaining: call.remaining,
                };
                async move { call.located.client.statistics(asked).await }
            })
            .await;
        for (plan, answers) in plans.iter_mut().zip(gathered.answers) {
            let answers = plan.settle(answers, trip.deadline);
            for (shard, Answer { node, value }) in plan.shards.iter_mut().zip(answers) {
                if !shard.is_pinned {
                    let newest = &self.statistics.newest;
                    newest.saw(shard.shard, value.generation, value.num_documents);
                }
                shard.bind(&node, value.view, value.generation);
                shard.may_be_stale |= value.may_be_stale;
                counted.merge(&value.statistics);
            }
        }
        let counted = Arc::new(counted);
        for expansions in expansions {
            expansions.count(Arc::clone(&counted));
        }
    }

    /// Resolves the queries of the plans at `open`. An index for which they are wrong, that holds a
    /// field as another type than the others do, say, is given up; what is wrong for all is refused.
    fn resolve_open(
        &self,
        plans: &mut [IndexPlan],
        open: impl IntoIterator<Item = usize>,
        expansions: &mut [Expansions],
        request: DatedRequest<'_>,
    ) -> Result<(), RootError> {
        let mut first = None;
        for at in open {
            let resolved = self.resolve_plan(&mut plans[at], request, &mut expansions[at]);
            if let Err(error) = resolved {
                let RootError::QueryOfIndex { source, .. } = &error else {
                    return Err(error);
                };
                plans[at].give_up(source);
                expansions[at] = Expansions::default();
                first.get_or_insert(error);
            }
        }
        match first {
            Some(error) if plans.iter().all(IndexPlan::is_given_up) => Err(error),
            _ => Ok(()),
        }
    }

    /// Answers what is wanted of the shards of `plan` by what they answered before, if that is what they
    /// show, as far as can be told without asking; they are expected to then.
    fn recall(&self, plan: &mut IndexPlan, expansions: &mut Expansions) -> bool {
        let Some(known) = self.expansions.find(plan, &expansions.wanted) else {
            return false;
        };
        let newest = self.statistics.newest.open();
        let mut both = plan.shards.iter().zip(known.generations.iter());
        let is_current = both.all(|(asked, generation)| {
            !asked.is_pinned && newest.of(asked.shard) == Some(*generation)
        });
        drop(newest);
        if !is_current {
            return false;
        }
        for (asked, generation) in plan.shards.iter_mut().zip(known.generations.iter()) {
            asked.expected = Some(*generation);
        }
        let wanted = std::mem::take(&mut expansions.wanted);
        for (request, candidates) in wanted.iter().zip(known.candidates.iter()) {
            expansions.answer(request, candidates.clone());
        }
        true
    }

    /// Asks the shards of the plans at `open` what is wanted of them.
    async fn expand(
        &self,
        plans: &mut [IndexPlan],
        open: &[usize],
        expansions: &mut [Expansions],
        trip: &mut Trip,
    ) {
        let asked: Vec<IndexPlan> = open.iter().map(|at| plans[*at].clone()).collect();
        let wanted: Vec<Arc<Vec<ExpansionRequest>>> = open
            .iter()
            .map(|at| Arc::new(std::mem::take(&mut expansions[*at].wanted)))
            .collect();
        let gathered = self
            .scatterer
            .scatter(&asked, trip, Phase::Expand, |call| {
                let expand = ExpandCall {
                    shards: call.shards,
                    requests: Arc::clone(&wanted[call.plan]),
                    remaining: call.remaining,
                };
                async move { call.located.client.expand(expand).await }
            })
            .await;
        for ((at, answers), wanted) in open.iter().zip(gathered.answers).zip(wanted) {
            let plan = &mut plans[*at];
            let num_asked = answers.len();
            let answers = plan.settle(answers, trip.deadline);
            for (shard, Answer { node, value }) in plan.shards.iter_mut().zip(&answers) {
                if !shard.is_pinned {
                    let newest = &self.statistics.newest;
                    newest.saw(shard.shard, value.generation, None);
                }
                shard.bind(node, value.view, value.generation);
                shard.may_be_stale |= value.may_be_stale;
            }
            let candidates = merged(&wanted, &answers);
            for (request, candidates) in wanted.iter().zip(&candidates) {
                expansions[*at].answer(request, candidates.clone());
            }
            let is_pinned = plan.shards.iter().any(|shard| shard.is_pinned);
            if answers.len() == num_asked && !is_pinned {
                let generations = answers.iter().map(|answer| answer.value.generation);
                let known = CachedExpansion {
                    generations: Arc::new(generations.collect()),
                    candidates: Arc::new(candidates),
                };
                self.expansions.keep(plan, &wanted, known);
            }
        }
    }
}

/// Returns the candidates for each pattern, put together from all shards.
fn merged(
    wanted: &[ExpansionRequest],
    answers: &[Answer<ExpandAnswer>],
) -> Vec<Vec<ExpansionCandidate>> {
    let numbered = wanted.iter().enumerate();
    let of_request = |(n, request): (usize, &ExpansionRequest)| {
        let lists = answers.iter().filter_map(|a| a.value.candidates.get(n));
        merge_candidates(lists, request.limit)
    };
    numbered.map(of_request).collect()
}

/// Merges candidates of shards: by distance, then term; documents are summed.
fn merge_candidates<'a>(
    lists: impl Iterator<Item = &'a Vec<ExpansionCandidate>>,
    limit: usize,
) -> Vec<ExpansionCandidate> {
    let mut merged: Vec<ExpansionCandidate> = lists.flatten().cloned().collect();
    merged.sort();
    merged.dedup_by(|next, kept| {
        let same = next.term == kept.term;
        if same {
            kept.documents += next.documents;
        }
        same
    });
    merged.truncate(limit);
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(distance: u8, term: &str, documents: u64) -> ExpansionCandidate {
        ExpansionCandidate {
            distance,
            term: term.to_owned(),
            documents,
        }
    }

    #[test]
    fn candidates_of_all_shards_are_summed_ordered_and_cut() {
        let first = vec![
            candidate(1, "fix", 2),
            candidate(1, "fox", 1),
            candidate(2, "fax", 9),
        ];
        let second = vec![candidate(1, "box", 4), candidate(1, "fox", 5)];
        let merged = merge_candidates([first, second].iter(), 3);
        let expected = [
            candidate(1, "box", 4),
            candidate(1, "fix", 2),
            candidate(1, "fox", 6),
        ];
        assert_eq!(merged, expected);
    }
}
