//! Scrolls: a point in time walked by the last hit's keys and tie-break.
//!
//! Each page is an ordinary search after the last hit of the page before, so a page costs what a
//! first page costs whatever its depth, and a page that is asked for twice is the same twice.

use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use gleaner_proto::LeafFault;
use gleaner_query::QueryError;
use gleaner_query::search::{
    NamedDocuments, SearchRequest, TrackTotal, apply_uri_parameters, parse_search,
};

use crate::RootError;
use crate::deadline::Deadline;
use crate::memory::HeldMemory;
use crate::plan::SearchedIndices;
use crate::plan::{IndexPlan, Target};
use crate::point_in_time::Contexts;
use crate::response::{SearchResponse, Total};
use crate::search::{Page, PreparedSearch, SearchOptions, check_page, refused};
use crate::tasks::Action;
use crate::token::{self, KeptDocuments, PointInTimeState, ScrollState};

/// The search that a scroll repeats, as received.
#[derive(Debug, Clone, Default)]
pub struct ScrollOrigin {
    /// The body.
    pub body: Bytes,
    /// The URI parameters.
    pub parameters: Vec<(String, String)>,
    /// The documents that its queries name, read once for all pages. Their excerpt is enough, and it should be no more:
    /// the scroll's id carries it.
    pub named: NamedDocuments,
}

impl ScrollOrigin {
    /// Returns the state before the first page, over the point in time `pit`.
    fn begun(self, pit: PointInTimeState, named: KeptDocuments, now_ms: i64) -> ScrollState {
        ScrollState {
            pit,
            body: self.body.to_vec(),
            parameters: self.parameters,
            after: None,
            now_ms,
            after_shard: None,
            total: None,
            max_score: None,
            named,
        }
    }
}

impl Contexts {
    /// Answers the first page of a scroll.
    ///
    /// # Errors
    /// As [`Root::search`]; `from` and `search_after` are refused, and documents that say too much for an id or
    /// for the memory of the request.
    pub async fn start_scroll(
        &self,
        target: &Target,
        origin: ScrollOrigin,
        keep_alive: Duration,
        options: &SearchOptions,
    ) -> Result<SearchResponse, RootError> {
        let mut request = self.scrolled(&origin.body, &origin.parameters)?;
        self.check_scrollable(target, &request)?;
        let named = KeptDocuments::of(&origin.named)?;
        let _held = self.answer_look_ups(&origin.named, &mut request, options)?;
        let work = Box::pin(async {
            let deadline = self.cluster.deadline_of(&request);
            let pinned = self.pin(target, keep_alive, deadline).await?;
            // A page that fails, or that nobody waits for, leaves no id to clear.
            let held = self.hold(pinned.state);
            let state = origin.begun(held.state().clone(), named, self.cluster.now_ms());
            let page = self.next_page(state, &request, options, deadline).await;
            let look_up = || self.planner.targets(target).map(drop);
            let page = self
                .cluster
                .unless_vanished(page, deadline, look_up)
                .await?;
            held.keep();
            Ok(page)
        });
        self.tasks
            .as_task(Action::Search, target.name(), &options.origin, work)
            .await
    }

    /// Answers the next page.
    ///
    /// # Errors
    /// [`RootError::ContextMissing`] when the scroll has expired or was cleared;
    /// [`RootError::PageIncomplete`] when a shard did not answer and the scroll was not begun with
    /// `allow_partial_search_results=true`: the same page can be asked for again.
    pub async fn continue_scroll(
        &self,
        id: &str,
        keep_alive: Option<Duration>,
        options: &SearchOptions,
    ) -> Result<SearchResponse, RootError> {
        let mut state: ScrollState = token::decode(id)?;
        let mut request = self.scrolled(&state.body, &state.parameters)?;
        let _held = self.answer_look_ups(&state.named.read()?, &mut request, options)?;
        // Only the first page has them; they would be the same.
        request.aggregations.clear();
        // Counted once: pages then pass over what cannot be among them.
        if state.total.is_some() {
            request.track_total_hits = TrackTotal::No;
        }
        if let Some(keep_alive) = keep_alive {
            state.pit.keep_alive_ms = self.checked_keep_alive(keep_alive)?.as_millis() as u64;
        }
        let pit = state.pit.clone();
        let deadline = self.cluster.deadline_of(&request);
        let page = self.next_page(state, &request, options, deadline);
        let work = Box::pin(async {
            let page = self.renewed(&pit, deadline, page).await;
            let look_up = || self.planner.pinned(&pit).map(drop);
            self.cluster.unless_vanished(page, deadline, look_up).await
        });
        self.tasks
            .as_task(Action::Scroll, id, &options.origin, work)
            .await
    }

    /// Returns the search that a scroll repeats.
    ///
    /// # Errors
    /// [`RootError::BadToken`] for an id that cannot be read.
    pub fn scrolled_search(&self, id: &str) -> Result<SearchRequest, RootError> {
        let state: ScrollState = token::decode(id)?;
        self.scrolled(&state.body, &state.parameters)
    }

    /// Ends scrolls; returns how many of them were still alive.
    ///
    /// # Errors
    /// [`RootError::BadToken`] for an id that cannot be read; nothing is released then.
    pub async fn clear_scrolls(&self, ids: &[String]) -> Result<usize, RootError> {
        let states = ids
            .iter()
            .map(|id| token::decode::<ScrollState>(id))
            .collect::<Result<Vec<_>, _>>()?;
        let released = join_all(states.iter().map(|state| self.release(&state.pit))).await;
        Ok(released.into_iter().filter(|released| *released).count())
    }

    fn scrolled(
        &self,
        body: &[u8],
        parameters: &[(String, String)],
    ) -> Result<SearchRequest, RootError> {
        let limits = &self.cluster.limits();
        let mut request = if body.iter().all(u8::is_ascii_whitespace) {
            SearchRequest::default()
        } else {
            parse_search(body, limits)?
        };
        apply_uri_parameters(&mut request, parameters, limits)?;
        request.check_scrolled()?;
        // A scroll goes through all there is, and says from the start how much that is.
        if request.track_total_hits == TrackTotal::default() {
            request.track_total_hits = TrackTotal::Exact;
        }
        Ok(request)
    }

    /// Puts what the documents say in the place of their names; returns the memory that it takes.
    ///
    /// # Errors
    /// [`RootError::Leaf`] when there is no memory for it, `illegal_argument_exception` for a list of too many values;
    /// nothing is copied then.
    fn answer_look_ups(
        &self,
        named: &NamedDocuments,
        request: &mut SearchRequest,
        options: &SearchOptions,
    ) -> Result<HeldMemory, RootError> {
        let num_bytes = named.answer_bytes(request, &self.cluster.limits())?;
        let memory = options.memory.clone();
        let memory = memory.unwrap_or_else(|| self.searcher.accounts.answer_memory());
        let held = memory.reserve(num_bytes)?;
        named.answer(request);
        Ok(held)
    }

    async fn next_page(
        &self,
        mut state: ScrollState,
        request: &SearchRequest,
        options: &SearchOptions,
        deadline: Deadline,
    ) -> Result<SearchResponse, RootError> {
        let search = PreparedSearch {
            page: Page {
                is_part: true,
                after: state.position(),
            },
            now_ms: state.now_ms,
            deadline,
            indices: SearchedIndices::Pinned(&state.pit),
            request,
            options,
        };
        let mut response = Box::pin(self.searcher.run(&search)).await?;
        let lost = response
            .shards
            .failures
            .iter()
            .find(|failure| matches!(failure.fault, LeafFault::ViewMissing { .. }));
        if let Some(lost) = lost {
            return Err(RootError::ContextMissing(gleaner_model::names::shown(
                &lost.shard.index,
            )));
        }
        if let Some(last) = response.last.take() {
            state.after_shard = last.shard;
            state.after = Some(last);
        }
        match (state.total, &response.total) {
            (None, Some(counted)) if counted.is_exact => state.total = Some(counted.value),
            (Some(value), None) => {
                let is_exact = true;
                response.total = Some(Total { value, is_exact });
            }
            _ => {}
        }
        // Known since the first page: later ones see no more than what is left.
        state.max_score = state.max_score.or(response.max_score);
        response.max_score = state.max_score;
        response.scroll_id = Some(token::encode(&state)?);
        match allows_partial(&state.parameters) {
            true => Ok(response),
            false => check_page(&response).map(|()| response),
        }
    }

    fn check_scrollable(&self, target: &Target, request: &SearchRequest) -> Result<(), RootError> {
        check_parts(request)?;
        let mut plans = self.planner.targets(target)?;
        let size = request.size();
        for plan in &mut plans {
            let limit = plan.index.settings.max_result_window;
            if size > limit {
                plan.give_up(&QueryError::illegal(format!(
                    "Batch size is too large, size must be less than or equal to: [{limit}] but was \
                     [{size}]. Scroll batch sizes cost as much memory as result windows so they are \
                     controlled by the [index.max_result_window] index level setting."
                )));
            }
        }
        match plans.iter().any(IndexPlan::is_given_up) {
            true => Err(refused(&plans)),
            false => Ok(()),
        }
    }
}

/// Returns whether a scroll was begun with the wish to go on without shards that do not answer.
fn allows_partial(parameters: &[(String, String)]) -> bool {
    let mut given = parameters.iter();
    given.any(|(name, value)| {
        name == "allow_partial_search_results" && matches!(&**value, "true" | "")
    })
}

fn check_parts(request: &SearchRequest) -> Result<(), RootError> {
    let refused = |reason: &str| {
        let kind = gleaner_query::error::ErrorType::Validation;
        Err(QueryError::new(kind, format!("Validation Failed: 1: {reason};")).into())
    };
    if request.from > 0 {
        return refused("using [from] is not allowed in a scroll context");
    }
    if request.size == Some(0) {
        return refused("[size] cannot be [0] in a scroll context");
    }
    if request.track_total_hits != TrackTotal::Exact {
        return refused("disabling [track_total_hits] is not allowed in a scroll context");
    }
    if request.search_after.is_some() {
        return refused("`search_after` cannot be used in a scroll context.");
    }
    if request.pit.is_some() {
        return refused("using [point in time] is not allowed in a scroll context");
    }
    Ok(())
}
