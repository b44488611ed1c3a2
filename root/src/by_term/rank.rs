//! Matches counted, scored and the best of them chosen, shard by shard, off the runtime's threads.

use std::sync::Arc;

use gleaner_partial::EvaluationError;
use gleaner_partial::control::{Control, MemoryAccount};
use gleaner_partial::score::weights::TermWeights;
use gleaner_query::resolved::{Clause, Similarities, Statistics};

use super::best::{Best, BestHits};
use super::lists::TermList;
use super::scoring::Evaluation;
use super::wanted::WantedTerms;
use crate::RootError;
use crate::work::Workers;

/// Postings below which a search is ranked where it is: some 0.3 ms, a hand-over costs a tenth of it.
const INLINE_POSTINGS: u64 = 16_384;

/// What is ranked: everything owned, so that it can be handed over.
pub(super) struct RankJob {
    /// Per plan.
    pub(super) queries: Vec<QueryToRank>,
    pub(super) shards: Vec<ShardToRank>,
    pub(super) statistics: Arc<Statistics>,
    /// Hits wanted; 0 counts only.
    pub(super) top: usize,
    /// Hits below this score are left out and not counted.
    pub(super) min_score: Option<f32>,
    pub(super) memory: Arc<MemoryAccount>,
}

/// What one index is asked.
pub(super) struct QueryToRank {
    pub(super) clause: Clause,
    pub(super) similarities: Similarities,
    pub(super) terms: WantedTerms,
}

/// One shard with its lists.
pub(super) struct ShardToRank {
    /// Position of its plan.
    pub(super) plan: usize,
    pub(super) lists: Vec<Arc<TermList>>,
}

/// What came out.
#[derive(Debug)]
pub(super) struct RankOutcome {
    /// Matches of each shard; a shard that was not counted for lack of time or memory is an error.
    pub(super) totals: Vec<Result<u64, EvaluationError>>,
    pub(super) chosen: BestHits,
}

impl RankJob {
    /// Ranks by `deadline`, on a thread of its own when it is much. `None` when the deadline passed before it began.
    ///
    /// # Errors
    /// [`RootError::Internal`] when it panicked.
    ///
    /// # Cancel safety
    /// Dropping the future ends the ranking at its next check.
    pub(super) async fn run(
        self,
        deadline: tokio::time::Instant,
        workers: &Workers,
    ) -> Result<Option<RankOutcome>, RootError> {
        if self.num_postings() < INLINE_POSTINGS {
            let control = Control::until(deadline.into_std());
            return Ok(Some(self.rank(&control)));
        }
        workers
            .run(deadline, move |control| self.rank(control))
            .await
    }

    fn num_postings(&self) -> u64 {
        let lists = self.shards.iter().flat_map(|shard| &shard.lists);
        lists.map(|list| list.list.documents.len()).sum()
    }

    fn rank(&self, control: &Control) -> RankOutcome {
        let weights = |query: &QueryToRank| {
            TermWeights::new(Arc::clone(&self.statistics), &query.similarities)
        };
        let weights: Vec<TermWeights> = self.queries.iter().map(weights).collect();
        let mut best = Best::new(self.top, self.shards.len());
        let mut totals = Vec::with_capacity(self.shards.len());
        for at in 0..self.shards.len() {
            totals.push(self.rank_shard(at, &weights, control, &mut best));
        }
        RankOutcome {
            totals,
            chosen: best.finish(),
        }
    }

    /// Offers the documents of a shard; returns how many match.
    fn rank_shard(
        &self,
        at: usize,
        weights: &[TermWeights],
        control: &Control,
        best: &mut Best,
    ) -> Result<u64, EvaluationError> {
        let shard = &self.shards[at];
        let QueryToRank { clause, terms, .. } = &self.queries[shard.plan];
        let evaluation = Evaluation {
            terms,
            lists: &shard.lists,
            weights: &weights[shard.plan],
            control,
        };
        let documents = evaluation.matching(clause)?;
        if self.top == 0 && self.min_score.is_none() {
            return Ok(documents.len());
        }
        let bytes = size_of::<f64>() as u64 * documents.len();
        let _held = self.memory.reserve(bytes)?;
        let scores = evaluation.scores(clause, 1.0, &documents)?;
        let mut total = 0;
        for (document, score) in documents.iter().zip(scores) {
            let score = score as f32;
            if self.min_score.is_some_and(|least| score < least) {
                continue;
            }
            total += 1;
            best.offer(score, at, document);
        }
        Ok(total)
    }
}
