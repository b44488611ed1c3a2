//! Chunks written and answered in order.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use gleaner_model::ClusterState;
use gleaner_root::ingest::{
    IngestItem, IngestOptions, IngestResult, Parts, RefreshOutcomes, RefreshPolicy,
};
use http::StatusCode;
use serde_json::{Value, json};

use super::amended::{Amendment, Places};
use super::chunk::{Chunks, Item};
use super::items::Items;
use crate::error::ApiError;
use crate::render::document;
use crate::request::Request;
use crate::routes::document::made_by_deprecated;
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
    /// What the chunks wrote: shown to searches after the last one.
    parts: Parts,
    /// What is told of that before the last chunk.
    expected: RefreshOutcomes,
    /// Where it is told; `None` when nothing is refreshed.
    places: Option<Places>,
    /// What came otherwise.
    amending: Option<Amendment>,
    pub(super) items: Items,
}

impl Run {
    pub(super) fn new(
        request: &Request,
        chunks: Chunks,
        options: IngestOptions,
        key: Option<String>,
        items: Items,
    ) -> Self {
        let app = Arc::clone(&request.app);
        let parts = app.root.ingester().begin_parts(&options);
        let is_refreshed = options.refresh != RefreshPolicy::None;
        Self {
            parts,
            expected: RefreshOutcomes::default(),
            places: is_refreshed.then(|| Places::new(app.bodies.open())),
            amending: None,
            app,
            chunks,
            options,
            key,
            started: request.started,
            ahead: None,
            ordinal: 0,
            items,
        }
    }

    /// Returns whether the body that was read had nothing in it.
    pub(super) fn is_without_body(&self) -> bool {
        self.chunks.num_lines() == 0
    }

    /// Returns the time since the request arrived.
    pub(super) fn took_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    /// Writes the next chunk, reads the one after it meanwhile, and returns the answers that are
    /// shown, as JSON separated by commas; `None` after the last. What a refresh comes to is known after
    /// the last chunk: the ones before tell what is expected, see [`Run::amending`].
    ///
    /// # Errors
    /// As [`Chunks::next`] and [`Chunks::check_rights`]; the chunk that was being written then is written all the same, and those
    /// written are refreshed.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        let mut chunk = match self.ahead.take() {
            Some(chunk) => chunk,
            None => match self.chunks.next().await? {
                Some(chunk) => chunk,
                None => return Ok(None),
            },
        };
        if let Err(error) = self.chunks.check_rights(&mut chunk) {
            // Chunks before it are written.
            self.app.root.ingester().show_parts(&self.parts).await;
            return Err(error);
        }
        let mut options = self.options.clone();
        options.idempotency_key = self
            .key
            .as_ref()
            .map(|key| format!("{key}/{}", self.ordinal));
        self.ordinal += 1;
        let app = Arc::clone(&self.app);
        let (asked, writes) = parted(chunk);
        if let Some(key) = &options.idempotency_key
            && !app.root.ingester().admits_key(key, &writes)
        {
            // Pieces before it may be written.
            app.root.ingester().show_parts(&self.parts).await;
            return Err(other_body());
        }
        let writing = app
            .root
            .ingester()
            .ingest_part(writes, &options, &self.parts);
        let (mut results, ahead) = futures::join!(writing, self.chunks.next());
        if let Ok(Some(_)) = &ahead {
            let expected = &mut self.expected;
            app.root
                .ingester()
                .expect_shown(&self.parts, &results, expected);
            expected.tell(&mut results);
        } else {
            let shown = app.root.ingester().show_parts(&self.parts).await;
            shown.tell(&mut results);
            self.amending = self.places.take().and_then(|places| {
                let filter = self.items.filter();
                Amendment::new(
                    places,
                    &shown,
                    &self.expected,
                    &app.root.cluster().state(),
                    filter,
                )
            });
        }
        self.ahead = ahead?;
        self.show(asked, &results);
        self.places.as_mut().map_or(Ok(()), Places::count)?;
        Ok(Some(self.items.take()))
    }

    /// Returns the warnings of what the chunks made.
    pub(super) fn warnings(&self) -> Vec<String> {
        made_by_deprecated(&self.parts.made(), &self.app.root.cluster().state())
    }

    /// Returns how the answers that are rendered are to be changed, after the last chunk.
    pub(super) fn amending(&mut self) -> Option<Amendment> {
        self.amending.take()
    }

    fn show(&mut self, asked: Vec<ItemAnswer>, results: &[IngestResult]) {
        let state = self.app.root.cluster().state();
        let mut results = results.iter();
        for asked in asked {
            match asked {
                ItemAnswer::Write { name } => {
                    if let Some(result) = results.next() {
                        self.show_result(name, result, &state);
                    }
                }
                ItemAnswer::Refused { name, body } => {
                    let num_bytes = self.items.add(name, &body, true);
                    self.note(num_bytes, None);
                }
            }
        }
    }

    fn show_result(&mut self, name: &'static str, result: &IngestResult, state: &ClusterState) {
        match document::written(result, state) {
            Ok((status, written)) => {
                let num_bytes = self.items.add(name, &written.with_status(status), false);
                self.note(num_bytes, Some(result));
            }
            Err(error) => {
                let error = error.spoken_by(self.app.options.distribution);
                self.items.has_rejected |= error.status == StatusCode::TOO_MANY_REQUESTS;
                // One that was made too: by it a client can tell whether the document is in all the same.
                let id = Some(result.id.as_str()).filter(|id| !id.is_empty());
                let refusal = refusal(&result.index, id, &error);
                let num_bytes = self.items.add(name, &refusal, true);
                self.note(num_bytes, None);
            }
        }
    }

    fn note(&mut self, num_bytes: usize, written: Option<&IngestResult>) {
        if let Some(places) = &mut self.places {
            places.note(num_bytes, written);
        }
    }
}

/// Returns the refusal of a body whose key stands for another one.
fn other_body() -> ApiError {
    let reason = "the idempotency key was sent before with another body: send each body under a key of its own";
    let kind = "idempotency_key_conflict_exception";
    ApiError::new(StatusCode::CONFLICT, kind, reason)
}

/// What is answered for an item.
enum ItemAnswer {
    /// The next of the results.
    Write {
        name: &'static str,
    },
    Refused {
        name: &'static str,
        body: Value,
    },
}

/// Takes the writes out of a chunk; the rest says in which order items are answered.
fn parted(chunk: Vec<Item>) -> (Vec<ItemAnswer>, Vec<IngestItem>) {
    let mut asked = Vec::with_capacity(chunk.len());
    let mut writes = Vec::with_capacity(chunk.len());
    for item in chunk {
        asked.push(match item {
            Item::Write(item) => {
                let name = document::action_name(&item.action);
                writes.push(item);
                ItemAnswer::Write { name }
            }
            Item::Refused {
                name,
                index,
                id,
                error,
            } => ItemAnswer::Refused {
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

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;
    use crate::testing::{create, speaking};

    /// Sends a bulk to `books`, of which no leaf answers.
    async fn answered(lines: &'static str) -> Value {
        let dialect = speaking();
        create(&dialect, "books", &Value::Null).await;
        let request = http::Request::post("/books/_bulk")
            .header("content-type", "application/x-ndjson")
            .body(Body::from(lines));
        let Ok(answer) = dialect.oneshot(request.expect("a good request")).await;
        let body = answer.into_body().collect().await.expect("a whole body");
        serde_json::from_slice(&body.to_bytes()).expect("JSON")
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_write_that_failed_names_the_id_that_was_made() {
        let told = answered(concat!(
            r#"{"index":{}}"#,
            "\n{}\n",
            r#"{"create":{"_id":"1"}}"#,
            "\n{}\n",
            r#"{"index":{"_index":"Odd"}}"#,
            "\n{}\n",
        ))
        .await;
        let items = &told["items"];
        let made = items[0]["index"]["_id"].as_str();
        assert!(made.is_some_and(|id| !id.is_empty()), "{told}");
        assert_eq!(items[0]["index"]["status"], 503, "{told}");
        assert_eq!(items[1]["create"]["_id"], "1");
        assert_eq!(items[2]["index"]["_id"], Value::Null, "none was made");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_item_that_chooses_templates_is_written() {
        let told = answered(concat!(
            r#"{"index":{"_id":"1","dynamic_templates":{"a":"words"}}}"#,
            "\n{}\n",
            r#"{"create":{"_id":"2","dynamic_templates":{}}}"#,
            "\n{}\n",
        ))
        .await;
        // They got as far as the leaf.
        assert_eq!(told["items"][0]["index"]["status"], 503, "{told}");
        assert_eq!(told["items"][1]["create"]["status"], 503, "{told}");
    }
}
