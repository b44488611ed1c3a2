//! `_nodes`: enough for clients that sniff.

#[cfg(test)]
mod tests;

use gleaner_model::Role;
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

/// A member of the cluster, as clients are told of it.
struct Member {
    id: String,
    name: String,
    /// Where other nodes call it.
    address: String,
    /// Where clients call it; `None` for leaves, which answer none of their requests: a client that
    /// sniffs passes over nodes without one.
    http_address: Option<String>,
    roles: &'static [&'static str],
}

/// Returns the members: those of the cluster, or this process alone.
fn members(request: &Request) -> Vec<Member> {
    let options = &request.app.options;
    let state = request.root().state();
    if state.nodes.is_empty() {
        let leaves = request.root().leaves().all();
        let alone = |located: &gleaner_root::Located| Member {
            id: located.node.to_string(),
            name: options.node_name.clone(),
            address: options.publish_address.clone(),
            http_address: Some(options.publish_address.clone()),
            roles: &ROLES,
        };
        return leaves.iter().map(alone).collect();
    }
    let nodes = state.nodes.iter();
    nodes
        .map(|(node, meta)| {
            let (http_address, roles): (_, &[&str]) = match meta.role {
                Role::Leaf => (None, &ROLES[..1]),
                // Clients may know it by another address than the other nodes do.
                Role::Root if *node.0 == *options.node_name => {
                    (Some(options.publish_address.clone()), &ROLES[1..])
                }
                Role::Root => (meta.http_address.clone(), &ROLES[1..]),
            };
            Member {
                id: node.to_string(),
                name: node.to_string(),
                address: meta.address.clone(),
                http_address,
                roles,
            }
        })
        .collect()
}

/// Returns whether the path names this member: by id, name, or a pattern that takes all in.
fn is_named(request: &Request, member: &Member) -> bool {
    let Some(named) = request.part("node") else {
        return true;
    };
    named.split(',').any(|word| {
        METRICS.contains(&word)
            || matches!(word, "_local" | "_master" | "_cluster_manager" | "*")
            || word.contains(':')
            || gleaner_model::mapping::matches_pattern(word, &member.id)
            || gleaner_model::mapping::matches_pattern(word, &member.name)
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
    let mut nodes = Map::new();
    for member in members(request) {
        if !is_named(request, &member) {
            continue;
        }
        let address = &member.address;
        let host = address
            .rsplit_once(':')
            .map_or(address.as_str(), |(host, _)| host);
        let mut node = json!({
            "name": member.name,
            "transport_address": address,
            "host": host,
            "ip": host,
            "version": options.distribution.version(),
            "build_flavor": "default",
            "build_type": "gleaner",
            "build_hash": env!("CARGO_PKG_VERSION"),
            "roles": member.roles,
            "attributes": {},
        });
        if let Some(address) = &member.http_address {
            node["http"] = json!({
                "bound_address": [address],
                "publish_address": address,
                "max_content_length_in_bytes": options.max_bulk_bytes,
            });
        }
        nodes.insert(member.id, node);
    }
    Reply::json(&header(request, &nodes))
}

async fn stats(request: Request) -> Answer {
    let copies = request.root().shard_states().await.copies;
    let mut nodes = Map::new();
    for member in members(&request) {
        if !is_named(&request, &member) {
            continue;
        }
        let own: Vec<_> = copies
            .iter()
            .filter(|copy| *copy.node.0 == *member.id)
            .collect();
        let states = own.iter().map(|copy| &copy.state);
        let mut node = json!({
            "timestamp": request.root().now_ms(),
            "name": member.name,
            "transport_address": member.address,
            "roles": member.roles,
            "indices": super::stats::sections(&states),
        });
        // Only this process's own time is known.
        if member.name == request.app.options.node_name {
            let uptime = request.app.started.elapsed().as_millis() as u64;
            node["process"] = json!({"uptime_in_millis": uptime});
        }
        nodes.insert(member.id, node);
    }
    Ok(Reply::json(&header(&request, &nodes)))
}
