//! The query phase on one leaf: the best hits, totals and aggregations of all its shards at once.
//!
//! Every (shard, segment) is a task of its own; tasks share the k-th best score, so a segment is
//! pruned by what all others have found, and the count of matches, so that counting stops at the
//! limit. Evaluation goes in blocks of at most 4,096 documents, skipped ones included, with a look
//! at the clock between them, and within documents that phrases are compared with. Of what is cut short
//! within a document nothing counts but what was seen before its block.
//!
//! Does not: merge with other leaves, fetch documents, wait for a place on the pool (the caller
//! lets in at most as many searches as there are cores).

mod aggregations;
mod answer;
mod brief;
mod columns;
mod cost;
mod count;
mod countdown;
mod occurrences;
mod order;
mod ordered;
mod proximity;
mod prune;
mod rank;
mod request;
mod shape;
mod sorting;
mod tally;
mod task;
mod walk;

use std::sync::Arc;
use std::time::Duration;

use gleaner_model::ShardKey;
use gleaner_partial::control::{Control, MemoryAccount};
use gleaner_query::answer::ShardHits;
use gleaner_query::resolved::ShardQuery;
use gleaner_threads::CpuTime;
use rayon::prelude::*;

use crate::filter_cache::FilterCache;
use crate::{EngineError, View};

pub(crate) use aggregations::LiveFilters;
use brief::looked_at;
use request::{Request, Unready};
pub(crate) use sorting::{KeyReader, Raw, mode};
use task::Task;

/// A shard to search: what of it is visible.
#[derive(Clone)]
pub struct Target {
    /// Which shard.
    pub key: ShardKey,
    /// Its documents.
    pub view: Arc<View>,
}

/// What a search draws on.
#[derive(Clone, Copy)]
pub struct SearchEnv<'a> {
    /// Deadline and cancellation.
    pub control: &'a Arc<Control>,
    /// Bitmaps of filters.
    pub filters: &'a Arc<FilterCache>,
    /// The request's memory.
    pub memory: &'a Arc<MemoryAccount>,
    /// Threads to spread segments over; `None` uses the caller's.
    pub pool: Option<&'a rayon::ThreadPool>,
}

/// What a shard answers.
type Answer = Result<ShardHits, EngineError>;

/// Postings or documents below which a search stays on the caller's thread: some millisecond. Spreading
/// it costs each thread some 35 µs to wake, and as much again while it looks for work in vain.
const INLINE_WORK: u64 = 262_144;

/// Evaluates `query` on all `targets`; one answer per target, in the same order.
///
/// The hits are the best `top` of all targets together: a shard's list leaves out what other
/// targets of the same call have pushed off. When the deadline passes, answers are of what was
/// seen, with `timed_out`. A shard that fails takes no place from the others.
pub fn search(
    targets: &[Target],
    query: &ShardQuery,
    env: &SearchEnv<'_>,
) -> Vec<Result<ShardHits, EngineError>> {
    search_timed(targets, query, env).0
}

/// As [`search`], with the processor time that it took.
pub fn search_timed(
    targets: &[Target],
    query: &ShardQuery,
    env: &SearchEnv<'_>,
) -> (Vec<Result<ShardHits, EngineError>>, ProcessorTimes) {
    env.control.draw_on(env.memory);
    search_inline_below(INLINE_WORK, targets, query, env)
}

/// The processor time that a search took of all threads together.
#[derive(Debug, Clone)]
pub struct ProcessorTimes {
    /// Spent on one target, by target.
    pub targets: Vec<Duration>,
    /// Spent on none in particular: to prepare, and to put answers together.
    pub shared: Duration,
}

fn search_inline_below(
    inline_work: u64,
    targets: &[Target],
    query: &ShardQuery,
    env: &SearchEnv<'_>,
) -> (Vec<Answer>, ProcessorTimes) {
    let mut answers: Vec<Option<Answer>> = targets.iter().map(|_| None).collect();
    let cpu: Vec<CpuTime> = targets.iter().map(|_| CpuTime::default()).collect();
    let shared = CpuTime::default();
    loop {
        let open = |at: &usize| answers[*at].is_none();
        let open: Vec<usize> = (0..targets.len()).filter(open).collect();
        let now: Vec<(&Target, &CpuTime)> =
            open.iter().map(|&at| (&targets[at], &cpu[at])).collect();
        let found = attempt(
            inline_work,
            Asked {
                targets: &now,
                shared: &shared,
            },
            query,
            env,
        );
        let has_failed = |answer: &Option<Answer>| !matches!(answer, Some(Ok(_)));
        let is_whole = found.iter().all(has_failed) || !found.iter().any(has_failed);
        let mut is_done = true;
        for (at, answer) in open.into_iter().zip(found) {
            // Hits of a shard that failed may have pushed off others': go without it.
            if is_whole || matches!(answer, Some(Err(_))) {
                answers[at] = answer;
            }
            is_done &= answers[at].is_some();
        }
        if is_done {
            let times = ProcessorTimes {
                targets: cpu.iter().map(CpuTime::get).collect(),
                shared: shared.get(),
            };
            return (answers.into_iter().flatten().collect(), times);
        }
    }
}

/// The targets of an attempt, each with the time that is spent on it.
#[derive(Clone, Copy)]
struct Asked<'a> {
    targets: &'a [(&'a Target, &'a CpuTime)],
    shared: &'a CpuTime,
}

/// Evaluates once; `None` for shards that were not evaluated because another was not ready.
fn attempt(
    inline_work: u64,
    asked: Asked<'_>,
    query: &ShardQuery,
    env: &SearchEnv<'_>,
) -> Vec<Option<Answer>> {
    let targets: Vec<&Target> = asked.targets.iter().map(|(target, _)| *target).collect();
    let targets = &targets[..];
    let filters: Vec<LiveFilters> = if query.aggregations.is_empty() {
        Vec::new()
    } else {
        let of_target = |target: &&Target| LiveFilters::new(target, env);
        targets.iter().map(of_target).collect()
    };
    let request = asked
        .shared
        .time(|| Request::new(targets, &filters, query, env));
    let request = match request {
        Ok(request) => request,
        Err(Unready {
            target: None,
            error,
        }) => {
            return fail_all(targets.len(), &error)
                .into_iter()
                .map(Some)
                .collect();
        }
        Err(Unready {
            target: Some(failed),
            error,
        }) => {
            let mut answers: Vec<Option<Answer>> = targets.iter().map(|_| None).collect();
            answers[failed] = Some(Err(error));
            return answers;
        }
    };
    let tasks = request.tasks();
    let documents = || {
        let documents = targets.iter().map(|target| target.view.num_documents());
        documents.sum()
    };
    let run = |task: &Task| asked.targets[task.shard()].1.time(|| request.run(task));
    match env.pool {
        Some(pool) if tasks.len() > 1 && looked_at(documents(), query) >= inline_work => {
            pool.install(|| tasks.par_iter().for_each(run));
        }
        _ => tasks.iter().for_each(run),
    }
    let answers = asked.shared.time(|| request.into_answers());
    answers.into_iter().map(Some).collect()
}

/// The same failure for every shard; errors of an index cannot be cloned, so the text is.
fn fail_all(num_targets: usize, error: &EngineError) -> Vec<Answer> {
    let again = || match error {
        EngineError::Evaluation(error) => error.clone().into(),
        other => EngineError::internal(other.to_string()),
    };
    (0..num_targets).map(|_| Err(again())).collect()
}

#[cfg(test)]
mod tests;
