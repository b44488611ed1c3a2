//! A root that is not made yet: its address answers all the same.
//!
//! A root that waits for the cluster state would else take connections and be silent: probes would time
//! out where they should say what it waits for, and clients hang where they could ask another root.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::{BoxError, Router};
use futures::future::BoxFuture;
use gleaner_proto::node::Readiness;
use http::{HeaderValue, StatusCode, header};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::watch;
use tower::{Service, ServiceExt};

use crate::dialect::Dialect;
use crate::error::ApiError;
use crate::probes::{json_body, probes};

/// A service that answers probes and metrics, and all else with a 503, until [`Late::begin`] gives it
/// the dialect; cheap to clone.
#[derive(Clone)]
pub struct Late {
    dialect: Arc<OnceLock<Dialect>>,
    before: Router,
}

impl Late {
    /// Returns a service that says `reason` when it is asked what it waits for.
    pub fn new(reason: &str, metrics: PrometheusHandle) -> Self {
        let (_, readiness) = watch::channel(Readiness::NotReady {
            reason: reason.to_owned(),
        });
        let reason = format!("not ready to answer: {reason}");
        let refuse = move || {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            let error = ApiError::new(status, "master_not_discovered_exception", reason);
            std::future::ready(json_body(status, &error.to_body()))
        };
        Self {
            dialect: Arc::default(),
            before: probes(readiness, metrics).fallback(refuse),
        }
    }

    /// Answers with `dialect` from now on; the first one given stays.
    pub fn begin(&self, dialect: Dialect) {
        self.dialect.get_or_init(|| dialect);
    }
}

impl<B> Service<http::Request<B>> for Late
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    /// Always ready, as [`Dialect`] is.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        if let Some(dialect) = self.dialect.get() {
            return dialect.clone().call(request);
        }
        let answering = self.before.clone().oneshot(request.map(Body::new));
        Box::pin(async move {
            let Ok(mut response) = answering.await;
            // What the client still sends is not read.
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
            Ok(response)
        })
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    async fn asked(late: &Late, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(Body::empty()).expect("a request");
        let Ok(answer) = late.clone().oneshot(request).await;
        let status = answer.status();
        let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await;
        let body = body.expect("a body").to_vec();
        (status, String::from_utf8(body).expect("text"))
    }

    #[tokio::test]
    async fn a_root_that_waits_says_so_and_then_answers() {
        let metrics = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let late = Late::new("the keeper is away", metrics.handle());
        let clone = late.clone();
        for (path, expected) in [
            ("/_health/live", StatusCode::OK),
            ("/metrics", StatusCode::OK),
            ("/_health/ready", StatusCode::SERVICE_UNAVAILABLE),
            ("/books/_search", StatusCode::SERVICE_UNAVAILABLE),
        ] {
            let (status, body) = asked(&late, path).await;
            assert_eq!(status, expected, "{path}");
            assert_eq!(
                body.contains("the keeper is away"),
                status != StatusCode::OK,
                "{path}: {body}"
            );
        }
        late.begin(crate::dialect::tests::speaking());
        let (status, body) = asked(&clone, "/").await;
        assert_eq!(status, StatusCode::OK, "{body}");
    }
}
