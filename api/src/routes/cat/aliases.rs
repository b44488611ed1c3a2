//! `_cat/aliases`.

use gleaner_query::names::ExpandWildcards;

use crate::request::Request;
use crate::response::{Cell, Column, Reply, Table};
use crate::route::Answer;
use crate::routes::alias::Selection;

const COLUMNS: &[Column] = &[
    Column::text("alias", "a", "alias name"),
    Column::text("index", "i,idx", "index alias points to"),
    Column::text("filter", "f,fi", "filter"),
    Column::text("routing.index", "ri,routingIndex", "index routing"),
    Column::text("routing.search", "rs,routingSearch", "search routing"),
    Column::text("is_write_index", "w,isWriteIndex", "write index"),
];

/// Shows hidden aliases too unless wildcards are told not to reach them.
pub(super) fn table(request: &Request) -> Answer {
    let expand = match request.parameters.get("expand_wildcards") {
        Some(text) => ExpandWildcards::parse(text)?,
        None => ExpandWildcards::ALL,
    };
    let selection = request.part("name").map(Selection::parse);
    let state = request.root().cluster().state();
    let mut rows: Vec<(String, Vec<Cell>)> = Vec::new();
    for index in state.indices.values() {
        for (name, alias) in &index.aliases {
            let selection = selection.as_ref();
            let is_named = selection.is_none_or(|selection| selection.contains(name.as_str()));
            let is_hidden = alias.is_hidden.unwrap_or(false);
            if !is_named || alias.is_data_stream || (is_hidden && !expand.hidden) {
                continue;
            }
            let text = |text: &Option<String>| Cell::from(text.as_deref().unwrap_or("-"));
            let is_write = alias
                .is_write_index
                .map_or("-".to_owned(), |flag| flag.to_string());
            let row = vec![
                name.as_str().into(),
                index.name.as_str().into(),
                if alias.filter.is_some() { "*" } else { "-" }.into(),
                text(&alias.index_routing),
                text(&alias.search_routing),
                is_write.into(),
            ];
            rows.push((format!("{name}\0{}", index.name), row));
        }
    }
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    let rows = rows.into_iter().map(|(_, row)| row).collect();
    Ok(Reply::table(Table {
        columns: COLUMNS,
        rows,
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::{create, got, speaking};

    #[tokio::test(flavor = "multi_thread")]
    async fn aliases_are_selected_as_by_the_interface_of_aliases() {
        let dialect = speaking();
        let aliases = json!({"a1": {}, "a2": {}, "b": {}});
        create(&dialect, "books", &json!({"aliases": aliases})).await;
        for (names, expected) in [
            ("a*,-a1", json!([{"alias": "a2"}])),
            ("_all,-a*", json!([{"alias": "b"}])),
            ("a1,nope", json!([{"alias": "a1"}])),
        ] {
            let path = format!("/_cat/aliases/{names}?h=alias&format=json");
            assert_eq!(got(&dialect, &path).await, expected, "{names}");
        }
    }
}
