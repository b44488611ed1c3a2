//! `_mapping`: put, get, get of single fields.

use gleaner_model::mapping::matches_pattern;
use gleaner_model::{FieldPath, IndexMeta};
use gleaner_query::mapping::mapping_tree;
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::index::{acknowledged, change_defaults, metadata_defaults};
use crate::error::ApiError;
use crate::parameters::comma_list;
use crate::parameters::groups::{INDICES, METADATA, METADATA_READ, TYPES};
use crate::request::Request;
use crate::response::Reply;
use crate::route::{Answer, Parameter, Route};

const PUT: &[Parameter] = &[Parameter::honoured("write_index_only")];
const FIELD: &[Parameter] = &[Parameter::no_effect(
    "include_defaults",
    "a mapping is shown as it was declared",
)];

pub(super) static ROUTES: &[Route] = &[
    Route {
        name: "indices.put_mapping",
        methods: &[Method::PUT, Method::POST],
        paths: &["/{index}/_mapping", "/{index}/_mappings"],
        parameters: &[PUT, INDICES, METADATA, TYPES],
        handler: |request| Box::pin(put(request)),
        is_refused: false,
    },
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
        handler: |request| Box::pin(async move { get(&request) }),
        is_refused: false,
    },
    Route {
        name: "indices.get_field_mapping",
        methods: &[Method::GET],
        paths: &[
            "/_mapping/field/{fields}",
            "/{index}/_mapping/field/{fields}",
        ],
        parameters: &[FIELD, INDICES, METADATA_READ, TYPES],
        handler: |request| Box::pin(async move { get_fields(&request) }),
        is_refused: false,
    },
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
        .put_mapping(&expression, &options, &body, write_index_only)
        .await?;
    Ok(acknowledged())
}

fn get(request: &Request) -> Answer {
    let options = request.parameters.resolve_options(metadata_defaults())?;
    let expression = request.expression()?.unwrap_or_default();
    let found = request.root().shown_indices(&expression, &options)?;
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
    let mut shown = Map::new();
    for found in request.root().shown_indices(&expression, &options)? {
        let fields = fields_of(&found.meta, &wanted);
        shown.insert(found.meta.name.to_string(), json!({"mappings": fields}));
    }
    if shown.is_empty() {
        return Ok(Reply::with_status(StatusCode::NOT_FOUND, &shown));
    }
    Ok(Reply::json(&shown))
}

fn fields_of(index: &IndexMeta, wanted: &[String]) -> Map<String, Value> {
    let tree = mapping_tree(&index.mapping);
    let is_wanted = |path: &FieldPath| {
        wanted
            .iter()
            .any(|name| matches_pattern(name, path.as_str()))
    };
    let mut fields = Map::new();
    for (path, field) in &index.mapping.fields {
        if !is_wanted(path) || field.kind.type_name() == "object" {
            continue;
        }
        let name = path.as_str().rsplit('.').next().unwrap_or(path.as_str());
        let declared = subtree(&tree, path.as_str())
            .cloned()
            .unwrap_or(Value::Null);
        let shown = json!({"full_name": path.as_str(), "mapping": {name: declared}});
        fields.insert(path.to_string(), shown);
    }
    fields
}

/// Walks `properties` and `fields` down to a path.
fn subtree<'a>(tree: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(tree, |at, part| {
        let below = |container: &str| at.get(container).and_then(|inner| inner.get(part));
        below("properties").or_else(|| below("fields"))
    })
}
