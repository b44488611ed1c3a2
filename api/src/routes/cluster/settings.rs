//! `_cluster/settings`.

use std::collections::BTreeMap;

use gleaner_query::settings::cluster;
use serde_json::{Map, Value, json};

use crate::error::ApiError;
use crate::request::Request;
use crate::response::Reply;
use crate::route::Answer;
use crate::routes::index::nested_settings;

pub(super) fn get(request: &Request) -> Answer {
    let state = request.root().cluster().state();
    let is_flat = request.parameters.is_set("flat_settings")?;
    let mut shown = json!({
        "persistent": shaped(&state.persistent_settings, is_flat),
        "transient": {},
    });
    if request.parameters.is_set("include_defaults")? {
        shown["defaults"] = shaped(&defaults(request), is_flat);
    }
    Ok(Reply::json(&shown))
}

/// What holds on this node.
fn defaults(request: &Request) -> Map<String, Value> {
    let state = request.root().cluster().state();
    let options = request.root().cluster().options();
    let limits = &options.limits;
    let known = [
        (
            "action.auto_create_index",
            options.auto_create_index.to_string(),
        ),
        (cluster::DESTRUCTIVE_REQUIRES_NAME, false.to_string()),
        (
            cluster::MAX_BUCKETS,
            cluster::DEFAULT_MAX_BUCKETS.to_string(),
        ),
        (
            cluster::MAX_KEEP_ALIVE,
            format!("{}s", options.max_keep_alive.as_secs()),
        ),
        (
            cluster::DEFAULT_SEARCH_TIMEOUT,
            format!("{}s", options.default_timeout.as_secs()),
        ),
        (cluster::MAX_CLAUSES, limits.clauses.to_string()),
        (cluster::MAX_NESTED_DEPTH, limits.query_depth.to_string()),
        (cluster::MAX_EXPANSIONS, limits.expansions.to_string()),
        (
            cluster::MAX_QUERY_STRING,
            limits.query_string_bytes.to_string(),
        ),
    ];
    known
        .into_iter()
        .filter(|(key, _)| !state.persistent_settings.contains_key(*key))
        .map(|(key, value)| (key.to_owned(), Value::from(value)))
        .collect()
}

fn shaped(flat: &Map<String, Value>, is_flat: bool) -> Value {
    if is_flat {
        Value::Object(flat.clone())
    } else {
        nested_settings(flat)
    }
}

pub(super) async fn put(mut request: Request) -> Answer {
    let body = request.required_json().await?;
    let Value::Object(entries) = body else {
        return Err(ApiError::parse("the body must be an object"));
    };
    let is_flat = request.parameters.is_set("flat_settings")?;
    let mut persistent = BTreeMap::new();
    for (key, value) in &entries {
        let mut flat = BTreeMap::new();
        flatten("", value, &mut flat)?;
        match key.as_str() {
            "persistent" => persistent = flat,
            // Deleting what nobody can set changes nothing.
            "transient" if flat.values().all(Value::is_null) => {}
            "transient" => return Err(ApiError::unsupported("transient cluster settings")),
            other => {
                return Err(ApiError::illegal(format!(
                    "unknown key [{other}] in cluster settings"
                )));
            }
        }
    }
    if persistent.is_empty() && !entries.contains_key("transient") {
        return Err(ApiError::validation(&["no settings to update".to_owned()]));
    }
    for (key, value) in &mut persistent {
        if !value.is_null() {
            *value = cluster::checked(key, value)?;
        }
    }
    request
        .root()
        .admin()
        .put_cluster_settings(&persistent)
        .await?;
    let acknowledged: Map<String, Value> = persistent
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .collect();
    Ok(Reply::json(&json!({
        "acknowledged": true,
        "persistent": shaped(&acknowledged, is_flat),
        "transient": {},
    })))
}

fn flatten(
    prefix: &str,
    value: &Value,
    flat: &mut BTreeMap<String, Value>,
) -> Result<(), ApiError> {
    let Value::Object(entries) = value else {
        if prefix.is_empty() {
            return Err(ApiError::parse("settings must be an object"));
        }
        flat.insert(prefix.to_owned(), value.clone());
        return Ok(());
    };
    for (key, value) in entries {
        let path = if prefix.is_empty() {
            key.clone()
        } else {
            format!("{prefix}.{key}")
        };
        flatten(&path, value, flat)?;
    }
    Ok(())
}
