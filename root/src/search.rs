//! The search's way: prepare → plan → statistics → scatter → merge → fetch.
//!
//! ```text
//! begun again because                                   with
//! answers are of moments that do not fit (torn)         the newest moments, counted anew
//! copies of one call showed different ones (mixed)      the same, each shard by a call of its own
//! a copy lost what it had answered from (lost)          the same, that leaf asked last
//! an index was deleted or closed meanwhile (vanished)   the names looked up again
//! ```
//!
//! Each at most [`MAX_RESTARTS`] times, and only while there is time. Read first: [`Searcher::run`].

mod by_shards;
mod coverage;
mod gather;
mod inner_hits;
mod outgrown;
pub(crate) mod phase;
mod prepared;
mod preparing;
mod rescore;
pub(crate) mod restart;
mod shard_query;
mod skipping;

use std::sync::Arc;

use gleaner_model::Edition;
use gleaner_partial::control::Control;
use gleaner_query::canonical::edition::SettingsDigest;
use gleaner_query::search::{Scatter, SearchRequest};
use gleaner_telemetry::{NotedShards, Span, SpanKind, traced};
use tokio::time::Instant;

use crate::by_term::TermScatter;
use crate::cluster::ClusterView;
use crate::edition::Editions;
use crate::memory::Accounts;
use crate::plan::{IndexPlan, SearchedIndices, Target};
use crate::planner::Planner;
use crate::response::{SearchResponse, ShardSummary};
use crate::scatter::{Scatterer, Trip};
use crate::slow_log::{self, SearchTimes};
use crate::tasks::Action;
use crate::waterfall::Waterfall;
use crate::work::Workers;
use crate::{Root, RootError, SharedParts};
use outgrown::note_outgrown;
use preparing::{apply_boosts, check_indices, check_search_after, check_unsliced};
use skipping::skip_hopeless;

pub(crate) use by_shards::{ShardScatter, is_expected, lost_a_view, mark_unexpected};
pub(crate) use coverage::check_page;
use phase::{CommonRequest, QueryPhase};
pub use prepared::SearchOptions;
pub(crate) use prepared::{Page, PreparedSearch};
pub(crate) use preparing::refused;
use restart::{LookUps, Restart, Stop};
pub(crate) use shard_query::{Tie, shard_query, wanted_hits};

/// Answers searches.
pub struct Searcher {
    pub(crate) cluster: Arc<ClusterView>,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) scatterer: Arc<Scatterer>,
    pub(crate) planner: Arc<Planner>,
    pub(crate) by_shards: ShardScatter,
    pub(crate) by_terms: TermScatter,
    pub(crate) workers: Arc<Workers>,
    pub(crate) editions: Arc<Editions>,
}

/// A search whose queries are resolved for each index.
struct PlannedSearch {
    plans: Vec<IndexPlan>,
    /// Digest of the cluster's settings at that time.
    settings: SettingsDigest,
    trip: Trip,
    /// Whether its queries have patterns, which stand for what the shards hold.
    has_patterns: bool,
    /// Whether the patterns must be resolved again.
    is_outdated: bool,
}

impl PlannedSearch {
    /// Goes back to the newest of every shard.
    fn begin_again(&mut self, restart: Restart) {
        self.plans.iter_mut().for_each(IndexPlan::unbind);
        self.trip.num_restarts += 1;
        // Asked as before they would be mixed again, as long as the copies show what they do.
        self.trip.is_apart |= restart == Restart::Mixed;
        // They may stand for other terms now.
        self.is_outdated = self.has_patterns;
    }
}

impl Root {
    /// Answers one search.
    ///
    /// # Errors
    /// [`RootError`] when the request is wrong, when no shard answered, or when partial answers are
    /// refused. Shards that failed are reported in the answer otherwise.
    ///
    /// # Cancel safety
    /// Dropping the future cancels everything that the search caused on leaves.
    pub async fn search(
        &self,
        target: &Target,
        request: &SearchRequest,
        options: &SearchOptions,
    ) -> Result<SearchResponse, RootError> {
        let work = async {
            if let Some(pit) = &request.pit {
                return Box::pin(self.contexts.search_pit(pit, request, options)).await;
            }
            check_unsliced(request)?;
            let indices = SearchedIndices::Named(target);
            let search = PreparedSearch::new(&self.cluster, indices, request, options);
            self.searcher.run(&search).await
        };
        let span = Span::begin("search", SpanKind::Internal);
        let span = span.with("db.collection.name", target.name());
        // A box is cheaper to hand on than a large future.
        let work = Box::pin(span.around(work));
        let (action, name) = (Action::Search, target.name());
        self.tasks
            .as_task(action, name, &options.origin, work)
            .await
    }
}

impl Searcher {
    pub(crate) fn new(
        shared: &SharedParts,
        scatterer: &Arc<Scatterer>,
        planner: &Arc<Planner>,
    ) -> Self {
        Self {
            cluster: Arc::clone(&shared.cluster),
            accounts: Arc::clone(&shared.accounts),
            scatterer: Arc::clone(scatterer),
            planner: Arc::clone(planner),
            by_shards: ShardScatter::new(shared, scatterer),
            by_terms: TermScatter::new(shared, scatterer),
            workers: Arc::clone(&shared.workers),
            editions: Arc::clone(&shared.editions),
        }
    }

    /// Runs a search until it need not, or cannot, be begun again.
    pub(crate) async fn run(
        &self,
        search: &PreparedSearch<'_>,
    ) -> Result<SearchResponse, RootError> {
        let mut look_ups = LookUps::default();
        let mut planned = None;
        loop {
            let attempt = self.attempt(search, &mut planned).await;
            let restart = match &attempt {
                Err(Stop::Restart(reason)) => *reason,
                Err(Stop::Failed(error)) if self.has_vanished(search, error.failures()).await => {
                    Restart::Vanished
                }
                Ok(response) if self.has_vanished(search, &response.shards.failures).await => {
                    Restart::Vanished
                }
                Ok(_)
                    if self
                        .has_outgrown(planned.as_ref(), &mut look_ups, search)
                        .await =>
                {
                    Restart::Outgrown
                }
                Ok(_) | Err(Stop::Failed(_)) => {
                    let mut response = attempt.map_err(Stop::into_error)?;
                    let num_outgrown = planned.as_ref().map_or(0, PlannedSearch::num_outgrown);
                    note_outgrown(&mut response, num_outgrown, search.options.refuse_stale)?;
                    if search.request.collapse.is_some() {
                        Box::pin(self.expand_collapsed(search, &mut response)).await?;
                    }
                    note_shards(&response.shards);
                    return Ok(response);
                }
            };
            match (restart, &mut planned) {
                (Restart::Vanished, _) if !look_ups.allow_another(search.deadline) => {
                    // The names are refused, or stand for what is there now.
                    let found = self.planner.look_up(search.indices);
                    return found.and(attempt.map_err(Stop::into_error));
                }
                (Restart::Vanished | Restart::Outgrown, planned) => *planned = None,
                (restart, Some(planned)) => planned.begin_again(restart),
                (_, None) => {}
            }
        }
    }

    /// Goes once from plans to hits.
    async fn attempt(
        &self,
        search: &PreparedSearch<'_>,
        planned: &mut Option<PlannedSearch>,
    ) -> Result<SearchResponse, Stop> {
        let planned = match planned {
            Some(planned) => planned,
            None => planned.insert(traced("plan", SpanKind::Internal, self.plan(search)).await?),
        };
        let PlannedSearch {
            plans,
            settings,
            trip,
            is_outdated,
            ..
        } = planned;
        if std::mem::take(is_outdated) {
            self.planner
                .resolve_all(plans, search.dated(), trip)
                .await?;
        }
        let asked = CommonRequest {
            request: search.request,
            options: search.options,
            page: &search.page,
            statistics: Arc::default(),
            now_ms: search.now_ms,
        };
        let phase: &dyn QueryPhase = match search.request.scatter {
            Scatter::Terms => &self.by_terms,
            Scatter::Shards => &self.by_shards,
        };
        let queried = phase.query(plans, &asked, trip).await?;
        let mut response = self.gather(plans, queried, &asked, trip).await?;
        response.took = search.deadline.elapsed();
        response.cpu = trip.cpu;
        response.edition = self.edition_of(search, plans, settings, &response);
        response.profile = trip.waterfall.take().map(Box::new);
        let times = SearchTimes {
            query: response.took.saturating_sub(trip.fetch_took),
            fetch: trip.fetch_took,
        };
        let origin = &search.options.origin;
        slow_log::note_search(plans, search.request, origin, &response, &times);
        Ok(response)
    }

    /// Looks the names up and resolves the queries for what they stand for.
    async fn plan(&self, search: &PreparedSearch<'_>) -> Result<PlannedSearch, RootError> {
        let request = search.request;
        let state = self.cluster.state();
        let settings = self.editions.cluster_settings(&state);
        let mut plans = self.planner.look_up(search.indices)?;
        check_indices(&mut plans, request)?;
        check_search_after(&plans, request)?;
        apply_boosts(&mut plans, search, &state)?;
        let mut trip = Trip::new(search.deadline);
        trip.may_restart = true;
        trip.waterfall = request.profile.then(Waterfall::default);
        let planning = Instant::now();
        let has_patterns = self
            .planner
            .resolve_all(&mut plans, search.dated(), &mut trip)
            .await?;
        trip.did("plan", planning);
        skip_hopeless(&mut plans, request, !self.cluster.leaves.are_here());
        Ok(PlannedSearch {
            plans,
            settings,
            trip,
            has_patterns,
            is_outdated: false,
        })
    }

    /// Returns the edition of a whole answer that is to say it.
    fn edition_of(
        &self,
        search: &PreparedSearch<'_>,
        plans: &[IndexPlan],
        settings: &SettingsDigest,
        response: &SearchResponse,
    ) -> Option<Edition> {
        let is_of_names = matches!(search.indices, SearchedIndices::Named(_));
        let is_told = search.options.wants_edition && is_of_names && response.is_whole();
        is_told.then(|| self.editions.evaluated(plans, settings))?
    }

    /// Returns whether names are to be looked up again because of `failures`. A point in time is of indices,
    /// not of names.
    async fn has_vanished(
        &self,
        search: &PreparedSearch<'_>,
        failures: &[crate::ShardFailure],
    ) -> bool {
        match search.indices {
            SearchedIndices::Named(_) => self.cluster.has_vanished(failures, search.deadline).await,
            SearchedIndices::Pinned(_) => false,
        }
    }

    /// Does `job` off the runtime's threads. It is given what says whether to go on: until the time of
    /// searches without a `timeout` has passed from now on, or the caller has gone away. What the request
    /// took before counts nothing: a body may come slowly, a search may have a longer `timeout`.
    ///
    /// # Errors
    /// [`RootError::Late`] when the time passed before there was a thread, [`RootError::Internal`] when it
    /// panicked.
    ///
    /// # Cancel safety
    /// Dropping the future ends the work at its next check.
    pub async fn work<T, F>(&self, job: F) -> Result<T, RootError>
    where
        T: Send + 'static,
        F: FnOnce(&(dyn Fn() -> bool + Sync)) -> T + Send + 'static,
    {
        let deadline = Instant::now() + self.cluster.default_timeout();
        let job = |control: &Control| job(&|| control.check().is_ok());
        let done = self.workers.run(deadline, job).await?;
        done.ok_or(RootError::Late)
    }
}

/// Notes which shards an answer is made of, for those who look after the node.
fn note_shards(shards: &ShardSummary) {
    let noted = NotedShards {
        total: shards.total,
        successful: shards.successful,
        skipped: shards.skipped,
        failed: u32::try_from(shards.failures.len()).unwrap_or(u32::MAX),
    };
    gleaner_telemetry::note(|facts| facts.add_shards(noted));
}

#[cfg(test)]
mod tests;
