//! `_stats` of indices.

mod figures;
mod wanted;

use std::collections::BTreeMap;

use gleaner_proto::read::ShardState;
use gleaner_query::names::ResolvedIndex;
use gleaner_root::read::LocatedShard;
use http::Method;
use serde_json::{Map, Value, json};

use super::cluster::{CopiesByShard, Health};
use super::copies::{NamedCopies, state_name};
use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::parameters::groups::INDICES;
use crate::parameters::reach::metadata_defaults;
use crate::render::units::humanized;
use crate::render::uuid_text;
use crate::request::{Answer, Request};
use crate::response::Reply;
use crate::route::{Parameter, Route};

pub(super) use figures::{
    docs, kept_answers, no_field_data, no_query_cache, sections, segments, store,
};
pub(super) use wanted::Sections;

const STATS: &[Parameter] = &[
    Parameter::honoured("level"),
    Parameter::no_effect("fields", "statistics are not kept by field"),
    Parameter::no_effect("completion_fields", "statistics are not kept by field"),
    Parameter::no_effect("fielddata_fields", "statistics are not kept by field"),
    Parameter::no_effect("groups", "searches are not counted by group"),
    Parameter::no_effect("types", "there are no types"),
    Parameter::no_effect("include_segment_file_sizes", "file sizes are not listed"),
    Parameter::honoured("include_unloaded_segments"),
    Parameter::no_effect("forbid_closed_indices", "closed indices may be named"),
];

pub(super) static ENDPOINTS: &[Endpoint] = &[Route {
    name: "indices.stats",
    methods: &[Method::GET],
    paths: &[
        "/_stats",
        "/_stats/{metric}",
        "/{index}/_stats",
        "/{index}/_stats/{metric}",
    ],
    parameters: &[STATS, INDICES],
    is_refused: false,
}
.answered_by(|request| Box::pin(stats(request)))];

async fn stats(request: Request) -> Answer {
    let shown_sections = Sections::parse(request.path(), request.part("metric"), "metric")?;
    let level = request.parameters.get("level").unwrap_or("indices");
    if !matches!(level, "cluster" | "indices" | "shards") {
        return Err(ApiError::illegal(format!(
            "level parameter must be one of [cluster] or [indices] or [shards] but was [{level}]"
        )));
    }
    let includes_unloaded = request.parameters.is_set("include_unloaded_segments")?;
    let mut named = NamedCopies::look_up(&request, metadata_defaults()).await?;
    if !includes_unloaded {
        leave_out_unloaded_segments(&mut named.states.copies);
    }
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
        let by_shard = CopiesByShard::of(&states.copies);
        for found in &named.indices {
            let is_own = |copy: &&LocatedShard| copy.index.uuid == found.meta.uuid;
            let mut object = both(&is_own);
            describe(&mut object, found, &by_shard);
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

/// Counts no segments of closed indices. Copies here hold them all the same; in Elasticsearch a closed index has none
/// loaded.
fn leave_out_unloaded_segments(copies: &mut [LocatedShard]) {
    for copy in copies.iter_mut().filter(|copy| copy.index.is_closed) {
        copy.state.num_segments = 0;
        copy.state.gauges.writer_bytes = 0;
    }
}

/// Adds what an index is to what its copies did.
fn describe(object: &mut Value, found: &ResolvedIndex, copies: &CopiesByShard<'_>) {
    let status = if found.meta.is_closed {
        "close"
    } else {
        "open"
    };
    object["uuid"] = uuid_text(&found.meta.uuid).into();
    object["health"] = Health::of_index(&found.meta, copies).level.as_str().into();
    object["status"] = status.into();
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
            "user_data": {},
            "num_docs": state.num_documents,
        });
        let of_shard = by_number.entry(state.shard.shard.to_string());
        of_shard.or_default().push(entry);
    }
    json!(by_number)
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::Value;

    use crate::testing::{create, sent, speaking};

    #[tokio::test(flavor = "multi_thread")]
    async fn an_unknown_metric_is_refused_with_the_path_that_names_it() {
        let dialect = speaking();
        create(&dialect, "books", &Value::Null).await;
        for (path, expected) in [
            ("/_stats/foo", "unrecognized metric: [foo]"),
            (
                "/books/_stats/docs,stor",
                "unrecognized metric: [stor] -> did you mean [store]?",
            ),
        ] {
            let (status, refused) = sent(&dialect, ("GET", path), &Value::Null).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
            assert_eq!(refused["error"]["type"], "illegal_argument_exception");
            let reason = format!("request [{path}] contains {expected}");
            assert_eq!(refused["error"]["reason"], reason);
        }
    }
}
