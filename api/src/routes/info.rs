//! `/`, health probes, metrics.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use gleaner_coordinator::StoreProblem;
use gleaner_proto::read::ShardPhase;
use gleaner_root::read::ShardStates;
use http::{Method, StatusCode, header};
use serde_json::{Value, json};
use tokio::task::JoinError;

use crate::distribution::Distribution;
use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::openapi::{self, openapi};
use crate::probes::metrics_page;
use crate::request::{Answer, Request};
use crate::response::Reply;
use crate::route::Route;
use crate::topz::TopzPage;

/// The page of all routes, made when it is first asked for.
static OPENAPI: LazyLock<Value> = LazyLock::new(openapi);

/// The same for people.
static OPENAPI_PAGE: LazyLock<String> = LazyLock::new(|| openapi::page(&OPENAPI));

pub(super) static ENDPOINTS: &[Endpoint] = &[
    Route {
        name: "info",
        methods: &[Method::GET, Method::HEAD],
        paths: &["/"],
        parameters: &[],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(async move { Ok(info(&request)) })),
    Route {
        name: "health.live",
        methods: &[Method::GET, Method::HEAD],
        paths: &["/_health/live"],
        parameters: &[],
        is_refused: false,
    }
    .answered_by(|_| Box::pin(async { Ok(Reply::json(&json!({"status": "live"}))) })),
    Route {
        name: "health.ready",
        methods: &[Method::GET, Method::HEAD],
        paths: &["/_health/ready"],
        parameters: &[],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(ready(request))),
    Route {
        name: "metrics",
        methods: &[Method::GET],
        paths: &["/metrics"],
        parameters: &[],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(async move { metrics(&request) })),
    Route {
        name: "topz",
        methods: &[Method::GET],
        paths: &["/topz"],
        parameters: &[],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(topz(request))),
    Route {
        name: "openapi",
        methods: &[Method::GET],
        paths: &["/_openapi.json"],
        parameters: &[],
        is_refused: false,
    }
    .answered_by(|_| Box::pin(async { Ok(Reply::json(&*OPENAPI)) })),
    Route {
        name: "openapi.page",
        methods: &[Method::GET],
        paths: &["/_openapi.html"],
        parameters: &[],
        is_refused: false,
    }
    .answered_by(|_| Box::pin(async { Ok(openapi_page()) })),
];

fn info(request: &Request) -> Reply {
    let options = &request.app.options;
    let state = request.root().cluster().state();
    let mut version = json!({
        "number": options.distribution.version(),
        "build_flavor": "default",
        "build_type": "gleaner",
        "build_hash": env!("CARGO_PKG_VERSION"),
        // Clients parse these; they say which dialect is spoken, not what is inside.
        "build_date": "1970-01-01T00:00:00Z",
        "build_snapshot": false,
        "lucene_version": "9.12.1",
        "minimum_wire_compatibility_version": "7.17.0",
        "minimum_index_compatibility_version": "7.0.0",
    });
    let tagline = match options.distribution {
        Distribution::Elasticsearch => "You Know, for Search",
        Distribution::OpenSearch => {
            version["distribution"] = "opensearch".into();
            "The OpenSearch Project: https://opensearch.org/"
        }
    };
    Reply::json(&json!({
        "name": options.node_name,
        "cluster_name": state.cluster_name,
        "cluster_uuid": state.cluster_uuid,
        "version": version,
        "tagline": tagline,
    }))
}

async fn ready(request: Request) -> Answer {
    let states = request.root().reader().shard_states().await;
    let (status, mut body) = readiness(&states);
    // No reason not to be ready: every root has the same etcd, and searches go on without.
    let problems = request.root().cluster().store_problems();
    if !problems.is_empty() {
        body["reasons"] = problems.iter().map(StoreProblem::reason).collect();
    }
    Ok(Reply::with_status(status, &body))
}

/// Ready when no shard waits for its first copy to be recovered and none may that nobody told of; a
/// damaged one does not keep the others from serving, nor does a silent leaf of whose shards others hold
/// copies.
fn readiness(states: &ShardStates) -> (StatusCode, Value) {
    let those = |phase| {
        let copies = states.copies.iter();
        let copies = copies.filter(move |copy| copy.state.phase == phase);
        copies.map(|copy| copy.state.shard).collect::<BTreeSet<_>>()
    };
    let (served, coming) = (those(ShardPhase::Started), those(ShardPhase::Recovering));
    let recovering = coming.difference(&served).count();
    let untold = states.num_untold;
    let mut body = json!({"status": "ready", "recovering_shards": recovering});
    if recovering == 0 && untold == 0 {
        return (StatusCode::OK, body);
    }
    body["status"] = "recovering".into();
    if untold > 0 {
        let silent: Vec<&str> = states.silent.iter().map(|node| &*node.0).collect();
        let silent = silent.join(", ");
        body["reason"] =
            format!("{untold} shards are not known of: [{silent}] did not tell").into();
    }
    (StatusCode::SERVICE_UNAVAILABLE, body)
}

fn metrics(request: &Request) -> Answer {
    match &request.app.metrics {
        Some(handle) => Ok(Reply::text(metrics_page(handle))
            .with_header(header::CONTENT_TYPE, crate::probes::METRICS_TYPE)),
        None => {
            let reason = "metrics are not recorded by this process";
            Err(ApiError::new(
                StatusCode::NOT_FOUND,
                "resource_not_found_exception",
                reason,
            ))
        }
    }
}

fn openapi_page() -> Reply {
    Reply::text(OPENAPI_PAGE.as_str())
        .with_header(header::CONTENT_TYPE, "text/html; charset=utf-8")
        .with_header(header::CONTENT_SECURITY_POLICY, openapi::SECURITY_POLICY)
}

async fn topz(request: Request) -> Answer {
    let app = &request.app;
    // A process that is alone has no members in its cluster state.
    let is_alone = request.root().cluster().state().nodes.is_empty();
    let page = TopzPage {
        role: if is_alone { "serve" } else { "root" }.to_owned(),
        node: app.options.node_name.clone(),
        probe: Arc::clone(&app.options.probe),
    };
    let page = page.page(app.metrics.clone()).await;
    let failed = |error: JoinError| {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        ApiError::new(status, "exception", error.to_string())
    };
    let page = page.map_err(failed)?;
    Ok(Reply::json(&page))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use gleaner_model::NodeId;
    use http_body_util::BodyExt as _;
    use metrics_exporter_prometheus::PrometheusBuilder;
    use tower::ServiceExt as _;

    use super::*;
    use crate::ApiOptions;
    use crate::testing::{all_memory, speaking};

    #[tokio::test]
    async fn probes_are_answered_while_all_memory_of_answers_is_taken() {
        let root = crate::dialect::tests::root();
        let _held = all_memory(&root);
        let metrics = PrometheusBuilder::new().build_recorder().handle();
        let dialect = crate::dialect(root, ApiOptions::default(), Some(metrics));
        for path in ["/_health/live", "/_health/live?pretty", "/metrics", "/"] {
            let request = http::Request::get(path).body(Body::empty());
            let Ok(answer) = dialect.clone().oneshot(request.expect("a request")).await;
            assert_eq!(answer.status(), StatusCode::OK, "{path}");
        }
    }

    #[tokio::test]
    async fn the_page_of_routes_is_html_that_may_load_nothing() {
        let request = http::Request::get("/_openapi.html").body(Body::empty());
        let Ok(answer) = speaking().oneshot(request.expect("a request")).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let headers = answer.headers();
        assert_eq!(headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
        let policy = "default-src 'none'; style-src 'unsafe-inline'";
        assert_eq!(headers[header::CONTENT_SECURITY_POLICY], policy);
        let page = answer.into_body().collect().await.expect("a whole body");
        let page = String::from_utf8(page.to_bytes().to_vec()).expect("text");
        let row = "<code>GET|POST /{index}/_search</code>";
        assert!(page.contains(row), "{page}");
    }

    #[test]
    fn a_leaf_that_does_not_tell_of_its_shards_is_not_ready() {
        let mut states = ShardStates {
            num_leaves: 1,
            ..ShardStates::default()
        };
        assert_eq!(readiness(&states).0, StatusCode::OK);
        states.silent = vec![NodeId("leaf-1".into())];
        assert_eq!(
            readiness(&states).0,
            StatusCode::OK,
            "it holds nothing alone"
        );
        states.num_untold = 32;
        let (status, body) = readiness(&states);
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        let reason = "32 shards are not known of: [leaf-1] did not tell";
        assert_eq!(body["reason"], reason);
    }
}
