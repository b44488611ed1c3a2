//! `_cat/templates`.

use crate::request::{Answer, Request};
use crate::response::{Cell, Column, Reply, Table};
use crate::routes::template::{comma_joined, is_named};

const COLUMNS: &[Column] = &[
    Column::text("name", "n", "template name"),
    Column::text("index_patterns", "t", "template index patterns"),
    Column::text("order", "o,p", "template application order/priority number"),
    Column::text("version", "v", "version"),
    Column::text(
        "composed_of",
        "c",
        "component templates comprising index template",
    ),
];

/// Shows legacy templates first, then index templates.
pub(super) fn table(request: &Request) -> Answer {
    let state = request.root().cluster().state();
    let is_named = |name: &str| is_named(request, name);
    let version = |version: Option<i64>| version.map_or_else(String::new, |v| v.to_string());
    let legacy = state.templates.legacy.iter().map(|(name, template)| {
        let row: Vec<Cell> = vec![
            name.as_str().into(),
            format!("[{}]", comma_joined(&template.index_patterns)).into(),
            template.order.to_string().into(),
            version(template.version).into(),
            "".into(),
        ];
        (name, row)
    });
    let index = state.templates.index.iter().map(|(name, template)| {
        let parts = template.composed_of.as_deref().unwrap_or_default();
        let row: Vec<Cell> = vec![
            name.as_str().into(),
            format!("[{}]", comma_joined(&template.index_patterns)).into(),
            template.priority.unwrap_or(0).to_string().into(),
            version(template.version).into(),
            format!("[{}]", comma_joined(parts)).into(),
        ];
        (name, row)
    });
    let rows = legacy.chain(index).filter(|(name, _)| is_named(name));
    Ok(Reply::table(Table {
        columns: COLUMNS,
        rows: rows.map(|(_, row)| row).collect(),
    }))
}
