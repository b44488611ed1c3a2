//! What tasks did, kept in the index `.tasks` as the dialect keeps it: any root can tell, also after a restart.

use std::sync::Arc;

use bytes::Bytes;
use gleaner_proto::write::{Condition, WriteAction};
use gleaner_query::limits::Limits;
use gleaner_query::settings::parse_create_index;
use serde_json::json;

use crate::RootError;
use crate::admin::Admin;
use crate::ingest::{IngestItem, IngestOptions, Ingester, RefreshPolicy};
use crate::read::{GetRequest, Reader};

/// The index.
const INDEX: &str = ".tasks";

/// Keeps what tasks did.
pub(super) struct Results {
    pub(super) admin: Arc<Admin>,
    pub(super) ingester: Arc<Ingester>,
}

impl Results {
    /// Keeps the result of task `id`.
    ///
    /// # Errors
    /// Why it could not be written: then it is not kept.
    pub(super) async fn keep(&self, id: &str, result: Bytes) -> Result<(), RootError> {
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
        match self.admin.create_index(INDEX, new).await {
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
