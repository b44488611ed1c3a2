//! Deletes by query: pages of a scroll, each deleted under the condition that it has not changed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gleaner_proto::write::{Condition, WriteAction, WriteFault, WriteResult};
use gleaner_query::answer::Hit;
use gleaner_query::search::{SearchRequest, SourceFilter};

use crate::RootError;
use crate::SharedParts;
use crate::cluster::ClusterView;
use crate::ingest::Ingester;
use crate::ingest::{IngestItem, IngestOptions, IngestResult};
use crate::plan::SearchedIndices;
use crate::plan::Target;
use crate::point_in_time::Contexts;
use crate::search::{Page, PreparedSearch, SearchOptions};
use crate::tasks::Tasks;
use crate::tasks::{Action, Origin};
use crate::visibility::Refresher;

/// Longest pause after a page, however low the rate.
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 3_600);

/// Shortest wait between two times that a pause keeps the views alive.
const SHORTEST_WAIT: Duration = Duration::from_millis(100);

/// What is to be deleted, and how.
#[derive(Debug, Clone)]
pub struct ByQueryRequest {
    /// The query, and the order in which matches are taken.
    pub search: SearchRequest,
    /// Documents deleted together, ≥ 1; the dialect's default is 1,000.
    pub page_size: usize,
    /// Documents deleted at most; `None` is all.
    pub max_docs: Option<usize>,
    /// Whether documents that changed meanwhile are left and counted; else the first ends it.
    pub is_proceeding_on_conflicts: bool,
    /// Whether the shards are refreshed at the end.
    pub is_refreshed: bool,
    /// Deletes per second at most; `None` is as fast as it goes.
    pub requests_per_second: Option<f64>,
    /// Longest time between two pages.
    pub keep_alive: Duration,
}

/// What a delete by query did.
#[derive(Debug, Default)]
pub struct ByQueryReport {
    /// From reception to the end.
    pub took: Duration,
    /// Whether a page's search ran out of time.
    pub timed_out: bool,
    /// Matches, at most `max_docs`.
    pub total: u64,
    /// Documents deleted.
    pub deleted: u64,
    /// Pages.
    pub batches: u64,
    /// Documents that had changed since the query saw them.
    pub version_conflicts: u64,
    /// Time spent waiting for the rate.
    pub throttled: Duration,
    /// The rate that was asked for.
    pub requests_per_second: Option<f64>,
    /// Why it ended early.
    pub failures: Vec<ByQueryFailure>,
}

/// One document that could not be deleted.
#[derive(Debug)]
pub struct ByQueryFailure {
    /// Its index.
    pub index: String,
    /// Its id.
    pub id: String,
    /// What happened.
    pub error: RootError,
}

/// Deletes the documents that a query finds.
pub struct DeleteByQuery {
    pub(crate) cluster: Arc<ClusterView>,
    pub(crate) tasks: Arc<Tasks>,
    pub(crate) contexts: Arc<Contexts>,
    pub(crate) ingester: Arc<Ingester>,
    pub(crate) refresher: Arc<Refresher>,
}

impl DeleteByQuery {
    pub(crate) fn new(
        shared: &SharedParts,
        contexts: &Arc<Contexts>,
        ingester: &Arc<Ingester>,
    ) -> Self {
        Self {
            cluster: Arc::clone(&shared.cluster),
            tasks: Arc::clone(&shared.tasks),
            contexts: Arc::clone(contexts),
            ingester: Arc::clone(ingester),
            refresher: Arc::clone(&ingester.refresher),
        }
    }
}

impl DeleteByQuery {
    /// Deletes what a query finds: each document as the query saw it, or not at all.
    ///
    /// # Errors
    /// What the search fails with before anything was deleted, or on a later page (what was deleted
    /// stays deleted). Failures of single documents are in the report.
    ///
    /// # Cancel safety
    /// A dropped future may have deleted a part.
    pub async fn delete_by_query(
        &self,
        target: &Target,
        request: &ByQueryRequest,
        origin: &Origin,
    ) -> Result<ByQueryReport, RootError> {
        let work = self.delete_all(target, request);
        self.tasks
            .as_task(Action::DeleteByQuery, target.name(), origin, work)
            .await
    }

    async fn delete_all(
        &self,
        target: &Target,
        request: &ByQueryRequest,
    ) -> Result<ByQueryReport, RootError> {
        let started = Instant::now();
        let rate = request.requests_per_second;
        let mut report = ByQueryReport {
            requests_per_second: rate,
            ..ByQueryReport::default()
        };
        let deadline = self.cluster.deadline_of(&request.search);
        let pinned = self
            .contexts
            .pin(target, request.keep_alive, deadline)
            .await?;
        let held = self.contexts.hold(pinned);
        let outcome = self.delete_pages(held.state(), request, &mut report);
        let outcome = outcome.await;
        drop(held);
        outcome?;
        if request.is_refreshed {
            self.refresher.refresh(target).await?;
        }
        report.took = started.elapsed();
        Ok(report)
    }

    async fn delete_pages(
        &self,
        state: &crate::token::PointInTimeState,
        request: &ByQueryRequest,
        report: &mut ByQueryReport,
    ) -> Result<(), RootError> {
        let now_ms = self.cluster.now_ms();
        let options = SearchOptions {
            refuse_partial: true,
            ..SearchOptions::default()
        };
        let mut after = None;
        let mut left = request.max_docs.unwrap_or(usize::MAX);
        while left > 0 {
            let page = page_search(request, left);
            let indices = SearchedIndices::Pinned(state);
            let search = PreparedSearch {
                page: Page {
                    is_part: false,
                    after: after.take(),
                },
                now_ms,
                ..PreparedSearch::new(&self.cluster, indices, &page, &options)
            };
            let mut response = self.contexts.search_pinned(state, &search).await?;
            if report.batches == 0 {
                let matches = response.total.map_or(0, |total| total.value);
                report.total = matches.min(left as u64);
            }
            report.timed_out |= response.timed_out;
            // What was found in time need not come first: the pages after it would miss the rest.
            if response.timed_out || response.hits.is_empty() {
                return Ok(());
            }
            report.batches += 1;
            let num_hits = response.hits.len();
            let last = response.last.take();
            let begun = Instant::now();
            let is_ended = self.delete_hits(response.hits, request, report).await;
            // Conflicts that are left behind do not count.
            let deleted = usize::try_from(report.deleted).unwrap_or(usize::MAX);
            left = request
                .max_docs
                .map_or(usize::MAX, |most| most.saturating_sub(deleted));
            after = last;
            if after.is_none() || is_ended || num_hits < page.size() || left == 0 {
                return Ok(());
            }
            let pause = pause_after(request, num_hits, begun);
            report.throttled += pause;
            self.wait_holding(state, request, pause).await?;
        }
        Ok(())
    }

    /// Waits, and keeps the views alive meanwhile.
    async fn wait_holding(
        &self,
        state: &crate::token::PointInTimeState,
        request: &ByQueryRequest,
        pause: Duration,
    ) -> Result<(), RootError> {
        let longest = (request.keep_alive / 2).max(SHORTEST_WAIT);
        let mut left = pause;
        while left > longest {
            tokio::time::sleep(longest).await;
            left -= longest;
            self.contexts
                .renew(state, self.cluster.deadline_of(&request.search))
                .await?;
        }
        tokio::time::sleep(left).await;
        Ok(())
    }

    /// Deletes one page; returns whether to end here.
    async fn delete_hits(
        &self,
        hits: Vec<Hit>,
        request: &ByQueryRequest,
        report: &mut ByQueryReport,
    ) -> bool {
        let items = hits.into_iter().map(deletion).collect();
        let options = IngestOptions {
            timeout: request.search.timeout,
            ..IngestOptions::default()
        };
        let results = self.ingester.ingest(items, &options).await;
        let mut is_ended = false;
        for IngestResult {
            index, id, outcome, ..
        } in results
        {
            match outcome {
                Ok(outcome) if outcome.result == WriteResult::Deleted => report.deleted += 1,
                Ok(_) => report.version_conflicts += 1,
                Err(error) => {
                    let conflict = WriteFaultKind::of(&error) == WriteFaultKind::Conflict;
                    report.version_conflicts += u64::from(conflict);
                    if conflict && request.is_proceeding_on_conflicts {
                        continue;
                    }
                    is_ended = true;
                    report.failures.push(ByQueryFailure { index, id, error });
                }
            }
        }
        is_ended
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WriteFaultKind {
    Conflict,
    Other,
}

impl WriteFaultKind {
    fn of(error: &RootError) -> Self {
        match error {
            RootError::Write(WriteFault::VersionConflict { .. }) => Self::Conflict,
            _ => Self::Other,
        }
    }
}

/// A page needs no content, only ids, routings and seq_nos.
fn page_search(request: &ByQueryRequest, left: usize) -> SearchRequest {
    SearchRequest {
        from: 0,
        size: Some(request.page_size.min(left)),
        source: SourceFilter {
            enabled: false,
            ..SourceFilter::default()
        },
        track_total_hits: gleaner_query::search::TrackTotal::Exact,
        aggregations: Vec::new(),
        highlight: None,
        explain: false,
        profile: false,
        pit: None,
        ..request.search.clone()
    }
}

fn deletion(hit: Hit) -> IngestItem {
    let content = hit.content;
    IngestItem {
        index: hit.index,
        id: Some(content.id.to_string()),
        routing: content.routing,
        action: WriteAction::Delete,
        condition: Condition::Is {
            seq_no: content.seq_no,
            term: content.term,
        },
        require_alias: false,
    }
}

/// Returns how long to wait until the page has taken as long as its share of the rate.
fn pause_after(request: &ByQueryRequest, num_hits: usize, begun: Instant) -> Duration {
    let Some(rate) = request.requests_per_second else {
        return Duration::ZERO;
    };
    let due = Duration::try_from_secs_f64(num_hits as f64 / rate);
    due.unwrap_or(LONGEST_PAUSE)
        .min(LONGEST_PAUSE)
        .saturating_sub(begun.elapsed())
}

#[cfg(test)]
mod tests;
