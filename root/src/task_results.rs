//! What tasks did, kept in the index `.tasks` as the dialect keeps it: any root can tell, also after a restart.
//!
//! Does: wait for the work of a task that runs by itself, and keep what it came to, also where it panicked. Does not:
//! list tasks, or render what is kept. Called by [`crate::by_query`] and [`crate::force_merge`]. Read first:
//! [`Results::run_and_keep`].

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt as _;
use gleaner_model::ChosenTemplates;
use gleaner_proto::write::{Condition, WriteAction};
use gleaner_query::limits::Limits;
use gleaner_query::settings::parse_create_index;
use serde_json::json;

use crate::RootError;
use crate::ingest::{IngestItem, IngestOptions, Ingester, RefreshPolicy};
use crate::read::{GetRequest, Reader};
use crate::tasks::{TaskEntry, TaskInfo};

/// The index.
const INDEX: &str = ".tasks";

/// Writes what is kept of a task that has ended: a JSON object.
pub type Render<T> = Box<dyn FnOnce(&TaskInfo, &Result<T, RootError>) -> Bytes + Send>;

/// Keeps what tasks did.
pub(crate) struct Results {
    ingester: Arc<Ingester>,
}

impl Results {
    pub(crate) fn new(ingester: &Arc<Ingester>) -> Self {
        Self {
            ingester: Arc::clone(ingester),
        }
    }

    /// Does the `work` of a task; returns what it came to. With `kept` it is written down first; where that fails a
    /// warning says so.
    ///
    /// # Errors
    /// What the work failed with; [`RootError::Internal`] where it panicked.
    pub(crate) async fn run_and_keep<T>(
        &self,
        task: &TaskEntry,
        work: impl Future<Output = Result<T, RootError>>,
        kept: Option<Render<T>>,
    ) -> Result<T, RootError> {
        let outcome = AssertUnwindSafe(work).catch_unwind().await;
        let panicked = |_| Err(RootError::Internal("the task panicked".to_owned()));
        let outcome = outcome.unwrap_or_else(panicked);
        if let Some(render) = kept {
            let result = render(&task.info(), &outcome);
            let id = format!("{}:{}", self.ingester.cluster.options.node, task.id);
            if let Err(error) = self.keep(&id, result).await {
                tracing::warn!(task = id, %error, "what a task did could not be kept");
            }
        }
        outcome
    }

    /// Keeps the result of task `id`.
    ///
    /// # Errors
    /// Why it could not be written: then it is not kept.
    async fn keep(&self, id: &str, result: Bytes) -> Result<(), RootError> {
        self.create_index().await?;
        let item = IngestItem {
            index: INDEX.to_owned(),
            id: Some(id.to_owned()),
            routing: None,
            action: WriteAction::Index {
                source: result,
                create: false,
            },
            condition: Condition::None,
            require_alias: false,
            require_data_stream: false,
            templates: ChosenTemplates::default(),
        };
        let options = IngestOptions {
            refresh: RefreshPolicy::Immediate,
            ..IngestOptions::default()
        };
        let written = self.ingester.ingest(vec![item], &options).await;
        written
            .into_iter()
            .try_for_each(|result| result.outcome.map(drop))
    }

    async fn create_index(&self) -> Result<(), RootError> {
        if self.ingester.cluster.state().index_named(INDEX).is_some() {
            return Ok(());
        }
        let body = json!({
            "settings": {"index.hidden": true, "index.number_of_shards": 1},
            "mappings": {
                "dynamic": false,
                "properties": {
                    "completed": {"type": "boolean"},
                    "task": {"properties": {
                        "action": {"type": "keyword"},
                        "node": {"type": "keyword"},
                        "id": {"type": "long"},
                        "start_time_in_millis": {"type": "long"},
                    }},
                },
            },
        });
        let new = parse_create_index(&body, &Limits::default())?;
        match self.ingester.admin.create_index(INDEX, new).await {
            // Another task was faster.
            Ok(_) | Err(RootError::IndexExists { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl Reader {
    /// Returns what the task `id`, `node:number`, did, as it was kept; `None` where nothing was.
    ///
    /// # Errors
    /// As [`Reader::get`].
    pub async fn task_result(&self, id: &str) -> Result<Option<Bytes>, RootError> {
        if self.cluster.state().index_named(INDEX).is_none() {
            return Ok(None);
        }
        let request = GetRequest {
            index: INDEX.to_owned(),
            id: id.to_owned(),
            realtime: true,
            ..GetRequest::default()
        };
        let found = self.get(&request).await?;
        Ok(found.document.map(|document| document.source))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::origin::Origin;
    use crate::tasks::{Action, NewTask};
    use crate::testing::Fixture;

    async fn broken() -> Result<(), RootError> {
        panic!("on purpose")
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_task_that_panics_ends_with_an_error_that_is_kept() {
        let Fixture { leaf, root } = Fixture::new([]);
        let task = root.tasks.list(NewTask {
            action: Action::ForceMerge,
            target: "",
            origin: &Origin::default(),
            parent: None,
            progress: None,
        });
        let render: Render<()> = Box::new(|_: &TaskInfo, outcome: &Result<(), RootError>| {
            let error = outcome.as_ref().expect_err("it panicked");
            Bytes::from(json!({"error": error.to_string()}).to_string())
        });
        let ended = root.results.run_and_keep(&task, broken(), Some(render));
        assert!(matches!(ended.await, Err(RootError::Internal(_))));
        let written = leaf.written.lock();
        let [call] = &written[..] else {
            panic!("one result is kept");
        };
        let WriteAction::Index { source, .. } = &call.items[0].action else {
            panic!("it is put whole");
        };
        let kept: Value = serde_json::from_slice(source).expect("JSON");
        assert_eq!(kept, json!({"error": "the task panicked"}));
    }
}
