//! `_mapping`: put, get, get of single fields.

use gleaner_model::mapping::matches_pattern;
use gleaner_model::{FieldKind, FieldPath, IndexMeta};
use gleaner_query::mapping::mapping_tree;
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::index::{acknowledged, unheeded};
use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::parameters::comma_list;
use crate::parameters::groups::{INDICES, METADATA, METADATA_READ, TYPES};
use crate::parameters::reach::{change_defaults, metadata_defaults};
use crate::request::{Answer, Request};
use crate::response::Reply;
use crate::route::{Parameter, Route};

const PUT: &[Parameter] = &[Parameter::honoured("write_index_only")];
const FIELD: &[Parameter] = &[Parameter::honoured("include_defaults")];

pub(super) static ENDPOINTS: &[Endpoint] = &[
    Route {
        name: "indices.put_mapping",
        methods: &[Method::PUT, Method::POST],
        paths: &["/{index}/_mapping", "/{index}/_mappings"],
        parameters: &[PUT, INDICES, METADATA, TYPES],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(put(request))),
    Route {
        name: "indices.get_mapping",
        methods: &[Method::GET, Method::HEAD],
        paths: &[
            "/_mapping",
            "/_mappings",
            "/{index}/_mapping",
            "/{index}/_mappings",
        ],
        parameters: &[INDICES, METADATA_READ, TYPES],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(async move { get(&request) })),
    Route {
        name: "indices.get_field_mapping",
        methods: &[Method::GET],
        paths: &[
            "/_mapping/field/{fields}",
            "/{index}/_mapping/field/{fields}",
        ],
        parameters: &[FIELD, INDICES, METADATA_READ, TYPES],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(async move { get_fields(&request) })),
];

async fn put(mut request: Request) -> Answer {
    let body = request.required_json().await?;
    if body.get("_doc").is_some() {
        let reason = "Types cannot be provided in put mapping requests, unless the \
                      include_type_name parameter is set to true.";
        return Err(ApiError::illegal(reason));
    }
    let options = request.parameters.resolve_options(change_defaults())?;
    let expression = request.index_name()?;
    let write_index_only = request.parameters.is_set("write_index_only")?;
    request
        .root()
        .admin()
        .put_mapping(&expression, &options, &body, write_index_only)
        .await?;
    Ok(acknowledged().warning(&unheeded::of_mapping(&body)))
}

fn get(request: &Request) -> Answer {
    let options = request.parameters.resolve_options(metadata_defaults())?;
    let expression = request.expression()?.unwrap_or_default();
    let found = request
        .root()
        .cluster()
        .shown_indices(&expression, &options)?;
    let shown = found.iter().map(|found| {
        let tree = mapping_tree(&found.meta.mapping);
        (found.meta.name.to_string(), json!({"mappings": tree}))
    });
    Ok(Reply::json(&shown.collect::<Map<_, _>>()))
}

fn get_fields(request: &Request) -> Answer {
    let options = request.parameters.resolve_options(metadata_defaults())?;
    let expression = request.expression()?.unwrap_or_default();
    let wanted = comma_list(request.required_part("fields")?);
    let has_defaults = request.parameters.is_set("include_defaults")?;
    let mut shown = Map::new();
    for found in request
        .root()
        .cluster()
        .shown_indices(&expression, &options)?
    {
        let fields = fields_of(&found.meta, &wanted, has_defaults);
        shown.insert(found.meta.name.to_string(), json!({"mappings": fields}));
    }
    if shown.is_empty() {
        return Ok(Reply::with_status(StatusCode::NOT_FOUND, &shown));
    }
    Ok(Reply::json(&shown))
}

fn fields_of(index: &IndexMeta, wanted: &[String], has_defaults: bool) -> Map<String, Value> {
    let tree = mapping_tree(&index.mapping);
    let is_wanted = |path: &FieldPath| {
        wanted
            .iter()
            .any(|name| matches_pattern(name, path.as_str()))
    };
    let mut fields = Map::new();
    for (path, field) in &index.mapping.fields {
        let is_hidden = matches!(field.kind, FieldKind::Object { .. }) || field.kind.is_keyed();
        if !is_wanted(path) || is_hidden {
            continue;
        }
        let name = path.as_str().rsplit('.').next().unwrap_or(path.as_str());
        let mut declared = subtree(&tree, path.as_str())
            .cloned()
            .unwrap_or(Value::Null);
        if has_defaults && let Value::Object(shown) = &mut declared {
            add_defaults(&field.kind, shown);
        }
        let shown = json!({"full_name": path.as_str(), "mapping": {name: declared}});
        fields.insert(path.to_string(), shown);
    }
    fields
}

/// Characters that a keyword without `ignore_above` may have.
const ANY_LENGTH: u32 = 2_147_483_647;

/// Adds what holds although the mapping does not say it.
fn add_defaults(kind: &FieldKind, shown: &mut Map<String, Value>) {
    let mut put = |key: &str, value: Value| {
        shown.entry(key).or_insert(value);
    };
    put("index", kind.is_indexed().into());
    put("store", false.into());
    if matches!(kind, FieldKind::Text { .. }) {
        put("analyzer", "default".into());
        return;
    }
    put("doc_values", kind.has_doc_values().into());
    match kind {
        FieldKind::Keyword { .. } => put("ignore_above", ANY_LENGTH.into()),
        FieldKind::Number {
            coerce,
            ignore_malformed,
            ..
        } => {
            put("coerce", (*coerce).into());
            put("ignore_malformed", (*ignore_malformed).into());
        }
        FieldKind::Date {
            format,
            ignore_malformed,
            ..
        } => {
            put("format", format.0.as_str().into());
            put("ignore_malformed", (*ignore_malformed).into());
        }
        FieldKind::Ip {
            ignore_malformed, ..
        } => put("ignore_malformed", (*ignore_malformed).into()),
        FieldKind::Encoded {
            ignore_malformed, ..
        } => put("ignore_malformed", (*ignore_malformed).into()),
        FieldKind::Text { .. }
        | FieldKind::Boolean { .. }
        | FieldKind::Alias { .. }
        | FieldKind::Completion
        | FieldKind::Binary { .. }
        | FieldKind::Object { .. } => {}
    }
}

/// Walks `properties` and `fields` down to a path.
fn subtree<'a>(tree: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(tree, |at, part| {
        let below = |container: &str| at.get(container).and_then(|inner| inner.get(part));
        below("properties").or_else(|| below("fields"))
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::{create, got, speaking};

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_field_is_shown_as_declared_and_with_what_holds_by_itself() {
        let dialect = speaking();
        let properties = json!({"t": {"type": "text", "fields": {"raw": {"type": "keyword"}}}});
        let body = json!({"mappings": {"properties": properties}});
        create(&dialect, "books", &body).await;
        let shown = got(&dialect, "/books/_mapping/field/t").await;
        let field = &shown["books"]["mappings"]["t"]["mapping"]["t"];
        assert_eq!(*field, properties["t"]);
        let path = "/books/_mapping/field/t*?include_defaults";
        let shown = got(&dialect, path).await;
        let fields = &shown["books"]["mappings"];
        assert_eq!(fields["t"]["mapping"]["t"]["analyzer"], "default");
        let raw = &fields["t.raw"]["mapping"]["raw"];
        let expected = json!({"type": "keyword", "index": true, "store": false,
            "doc_values": true, "ignore_above": ANY_LENGTH});
        assert_eq!(*raw, expected);
    }
}
