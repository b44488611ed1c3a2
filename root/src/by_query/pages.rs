//! Where the documents of a task by query come from: the pages of a search over pinned views.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use gleaner_model::{PrimaryTerm, SeqNo};
use gleaner_proto::LeafFault;
use gleaner_query::QueryError;
use gleaner_query::answer::Hit;
use gleaner_query::search::{SearchRequest, Slice, SortKey, SortTarget, SourceFilter, TrackTotal};

use super::Pauses;
use crate::RootError;
use crate::cluster::ClusterView;
use crate::memory::HeldMemory;
use crate::plan::SearchedIndices;
use crate::point_in_time::Contexts;
use crate::response::SearchResponse;
use crate::search::{Page, PreparedSearch, SearchOptions};
use crate::token::{PointInTimeState, Position};

/// A document as the query saw it.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundDocument {
    /// Its index.
    pub index: String,
    /// Its id.
    pub id: String,
    /// Its routing value, if it has one.
    pub routing: Option<String>,
    /// Its version.
    pub version: u64,
    /// Its latest write; `None` for a document of another cluster, which only that one can compare.
    pub latest: Option<(SeqNo, PrimaryTerm)>,
    /// What of it is copied; `None` where it is not wanted.
    pub source: Option<Bytes>,
}

/// Documents that are written together.
#[derive(Debug, Default)]
pub struct FoundPage {
    /// The documents.
    pub documents: Vec<FoundDocument>,
    /// How many the query finds in all; the first page says it.
    pub total: Option<u64>,
    /// Whether the time was up before all of it was searched: what was found need not come first.
    pub timed_out: bool,
    /// Whether no page follows.
    pub is_last: bool,
    /// How often it was asked for again, as there was no room for it.
    pub retries: u64,
    /// The memory that the documents hold.
    pub held: Option<Arc<HeldMemory>>,
}

/// Pages of documents, one after the other, each document once.
#[async_trait]
pub trait DocumentPages: Send {
    /// Returns the next page, of `size` documents at most. The one after it is asked for after `pause` as it looks now.
    ///
    /// # Errors
    /// Why there is none: the task ends with it.
    ///
    /// # Cancel safety
    /// A dropped future may have passed over a page: nothing may be asked for after it.
    async fn next(&mut self, size: usize, pause: Duration) -> Result<FoundPage, RootError>;

    /// Keeps what the pages come from for as long again.
    ///
    /// # Errors
    /// It is gone.
    async fn keep_alive(&mut self) -> Result<(), RootError>;
}

/// Views that are pinned, and what searches them.
#[derive(Clone, Copy)]
pub(super) struct Views<'a> {
    pub(super) contexts: &'a Contexts,
    pub(super) state: &'a PointInTimeState,
}

/// The pages of a search over views that are pinned.
pub(super) struct PinnedPages<'a> {
    contexts: &'a Contexts,
    cluster: &'a ClusterView,
    state: &'a PointInTimeState,
    request: SearchRequest,
    has_source: bool,
    /// What `now` stands for on every page.
    now_ms: i64,
    after: Option<Position>,
    is_first: bool,
    /// Documents of a page at most: fewer once a page was too large.
    most: usize,
}

impl<'a> PinnedPages<'a> {
    /// Returns those of `search`, or of one slice of it; `source` is what is copied, `None` nothing.
    pub(super) fn new(
        views: Views<'a>,
        search: &SearchRequest,
        source: Option<&SourceFilter>,
        slice: Option<Slice>,
    ) -> Self {
        let nothing = SourceFilter {
            enabled: false,
            ..SourceFilter::default()
        };
        let sort = match search.sort.is_empty() {
            true => vec![in_order_of_writes()],
            false => search.sort.clone(),
        };
        let request = SearchRequest {
            from: 0,
            source: source.cloned().unwrap_or(nothing),
            sort,
            aggregations: Vec::new(),
            rescores: Vec::new(),
            collapse: None,
            highlight: None,
            explain: false,
            profile: false,
            pit: None,
            slice: slice.or(search.slice),
            ..search.clone()
        };
        let Views { contexts, state } = views;
        let cluster = &*contexts.cluster;
        Self {
            contexts,
            cluster,
            state,
            request,
            has_source: source.is_some(),
            now_ms: cluster.now_ms(),
            after: None,
            is_first: true,
            most: usize::MAX,
        }
    }

    async fn ask(&mut self, size: usize) -> Result<SearchResponse, RootError> {
        self.request.size = Some(size);
        // Counted once: later pages then pass over what cannot be among them.
        self.request.track_total_hits = match self.is_first {
            true => TrackTotal::Exact,
            false => TrackTotal::No,
        };
        let options = SearchOptions {
            refuse_partial: true,
            ..SearchOptions::default()
        };
        let search = PreparedSearch {
            page: Page {
                is_part: false,
                after: self.after.clone(),
            },
            now_ms: self.now_ms,
            ..PreparedSearch::new(
                self.cluster,
                SearchedIndices::Pinned(self.state),
                &self.request,
                &options,
            )
        };
        self.contexts.search_pinned(self.state, &search).await
    }

    /// Asks for a page, and again for less, or after a pause, where there was no room for it.
    async fn ask_patiently(&mut self, size: usize) -> Result<PatientAnswer, RootError> {
        let (mut pauses, mut retries) = (Pauses::default(), 0);
        loop {
            let size = size.min(self.most);
            let error = match self.ask(size).await {
                Ok(response) => {
                    return Ok(PatientAnswer {
                        response,
                        size,
                        retries,
                    });
                }
                Err(error) => error,
            };
            let Some(pause) = pauses.next() else {
                return Err(error);
            };
            if wants_less(&error) && size > 1 {
                self.most = size / 2;
            } else if is_busy(&error) {
                tokio::time::sleep(pause).await;
            } else {
                return Err(error);
            }
            retries += 1;
        }
    }
}

/// What was found, of how many documents asked for, and how often it was asked for again.
struct PatientAnswer {
    response: SearchResponse,
    size: usize,
    retries: u64,
}

#[async_trait]
impl DocumentPages for PinnedPages<'_> {
    async fn next(&mut self, size: usize, _: Duration) -> Result<FoundPage, RootError> {
        let PatientAnswer {
            mut response,
            size,
            retries,
        } = self.ask_patiently(size).await?;
        let total = response.total.map(|total| total.value);
        self.after = response.last.take();
        let is_last = self.after.is_none() || response.hits.len() < size;
        let documents = response.hits.into_iter();
        let documents = documents.map(|hit| found(hit, self.has_source));
        Ok(FoundPage {
            documents: documents.collect::<Result<_, _>>()?,
            total: total.filter(|_| std::mem::take(&mut self.is_first)),
            timed_out: response.timed_out,
            is_last,
            retries,
            held: response.held,
        })
    }

    async fn keep_alive(&mut self) -> Result<(), RootError> {
        let deadline = self.cluster.deadline_of(&self.request);
        self.contexts.renew(self.state, deadline).await
    }
}

fn found(hit: Hit, has_source: bool) -> Result<FoundDocument, RootError> {
    let (index, content) = (hit.index, hit.content);
    let id = content.id.to_string();
    let source = match (has_source, hit.source) {
        (false, _) => None,
        (true, Some(source)) => Some(source),
        (true, None) => {
            let reason = format!("[{index}][_doc][{id}] didn't store _source");
            return Err(QueryError::illegal(reason).into());
        }
    };
    Ok(FoundDocument {
        index,
        id,
        routing: content.routing,
        version: content.version.0,
        latest: Some((content.seq_no, content.term)),
        source,
    })
}

/// The order that is the cheapest to go on in.
fn in_order_of_writes() -> SortKey {
    SortKey::ascending(SortTarget::Doc)
}

/// Returns whether a page was too large for the memory of answers.
fn wants_less(error: &RootError) -> bool {
    let is_of_memory = |fault: &LeafFault| matches!(fault, LeafFault::Memory { .. });
    match error {
        RootError::Leaf(fault) => is_of_memory(fault),
        error => error
            .failures()
            .iter()
            .any(|failure| is_of_memory(&failure.fault)),
    }
}

/// Returns whether there was no room for a search at that moment.
fn is_busy(error: &RootError) -> bool {
    let is_of_queue =
        |fault: &LeafFault| matches!(fault, LeafFault::Memory { .. } | LeafFault::Rejected { .. });
    match error {
        RootError::Leaf(fault) => is_of_queue(fault),
        error => error
            .failures()
            .iter()
            .any(|failure| is_of_queue(&failure.fault)),
    }
}
