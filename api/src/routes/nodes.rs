//! `_nodes`: enough for clients that sniff.

mod members;
mod metrics;
mod process;
mod reports;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use gleaner_root::read::{LocatedShard, ShardStates};
use http::Method;
use serde_json::{Map, Value, json};

use crate::cached::Counts;
use crate::error::ApiError;
use crate::render::units::humanized;
use crate::request::Request;
use crate::response::Reply;
use crate::route::{Answer, Parameter, Route};

pub(super) use members::{
    Member, NumMembers, ROLES, has_members, members, members_except, members_of,
};
use metrics::Metrics;
pub(super) use process::{THREAD_POOLS, thread_pool};
pub(super) use reports::Reports;

use super::stats::sections;

const NODES: &[Parameter] = &[
    Parameter::honoured("flat_settings"),
    Parameter::no_effect("timeout", "leaves answer from memory"),
];
const STATS: &[Parameter] = &[
    Parameter::no_effect("timeout", "leaves answer from memory"),
    Parameter::honoured("level"),
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
            "transport": {
                "bound_address": [address],
                "publish_address": address,
                "profiles": {},
            },
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

/// How finely what a node holds is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Node,
    Indices,
    Shards,
}

impl Level {
    fn of(request: &Request) -> Result<Self, ApiError> {
        match request.parameters.get("level") {
            None | Some("node" | "cluster") => Ok(Self::Node),
            Some("indices") => Ok(Self::Indices),
            Some("shards") => Ok(Self::Shards),
            Some(other) => Err(ApiError::illegal(format!(
                "level parameter must be one of [node] or [indices] or [shards] but was [{other}]"
            ))),
        }
    }
}

fn grouped<'a>(copies: &[&'a LocatedShard]) -> BTreeMap<String, Vec<&'a LocatedShard>> {
    let mut by_index: BTreeMap<String, Vec<&LocatedShard>> = BTreeMap::new();
    for copy in copies {
        let own = by_index.entry(copy.index.name.to_string());
        own.or_default().push(copy);
    }
    by_index
}

fn by_index(copies: &[&LocatedShard], asked: &Metrics, counts: &Counts) -> Value {
    let told = |(name, own): (String, Vec<&LocatedShard>)| {
        let states = own.iter().map(|copy| &copy.state);
        (name, asked.of_indices(sections(&states, counts)))
    };
    Value::Object(grouped(copies).into_iter().map(told).collect())
}

fn by_shard(copies: &[&LocatedShard], asked: &Metrics, counts: &Counts) -> Value {
    let told = |(name, own): (String, Vec<&LocatedShard>)| {
        let shards = own.iter().map(|copy| {
            let shown = asked.of_indices(sections(&std::iter::once(&copy.state), counts));
            json!({(copy.state.shard.shard.to_string()): shown})
        });
        (name, shards.collect::<Value>())
    };
    Value::Object(grouped(copies).into_iter().map(told).collect())
}

async fn stats(request: Request) -> Answer {
    let asked = Metrics::parse(&request)?;
    let level = Level::of(&request)?;
    let (states, reports) = tokio::join!(
        request.root().reader().shard_states(),
        Reports::gather(&request)
    );
    let (copies, counts) = (&states.copies, &request.app.counts);
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
            let mut shown = asked.of_indices(sections(&states, counts));
            match level {
                Level::Node => {}
                Level::Indices => shown["indices"] = by_index(&own, &asked, counts),
                Level::Shards => shown["shards"] = by_shard(&own, &asked, counts),
            }
            node["indices"] = shown;
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
