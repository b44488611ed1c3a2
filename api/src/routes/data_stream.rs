//! `_data_stream`: created, shown, measured, changed, deleted.

mod explain;
mod lifecycle;

use gleaner_model::{ActiveShards, ClusterState, DataStream, IndexMeta, IndexName, IndexPrivilege};
use gleaner_query::answer::AggregationValue;
use gleaner_query::data_stream::parse_stream_actions;
use gleaner_query::names::resolve_streams;
use gleaner_query::search::parse_search_value;
use gleaner_query::templates::{compose, deprecated_use, index_template_of};
use gleaner_root::lifecycle::{policy_name, prefers_policy};
use gleaner_root::plan::Target;
use gleaner_root::search::SearchOptions;
use http::Method;
use serde_json::{Value, json};

use lifecycle::shown_lifecycle;

pub(super) use lifecycle::ENDPOINTS as LIFECYCLE_ENDPOINTS;

use super::cluster::{CopiesByShard, Health, HealthLevel};
use super::index::acknowledged;
use super::index::active::wait;
use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::parameters::groups::{AT_ONCE, INDICES, METADATA, METADATA_READ};
use crate::parameters::reach::metadata_defaults;
use crate::render::units::size_text;
use crate::render::uuid_text;
use crate::request::{Answer, Request};
use crate::response::Reply;
use crate::route::{Parameter, Route};
use crate::security::Action;

const CREATE: &[Parameter] = &[
    Parameter::honoured("timeout"),
    Parameter::no_effect("master_timeout", AT_ONCE),
    Parameter::no_effect("cluster_manager_timeout", AT_ONCE),
];
const GET: &[Parameter] = &[
    Parameter::no_effect(
        "include_defaults",
        "when the next index begins follows from the retention",
    ),
    Parameter::no_effect("verbose", "all is shown that there is"),
];

pub(super) static ENDPOINTS: &[Endpoint] = &[
    Route {
        name: "indices.create_data_stream",
        methods: &[Method::PUT],
        paths: &["/_data_stream/{name}"],
        parameters: &[CREATE],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(create(request))),
    Route {
        name: "indices.get_data_stream",
        methods: &[Method::GET],
        paths: &["/_data_stream", "/_data_stream/{name}"],
        parameters: &[GET, INDICES, METADATA_READ],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(get(request))),
    Route {
        name: "indices.delete_data_stream",
        methods: &[Method::DELETE],
        paths: &["/_data_stream/{name}"],
        parameters: &[INDICES, METADATA],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(delete(request))),
    Route {
        name: "indices.modify_data_stream",
        methods: &[Method::POST],
        paths: &["/_data_stream/_modify"],
        parameters: &[METADATA],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(modify(request))),
    Route {
        name: "indices.data_streams_stats",
        methods: &[Method::GET],
        paths: &["/_data_stream/_stats", "/_data_stream/{name}/_stats"],
        parameters: &[INDICES],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(stats(request))),
];

async fn create(request: Request) -> Answer {
    let name = request.required_part("name")?;
    let limit = request.parameters.time("timeout")?;
    request.root().admin().create_data_stream(name).await?;
    let state = request.root().cluster().state();
    let stream = state.data_streams.get(name);
    let made = stream.into_iter().flat_map(|stream| &stream.indices);
    let made = made.filter_map(|uuid| state.indices.get(uuid));
    let made: Vec<&IndexMeta> = made.map(|index| &**index).collect();
    // Unlike that to a request that makes an index, the answer has no place for whether it serves.
    wait(&request, ActiveShards::ONE, &made, limit).await;
    let warning = deprecated_use(name, &state.templates);
    Ok(acknowledged().warning(warning.as_slice()))
}

async fn delete(request: Request) -> Answer {
    let names = request.required_part("name")?;
    let options = request.parameters.resolve_options(metadata_defaults())?;
    let admin = request.root().admin();
    admin
        .delete_data_streams(names, options.expand_wildcards)
        .await?;
    Ok(acknowledged())
}

/// What puts an index into a data stream or takes it out, for rights: it opens the index to those who have a right to the
/// stream.
const MODIFY: Action = Action {
    name: "indices:admin/data_stream/modify",
    privilege: IndexPrivilege::Manage,
    ignores_filters: false,
};

async fn modify(mut request: Request) -> Answer {
    let body = request.required_json().await?;
    let actions = parse_stream_actions(&body)?;
    for action in &actions {
        request.check_name(&MODIFY, &action.stream)?;
        request.check_name(&MODIFY, &action.index)?;
    }
    request.root().admin().modify_data_streams(&actions).await?;
    Ok(acknowledged())
}

/// Returns the data streams that the path names, by name; a name that none bears is an error.
fn named<'a>(
    request: &Request,
    state: &'a ClusterState,
) -> Result<Vec<(&'a IndexName, &'a DataStream)>, ApiError> {
    let names = request.part("name").unwrap_or("*");
    let options = request.parameters.resolve_options(metadata_defaults())?;
    Ok(resolve_streams(names, state, options.expand_wildcards)?)
}

async fn get(request: Request) -> Answer {
    let states = request.root().reader().shard_states().await;
    let state = request.root().cluster().state();
    let streams = named(&request, &state)?.into_iter();
    let copies = CopiesByShard::of(&states.copies);
    let shown = streams.map(|(name, stream)| shown_stream(&state, name, stream, &copies));
    let shown: Vec<Value> = shown.collect();
    Ok(Reply::json(&json!({"data_streams": shown})))
}

fn shown_stream(
    state: &ClusterState,
    name: &IndexName,
    stream: &DataStream,
    copies: &CopiesByShard<'_>,
) -> Value {
    let indices = stream.indices.iter();
    let indices = indices.filter_map(|uuid| state.indices.get(uuid));
    let health = Health::of_all(indices.clone().map(|index| &**index), copies);
    let indices: Vec<Value> = indices.map(|index| shown_index(stream, index)).collect();
    let template = index_template_of(&state.templates, name.as_str());
    let composed = Composed::of(state, name);
    let policy = composed.policy;
    let mut shown = json!({
        "name": name.as_str(),
        "timestamp_field": {"name": "@timestamp"},
        "indices": indices,
        "generation": stream.generation,
        "status": status(health.level),
        "template": template.map(|(name, _)| name),
        "next_generation_managed_by": managed_by(stream, policy.as_deref(), composed.prefers_policy),
        "prefer_ilm": composed.prefers_policy,
        "hidden": stream.hidden,
        "system": false,
        "allow_custom_routing": stream.allow_custom_routing,
        "replicated": false,
        "rollover_on_write": false,
        // A data stream has no settings of its own: those of its template hold for its next index.
        "settings": {},
    });
    if let Some(meta) = template.and_then(|(_, template)| template.meta.as_ref()) {
        shown["_meta"] = meta.clone();
    }
    if let Some(policy) = policy {
        shown["ilm_policy"] = json!(policy);
    }
    if let Some(lifecycle) = &stream.lifecycle {
        shown["lifecycle"] = shown_lifecycle(lifecycle);
    }
    shown
}

fn shown_index(stream: &DataStream, index: &IndexMeta) -> Value {
    let prefers = prefers_policy(index);
    let mut shown = json!({
        "index_name": index.name.as_str(),
        "index_uuid": uuid_text(&index.uuid),
        "prefer_ilm": prefers,
        "managed_by": managed_by(stream, policy_name(index), prefers),
    });
    if let Some(policy) = policy_name(index) {
        shown["ilm_policy"] = json!(policy);
    }
    shown
}

/// Returns the health of a data stream: that of the worst of its indices.
fn status(level: HealthLevel) -> &'static str {
    match level {
        HealthLevel::Green => "GREEN",
        HealthLevel::Yellow => "YELLOW",
        HealthLevel::Red => "RED",
    }
}

/// What templates say of the next index of a data stream.
struct Composed {
    /// The policy that it will name.
    policy: Option<String>,
    /// Whether that will go before the lifecycle of the data stream.
    prefers_policy: bool,
}

impl Composed {
    fn of(state: &ClusterState, stream: &IndexName) -> Self {
        let (composed, _) = compose(&state.templates, stream.as_str());
        let setting = |key: &str| composed.settings.get(key).and_then(Value::as_str);
        Self {
            policy: setting("index.lifecycle.name").map(str::to_owned),
            prefers_policy: setting("index.lifecycle.prefer_ilm") != Some("false"),
        }
    }
}

/// What [`managed_by`] says of an index that the lifecycle of its data stream is carried out on.
const BY_STREAM: &str = "Data stream lifecycle";

/// Says what replaces and deletes indices: a policy that is preferred goes before the lifecycle of their data stream.
fn managed_by(stream: &DataStream, policy: Option<&str>, prefers_policy: bool) -> &'static str {
    let is_enabled = stream.lifecycle.as_ref().is_some_and(|of| of.is_enabled);
    match (policy, is_enabled) {
        (Some(_), true) if !prefers_policy => BY_STREAM,
        (Some(_), _) => "Index Lifecycle Management",
        (None, true) => BY_STREAM,
        (None, false) => "Unmanaged",
    }
}

async fn stats(request: Request) -> Answer {
    let state = request.root().cluster().state();
    let streams = named(&request, &state)?;
    let states = request.root().reader().shard_states().await;
    let bytes_of = |stream: &DataStream| -> u64 {
        let copies = states.copies.iter();
        let own = copies.filter(|copy| stream.indices.contains(&copy.index.uuid));
        own.map(|copy| copy.state.store_bytes).sum()
    };
    let is_human = request.parameters.is_set("human")?;
    let (mut shown, mut num_indices, mut num_bytes) = (Vec::new(), 0, 0);
    let mut shards = 0_u64;
    for (name, stream) in streams {
        let bytes = bytes_of(stream);
        num_indices += stream.indices.len();
        num_bytes += bytes;
        let indices = stream
            .indices
            .iter()
            .filter_map(|uuid| state.indices.get(uuid));
        shards += indices
            .map(|index| u64::from(index.settings.number_of_shards))
            .sum::<u64>();
        let mut of_stream = json!({
            "data_stream": name.as_str(),
            "backing_indices": stream.indices.len(),
        });
        add_size(&mut of_stream, "store_size", bytes, is_human);
        of_stream["maximum_timestamp"] = newest(&request, name.as_str()).await?.into();
        shown.push(of_stream);
    }
    let mut all = json!({
        "_shards": {"total": shards, "successful": shards, "failed": 0},
        "data_stream_count": shown.len(),
        "backing_indices": num_indices,
    });
    add_size(&mut all, "total_store_size", num_bytes, is_human);
    all["data_streams"] = shown.into();
    Ok(Reply::json(&all))
}

/// Adds a size in bytes, and for people with its unit.
fn add_size(shown: &mut Value, name: &str, bytes: u64, is_human: bool) {
    if is_human {
        shown[name] = size_text(bytes).into();
    }
    shown[format!("{name}_bytes")] = bytes.into();
}

/// Returns the newest time that documents of a data stream tell of, in milliseconds since the epoch; 0 where it has
/// none.
async fn newest(request: &Request, stream: &str) -> Result<i64, ApiError> {
    let body = json!({"size": 0, "aggs": {"newest": {"max": {"field": "@timestamp"}}}});
    let root = request.root();
    let search = parse_search_value(&body, &root.cluster().limits())?;
    let target = Target {
        expression: Some(stream.to_owned()),
        ..Target::default()
    };
    let found = root
        .search(&target, &search, &SearchOptions::default())
        .await?;
    let value = found.aggregations.first().map(|found| &found.value);
    Ok(match value {
        Some(AggregationValue::Number {
            value: Some(value), ..
        }) => *value as i64,
        _ => 0,
    })
}
