//! `_bulk`: many writes in one body, read line by line.
//!
//! The body is cut into chunks of [`crate::ApiOptions::bulk_chunk_items`] items or
//! [`crate::ApiOptions::bulk_chunk_bytes`] bytes; borders depend on the body alone, so that a
//! request sent again with its idempotency key has the same chunks. A chunk is written while the
//! next one is read, and answered in order. A malformed line refuses the request; chunks before it
//! stand written, those of a body of one chunk do not.
//!
//! [`IDEMPOTENCY_KEY`] counts together with the chunk: the same key and the same documents are
//! answered again, other documents under the same key are written. To refuse them would be safe as
//! well, but not cheap: a shard remembers what it wrote, not what it was asked.

mod action;
mod answer;
mod chunk;
mod items;

use axum::body::Body;
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode};

use crate::error::ApiError;
use crate::parameters::groups::{ACTIVE_SHARDS, IDEMPOTENCY_KEY, SOURCE_FILTER, WRITE};
use crate::request::Request;
use crate::response::{Form, Reply};
use crate::route::{Answer, Parameter, Route};

use answer::Run;
use chunk::{Chunks, Defaults};
use items::Items;

const BULK: &[Parameter] = &[
    Parameter::no_effect("batch_size", "chunks are cut by the server's settings"),
    Parameter::refused("list_executed_pipelines", "an ingest pipeline"),
];

pub(super) static ROUTES: &[Route] = &[Route {
    name: "bulk",
    methods: &[Method::POST, Method::PUT],
    paths: &["/_bulk", "/{index}/_bulk"],
    parameters: &[BULK, WRITE, SOURCE_FILTER, ACTIVE_SHARDS],
    handler: |request| Box::pin(bulk(request)),
    is_refused: false,
}];

/// Bytes of an answer above which it is sent while it is made.
const STREAM_FROM: usize = 4 << 20;

async fn bulk(mut request: Request) -> Answer {
    let form = Form::of(&request.parameters, &request.headers)?;
    // What is printed for people or as YAML is formed as a whole, at the end.
    let is_compact = form.is_compact();
    let items = Items::new(form.filter().filter(|_| is_compact));
    let mut run = prepare(&mut request, items)?;
    let mut rendered = BytesMut::new();
    while let Some(piece) = run.next().await? {
        rendered.put(piece);
        if is_compact && rendered.len() > STREAM_FROM {
            return Ok(streamed(run, rendered.freeze()));
        }
    }
    if run.items.num_items == 0 {
        return Err(ApiError::validation(&["no requests added".to_owned()]));
    }
    let body = whole(&run, &rendered);
    let reply = match is_compact {
        true => Reply::formed_json(body),
        false => Reply::raw_json(StatusCode::OK, body),
    };
    Ok(reply.retried_later(run.items.has_rejected))
}

/// Returns the answer of a bulk that has ended.
fn whole(run: &Run, rendered: &[u8]) -> Bytes {
    let mut members: Vec<Vec<u8>> = run
        .items
        .head(run.took_ms())
        .into_iter()
        .map(|(name, value)| format!("\"{name}\":{value}").into_bytes())
        .collect();
    if run.items.are_shown() {
        members.push([b"\"items\":[", rendered, b"]"].concat());
    }
    [b"{", &members.join(&b',')[..], b"}"].concat().into()
}

fn prepare(request: &mut Request, items: Items) -> Result<Run, ApiError> {
    let defaults = Defaults {
        index: request.expression()?,
        routing: request.parameters.get("routing").map(str::to_owned),
        require_alias: request.parameters.is_set("require_alias")?,
        source: request.source_filter()?,
    };
    let options = request.ingest_options()?;
    let key = idempotency_key(&request.headers)?;
    let is_typed = request.headers.contains_key(http::header::CONTENT_TYPE);
    if !is_typed {
        let reason = "Content-Type header [] is not supported";
        let status = StatusCode::NOT_ACCEPTABLE;
        return Err(ApiError::new(status, "media_type_header_exception", reason));
    }
    let lines = request.lines(request.app.options.max_bulk_bytes)?;
    let chunks = Chunks::new(lines, defaults, &request.app);
    Ok(Run::new(
        std::sync::Arc::clone(&request.app),
        chunks,
        (options, key),
        items,
        request.started,
    ))
}

/// Returns the name that the client gives the request.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let given = IDEMPOTENCY_KEY
        .names
        .iter()
        .find_map(|name| Some((name, headers.get(*name)?)));
    let Some((name, value)) = given else {
        return Ok(None);
    };
    // Without it the client would be served, and its documents doubled when it sends them again.
    match value.to_str() {
        Ok(key) if !key.is_empty() => Ok(Some(key.to_owned())),
        _ => Err(ApiError::illegal(format!(
            "header [{name}] must be ASCII text that is not empty"
        ))),
    }
}

/// Sends what is there and the rest as it is made; what is known only at the end stands last. A
/// fault now can only cut the answer off: the client then knows that the outcome is not told. When to
/// try again is said only of items that were refused by now: headers go first.
fn streamed(run: Run, first: Bytes) -> Reply {
    let begin = Bytes::from_static(b"{\"items\":[");
    let has_rejected = run.items.has_rejected;
    let opening = futures::stream::iter([Ok::<_, ApiError>(begin), Ok(first)]);
    let rest = futures::stream::unfold(Some(run), |run| async move {
        let mut run = run?;
        match run.next().await {
            Ok(Some(piece)) => Some((Ok(piece), Some(run))),
            Ok(None) => {
                let mut end = "]".to_owned();
                for (name, value) in run.items.head(run.took_ms()).iter().rev() {
                    end.push_str(&format!(",\"{name}\":{value}"));
                }
                end.push('}');
                Some((Ok(Bytes::from(end)), None))
            }
            Err(error) => {
                tracing::warn!(reason = error.reason(), "a bulk answer was cut off");
                Some((Err(error), None))
            }
        }
    });
    let body = Body::from_stream(futures::StreamExt::chain(opening, rest));
    Reply::streamed(body).retried_later(has_rejected)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_key_that_cannot_be_read_is_refused() {
        let key = |name: &'static str, value: &[u8]| {
            let mut headers = HeaderMap::new();
            let value = HeaderValue::from_bytes(value).expect("a value");
            headers.insert(name, value);
            idempotency_key(&headers)
        };
        for name in ["idempotency-key", "x-gleaner-idempotency-key"] {
            assert_eq!(key(name, b"k").ok(), Some(Some("k".to_owned())));
            for wrong in [&b""[..], "é".as_bytes()] {
                let error = key(name, wrong).expect_err("refused");
                assert_eq!(error.status, StatusCode::BAD_REQUEST);
            }
        }
        assert_eq!(idempotency_key(&HeaderMap::new()).ok(), Some(None));
    }
}
