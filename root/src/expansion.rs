//! Scored patterns → the terms they stand for, asked of the shards of all indices at once.

use std::sync::Arc;

use gleaner_proto::search::{ExpandAnswer, ExpandCall};
use gleaner_query::resolved::{ExpansionCandidate, ExpansionRequest};
use gleaner_query::search::SearchRequest;

use crate::deadline::Deadline;
use crate::plan::IndexPlan;
use crate::resolve::Expansions;
use crate::response::CallProfile;
use crate::scatter::scatter;
use crate::{Root, RootError};

impl Root {
    /// Resolves the queries of all plans, asking the shards what scored patterns stand for. Shards
    /// that were asked are bound to the view they answered from; those that failed are lost.
    pub(crate) async fn resolve_all(
        &self,
        plans: &mut [IndexPlan],
        (request, now_ms): (&SearchRequest, i64),
        deadline: Deadline,
        calls: &mut Vec<CallProfile>,
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
        let gathered = scatter(&*self.leaves, &asked, deadline, "expand", |call| {
            let expand = ExpandCall {
                shards: call.shards,
                requests: Arc::clone(&wanted[call.plan]),
                remaining: call.remaining,
            };
            async move { call.client.expand(expand).await }
        })
        .await;
        calls.extend(gathered.calls);
        for ((at, answers), wanted) in open.into_iter().zip(gathered.answers).zip(wanted) {
            let plan = &mut plans[at];
            let answers = plan.settle(answers);
            for (shard, answer) in plan.shards.iter_mut().zip(&answers) {
                shard.view = Some(answer.view);
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
    answers: &[ExpandAnswer],
) {
    for (n, request) in wanted.iter().enumerate() {
        let lists = answers.iter().filter_map(|answer| answer.candidates.get(n));
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
