//! A search made ready: numbers tabulated, clauses lowered, counters at zero.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use gleaner_partial::EvaluationError;
use gleaner_partial::control::{Ledger, Reservation, Stop};
use gleaner_partial::score::model::Model;
use gleaner_query::answer::ShardHits;
use gleaner_query::resolved::{Clause, ShardQuery};
use gleaner_query::search::TrackTotal;
use parking_lot::Mutex;
use tantivy::query::Weight;

use super::aggregations::{self, LiveFilters};
use super::answer::SegmentAnswers;
use super::order::Order;
use super::proximity::Proximity;
use super::prune::{Plan, Pruning, ShardPlan, Totals};
use super::shape::Shape;
use super::tally::{ShardTally, Tally};
use super::task::Task;
use super::{SearchEnv, Target, answer, cost, count, ordered, prune, tally, walk};
use crate::lower::{self, Scope};
use crate::score::bound::Slack;
use crate::score::top::SharedTop;
use crate::view::SegmentView;
use crate::{EngineError, aggregate};

/// Bytes of an entry of the shared top.
const SCORED_BYTES: u64 = 32;
/// Bytes of a sorted hit without its texts.
const SORTED_BYTES: u64 = 96;
/// Bytes of each of its keys, as they are compared and as they are answered, beside their texts.
const KEY_BYTES: u64 = 64;

/// One search over all shards of a leaf.
pub(super) struct Request<'a> {
    pub(super) query: &'a ShardQuery,
    pub(super) env: &'a SearchEnv<'a>,
    pub(super) model: Arc<Model>,
    pub(super) shards: Vec<Shard<'a>>,
    pub(super) order: Order,
    /// The query without outer boosts, and their product.
    pub(super) clause: &'a Clause,
    pub(super) boost: f64,
    /// How the query is ranked without looking at every match; `None` where all are looked at.
    plan: Option<Plan<'a>>,
    /// How its matches are counted by their lists alone; `None` where nothing is to be counted, or
    /// counting is left to those who look at the matches.
    pub(super) tally: Option<Tally<'a>>,
    pub(super) slack: Slack,
    /// Whether any use of the matches needs their scores.
    pub(super) needs_scores: bool,
    pub(super) aggregations_need_scores: bool,
    pub(super) top: SharedTop,
    /// Matches of all shards counted so far, and how many are wanted.
    pub(super) counted: AtomicU64,
    pub(super) count_limit: u64,
    /// What the texts of the best hits' keys are charged to.
    pub(super) texts: Ledger,
    _memory: Reservation,
}

/// One shard of the request.
pub(super) struct Shard<'a> {
    pub(super) target: &'a Target,
    pub(super) index: usize,
    pub(super) post_filter: Option<Box<dyn Weight>>,
    pub(super) aggregations: Option<aggregate::Plan<'a>>,
    pub(super) way: Way,
    pub(super) total: AtomicU64,
    /// Documents looked at, for `terminate_after`.
    pub(super) seen: AtomicU64,
    pub(super) is_late: AtomicBool,
    pub(super) is_terminated: AtomicBool,
    pub(super) found: Mutex<SegmentAnswers>,
}

/// How a shard's segments are evaluated.
pub(super) enum Way {
    /// Every match is looked at; the weight scores or only matches, as the request needs.
    Walk(Box<dyn Weight>),
    /// As `Walk`, but where that costs less the hits are found along an order of the documents.
    Probe(Box<dyn Weight>),
    /// Documents are skipped by bounds; a tally, if there is one, counts beside that.
    Prune(ShardPlan, Option<ShardTally>),
    /// Matches are counted, nothing else is wanted.
    Count(Box<dyn Weight>),
    /// As `Count`, by their lists alone.
    Tally(ShardTally),
    /// Totals are known and nothing else is wanted.
    Nothing,
}

/// Why a search could not be made ready.
pub(super) struct Unready {
    /// The shard that failed; `None`: all of them.
    pub(super) target: Option<usize>,
    /// What went wrong.
    pub(super) error: EngineError,
}

impl Unready {
    fn at(index: usize) -> impl FnOnce(EngineError) -> Self {
        move |error| Self {
            target: Some(index),
            error,
        }
    }
}

impl From<EngineError> for Unready {
    fn from(error: EngineError) -> Self {
        Self {
            target: None,
            error,
        }
    }
}

impl From<EvaluationError> for Unready {
    fn from(error: EvaluationError) -> Self {
        EngineError::from(error).into()
    }
}

impl<'a> Request<'a> {
    /// Makes `query` ready for `targets`.
    pub(super) fn new(
        targets: &[&'a Target],
        filters: &'a [LiveFilters],
        query: &'a ShardQuery,
        env: &'a SearchEnv<'a>,
    ) -> Result<Self, Unready> {
        let (clause, boost) = lower::simplify(&query.query, 1.0);
        let slack = Slack::of(lower::num_nodes(clause)).with_dis_max(lower::widest_dis_max(clause));
        let order = Order::of(query)?;
        let num_segments: usize = targets
            .iter()
            .map(|target| target.view.segments().len())
            .sum();
        let bytes = match order {
            Order::None => 0,
            Order::Score(_) => query.top as u64 * SCORED_BYTES,
            Order::Keys(_) => {
                let of_hit = SORTED_BYTES + KEY_BYTES * query.sort.len() as u64;
                (query.top * num_segments.max(1)) as u64 * of_hit
            }
        };
        let mut memory = env.memory.reserve(bytes)?;
        let num_threads = env.pool.map_or(1, rayon::ThreadPool::current_num_threads);
        let num_at_once = num_segments.min(num_threads);
        cost::charge(query, num_at_once, env.control, &mut memory)?;
        let mut aggregations = Vec::with_capacity(targets.len());
        for (index, &target) in targets.iter().enumerate() {
            aggregations.push(match filters.get(index) {
                Some(documents) => {
                    aggregations::plan(query, target, documents, env).map_err(Unready::at(index))?
                }
                None => None,
            });
        }
        let mut scored_by = aggregations.iter().flatten();
        let aggregations_need_scores = scored_by.any(aggregate::Plan::needs_scores);
        let order_needs_scores = match &order {
            Order::None => false,
            Order::Score(_) => true,
            Order::Keys(sorting) => sorting.needs_scores() || query.track_scores,
        };
        let shape = if sees_all(query, &order) {
            None
        } else {
            Shape::of(clause, boost)
        };
        let statistics = Arc::clone(&query.statistics);
        let model = Arc::new(Model::new(statistics, &query.similarities));
        let mut request = Self {
            plan: plan_of(query, &order, shape.as_ref(), &model)?,
            tally: None,
            query,
            env,
            model,
            shards: Vec::with_capacity(targets.len()),
            order,
            clause,
            boost,
            slack,
            needs_scores: order_needs_scores
                || query.min_score.is_some()
                || aggregations_need_scores,
            aggregations_need_scores,
            top: SharedTop::new(query.top),
            counted: AtomicU64::new(0),
            count_limit: match query.track_total {
                TrackTotal::No => 0,
                // One match beyond it tells that there are more.
                TrackTotal::UpTo(limit) => limit.saturating_add(1),
                TrackTotal::Exact => u64::MAX,
            },
            texts: Ledger::open(env.memory)?,
            _memory: memory,
        };
        let totals = request.known_totals(targets)?;
        request.tally = request.tally_of(shape.as_ref());
        for (index, (&target, plan)) in targets.iter().zip(aggregations).enumerate() {
            let mut shard = request
                .prepare(target, index, plan)
                .map_err(Unready::at(index))?;
            if let Some(totals) = &totals {
                *shard.total.get_mut() = totals[index];
            }
            request.shards.push(shard);
        }
        Ok(request)
    }

    /// Returns what lowering needs for one shard.
    pub(super) fn scope<'s>(&'s self, target: &'s Target) -> Scope<'s> {
        Scope {
            view: &target.view,
            model: &self.model,
            control: self.env.control,
            filters: self.env.filters,
        }
    }

    fn prepare(
        &self,
        target: &'a Target,
        index: usize,
        aggregations: Option<aggregate::Plan<'a>>,
    ) -> Result<Shard<'a>, EngineError> {
        let scope = self.scope(target);
        let way = self.way(&scope)?;
        let post_filter = self.query.post_filter.as_ref();
        Ok(Shard {
            target,
            index,
            post_filter: post_filter
                .map(|clause| lower::filter(&scope, clause))
                .transpose()?,
            aggregations,
            way,
            total: AtomicU64::new(0),
            seen: AtomicU64::new(0),
            is_late: AtomicBool::new(false),
            is_terminated: AtomicBool::new(false),
            found: Mutex::default(),
        })
    }

    fn way(&self, scope: &Scope<'_>) -> Result<Way, EngineError> {
        let query = self.query;
        if sees_all(query, &self.order) {
            return Ok(if self.needs_scores {
                Way::Walk(lower::query(scope, &query.query)?)
            } else if wants_hits_alone(query) {
                Way::Probe(lower::unscored(scope, self.clause)?)
            } else {
                Way::Walk(lower::unscored(scope, self.clause)?)
            });
        }
        if matches!(self.order, Order::None) {
            return Ok(if self.count_limit == 0 {
                Way::Nothing
            } else if let Some(own) = self.tally_on(scope)? {
                Way::Tally(own)
            } else {
                Way::Count(lower::unscored(scope, self.clause)?)
            });
        }
        if let Some(plan) = &self.plan
            && let Some(own) = plan.on_shard(scope.view)?
        {
            if scope.view.segments().is_empty() {
                plan.check_gates(scope)?;
            }
            return Ok(Way::Prune(own, self.tally_on(scope)?));
        }
        let weight = lower::query(scope, &query.query)?;
        let is_ordered = lower::has_one_score(scope.view, self.clause)
            || Proximity::of(scope.view, self.clause).is_some();
        Ok(if is_ordered {
            Way::Probe(weight)
        } else {
            Way::Walk(weight)
        })
    }

    /// Returns what counts the matches by their lists alone; `None` where nothing is left to be counted. Up to
    /// a limit the walk that ranks counts as it goes: it skips nothing until there are enough, and then it need
    /// not read the same lists twice.
    fn tally_of(&self, shape: Option<&Shape<'a>>) -> Option<Tally<'a>> {
        let query = self.query;
        let is_counted_apart =
            matches!(self.order, Order::None) || query.track_total == TrackTotal::Exact;
        if self.count_limit == 0 || !is_counted_apart || query.post_filter.is_some() {
            return None;
        }
        Tally::of(shape?)
    }

    fn tally_on(&self, scope: &Scope<'_>) -> Result<Option<ShardTally>, EngineError> {
        match &self.tally {
            Some(tally) => tally.on_shard(scope.view),
            None => Ok(None),
        }
    }

    /// Returns the totals that need no walk, if they are enough or all that is wanted; then
    /// nothing is counted any more.
    fn known_totals(&mut self, targets: &[&Target]) -> Result<Option<Vec<u64>>, Unready> {
        let query = self.query;
        let is_plain = query.post_filter.is_none()
            && query.min_score.is_none()
            && query.terminate_after.is_none();
        if self.count_limit == 0 || !is_plain {
            return Ok(None);
        }
        let mut totals = Vec::with_capacity(targets.len());
        let mut is_exact = true;
        for (index, target) in targets.iter().enumerate() {
            let known = match count::known(&target.view, self.clause, self.env.control) {
                Ok(known) => known,
                // Every task will find the same and say that it is late.
                Err(EngineError::Evaluation(EvaluationError::DeadlineExceeded)) => return Ok(None),
                Err(error) => return Err(Unready::at(index)(error)),
            };
            is_exact &= known.is_exact();
            totals.push(known.at_least());
        }
        if !is_exact && totals.iter().sum::<u64>() < self.count_limit {
            return Ok(None);
        }
        self.count_limit = 0;
        Ok(Some(totals))
    }

    /// Returns whether all matches of a segment are looked at for aggregations as they are.
    pub(super) fn takes_matches(&self, shard: &Shard<'_>, segment: &SegmentView) -> bool {
        !segment.reader().has_deletes()
            && shard.post_filter.is_none()
            && self.query.min_score.is_none()
            && self.query.terminate_after.is_none()
    }

    /// Evaluates a task; what it finds, and how it fails, is left with its shard.
    pub(super) fn run(&self, task: &Task) {
        let shard = &self.shards[task.shard()];
        for segment in task.segments(self) {
            let outcome = match self.env.control.check() {
                Ok(()) => self.evaluate(task, shard, segment).and_then(|()| {
                    // Scorers that were cut short seem to have come to their end.
                    let whole = self.env.control.check_whole();
                    whole.map_err(EngineError::from)
                }),
                Err(stop) => Err(stop.into()),
            };
            if let Err(refused) = self.env.control.check_refused() {
                shard.found.lock().error = Some(refused.into());
                return;
            }
            // The control says which errors are stops that tantivy carried through.
            match (outcome, self.env.control.check()) {
                (_, Err(Stop::Cancelled)) => {
                    shard.found.lock().error = Some(EvaluationError::Cancelled.into());
                }
                (Ok(()), _) => {}
                (Err(EngineError::Evaluation(EvaluationError::DeadlineExceeded)), _)
                | (Err(_), Err(Stop::Deadline)) => {
                    shard.is_late.store(true, Ordering::Relaxed);
                }
                (Err(error), Ok(())) => shard.found.lock().error = Some(error),
            }
            if shard.is_terminated.load(Ordering::Relaxed) {
                return;
            }
        }
    }

    fn evaluate(
        &self,
        task: &Task,
        shard: &Shard<'a>,
        segment: &SegmentView,
    ) -> Result<(), EngineError> {
        match &shard.way {
            Way::Probe(weight) if self.is_behind(task) => {
                count::segment(self, shard, segment, weight.as_ref())
            }
            Way::Walk(weight) => {
                let docs = weight.scorer(segment.reader(), 1.0)?;
                walk::segment(self, shard, segment, docs)
            }
            Way::Probe(weight) => {
                let docs = weight.scorer(segment.reader(), 1.0)?;
                match ordered::segment(self, shard, segment, weight.as_ref(), docs)? {
                    Some(docs) => walk::segment(self, shard, segment, docs),
                    None => Ok(()),
                }
            }
            Way::Prune(own, own_tally) => {
                let Some(plan) = &self.plan else {
                    return Ok(());
                };
                let totals = match own_tally {
                    Some(_) => Totals::Left,
                    None => Totals::Counted,
                };
                let pruning = Pruning { plan, own, totals };
                match (prune::segment(self, shard, segment, &pruning)?, own_tally) {
                    (Totals::Left, Some(own)) => tally::segment(self, shard, segment, own),
                    _ => Ok(()),
                }
            }
            Way::Count(weight) => count::segment(self, shard, segment, weight.as_ref()),
            Way::Tally(own) => tally::segment(self, shard, segment, own),
            Way::Nothing => Ok(()),
        }
    }

    /// Returns one answer per shard.
    pub(super) fn into_answers(self) -> Vec<Result<ShardHits, EngineError>> {
        answer::assemble(self)
    }
}

/// Returns whether every match has to be looked at.
fn sees_all(query: &ShardQuery, order: &Order) -> bool {
    !query.aggregations.is_empty()
        || query.min_score.is_some()
        || query.terminate_after.is_some()
        || (matches!(order, Order::Keys(_)) && !order.is_by_score_first(query))
}

/// Returns whether nothing but the best hits and a total is wanted, so that other matches need not be looked at.
pub(super) fn wants_hits_alone(query: &ShardQuery) -> bool {
    query.aggregations.is_empty() && query.min_score.is_none() && query.terminate_after.is_none()
}

/// Returns how the query is ranked without looking at every match.
fn plan_of<'a>(
    query: &'a ShardQuery,
    order: &Order,
    shape: Option<&Shape<'a>>,
    model: &Model,
) -> Result<Option<Plan<'a>>, EngineError> {
    match shape {
        Some(shape) if order.is_by_score_first(query) => {
            Plan::new(shape, query.post_filter.as_ref(), model)
        }
        _ => Ok(None),
    }
}
