//! The reading calls: views chosen, work handed to the pool, faults per shard.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use futures::future::join_all;
use gleaner_engine::filter_cache::{FilterCache, FilterCacheOptions};
use gleaner_engine::length::Length;
use gleaner_engine::search::SearchEnv;
use gleaner_engine::{EngineError, StoredDocument, View, expand, search, statistics};
use gleaner_model::metric;
use gleaner_partial::control::{Control, MemoryAccount};
use gleaner_proto::LeafFault;
use gleaner_proto::read::Document;
use gleaner_proto::search::{
    ExpandAnswer, ExpandCall, SearchCall, ShardView, StatisticsAnswer, StatisticsCall,
};
use gleaner_query::answer::{LeafTimes, ShardHits};
use gleaner_threads::CpuTime;

use crate::LeafOptions;
use crate::copy::counters::{Counters, UnderWay};
use crate::copy::registry::CopyRegistry;
use crate::copy::shard::Shard;
use crate::fault::{check_uncut, copy_fault, job_fault};
use crate::read::pool::{Pool, PoolFault};
use crate::read::staleness::{copies_of, mark_stale};

/// Looked up once: to find a metric takes longer than to record a value.
static QUERY_SECONDS: LazyLock<metrics::Histogram> =
    LazyLock::new(|| metrics::histogram!(metric::SHARD_QUERY_SECONDS.name));

/// A copy to read.
#[derive(Clone)]
pub(crate) struct CopyView {
    pub(crate) shard: Arc<Shard>,
    pub(crate) view: Arc<View>,
    /// What it shows may lack acknowledged writes, as it was before the view was taken, be it in an earlier phase: a copy
    /// that finds its primary meanwhile still answers from what it had.
    was_stale: bool,
}

impl CopyView {
    /// Returns whether what the copy shows may lack acknowledged writes. To be asked after the work: a copy that agrees
    /// with others must hold the right to serve then.
    pub(crate) fn may_be_stale(&self) -> bool {
        let driver = self.shard.driver();
        self.was_stale || driver.is_some_and(|driver| !driver.may_serve())
    }
}

/// A shard of a call with the view to read; or why it cannot be read.
pub(crate) type Target = Result<CopyView, LeafFault>;

/// Answers what is read of this node's copies.
pub(crate) struct Searcher {
    pub(super) copies: Arc<CopyRegistry>,
    pub(crate) pool: Pool,
    /// The account that all queries of the node draw on.
    pub(crate) memory: Arc<MemoryAccount>,
    pub(crate) filters: Arc<FilterCache>,
    memory_per_query_bytes: u64,
}

impl Searcher {
    /// Starts the threads that evaluate queries.
    ///
    /// # Errors
    /// When they cannot be started.
    pub(crate) fn start(options: &LeafOptions, copies: Arc<CopyRegistry>) -> std::io::Result<Self> {
        Ok(Self {
            copies,
            pool: Pool::start(options.search_threads, options.search_queue)?,
            memory: MemoryAccount::root("parent", options.query_memory_bytes),
            filters: Arc::new(FilterCache::new(FilterCacheOptions {
                budget_bytes: options.filter_cache_bytes,
                ..FilterCacheOptions::default()
            })),
            memory_per_query_bytes: options.memory_per_query_bytes,
        })
    }

    /// Finds the views that a call names; waits a little for shards that are being opened, for all at
    /// once. For one that is behind it waits until the deadline if it is the only one asked, a moment
    /// if others' answers would wait with it.
    pub(crate) async fn targets(&self, asked: &[ShardView], deadline: Instant) -> Vec<Target> {
        let now = Instant::now();
        let patience = match asked.len() {
            1 => deadline.saturating_duration_since(now),
            _ => BEHIND_PATIENCE.min(deadline.saturating_duration_since(now) / 4),
        };
        let target = |asked: &ShardView| self.target(*asked, deadline, now + patience);
        join_all(asked.iter().map(target)).await
    }

    /// Finds one view; one that is behind must show what is wanted by `shown_by`.
    pub(super) async fn target(
        &self,
        asked: ShardView,
        deadline: Instant,
        shown_by: Instant,
    ) -> Target {
        let remaining = deadline.saturating_duration_since(Instant::now());
        let patience = (remaining / 2).min(OPENING_PATIENCE);
        let copy = self.copies.copy(asked.shard, patience).await?;
        let shard = Arc::clone(copy.shard());
        check_uncut(&shard)?;
        if asked.view.is_none() {
            copy.wake(Instant::now() + remaining / 2).await;
            if let Some(wanted) = asked.at_least {
                shard.shows(wanted, shown_by).await?;
            }
            shard.take_constants(shown_by).await;
        }
        // Before the view is taken: it shows at least what the copy shows now.
        let staleness = copy.staleness();
        let (view, was_stale) = match asked.view {
            None => {
                let view = shard.engine().view();
                shard.views.keep(&view, staleness, deadline);
                (view, false)
            }
            Some(id) => {
                let kept = shard.views.find(id, deadline);
                let kept = kept.ok_or(LeafFault::ViewMissing {
                    shard: asked.shard,
                    view: id.0,
                })?;
                (kept.view, kept.may_be_stale)
            }
        };
        Ok(CopyView {
            was_stale: was_stale || staleness.may_be_stale,
            shard,
            view,
        })
    }

    pub(crate) async fn count_statistics(
        &self,
        call: StatisticsCall,
    ) -> Vec<Result<StatisticsAnswer, LeafFault>> {
        let deadline = Instant::now() + call.remaining;
        let targets = self.targets(&call.shards, deadline).await;
        let request = call.request;
        let num_terms: usize = request
            .fields
            .values()
            .map(|terms| terms.len().max(1))
            .sum();
        let length = match num_terms * targets.len() <= FEW_LOOKUPS {
            true => Length::Brief,
            false => Length::Short,
        };
        let copies = copies_of(&targets);
        let count = move |view: &Arc<View>, control: &Control| {
            let statistics = statistics::statistics(view, &request, control)?;
            Ok(StatisticsAnswer {
                view: view.id(),
                generation: view.generation(),
                statistics,
                num_documents: Some(view.num_documents()),
                may_be_stale: false,
            })
        };
        let mut answers = self.each(targets, deadline, length, count).await;
        mark_stale(&mut answers, &copies, |answer| {
            answer.may_be_stale = true;
        });
        answers
    }

    pub(crate) async fn expand_patterns(
        &self,
        call: ExpandCall,
    ) -> Vec<Result<ExpandAnswer, LeafFault>> {
        let deadline = Instant::now() + call.remaining;
        let targets = self.targets(&call.shards, deadline).await;
        let copies = copies_of(&targets);
        let (requests, memory) = (call.requests, self.query_memory());
        let views = targets.iter().flatten().map(|copy| &*copy.view);
        let length = expand::length(views, &requests);
        let expand = move |view: &Arc<View>, control: &Control| {
            // The terms of all patterns are answered together.
            let mut held = memory.reserve(0)?;
            let candidates = requests
                .iter()
                .map(|request| expand::expand(view, request, control, &mut held));
            let candidates = candidates.collect::<Result<_, _>>()?;
            Ok(ExpandAnswer {
                view: view.id(),
                generation: view.generation(),
                candidates,
                may_be_stale: false,
            })
        };
        let mut answers = self.each(targets, deadline, length, expand).await;
        mark_stale(&mut answers, &copies, |answer| {
            answer.may_be_stale = true;
        });
        answers
    }

    /// Does the same on each view, which takes so long for all of them, and answers per shard.
    async fn each<T, F>(
        &self,
        targets: Vec<Target>,
        deadline: Instant,
        length: Length,
        job: F,
    ) -> Vec<Result<T, LeafFault>>
    where
        T: Send + 'static,
        F: Fn(&Arc<View>, &Control) -> Result<T, EngineError> + Send + 'static,
    {
        let views: Vec<Arc<View>> = targets
            .iter()
            .filter_map(|target| Some(Arc::clone(&target.as_ref().ok()?.view)))
            .collect();
        let jobs = move |control: &Arc<Control>| {
            let answers = views.iter().map(|view| job(view, control));
            answers.collect::<Vec<_>>()
        };
        let outcome = self.pool.run(length, deadline, jobs).await;
        joined(targets, outcome)
    }

    pub(crate) async fn search_shards(
        &self,
        call: SearchCall,
    ) -> Vec<Result<ShardHits, LeafFault>> {
        let deadline = Instant::now() + call.remaining;
        loop {
            let (answers, was_cut) = self.search_together(&call, deadline).await;
            // Shards share what ranks among the best: one that was cut may have kept hits of others out. It is not evaluated
            // again, so this ends.
            if !was_cut || answers.iter().all(Result::is_err) {
                return answers;
            }
        }
    }

    /// Evaluates the shards of a call; returns with the answers whether one of them was cut meanwhile.
    async fn search_together(
        &self,
        call: &SearchCall,
        deadline: Instant,
    ) -> (Vec<Result<ShardHits, LeafFault>>, bool) {
        let started = Instant::now();
        let targets = self.targets(&call.shards, deadline).await;
        let readable: Vec<CopyView> = targets
            .iter()
            .filter_map(|target| target.as_ref().ok().cloned())
            .collect();
        let views: Vec<search::Target> = readable
            .iter()
            .map(|copy| search::Target {
                key: copy.shard.key,
                view: Arc::clone(&copy.view),
            })
            .collect();
        let query = Arc::clone(&call.query);
        let length = Length::of(&views, &query);
        let resources = SearchResources {
            filters: Arc::clone(&self.filters),
            memory: self.query_memory(),
            pool: self.pool.lane(length.into()).rayon(),
        };
        let asked = readable.clone();
        let counters = readable.iter().map(|copy| &copy.shard.counters);
        let running = UnderWay::all(counters.map(|counters| &counters.queries_now));
        let job = move |control: &Arc<Control>| {
            let begun = Instant::now();
            let (mut answers, took) =
                search::search_timed(&views, &query, &resources.with(control));
            let taken = took.shared + took.targets.iter().sum::<Duration>();
            gleaner_telemetry::note_shards(views.iter().map(|of| of.key).zip(took.targets));
            let cpu = CpuTime::default();
            cpu.time(|| {
                for (copy, answer) in asked.iter().zip(&mut answers) {
                    if let Ok(hits) = answer {
                        hits.may_be_stale = copy.may_be_stale();
                        hits.unmatched = copy.shard.unmatched(&copy.view, &query, hits, control);
                    }
                }
            });
            let times = LeafTimes {
                queue: begun - started,
                evaluate: begun.elapsed(),
                cpu: taken + cpu.get(),
            };
            for answer in answers.iter_mut().flatten() {
                answer.times = Some(times);
            }
            answers
        };
        let outcome = self.pool.run(length, deadline, job).await;
        let took = started.elapsed();
        QUERY_SECONDS.record(took);
        drop(running);
        let mut was_cut = false;
        for copy in readable {
            let counters = &copy.shard.counters;
            Counters::add(&counters.query, &counters.query_us, took);
            was_cut |= check_uncut(&copy.shard).is_err();
        }
        (joined(targets, outcome), was_cut)
    }

    /// Opens the account of one call: that of the request, where this process works for it.
    pub(crate) fn query_memory(&self) -> Arc<MemoryAccount> {
        let limit = self.memory_per_query_bytes;
        let open = || self.memory.child(LeafFault::QUERY_ACCOUNT, limit);
        let account = gleaner_telemetry::in_common(open);
        // In a process of several nodes another one may have been first.
        let is_own = account.is_child_of(&self.memory);
        if is_own { account } else { open() }
    }
}

/// Returns a stored document as it is answered.
pub(crate) fn document(stored: StoredDocument) -> Document {
    let StoredDocument {
        id,
        routing,
        seq_no,
        term,
        version,
        source,
        place: _,
    } = stored;
    Document {
        id,
        routing,
        seq_no,
        term,
        version,
        source,
    }
}

/// Longest time a search waits for a shard that is being opened, within half of its deadline: a new
/// index opens in milliseconds, a long replay is not waited for.
const OPENING_PATIENCE: Duration = Duration::from_secs(5);

/// Longest time that the shards of a call wait for one among them which does not show yet what is
/// wanted, within a quarter of their time: it is asked again by itself then, and waited for. Some
/// milliseconds are usual; it may be for ever where the primary is gone.
const BEHIND_PATIENCE: Duration = Duration::from_millis(25);

/// Terms times shards that are looked up on the caller's thread: some 5 µs each, in all segments.
const FEW_LOOKUPS: usize = 64;

/// What an evaluation may use.
struct SearchResources {
    filters: Arc<FilterCache>,
    memory: Arc<MemoryAccount>,
    pool: Arc<rayon::ThreadPool>,
}

impl SearchResources {
    fn with<'a>(&'a self, control: &'a Arc<Control>) -> SearchEnv<'a> {
        let (filters, memory) = (&self.filters, &self.memory);
        SearchEnv {
            control,
            filters,
            memory,
            pool: Some(&self.pool),
        }
    }
}

/// Puts results back beside the shards that could be read, and faults beside the others.
pub(crate) fn joined<T>(
    targets: Vec<Target>,
    outcome: Result<Vec<Result<T, EngineError>>, PoolFault>,
) -> Vec<Result<T, LeafFault>> {
    let mut results = outcome.map(Vec::into_iter);
    let one = |target: Target| {
        let shard = target?.shard;
        let result = results.as_mut().map(Iterator::next);
        check_uncut(&shard)?;
        match result {
            Err(fault) => Err(job_fault(&shard, fault)),
            Ok(result) => match result {
                Some(result) => result.map_err(|error| copy_fault(&shard, &error)),
                None => Err(LeafFault::Internal {
                    shard: shard.key,
                    reason: "the evaluation answered for fewer shards than it was asked".to_owned(),
                }),
            },
        }
    };
    targets.into_iter().map(one).collect()
}
