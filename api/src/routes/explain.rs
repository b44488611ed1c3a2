//! `_explain`: how one document's score comes about.

use gleaner_query::answer::Explanation;
use gleaner_query::search::{SearchRequest, apply_uri_parameters};
use gleaner_root::plan::Target;
use gleaner_root::read::GetRequest;
use http::{Method, StatusCode};
use serde::Serialize;
use serde_json::json;

use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::parameters::groups::{COPIES, SOURCE, SOURCE_FILTER, URI_QUERY};
use crate::render::document::{self, DocumentBody, DocumentForm};
use crate::render::shards::Staleness;
use crate::request::{Answer, Request};
use crate::response::Reply;
use crate::route::{Parameter, Route};

const EXPLAIN: &[Parameter] = &[Parameter::honoured("stored_fields")];

pub(super) static ENDPOINTS: &[Endpoint] = &[Route {
    name: "explain",
    methods: &[Method::GET, Method::POST],
    paths: &["/{index}/_explain/{id}"],
    parameters: &[EXPLAIN, URI_QUERY, SOURCE_FILTER, COPIES, SOURCE],
    is_refused: false,
}
.answered_by(|request| Box::pin(explain(request)))];

async fn explain(mut request: Request) -> Answer {
    let body = request.bytes().await?;
    let query = request.query(&body).await?;
    let limits = &request.root().cluster().limits();
    let mut search = SearchRequest {
        query,
        ..SearchRequest::default()
    };
    apply_uri_parameters(&mut search, request.parameters.pairs(), limits)?;
    if search.query.is_none() {
        return Err(ApiError::validation(&["query is missing".to_owned()]));
    }
    let target = Target {
        expression: Some(request.index_name()?),
        ..Target::default()
    };
    let _held = request.look_up(&mut search, &target).await?;
    let get = GetRequest {
        index: request.index_name()?,
        id: request.required_part("id")?.to_owned(),
        routing: request.parameters.get("routing").map(str::to_owned),
        realtime: true,
        refresh: false,
    };
    let (index, answer) = request.root().reader().explain(&get, &search).await?;
    let warnings = Staleness::of_document(answer.may_be_stale).warnings();
    let Some(explained) = answer.found else {
        let shown = json!({"_index": index, "_id": get.id, "matched": false});
        return Ok(Reply::with_status(StatusCode::NOT_FOUND, &shown).warning(&warnings));
    };
    let source = request.source_filter()?;
    let stored_fields = request.parameters.list("stored_fields");
    let mut found = None;
    if source.is_some() || stored_fields.is_some() {
        let form = DocumentForm::new(source, stored_fields);
        let state = request.root().cluster().state();
        let meta = state.index_named(&index).map(|meta| &**meta);
        let num_bytes_read = form.num_bytes_read(&explained.document.source);
        let _held = request.making.memory.reserve(num_bytes_read)?;
        let found_as = document::found(&index, &explained.document, &form, meta, &|| true)?;
        found = Some(found_as.without_identity());
    }
    let reply = Reply::json(&Body {
        index: &index,
        id: &get.id,
        matched: explained.matched,
        explanation: &explained.explanation,
        get: found,
    });
    Ok(reply.warning(&warnings))
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "_index")]
    index: &'a str,
    #[serde(rename = "_id")]
    id: &'a str,
    matched: bool,
    explanation: &'a Explanation,
    #[serde(skip_serializing_if = "Option::is_none")]
    get: Option<DocumentBody>,
}
