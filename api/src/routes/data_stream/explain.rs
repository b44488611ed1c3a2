//! `{index}/_lifecycle/explain`: what the lifecycle of a data stream does to indices.

use gleaner_model::{ClusterState, IndexMeta, StreamLifecycle};
use gleaner_root::lifecycle::{policy_name, prefers_policy, since_ms};
use serde_json::{Map, Value, json};

use super::lifecycle::shown_lifecycle;
use super::{BY_STREAM, managed_by};
use crate::parameters::reach::metadata_defaults;
use crate::render::units::{date_text, time_text};
use crate::request::{Answer, Request};
use crate::response::Reply;

/// Shows each index that the path names, by itself or by its data stream.
pub(super) fn explain(request: &Request) -> Answer {
    let options = request.parameters.resolve_options(metadata_defaults())?;
    let is_human = request.parameters.is_set("human")?;
    let expression = request.expression()?.unwrap_or_default();
    let cluster = request.root().cluster();
    let (state, now_ms) = (cluster.state(), cluster.now_ms());
    let mut indices = Map::new();
    for found in cluster.shown_indices(&expression, &options)? {
        let index = &found.meta;
        let mut shown = json!({"index": index.name.as_str(), "managed_by_lifecycle": false});
        if let Some(lifecycle) = managing(&state, index) {
            shown["managed_by_lifecycle"] = true.into();
            add_dates(&mut shown, &Dates::of(&state, index), now_ms, is_human);
            shown["lifecycle"] = shown_lifecycle(lifecycle);
        }
        indices.insert(index.name.to_string(), shown);
    }
    Ok(Reply::json(&json!({"indices": indices})))
}

/// Returns the lifecycle of the data stream of an index, where that is what is carried out on it.
fn managing<'a>(state: &'a ClusterState, index: &IndexMeta) -> Option<&'a StreamLifecycle> {
    let (_, stream) = state.data_stream_of(&index.uuid)?;
    let by = managed_by(stream, policy_name(index), prefers_policy(index));
    stream.lifecycle.as_ref().filter(|_| by == BY_STREAM)
}

/// When an index was made and replaced, and from when on its retention counts: milliseconds since the epoch.
struct Dates {
    created_ms: i64,
    rolled_over_ms: Option<i64>,
    /// `None` for the index that is written to.
    generation_ms: Option<i64>,
}

impl Dates {
    fn of(state: &ClusterState, index: &IndexMeta) -> Self {
        let stream = state.data_stream_of(&index.uuid);
        let is_written = stream.is_some_and(|(_, of)| of.indices.last() == Some(&index.uuid));
        Self {
            created_ms: index.created_ms,
            rolled_over_ms: index.rolled_over_ms,
            generation_ms: (!is_written).then(|| since_ms(state, index)),
        }
    }
}

fn add_dates(shown: &mut Value, dates: &Dates, now_ms: i64, is_human: bool) {
    let since = |ms: i64| time_text(u64::try_from(now_ms.saturating_sub(ms)).unwrap_or(0));
    if is_human {
        shown["index_creation_date"] = date_text(dates.created_ms).into();
    }
    shown["index_creation_date_millis"] = dates.created_ms.into();
    shown["time_since_index_creation"] = since(dates.created_ms).into();
    if let Some(rolled_over_ms) = dates.rolled_over_ms {
        if is_human {
            shown["rollover_date"] = date_text(rolled_over_ms).into();
        }
        shown["rollover_date_millis"] = rolled_over_ms.into();
        shown["time_since_rollover"] = since(rolled_over_ms).into();
    }
    if let Some(generation_ms) = dates.generation_ms {
        shown["generation_time"] = since(generation_ms).into();
    }
}
