//! `_bulk`: many writes in one body, read line by line.
//!
//! The body is cut into chunks of [`crate::ApiOptions::bulk_chunk_items`] items or
//! [`crate::ApiOptions::bulk_chunk_bytes`] bytes; borders depend on the body alone, so that a
//! request sent again with its idempotency key has the same chunks. A chunk is written while the
//! next one is read, and answered in order; after the last one what was written is refreshed, where that is
//! asked for. A malformed line refuses the request; chunks before it
//! stand written, those of a body of one chunk do not.
//!
//! [`IDEMPOTENCY_KEY`] counts together with the chunk: the same key and the same documents are
//! answered again, other documents under the same key are written. To refuse them would be safe as
//! well, but not cheap: a shard remembers what it wrote, not what it was asked.

mod action;
mod amended;
mod answer;
mod chunk;
mod items;
mod rendered;

pub use action::action_shown;

use axum::body::{Body, HttpBody as _};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};

use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::parameters::groups::{
    ACTIVE_SHARDS, DOCUMENT_ERRORS, IDEMPOTENCY_KEY, SOURCE_FILTER, WRITE,
};
use crate::request::{Answer, Request};
use crate::response::{Form, Reply};
use crate::route::{Parameter, Route};

use answer::Run;
use chunk::{Chunks, Defaults};
use items::Items;
use rendered::RenderedItems;

const BULK: &[Parameter] = &[
    Parameter::no_effect("batch_size", "chunks are cut by the server's settings"),
    Parameter::refused("list_executed_pipelines", "an ingest pipeline"),
];

pub(super) static ENDPOINTS: &[Endpoint] = &[Route {
    name: "bulk",
    methods: &[Method::POST, Method::PUT],
    paths: &["/_bulk", "/{index}/_bulk"],
    parameters: &[BULK, WRITE, DOCUMENT_ERRORS, SOURCE_FILTER, ACTIVE_SHARDS],
    is_refused: false,
}
.answered_by(|request| Box::pin(bulk(request)))];

async fn bulk(mut request: Request) -> Answer {
    let form = Form::of(&request.parameters, &request.headers)?;
    // What is printed for people or as YAML is formed as a whole, at the end.
    let is_compact = form.is_compact();
    let items = Items::new(form.filter().filter(|_| is_compact));
    let mut run = prepare(&mut request, items)?;
    let mut rendered = RenderedItems::new(request.app.bodies.open(), is_compact);
    loop {
        // Chunks before one that cannot be read may have made indices.
        let next = run.next().await;
        match next.map_err(|error| error.warned(run.warnings()))? {
            Some(piece) => rendered.put(&piece)?,
            None => break,
        }
    }
    if let Some(amending) = run.amending() {
        let amended = RenderedItems::new(request.app.bodies.open(), is_compact);
        rendered = amending.amended(rendered, amended).await?;
    }
    if run.is_without_body() {
        return Err(without_body());
    }
    if run.items.num_items == 0 {
        return Err(ApiError::validation(&["no requests added".to_owned()]));
    }
    let reply = match rendered.into_plain() {
        Err(packed) => streamed(&run, packed),
        Ok(rendered) if is_compact => Reply::formed_json(whole(&run, &rendered)),
        Ok(rendered) => Reply::raw_json(StatusCode::OK, whole(&run, &rendered)),
    };
    let reply = reply.warning(&run.warnings());
    Ok(reply.retried_later(run.items.has_rejected))
}

fn without_body() -> ApiError {
    ApiError::parse("request body is required")
}

/// Returns the answer of a bulk.
fn whole(run: &Run, rendered: &[u8]) -> Bytes {
    let items = run.items.are_shown().then_some(rendered);
    let (begin, end) = around(run, items.is_some());
    [&begin[..], items.unwrap_or_default(), end.as_bytes()]
        .concat()
        .into()
}

/// Returns what stands before the items of an answer and behind them.
fn around(run: &Run, are_shown: bool) -> (Vec<u8>, &'static str) {
    let head = run.items.head(run.took_ms()).into_iter();
    let mut members: Vec<String> = head
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    let end = if are_shown {
        members.push("\"items\":[".to_owned());
        "]}"
    } else {
        "}"
    };
    (format!("{{{}", members.join(",")).into_bytes(), end)
}

fn prepare(request: &mut Request, items: Items) -> Result<Run, ApiError> {
    let defaults = Defaults {
        index: request.expression()?,
        routing: request.parameters.get("routing").map(str::to_owned),
        require_alias: request.parameters.is_set("require_alias")?,
        require_data_stream: request.parameters.is_set("require_data_stream")?,
        source: request.source_filter()?,
        sender: request.sender.clone(),
    };
    let options = request.ingest_options()?;
    let key = idempotency_key(&request.headers)?;
    let is_typed = request.headers.contains_key(http::header::CONTENT_TYPE);
    if !is_typed {
        if request.body.get_mut().is_end_stream() {
            return Err(without_body());
        }
        let reason = "Content-Type header is missing";
        let status = StatusCode::NOT_ACCEPTABLE;
        return Err(ApiError::new(status, "media_type_header_exception", reason));
    }
    let lines = request.lines(request.app.options.max_bulk_bytes)?;
    let chunks = Chunks::new(lines, defaults, &request.app);
    Ok(Run::new(request, chunks, options, key, items))
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

/// Sends an answer that was packed, unpacking it as it goes.
fn streamed(run: &Run, rendered: RenderedItems) -> Reply {
    let (begin, end) = around(run, true);
    let begin = std::iter::once(Ok(Bytes::from(begin)));
    let end = std::iter::once(Ok(Bytes::from_static(end.as_bytes())));
    let pieces = begin.chain(rendered.into_pieces()).chain(end);
    Reply::streamed(Body::from_stream(futures::stream::iter(pieces)))
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use http::HeaderValue;
    use http_body_util::BodyExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpSocket;
    use tower::ServiceExt as _;

    use super::*;
    use crate::ApiOptions;
    use crate::dialect::tests::speaking;

    fn socket() -> TcpSocket {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_send_buffer_size(64 << 10).expect("a size");
        socket.set_recv_buffer_size(64 << 10).expect("a size");
        socket
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_client_that_sends_all_before_it_reads_is_answered() {
        let listening = socket();
        let any = "127.0.0.1:0".parse().expect("an address");
        listening.bind(any).expect("a port");
        let listener = listening.listen(1).expect("listens");
        let address = listener.local_addr().expect("an address");
        let options = ApiOptions::default();
        tokio::spawn(async move { crate::serve(listener, speaking(), &options, pending()).await });
        let mut client = socket().connect(address).await.expect("connects");
        let line = format!("{{\"delete\":{{\"_id\":\"\"{}}}}}\n", " ".repeat(200));
        let body = line.repeat(100_000);
        let head = format!(
            "POST /i/_bulk HTTP/1.0\r\nhost: localhost\r\ncontent-type: application/x-ndjson\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        let asked = async {
            client.write_all(head.as_bytes()).await.expect("sent");
            client.write_all(body.as_bytes()).await.expect("all of it");
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).await.expect("an answer");
            answer
        };
        let answer = tokio::time::timeout(std::time::Duration::from_secs(300), asked).await;
        let answer = String::from_utf8(answer.expect("nobody waits for ever")).expect("text");
        assert!(answer.contains(" 200 OK"), "{answer:.200}");
        assert!(answer.len() > 2 * rendered::PLAIN_BYTES, "{}", answer.len());
        assert_eq!(answer.matches("must not be empty").count(), 100_000);
        assert!(answer.contains("\"errors\":true,\"items\":["));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_answer_that_there_is_no_time_to_print_is_sent_as_it_is() {
        let root = crate::testing::root_without_time();
        let dialect = crate::dialect(root, ApiOptions::default(), None);
        let body = "{\"delete\":{\"_id\":\"\"}}\n".repeat(1_000);
        for query in ["pretty", "format=yaml"] {
            let request = http::Request::post(format!("/i/_bulk?{query}"))
                .header("content-type", "application/x-ndjson")
                .body(Body::from(body.clone()));
            let sent = dialect.clone().oneshot(request.expect("a request"));
            let Ok(answer) = sent.await;
            assert_eq!(answer.status(), StatusCode::OK, "{query}");
            assert_eq!(answer.headers()["content-type"], "application/json");
            let body = answer.into_body().collect().await.expect("a whole body");
            let body: serde_json::Value = serde_json::from_slice(&body.to_bytes()).expect("JSON");
            assert_eq!(body["items"].as_array().map(Vec::len), Some(1_000));
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_bulk_without_a_body_is_told_so() {
        let dialect = speaking();
        let chunked = Body::from_stream(futures::stream::empty::<std::io::Result<Bytes>>());
        for (kind, body, status, expected) in [
            (None, Body::empty(), 400, "parse_exception"),
            (
                Some("application/json"),
                Body::empty(),
                400,
                "parse_exception",
            ),
            (Some("application/json"), chunked, 400, "parse_exception"),
            (
                Some("application/json"),
                Body::from("\n"),
                400,
                "action_request_validation_exception",
            ),
            (None, Body::from("\n"), 406, "media_type_header_exception"),
        ] {
            let mut request = http::Request::post("/_bulk");
            if let Some(kind) = kind {
                request = request.header("content-type", kind);
            }
            let request = request.body(body).expect("a request");
            let Ok(answer) = dialect.clone().oneshot(request).await;
            assert_eq!(answer.status().as_u16(), status, "{kind:?}");
            let body = answer.into_body().collect().await.expect("a whole body");
            let body: serde_json::Value = serde_json::from_slice(&body.to_bytes()).expect("JSON");
            assert_eq!(body["error"]["type"], expected, "{body}");
        }
    }

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
