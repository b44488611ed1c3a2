//! `_cat/aliases`.

use gleaner_model::{Alias, IndexName};
use gleaner_query::names::ExpandWildcards;

use crate::request::{Answer, Request};
use crate::response::{Cell, Column, Reply, Table};
use crate::routes::alias::Selection;
use crate::routes::index::aliases_of;

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
    let is_shown = |name: &IndexName, alias: &Alias| {
        let selection = selection.as_ref();
        let is_named = selection.is_none_or(|selection| selection.contains(name.as_str()));
        is_named && (expand.hidden || !alias.is_hidden.unwrap_or(false))
    };
    let mut borne: Vec<(&IndexName, &IndexName, &Alias)> = Vec::new();
    let indices = state.indices.values();
    // Those of the indices of a data stream are the stream's.
    for index in indices.filter(|index| index.stream_name().is_none()) {
        let aliases = index.aliases.iter();
        borne.extend(aliases.map(|(name, alias)| (name, &index.name, alias)));
    }
    for (stream, of) in &state.data_streams {
        let aliases = aliases_of(&state, of).into_iter();
        borne.extend(aliases.map(|(name, alias)| (name, stream, alias)));
    }
    borne.retain(|(name, _, alias)| is_shown(name, alias));
    borne.sort_by_key(|(name, bearer, _)| (*name, *bearer));
    let rows = borne.into_iter();
    let rows = rows.map(|(name, bearer, alias)| row(name, bearer, alias));
    Ok(Reply::table(Table {
        columns: COLUMNS,
        rows: rows.collect(),
    }))
}

fn row(name: &IndexName, bearer: &IndexName, alias: &Alias) -> Vec<Cell> {
    let text = |text: &Option<String>| Cell::from(text.as_deref().unwrap_or("-"));
    let is_write = alias
        .is_write_index
        .map_or("-".to_owned(), |flag| flag.to_string());
    vec![
        name.as_str().into(),
        bearer.as_str().into(),
        if alias.filter.is_some() { "*" } else { "-" }.into(),
        text(&alias.index_routing),
        text(&alias.search_routing),
        is_write.into(),
    ]
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
