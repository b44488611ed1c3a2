//! What every request and answer passes: the product's headers, ids, the access log.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::body::Body;
use http::{HeaderName, HeaderValue, Method, Request, Response, Uri};
use tracing::Instrument;
use tracing::instrument::Instrumented;

use crate::headers::PRODUCT;

const OPAQUE_ID: HeaderName = HeaderName::from_static("x-opaque-id");

static NUM_REQUESTS: AtomicU64 = AtomicU64::new(1);

/// Leaves out slashes at the end of the path: `/books/` is `/books`.
pub(crate) fn trim_path(request: &mut Request<Body>) {
    let path = request.uri().path();
    if path.len() <= 1 || !path.ends_with('/') {
        return;
    }
    let trimmed = path.trim_end_matches('/');
    let trimmed = if trimmed.is_empty() { "/" } else { trimmed };
    let whole = match request.uri().query() {
        Some(query) => format!("{trimmed}?{query}"),
        None => trimmed.to_owned(),
    };
    let mut parts = request.uri().clone().into_parts();
    if let Ok(whole) = whole.parse() {
        parts.path_and_query = Some(whole);
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
}

/// One request, from its head to the head of its answer.
pub(crate) struct Access {
    number: u64,
    started: Instant,
    opaque_id: Option<HeaderValue>,
    /// Method and path, where the log is to have them.
    asked: Option<(Method, String)>,
}

impl Access {
    /// Notes what is asked.
    pub(crate) fn begin(request: &Request<Body>) -> Self {
        let asked = || (request.method().clone(), request.uri().path().to_owned());
        Self {
            number: NUM_REQUESTS.fetch_add(1, Ordering::Relaxed),
            started: Instant::now(),
            opaque_id: request.headers().get(OPAQUE_ID).cloned(),
            asked: tracing::enabled!(tracing::Level::DEBUG).then(asked),
        }
    }

    /// Has what `work` logs say which request it is for.
    pub(crate) fn instrument<F: Future>(&self, work: F) -> Instrumented<F> {
        let (number, opaque_id) = (self.number, &self.opaque_id);
        work.instrument(tracing::debug_span!("request", number, ?opaque_id))
    }

    /// Adds the headers every answer has and logs the access.
    pub(crate) fn end(self, response: &mut Response<Body>) {
        let headers = response.headers_mut();
        headers.insert(PRODUCT, HeaderValue::from_static("Elasticsearch"));
        if let Some(opaque_id) = self.opaque_id {
            headers.insert(OPAQUE_ID, opaque_id);
        }
        if let Some((method, path)) = self.asked {
            let (number, status) = (self.number, response.status().as_u16());
            let took_ms = self.started.elapsed().as_millis() as u64;
            tracing::debug!(number, %method, path, status, took_ms, "answered");
        }
    }
}
