//! `_settings` of indices: get and put.

use std::collections::BTreeSet;

use gleaner_query::names::{self, ExpandWildcards, ResolveOptions};
use gleaner_query::settings::flat_settings;
use http::Method;
use serde_json::{Map, Value};

use super::index::{acknowledged, shown_settings, unheeded};
use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::parameters::comma_list;
use crate::parameters::groups::{INDICES, METADATA, METADATA_READ};
use crate::parameters::reach::{change_defaults, metadata_defaults};
use crate::request::{Answer, Request};
use crate::response::Reply;
use crate::route::{Parameter, Route};

const GET: &[Parameter] = &[
    Parameter::honoured("flat_settings"),
    Parameter::honoured("include_defaults"),
];
const PUT: &[Parameter] = &[
    Parameter::honoured("preserve_existing"),
    Parameter::no_effect("flat_settings", "the answer shows no settings"),
    Parameter::refused(
        "reopen",
        "closing and opening an index for a static setting",
    ),
];

pub(super) static ENDPOINTS: &[Endpoint] = &[
    Route {
        name: "indices.get_settings",
        methods: &[Method::GET],
        paths: &[
            "/_settings",
            "/_settings/{name}",
            "/{index}/_settings",
            "/{index}/_settings/{name}",
        ],
        parameters: &[GET, INDICES, METADATA_READ],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(async move { get(&request) })),
    Route {
        name: "indices.put_settings",
        methods: &[Method::PUT],
        paths: &["/_settings", "/{index}/_settings"],
        parameters: &[PUT, INDICES, METADATA],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(put(request))),
];

fn get(request: &Request) -> Answer {
    let defaults = ResolveOptions {
        expand_wildcards: ExpandWildcards {
            open: true,
            closed: true,
            hidden: false,
        },
        ..metadata_defaults()
    };
    let options = request.parameters.resolve_options(defaults)?;
    let expression = request.expression()?.unwrap_or_default();
    let names = request.part("name").map(comma_list);
    let mut shown = Map::new();
    for found in request
        .root()
        .cluster()
        .shown_indices(&expression, &options)?
    {
        let mut object = Map::new();
        shown_settings(
            &found.meta,
            &request.parameters,
            names.as_deref(),
            &mut object,
        )?;
        shown.insert(found.meta.name.to_string(), Value::Object(object));
    }
    Ok(Reply::json(&shown))
}

async fn put(mut request: Request) -> Answer {
    let body = request.required_json().await?;
    if flat_settings(&body)?.is_empty() {
        return Err(ApiError::validation(&["no settings to update".to_owned()]));
    }
    let options = request.parameters.resolve_options(change_defaults())?;
    let expression = request.expression()?.unwrap_or_default();
    let preserve = request.parameters.is_set("preserve_existing")?;
    let root = request.root();
    root.admin()
        .put_settings(&expression, &options, &body, preserve)
        .await?;
    let mut ignored = BTreeSet::new();
    if body.to_string().contains("analysis") {
        for found in names::resolve(&expression, &root.cluster().state(), &options)? {
            ignored.extend(
                root.planner()
                    .analyzers_of(&found.meta)?
                    .ignored()
                    .iter()
                    .cloned(),
            );
        }
    }
    let reply = acknowledged().warning(&Vec::from_iter(ignored));
    Ok(reply.warning(&unheeded::of_settings(&body)))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use crate::testing::{create, got, sent, speaking};

    #[tokio::test(flavor = "multi_thread")]
    async fn a_change_of_nothing_is_refused() {
        let dialect = speaking();
        create(&dialect, "books", &json!({})).await;
        for nothing in [json!({}), json!({"settings": {}}), json!({"index": {}})] {
            let put = ("PUT", "/books/_settings");
            let (status, answer) = sent(&dialect, put, &nothing).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{nothing}: {answer}");
            let error = &answer["error"];
            assert_eq!(error["type"], "action_request_validation_exception");
            let reason = "Validation Failed: 1: no settings to update;";
            assert_eq!(error["reason"], reason, "{nothing}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_change_reaches_closed_indices_by_wildcards_and_names_one_at_least() {
        let dialect = speaking();
        for name in ["books-1", "books-2"] {
            create(&dialect, name, &json!({})).await;
        }
        let close = ("POST", "/books-2/_close");
        assert_eq!(sent(&dialect, close, &json!({})).await.0, StatusCode::OK);
        let settings = json!({"refresh_interval": "7s"});
        let mapping = json!({"properties": {"t": {"type": "keyword"}}});
        for (path, body) in [("_settings", &settings), ("_mapping", &mapping)] {
            let (status, answer) = sent(&dialect, ("PUT", &format!("/books-*/{path}")), body).await;
            assert_eq!(status, StatusCode::OK, "{answer}");
            let (status, answer) = sent(&dialect, ("PUT", &format!("/films-*/{path}")), body).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{answer}");
            assert_eq!(answer["error"]["reason"], "no such index [films-*]");
            let lenient = format!("/films-*/{path}?allow_no_indices=true");
            let (status, answer) = sent(&dialect, ("PUT", &lenient), body).await;
            assert_eq!(status, StatusCode::OK, "{answer}");
        }
        let shown = got(&dialect, "/books-2/_settings?flat_settings").await;
        let shown = &shown["books-2"]["settings"]["index.refresh_interval"];
        assert_eq!(*shown, "7s");
        let shown = got(&dialect, "/books-2/_mapping").await;
        let shown = &shown["books-2"]["mappings"]["properties"]["t"]["type"];
        assert_eq!(*shown, "keyword");
    }
}
