//! The tasks under way on this root: listed, waited for, and cancelled on request.
//!
//! A search is on the list from its start until its future is done or dropped, so a client that went
//! away leaves nothing behind. Cancelling drops the search's future, and with it every call to a leaf:
//! the search is answered at once. A task by query ([`crate::by_query`]) and a merge ([`crate::force_merge`]) run by
//! themselves and stay on the list until what they did is kept. The one ends after the page that it is writing; the
//! other cannot be cancelled.

mod background;
mod cancellation;
mod progress;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use crate::RootError;
use crate::cluster::ClusterView;
use crate::origin::{Origin, shown};

pub(crate) use background::Quota;
pub(crate) use cancellation::Cancellation;
pub use progress::{ByQueryStatus, Counts};
pub(crate) use progress::{Progress, WrittenPage};

/// Why a task that a client cancels ends, as the dialect words it.
pub(crate) const BY_USER: &str = "by user request";

/// Tasks listed at most; those beyond run unlisted.
const MAX_LISTED: usize = 10_000;

/// Numbers for the tasks that begin in a millisecond: more than a root begins.
const NUMBERS_PER_MS: u64 = 1_000;

/// What a task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Search,
    Scroll,
    DeleteByQuery,
    UpdateByQuery,
    Reindex,
    ForceMerge,
}

impl Action {
    /// Returns its name in the dialect.
    fn name(self) -> &'static str {
        match self {
            Self::Search => "indices:data/read/search",
            Self::Scroll => "indices:data/read/scroll",
            Self::DeleteByQuery => "indices:data/write/delete/byquery",
            Self::UpdateByQuery => "indices:data/write/update/byquery",
            Self::Reindex => "indices:data/write/reindex",
            Self::ForceMerge => "indices:admin/forcemerge",
        }
    }

    /// Returns whether a client can cancel it. A merge goes on on its leaf, so it cannot, as in the dialect
    /// (Elasticsearch, `TransportForceMergeAction`).
    fn is_cancellable(self) -> bool {
        self != Self::ForceMerge
    }
}

/// A task under way.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskInfo {
    /// Its number on this root, ≥ 1.
    pub id: u64,
    /// What it does, as the dialect names it.
    pub action: &'static str,
    /// What it does it to.
    pub description: String,
    /// When it began: milliseconds since the epoch.
    pub started_ms: i64,
    /// Since when it has been running.
    pub running: Duration,
    /// The client's own name for the request.
    pub opaque_id: Option<String>,
    /// Id of the key that asked for it; `None` where the cluster has no keys.
    pub owner: Option<String>,
    /// Whether a client can cancel it.
    pub is_cancellable: bool,
    /// Whether it was cancelled and is about to end.
    pub is_cancelled: bool,
    /// The task that it is a part of.
    pub parent: Option<u64>,
    /// What it has done so far; `None` for searches.
    pub status: Option<ByQueryStatus>,
}

/// The tasks under way.
pub struct Tasks {
    cluster: Arc<ClusterView>,
    listed: Arc<Listed>,
    last_number: AtomicU64,
}

/// The list, and word of its changes.
#[derive(Default)]
struct Listed {
    list: Mutex<List>,
    /// Told when a task leaves the list.
    left: Notify,
}

/// The list.
#[derive(Default)]
struct List {
    tasks: BTreeMap<u64, Arc<Task>>,
    /// Whether the process stops: no task that runs by itself begins any more.
    is_stopping: bool,
}

struct Task {
    action: Action,
    /// What it does it to: the indices as asked, the scroll, or a whole description.
    target: String,
    origin: Origin,
    started_ms: i64,
    started: Instant,
    cancellation: Arc<Cancellation>,
    parent: Option<u64>,
    progress: Option<Arc<Progress>>,
    /// What it counts against; `None` for one that ends with its client's request, or is a part.
    quota: Option<Quota>,
}

/// What is to be listed as a task.
pub(crate) struct NewTask<'a> {
    pub(crate) action: Action,
    /// The indices as asked, or the scroll; of a task by query and a merge the whole description.
    pub(crate) target: &'a str,
    pub(crate) origin: &'a Origin,
    /// The task that it is a part of.
    pub(crate) parent: Option<u64>,
    /// What it has done; `None` for searches.
    pub(crate) progress: Option<Arc<Progress>>,
}

/// Takes a task off the list when it is dropped.
pub(crate) struct TaskEntry {
    listed: Arc<Listed>,
    pub(crate) id: u64,
    task: Arc<Task>,
}

impl TaskEntry {
    /// Returns what ends the task.
    pub(crate) fn cancellation(&self) -> &Arc<Cancellation> {
        &self.task.cancellation
    }

    /// Returns who asked for it.
    pub(crate) fn origin(&self) -> &Origin {
        &self.task.origin
    }

    /// Returns what it does.
    pub(crate) fn action(&self) -> Action {
        self.task.action
    }

    /// Returns what a list shows of it.
    pub(crate) fn info(&self) -> TaskInfo {
        self.task.info(self.id)
    }

    /// Does `work`, unless the task is to end before it is done: `work` is dropped then.
    ///
    /// # Errors
    /// [`RootError::TaskCancelled`] with the reason; else what `work` failed with.
    pub(crate) async fn unless_cancelled<T>(
        &self,
        work: impl Future<Output = Result<T, RootError>>,
    ) -> Result<T, RootError> {
        let outcome = self.cancellation().unless_requested(work).await;
        outcome.unwrap_or_else(|reason| Err(RootError::TaskCancelled(reason)))
    }
}

impl Drop for TaskEntry {
    fn drop(&mut self) {
        self.listed.list.lock().tasks.remove(&self.id);
        self.listed.left.notify_waiters();
    }
}

impl Tasks {
    /// Returns an empty list.
    pub(crate) fn new(cluster: Arc<ClusterView>) -> Self {
        // What tasks of an earlier process did is kept under their numbers.
        let first = u64::try_from(cluster.now_ms()).unwrap_or(0) * NUMBERS_PER_MS;
        Self {
            cluster,
            listed: Arc::default(),
            last_number: AtomicU64::new(first),
        }
    }

    fn next_number(&self) -> u64 {
        self.last_number.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Returns a request that is answered at once as a task, which only its own answer shows: `action` is what it does,
    /// as the dialect names it, and `parent` the task that it is a part of.
    pub fn answered_at_once(
        &self,
        action: &'static str,
        origin: &Origin,
        parent: Option<u64>,
    ) -> TaskInfo {
        TaskInfo {
            id: self.next_number(),
            action,
            description: String::new(),
            started_ms: self.cluster.now_ms(),
            running: Duration::ZERO,
            opaque_id: origin.opaque_id.clone(),
            owner: origin.owner.clone(),
            is_cancellable: false,
            is_cancelled: false,
            parent,
            status: None,
        }
    }

    /// Puts a task on the list, until what is returned is dropped. A full list takes parts of others all the same: it is
    /// through the list that they are stopped.
    pub(crate) fn list(&self, new: NewTask<'_>) -> TaskEntry {
        let is_part = new.parent.is_some();
        let (id, task) = (self.next_number(), self.new_task(new, None));
        let mut list = self.listed.list.lock();
        if is_part || list.tasks.len() < MAX_LISTED {
            list.tasks.insert(id, Arc::clone(&task));
        }
        drop(list);
        self.entry(id, task)
    }

    fn new_task(&self, new: NewTask<'_>, quota: Option<Quota>) -> Arc<Task> {
        Arc::new(Task {
            action: new.action,
            target: new.target.to_owned(),
            origin: new.origin.clone(),
            started_ms: self.cluster.now_ms(),
            started: Instant::now(),
            cancellation: Arc::default(),
            parent: new.parent,
            progress: new.progress,
            quota,
        })
    }

    fn entry(&self, id: u64, task: Arc<Task>) -> TaskEntry {
        TaskEntry {
            listed: Arc::clone(&self.listed),
            id,
            task,
        }
    }
}

impl Task {
    fn info(&self, id: u64) -> TaskInfo {
        let target = &self.target;
        let description = match self.action {
            Action::Search => {
                let source = shown(&self.origin.source);
                format!("indices[{target}], search_type[QUERY_THEN_FETCH], source[{source}]")
            }
            Action::Scroll => format!("scrollId[{}]", shown(target.as_bytes())),
            Action::DeleteByQuery
            | Action::UpdateByQuery
            | Action::Reindex
            | Action::ForceMerge => target.clone(),
        };
        TaskInfo {
            id,
            action: self.action.name(),
            description,
            started_ms: self.started_ms,
            running: self.started.elapsed(),
            opaque_id: self.origin.opaque_id.clone(),
            owner: self.origin.owner.clone(),
            is_cancellable: self.action.is_cancellable(),
            is_cancelled: self.cancellation.reason().is_some(),
            parent: self.parent,
            status: self.progress.as_ref().map(|progress| progress.status()),
        }
    }
}

impl Tasks {
    /// Does `work` as a task: listed while it runs, and cancelled on request.
    pub(crate) async fn as_task<T>(
        &self,
        action: Action,
        target: &str,
        origin: &Origin,
        work: impl Future<Output = Result<T, RootError>>,
    ) -> Result<T, RootError> {
        let listed = self.list(NewTask {
            action,
            target,
            origin,
            parent: None,
            progress: None,
        });
        listed.unless_cancelled(work).await
    }

    /// Returns the tasks under way on this root, the oldest first.
    pub fn list_all(&self) -> Vec<TaskInfo> {
        let list = self.listed.list.lock();
        let tasks = list.tasks.iter();
        tasks.map(|(id, task)| task.info(*id)).collect()
    }

    /// Returns a task that is under way.
    pub fn get(&self, id: u64) -> Option<TaskInfo> {
        let task = self.listed.list.lock().tasks.get(&id).cloned()?;
        Some(task.info(id))
    }

    /// Cancels a task and its parts; returns what it was, or `None` when it is not under way. One that cannot be
    /// cancelled, as what is returned says, goes on.
    pub fn cancel(&self, id: u64) -> Option<TaskInfo> {
        let list = self.listed.list.lock();
        let task = list.tasks.get(&id)?;
        if task.action.is_cancellable() {
            let parts = list.tasks.values().filter(|task| task.parent == Some(id));
            for task in parts.chain([task]) {
                task.cancellation.request(BY_USER);
            }
        }
        Some(task.info(id))
    }

    /// Has a task by query, and its parts, write at most as many documents a second from now on; `None` is as
    /// fast as it goes. Returns what it was, or `None` when no such task is under way.
    pub fn rethrottle(&self, id: u64, per_second: Option<f64>) -> Option<TaskInfo> {
        let task = self.listed.list.lock().tasks.get(&id).cloned()?;
        task.progress.as_ref()?.rethrottle(per_second);
        Some(task.info(id))
    }

    /// Waits until none of `ids` is under way; returns whether that came within `patience`.
    pub async fn until_ended(&self, ids: &[u64], patience: Duration) -> bool {
        let ended = async {
            loop {
                // Made before the look, so that no end between the two is missed.
                let left = self.listed.left.notified();
                if !self.has_any(ids) {
                    return;
                }
                left.await;
            }
        };
        timeout(patience, ended).await.is_ok()
    }

    fn has_any(&self, ids: &[u64]) -> bool {
        let list = self.listed.list.lock();
        ids.iter().any(|id| list.tasks.contains_key(id))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use gleaner_query::search::SearchRequest;
    use serde_json::json;

    use super::*;
    use crate::plan::Target;
    use crate::search::SearchOptions;
    use crate::testing::{Fixture, index, shard};

    fn hanging() -> Fixture {
        let fixture = Fixture::new([index(1, &json!({}))]);
        fixture.leaf.hanging.lock().insert(shard(1, 0));
        fixture
    }

    fn options() -> SearchOptions {
        SearchOptions {
            origin: Origin {
                opaque_id: Some("mine".to_owned()),
                owner: None,
                source: Bytes::from_static(b"{\n  \"size\": 1 }"),
            },
            ..SearchOptions::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_search_is_listed_while_it_runs_and_cancelled_at_once() {
        let fixture = hanging();
        let (target, request, options) = (Target::default(), SearchRequest::default(), options());
        let mut search = Box::pin(fixture.root.search(&target, &request, &options));
        assert!(futures::poll!(search.as_mut()).is_pending());
        let [task] = &fixture.root.tasks().list_all()[..] else {
            panic!("one task is under way");
        };
        assert_eq!(
            (task.action, task.opaque_id.as_deref()),
            ("indices:data/read/search", Some("mine"))
        );
        let description = r#"indices[_all], search_type[QUERY_THEN_FETCH], source[{ "size": 1 }]"#;
        assert_eq!(task.description, description);
        assert!(
            fixture
                .root
                .tasks()
                .cancel(task.id)
                .expect("known")
                .is_cancelled
        );
        let begun = Instant::now();
        assert!(matches!(
            search.await,
            Err(RootError::TaskCancelled(BY_USER))
        ));
        assert_eq!(begun.elapsed(), Duration::ZERO);
        assert_eq!(fixture.leaf.num_dropped.load(Ordering::Relaxed), 1);
        assert_eq!(fixture.root.tasks().list_all(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn a_search_that_is_dropped_is_no_task_any_more() {
        let fixture = hanging();
        let (target, request, options) = (Target::default(), SearchRequest::default(), options());
        let mut search = Box::pin(fixture.root.search(&target, &request, &options));
        assert!(futures::poll!(search.as_mut()).is_pending());
        drop(search);
        assert_eq!(fixture.root.tasks().list_all(), []);
        assert_eq!(fixture.root.tasks().cancel(1), None);
    }
}
