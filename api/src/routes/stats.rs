//! `_stats` of indices.

use std::collections::BTreeMap;

use gleaner_proto::read::{ShardPhase, ShardState};
use gleaner_root::read::LocatedShard;
use http::Method;
use serde_json::{Map, Value, json};

use super::copies::{NamedCopies, state_name};
use super::index::metadata_defaults;
use crate::cached::{Counted, Counts};
use crate::error::ApiError;
use crate::parameters::comma_list;
use crate::parameters::groups::INDICES;
use crate::render::units::humanized;
use crate::render::uuid_text;
use crate::request::Request;
use crate::response::Reply;
use crate::route::{Answer, Parameter, Route};

const STATS: &[Parameter] = &[
    Parameter::honoured("level"),
    Parameter::no_effect("fields", "statistics are not kept by field"),
    Parameter::no_effect("completion_fields", "statistics are not kept by field"),
    Parameter::no_effect("fielddata_fields", "statistics are not kept by field"),
    Parameter::no_effect("groups", "searches are not counted by group"),
    Parameter::no_effect("types", "there are no types"),
    Parameter::no_effect("include_segment_file_sizes", "file sizes are not listed"),
    Parameter::no_effect("include_unloaded_segments", "no index is frozen"),
    Parameter::no_effect("forbid_closed_indices", "closed indices may be named"),
];

pub(super) static ROUTES: &[Route] = &[Route {
    name: "indices.stats",
    methods: &[Method::GET],
    paths: &[
        "/_stats",
        "/_stats/{metric}",
        "/{index}/_stats",
        "/{index}/_stats/{metric}",
    ],
    parameters: &[STATS, INDICES],
    handler: |request| Box::pin(stats(request)),
    is_refused: false,
}];

/// The sections, by the metric that asks for each. What this engine has none of is shown as nothing.
const METRICS: [(&str, &str); 15] = [
    ("docs", "docs"),
    ("store", "store"),
    ("indexing", "indexing"),
    ("get", "get"),
    ("search", "search"),
    ("refresh", "refresh"),
    ("flush", "flush"),
    ("warmer", "warmer"),
    ("query_cache", "query_cache"),
    ("fielddata", "fielddata"),
    ("completion", "completion"),
    ("segments", "segments"),
    ("translog", "translog"),
    ("request_cache", "request_cache"),
    ("recovery", "recovery"),
];

/// Metrics of the dialect of which nothing is counted by shard, and that may be asked for.
const EMPTY_METRICS: [&str; 3] = ["merge", "bulk", "seq_no"];

/// Returns the counters of shards together; `counts` are those of the answers that this node keeps.
pub(super) fn sections<'a>(
    states: &(impl Iterator<Item = &'a ShardState> + Clone),
    counts: &Counts,
) -> Value {
    let sum = |of: fn(&ShardState) -> u64| -> u64 { states.clone().map(of).sum() };
    let uncommitted = |s: &ShardState| {
        let next = s.max_seq_no.map_or(0, |last| last.0 + 1);
        next.saturating_sub(s.committed.0)
    };
    let is_recovering = |s: &&ShardState| s.phase == ShardPhase::Recovering;
    let Counted { hits, misses } = kept_answers(states, counts);
    json!({
        "docs": {"count": sum(|s| s.num_documents), "deleted": sum(|s| s.num_deleted)},
        "store": {"size_in_bytes": sum(|s| s.store_bytes), "reserved_in_bytes": 0},
        "indexing": {
            "index_total": sum(|s| s.counters.index_total),
            "index_time_in_millis": sum(|s| s.counters.index_time_ms),
            "index_current": 0,
            "index_failed": sum(|s| s.counters.index_failed),
            "delete_total": sum(|s| s.counters.delete_total),
            "noop_update_total": sum(|s| s.counters.noop_total),
            "is_throttled": false,
        },
        "get": {"total": sum(|s| s.counters.get_total)},
        "search": {
            "query_total": sum(|s| s.counters.query_total),
            "query_time_in_millis": sum(|s| s.counters.query_time_ms),
            "fetch_total": sum(|s| s.counters.fetch_total),
            "fetch_time_in_millis": sum(|s| s.counters.fetch_time_ms),
        },
        "refresh": {"total": sum(|s| s.counters.refresh_total)},
        "flush": {"total": sum(|s| s.counters.flush_total)},
        "warmer": {"current": 0, "total": 0, "total_time_in_millis": 0},
        "query_cache": {"memory_size_in_bytes": 0, "evictions": 0},
        "fielddata": {"memory_size_in_bytes": 0, "evictions": 0},
        "completion": {"size_in_bytes": 0},
        "segments": {"count": sum(|s| s.num_segments), "memory_in_bytes": 0},
        "translog": {
            "size_in_bytes": sum(|s| s.log_bytes),
            "uncommitted_operations": states.clone().map(uncommitted).sum::<u64>(),
        },
        "request_cache": {
            "memory_size_in_bytes": 0,
            "evictions": 0,
            "hit_count": hits,
            "miss_count": misses,
        },
        "recovery": {
            "current_as_source": 0,
            "current_as_target": states.clone().filter(is_recovering).count(),
        },
    })
}

/// Returns what was counted of the answers of shards. An answer is of no copy: it stands with the primaries.
pub(super) fn kept_answers<'a>(
    states: &(impl Iterator<Item = &'a ShardState> + Clone),
    counts: &Counts,
) -> Counted {
    let primaries = states.clone().filter(|state| state.is_primary);
    primaries.fold(Counted::default(), |sum, state| {
        let Counted { hits, misses } = counts.of(state.shard);
        Counted {
            hits: sum.hits + hits,
            misses: sum.misses + misses,
        }
    })
}

/// Which sections to show.
pub(super) struct Sections(Option<Vec<String>>);

impl Sections {
    /// Reads a list of names; `_all` and none are all.
    pub(super) fn parse(text: Option<&str>) -> Result<Self, ApiError> {
        let Some(names) = text.map(comma_list) else {
            return Ok(Self(None));
        };
        if names.iter().any(|name| name == "_all") {
            return Ok(Self(None));
        }
        for name in &names {
            let known = METRICS
                .map(|(metric, _)| metric)
                .into_iter()
                .chain(EMPTY_METRICS);
            if !known.clone().any(|known| known == name) {
                let hint = gleaner_query::json::did_you_mean(name, known);
                let hint = if hint.is_empty() {
                    hint
                } else {
                    format!(" ->{hint}")
                };
                return Err(ApiError::illegal(format!(
                    "request [/_stats/{name}] contains unrecognized metric: [{name}]{hint}"
                )));
            }
        }
        Ok(Self(Some(names)))
    }

    /// Leaves out what is not asked for.
    pub(super) fn kept(&self, sections: Value) -> Value {
        let (Some(names), Value::Object(sections)) = (&self.0, &sections) else {
            return sections;
        };
        let is_asked = |section: &str| {
            let mut metrics = METRICS.iter();
            let metric = metrics.find(|(_, shown)| *shown == section);
            metric.is_some_and(|(metric, _)| names.iter().any(|name| name == metric))
        };
        let kept = sections.iter().filter(|(name, _)| is_asked(name));
        Value::Object(
            kept.map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        )
    }
}

async fn stats(request: Request) -> Answer {
    let shown_sections = Sections::parse(request.part("metric"))?;
    let level = request.parameters.get("level").unwrap_or("indices");
    if !matches!(level, "cluster" | "indices" | "shards") {
        return Err(ApiError::illegal(format!(
            "level parameter must be one of [cluster] or [indices] or [shards] but was [{level}]"
        )));
    }
    let named = NamedCopies::look_up(&request, metadata_defaults()).await?;
    let (states, counts) = (&named.states, &request.app.counts);
    let once = states.one_each();
    let both = |is_wanted: &dyn Fn(&&LocatedShard) -> bool| {
        let primaries = once.iter().copied().filter(is_wanted);
        let all = states.copies.iter().filter(is_wanted);
        json!({
            "primaries": shown_sections.kept(sections(&primaries.map(|copy| &copy.state), counts)),
            "total": shown_sections.kept(sections(&all.map(|copy| &copy.state), counts)),
        })
    };
    let mut shown = json!({
        "_shards": named.summary(),
        "_all": both(&|_| true),
    });
    if level != "cluster" {
        let mut indices = Map::new();
        for found in &named.indices {
            let is_own = |copy: &&LocatedShard| copy.index.uuid == found.meta.uuid;
            let mut object = both(&is_own);
            object["uuid"] = uuid_text(&found.meta.uuid).into();
            if level == "shards" {
                let own: Vec<&LocatedShard> = states.copies.iter().filter(is_own).collect();
                object["shards"] = shards(&own, |state| {
                    shown_sections.kept(sections(&std::iter::once(state), counts))
                });
            }
            indices.insert(found.meta.name.to_string(), object);
        }
        shown["indices"] = Value::Object(indices);
    }
    Ok(Reply::json(&humanized(shown, &request.parameters)?))
}

/// Returns the copies of an index by shard, each with its own sections.
fn shards(copies: &[&LocatedShard], shown: impl Fn(&ShardState) -> Value) -> Value {
    let mut by_number: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for copy in copies {
        let state = &copy.state;
        let mut entry = shown(state);
        entry["routing"] = json!({
            "state": state_name(state),
            "primary": state.is_primary,
            "node": copy.node.to_string(),
            "relocating_node": null,
        });
        let checkpoint = state.max_seq_no.map_or(-1, |seq_no| seq_no.0 as i64);
        entry["seq_no"] = json!({
            "max_seq_no": checkpoint,
            "local_checkpoint": checkpoint,
            "global_checkpoint": checkpoint,
        });
        entry["commit"] = json!({
            "id": format!("{}-{}", state.shard, state.committed),
            "generation": state.counters.flush_total,
            "num_docs": state.num_documents,
        });
        let of_shard = by_number.entry(state.shard.shard.to_string());
        of_shard.or_default().push(entry);
    }
    json!(by_number)
}
