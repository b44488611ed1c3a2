//! A search as a value: what it asks, of which indices, by when.

use std::time::Duration;

use gleaner_query::search::SearchRequest;

use crate::cluster::ClusterView;
use crate::deadline::Deadline;
use crate::memory::AnswerMemory;
use crate::origin::Origin;
use crate::plan::SearchedIndices;
use crate::planner::DatedRequest;
use crate::token::Position;

/// A search that is ready to run: made once for each request, and for each page of a walk.
pub(crate) struct PreparedSearch<'a> {
    pub(crate) indices: SearchedIndices<'a>,
    pub(crate) request: &'a SearchRequest,
    pub(crate) options: &'a SearchOptions,
    pub(crate) page: Page,
    pub(crate) deadline: Deadline,
    /// The request's time, milliseconds since the epoch: dates like `now` stand for it.
    pub(crate) now_ms: i64,
}

/// What a search needs beside its body.
#[derive(Debug, Clone, Default)]
pub struct SearchOptions {
    /// Whether an answer without some shards is refused (`allow_partial_search_results=false`).
    pub refuse_partial: bool,
    /// Whether an answer is refused that holds what copies say which may lack writes (`allow_stale=false`).
    pub refuse_stale: bool,
    /// Share of the documents that an answer must cover, 0 to 1 (`min_coverage`); `None` takes any.
    pub min_coverage: Option<f64>,
    /// Who asked, for the list of tasks.
    pub origin: Origin,
    /// What the answer's bytes are charged to; `None` opens an account for it alone.
    pub memory: Option<AnswerMemory>,
    /// How long the one who asked goes on waiting, whatever the search itself says; `None` as long as that.
    pub patience: Option<Duration>,
    /// Whether the answer is to say its edition, since it may be kept.
    pub wants_edition: bool,
}

/// Which part of all hits a search asks for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Page {
    /// Whether the hits go on where others ended, or others will go on where they end: all of them are
    /// ranked by the numbers of all shards, or none is.
    pub(crate) is_part: bool,
    /// Only hits after this one, with the tie-break (scroll); `search_after` without one else.
    pub(crate) after: Option<Position>,
}

impl<'a> PreparedSearch<'a> {
    /// Returns what its queries are resolved from.
    pub(crate) fn dated(&self) -> DatedRequest<'a> {
        DatedRequest {
            request: self.request,
            now_ms: self.now_ms,
        }
    }

    /// Returns a search that begins now, for the first page.
    pub(crate) fn new(
        cluster: &ClusterView,
        indices: SearchedIndices<'a>,
        request: &'a SearchRequest,
        options: &'a SearchOptions,
    ) -> Self {
        let named = cluster.deadline_of(request);
        Self {
            indices,
            request,
            options,
            page: Page::default(),
            deadline: options
                .patience
                .map_or(named, |patience| named.within(patience)),
            now_ms: cluster.now_ms(),
        }
    }
}
