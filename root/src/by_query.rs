//! Tasks by query: delete, update and reindex what a query finds, page by page.
//!
//! Does: run a task apart from the client that began it, in slices side by side; write each document only as
//! the query saw it; say what was done, also of a task that failed, was cancelled, or ends with the process.
//! Does not: read or render the dialect's JSON; work on copies that may lack acknowledged writes. A task works on views
//! that are pinned when it begins, and holds one page of each slice in memory.
//! Called by `api`. Read [`ByQuery::begin`] first, then `slice`.

mod budget;
mod pages;
mod pauses;
mod request;
mod slice;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use gleaner_model::ShardKey;
use gleaner_query::QueryError;
use gleaner_query::error::ErrorType;
use gleaner_query::names;
use gleaner_query::search::{Slice, SourceFilter};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::Instant;

use crate::RootError;
use crate::SharedParts;
use crate::cluster::ClusterView;
use crate::ingest::{Ingester, check_alias};
use crate::origin::Origin;
use crate::plan::Target;
use crate::point_in_time::{Contexts, PinnedShards};
use crate::task_results::{Render, Results};
use crate::tasks::{Action, ByQueryStatus, NewTask, Progress, Quota, TaskEntry, Tasks};
use crate::visibility::Refresher;

pub use pages::{DocumentPages, FoundDocument, FoundPage};
pub use pauses::Pauses;
pub use request::{
    ByQueryRequest, Change, Destination, DocumentSource, NewRouting, Slices, VersionType,
};

use budget::Budget;
use pages::{PinnedPages, Views};
use slice::{Shared, SliceRun};

/// Tasks by query under way on a root.
const QUOTA: Quota = Quota {
    queue: "tasks by query",
    capacity: 500,
};

/// Slices, of all tasks, that find or write a page at the same time; others wait for a place.
const MAX_RUNNING_SLICES: usize = 64;

/// Slices of a task at most.
const MAX_SLICES: u32 = 1_024;

/// Most slices that are chosen for a task, as in the dialect.
const MAX_AUTO_SLICES: u32 = 20;

/// What a task by query did.
#[derive(Debug)]
pub struct ByQueryReport {
    /// From reception to the end.
    pub took: Duration,
    /// Whether a page's search ran out of time.
    pub timed_out: bool,
    /// What was done.
    pub status: ByQueryStatus,
    /// Why it ended early.
    pub failures: Vec<ByQueryFailure>,
    /// Names of the indices and data streams that its writes made, in their order.
    pub made: Vec<String>,
}

/// One document that could not be written.
#[derive(Debug)]
pub struct ByQueryFailure {
    /// Its index.
    pub index: String,
    /// Its id.
    pub id: String,
    /// The shard it was to be written to; `None` where it came to none.
    pub shard: Option<ShardKey>,
    /// What happened.
    pub error: RootError,
}

/// What a task by query came to.
pub type Outcome = Result<ByQueryReport, RootError>;

/// Writes what is kept of a task that has ended: a JSON object.
pub type RenderResult = Render<ByQueryReport>;

/// A task by query that has begun.
pub struct BegunTask {
    /// Its number on this root.
    pub id: u64,
    ended: oneshot::Receiver<Outcome>,
}

impl BegunTask {
    /// Waits until the task has ended. Who stops waiting does not stop the task.
    ///
    /// # Errors
    /// What the search failed with before anything was written, or on a later page: what was written stays.
    /// Failures of single documents are in the report.
    pub async fn ended(self) -> Outcome {
        let lost = |_| Err(RootError::Internal("the task has stopped".to_owned()));
        self.ended.await.unwrap_or_else(lost)
    }
}

/// Begins and runs tasks by query.
pub struct ByQuery {
    cluster: Arc<ClusterView>,
    tasks: Arc<Tasks>,
    contexts: Arc<Contexts>,
    ingester: Arc<Ingester>,
    refresher: Arc<Refresher>,
    results: Arc<Results>,
    places: Semaphore,
}

impl ByQuery {
    pub(crate) fn new(
        shared: &SharedParts,
        contexts: &Arc<Contexts>,
        ingester: &Arc<Ingester>,
        results: &Arc<Results>,
    ) -> Self {
        Self {
            cluster: Arc::clone(&shared.cluster),
            tasks: Arc::clone(&shared.tasks),
            contexts: Arc::clone(contexts),
            ingester: Arc::clone(ingester),
            refresher: Arc::clone(&ingester.refresher),
            results: Arc::clone(results),
            places: Semaphore::new(MAX_RUNNING_SLICES),
        }
    }

    /// Begins a task, which goes on when its client has gone. With `kept` it writes down what it did, and
    /// [`crate::read::Reader::task_result`] tells it.
    ///
    /// # Errors
    /// [`gleaner_proto::LeafFault::Rejected`] when too many tasks are under way, or the process stops; a destination
    /// that is also read, or that is not the alias that it must be.
    pub fn begin(
        self: &Arc<Self>,
        request: ByQueryRequest,
        origin: &Origin,
        kept: Option<RenderResult>,
    ) -> Result<BegunTask, RootError> {
        self.check_destination(&request)?;
        let num_slices = self.num_slices(&request);
        if num_slices > MAX_SLICES {
            return Err(QueryError::illegal(format!(
                "The number of slices [{num_slices}] is too large. It must be at most [{MAX_SLICES}]."
            ))
            .into());
        }
        let mut request = request;
        // The dialect has no limit. Views are kept for that long, and longer while a page is searched.
        let longest = request.keep_alive.max(self.cluster.default_timeout());
        request.search.timeout.get_or_insert(longest);
        let progress = Arc::new(Progress::new(
            num_slices,
            request.requests_per_second,
            request.max_docs,
        ));
        let new = NewTask {
            action: match request.change {
                Change::Delete => Action::DeleteByQuery,
                Change::Update => Action::UpdateByQuery,
                Change::Reindex(_) => Action::Reindex,
            },
            target: &request.description,
            origin,
            parent: None,
            progress: Some(Arc::clone(&progress)),
        };
        let entry = self.tasks.list_background(new, QUOTA)?;
        let id = entry.id;
        let (sender, ended) = oneshot::channel();
        let this = Arc::clone(self);
        tokio::spawn(async move {
            let run = Box::pin(this.run(&request, &entry, &progress));
            let outcome = this.results.run_and_keep(&entry, run, kept).await;
            // A client that hears of its end does not find it on the list.
            drop(entry);
            drop(sender.send(outcome));
        });
        Ok(BegunTask { id, ended })
    }

    async fn run(
        &self,
        request: &ByQueryRequest,
        entry: &TaskEntry,
        progress: &Arc<Progress>,
    ) -> Outcome {
        let started = Instant::now();
        let shared = Shared {
            cluster: &self.cluster,
            ingester: &self.ingester,
            request,
            budget: Budget::new(request.max_docs),
            places: &self.places,
            failures: Mutex::default(),
            made: Mutex::default(),
            timed_out: AtomicBool::new(false),
            is_ended: AtomicBool::new(false),
        };
        let whole = SliceRun {
            shared: &shared,
            progress,
            cancellation: entry.cancellation(),
        };
        match &request.source {
            DocumentSource::Here(target) => Box::pin(self.run_here(target, &whole, entry)).await?,
            DocumentSource::Elsewhere(_, pages) => {
                let pages = pages.lock().take();
                let mut pages = pages.ok_or_else(|| {
                    RootError::Internal("pages of another cluster are walked once".to_owned())
                })?;
                whole.run(&mut *pages).await?;
            }
        }
        if let Some(reason) = entry.cancellation().reason() {
            progress.note_cancelled(reason);
        } else if request.is_refreshed {
            self.refresh(request, progress).await?;
        }
        Ok(ByQueryReport {
            took: started.elapsed(),
            timed_out: shared.timed_out.load(Ordering::Relaxed),
            status: progress.status(),
            failures: shared.failures.into_inner(),
            made: shared.made.into_inner().into_iter().collect(),
        })
    }

    /// Pins the views of `target` and walks them, in slices side by side where there are several. Views that may lack
    /// acknowledged writes are refused before anything is written.
    async fn run_here(
        &self,
        target: &Target,
        whole: &SliceRun<'_>,
        entry: &TaskEntry,
    ) -> Result<(), RootError> {
        let request = whole.shared.request;
        let deadline = self.cluster.deadline_of(&request.search);
        let pinned = self.contexts.pin(target, request.keep_alive, deadline);
        let Ok(pinned) = whole.cancellation.unless_requested(pinned).await else {
            return Ok(());
        };
        let PinnedShards { state, num_stale } = pinned?;
        let held = self.contexts.hold(state);
        // The report would not name the documents that such a view lacks.
        if num_stale > 0 {
            let shards = held.state().indices.iter().map(|index| index.views.len());
            return Err(RootError::StaleRefused {
                stale: num_stale,
                total: shards.sum::<usize>() as u32,
            });
        }
        let copied = match &request.change {
            Change::Delete => None,
            Change::Update => Some(&SourceFilter {
                enabled: true,
                includes: Vec::new(),
                excludes: Vec::new(),
            }),
            Change::Reindex(destination) => Some(&destination.source),
        };
        let views = Views {
            contexts: &self.contexts,
            state: held.state(),
        };
        let pages = |slice| PinnedPages::new(views, &request.search, copied, slice);
        let slices = whole.progress.slices();
        if slices.is_empty() {
            return whole.run(&mut pages(None)).await;
        }
        let max = slices.len() as u32;
        let runs = (0..).zip(slices).map(|(id, progress)| {
            let listed = self.tasks.list(NewTask {
                action: entry.action(),
                target: &request.description,
                origin: entry.origin(),
                parent: Some(entry.id),
                progress: Some(Arc::clone(progress)),
            });
            // The whole task may have been cancelled before its slices were listed.
            if let Some(reason) = whole.cancellation.reason() {
                listed.cancellation().request(reason);
            }
            let mut pages = pages(Some(Slice { id, max }));
            async move {
                let run = SliceRun {
                    shared: whole.shared,
                    progress,
                    cancellation: listed.cancellation(),
                };
                run.run(&mut pages).await
            }
        });
        let runs: Vec<_> = runs.collect();
        join_all(runs).await.into_iter().collect()
    }

    async fn refresh(
        &self,
        request: &ByQueryRequest,
        progress: &Progress,
    ) -> Result<(), RootError> {
        let target = match (&request.change, &request.source) {
            (Change::Reindex(destination), _) => {
                // It is made by the first document.
                if progress.status().counts.num_written() == 0 {
                    return Ok(());
                }
                &Target {
                    expression: Some(destination.index.clone()),
                    ..Target::default()
                }
            }
            (_, DocumentSource::Here(target)) => target,
            (_, DocumentSource::Elsewhere(..)) => return Ok(()),
        };
        self.refresher.refresh(target).await.map(drop)
    }

    fn num_slices(&self, request: &ByQueryRequest) -> u32 {
        let DocumentSource::Here(target) = &request.source else {
            return 1;
        };
        match request.slices {
            Slices::Number(number) => number,
            Slices::Auto => {
                // What is wrong with the names the task itself finds out.
                let plans = self.contexts.planner.targets(target).unwrap_or_default();
                let shards = plans
                    .iter()
                    .map(|plan| plan.index.settings.number_of_shards);
                shards.min().unwrap_or(1).min(MAX_AUTO_SLICES)
            }
        }
    }

    /// Refuses to copy an index into itself, as it would never end; and to copy into no alias where it must be one.
    fn check_destination(&self, request: &ByQueryRequest) -> Result<(), RootError> {
        let Change::Reindex(destination) = &request.change else {
            return Ok(());
        };
        let state = self.cluster.state();
        if destination.require_alias {
            check_alias(&state, &destination.index)?;
        }
        let DocumentSource::Here(target) = &request.source else {
            return Ok(());
        };
        let read = names::resolve(target.name(), &state, &target.options)?;
        let written = names::resolve_write(&destination.index, &state)?;
        let Some(written) = written.map(|found| found.meta) else {
            return Ok(());
        };
        match read.iter().any(|found| found.meta.uuid == written.uuid) {
            false => Ok(()),
            true => {
                let reason = format!(
                    "Validation Failed: 1: reindex cannot write into an index its reading from [{}];",
                    destination.index
                );
                Err(QueryError::new(ErrorType::Validation, reason).into())
            }
        }
    }
}

#[cfg(test)]
mod tests;
