//! The searches under way on this root: listed, and cancelled on request.
//!
//! A search is on the list from its start until its future is done or dropped, so a client that went
//! away leaves nothing behind. Cancelling drops the search's future, and with it every call to a leaf:
//! the search is answered at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::future::{AbortHandle, Abortable};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::RootError;
use crate::cluster::ClusterView;

/// Tasks listed at most; those beyond run unlisted.
const MAX_LISTED: usize = 10_000;

/// Bytes of a request's body that a description shows.
const SHOWN_BYTES: usize = 1_024;

/// Who asked, and how: what a list shows of a task.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// The client's own name for the request (`X-Opaque-Id`).
    pub opaque_id: Option<String>,
    /// The body as received.
    pub source: Bytes,
}

/// What a task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Search,
    Scroll,
    DeleteByQuery,
}

impl Action {
    /// Returns its name in the dialect.
    fn name(self) -> &'static str {
        match self {
            Self::Search => "indices:data/read/search",
            Self::Scroll => "indices:data/read/scroll",
            Self::DeleteByQuery => "indices:data/write/delete/byquery",
        }
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
    /// Whether it was cancelled and is about to end.
    pub is_cancelled: bool,
}

/// The tasks under way.
pub struct Tasks {
    cluster: Arc<ClusterView>,
    listed: Mutex<BTreeMap<u64, Arc<Task>>>,
    num_begun: AtomicU64,
}

#[derive(Debug)]
struct Task {
    action: Action,
    /// The indices as asked, or the scroll.
    target: String,
    origin: Origin,
    started_ms: i64,
    started: Instant,
    is_cancelled: AtomicBool,
    cancel: AbortHandle,
}

/// Takes a task off the list when it is dropped.
struct TaskEntry<'a> {
    tasks: &'a Tasks,
    id: u64,
}

impl Drop for TaskEntry<'_> {
    fn drop(&mut self) {
        self.tasks.listed.lock().remove(&self.id);
    }
}

impl Tasks {
    /// Returns an empty list.
    pub(crate) fn new(cluster: Arc<ClusterView>) -> Self {
        Self {
            cluster,
            listed: Mutex::default(),
            num_begun: AtomicU64::new(0),
        }
    }

    fn list(&self, task: Task) -> TaskEntry<'_> {
        let id = self.num_begun.fetch_add(1, Ordering::Relaxed) + 1;
        let mut listed = self.listed.lock();
        if listed.len() < MAX_LISTED {
            listed.insert(id, Arc::new(task));
        }
        TaskEntry { tasks: self, id }
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
            Action::DeleteByQuery => format!("delete-by-query [{target}]"),
        };
        TaskInfo {
            id,
            action: self.action.name(),
            description,
            started_ms: self.started_ms,
            running: self.started.elapsed(),
            opaque_id: self.origin.opaque_id.clone(),
            is_cancelled: self.is_cancelled.load(Ordering::Relaxed),
        }
    }
}

/// Returns the start of a text, on one line.
pub(crate) fn shown(text: &[u8]) -> String {
    let start = &text[..text.len().min(SHOWN_BYTES)];
    let start = String::from_utf8_lossy(start);
    start.split_whitespace().collect::<Vec<_>>().join(" ")
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
        let (cancel, guard) = AbortHandle::new_pair();
        let _listed = self.list(Task {
            action,
            target: target.to_owned(),
            origin: origin.clone(),
            started_ms: self.cluster.now_ms(),
            started: Instant::now(),
            is_cancelled: AtomicBool::new(false),
            cancel,
        });
        let outcome = Abortable::new(work, guard).await;
        outcome.unwrap_or(Err(RootError::TaskCancelled))
    }

    /// Returns the tasks under way on this root, the oldest first.
    pub fn list_all(&self) -> Vec<TaskInfo> {
        let listed = self.listed.lock();
        listed.iter().map(|(id, task)| task.info(*id)).collect()
    }

    /// Cancels a task; returns what it was, or `None` when it is not under way.
    pub fn cancel(&self, id: u64) -> Option<TaskInfo> {
        let task = self.listed.lock().get(&id).cloned()?;
        task.is_cancelled.store(true, Ordering::Relaxed);
        task.cancel.abort();
        Some(task.info(id))
    }
}

#[cfg(test)]
mod tests {
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
        assert!(matches!(search.await, Err(RootError::TaskCancelled)));
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
