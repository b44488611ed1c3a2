//! `_recovery`: how each copy came to serve, or how far it is.
//!
//! Files are not counted: answers have the bytes that a copy holds now, and 0 files. Times are those of recoveries that have
//! ended. Recoveries are never throttled, and files are checked while they are read, not in a stage of its own.

use gleaner_proto::read::{CopyRecovery, RecoverySource, ShardPhase};
use gleaner_root::read::LocatedShard;
use http::Method;
use serde_json::{Map, Value, json};

use super::copies::{NamedCopies, everything, node_entry};
use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::parameters::groups::INDICES;
use crate::render::units::humanized;
use crate::request::{Answer, Request};
use crate::response::Reply;
use crate::route::{Parameter, Route};

const RECOVERY: &[Parameter] = &[
    Parameter::honoured("active_only"),
    Parameter::no_effect("detailed", "files are not listed"),
];

pub(super) static ENDPOINTS: &[Endpoint] = &[Route {
    name: "indices.recovery",
    methods: &[Method::GET],
    paths: &["/_recovery", "/{index}/_recovery"],
    parameters: &[RECOVERY, INDICES],
    is_refused: false,
}
.answered_by(|request| Box::pin(recovery(request)))];

/// Figures of a recovery that tables and objects show alike.
pub(super) struct Figures {
    pub(super) source: &'static str,
    pub(super) store_bytes: u64,
    /// `None` while it goes on.
    pub(super) ended: Option<Ended>,
}

/// A recovery that has ended.
#[derive(Clone, Copy)]
pub(super) struct Ended {
    pub(super) started_ms: i64,
    pub(super) took_ms: u64,
    pub(super) num_replayed: u64,
}

impl Ended {
    pub(super) fn stopped_ms(self) -> i64 {
        self.started_ms.saturating_add_unsigned(self.took_ms)
    }
}

impl Figures {
    /// Returns those of a copy at the time `now_ms`; `None` where it failed before it served: nothing goes on there.
    pub(super) fn of(copy: &LocatedShard, now_ms: i64) -> Option<Self> {
        let state = &copy.state;
        let source = match state.recovery.map(|recovery| recovery.source) {
            None if state.phase == ShardPhase::Failed => return None,
            // A closed index was written before.
            Some(RecoverySource::Empty) if !copy.index.is_closed => "empty_store",
            Some(RecoverySource::Empty | RecoverySource::Existing) => "existing_store",
            Some(RecoverySource::Peer) => "peer",
            None if state.is_primary => "existing_store",
            None => "peer",
        };
        let ended = |recovery: CopyRecovery| {
            let age_ms = (recovery.since + recovery.took).as_millis();
            Ended {
                started_ms: now_ms.saturating_sub_unsigned(age_ms as u64),
                took_ms: recovery.took.as_millis() as u64,
                num_replayed: recovery.num_replayed,
            }
        };
        Some(Self {
            source,
            store_bytes: state.store_bytes,
            ended: state.recovery.map(ended),
        })
    }

    /// Returns how far it is, as the dialect names that.
    pub(super) fn stage(&self) -> &'static str {
        match self.ended {
            Some(_) => "done",
            None => "translog",
        }
    }
}

/// Returns the copies whose recoveries a request asks for, with their figures.
pub(super) fn wanted<'a>(
    request: &Request,
    copies: impl Iterator<Item = &'a LocatedShard>,
) -> Result<Vec<(&'a LocatedShard, Figures)>, ApiError> {
    let is_active_only = request.parameters.is_set("active_only")?;
    let now_ms = request.root().cluster().now_ms();
    let found = copies.filter_map(|copy| Some((copy, Figures::of(copy, now_ms)?)));
    let is_wanted = |figures: &Figures| !is_active_only || figures.ended.is_none();
    Ok(found.filter(|(_, figures)| is_wanted(figures)).collect())
}

async fn recovery(request: Request) -> Answer {
    let named = NamedCopies::look_up(&request, everything()).await?;
    let mut shown = Map::new();
    for index in &named.indices {
        let copies = wanted(&request, named.of(index))?.into_iter();
        let shards = copies.map(|(copy, figures)| entry(&request, &named, copy, &figures));
        let shards: Vec<Value> = shards.collect();
        if !shards.is_empty() {
            shown.insert(index.meta.name.to_string(), json!({"shards": shards}));
        }
    }
    let shown = Value::Object(shown);
    Ok(Reply::json(&humanized(shown, &request.parameters)?))
}

fn entry(request: &Request, named: &NamedCopies, copy: &LocatedShard, figures: &Figures) -> Value {
    let source = match figures.source {
        "peer" => source_of(request, named, copy),
        _ => json!({}),
    };
    let mut shown = json!({
        "id": copy.state.shard.shard.0,
        "type": figures.source.to_uppercase(),
        "stage": figures.stage().to_uppercase(),
        "primary": copy.state.is_primary,
        "source": source,
        "target": node_entry(request, &named.states, &copy.node.0),
        "index": index_stage(figures),
        "translog": log_stage(figures),
        "verify_index": {"check_index_time_in_millis": 0, "total_time_in_millis": 0},
    });
    if let Some(ended) = figures.ended {
        shown["start_time_in_millis"] = ended.started_ms.into();
        shown["stop_time_in_millis"] = ended.stopped_ms().into();
        shown["total_time_in_millis"] = ended.took_ms.into();
    }
    shown
}

/// Returns what there is of files: a node has what it opens again, and gets the rest from another one.
fn index_stage(figures: &Figures) -> Value {
    let bytes = figures.store_bytes;
    let (reused, recovered) = match (figures.source, figures.ended) {
        ("existing_store", _) => (bytes, 0),
        ("peer", Some(_)) => (0, bytes),
        _ => (0, 0),
    };
    let percent = percent_text(figures);
    json!({
        "size": {
            "total_in_bytes": bytes,
            "reused_in_bytes": reused,
            "recovered_in_bytes": recovered,
            "percent": percent,
        },
        "files": {"total": 0, "reused": 0, "recovered": 0, "percent": percent},
        "total_time_in_millis": figures.ended.map_or(0, |ended| ended.took_ms),
        "source_throttle_time_in_millis": 0,
        "target_throttle_time_in_millis": 0,
    })
}

/// Returns what there is of the log; `-1` is the dialect's word for what is not known yet.
fn log_stage(figures: &Figures) -> Value {
    let num_replayed = figures.ended.map(|ended| ended.num_replayed);
    let total = num_replayed.map_or(json!(-1), Value::from);
    json!({
        "recovered": num_replayed.unwrap_or(0),
        "total": total,
        "percent": if num_replayed.is_some() { "100.0%" } else { "-1.0%" },
        "total_on_start": total,
        "total_time_in_millis": 0,
    })
}

fn percent_text(figures: &Figures) -> &'static str {
    match figures.ended {
        Some(_) => "100.0%",
        None => "0.0%",
    }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use gleaner_model::{IndexMeta, IndexName, IndexUuid, NodeId, ShardKey, ShardNumber};
    use gleaner_proto::read::ShardState;

    use super::*;

    fn copy(phase: ShardPhase, recovery: Option<CopyRecovery>) -> LocatedShard {
        let index = IndexMeta {
            settings: Default::default(),
            ..IndexMeta::new(
                IndexUuid([7; 16]),
                IndexName::parse("books").expect("a good name"),
            )
        };
        let shard = ShardKey {
            index: index.uuid,
            shard: ShardNumber(0),
        };
        LocatedShard {
            index: Arc::new(index),
            node: NodeId("leaf".into()),
            state: ShardState {
                recovery,
                ..ShardState::empty(shard, false, phase)
            },
        }
    }

    #[test]
    fn only_a_recovery_that_has_ended_has_times() {
        let ended = CopyRecovery {
            source: RecoverySource::Peer,
            since: Duration::from_secs(7),
            took: Duration::from_secs(2),
            num_replayed: 5,
        };
        let figures = Figures::of(&copy(ShardPhase::Started, Some(ended)), 10_000);
        let figures = figures.expect("it served");
        let Some(times) = figures.ended else {
            panic!("it has ended");
        };
        assert_eq!((figures.source, figures.stage()), ("peer", "done"));
        assert_eq!((times.started_ms, times.stopped_ms()), (1_000, 3_000));
        assert_eq!(log_stage(&figures)["total"], 5);
        let figures = Figures::of(&copy(ShardPhase::Recovering, None), 10_000);
        let figures = figures.expect("it goes on");
        assert!(figures.ended.is_none());
        assert_eq!(figures.stage(), "translog");
        assert_eq!(log_stage(&figures)["total"], -1);
    }

    #[test]
    fn bytes_are_those_of_the_node_itself_or_of_another() {
        let stage = |source| {
            let figures = Figures {
                source,
                store_bytes: 7,
                ended: Some(Ended {
                    started_ms: 0,
                    took_ms: 1,
                    num_replayed: 0,
                }),
            };
            let size = &index_stage(&figures)["size"];
            [
                size["reused_in_bytes"].clone(),
                size["recovered_in_bytes"].clone(),
            ]
        };
        assert_eq!(stage("existing_store"), [7, 0]);
        assert_eq!(stage("peer"), [0, 7]);
        assert_eq!(stage("empty_store"), [0, 0]);
    }

    #[test]
    fn a_copy_that_failed_is_not_recovering() {
        assert!(Figures::of(&copy(ShardPhase::Failed, None), 0).is_none());
    }
}
