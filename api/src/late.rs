//! A root that is not made yet: its address answers all the same.
//!
//! A root that waits for the cluster state would else take connections and be silent: probes would time
//! out where they should say what it waits for, and clients hang where they could ask another root.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use gleaner_proto::node::Readiness;
use http::{HeaderValue, StatusCode, header};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::watch;
use tower::ServiceExt;

use crate::dialect::Dialect;
use crate::error::ApiError;
use crate::probes::{json_body, probes};
use crate::security::MetricsDoor;
use crate::topz::TopzPage;

impl Dialect {
    /// Returns a service that answers probes, metrics to those who come by the listener for probes, and all else with a
    /// 503 that says `reason`, until [`Dialect::begin`] gives it what to answer.
    pub fn late(reason: &str, metrics: PrometheusHandle) -> Self {
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
            spoken: Arc::default(),
            before: probes(
                readiness,
                metrics,
                TopzPage::new("root", ""),
                MetricsDoor::of_probes(),
            )
            .fallback(refuse),
        }
    }

    /// Answers as `other` does from now on; the first one given stays.
    pub fn begin(&self, other: &Self) {
        if let Some(spoken) = other.spoken.get() {
            self.spoken.get_or_init(|| spoken.clone());
        }
    }
}

/// Answers before there is a root.
pub(crate) async fn answer(
    before: Router,
    request: http::Request<Body>,
) -> Result<http::Response<Body>, Infallible> {
    let Ok(mut response) = before.oneshot(request).await;
    // What the client still sends is not read.
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    async fn asked(late: &Dialect, path: &str) -> (StatusCode, String) {
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
        let late = Dialect::late("the etcd is away", metrics.handle());
        let clone = late.clone();
        for (path, expected) in [
            ("/_health/live", StatusCode::OK),
            ("/_health/ready", StatusCode::SERVICE_UNAVAILABLE),
            ("/books/_search", StatusCode::SERVICE_UNAVAILABLE),
        ] {
            let (status, body) = asked(&late, path).await;
            assert_eq!(status, expected, "{path}");
            assert_eq!(
                body.contains("the etcd is away"),
                status != StatusCode::OK,
                "{path}: {body}"
            );
        }
        for path in ["/metrics", "/topz"] {
            let (status, body) = asked(&late, path).await;
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{path}: {body}");
        }
        late.begin(&crate::testing::speaking());
        let (status, body) = asked(&clone, "/").await;
        assert_eq!(status, StatusCode::OK, "{body}");
    }
}
