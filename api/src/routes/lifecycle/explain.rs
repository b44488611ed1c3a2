//! `_ilm/explain`: where indices stand under their policies.

use gleaner_model::IndexMeta;
use gleaner_query::units::parse_time;
use gleaner_root::lifecycle::{Standing, standing};
use serde_json::{Map, Value, json};

use crate::parameters::reach::metadata_defaults;
use crate::render::units::time_text;
use crate::request::{Answer, Request};
use crate::response::Reply;

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
    let phase_ms = phase_begun_ms(index, stands).min(now_ms);
    // A phase whose action is done waits since the index was replaced.
    let step_ms = phase_ms.max(stands.since_ms).min(now_ms);
    let mut shown = json!({
        "index": index.name.as_str(),
        "managed": true,
        "policy": stands.policy,
        "index_creation_date_millis": index.created_ms,
        "time_since_index_creation": since(index.created_ms),
        "lifecycle_date_millis": stands.since_ms,
        "age": since(stands.since_ms),
        "phase": stands.phase.unwrap_or("new"),
        "phase_time_millis": phase_ms,
        "action": action,
        "action_time_millis": step_ms,
        "step": if stands.error.is_some() { "ERROR" } else { step },
        "step_time_millis": step_ms,
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

/// Returns when an index came into its phase, in milliseconds since the epoch. Nobody keeps that: it follows from the age
/// at which the phase begins, and for the phase `hot` from when the index was made. An index that was moved into the phase
/// may be younger than that: the time is in the future then.
fn phase_begun_ms(index: &IndexMeta, stands: &Standing) -> i64 {
    let Some(phase) = stands.phase else {
        return index.created_ms;
    };
    let kept = stands.kept.as_ref();
    let min_age = kept.and_then(|kept| kept.declared["phases"][phase]["min_age"].as_str());
    let min_age = min_age.and_then(|text| parse_time(text, "min_age").ok().flatten());
    let from_ms = match phase {
        "hot" => index.created_ms,
        _ => stands.since_ms,
    };
    let age_ms = min_age.unwrap_or_default().as_millis();
    from_ms.saturating_add(i64::try_from(age_ms).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use gleaner_model::{IndexName, IndexUuid, LifecyclePolicy};
    use gleaner_root::lifecycle::Wait;

    use super::*;

    /// An index that was replaced at 5,000.
    fn replaced(phase: Option<&'static str>) -> Standing {
        let phases = json!({"hot": {"min_age": "0ms"}, "warm": {"min_age": "2s"}});
        Standing {
            policy: "p".to_owned(),
            kept: Some(LifecyclePolicy {
                version: 1,
                modified_ms: 0,
                declared: json!({"phases": phases}),
                scope: None,
            }),
            phase,
            wait: Wait::Age,
            is_skipped: false,
            since_ms: 5_000,
            without_effect: Vec::new(),
            error: None,
        }
    }

    #[test]
    fn times_of_phases_and_steps_follow_from_ages() {
        let name = IndexName::parse("logs-1").expect("a good name");
        let index = IndexMeta {
            created_ms: 1_000,
            ..IndexMeta::new(IndexUuid([1; 16]), name)
        };
        for (phase, now_ms, phase_ms, step_ms) in [
            (None, 9_000, 1_000, 5_000),
            (Some("hot"), 9_000, 1_000, 5_000),
            (Some("warm"), 9_000, 7_000, 7_000),
            // It was moved there before its time.
            (Some("warm"), 6_000, 6_000, 6_000),
        ] {
            let shown = shown(&index, &replaced(phase), now_ms);
            assert_eq!(shown["phase_time_millis"], phase_ms, "{phase:?}");
            assert_eq!(shown["action_time_millis"], step_ms, "{phase:?}");
            assert_eq!(shown["step_time_millis"], step_ms, "{phase:?}");
        }
    }
}
