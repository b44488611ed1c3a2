//! Points in time: pinned views of shards, named by an opaque id.

mod holders;
mod opening;

use std::sync::Arc;
use std::time::Duration;

use futures::future::{join, join_all};
use gleaner_query::search::{PointInTime, SearchRequest};

use crate::RootError;
use crate::SharedParts;
use crate::cluster::ClusterView;
use crate::deadline::Deadline;
use crate::health::Phase;
use crate::plan::SearchedIndices;
use crate::plan::Target;
use crate::planner::Planner;
use crate::response::SearchResponse;
use crate::scatter::Scatterer;
use crate::scatter::Trip;
use crate::search::restart::LookUps;
use crate::search::{Page, PreparedSearch, SearchOptions, Searcher};
use crate::tasks::Tasks;
use crate::token::{self, IndexViews, PointInTimeState};
use opening::Openings;

/// Scrolls and points in time.
pub struct Contexts {
    pub(crate) cluster: Arc<ClusterView>,
    pub(crate) tasks: Arc<Tasks>,
    pub(crate) scatterer: Arc<Scatterer>,
    pub(crate) planner: Arc<Planner>,
    pub(crate) searcher: Arc<Searcher>,
}

impl Contexts {
    pub(crate) fn new(shared: &SharedParts, searcher: &Arc<Searcher>) -> Self {
        Self {
            cluster: Arc::clone(&shared.cluster),
            tasks: Arc::clone(&shared.tasks),
            scatterer: Arc::clone(&searcher.scatterer),
            planner: Arc::clone(&searcher.planner),
            searcher: Arc::clone(searcher),
        }
    }
}

/// What all ids of one scroll or point in time have in common, and what each of them says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// Stands for the context: random but for its upper 16 bits, which tell the root at which it was opened.
    pub number: u64,
    /// Time that its views live unused, once this id has been used.
    pub keep_alive: Duration,
}

impl Context {
    /// Returns the context that `id` is of; `None` for what is no id of a scroll or a point in time.
    pub fn of(id: &str) -> Option<Self> {
        let state = token::views_of(id).ok()?;
        Some(Self {
            number: state.holder,
            keep_alive: Duration::from_millis(state.keep_alive_ms),
        })
    }

    /// Returns whether the context was opened at the root called `name`; by chance, once in 65,536, also of another.
    pub fn is_begun_at(&self, name: &str) -> bool {
        self.number >> RANDOM_BITS == u64::from(mark_of(name))
    }
}

/// Bits of a context's number that are random.
const RANDOM_BITS: u32 = 48;

/// Returns what numbers of contexts opened at a root begin with: the lower half of the CRC-32C of its name.
fn mark_of(name: &str) -> u16 {
    crc32c::crc32c(name.as_bytes()) as u16
}

/// Returns the number of a context that is opened at the root called `name`.
fn number_at(name: &str) -> u64 {
    u64::from(mark_of(name)) << RANDOM_BITS | rand::random::<u64>() >> (u64::BITS - RANDOM_BITS)
}

/// What was pinned for a request.
pub(crate) struct PinnedShards {
    /// The views, as ids name them.
    pub(crate) state: PointInTimeState,
    /// How many of them may lack writes that were acknowledged before: no copy of those shards was found in time that
    /// lacks none.
    pub(crate) num_stale: u32,
}

impl Contexts {
    /// Pins the newest views of the target's shards and returns the id that names them.
    ///
    /// # Errors
    /// [`RootError::AllShardsFailed`] when a shard cannot be pinned: a point in time is whole.
    pub async fn open_pit(
        &self,
        target: &Target,
        keep_alive: Duration,
    ) -> Result<String, RootError> {
        let deadline = Deadline::after(self.cluster.default_timeout());
        let pinned = self.pin(target, keep_alive, deadline).await?;
        token::encode(&pinned.state)
    }

    /// Releases points in time; returns how many of the ids named views that were still there.
    ///
    /// # Errors
    /// [`RootError::BadToken`] for an id that cannot be read; nothing is released then.
    pub async fn close_pits(&self, ids: &[String]) -> Result<Vec<bool>, RootError> {
        let states = ids
            .iter()
            .map(|id| token::decode::<PointInTimeState>(id))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(join_all(states.iter().map(|state| self.release(state))).await)
    }

    /// Answers one search of a point in time, and keeps its views alive.
    pub(crate) async fn search_pit(
        &self,
        pit: &PointInTime,
        request: &SearchRequest,
        options: &SearchOptions,
    ) -> Result<SearchResponse, RootError> {
        let mut state: PointInTimeState = token::decode(&pit.id)?;
        if let Some(keep_alive) = pit.keep_alive {
            state.keep_alive_ms = self.checked_keep_alive(keep_alive)?.as_millis() as u64;
        }
        let indices = SearchedIndices::Pinned(&state);
        let search = PreparedSearch {
            page: Page {
                is_part: request.search_after.is_some(),
                after: None,
            },
            ..PreparedSearch::new(&self.cluster, indices, request, options)
        };
        let mut response = self.search_pinned(&state, &search).await?;
        response.pit_id = Some(token::encode(&state)?);
        Ok(response)
    }

    /// Searches the views of `state` and keeps them alive; where an index of them was deleted or closed, the
    /// search is refused.
    pub(crate) async fn search_pinned(
        &self,
        state: &PointInTimeState,
        search: &PreparedSearch<'_>,
    ) -> Result<SearchResponse, RootError> {
        let deadline = search.deadline;
        let answer = self.renewed(state, deadline, Box::pin(self.searcher.run(search)));
        let answer = answer.await;
        let look_up = || self.planner.pinned(state).map(drop);
        self.cluster
            .unless_vanished(answer, deadline, look_up)
            .await
    }

    /// Searches and keeps the views alive at the same time: neither waits for the other.
    pub(crate) async fn renewed<T>(
        &self,
        state: &PointInTimeState,
        deadline: Deadline,
        search: impl Future<Output = Result<T, RootError>>,
    ) -> Result<T, RootError> {
        let (renewed, answer) = join(self.renew(state, deadline), search).await;
        renewed?;
        answer
    }

    /// Pins the newest views of what `target` names, which is looked up again when an index of it is
    /// deleted or closed meanwhile.
    pub(crate) async fn pin(
        &self,
        target: &Target,
        keep_alive: Duration,
        deadline: Deadline,
    ) -> Result<PinnedShards, RootError> {
        let keep_alive = self.checked_keep_alive(keep_alive)?;
        let mut look_ups = LookUps::default();
        loop {
            let pinned = self.pin_now(target, keep_alive, deadline).await;
            let Err(error) = &pinned else {
                return pinned;
            };
            let has_vanished = self.cluster.has_vanished(error.failures(), deadline).await;
            if !has_vanished || !look_ups.allow_another(deadline) {
                return pinned;
            }
        }
    }

    async fn pin_now(
        &self,
        target: &Target,
        keep_alive: Duration,
        deadline: Deadline,
    ) -> Result<PinnedShards, RootError> {
        let holder = number_at(&self.cluster.options.node.0);
        let plans = self.planner.targets(target)?;
        let mut trip = Trip::new(deadline);
        let openings = Openings::default();
        let gathered = self
            .scatterer
            .scatter(&plans, &mut trip, Phase::OpenViews, |call| {
                openings.open(call, keep_alive, holder)
            })
            .await;
        let mut state = PointInTimeState {
            keep_alive_ms: keep_alive.as_millis() as u64,
            holder,
            ..PointInTimeState::default()
        };
        let (mut failures, mut num_stale) = (Vec::new(), 0);
        for (plan, answers) in plans.iter().zip(gathered.answers) {
            let mut views = Vec::with_capacity(answers.len());
            for answer in answers {
                match answer {
                    Ok(answer) => {
                        let pinned = answer.value;
                        openings.keep(&answer.node, &pinned);
                        num_stale += u32::from(pinned.may_be_stale);
                        let node = state.number_of(&answer.node);
                        views.push((pinned.shard.shard.0, pinned.view.0, node));
                    }
                    Err(failure) => failures.push(failure),
                }
            }
            let alias_filters = plan.alias_filter_texts.clone();
            state.indices.push(IndexViews {
                index: plan.index.uuid.0,
                views,
                alias_filters,
            });
        }
        if failures.is_empty() {
            return Ok(PinnedShards { state, num_stale });
        }
        self.release(&state).await;
        Err(RootError::AllShardsFailed {
            phase: "open_pit",
            failures,
        })
    }

    pub(crate) fn checked_keep_alive(&self, keep_alive: Duration) -> Result<Duration, RootError> {
        let limit = self.cluster.max_keep_alive();
        if keep_alive <= limit {
            return Ok(keep_alive);
        }
        Err(gleaner_query::QueryError::illegal(format!(
            "Keep alive for request ({}s) is too large. It must be less than ({}s). This limit can \
             be set by changing the [search.max_keep_alive] cluster level setting.",
            keep_alive.as_secs(),
            limit.as_secs()
        ))
        .into())
    }
}
