//! `_cluster/settings`.

use std::collections::BTreeMap;

use gleaner_query::settings::{auto_create, cluster};
use gleaner_root::admin::{ClusterSettingChanges, SettingChanges};
use serde_json::{Map, Value, json};

use crate::error::ApiError;
use crate::request::{Answer, Request};
use crate::response::Reply;
use crate::routes::index::nested_settings;

pub(super) fn get(request: &Request) -> Answer {
    let state = request.root().cluster().state();
    let is_flat = request.parameters.is_set("flat_settings")?;
    let mut shown = json!({
        "persistent": shaped(&state.persistent_settings, is_flat),
        "transient": shaped(&state.transient_settings, is_flat),
    });
    if request.parameters.is_set("include_defaults")? {
        shown["defaults"] = shaped(&defaults(request), is_flat);
    }
    Ok(Reply::json(&shown))
}

/// What holds on this node.
fn defaults(request: &Request) -> Map<String, Value> {
    let state = request.root().cluster().state();
    let in_force = state.settings();
    let options = request.root().cluster().options();
    let limits = &options.limits;
    let watermarks = request.app.options.disk_watermarks;
    let percent = |share: f64| format!("{}%", (share * 1_000.0).round() / 10.0);
    let disk = |name: &str| format!("cluster.routing.allocation.disk.{name}");
    let disks = [
        (disk("threshold_enabled"), true.to_string()),
        (disk("watermark.low"), percent(watermarks.high)),
        (disk("watermark.high"), percent(watermarks.high)),
        (
            disk("watermark.flood_stage"),
            percent(watermarks.flood_stage),
        ),
    ];
    let known = [
        (
            auto_create::AUTO_CREATE_INDEX,
            options.auto_create_index.to_string(),
        ),
        (cluster::DESTRUCTIVE_REQUIRES_NAME, true.to_string()),
        (cluster::ALLOW_PARTIAL_RESULTS, true.to_string()),
        (cluster::CLOSE_ENABLED, true.to_string()),
        (
            cluster::MAX_BUCKETS,
            cluster::DEFAULT_MAX_BUCKETS.to_string(),
        ),
        (
            cluster::MAX_SHARDS_PER_NODE,
            options.max_shards_per_node.to_string(),
        ),
        (
            cluster::MAX_KEEP_ALIVE,
            format!("{}s", options.max_keep_alive.as_secs()),
        ),
        (
            cluster::DEFAULT_SEARCH_TIMEOUT,
            format!("{}s", options.default_timeout.as_secs()),
        ),
        ("cluster.routing.allocation.enable", "all".to_owned()),
        (cluster::MAX_CLAUSES, limits.clauses.to_string()),
        (cluster::MAX_NESTED_DEPTH, limits.query_depth.to_string()),
        (cluster::MAX_EXPANSIONS, limits.expansions.to_string()),
        (
            cluster::MAX_QUERY_STRING,
            limits.query_string_bytes.to_string(),
        ),
    ];
    let known = known.map(|(key, value)| (key.to_owned(), value));
    known
        .into_iter()
        .chain(disks)
        .filter(|(key, _)| in_force.get(key).is_none())
        .map(|(key, value)| (key, Value::from(value)))
        .collect()
}

fn shaped(flat: &Map<String, Value>, is_flat: bool) -> Value {
    if is_flat {
        Value::Object(flat.clone())
    } else {
        nested_settings(flat)
    }
}

/// Most settings of one kind in a request: all nodes hold all of them, and each that is removed is held against all.
const MAX_SETTINGS: usize = 5_000;

pub(super) async fn put(mut request: Request) -> Answer {
    let body = request.required_json().await?;
    let Value::Object(entries) = body else {
        return Err(ApiError::parse("the body must be an object"));
    };
    let is_flat = request.parameters.is_set("flat_settings")?;
    let mut changes = ClusterSettingChanges::default();
    for (key, value) in &entries {
        let of_kind = match key.as_str() {
            "persistent" => &mut changes.persistent,
            "transient" => &mut changes.transient,
            other => {
                return Err(ApiError::illegal(format!(
                    "unknown key [{other}] in cluster settings"
                )));
            }
        };
        flatten("", value, of_kind)?;
        check(key, of_kind)?;
    }
    if changes.persistent.is_empty() && changes.transient.is_empty() {
        return Err(ApiError::validation(&["no settings to update".to_owned()]));
    }
    let admin = request.root().admin();
    admin.put_cluster_settings(&changes).await?;
    let ClusterSettingChanges {
        persistent,
        transient,
    } = changes;
    let (persistent, transient) = (set(persistent), set(transient));
    let warnings: Vec<String> = persistent
        .keys()
        .chain(transient.keys())
        .filter_map(|key| {
            let why = cluster::without_effect(key)?;
            Some(format!("setting [{key}] has no effect: {why}"))
        })
        .collect();
    let reply = Reply::json(&json!({
        "acknowledged": true,
        "persistent": shaped(&persistent, is_flat),
        "transient": shaped(&transient, is_flat),
    }));
    Ok(reply.warning(&warnings))
}

/// Refuses what nothing reads; writes the others, of the kind `kind`, as they are kept.
fn check(kind: &str, changes: &mut SettingChanges) -> Result<(), ApiError> {
    for (key, value) in changes {
        if !value.is_null() {
            *value = cluster::checked(kind, key, value)?;
        }
    }
    Ok(())
}

/// Returns the settings that are set, and not removed.
fn set(changes: SettingChanges) -> Map<String, Value> {
    let changes = changes.into_iter();
    changes.filter(|(_, value)| !value.is_null()).collect()
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
        if flat.len() > MAX_SETTINGS {
            return Err(ApiError::illegal(format!(
                "there are more settings than [{MAX_SETTINGS}] in a request"
            )));
        }
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

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::{Value, json};

    use crate::testing::{create, got, sent, speaking};

    #[tokio::test(flavor = "multi_thread")]
    async fn no_index_is_closed_where_that_is_forbidden() {
        let dialect = speaking();
        create(&dialect, "books", &json!({})).await;
        for (is_enabled, expected) in [(false, StatusCode::BAD_REQUEST), (true, StatusCode::OK)] {
            let body = json!({"persistent": {"cluster.indices.close.enable": is_enabled}});
            let (status, answer) = sent(&dialect, ("PUT", "/_cluster/settings"), &body).await;
            assert_eq!(status, StatusCode::OK, "{answer}");
            let close = ("POST", "/books/_close");
            let (status, answer) = sent(&dialect, close, &Value::Null).await;
            assert_eq!(status, expected, "{answer}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_pattern_resets_settings_and_nothing_is_no_change() {
        let dialect = speaking();
        let put = async |body: Value| {
            let path = "/_cluster/settings?flat_settings";
            sent(&dialect, ("PUT", path), &body).await
        };
        let both = json!({
            "persistent": {"search.max_buckets": 7, "cluster.metadata.team": "a"},
            "transient": {"search": {"max_buckets": 9, "max_keep_alive": "1m"}},
        });
        assert_eq!(put(both).await.0, StatusCode::OK);
        let reset = json!({"transient": {"search.*": null}, "persistent": {"search": {"*": null}}});
        let (status, answer) = put(reset).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        assert_eq!(answer["transient"], json!({}));
        let shown = got(&dialect, "/_cluster/settings?flat_settings").await;
        let expected = json!({"persistent": {"cluster.metadata.team": "a"}, "transient": {}});
        assert_eq!(shown, expected);
        for nothing in [json!({}), json!({"transient": {}, "persistent": {}})] {
            let (status, answer) = put(nothing).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
            let error = &answer["error"];
            assert_eq!(error["type"], "action_request_validation_exception");
            assert_eq!(
                error["reason"],
                "Validation Failed: 1: no settings to update;"
            );
        }
    }
}
