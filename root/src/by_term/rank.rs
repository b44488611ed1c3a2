//! Matches counted, scored and the best of them chosen, shard by shard, off the runtime's threads.

use std::sync::Arc;

use gleaner_engine::EngineError;
use gleaner_engine::control::{Control, MemoryAccount};
use gleaner_engine::score::weights::TermWeights;
use gleaner_query::resolved::{Clause, Statistics};
use tokio::sync::Semaphore;

use super::best::{Best, Chosen};
use super::lists::TermList;
use super::scoring::Evaluation;
use super::wanted::WantedTerms;
use crate::RootError;

/// Postings below which a search is ranked where it is: some 0.3 ms, a hand-over costs a tenth of it.
const INLINE_POSTINGS: u64 = 16_384;

/// What is ranked: everything owned, so that it can be handed over.
pub(super) struct Ranking {
    /// Per plan: its query and terms.
    pub(super) queries: Vec<(Clause, WantedTerms)>,
    pub(super) shards: Vec<ShardToRank>,
    pub(super) statistics: Arc<Statistics>,
    /// Hits wanted; 0 counts only.
    pub(super) top: usize,
    /// Hits below this score are left out and not counted.
    pub(super) min_score: Option<f32>,
    pub(super) memory: Arc<MemoryAccount>,
}

/// One shard with its lists.
pub(super) struct ShardToRank {
    /// Position of its plan.
    pub(super) plan: usize,
    pub(super) lists: Vec<Arc<TermList>>,
}

/// What came out.
#[derive(Debug)]
pub(super) struct Ranked {
    /// Matches of each shard; a shard that was not counted for lack of time or memory is an error.
    pub(super) totals: Vec<Result<u64, EngineError>>,
    pub(super) chosen: Chosen,
}

/// Calls the ranking off when the caller goes away.
struct CancelOnDrop(Arc<Control>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Ranking {
    /// Ranks by `deadline`, on a thread of its own when it is much; `permits` bound how many searches
    /// do so at once. `None` when the deadline passed before it began.
    ///
    /// # Errors
    /// [`RootError::Internal`] when it panicked.
    ///
    /// # Cancel safety
    /// Dropping the future ends the ranking at its next check.
    pub(super) async fn run(
        self,
        deadline: tokio::time::Instant,
        permits: &Arc<Semaphore>,
    ) -> Result<Option<Ranked>, RootError> {
        let control = Arc::new(Control::until(deadline.into_std()));
        if self.num_postings() < INLINE_POSTINGS {
            return Ok(Some(self.rank(&control)));
        }
        let permit = Arc::clone(permits).acquire_owned();
        let Ok(permit) = tokio::time::timeout_at(deadline, permit).await else {
            return Ok(None);
        };
        let cancel = CancelOnDrop(Arc::clone(&control));
        let ranked = tokio::task::spawn_blocking(move || {
            let ranked = self.rank(&control);
            drop(permit);
            ranked
        });
        let ranked = ranked.await;
        drop(cancel);
        let panicked = |_| RootError::Internal("ranking a search by terms panicked".to_owned());
        ranked.map(Some).map_err(panicked)
    }

    fn num_postings(&self) -> u64 {
        let lists = self.shards.iter().flat_map(|shard| &shard.lists);
        lists.map(|list| list.list.documents.len()).sum()
    }

    fn rank(&self, control: &Control) -> Ranked {
        let weights = TermWeights::new(Arc::clone(&self.statistics));
        let mut best = Best::new(self.top, self.shards.len());
        let mut totals = Vec::with_capacity(self.shards.len());
        for at in 0..self.shards.len() {
            totals.push(self.rank_shard(at, &weights, control, &mut best));
        }
        Ranked {
            totals,
            chosen: best.finish(),
        }
    }

    /// Offers the documents of a shard; returns how many match.
    fn rank_shard(
        &self,
        at: usize,
        weights: &TermWeights,
        control: &Control,
        best: &mut Best,
    ) -> Result<u64, EngineError> {
        let shard = &self.shards[at];
        let (clause, terms) = &self.queries[shard.plan];
        let evaluation = Evaluation {
            terms,
            lists: &shard.lists,
            weights,
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
