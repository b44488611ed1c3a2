//! `_ilm/explain`: where indices stand under their policies.

use gleaner_model::IndexMeta;
use gleaner_root::lifecycle::{Standing, standing};
use serde_json::{Map, Value, json};

use crate::render::units::time_text;
use crate::request::Request;
use crate::response::Reply;
use crate::route::Answer;
use crate::routes::metadata_defaults;

/// Shows each index that the path names.
pub(super) fn explain(request: &Request) -> Answer {
    let options = request.parameters.resolve_options(metadata_defaults())?;
    let only_errors = request.parameters.is_set("only_errors")?;
    let only_managed = request.parameters.is_set("only_managed")? || only_errors;
    let expression = request.expression()?.unwrap_or_default();
    let cluster = request.root().cluster();
    let (state, now_ms) = (cluster.state(), cluster.now_ms());
    let mut indices = Map::new();
    for found in cluster.shown_indices(&expression, &options)? {
        let index = &found.meta;
        let stands = standing(&state, index, now_ms);
        let has_error = stands.as_ref().is_some_and(|stands| stands.error.is_some());
        if (only_errors && !has_error) || (only_managed && stands.is_none()) {
            continue;
        }
        let shown = match &stands {
            Some(stands) => shown(index, stands, now_ms),
            None => json!({"index": index.name.as_str(), "managed": false}),
        };
        indices.insert(index.name.to_string(), shown);
    }
    Ok(Reply::json(&json!({"indices": indices})))
}

fn shown(index: &IndexMeta, stands: &Standing, now_ms: i64) -> Value {
    let since = |ms: i64| time_text(u64::try_from(now_ms.saturating_sub(ms)).unwrap_or(0));
    let (action, step) = stands.step();
    let mut shown = json!({
        "index": index.name.as_str(),
        "managed": true,
        "policy": stands.policy,
        "index_creation_date_millis": index.created_ms,
        "time_since_index_creation": since(index.created_ms),
        "lifecycle_date_millis": stands.since_ms,
        "age": since(stands.since_ms),
        "phase": stands.phase.unwrap_or("new"),
        "action": action,
        "step": if stands.error.is_some() { "ERROR" } else { step },
    });
    if stands.is_skipped {
        shown["skip"] = json!(true);
    }
    if let Some(reason) = &stands.error {
        shown["failed_step"] = json!(step);
        shown["step_info"] = json!({"type": "illegal_argument_exception", "reason": reason});
    }
    if !stands.without_effect.is_empty() {
        // Not in Elasticsearch, which carries them out.
        shown["actions_without_effect"] = json!(stands.without_effect);
    }
    if let Some(kept) = &stands.kept {
        let phase = stands
            .phase
            .and_then(|name| kept.declared["phases"].get(name));
        shown["phase_execution"] = json!({
            "policy": stands.policy,
            "phase_definition": phase,
            "version": kept.version,
            "modified_date_in_millis": kept.modified_ms,
        });
    }
    shown
}
