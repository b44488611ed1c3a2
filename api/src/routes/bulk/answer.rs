//! Chunks written and answered in order.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use gleaner_root::ingest::{IngestItem, IngestOptions};
use serde_json::{Map, Value, json};

use super::chunk::{Chunks, Item};
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
    pub(super) num_items: usize,
    pub(super) has_errors: bool,
}

impl Run {
    pub(super) fn new(
        app: Arc<App>,
        chunks: Chunks,
        options: IngestOptions,
        key: Option<String>,
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
            num_items: 0,
            has_errors: false,
        }
    }

    /// Returns the time since the request arrived.
    pub(super) fn took_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    /// Writes the next chunk, reads the one after it meanwhile, and returns the answers as JSON
    /// separated by commas; `None` after the last.
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
        let writing = answers(&app, chunk, &options);
        let (answers, ahead) = futures::join!(writing, self.chunks.next());
        self.ahead = ahead?;
        let is_first = self.num_items == 0;
        self.num_items += answers.len();
        Ok(Some(self.joined(&answers, is_first)))
    }

    fn joined(&mut self, answers: &[Value], is_first: bool) -> Bytes {
        let mut out = String::new();
        for (at, answer) in answers.iter().enumerate() {
            if !(is_first && at == 0) {
                out.push(',');
            }
            let inner = answer.as_object().and_then(|object| object.values().next());
            self.has_errors |= inner.is_some_and(|inner| inner.get("error").is_some());
            out.push_str(&answer.to_string());
        }
        Bytes::from(out)
    }
}

/// Writes a chunk; returns the answer of each item, refused ones included, in order.
async fn answers(app: &App, chunk: Vec<Item>, options: &IngestOptions) -> Vec<Value> {
    let mut shown: Vec<Option<Value>> = Vec::with_capacity(chunk.len());
    let mut names = Vec::new();
    let mut writes: Vec<IngestItem> = Vec::new();
    for item in chunk {
        match item {
            Item::Write(item) => {
                names.push((
                    shown.len(),
                    document::action_name(&item.action),
                    item.id.is_some(),
                ));
                writes.push(item);
                shown.push(None);
            }
            Item::Refused {
                name,
                index,
                id,
                error,
            } => {
                shown.push(Some(refusal(name, &index, id.as_deref(), &error)));
            }
        }
    }
    let results = app.root.ingest(writes, options).await;
    let state = app.root.state();
    for ((at, name, has_id), result) in names.into_iter().zip(results) {
        shown[at] = Some(match document::written(&result, &state) {
            Ok((status, mut body)) => {
                body["status"] = status.as_u16().into();
                single(name, body)
            }
            Err(error) => {
                let id = Some(result.id.as_str()).filter(|_| has_id);
                refusal(name, &result.index, id, &error)
            }
        });
    }
    shown.into_iter().flatten().collect()
}

fn refusal(name: &str, index: &str, id: Option<&str>, error: &ApiError) -> Value {
    single(
        name,
        json!({
            "_index": index,
            "_id": id,
            "status": error.status.as_u16(),
            "error": error.to_json(),
        }),
    )
}

fn single(name: &str, body: Value) -> Value {
    let mut object = Map::new();
    object.insert(name.to_owned(), body);
    Value::Object(object)
}
