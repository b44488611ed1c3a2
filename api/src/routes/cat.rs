//! `_cat`: tables for people.

mod aliases;
mod allocation;
mod cluster;
mod component_templates;
mod count;
mod figures;
mod health;
mod indices;
mod nodes;
mod recovery;
mod row;
mod segments;
mod shards;
pub(crate) mod tasks;
mod templates;

use http::Method;

use crate::endpoint::Endpoint;
use crate::parameters::Parameters;
use crate::parameters::groups::{CAT, INDICES, SOURCE, URI_QUERY};
use crate::render::units;
use crate::response::{Cell, Reply};
use crate::route::{Parameter, Route};
use nodes::host_of;

const INDICES_OWN: &[Parameter] = &[
    Parameter::honoured("health"),
    Parameter::honoured("pri"),
    Parameter::no_effect("include_unloaded_segments", "no index is frozen"),
];
const RECOVERY_OWN: &[Parameter] = &[
    Parameter::honoured("active_only"),
    Parameter::no_effect("detailed", "files are not listed"),
];
const TASKS_OWN: &[Parameter] = &[
    Parameter::honoured("actions"),
    Parameter::honoured("nodes"),
    Parameter::honoured("parent_task_id"),
    Parameter::honoured("wait_for_completion"),
    Parameter::honoured("timeout"),
    Parameter::no_effect("detailed", "`h=description` shows it"),
];
const SEGMENTS_OWN: &[Parameter] = &[Parameter::honoured("allow_closed")];
const FIELDDATA_OWN: &[Parameter] = &[Parameter::no_effect("fields", "there is no field data")];
const PLUGINS_OWN: &[Parameter] = &[Parameter::no_effect(
    "include_bootstrap",
    "there are no plugins",
)];
const NODES_OWN: &[Parameter] = &[
    Parameter::honoured("full_id"),
    Parameter::no_effect("include_unloaded_segments", "no index is frozen"),
];

pub(super) static ENDPOINTS: &[Endpoint] = &[
    Route {
        name: "cat.help",
        methods: &[Method::GET],
        paths: &["/_cat"],
        parameters: &[CAT],
        is_refused: false,
    }
    .answered_by(|_| Box::pin(async { Ok(Reply::text(help())) })),
    Route {
        name: "cat.indices",
        methods: &[Method::GET],
        paths: &["/_cat/indices", "/_cat/indices/{index}"],
        parameters: &[INDICES_OWN, CAT, INDICES],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(indices::table(request))),
    Route {
        name: "cat.count",
        methods: &[Method::GET, Method::POST],
        paths: &["/_cat/count", "/_cat/count/{index}"],
        parameters: &[CAT, URI_QUERY, SOURCE],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(count::table(request))),
    Route {
        name: "cat.health",
        methods: &[Method::GET],
        paths: &["/_cat/health"],
        parameters: &[CAT],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(health::table(request))),
    Route {
        name: "cat.shards",
        methods: &[Method::GET],
        paths: &["/_cat/shards", "/_cat/shards/{index}"],
        parameters: &[CAT, INDICES],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(shards::table(request))),
    Route {
        name: "cat.allocation",
        methods: &[Method::GET],
        paths: &["/_cat/allocation", "/_cat/allocation/{node}"],
        parameters: &[CAT],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(allocation::table(request))),
    Route {
        name: "cat.aliases",
        methods: &[Method::GET],
        paths: &["/_cat/aliases", "/_cat/aliases/{name}"],
        parameters: &[CAT, INDICES],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(async move { aliases::table(&request) })),
    Route {
        name: "cat.templates",
        methods: &[Method::GET],
        paths: &["/_cat/templates", "/_cat/templates/{name}"],
        parameters: &[CAT],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(async move { templates::table(&request) })),
    Route {
        name: "cat.component_templates",
        methods: &[Method::GET],
        paths: &[
            "/_cat/component_templates",
            "/_cat/component_templates/{name}",
        ],
        parameters: &[CAT],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(async move { component_templates::table(&request) })),
    Route {
        name: "cat.nodes",
        methods: &[Method::GET],
        paths: &["/_cat/nodes"],
        parameters: &[NODES_OWN, CAT],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(nodes::nodes(request))),
    Route {
        name: "cat.master",
        methods: &[Method::GET],
        paths: &["/_cat/master", "/_cat/cluster_manager"],
        parameters: &[CAT],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(nodes::master(request))),
    Route {
        name: "cat.segments",
        methods: &[Method::GET],
        paths: &["/_cat/segments", "/_cat/segments/{index}"],
        parameters: &[SEGMENTS_OWN, CAT, INDICES],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(segments::table(request))),
    Route {
        name: "cat.recovery",
        methods: &[Method::GET],
        paths: &["/_cat/recovery", "/_cat/recovery/{index}"],
        parameters: &[RECOVERY_OWN, CAT, INDICES],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(recovery::table(request))),
    Route {
        name: "cat.tasks",
        methods: &[Method::GET],
        paths: &["/_cat/tasks"],
        parameters: &[TASKS_OWN, CAT],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(tasks::table(request))),
    Route {
        name: "cat.thread_pool",
        methods: &[Method::GET],
        paths: &["/_cat/thread_pool", "/_cat/thread_pool/{patterns}"],
        parameters: &[CAT],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(cluster::thread_pools(request))),
    Route {
        name: "cat.nodeattrs",
        methods: &[Method::GET],
        paths: &["/_cat/nodeattrs"],
        parameters: &[CAT],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(cluster::attributes(request))),
    Route {
        name: "cat.plugins",
        methods: &[Method::GET],
        paths: &["/_cat/plugins"],
        parameters: &[PLUGINS_OWN, CAT],
        is_refused: false,
    }
    .answered_by(|_| Box::pin(async { cluster::plugins() })),
    Route {
        name: "cat.repositories",
        methods: &[Method::GET],
        paths: &["/_cat/repositories"],
        parameters: &[CAT],
        is_refused: false,
    }
    .answered_by(|_| Box::pin(async { cluster::repositories() })),
    Route {
        name: "cat.fielddata",
        methods: &[Method::GET],
        paths: &["/_cat/fielddata", "/_cat/fielddata/{fields}"],
        parameters: &[FIELDDATA_OWN, CAT],
        is_refused: false,
    }
    .answered_by(|_| Box::pin(async { cluster::fielddata() })),
    Route {
        name: "cat.pending_tasks",
        methods: &[Method::GET],
        paths: &["/_cat/pending_tasks"],
        parameters: &[CAT],
        is_refused: false,
    }
    .answered_by(|_| Box::pin(async { cluster::pending_tasks() })),
];

fn help() -> String {
    let mut paths: Vec<&str> = ENDPOINTS
        .iter()
        .flat_map(|endpoint| endpoint.route.paths)
        .copied()
        .filter(|path| *path != "/_cat")
        .collect();
    paths.sort_unstable();
    let lines: String = paths.iter().map(|path| format!("{path}\n")).collect();
    format!("=^.^=\n{lines}")
}

/// Returns a size in the unit that the request asks for.
fn size(bytes: u64, parameters: &Parameters) -> Cell {
    let unit = parameters.get("bytes");
    let shown = unit.and_then(|unit| units::size_in(bytes, unit));
    Cell::quantity(
        shown.unwrap_or_else(|| units::size_text(bytes)),
        bytes as f64,
    )
}

/// Returns a time in the unit that the request asks for.
fn time(millis: u64, parameters: &Parameters) -> Cell {
    let shown = match parameters.get("time") {
        Some("nanos") => (millis * 1_000_000).to_string(),
        Some("micros") => (millis * 1_000).to_string(),
        Some("ms") => millis.to_string(),
        Some("s") => (millis / 1_000).to_string(),
        Some("m") => (millis / 60_000).to_string(),
        Some("h") => (millis / 3_600_000).to_string(),
        Some("d") => (millis / 86_400_000).to_string(),
        _ => units::time_text(millis),
    };
    Cell::quantity(shown, millis as f64)
}
