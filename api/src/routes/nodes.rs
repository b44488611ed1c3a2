//! `_nodes`: enough for clients that sniff.

use http::Method;
use serde_json::{Map, Value, json};

use crate::request::Request;
use crate::response::Reply;
use crate::route::{Answer, Parameter, Route};

const NODES: &[Parameter] = &[
    Parameter::honoured("flat_settings"),
    Parameter::no_effect("timeout", "nodes answer from memory"),
];
const STATS: &[Parameter] = &[
    Parameter::no_effect("timeout", "nodes answer from memory"),
    Parameter::no_effect("level", "statistics of indices are at `_stats`"),
    Parameter::no_effect("groups", "searches are not counted by group"),
    Parameter::no_effect("fields", "statistics are not kept by field"),
    Parameter::no_effect("types", "there are no types"),
    Parameter::no_effect("completion_fields", "statistics are not kept by field"),
    Parameter::no_effect("fielddata_fields", "statistics are not kept by field"),
    Parameter::no_effect("include_segment_file_sizes", "file sizes are not listed"),
];

pub(super) static ROUTES: &[Route] = &[
    Route {
        name: "nodes.info",
        methods: &[Method::GET],
        paths: &["/_nodes", "/_nodes/{node}", "/_nodes/{node}/{metric}"],
        parameters: &[NODES],
        handler: |request| Box::pin(async move { Ok(info(&request)) }),
        is_refused: false,
    },
    Route {
        name: "nodes.stats",
        methods: &[Method::GET],
        paths: &[
            "/_nodes/stats",
            "/_nodes/stats/{metric}",
            "/_nodes/stats/{metric}/{index_metric}",
            "/_nodes/{node}/stats",
            "/_nodes/{node}/stats/{metric}",
        ],
        parameters: &[STATS],
        handler: |request| Box::pin(stats(request)),
        is_refused: false,
    },
];

/// Words at the node's place that name what is shown instead.
const METRICS: [&str; 11] = [
    "_all",
    "settings",
    "os",
    "process",
    "jvm",
    "thread_pool",
    "transport",
    "http",
    "plugins",
    "ingest",
    "indices",
];

/// The roles a node tells; clients that sniff skip nodes that are masters only.
pub(super) const ROLES: [&str; 3] = ["data", "ingest", "master"];

/// Returns whether the path names this node: by id, name, or a pattern that takes all in.
fn is_named(request: &Request, id: &str) -> bool {
    let Some(named) = request.part("node") else {
        return true;
    };
    named.split(',').any(|word| {
        METRICS.contains(&word)
            || matches!(word, "_local" | "_master" | "_cluster_manager" | "*")
            || word.contains(':')
            || gleaner_model::mapping::matches_pattern(word, id)
            || gleaner_model::mapping::matches_pattern(word, &request.app.options.node_name)
    })
}

fn header(request: &Request, nodes: &Map<String, Value>) -> Value {
    json!({
        "_nodes": {"total": nodes.len(), "successful": nodes.len(), "failed": 0},
        "cluster_name": request.root().state().cluster_name,
        "nodes": nodes,
    })
}

fn info(request: &Request) -> Reply {
    let options = &request.app.options;
    let address = &options.publish_address;
    let host = address
        .rsplit_once(':')
        .map_or(address.as_str(), |(host, _)| host);
    let mut nodes = Map::new();
    for located in request.root().leaves().all() {
        let id = located.node.to_string();
        if !is_named(request, &id) {
            continue;
        }
        let node = json!({
            "name": options.node_name,
            "transport_address": address,
            "host": host,
            "ip": host,
            "version": options.distribution.version(),
            "build_flavor": "default",
            "build_type": "gleaner",
            "build_hash": env!("CARGO_PKG_VERSION"),
            "roles": ROLES,
            "attributes": {},
            "http": {
                "bound_address": [address],
                "publish_address": address,
                "max_content_length_in_bytes": options.max_bulk_bytes,
            },
        });
        nodes.insert(id, node);
    }
    Reply::json(&header(request, &nodes))
}

async fn stats(request: Request) -> Answer {
    let options = &request.app.options;
    let copies = request.root().shard_states().await;
    let mut nodes = Map::new();
    for located in request.root().leaves().all() {
        let id = located.node.to_string();
        if !is_named(&request, &id) {
            continue;
        }
        let own: Vec<_> = copies
            .iter()
            .filter(|copy| copy.node == located.node)
            .collect();
        let states = own.iter().map(|copy| &copy.state);
        let node = json!({
            "timestamp": request.root().now_ms(),
            "name": options.node_name,
            "transport_address": options.publish_address,
            "roles": ROLES,
            "indices": super::stats::sections(&states),
            "process": {"uptime_in_millis": request.app.started.elapsed().as_millis() as u64},
        });
        nodes.insert(id, node);
    }
    Ok(Reply::json(&header(&request, &nodes)))
}
