//! `_recovery`: how each copy came to serve, or how far it is.
//!
//! Files that a copy got from another one are not counted apart from those that its node had: all that it holds now
//! counts as reused.

use gleaner_proto::read::{CopyRecovery, RecoverySource};
use gleaner_root::read::LocatedShard;
use http::Method;
use serde_json::{Map, Value, json};

use super::copies::{NamedCopies, everything, node_entry};
use crate::parameters::groups::INDICES;
use crate::render::units::humanized;
use crate::request::Request;
use crate::response::Reply;
use crate::route::{Answer, Parameter, Route};

const RECOVERY: &[Parameter] = &[
    Parameter::honoured("active_only"),
    Parameter::no_effect("detailed", "files are not listed"),
];

pub(super) static ROUTES: &[Route] = &[Route {
    name: "indices.recovery",
    methods: &[Method::GET],
    paths: &["/_recovery", "/{index}/_recovery"],
    parameters: &[RECOVERY, INDICES],
    handler: |request| Box::pin(recovery(request)),
    is_refused: false,
}];

/// Figures of a recovery that tables and objects show alike.
pub(super) struct Figures {
    pub(super) source: &'static str,
    pub(super) stage: &'static str,
    pub(super) started_ms: i64,
    pub(super) took_ms: u64,
    pub(super) num_replayed: u64,
    pub(super) store_bytes: u64,
}

impl Figures {
    /// Returns those of a copy at the time `now_ms`.
    pub(super) fn of(copy: &LocatedShard, now_ms: i64) -> Self {
        let state = &copy.state;
        let on_its_way = Self {
            source: match state.is_primary {
                true => "existing_store",
                false => "peer",
            },
            stage: "translog",
            started_ms: now_ms,
            took_ms: 0,
            num_replayed: 0,
            store_bytes: state.store_bytes,
        };
        let Some(CopyRecovery {
            source,
            since,
            took,
            num_replayed,
        }) = state.recovery
        else {
            return on_its_way;
        };
        let age_ms = (since + took).as_millis();
        Self {
            source: match source {
                RecoverySource::Empty => "empty_store",
                RecoverySource::Existing => "existing_store",
                RecoverySource::Peer => "peer",
            },
            stage: "done",
            started_ms: now_ms.saturating_sub_unsigned(age_ms as u64),
            took_ms: took.as_millis() as u64,
            num_replayed,
            ..on_its_way
        }
    }

    /// Returns when it ended; `None` where it has not.
    pub(super) fn stopped_ms(&self) -> Option<i64> {
        (self.stage == "done").then(|| self.started_ms.saturating_add_unsigned(self.took_ms))
    }
}

/// Returns whether a copy is on its way.
pub(super) fn is_active(copy: &LocatedShard) -> bool {
    copy.state.recovery.is_none()
}

async fn recovery(request: Request) -> Answer {
    let is_active_only = request.parameters.is_set("active_only")?;
    let named = NamedCopies::look_up(&request, everything()).await?;
    let mut shown = Map::new();
    for index in &named.indices {
        let copies = named.of(index);
        let copies = copies.filter(|copy| !is_active_only || is_active(copy));
        let shards: Vec<Value> = copies.map(|copy| entry(&request, &named, copy)).collect();
        if !shards.is_empty() {
            shown.insert(index.meta.name.to_string(), json!({"shards": shards}));
        }
    }
    let shown = Value::Object(shown);
    Ok(Reply::json(&humanized(shown, &request.parameters)?))
}

fn entry(request: &Request, named: &NamedCopies, copy: &LocatedShard) -> Value {
    let figures = Figures::of(copy, request.root().cluster().now_ms());
    let source = match figures.source {
        "peer" => source_of(request, named, copy),
        _ => json!({}),
    };
    let percent = match figures.stage {
        "done" => "100.0%",
        _ => "0.0%",
    };
    let mut shown = json!({
        "id": copy.state.shard.shard.0,
        "type": figures.source.to_uppercase(),
        "stage": figures.stage.to_uppercase(),
        "primary": copy.state.is_primary,
        "start_time_in_millis": figures.started_ms,
        "total_time_in_millis": figures.took_ms,
        "source": source,
        "target": node_entry(request, &named.states, &copy.node.0),
        "index": {
            "size": {
                "total_in_bytes": figures.store_bytes,
                "reused_in_bytes": figures.store_bytes,
                "recovered_in_bytes": 0,
                "percent": percent,
            },
            "files": {"total": 0, "reused": 0, "recovered": 0, "percent": percent},
            "total_time_in_millis": 0,
            "source_throttle_time_in_millis": 0,
            "target_throttle_time_in_millis": 0,
        },
        "translog": {
            "recovered": figures.num_replayed,
            "total": figures.num_replayed,
            "percent": percent,
            "total_on_start": figures.num_replayed,
            "total_time_in_millis": figures.took_ms,
        },
        "verify_index": {"check_index_time_in_millis": 0, "total_time_in_millis": 0},
    });
    if let Some(stopped_ms) = figures.stopped_ms() {
        shown["stop_time_in_millis"] = stopped_ms.into();
    }
    shown
}

/// Returns the node of the primary.
fn source_of(request: &Request, named: &NamedCopies, copy: &LocatedShard) -> Value {
    let mut copies = named.states.copies.iter();
    let primary =
        copies.find(|other| other.state.shard == copy.state.shard && other.state.is_primary);
    primary.map_or_else(
        || json!({}),
        |primary| node_entry(request, &named.states, &primary.node.0),
    )
}
