//! Scrolls: a point in time walked by the last hit's keys and tie-break.
//!
//! Each page is an ordinary search after the last hit of the page before, so a page costs what a
//! first page costs whatever its depth, and a page that is asked for twice is the same twice.

use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use gleaner_query::answer::SortValue;
use gleaner_query::resolved::{After, TieBreak};
use gleaner_query::search::{SearchRequest, apply_uri_parameters, parse_search};

use crate::deadline::Deadline;
use crate::plan::Target;
use crate::response::SearchResponse;
use crate::search::SearchOptions;
use crate::token::{self, Kind, ScrollState};
use crate::{Root, RootError};

/// The search that a scroll repeats, as received.
#[derive(Debug, Clone, Default)]
pub struct ScrollOrigin {
    /// The body.
    pub body: Bytes,
    /// The URI parameters.
    pub parameters: Vec<(String, String)>,
}

impl Root {
    /// Answers the first page of a scroll.
    ///
    /// # Errors
    /// As [`Root::search`]; `from` and `search_after` are refused.
    pub async fn start_scroll(
        &self,
        target: &Target,
        origin: ScrollOrigin,
        keep_alive: Duration,
        options: &SearchOptions,
    ) -> Result<SearchResponse, RootError> {
        let request = self.scrolled(&origin.body, &origin.parameters)?;
        check_scrollable(&request)?;
        let pit = self.pin(target, keep_alive).await?;
        let ScrollOrigin { body, parameters } = origin;
        let body = body.to_vec();
        let state = ScrollState {
            pit,
            body,
            parameters,
            after: None,
            now_ms: self.now_ms(),
        };
        self.next_page(state, &request, options).await
    }

    /// Answers the next page.
    ///
    /// # Errors
    /// [`RootError::ContextMissing`] when the scroll has expired or was cleared.
    pub async fn continue_scroll(
        &self,
        id: &str,
        keep_alive: Option<Duration>,
    ) -> Result<SearchResponse, RootError> {
        let mut state: ScrollState = token::decode(Kind::Scroll, id)?;
        let request = self.scrolled(&state.body, &state.parameters)?;
        if let Some(keep_alive) = keep_alive {
            state.pit.keep_alive_ms =
                keep_alive.min(self.options.max_keep_alive).as_millis() as u64;
        }
        self.renew(&state.pit).await;
        self.next_page(state, &request, &SearchOptions::default())
            .await
    }

    /// Returns the search that a scroll repeats.
    ///
    /// # Errors
    /// [`RootError::BadToken`] for an id that cannot be read.
    pub fn scrolled_search(&self, id: &str) -> Result<SearchRequest, RootError> {
        let state: ScrollState = token::decode(Kind::Scroll, id)?;
        self.scrolled(&state.body, &state.parameters)
    }

    /// Ends scrolls; returns how many of them were still alive.
    ///
    /// # Errors
    /// [`RootError::BadToken`] for an id that cannot be read; nothing is released then.
    pub async fn clear_scrolls(&self, ids: &[String]) -> Result<usize, RootError> {
        let states = ids
            .iter()
            .map(|id| token::decode::<ScrollState>(Kind::Scroll, id))
            .collect::<Result<Vec<_>, _>>()?;
        let released = join_all(states.iter().map(|state| self.release(&state.pit))).await;
        Ok(released.into_iter().filter(|released| *released).count())
    }

    fn scrolled(
        &self,
        body: &[u8],
        parameters: &[(String, String)],
    ) -> Result<SearchRequest, RootError> {
        let limits = &self.options.limits;
        let mut request = if body.iter().all(u8::is_ascii_whitespace) {
            SearchRequest::default()
        } else {
            parse_search(body, limits)?
        };
        apply_uri_parameters(&mut request, parameters, limits)?;
        Ok(request)
    }

    async fn next_page(
        &self,
        mut state: ScrollState,
        request: &SearchRequest,
        options: &SearchOptions,
    ) -> Result<SearchResponse, RootError> {
        let deadline = Deadline::after(request.timeout.unwrap_or(self.options.default_timeout));
        let mut plans = self.plans_of(&state.pit)?;
        let after = state.after.take().map(|(keys, tie)| After {
            keys,
            tie: Some(tie),
        });
        let options = SearchOptions {
            after: after.clone(),
            ..options.clone()
        };
        let mut response = self
            .search_plans(&mut plans, request, &options, deadline)
            .await?;
        let lost =
            response.shards.failures.iter().any(|failure| {
                matches!(failure.fault, gleaner_proto::LeafFault::ViewMissing { .. })
            });
        if lost {
            return Err(RootError::ContextMissing(
                state.pit.indices[0].uuid().to_string(),
            ));
        }
        state.after = match response.last.take() {
            Some(last) => Some(last),
            None => after.and_then(|after| Some((after.keys, after.tie?))),
        };
        response.scroll_id = Some(token::encode(Kind::Scroll, &state)?);
        Ok(response)
    }
}

fn check_scrollable(request: &SearchRequest) -> Result<(), RootError> {
    let refused = |reason: &str| {
        let kind = gleaner_query::error::ErrorType::Validation;
        Err(gleaner_query::QueryError::new(kind, format!("Validation Failed: 1: {reason};")).into())
    };
    if request.from > 0 {
        return refused("using [from] is not allowed in a scroll context");
    }
    if request.size == Some(0) {
        return refused("[size] cannot be [0] in a scroll context");
    }
    if request.search_after.is_some() {
        return refused("`search_after` cannot be used in a scroll context.");
    }
    if request.pit.is_some() {
        return refused("using [point in time] is not allowed in a scroll context");
    }
    Ok(())
}

/// Returns where the page after `hit` begins.
pub(crate) fn position_of(
    score: Option<f32>,
    keys: &[SortValue],
    tie: &TieBreak,
) -> (Vec<SortValue>, TieBreak) {
    let keys = if keys.is_empty() {
        vec![SortValue::F64(f64::from(score.unwrap_or(0.0)))]
    } else {
        keys.to_vec()
    };
    (keys, tie.clone())
}
