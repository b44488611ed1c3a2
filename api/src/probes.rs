//! Probes and metrics of nodes that do not speak the dialect.

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use gleaner_model::metric;
use gleaner_proto::node::Readiness;
use http::{StatusCode, header};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;
use tokio::sync::watch;

use crate::topz::TopzPage;

/// Returns a service of `/_health/live`, `/_health/ready` (200 or 503, with the reason),
/// `/metrics` and `/topz`, as roots answer them too.
pub fn probes(
    readiness: watch::Receiver<Readiness>,
    metrics: PrometheusHandle,
    topz: TopzPage,
) -> Router {
    let topz = (topz, metrics.clone());
    let live = || async { json_body(StatusCode::OK, &json!({"status": "live"})) };
    Router::new()
        .route("/_health/live", get(live))
        .route("/_health/ready", get(ready).with_state(readiness))
        .route("/metrics", get(text).with_state(metrics))
        .route("/topz", get(busy).with_state(topz))
}

async fn ready(State(readiness): State<watch::Receiver<Readiness>>) -> impl IntoResponse {
    match &*readiness.borrow() {
        Readiness::Ready => json_body(StatusCode::OK, &json!({"status": "ready"})),
        Readiness::NotReady { reason } => json_body(
            StatusCode::SERVICE_UNAVAILABLE,
            &json!({"status": "not ready", "reason": reason}),
        ),
    }
}

async fn busy(State((page, metrics)): State<(TopzPage, PrometheusHandle)>) -> impl IntoResponse {
    match page.page(Some(metrics)).await {
        Ok(page) => json_body(StatusCode::OK, &page),
        Err(error) => json_body(
            StatusCode::INTERNAL_SERVER_ERROR,
            &json!({"error": error.to_string()}),
        ),
    }
}

/// The format in which metrics are written.
pub(crate) const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

async fn text(State(metrics): State<PrometheusHandle>) -> impl IntoResponse {
    let content_type = [(header::CONTENT_TYPE, METRICS_TYPE)];
    (content_type, metrics_page(&metrics))
}

/// Returns the page of metrics. The recorder knows whole numbers alone as counters, and time on processors is none.
pub(crate) fn metrics_page(metrics: &PrometheusHandle) -> String {
    let name = metric::PROCESS_CPU_SECONDS.name;
    let recorded = format!("# TYPE {name} gauge\n");
    let meant = format!("# TYPE {name} counter\n");
    metrics.render().replacen(&recorded, &meant, 1)
}

pub(crate) fn json_body(status: StatusCode, body: &serde_json::Value) -> impl IntoResponse + use<> {
    let content_type = [(header::CONTENT_TYPE, "application/json")];
    (status, content_type, body.to_string())
}

#[cfg(test)]
mod tests {
    use http::Request;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn a_node_is_ready_when_it_says_so() {
        let (tell, readiness) = watch::channel(Readiness::NotReady {
            reason: "2 shards are being copied".to_owned(),
        });
        let metrics = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let router = probes(readiness, metrics.handle(), TopzPage::new("leaf", "leaf-1"));
        let ask = |path: &str| {
            let request = Request::get(path).body(axum::body::Body::empty());
            router.clone().oneshot(request.expect("a request"))
        };
        let answer = ask("/_health/ready").await.expect("infallible");
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        let body = axum::body::to_bytes(answer.into_body(), 1 << 10).await;
        let body = String::from_utf8_lossy(&body.expect("whole")).into_owned();
        assert!(body.contains("2 shards are being copied"), "{body}");
        tell.send_replace(Readiness::Ready);
        for path in ["/_health/ready", "/_health/live", "/metrics", "/topz"] {
            let answer = ask(path).await.expect("infallible");
            assert_eq!(answer.status(), StatusCode::OK, "{path}");
        }
    }
}
