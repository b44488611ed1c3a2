//! Chunks written and answered in order.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use gleaner_model::ClusterState;
use gleaner_root::ingest::{IngestItem, IngestOptions, IngestResult};
use http::StatusCode;
use serde_json::{Value, json};

use super::chunk::{Chunks, Item};
use super::items::Items;
use crate::error::ApiError;
use crate::render::document;
use crate::service::App;

/// A bulk on its way.
pub(super) struct Run {
    app: Arc<App>,
    chunks: Chunks,
    options: IngestOptions,
    key: Option<String>,
    started: Instant,
    /// The chunk read while the one before was written.
    ahead: Option<Vec<Item>>,
    ordinal: u64,
    pub(super) items: Items,
}

impl Run {
    pub(super) fn new(
        app: Arc<App>,
        chunks: Chunks,
        (options, key): (IngestOptions, Option<String>),
        items: Items,
        started: Instant,
    ) -> Self {
        Self {
            app,
            chunks,
            options,
            key,
            started,
            ahead: None,
            ordinal: 0,
            items,
        }
    }

    /// Returns the time since the request arrived.
    pub(super) fn took_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    /// Writes the next chunk, reads the one after it meanwhile, and returns the answers that are
    /// shown, as JSON separated by commas; `None` after the last.
    ///
    /// # Errors
    /// As [`Chunks::next`]; the chunk that was being written then is written all the same.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        let chunk = match self.ahead.take() {
            Some(chunk) => chunk,
            None => match self.chunks.next().await? {
                Some(chunk) => chunk,
                None => return Ok(None),
            },
        };
        let mut options = self.options.clone();
        options.idempotency_key = self
            .key
            .as_ref()
            .map(|key| format!("{key}/{}", self.ordinal));
        self.ordinal += 1;
        let app = Arc::clone(&self.app);
        let (asked, writes) = parted(chunk);
        let writing = app.root.ingest(writes, &options);
        let (results, ahead) = futures::join!(writing, self.chunks.next());
        self.ahead = ahead?;
        self.show(asked, &results);
        Ok(Some(self.items.take()))
    }

    fn show(&mut self, asked: Vec<Asked>, results: &[IngestResult]) {
        let state = self.app.root.state();
        let mut results = results.iter();
        for asked in asked {
            match asked {
                Asked::Write { name, has_id } => {
                    if let Some(result) = results.next() {
                        self.show_result(name, has_id, result, &state);
                    }
                }
                Asked::Refused { name, body } => self.items.add(name, &body, true),
            }
        }
    }

    fn show_result(
        &mut self,
        name: &'static str,
        has_id: bool,
        result: &IngestResult,
        state: &ClusterState,
    ) {
        match document::written(result, state) {
            Ok((status, written)) => self.items.add(name, &written.with_status(status), false),
            Err(error) => {
                self.items.has_rejected |= error.status == StatusCode::TOO_MANY_REQUESTS;
                let id = Some(result.id.as_str()).filter(|_| has_id);
                self.items
                    .add(name, &refusal(&result.index, id, &error), true);
            }
        }
    }
}

/// What is answered for an item.
enum Asked {
    /// The next of the results.
    Write {
        name: &'static str,
        has_id: bool,
    },
    Refused {
        name: &'static str,
        body: Value,
    },
}

/// Takes the writes out of a chunk; the rest says in which order items are answered.
fn parted(chunk: Vec<Item>) -> (Vec<Asked>, Vec<IngestItem>) {
    let mut asked = Vec::with_capacity(chunk.len());
    let mut writes = Vec::with_capacity(chunk.len());
    for item in chunk {
        asked.push(match item {
            Item::Write(item) => {
                let name = document::action_name(&item.action);
                let has_id = item.id.is_some();
                writes.push(item);
                Asked::Write { name, has_id }
            }
            Item::Refused {
                name,
                index,
                id,
                error,
            } => Asked::Refused {
                name,
                body: refusal(&index, id.as_deref(), &error),
            },
        });
    }
    (asked, writes)
}

fn refusal(index: &str, id: Option<&str>, error: &ApiError) -> Value {
    json!({
        "_index": index,
        "_id": id,
        "status": error.status.as_u16(),
        "error": error.to_json(),
    })
}
