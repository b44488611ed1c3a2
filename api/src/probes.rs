//! Probes and metrics of nodes that do not speak the dialect.

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use gleaner_model::metric;
use gleaner_proto::node::Readiness;
use http::{StatusCode, header};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;
use tokio::sync::watch;

use crate::response::Reply;
use crate::security::MetricsDoor;
use crate::topz::TopzPage;

/// Returns a service of `/_health/live`, `/_health/ready` (200 or 503, with the reason),
/// and of `/metrics` and `/topz` for those whom `door` lets in, as roots answer them too.
pub fn probes(
    readiness: watch::Receiver<Readiness>,
    metrics: PrometheusHandle,
    topz: TopzPage,
    door: MetricsDoor,
) -> Router {
    let topz = (topz, metrics.clone());
    let live = || async { json_body(StatusCode::OK, &json!({"status": "live"})) };
    Router::new()
        .route("/metrics", get(text).with_state(metrics))
        .route("/topz", get(busy).with_state(topz))
        .route_layer(from_fn_with_state(door, admitted))
        .route("/_health/live", get(live))
        .route("/_health/ready", get(ready).with_state(readiness))
}

async fn admitted(State(door): State<MetricsDoor>, request: Request, next: Next) -> Response {
    match door.check(&request) {
        Ok(()) => next.run(request).await,
        Err(error) => Reply::error(&error).into_unshaped_response(),
    }
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
    use std::sync::Arc;
    use std::time::Duration;

    use axum::body::Body;
    use gleaner_coordinator::Embedded;
    use gleaner_model::{ClusterState, Security};
    use tower::ServiceExt;

    use super::*;
    use crate::service::ForProbes;

    fn router(readiness: watch::Receiver<Readiness>, door: MetricsDoor) -> Router {
        let metrics = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let page = TopzPage::new("leaf", "leaf-1");
        probes(readiness, metrics.handle(), page, door)
    }

    async fn ask(router: &Router, path: &str, is_of_probes: bool) -> Response {
        let mut request = http::Request::get(path)
            .body(Body::empty())
            .expect("a request");
        if is_of_probes {
            request.extensions_mut().insert(ForProbes);
        }
        let answer = router.clone().oneshot(request).await;
        answer.expect("infallible")
    }

    #[tokio::test]
    async fn a_node_is_ready_when_it_says_so() {
        let (tell, readiness) = watch::channel(Readiness::NotReady {
            reason: "2 shards are being copied".to_owned(),
        });
        let router = router(readiness, MetricsDoor::of_probes());
        let answer = ask(&router, "/_health/ready", false).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        let body = axum::body::to_bytes(answer.into_body(), 1 << 10).await;
        let body = String::from_utf8_lossy(&body.expect("whole")).into_owned();
        assert!(body.contains("2 shards are being copied"), "{body}");
        tell.send_replace(Readiness::Ready);
        for path in ["/_health/ready", "/_health/live", "/metrics", "/topz"] {
            let answer = ask(&router, path, true).await;
            assert_eq!(answer.status(), StatusCode::OK, "{path}");
        }
    }

    #[tokio::test]
    async fn metrics_are_for_those_who_may_monitor() {
        let (_, readiness) = watch::channel(Readiness::Ready);
        let opened = |security: Option<Security>| {
            let door = MetricsDoor::new(Duration::MAX, || 0);
            let state = ClusterState {
                security: security.map(Arc::new),
                ..ClusterState::default()
            };
            door.begin(Arc::new(Embedded::in_memory(state)));
            router(readiness.clone(), door)
        };
        let starting = router(readiness.clone(), MetricsDoor::new(Duration::MAX, || 0));
        let (with_keys, without) = (opened(Some(Security::default())), opened(None));
        for path in ["/metrics", "/topz"] {
            for (router, status) in [(&starting, 503), (&with_keys, 401), (&without, 200)] {
                let answer = ask(router, path, false).await;
                assert_eq!(answer.status().as_u16(), status, "{path}");
                let answer = ask(router, path, true).await;
                assert_eq!(answer.status(), StatusCode::OK, "{path} for probes");
                let answer = ask(router, "/_health/live", false).await;
                assert_eq!(answer.status(), StatusCode::OK);
            }
        }
    }
}
