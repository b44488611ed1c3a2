//! One slice of a task by query: its pages, one after the other, each written before the next is asked for.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gleaner_model::{ChosenTemplates, Version};
use gleaner_proto::LeafFault;
use gleaner_proto::write::{Condition, WriteAction, WriteFault, WriteResult};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::budget::Budget;
use super::pages::{DocumentPages, FoundDocument, FoundPage};
use super::pauses::Pauses;
use super::{ByQueryFailure, ByQueryRequest, Change, Destination, NewRouting, VersionType};
use crate::RootError;
use crate::cluster::ClusterView;
use crate::ingest::{IngestItem, IngestOptions, IngestResult, Ingester};
use crate::tasks::{Cancellation, Progress, WrittenPage};

/// Shortest time between two calls that keep views alive.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);

/// What the slices of a task have in common.
pub(super) struct Shared<'a> {
    pub(super) cluster: &'a ClusterView,
    pub(super) ingester: &'a Ingester,
    pub(super) request: &'a ByQueryRequest,
    pub(super) budget: Budget,
    /// Places for slices that find or write a page at the same time, of all tasks.
    pub(super) places: &'a Semaphore,
    /// Why the task ends early.
    pub(super) failures: Mutex<Vec<ByQueryFailure>>,
    /// Names of the indices and data streams that writes made.
    pub(super) made: Mutex<BTreeSet<String>>,
    pub(super) timed_out: AtomicBool,
    /// Whether a slice has failed: the others end after the page that they are at.
    pub(super) is_ended: AtomicBool,
}

/// One slice.
pub(super) struct SliceRun<'a> {
    pub(super) shared: &'a Shared<'a>,
    pub(super) progress: &'a Progress,
    pub(super) cancellation: &'a Cancellation,
}

impl SliceRun<'_> {
    /// Writes all pages; ends early when it is cancelled, when a document fails, or when the time of a page's
    /// search is up.
    ///
    /// # Errors
    /// Why a page could not be had.
    pub(super) async fn run(&self, pages: &mut dyn DocumentPages) -> Result<(), RootError> {
        let walked = self.walk(pages).await;
        if walked.is_err() {
            self.shared.is_ended.store(true, Ordering::Relaxed);
        }
        if let Some(reason) = self.cancellation.reason() {
            self.progress.note_cancelled(reason);
        }
        walked
    }

    async fn walk(&self, pages: &mut dyn DocumentPages) -> Result<(), RootError> {
        let Shared {
            request, budget, ..
        } = self.shared;
        let is_to_end = || self.shared.is_ended.load(Ordering::Relaxed);
        while let Some(at_work) = self.place(pages).await? {
            if is_to_end() {
                return Ok(());
            }
            let page = async {
                let places = budget.take(request.page_size).await?;
                let pause = self.progress.pause(places.num);
                let page = pages.next(places.num, pause).await;
                Some(page.map(|page| (places, page)))
            };
            let page = self.cancellation.unless_requested(page).await;
            let page = page.ok().flatten();
            let Some((mut places, page)) = page.transpose()? else {
                return Ok(());
            };
            let begun = Instant::now();
            let (num_documents, is_last) = (page.documents.len(), page.is_last);
            self.progress.note(|counts| {
                counts.search_retries += page.retries;
                let most = request.max_docs.map_or(u64::MAX, |most| most as u64);
                counts.total = page.total.map_or(counts.total, |total| total.min(most));
            });
            // What was found in time need not come first: the pages after it would miss the rest.
            if page.timed_out {
                self.shared.timed_out.store(true, Ordering::Relaxed);
                return Ok(());
            }
            if num_documents > 0 {
                places.use_up(self.write(page).await);
            }
            drop((places, at_work));
            if is_last || is_to_end() {
                return Ok(());
            }
            let wait = self.wait(pages, WrittenPage::new(num_documents, begun));
            tokio::select! {
                waited = wait => waited?,
                () = budget.used_up() => return Ok(()),
            }
        }
        Ok(())
    }

    /// Waits for its turn among the slices of all tasks, and keeps what the pages come from alive meanwhile; `None` once
    /// it is cancelled.
    async fn place(
        &self,
        pages: &mut dyn DocumentPages,
    ) -> Result<Option<SemaphorePermit<'_>>, RootError> {
        let mut place = pin!(self.shared.places.acquire());
        loop {
            let waited = tokio::time::timeout(self.patience(), place.as_mut());
            match self.cancellation.unless_requested(waited).await {
                Err(_) => return Ok(None),
                Ok(Ok(place)) => return Ok(place.ok()),
                Ok(Err(_)) => pages.keep_alive().await?,
            }
        }
    }

    /// Returns how long it may wait before it keeps views alive.
    fn patience(&self) -> Duration {
        (self.shared.request.keep_alive / 2).max(SHORTEST_PAUSE)
    }

    /// Waits for the rate, and keeps what the pages come from alive meanwhile.
    async fn wait(
        &self,
        pages: &mut dyn DocumentPages,
        mut page: WrittenPage,
    ) -> Result<(), RootError> {
        loop {
            let wait = self.progress.throttle(&mut page, self.patience());
            match self.cancellation.unless_requested(wait).await {
                Err(_) | Ok(true) => return Ok(()),
                Ok(false) => pages.keep_alive().await?,
            }
        }
    }

    /// Writes one page; returns how many of its documents were written.
    async fn write(&self, page: FoundPage) -> usize {
        self.progress.note(|counts| counts.batches += 1);
        let before = self.progress.status().counts.num_written();
        let items: Vec<IngestItem> = page
            .documents
            .into_iter()
            .filter_map(|document| self.item(document))
            .collect();
        for result in self.write_patiently(items).await {
            self.note(result);
        }
        let written = self.progress.status().counts.num_written() - before;
        usize::try_from(written).unwrap_or(usize::MAX)
    }

    /// Returns what is written for a document. Nothing where its index is gone, as it may not be made again.
    fn item(&self, found: FoundDocument) -> Option<IngestItem> {
        let seen = found
            .latest
            .map(|(seq_no, term)| Condition::Is { seq_no, term });
        let source = found.source.unwrap_or_default();
        let change = &self.shared.request.change;
        let require_alias = matches!(change, Change::Reindex(to) if to.require_alias);
        let (index, routing, action, condition) = match change {
            Change::Delete => (found.index, found.routing, WriteAction::Delete, seen?),
            Change::Update => {
                if self
                    .shared
                    .cluster
                    .state()
                    .index_named(&found.index)
                    .is_none()
                {
                    let error = RootError::IndexNotFound(found.index.clone());
                    self.fail(ByQueryFailure {
                        index: found.index,
                        id: found.id,
                        shard: None,
                        error,
                    });
                    return None;
                }
                let create = false;
                let action = WriteAction::Index { source, create };
                (found.index, found.routing, action, seen?)
            }
            Change::Reindex(destination) => {
                let create = destination.creates;
                let action = WriteAction::Index { source, create };
                let condition = condition(destination, found.version);
                let routing = routing(destination, found.routing);
                (destination.index.clone(), routing, action, condition)
            }
        };
        Some(IngestItem {
            index,
            id: Some(found.id),
            routing,
            action,
            condition,
            require_alias,
            require_data_stream: false,
            templates: ChosenTemplates::default(),
        })
    }

    /// Writes, and writes again after a pause what there was no room for.
    async fn write_patiently(&self, items: Vec<IngestItem>) -> Vec<IngestResult> {
        let options = IngestOptions {
            timeout: self.shared.request.write_timeout,
            active_shards: self.shared.request.active_shards,
            ..IngestOptions::default()
        };
        let mut results = self.ingest(items.clone(), &options).await;
        for pause in Pauses::default() {
            let refused: Vec<usize> = (0..results.len())
                .filter(|at| is_refused(&results[*at]))
                .collect();
            let wait = tokio::time::sleep(pause);
            if refused.is_empty() || self.cancellation.unless_requested(wait).await.is_err() {
                break;
            }
            let num_refused = refused.len() as u64;
            self.progress
                .note(|counts| counts.write_retries += num_refused);
            let again = refused.iter().map(|at| items[*at].clone()).collect();
            let again = self.ingest(again, &options).await;
            for (at, result) in refused.into_iter().zip(again) {
                results[at] = result;
            }
        }
        results
    }

    /// Writes, and notes what was made for it. Nothing is refreshed: the task does that at its end.
    async fn ingest(&self, items: Vec<IngestItem>, options: &IngestOptions) -> Vec<IngestResult> {
        let ingester = self.shared.ingester;
        let parts = ingester.begin_parts(options);
        let results = ingester.ingest_part(items, options, &parts).await;
        self.shared.made.lock().extend(parts.made());
        results
    }

    fn note(&self, result: IngestResult) {
        let IngestResult {
            index,
            id,
            shard,
            outcome,
            ..
        } = result;
        match outcome {
            Ok(outcome) => self.progress.note(|counts| match outcome.result {
                WriteResult::Created => counts.created += 1,
                WriteResult::Updated => counts.updated += 1,
                WriteResult::Deleted => counts.deleted += 1,
                WriteResult::Noop => counts.noops += 1,
                WriteResult::NotFound => counts.version_conflicts += 1,
            }),
            Err(error) => {
                let is_conflict =
                    matches!(&error, RootError::Write(WriteFault::VersionConflict { .. }));
                if is_conflict {
                    self.progress.note(|counts| counts.version_conflicts += 1);
                }
                if !is_conflict || !self.shared.request.is_proceeding_on_conflicts {
                    self.fail(ByQueryFailure {
                        index,
                        id,
                        shard,
                        error,
                    });
                }
            }
        }
    }

    fn fail(&self, failure: ByQueryFailure) {
        self.shared.failures.lock().push(failure);
        self.shared.is_ended.store(true, Ordering::Relaxed);
    }
}

fn condition(destination: &Destination, version: u64) -> Condition {
    match destination.version_type {
        VersionType::Internal => Condition::None,
        VersionType::External => Condition::ExternalGreater(Version(version)),
        VersionType::ExternalGte => Condition::ExternalGreaterOrEqual(Version(version)),
    }
}

fn routing(destination: &Destination, found: Option<String>) -> Option<String> {
    match &destination.routing {
        NewRouting::Keep => found,
        NewRouting::Discard => None,
        NewRouting::Is(routing) => Some(routing.clone()),
    }
}

/// Returns whether there was no room for a write at that moment.
fn is_refused(result: &IngestResult) -> bool {
    let is_of_queue =
        |fault: &LeafFault| matches!(fault, LeafFault::Rejected { .. } | LeafFault::Memory { .. });
    match &result.outcome {
        Err(RootError::Write(WriteFault::Rejected { .. })) => true,
        Err(RootError::Write(WriteFault::Shard(fault)) | RootError::Leaf(fault)) => {
            is_of_queue(fault)
        }
        _ => false,
    }
}
