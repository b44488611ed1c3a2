//! The baseline over HTTP: handlers of axum straight on tantivy and on a group commit.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use serde_json::value::RawValue;

use super::writing::Writing;
use super::{Bare, BareSearch, Found};
use crate::queries::Query;

/// What the handlers share.
struct Shared {
    index: BareSearch,
    writing: Writing,
}

/// Answer in the shape of the dialect's, as far as clients need it.
#[derive(Serialize)]
struct Answer {
    took: u64,
    hits: Hits,
}

#[derive(Serialize)]
struct Hits {
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    hits: Vec<Hit>,
}

#[derive(Serialize)]
struct Hit {
    #[serde(rename = "_id")]
    id: String,
    #[serde(rename = "_score")]
    score: f32,
    #[serde(rename = "_source")]
    source: Box<RawValue>,
}

/// Serves the index in `folder` at `listen` until the process is killed: `POST /search` (a
/// [`Query`] as JSON), `POST /total` (the same with the number of matches), `POST /count` (that number
/// alone), `POST /append` (bytes, answered once they are on the disk), `POST /write` (an
/// article, appended and indexed), `POST /commit` (what was written), `GET /`.
///
/// # Errors
/// When the index or the address cannot be opened.
pub fn serve(folder: &Path, listen: &str) -> Result<()> {
    let index = Bare::open_in(folder)?.open()?;
    let writing = Writing::open(folder)?;
    let app = Router::new()
        .route("/", get(|| async { StatusCode::OK }))
        .route("/search", post(search))
        .route("/total", post(search_with_total))
        .route("/count", post(count))
        .route("/append", post(append))
        .route("/write", post(write))
        .route("/commit", post(commit))
        .with_state(Arc::new(Shared { index, writing }));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(listen).await?;
        let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
            // A stream that keeps Nagle's algorithm is slower, not wrong.
            drop(stream.set_nodelay(true));
        });
        Ok(axum::serve(listener, app).await?)
    })
}

async fn search(State(shared): State<Arc<Shared>>, Json(query): Json<Query>) -> Json<Answer> {
    answer(|| {
        let index = &shared.index;
        Ok((None, index.fetch_top(index.query(&query).as_ref())?))
    })
}

async fn search_with_total(
    State(shared): State<Arc<Shared>>,
    Json(query): Json<Query>,
) -> Json<Answer> {
    answer(|| {
        let index = &shared.index;
        let (total, found) = index.fetch_top_and_count(index.query(&query).as_ref())?;
        Ok((Some(total), found))
    })
}

async fn count(State(shared): State<Arc<Shared>>, Json(query): Json<Query>) -> Json<Answer> {
    answer(|| {
        let index = &shared.index;
        Ok((Some(index.count(index.query(&query).as_ref())), Vec::new()))
    })
}

/// Renders what `find` finds; nothing where it fails, which no request of ours makes it.
fn answer(find: impl FnOnce() -> Result<(Option<u64>, Vec<Found>)>) -> Json<Answer> {
    let start = std::time::Instant::now();
    let (total, found) = find().unwrap_or_default();
    let hits = found.into_iter().filter_map(|(score, id, source)| {
        let source = RawValue::from_string(source).ok()?;
        Some(Hit { id, score, source })
    });
    let hits = hits.collect();
    Json(Answer {
        took: start.elapsed().as_millis() as u64,
        hits: Hits { total, hits },
    })
}

async fn append(State(shared): State<Arc<Shared>>, body: Bytes) -> StatusCode {
    status(&shared.writing.append(body).await)
}

async fn write(State(shared): State<Arc<Shared>>, body: Bytes) -> StatusCode {
    status(&shared.writing.write(body).await)
}

async fn commit(State(shared): State<Arc<Shared>>) -> StatusCode {
    status(&shared.writing.commit().await)
}

fn status(written: &Result<()>) -> StatusCode {
    match written {
        Ok(()) => StatusCode::CREATED,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
