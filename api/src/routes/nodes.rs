//! `_nodes`: enough for clients that sniff.

mod members;
mod metrics;
mod process;
mod reports;
#[cfg(test)]
mod tests;

use gleaner_root::read::ShardStates;
use http::Method;
use serde_json::{Map, Value, json};

use crate::render::units::humanized;
use crate::request::Request;
use crate::response::Reply;
use crate::route::{Answer, Parameter, Route};

pub(super) use members::{
    Member, NumMembers, ROLES, has_members, members, members_except, members_of,
};
use metrics::Metrics;
pub(super) use reports::Reports;

const NODES: &[Parameter] = &[
    Parameter::honoured("flat_settings"),
    Parameter::no_effect("timeout", "leaves answer from memory"),
];
const STATS: &[Parameter] = &[
    Parameter::no_effect("timeout", "leaves answer from memory"),
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
        handler: |request| Box::pin(info(request)),
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

fn told(request: &Request, nodes: &Map<String, Value>) -> Answer {
    let shown = json!({
        "_nodes": {"total": nodes.len(), "successful": nodes.len(), "failed": 0},
        "cluster_name": request.root().cluster().state().cluster_name,
        "nodes": nodes,
    });
    Ok(Reply::json(&humanized(shown, &request.parameters)?))
}

/// Does the path ask for addresses alone? So do clients that sniff, and wait for a part of a second.
fn is_sniffing(request: &Request) -> bool {
    let metric = request.part("metric").or_else(|| request.part("node"));
    metric == Some("http")
}

async fn info(request: Request) -> Answer {
    let options = &request.app.options;
    let mut nodes = Map::new();
    let members = match is_sniffing(&request) {
        // Leaves have no address for clients: whether they are there is not waited for.
        true => members_of(&request, &ShardStates::default()),
        false => members(&request).await,
    };
    for member in members {
        if !is_named(&request, &member) {
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
            "os": {
                "name": std::env::consts::OS,
                "arch": std::env::consts::ARCH,
                "available_processors": gleaner_machine::num_processors(),
                "allocated_processors": gleaner_machine::num_processors(),
            },
            "plugins": [],
            "modules": [],
            "ingest": {"processors": []},
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
    told(&request, &nodes)
}

async fn stats(request: Request) -> Answer {
    let asked = Metrics::parse(&request)?;
    let (states, reports) = tokio::join!(
        request.root().reader().shard_states(),
        Reports::gather(&request)
    );
    let copies = &states.copies;
    let mut nodes = Map::new();
    for member in members_of(&request, &states) {
        if !is_named(&request, &member) {
            continue;
        }
        let own: Vec<_> = copies
            .iter()
            .filter(|copy| *copy.node.0 == *member.id)
            .collect();
        let states = own.iter().map(|copy| &copy.state);
        let mut node = json!({
            "timestamp": request.root().cluster().now_ms(),
            "name": member.name,
            "transport_address": member.address,
            "roles": member.roles,
        });
        if asked.shows("indices") {
            node["indices"] = asked.of_indices(super::stats::sections(&states));
        }
        for (metric, name, section) in process::sections(reports.of(&member)) {
            if asked.shows(metric) {
                node[name] = section;
            }
        }
        nodes.insert(member.id, node);
    }
    told(&request, &nodes)
}
