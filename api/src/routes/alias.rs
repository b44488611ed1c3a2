//! `_alias` and `_aliases`.

mod selection;

use gleaner_model::IndexName;
use gleaner_query::alias::{AliasAction, parse_alias, parse_alias_actions, parse_alias_name};
use gleaner_query::names::{ExpandWildcards, ResolveOptions, expand_date_math};
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::index::{acknowledged, shown_aliases, stream_aliases};
use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::parameters::comma_list;
use crate::parameters::groups::{INDICES, METADATA, METADATA_READ};
use crate::parameters::reach::metadata_defaults;
use crate::request::{Answer, Request};
use crate::response::Reply;
use crate::route::Route;
use crate::security::Right;

pub(super) use selection::Selection;

pub(super) static ENDPOINTS: &[Endpoint] = &[
    Route {
        name: "indices.update_aliases",
        methods: &[Method::POST],
        paths: &["/_aliases"],
        parameters: &[METADATA],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(update(request))),
    Route {
        name: "indices.get_alias",
        methods: &[Method::GET],
        paths: &[
            "/_alias",
            "/_aliases",
            "/_alias/{name}",
            "/{index}/_alias",
            "/{index}/_aliases",
            "/{index}/_alias/{name}",
        ],
        parameters: &[INDICES, METADATA_READ],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(async move { get(&request) })),
    Route {
        name: "indices.exists_alias",
        methods: &[Method::HEAD],
        paths: &[
            "/_alias/{name}",
            "/{index}/_alias/{name}",
            "/{index}/_alias",
        ],
        parameters: &[INDICES, METADATA_READ],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(async move { exists(&request) })),
    Route {
        name: "indices.put_alias",
        methods: &[Method::PUT, Method::POST],
        paths: &["/{index}/_alias/{name}", "/{index}/_aliases/{name}"],
        parameters: &[METADATA],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(put(request))),
    Route {
        name: "indices.delete_alias",
        methods: &[Method::DELETE],
        paths: &["/{index}/_alias/{name}", "/{index}/_aliases/{name}"],
        parameters: &[METADATA],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(delete(request))),
];

async fn update(mut request: Request) -> Answer {
    let body = request.required_json().await?;
    let mut actions = parse_alias_actions(&body, &request.root().cluster().limits())?;
    let now_ms = request.root().cluster().now_ms();
    for name in actions.iter_mut().flat_map(indices_of) {
        *name = expand_date_math(name, now_ms)?;
    }
    change(&request, &mut actions).await
}

/// Applies actions. An alias opens an index to those who have a right to the alias, so it takes a right to both: names of
/// indices by wildcards become those that the sender may change, and each alias is checked.
async fn change(request: &Request, actions: &mut [AliasAction]) -> Answer {
    let action = Right::of(request.route).on_indices();
    for change in actions.iter_mut() {
        let aliases: Vec<String> = match change {
            AliasAction::Add { aliases, .. } => aliases.iter().map(ToString::to_string).collect(),
            AliasAction::Remove { aliases, .. } => aliases.clone(),
            AliasAction::RemoveIndex { .. } => Vec::new(),
        };
        for alias in &aliases {
            action.map_or(Ok(()), |action| request.check_name(&action, alias))?;
        }
        let includes_streams = !matches!(change, AliasAction::RemoveIndex { .. });
        let indices = indices_of(change);
        let mut narrowed = Vec::with_capacity(indices.len());
        for expression in indices.iter() {
            let options = ResolveOptions {
                allow_no_indices: false,
                ignore_aliases: true,
                includes_streams,
                ..metadata_defaults()
            };
            let names = request.narrowed(Some(expression), &options)?;
            narrowed.extend(names);
        }
        *indices = narrowed;
    }
    request.root().admin().update_aliases(actions).await?;
    Ok(acknowledged())
}

/// Returns the indices that an action names.
fn indices_of(action: &mut AliasAction) -> &mut Vec<String> {
    match action {
        AliasAction::Add { indices, .. }
        | AliasAction::Remove { indices, .. }
        | AliasAction::RemoveIndex { indices, .. } => indices,
    }
}

async fn put(mut request: Request) -> Answer {
    let body = request.json().await?.unwrap_or(Value::Null);
    let name = expand_date_math(
        request.required_part("name")?,
        request.root().cluster().now_ms(),
    )?;
    let name = parse_alias_name(&name)?;
    let alias = parse_alias(&name, &body, &request.root().cluster().limits())?;
    let action = AliasAction::Add {
        indices: comma_list(&request.index_name()?),
        aliases: vec![name],
        alias: Box::new(alias),
    };
    change(&request, &mut [action]).await
}

async fn delete(request: Request) -> Answer {
    let indices = comma_list(&request.index_name()?);
    let aliases = comma_list(request.required_part("name")?);
    let all = |name: String| if name == "_all" { "*".to_owned() } else { name };
    let aliases: Vec<String> = aliases.into_iter().map(all).collect();
    let action = AliasAction::Remove {
        indices,
        aliases,
        must_exist: None,
    };
    change(&request, &mut [action]).await
}

/// The aliases selected, per index or data stream, and the names that none of these bears.
struct SelectedAliases {
    shown: Map<String, Value>,
    missing: Vec<String>,
}

fn select(request: &Request) -> Result<SelectedAliases, ApiError> {
    let defaults = ResolveOptions {
        expand_wildcards: ExpandWildcards::ALL,
        ..metadata_defaults()
    };
    let options = request.parameters.resolve_options(defaults)?;
    let expression = request.expression()?.unwrap_or_default();
    let cluster = request.root().cluster();
    let state = cluster.state();
    let found = cluster.shown_indices(&expression, &options)?;
    let selection = request.part("name").map(Selection::parse);
    let is_wanted = |name: &IndexName| {
        let selection = selection.as_ref();
        selection.is_none_or(|selection| selection.contains(name.as_str()))
    };
    let mut shown = Map::new();
    // Who comes by one alias of an index, or of a data stream, sees no other.
    let sees = |owner: &str, name: &IndexName| {
        is_wanted(name) && (request.may_see(owner) || request.may_see(name.as_str()))
    };
    // Indices of data streams have no aliases of their own.
    for found in found
        .iter()
        .filter(|found| found.meta.stream_name().is_none())
    {
        let owner = found.meta.name.as_str();
        let aliases = shown_aliases(&found.meta, &|name| sees(owner, name));
        // Without a name, indices are shown that have none, too.
        if selection.is_none() || has_some(&aliases) {
            shown.insert(found.meta.name.to_string(), json!({"aliases": aliases}));
        }
    }
    // A data stream is reached by its name, or by one of its aliases.
    let reached = found.iter().filter(|found| !found.aliases.is_empty());
    for stream in reached.filter_map(|found| found.meta.stream_name()) {
        if shown.contains_key(stream.as_str()) {
            continue;
        }
        let of = state.data_streams.get(stream);
        let sees = |name: &IndexName| sees(stream.as_str(), name);
        let aliases = of.map(|of| stream_aliases(&state, of, &sees));
        if let Some(aliases) = aliases.filter(has_some) {
            shown.insert(stream.to_string(), json!({"aliases": aliases}));
        }
    }
    let borne = |name: &str| shown.values().any(|of| of["aliases"].get(name).is_some());
    let missing = selection.map(|selection| selection.missing(&borne));
    Ok(SelectedAliases {
        missing: missing.unwrap_or_default(),
        shown,
    })
}

fn has_some(aliases: &Value) -> bool {
    aliases
        .as_object()
        .is_some_and(|aliases| !aliases.is_empty())
}

fn get(request: &Request) -> Answer {
    let SelectedAliases { shown, missing } = select(request)?;
    if missing.is_empty() {
        return Ok(Reply::json(&shown));
    }
    let noun = if missing.len() == 1 {
        "alias"
    } else {
        "aliases"
    };
    let mut body = Map::new();
    body.insert(
        "error".to_owned(),
        format!("{noun} [{}] missing", missing.join(",")).into(),
    );
    body.insert("status".to_owned(), StatusCode::NOT_FOUND.as_u16().into());
    body.extend(shown);
    Ok(Reply::with_status(StatusCode::NOT_FOUND, &body))
}

fn exists(request: &Request) -> Answer {
    match select(request) {
        Ok(selected) => Ok(Reply::exists(selected.missing.is_empty())),
        Err(error) if error.status == StatusCode::NOT_FOUND => Ok(Reply::exists(false)),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{create, got, sent, speaking};

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn names_in_aliases_may_have_dates() {
        let dialect = speaking();
        create(&dialect, "books-1970.01.01", &json!({})).await;
        let add = json!({"add": {"index": "<books-{now/d}>", "alias": "today"}});
        let actions = json!({"actions": [add]});
        let (status, answer) = sent(&dialect, ("POST", "/_aliases"), &actions).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let path = "/books-*/_alias/%3Cread-%7Bnow%2FM%7Byyyy%7D%7D%3E";
        let (status, answer) = sent(&dialect, ("PUT", path), &Value::Null).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let shown = got(&dialect, "/_alias").await;
        let aliases = json!({"today": {}, "read-1970": {}});
        assert_eq!(shown["books-1970.01.01"]["aliases"], aliases);
    }
    #[tokio::test(flavor = "multi_thread")]
    async fn aliases_are_there_when_all_that_are_named_are() {
        let dialect = speaking();
        create(&dialect, "books", &json!({"aliases": {"a": {}}})).await;
        for (path, expected) in [
            ("/_alias/a", 200),
            ("/_alias/a,b", 404),
            ("/_alias/b", 404),
            ("/_alias/none*", 200),
            ("/books/_alias/a", 200),
        ] {
            for method in ["HEAD", "GET"] {
                let (status, _) = sent(&dialect, (method, path), &Value::Null).await;
                assert_eq!(status.as_u16(), expected, "{method} {path}");
            }
        }
    }
}
