//! `_nodes`: who is there, what nodes use, which threads are busy, what was asked.

mod hot_threads;
mod info;
mod members;
mod metrics;
mod process;
mod reports;
mod selection;
#[cfg(test)]
mod tests;
mod usage;

use std::collections::BTreeMap;

use gleaner_root::read::LocatedShard;
use http::Method;
use serde_json::{Map, Value, json};

use crate::cached::Counts;
use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::render::units::humanized;
use crate::request::{Answer, Request};
use crate::response::Reply;
use crate::route::{Parameter, Route};
use crate::routes::address::host;

pub(super) use members::{
    Member, NumMembers, ROLES, has_members, members, members_except, members_of,
};
use metrics::Metrics;
pub(super) use process::{THREAD_POOLS, indexing_pressure, thread_pool};
pub(super) use reports::Reports;
pub(super) use selection::named;

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
    Parameter::no_effect("include_unloaded_segments", "no index is frozen"),
];

const HOT_THREADS: &[Parameter] = &[
    Parameter::honoured("threads"),
    Parameter::honoured("interval"),
    Parameter::honoured("type"),
    Parameter::honoured("ignore_idle_threads"),
    Parameter::no_effect("snapshots", "what threads do is not looked at"),
    Parameter::no_effect("sort", "threads are ordered by their processor time"),
    Parameter::no_effect("timeout", "no other node is asked"),
    Parameter::no_effect("master_timeout", "no other node is asked"),
];
const USAGE: &[Parameter] = &[Parameter::no_effect("timeout", "no other node is asked")];

pub(super) static ENDPOINTS: &[Endpoint] = &[
    Route {
        name: "nodes.info",
        methods: &[Method::GET],
        paths: &["/_nodes", "/_nodes/{node}", "/_nodes/{node}/{metric}"],
        parameters: &[NODES],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(info::info(request))),
    Route {
        name: "nodes.stats",
        methods: &[Method::GET],
        paths: &[
            "/_nodes/stats",
            "/_nodes/stats/{metric}",
            "/_nodes/stats/{metric}/{index_metric}",
            "/_nodes/{node}/stats",
            "/_nodes/{node}/stats/{metric}",
            "/_nodes/{node}/stats/{metric}/{index_metric}",
        ],
        parameters: &[STATS],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(stats(request))),
    Route {
        name: "nodes.hot_threads",
        methods: &[Method::GET],
        paths: &[
            "/_nodes/hot_threads",
            "/_nodes/{node}/hot_threads",
            "/_cluster/nodes/hot_threads",
            "/_cluster/nodes/{node}/hot_threads",
        ],
        parameters: &[HOT_THREADS],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(hot_threads::answer(request))),
    Route {
        name: "nodes.usage",
        methods: &[Method::GET],
        paths: &[
            "/_nodes/usage",
            "/_nodes/usage/{metric}",
            "/_nodes/{node}/usage",
            "/_nodes/{node}/usage/{metric}",
        ],
        parameters: &[USAGE],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(usage::answer(request))),
];

fn told(request: &Request, nodes: &Map<String, Value>) -> Answer {
    let shown = json!({
        "_nodes": {"total": nodes.len(), "successful": nodes.len(), "failed": 0},
        "cluster_name": request.root().cluster().state().cluster_name,
        "nodes": nodes,
    });
    Ok(Reply::json(&humanized(shown, &request.parameters)?))
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
    let now_ms = request.root().cluster().now_ms();
    let mut nodes = Map::new();
    let members = members_of(&request, &states);
    for member in selection::named(&request, request.part("node"), members)? {
        let own: Vec<_> = copies
            .iter()
            .filter(|copy| *copy.node.0 == *member.id)
            .collect();
        let states = own.iter().map(|copy| &copy.state);
        let mut node = json!({
            "timestamp": now_ms,
            "name": member.name,
            "transport_address": member.address,
            "host": host(&member.address),
            "ip": member.address,
            "roles": member.roles,
            "attributes": {},
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
        for (metric, name, section) in process::sections(reports.of(&member), now_ms) {
            if asked.shows(metric) {
                node[name] = section;
            }
        }
        nodes.insert(member.id, node);
    }
    told(&request, &nodes)
}
