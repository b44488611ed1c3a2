//! A search made ready: numbers tabulated, clauses lowered, counters at zero.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use gleaner_query::answer::{ShardHits, SortValue};
use gleaner_query::resolved::{Clause, ShardQuery};
use gleaner_query::search::{SortTarget, TrackTotal};
use parking_lot::Mutex;
use tantivy::query::Weight;

use super::aggregations::{self, LiveFilters};
use super::sorting::{SortedHit, Sorting};
use super::{SearchEnv, Target, answer, count, prune, walk};
use crate::control::{Reservation, Stop};
use crate::lower::{self, Scope};
use crate::partial::Aggregations;
use crate::score::bound::Slack;
use crate::score::model::Model;
use crate::score::top::SharedTop;
use crate::view::SegmentView;
use crate::{EngineError, aggregate};

/// Bytes of an entry of the shared top.
const SCORED_BYTES: u64 = 32;
/// Bytes of a sorted hit without its texts.
const SORTED_BYTES: u64 = 160;

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
    pub(super) slack: Slack,
    /// Whether any use of the matches needs their scores.
    pub(super) needs_scores: bool,
    pub(super) aggregations_need_scores: bool,
    pub(super) top: SharedTop,
    /// Matches of all shards counted so far, and how many are wanted.
    pub(super) counted: AtomicU64,
    pub(super) count_limit: u64,
    _memory: Reservation,
}

/// What the hits are ordered by.
pub(super) enum Order {
    /// Nothing: only totals and aggregations are wanted.
    None,
    /// The score; `Some`: only hits after this one.
    Score(Option<AfterScore>),
    /// Sort keys.
    Keys(Sorting),
}

/// A point of the order by score.
pub(super) struct AfterScore {
    pub(super) score: f64,
    pub(super) tie: Option<AfterTie>,
}

/// A tie-break to go on after.
#[derive(Debug, Clone)]
pub(super) struct AfterTie {
    pub(super) hash: u64,
    pub(super) id: Option<gleaner_model::DocumentId>,
}

/// One shard of the request.
pub(super) struct Shard<'a> {
    pub(super) target: &'a Target,
    pub(super) index: usize,
    /// Scores or only matches, as the request needs.
    pub(super) weight: Arc<dyn Weight>,
    /// Only matches, where `weight` scores and matches are counted apart.
    pub(super) counting: Option<Box<dyn Weight>>,
    pub(super) post_filter: Option<Box<dyn Weight>>,
    pub(super) aggregations: Option<aggregate::Plan<'a>>,
    pub(super) way: Way,
    pub(super) total: AtomicU64,
    /// Documents looked at, for `terminate_after`.
    pub(super) seen: AtomicU64,
    pub(super) is_late: AtomicBool,
    pub(super) is_terminated: AtomicBool,
    pub(super) found: Mutex<Found>,
}

/// How a shard's segments are evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Every match is looked at.
    Walk,
    /// Matches are skipped by block maxima; they are counted apart.
    Prune,
    /// Matches are counted, nothing else is wanted.
    Count,
    /// Totals are known and nothing else is wanted.
    Nothing,
}

/// What segments have handed in.
#[derive(Default)]
pub(super) struct Found {
    pub(super) error: Option<EngineError>,
    pub(super) sorted: Vec<SortedHit>,
    pub(super) aggregations: Vec<(u32, Aggregations)>,
    pub(super) max_score: Option<f32>,
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

/// Segments of one shard to evaluate one after the other.
pub(super) struct Task {
    shard: usize,
    segments: Vec<u32>,
    size: u32,
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
        let order = order_of(query)?;
        let num_segments: usize = targets
            .iter()
            .map(|target| target.view.segments().len())
            .sum();
        let bytes = match order {
            Order::None => 0,
            Order::Score(_) => query.top as u64 * SCORED_BYTES,
            Order::Keys(_) => (query.top * num_segments.max(1)) as u64 * SORTED_BYTES,
        };
        let mut plans = Vec::with_capacity(targets.len());
        for (index, (&target, documents)) in targets.iter().zip(filters).enumerate() {
            let plan = aggregations::plan(query, target, documents, env);
            plans.push(plan.map_err(Unready::at(index))?);
        }
        let aggregations_need_scores = plans.iter().flatten().any(aggregate::Plan::needs_scores);
        let order_needs_scores = match &order {
            Order::None => false,
            Order::Score(_) => true,
            Order::Keys(sorting) => sorting.needs_scores() || query.track_scores,
        };
        let mut request = Self {
            query,
            env,
            model: Arc::new(Model::new(Arc::clone(&query.statistics))),
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
                TrackTotal::UpTo(limit) => limit,
                TrackTotal::Exact => u64::MAX,
            },
            _memory: env.memory.reserve(bytes)?,
        };
        for (index, (&target, plan)) in targets.iter().zip(plans).enumerate() {
            let shard = request.prepare(target, index, plan);
            request.shards.push(shard.map_err(Unready::at(index))?);
        }
        request.count_what_is_known()?;
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
        let query = self.query;
        let way = self.way(target);
        let post_filter = query.post_filter.as_ref();
        let weight = match self.twin(target, way) {
            Some(twin) => Arc::clone(&twin.weight),
            None if self.needs_scores => Arc::from(lower::query(&scope, &query.query)?),
            None => Arc::from(lower::unscored(&scope, self.clause)?),
        };
        let counting = match way {
            Way::Prune | Way::Count if self.count_limit > 0 => {
                Some(lower::unscored(&scope, self.clause)?)
            }
            _ => None,
        };
        Ok(Shard {
            target,
            index,
            weight,
            counting,
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

    /// Returns a shard made ready before whose weight serves this one too: of terms of text, in the
    /// same columns. A term's weight is a table of 256 numbers, made once instead of per shard.
    fn twin(&self, target: &Target, way: Way) -> Option<&Shard<'a>> {
        if way != Way::Prune {
            return None;
        }
        let fields = lower::pruned_fields(&target.view, self.clause)?;
        let column = |view: &crate::View, field: &gleaner_model::FieldPath| {
            view.fields()
                .text(field.as_str())
                .map(|handle| handle.column)
        };
        let has_same_columns = |shard: &&Shard<'a>| {
            let other = &shard.target.view;
            shard.way == Way::Prune
                && fields
                    .iter()
                    .all(|field| column(other, field) == column(&target.view, field))
        };
        self.shards.iter().find(has_same_columns)
    }

    fn way(&self, target: &Target) -> Way {
        let query = self.query;
        let is_ranked = matches!(self.order, Order::Score(_));
        let sees_all = !query.aggregations.is_empty()
            || query.min_score.is_some()
            || query.terminate_after.is_some();
        if sees_all || matches!(self.order, Order::Keys(_)) {
            return Way::Walk;
        }
        let is_pruned = lower::pruned_fields(&target.view, self.clause).is_some();
        match (is_ranked, is_pruned) {
            (true, true) => Way::Prune,
            (true, false) => Way::Walk,
            (false, _) => Way::Count,
        }
    }

    /// Takes totals that need no walk; if they reach the limit, or are all that is wanted, nothing
    /// is counted any more.
    fn count_what_is_known(&mut self) -> Result<(), Unready> {
        let query = self.query;
        let is_plain = query.post_filter.is_none()
            && query.min_score.is_none()
            && query.terminate_after.is_none();
        if self.count_limit == 0 || !is_plain {
            return Ok(());
        }
        let mut known = Vec::with_capacity(self.shards.len());
        for shard in &self.shards {
            known.push(match count::known(self, shard.target) {
                Ok(known) => known,
                // Every task will find the same and say that it is late.
                Err(EngineError::DeadlineExceeded) => return Ok(()),
                Err(error) => return Err(Unready::at(shard.index)(error)),
            });
        }
        let at_least: u64 = known.iter().map(|known| known.at_least()).sum();
        let is_settled = known.iter().all(count::Known::is_exact) || at_least >= self.count_limit;
        if !is_settled {
            return Ok(());
        }
        for (shard, known) in self.shards.iter_mut().zip(known) {
            *shard.total.get_mut() = known.at_least();
            shard.counting = None;
            if shard.way == Way::Count {
                shard.way = Way::Nothing;
            }
        }
        // Walks for other reasons must not count again.
        self.count_limit = 0;
        Ok(())
    }

    /// Returns the work in pieces, largest first.
    pub(super) fn tasks(&self) -> Vec<Task> {
        let mut tasks = Vec::new();
        for shard in self.shards.iter().filter(|shard| shard.way != Way::Nothing) {
            let segments = shard.target.view.segments();
            let task = |segments: &[SegmentView]| Task {
                shard: shard.index,
                segments: segments.iter().map(SegmentView::ord).collect(),
                size: segments
                    .iter()
                    .map(|segment| segment.reader().max_doc())
                    .sum(),
            };
            if self.query.terminate_after.is_some() {
                tasks.push(task(segments));
            } else {
                tasks.extend(segments.chunks(1).map(task));
            }
        }
        tasks.sort_by_key(|task| std::cmp::Reverse(task.size));
        tasks
    }

    /// Returns roughly how many postings or documents will be looked at.
    pub(super) fn estimated_work(&self) -> u64 {
        let documents = || {
            self.shards
                .iter()
                .map(|shard| shard.target.view.num_documents())
                .sum()
        };
        if self.shards.iter().all(|shard| shard.way == Way::Prune) {
            return self.model.num_postings().min(documents());
        }
        documents()
    }

    /// Evaluates a task; what it finds, and how it fails, is left with its shard.
    pub(super) fn run(&self, task: &Task) {
        let shard = &self.shards[task.shard];
        for &ord in &task.segments {
            let segment = &shard.target.view.segments()[ord as usize];
            let outcome = match self.env.control.check() {
                Ok(()) => self.evaluate(shard, segment),
                Err(stop) => Err(stop.into()),
            };
            // Errors that tantivy carried through are told from others by the control.
            match (outcome, self.env.control.check()) {
                (Ok(()), _) => {}
                (Err(EngineError::DeadlineExceeded), _) | (Err(_), Err(Stop::Deadline)) => {
                    shard.is_late.store(true, Ordering::Relaxed);
                }
                (Err(_), Err(Stop::Cancelled)) => {
                    shard.found.lock().error = Some(EngineError::Cancelled);
                }
                (Err(error), Ok(())) => shard.found.lock().error = Some(error),
            }
            if shard.is_terminated.load(Ordering::Relaxed) {
                return;
            }
        }
    }

    fn evaluate(&self, shard: &Shard<'a>, segment: &SegmentView) -> Result<(), EngineError> {
        match shard.way {
            Way::Walk => walk::segment(self, shard, segment),
            Way::Prune => {
                count::segment(self, shard, segment)?;
                prune::segment(self, shard, segment)
            }
            Way::Count => count::segment(self, shard, segment),
            Way::Nothing => Ok(()),
        }
    }

    /// Returns one answer per shard.
    pub(super) fn into_answers(self) -> Vec<Result<ShardHits, EngineError>> {
        answer::assemble(self)
    }
}

/// Reads order and starting point of a query.
fn order_of(query: &ShardQuery) -> Result<Order, EngineError> {
    if query.top == 0 {
        return Ok(Order::None);
    }
    let is_by_score = match query.sort.as_slice() {
        [] => true,
        [only] => only.target == SortTarget::Score && only.descending,
        _ => false,
    };
    if !is_by_score {
        return Ok(Order::Keys(Sorting::new(&query.sort)));
    }
    if let Some(after) = &query.after {
        let tie = after.tie.as_ref();
        let tie = tie.map(|tie| AfterTie {
            hash: tie.hash,
            id: tie.id.clone(),
        });
        let score = match after.keys.first() {
            Some(SortValue::F64(score)) => *score,
            other => return Err(EngineError::Internal(format!("{other:?} is no score"))),
        };
        return Ok(Order::Score(Some(AfterScore { score, tie })));
    }
    let Some(values) = &query.search_after else {
        return Ok(Order::Score(None));
    };
    let refuse = || EngineError::Query(format!("search_after {values:?} does not fit the sort"));
    let score = values
        .first()
        .and_then(serde_json::Value::as_f64)
        .ok_or_else(refuse)?;
    let tie = match values.get(1) {
        None => None,
        Some(hash) => Some(AfterTie {
            hash: hash.as_u64().ok_or_else(refuse)?,
            id: None,
        }),
    };
    Ok(Order::Score(Some(AfterScore { score, tie })))
}
