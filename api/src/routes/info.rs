//! `/`, health probes, metrics.

use gleaner_proto::read::ShardPhase;
use http::{Method, StatusCode};
use serde_json::json;

use crate::error::ApiError;
use crate::options::Distribution;
use crate::request::Request;
use crate::response::Reply;
use crate::route::{Answer, Route};

pub(super) static ROUTES: &[Route] = &[
    Route {
        name: "info",
        methods: &[Method::GET, Method::HEAD],
        paths: &["/"],
        parameters: &[],
        handler: |request| Box::pin(async move { Ok(info(&request)) }),
        is_refused: false,
    },
    Route {
        name: "health.live",
        methods: &[Method::GET, Method::HEAD],
        paths: &["/_health/live"],
        parameters: &[],
        handler: |_| Box::pin(async { Ok(Reply::json(&json!({"status": "live"}))) }),
        is_refused: false,
    },
    Route {
        name: "health.ready",
        methods: &[Method::GET, Method::HEAD],
        paths: &["/_health/ready"],
        parameters: &[],
        handler: |request| Box::pin(ready(request)),
        is_refused: false,
    },
    Route {
        name: "metrics",
        methods: &[Method::GET],
        paths: &["/metrics"],
        parameters: &[],
        handler: |request| Box::pin(async move { metrics(&request) }),
        is_refused: false,
    },
];

fn info(request: &Request) -> Reply {
    let options = &request.app.options;
    let state = request.root().state();
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

/// Ready when no shard is being recovered; a damaged one does not keep the others from serving.
async fn ready(request: Request) -> Answer {
    let shards = request.root().shard_states().await.copies;
    let recovering = shards
        .iter()
        .filter(|s| s.state.phase == ShardPhase::Recovering)
        .count();
    let (status, word) = match recovering {
        0 => (StatusCode::OK, "ready"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "recovering"),
    };
    Ok(Reply::with_status(
        status,
        &json!({"status": word, "recovering_shards": recovering}),
    ))
}

fn metrics(request: &Request) -> Answer {
    match &request.app.metrics {
        Some(handle) => Ok(Reply::text(handle.render())),
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
