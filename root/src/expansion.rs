//! Scored patterns → the terms they stand for, asked of the shards of all indices at once.

use std::sync::Arc;

use gleaner_proto::search::{ExpandAnswer, ExpandCall};
use gleaner_query::resolved::{ExpansionCandidate, ExpansionRequest};
use gleaner_query::search::SearchRequest;

use crate::health::Phase;
use crate::plan::IndexPlan;
use crate::resolve::Expansions;
use crate::scatter::{Answer, Trip};
use crate::{Root, RootError};

impl Root {
    /// Resolves the queries of all plans, asking the shards what scored patterns stand for. Shards
    /// that were asked are bound to the moment they answered from; those that failed are lost.
    pub(crate) async fn resolve_all(
        &self,
        plans: &mut [IndexPlan],
        (request, now_ms): (&SearchRequest, i64),
        trip: &mut Trip,
    ) -> Result<(), RootError> {
        let mut expansions: Vec<Expansions> = plans.iter().map(|_| Expansions::default()).collect();
        for (plan, expansions) in plans.iter_mut().zip(&mut expansions) {
            self.resolve_plan(plan, request, now_ms, expansions)?;
        }
        let open: Vec<usize> = (0..plans.len())
            .filter(|at| !expansions[*at].wanted.is_empty())
            .collect();
        if open.is_empty() {
            return Ok(());
        }
        let asked: Vec<IndexPlan> = open.iter().map(|at| plans[*at].clone()).collect();
        let wanted: Vec<Arc<Vec<ExpansionRequest>>> = open
            .iter()
            .map(|at| Arc::new(std::mem::take(&mut expansions[*at].wanted)))
            .collect();
        let gathered = self
            .scatter(&asked, trip, Phase::Expand, |call| {
                let expand = ExpandCall {
                    shards: call.shards,
                    requests: Arc::clone(&wanted[call.plan]),
                    remaining: call.remaining,
                };
                async move { call.located.client.expand(expand).await }
            })
            .await;
        for ((at, answers), wanted) in open.into_iter().zip(gathered.answers).zip(wanted) {
            let plan = &mut plans[at];
            let answers = plan.settle(answers);
            for (shard, Answer { node, value }) in plan.shards.iter_mut().zip(&answers) {
                shard.bind(node, value.view, value.generation);
            }
            take_answers(&mut expansions[at], &wanted, &answers);
            self.resolve_plan(plan, request, now_ms, &mut expansions[at])?;
        }
        Ok(())
    }
}

fn take_answers(
    expansions: &mut Expansions,
    wanted: &[ExpansionRequest],
    answers: &[Answer<ExpandAnswer>],
) {
    for (n, request) in wanted.iter().enumerate() {
        let lists = answers.iter().filter_map(|a| a.value.candidates.get(n));
        expansions.answer(request, merge_candidates(lists, request.limit));
    }
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
