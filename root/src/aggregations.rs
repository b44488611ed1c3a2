//! Partial aggregations of shards → results, asking again as long as counts are not exact yet.

mod pipeline;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gleaner_model::{IndexUuid, Mapping, ShardKey};
use gleaner_partial::EvaluationError;
use gleaner_partial::control::{Control, Ledger};
use gleaner_partial::{Aggregations, FinalizeContext, are_compared, merge_encoded, with_live_keys};
use gleaner_proto::LeafFault;
use gleaner_query::aggregation::{Aggregation, Pipeline};
use gleaner_query::answer::{AggregationResult, ShardHits};
use gleaner_query::search::{SearchRequest, TrackTotal};
use tokio::time::Instant;

use crate::RootError;
use crate::deadline::Deadline;
use crate::memory::no_room;
use crate::merge::HitMerger;
use crate::plan::IndexPlan;
use crate::response::ShardFailure;
use crate::scatter::{Answer, Trip};
use crate::search::Searcher;
use crate::search::phase::CommonRequest;
use crate::work::on_own_thread;

/// Times that shards are asked again at most. Each time they look many times deeper, so that they have
/// told all they hold long before.
const MAX_QUESTIONS: usize = 8;

/// Bytes of partial results below which they are worked on where they are: a millisecond or so.
const INLINE_BYTES: usize = 64 * 1024;

/// Time that finishing has at least: what shards have found is not thrown away for being a little late.
const LEAST_TO_FINISH: Duration = Duration::from_secs(1);

/// What the partial results of all shards came to.
#[derive(Default)]
pub(crate) struct ReducedAggregations {
    pub(crate) results: Vec<AggregationResult>,
    /// The memory that they hold.
    pub(crate) held: Option<Arc<Ledger>>,
    /// Shards that failed when they were asked again: their first counts are in the results.
    pub(crate) failures: Vec<ShardFailure>,
    /// Shards that ran out of time when they were asked again.
    pub(crate) cut: Vec<ShardKey>,
    /// Whether time was too short to count all terms exactly.
    pub(crate) timed_out: bool,
}

impl Searcher {
    /// Merges partial results and finishes them. Shards that hold more terms than they sent are asked
    /// again, until what they left out cannot change the answer; where they cannot be, the answer
    /// states the error of its counts.
    pub(crate) async fn reduce(
        &self,
        plans: &[IndexPlan],
        partials: Vec<Bytes>,
        asked: &CommonRequest<'_>,
        trip: &mut Trip,
    ) -> Result<ReducedAggregations, RootError> {
        let wanted = &asked.request.aggregations;
        let mut reduced = ReducedAggregations::default();
        if wanted.is_empty() {
            return Ok(reduced);
        }
        let num_bytes = partials.iter().map(Bytes::len).sum();
        let (mut merged, mut next) = count(None, partials, with_live_keys(wanted)).await?;
        for _ in 0..MAX_QUESTIONS {
            let Some(again) = next else {
                break;
            };
            if trip.deadline.has_passed() {
                reduced.timed_out = true;
                break;
            }
            // What stands beside them is added wherever shards are asked.
            let num_wanted = wanted.len().min(again.len());
            let bare = again[..num_wanted].to_vec();
            let answers = Box::pin(self.ask_again(plans, bare, asked, trip)).await;
            let recount = Recount::of(plans, answers);
            let is_whole = recount.failures.is_empty() && recount.cut.is_empty();
            // Where memory does not reach for a deeper look, the counts so far stand, with their bound. Without the
            // counts that they are compared with, terms of texts are not known.
            let has_bound = !are_compared(&again);
            let lacks_memory =
                |f: &ShardFailure| has_bound && matches!(f.fault, LeafFault::Memory { .. });
            let failures = recount.failures.into_iter();
            reduced
                .failures
                .extend(failures.filter(|f| !lacks_memory(f)));
            reduced.timed_out |= !recount.cut.is_empty();
            reduced.cut.extend(recount.cut);
            if !is_whole {
                break;
            }
            (merged, next) = count(Some(merged), recount.partials, again).await?;
        }
        let memory = asked.options.memory.clone();
        let memory = memory.unwrap_or_else(|| self.accounts.answer_memory());
        let ledger = memory.ledger()?;
        let max_buckets = self.cluster.max_buckets();
        let finishing = FinishJob::new(merged, plans, asked, max_buckets, Arc::clone(&ledger));
        reduced.held = Some(ledger);
        reduced.results = finish(finishing, num_bytes, plans, trip.deadline).await?;
        Ok(reduced)
    }

    /// Asks the shards of `plans`, which are bound to what answered before: counts of two moments must
    /// not meet.
    async fn ask_again(
        &self,
        plans: &[IndexPlan],
        aggregations: Vec<Aggregation>,
        asked: &CommonRequest<'_>,
        trip: &mut Trip,
    ) -> Vec<Result<Answer<ShardHits>, ShardFailure>> {
        let request = SearchRequest {
            size: Some(0),
            from: 0,
            aggregations,
            track_total_hits: TrackTotal::No,
            ..asked.request.clone()
        };
        let asked = CommonRequest {
            request: &request,
            options: asked.options,
            page: asked.page,
            statistics: Arc::clone(&asked.statistics),
            now_ms: asked.now_ms,
        };
        let mut merged = HitMerger::of(&request);
        let gathered = self.by_shards.ask(plans, &asked, trip, &mut merged).await;
        gathered.answers.into_iter().flatten().collect()
    }
}

/// Makes the results of what was merged of `num_bytes` from the shards of `plans`.
async fn finish(
    finishing: FinishJob,
    num_bytes: usize,
    plans: &[IndexPlan],
    deadline: Deadline,
) -> Result<Vec<AggregationResult>, RootError> {
    let until = deadline.fetch_by().max(Instant::now() + LEAST_TO_FINISH);
    let control = Arc::new(Control::until(until.into_std()));
    let cancel = CancelOnDrop(Arc::clone(&control));
    // What pipelines cost does not depend on what shards sent.
    let num_bytes = match has_pipelines(&finishing.wanted, &finishing.pipelines) {
        true => num_bytes.max(INLINE_BYTES),
        false => num_bytes,
    };
    let finished = off_runtime(num_bytes, move || finishing.run(&control)).await?;
    drop(cancel);
    match finished {
        Err(EvaluationError::DeadlineExceeded) => Err(late(plans)),
        finished => finished.map_err(|error| refused(&error)),
    }
}

/// What shards answered when they were asked again.
#[derive(Default)]
struct Recount {
    partials: Vec<Bytes>,
    failures: Vec<ShardFailure>,
    cut: Vec<ShardKey>,
}

impl Recount {
    fn of(plans: &[IndexPlan], answers: Vec<Result<Answer<ShardHits>, ShardFailure>>) -> Self {
        let mut recount = Self::default();
        let shards = plans.iter().flat_map(|plan| &plan.shards);
        for (planned, answer) in shards.zip(answers) {
            match answer {
                Ok(answer) => {
                    if answer.value.timed_out {
                        recount.cut.push(planned.shard);
                    }
                    recount.partials.extend(answer.value.aggregations);
                }
                Err(failure) => recount.failures.push(failure),
            }
        }
        recount
    }
}

fn has_pipelines(wanted: &[Aggregation], pipelines: &[Pipeline]) -> bool {
    let mut within = wanted.iter();
    !pipelines.is_empty() || within.any(|one| has_pipelines(&one.sub, &one.pipelines))
}

/// All that finishing needs, owned, so that it can be handed over.
struct FinishJob {
    merged: Aggregations,
    wanted: Vec<Aggregation>,
    pipelines: Vec<Pipeline>,
    names: BTreeMap<IndexUuid, String>,
    mappings: BTreeMap<IndexUuid, Arc<Mapping>>,
    now_ms: i64,
    max_buckets: usize,
    ledger: Arc<Ledger>,
}

impl FinishJob {
    fn new(
        merged: Aggregations,
        plans: &[IndexPlan],
        asked: &CommonRequest<'_>,
        max_buckets: usize,
        ledger: Arc<Ledger>,
    ) -> Self {
        let names = plans
            .iter()
            .map(|p| (p.index.uuid, p.index.name.to_string()));
        let mappings = plans
            .iter()
            .map(|p| (p.index.uuid, Arc::clone(&p.index.mapping)));
        Self {
            merged,
            wanted: asked.request.aggregations.clone(),
            pipelines: asked.request.pipelines.clone(),
            names: names.collect(),
            mappings: mappings.collect(),
            now_ms: asked.now_ms,
            max_buckets,
            ledger,
        }
    }

    fn run(self, control: &Arc<Control>) -> Result<Vec<AggregationResult>, EvaluationError> {
        let Self {
            mut merged,
            wanted,
            pipelines,
            names,
            mappings,
            now_ms,
            max_buckets,
            ledger,
        } = self;
        let context = FinalizeContext {
            mappings,
            now_ms,
            live_keys: merged.split_live_keys(&wanted),
            control: Arc::clone(control),
            max_buckets,
            ledger: Some(ledger),
            ..FinalizeContext::new(&names)
        };
        let mut results = merged.finalize(&wanted, &context)?;
        pipeline::apply(&mut results, &wanted, &pipelines, control)?;
        Ok(results)
    }
}

/// Calls work off when nobody waits for it any more.
struct CancelOnDrop(Arc<Control>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Merges the answers to `question`, joins them with what was counted before, and returns what must be
/// asked again, if anything.
async fn count(
    before: Option<Aggregations>,
    partials: Vec<Bytes>,
    question: Vec<Aggregation>,
) -> Result<(Aggregations, Option<Vec<Aggregation>>), RootError> {
    let num_bytes = partials.iter().map(Bytes::len).sum();
    let work = move || -> Result<_, EvaluationError> {
        let answer = merge_encoded(&partials)?;
        let mut merged = match before {
            Some(before) => before.refined_by(answer, &question),
            None => answer,
        };
        let next = merged.refine(&question)?;
        Ok((merged, next))
    };
    let counted = off_runtime(num_bytes, work).await?;
    counted.map_err(|error| refused(&error))
}

/// Does what may take long on a thread of its own: the runtime's have others to serve.
async fn off_runtime<T: Send + 'static>(
    num_bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, RootError> {
    if num_bytes < INLINE_BYTES {
        return Ok(work());
    }
    let panicked = |_| RootError::Internal("reducing aggregations panicked".to_owned());
    on_own_thread(work).await.map_err(panicked)
}

/// There was no time to finish what the shards of `plans` found.
fn late(plans: &[IndexPlan]) -> RootError {
    let shard = plans.iter().flat_map(|plan| &plan.shards).next();
    match shard {
        Some(planned) => RootError::Leaf(LeafFault::DeadlinePassed {
            shard: planned.shard,
        }),
        None => RootError::Internal("finishing no aggregations took too long".to_owned()),
    }
}

fn refused(error: &EvaluationError) -> RootError {
    if let EvaluationError::CircuitBreaking { .. } = error {
        return no_room(error).into();
    }
    if let EvaluationError::TooManyBuckets { limit } = error {
        let reason = error.to_string();
        return RootError::TooManyBuckets {
            limit: *limit,
            reason,
        };
    }
    let fault = LeafFault::BadQuery {
        kind: error.error_type().into(),
        reason: error.to_string(),
    };
    RootError::Leaf(fault)
}

#[cfg(test)]
mod tests;
