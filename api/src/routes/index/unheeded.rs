//! What an index, or a template, declares and nothing heeds: settings that would place copies elsewhere, fields whose
//! values no query reaches. Clients declare them routinely, so they are accepted, and the
//! answer carries a `Warning` for each.
//!
//! Does: say them. Does not: list settings that tune what works in another way here; docs/operating.md does.
//! Called by the routes that make indices, change them and put templates. Read first: [`of_content`].

use gleaner_model::IndexMeta;
use gleaner_query::mapping::mapping_tree;
use gleaner_query::settings::flat_settings;
use serde_json::{Map, Value};

/// Most fields that one warning names: a header has its bounds.
const MOST_NAMED: usize = 10;

/// Characters that are shown of a name.
const MOST_SHOWN: usize = 100;

/// Returns the warnings of an index as it was made, with what templates gave it.
pub(crate) fn of_index(index: &IndexMeta) -> Vec<String> {
    let mut warnings = of_declared(&index.settings.declared);
    warnings.extend(of_mapping(&mapping_tree(&index.mapping)));
    warnings
}

/// Returns the warnings of `{"settings": …, "mappings": …}`.
pub(crate) fn of_content(content: &Value) -> Vec<String> {
    let mut warnings = content.get("settings").map_or_else(Vec::new, of_settings);
    warnings.extend(content.get("mappings").into_iter().flat_map(of_mapping));
    warnings
}

/// Returns the warnings of settings as a request gives them.
pub(crate) fn of_settings(settings: &Value) -> Vec<String> {
    // What cannot be read is refused elsewhere.
    of_declared(&flat_settings(settings).unwrap_or_default())
}

fn of_declared(settings: &Map<String, Value>) -> Vec<String> {
    let warning = |(key, value): (&String, &Value)| {
        let name = key.strip_prefix("index.").unwrap_or(key);
        let is_default = value.is_null()
            || value == "false" && name == "auto_expand_replicas"
            || value == "all" && name.ends_with(".enable");
        let why = match name {
            _ if is_default => None,
            "auto_expand_replicas" => {
                Some("the number of replicas is that of [index.number_of_replicas]")
            }
            "data_path" => Some("shards lie in the data folder of their node"),
            "unassigned.node_left.delayed_timeout" => {
                Some("the copies of a node that has left wait for it")
            }
            _ if name.starts_with("routing.") || name.starts_with("allocation.") => Some(
                "copies are placed by the weights and zones of the nodes when an index is made or its number of replicas \
                 changes",
            ),
            _ => None,
        };
        why.map(|why| {
            let name: String = name.chars().take(MOST_SHOWN).collect();
            format!("setting [index.{name}] has no effect: {why}")
        })
    };
    settings
        .iter()
        .filter_map(warning)
        .take(MOST_NAMED)
        .collect()
}

/// Returns the warnings of a mapping as a request gives it, or as it is shown.
pub(crate) fn of_mapping(mapping: &Value) -> Vec<String> {
    let mut found = Unreached::default();
    found.add_properties(mapping, "");
    let templates = mapping.get("dynamic_templates").and_then(Value::as_array);
    for template in templates.into_iter().flatten() {
        for (name, template) in template.as_object().into_iter().flatten() {
            if let Some(declared) = template.get("mapping") {
                found.add(declared, &format!("dynamic template {name}"));
            }
        }
    }
    let Unreached { nested, completion } = found;
    let warnings = [
        warning(
            &nested,
            "nested",
            "no query reaches the values of its objects, [include_in_root] gives them to the document",
        ),
        warning(
            &completion,
            "completion",
            "no suggester reads what it holds, [search_as_you_type] can be searched",
        ),
    ];
    warnings.into_iter().flatten().collect()
}

fn warning(fields: &[String], kind: &str, why: &str) -> Option<String> {
    let named = fields.get(..MOST_NAMED).unwrap_or(fields).iter();
    let named = named.map(|name| name.chars().take(MOST_SHOWN).collect());
    let named = named.collect::<Vec<String>>().join(", ");
    let more = match fields.len().saturating_sub(MOST_NAMED) {
        0 => String::new(),
        num => format!(" and {num} more"),
    };
    let warning = || format!("[{named}]{more} of type [{kind}]: {why}");
    (!fields.is_empty()).then(warning)
}

/// Paths of fields whose values no query reaches.
#[derive(Default)]
struct Unreached {
    nested: Vec<String>,
    completion: Vec<String>,
}

impl Unreached {
    /// Looks at a field, and at those inside.
    fn add(&mut self, declared: &Value, path: &str) {
        let is_set = |key: &str| {
            matches!(declared.get(key), Some(Value::Bool(true)))
                || declared.get(key).is_some_and(|value| value == "true")
        };
        match declared.get("type").and_then(Value::as_str) {
            Some("nested") if !is_set("include_in_root") && !is_set("include_in_parent") => {
                self.nested.push(path.to_owned());
                // Those inside go with it.
                return;
            }
            Some("completion") => self.completion.push(path.to_owned()),
            _ => {}
        }
        self.add_properties(declared, path);
    }

    fn add_properties(&mut self, declared: &Value, path: &str) {
        for key in ["properties", "fields"] {
            let inside = declared.get(key).and_then(Value::as_object);
            for (name, field) in inside.into_iter().flatten() {
                let path = match path {
                    "" => name.clone(),
                    around => format!("{around}.{name}"),
                };
                self.add(field, &path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::speaking;

    #[test]
    fn what_is_heeded_brings_no_warning() {
        for content in [
            json!({}),
            json!({"settings": {"index.auto_expand_replicas": false, "number_of_replicas": 1}}),
            json!({"settings": {"index": {"routing": {"rebalance": {"enable": "all"}}, "codec": "best_compression"}}}),
            json!({"mappings": {"properties": {
                "a": {"type": "nested", "include_in_root": true, "properties": {"b": {"type": "keyword"}}},
                "type": {"type": "keyword"}, "nested": {"type": "text"},
            }}}),
        ] {
            assert_eq!(of_content(&content), [""; 0], "{content}");
        }
    }

    #[test]
    fn settings_that_would_place_copies_are_named() {
        let settings = json!({
            "index": {"routing": {"allocation": {"require": {"box": "hot"}, "total_shards_per_node": 2}}},
            "auto_expand_replicas": "0-1", "index.data_path": "/x",
        });
        let warnings = of_content(&json!({"settings": settings}));
        for name in [
            "routing.allocation.require.box",
            "routing.allocation.total_shards_per_node",
            "auto_expand_replicas",
            "data_path",
        ] {
            let start = format!("setting [index.{name}] has no effect: ");
            assert!(warnings.iter().any(|it| it.starts_with(&start)), "{name}");
        }
        assert_eq!(warnings.len(), 4);
    }

    #[test]
    fn fields_that_no_query_reaches_are_named_wherever_they_stand() {
        let many: Map<String, Value> = (0..12)
            .map(|at| (format!("c{at:02}"), json!({"type": "completion"})))
            .collect();
        let mapping = json!({
            "dynamic_templates": [{"objects": {"match": "*_list", "mapping": {"type": "nested"}}}],
            "properties": {
                "o": {"properties": {"n": {"type": "nested", "properties": {"m": {"type": "nested"}}}}},
                "t": {"type": "text", "fields": {"s": {"type": "completion"}}},
                "many": {"properties": many},
            },
        });
        let warnings = of_mapping(&mapping);
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        let nested = "[o.n, dynamic template objects] of type [nested]: ";
        assert!(warnings[0].starts_with(nested), "{}", warnings[0]);
        assert!(
            warnings[1].contains("and 3 more of type [completion]"),
            "{}",
            warnings[1]
        );
        assert!(warnings[1].contains("many.c00") || warnings[1].contains("t.s"));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn each_request_that_declares_such_a_thing_is_told_so() {
        use tower::ServiceExt as _;

        let dialect = speaking();
        let mapping = json!({"properties": {"n": {"type": "nested"}}});
        let settings = json!({"index.routing.allocation.include._tier_preference": "data_hot"});
        let content = json!({"settings": settings, "mappings": mapping});
        let template = json!({"index_patterns": ["t-*"], "template": content});
        let legacy = json!({"index_patterns": ["l-*"], "settings": settings, "mappings": mapping});
        for (path, body, num_warnings) in [
            ("/a?wait_for_active_shards=0", content.clone(), 2),
            ("/plain?wait_for_active_shards=0", json!({}), 0),
            ("/plain/_mapping", mapping.clone(), 1),
            ("/plain/_settings", settings.clone(), 1),
            ("/_component_template/c", json!({"template": content}), 2),
            ("/_index_template/t", template, 2),
            ("/_template/l", legacy, 2),
            // By its template.
            ("/t-1?wait_for_active_shards=0", json!({}), 2),
        ] {
            let request = http::Request::put(path)
                .header("content-type", "application/json")
                .body(axum::body::Body::from(body.to_string()));
            let sent = dialect.clone().oneshot(request.expect("a request"));
            let Ok(answer) = sent.await;
            assert_eq!(answer.status(), http::StatusCode::OK, "{path}");
            let told = answer.headers().get_all("warning").iter().count();
            assert_eq!(told, num_warnings, "{path}: {:?}", answer.headers());
        }
    }
}
