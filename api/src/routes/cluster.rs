//! `_cluster`: health, settings, state, statistics.

mod allocation;
mod health;
mod put_aside;
mod recover;
mod report;
mod reroute;
mod settings;
mod state;
mod stats;
mod voting;

use http::Method;
use serde_json::json;

use crate::endpoint::Endpoint;
use crate::parameters::groups::{INDICES, METADATA_READ};
use crate::response::Reply;
use crate::route::{Parameter, Route};

pub(super) use health::{CopiesByShard, Health, HealthLevel};
pub(super) use voting::ENDPOINTS as VOTING_ENDPOINTS;

const HEALTH: &[Parameter] = &[
    Parameter::honoured("level"),
    Parameter::honoured("timeout"),
    Parameter::honoured("wait_for_status"),
    Parameter::honoured("wait_for_nodes"),
    Parameter::honoured("wait_for_active_shards"),
    Parameter::honoured("wait_for_no_initializing_shards"),
    Parameter::honoured("return_200_for_cluster_health_timeout"),
    Parameter::no_effect("wait_for_no_relocating_shards", "shards do not move"),
    Parameter::no_effect("wait_for_events", "changes of metadata are not queued"),
];
const REPORT: &[Parameter] = &[
    Parameter::honoured("verbose"),
    Parameter::no_effect("size", "resources are not listed"),
    Parameter::no_effect("timeout", "leaves answer from memory"),
];
const SETTINGS: &[Parameter] = &[
    Parameter::honoured("flat_settings"),
    Parameter::honoured("include_defaults"),
    Parameter::no_effect("timeout", "metadata is changed at once or not at all"),
];
const STATE: &[Parameter] = &[
    Parameter::honoured("flat_settings"),
    Parameter::no_effect("wait_for_metadata_version", "the newest state is answered"),
    Parameter::no_effect("wait_for_timeout", "the newest state is answered"),
];
const STATS: &[Parameter] = &[
    Parameter::no_effect("timeout", "leaves answer from memory"),
    Parameter::no_effect("flat_settings", "the answer shows no settings"),
    Parameter::no_effect("include_remotes", "there are no remote clusters"),
];

const ALLOCATION: &[Parameter] = &[
    Parameter::no_effect("include_disk_info", "`_cat/allocation` tells of disks"),
    Parameter::no_effect(
        "include_yes_decisions",
        "no node is weighed against another",
    ),
];

const REROUTE: &[Parameter] = &[
    Parameter::honoured("retry_failed"),
    Parameter::honoured("dry_run"),
    Parameter::honoured("explain"),
    Parameter::no_effect("metric", "the answer shows no state"),
    Parameter::no_effect("timeout", "copies are not waited for"),
    Parameter::no_effect("master_timeout", "copies are not waited for"),
    Parameter::no_effect("cluster_manager_timeout", "copies are not waited for"),
];

const RECOVER: &[Parameter] = &[
    Parameter::honoured("dry_run"),
    Parameter::honoured("without"),
];

pub(super) static ENDPOINTS: &[Endpoint] = &[
    Route {
        name: "cluster.health",
        methods: &[Method::GET, Method::HEAD],
        paths: &["/_cluster/health", "/_cluster/health/{index}"],
        parameters: &[HEALTH, INDICES, METADATA_READ],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(health::answer(request))),
    Route {
        name: "health_report",
        methods: &[Method::GET],
        paths: &["/_health_report", "/_health_report/{feature}"],
        parameters: &[REPORT],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(report::answer(request))),
    Route {
        name: "cluster.get_settings",
        methods: &[Method::GET],
        paths: &["/_cluster/settings"],
        parameters: &[SETTINGS, METADATA_READ],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(async move { settings::get(&request) })),
    Route {
        name: "cluster.put_settings",
        methods: &[Method::PUT],
        paths: &["/_cluster/settings"],
        parameters: &[SETTINGS, METADATA_READ],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(settings::put(request))),
    Route {
        name: "cluster.state",
        methods: &[Method::GET],
        paths: &[
            "/_cluster/state",
            "/_cluster/state/{metric}",
            "/_cluster/state/{metric}/{index}",
        ],
        parameters: &[STATE, INDICES, METADATA_READ],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(state::get(request))),
    Route {
        name: "cluster.stats",
        methods: &[Method::GET],
        paths: &["/_cluster/stats", "/_cluster/stats/nodes/{node}"],
        parameters: &[STATS],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(stats::stats(request))),
    Route {
        name: "cluster.pending_tasks",
        methods: &[Method::GET],
        paths: &["/_cluster/pending_tasks"],
        parameters: &[METADATA_READ],
        // Changes of metadata are made at once or not at all: none waits.
        is_refused: false,
    }
    .answered_by(|_| Box::pin(async { Ok(Reply::json(&json!({"tasks": []}))) })),
    Route {
        name: "cluster.allocation_explain",
        methods: &[Method::GET, Method::POST],
        paths: &["/_cluster/allocation/explain"],
        parameters: &[ALLOCATION, METADATA_READ],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(allocation::explain(request))),
    Route {
        name: "cluster.reroute",
        methods: &[Method::POST],
        paths: &["/_cluster/reroute"],
        parameters: &[REROUTE],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(reroute::reroute(request))),
    Route {
        name: "cluster.recover",
        methods: &[Method::POST],
        paths: &["/_cluster/recover"],
        parameters: &[RECOVER],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(recover::recover(request))),
    Route {
        name: "cluster.remote_info",
        methods: &[Method::GET],
        paths: &["/_remote/info"],
        parameters: &[],
        // There are no remote clusters to search in.
        is_refused: false,
    }
    .answered_by(|_| Box::pin(async { Ok(Reply::json(&json!({}))) })),
];
