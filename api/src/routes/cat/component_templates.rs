//! `_cat/component_templates`.

use gleaner_model::template::ComponentTemplate;
use serde_json::{Map, Value};

use crate::request::{Answer, Request};
use crate::response::{Cell, Column, Reply, Table};
use crate::routes::template::{comma_joined, is_named};

const COLUMNS: &[Column] = &[
    Column::text("name", "n", "component template name"),
    Column::text("version", "v", "version"),
    Column::number("alias_count", "a", "alias count"),
    Column::number("mapping_count", "m", "mapping count"),
    Column::number("settings_count", "s", "settings count"),
    Column::number("metadata_count", "me", "metadata count"),
    Column::text("included_in", "i", "included in"),
];

/// Shows each component, with the index templates that are made of it.
pub(super) fn table(request: &Request) -> Answer {
    let state = request.root().cluster().state();
    let is_named = |name: &str| is_named(request, name);
    let templates = &state.templates;
    let users_of = |name: &str| -> Vec<String> {
        let users = templates.index.iter().filter(|(_, template)| {
            let parts = template.composed_of.as_deref().unwrap_or_default();
            parts.iter().any(|part| part == name)
        });
        users.map(|(user, _)| user.to_string()).collect()
    };
    let components = templates.components.iter();
    let rows = components
        .filter(|(name, _)| is_named(name))
        .map(|(name, component)| row(name, component, &users_of(name)));
    Ok(Reply::table(Table {
        columns: COLUMNS,
        rows: rows.collect(),
    }))
}

fn row(name: &str, component: &ComponentTemplate, users: &[String]) -> Vec<Cell> {
    let ComponentTemplate {
        template,
        version,
        meta,
        ..
    } = component;
    let num_entries =
        |entries: Option<&Map<String, Value>>| entries.map_or(0, |entries| entries.len() as u64);
    let properties = template.mappings.as_ref().map(|of| &of["properties"]);
    vec![
        name.into(),
        version.map_or_else(String::new, |v| v.to_string()).into(),
        num_entries(template.aliases.as_ref()).into(),
        num_entries(properties.and_then(Value::as_object)).into(),
        num_entries(template.settings.as_ref()).into(),
        num_entries(meta.as_ref().and_then(Value::as_object)).into(),
        format!("[{}]", comma_joined(users)).into(),
    ]
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use crate::testing::{got, sent, speaking};

    #[tokio::test(flavor = "multi_thread")]
    async fn components_are_told_with_what_they_hold_and_who_uses_them() {
        let dialect = speaking();
        let component = json!({
            "template": {
                "settings": {"number_of_shards": 1},
                "mappings": {"properties": {"a": {"type": "keyword"}, "b": {"type": "long"}}},
            },
            "version": 3,
            "_meta": {"by": "me"},
        });
        let index = json!({"index_patterns": ["logs-*"], "composed_of": ["base"]});
        for (path, body) in [
            ("/_component_template/base", component),
            ("/_component_template/lonely", json!({"template": {}})),
            ("/_index_template/logs", index),
        ] {
            let (status, answer) = sent(&dialect, ("PUT", path), &body).await;
            assert_eq!(status, StatusCode::OK, "{answer}");
        }
        let shown = got(&dialect, "/_cat/component_templates?format=json&s=name").await;
        let row = |name, version, [mappings, settings, meta]: [&str; 3], users| {
            json!({
                "name": name,
                "version": version,
                "alias_count": "0",
                "mapping_count": mappings,
                "settings_count": settings,
                "metadata_count": meta,
                "included_in": users,
            })
        };
        let expected = json!([
            row("base", "3", ["2", "1", "1"], "[logs]"),
            row("lonely", "", ["0", "0", "0"], "[]"),
        ]);
        assert_eq!(shown, expected);
        let shown = got(&dialect, "/_cat/component_templates/lo*?format=json&h=name").await;
        assert_eq!(shown, json!([{"name": "lonely"}]));
    }
}
