//! `_doc`, `_create`, `_source`: single documents.

use bytes::Bytes;
use gleaner_model::{ChosenTemplates, ClusterState};
use gleaner_proto::read::Document;
use gleaner_proto::write::WriteAction;
use gleaner_query::search::SourceFilter;
use gleaner_query::source::ShownSource;
use gleaner_query::templates::deprecated_use;
use gleaner_root::ingest::{IngestItem, check_item};
use gleaner_root::read::{GetRequest, GetResponse};
use http::{Method, StatusCode};

use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::parameters::groups::{
    ACTIVE_SHARDS, ANY_COPY, CONDITIONS, DOCUMENT_ERRORS, SOURCE_FILTER, WRITE,
};
use crate::render::document::{self, DocumentForm};
use crate::render::shards::Staleness;
use crate::request::{Answer, Request};
use crate::response::{Buffer, Extent, KeepOn, Reply};
use crate::route::{Parameter, Route};

const OP_TYPE: &[Parameter] = &[Parameter::honoured("op_type")];

/// What a get takes.
pub(super) const GET: &[Parameter] = &[
    Parameter::honoured("routing"),
    Parameter::honoured("realtime"),
    Parameter::honoured("refresh"),
    Parameter::honoured("stored_fields"),
    Parameter::honoured("version"),
    Parameter::honoured("version_type"),
    Parameter::no_effect("preference", ANY_COPY),
    Parameter::no_effect("force_synthetic_source", "`_source` is kept as received"),
];

pub(super) static ENDPOINTS: &[Endpoint] = &[
    Route {
        name: "index",
        methods: &[Method::PUT, Method::POST],
        paths: &["/{index}/_doc/{id}"],
        parameters: &[OP_TYPE, WRITE, DOCUMENT_ERRORS, CONDITIONS, ACTIVE_SHARDS],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(put(request, false))),
    Route {
        name: "index (made id)",
        methods: &[Method::POST],
        paths: &["/{index}/_doc"],
        parameters: &[OP_TYPE, WRITE, DOCUMENT_ERRORS, CONDITIONS, ACTIVE_SHARDS],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(put(request, false))),
    Route {
        name: "create",
        methods: &[Method::PUT, Method::POST],
        paths: &["/{index}/_create/{id}"],
        parameters: &[WRITE, DOCUMENT_ERRORS, CONDITIONS, ACTIVE_SHARDS],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(put(request, true))),
    Route {
        name: "delete",
        methods: &[Method::DELETE],
        paths: &["/{index}/_doc/{id}"],
        parameters: &[WRITE, CONDITIONS, ACTIVE_SHARDS],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(delete(request))),
    Route {
        name: "get, exists",
        methods: &[Method::GET, Method::HEAD],
        paths: &["/{index}/_doc/{id}"],
        parameters: &[GET, SOURCE_FILTER],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(get(request))),
    Route {
        name: "get_source, exists_source",
        methods: &[Method::GET, Method::HEAD],
        paths: &["/{index}/_source/{id}"],
        parameters: &[GET, SOURCE_FILTER],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(get_source(request))),
];

async fn put(mut request: Request, is_create: bool) -> Answer {
    let source = request.bytes().await?;
    if source.trim_ascii().is_empty() {
        return Err(ApiError::parse("request body is required"));
    }
    let create = match request.parameters.get("op_type") {
        // An id that is made stands for a new document.
        None => is_create || request.part("id").is_none(),
        Some(kind) if kind.eq_ignore_ascii_case("create") => true,
        Some(kind) if kind.eq_ignore_ascii_case("index") && !is_create => false,
        Some(other) => {
            let reason = format!("opType must be 'create' or 'index', found: [{other}]");
            return Err(ApiError::illegal(reason));
        }
    };
    let item = item(&request, WriteAction::Index { source, create })?;
    write(&request, item).await
}

async fn delete(request: Request) -> Answer {
    let item = item(&request, WriteAction::Delete)?;
    write(&request, item).await
}

/// Returns the write that the path and the parameters ask for.
pub(super) fn item(request: &Request, action: WriteAction) -> Result<IngestItem, ApiError> {
    Ok(IngestItem {
        index: request.index_name()?,
        id: request.part("id").map(str::to_owned),
        routing: request.parameters.get("routing").map(str::to_owned),
        action,
        condition: request.condition()?,
        require_alias: request.parameters.is_set("require_alias")?,
        require_data_stream: request.parameters.is_set("require_data_stream")?,
        templates: ChosenTemplates::default(),
    })
}

/// Writes one document and tells what became of it.
pub(super) async fn write(request: &Request, item: IngestItem) -> Answer {
    check_item(&item)?;
    let options = request.ingest_options()?;
    let routing = item.routing.clone();
    let ingester = request.root().ingester();
    let parts = ingester.begin_parts(&options);
    let mut results = ingester.ingest_part(vec![item], &options, &parts).await;
    ingester.show_parts(&parts).await.tell(&mut results);
    let result = results.into_iter().next();
    let result = result.expect("a write has one answer");
    let state = request.root().cluster().state();
    let warnings = made_by_deprecated(&parts.made(), &state);
    let (status, body) = match document::written(&result, &state) {
        Ok(written) => written,
        // The index is there all the same.
        Err(error) => return Err(error.warned(warnings)),
    };
    let reply = Reply::with_status(status, &body).warning(&warnings);
    if status != StatusCode::CREATED {
        return Ok(reply);
    }
    let location = location(&result.index, &result.id, routing.as_deref());
    Ok(reply.with_header(http::header::LOCATION, &location))
}

/// Returns a warning for each index, or data stream, of `made` that the writes of a request made by a deprecated template.
pub(super) fn made_by_deprecated(made: &[String], state: &ClusterState) -> Vec<String> {
    made.iter()
        .filter_map(|name| deprecated_use(name, &state.templates))
        .collect()
}

/// Returns where a new document is found.
fn location(index: &str, id: &str, routing: Option<&str>) -> String {
    let routing = routing.filter(|routing| !routing.is_empty());
    let mut out = String::with_capacity(index.len() + id.len() + 16);
    out.push('/');
    push_escaped(&mut out, index);
    out.push_str("/_doc/");
    push_escaped(&mut out, id);
    if let Some(routing) = routing {
        out.push_str("?routing=");
        push_escaped(&mut out, routing);
    }
    out
}

/// Appends `text` as a part of a URI: what is not unreserved there (RFC 3986, section 2.3) is escaped.
fn push_escaped(out: &mut String, text: &str) {
    let is_unreserved =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    if text.bytes().all(is_unreserved) {
        out.push_str(text);
        return;
    }
    for byte in text.bytes() {
        if is_unreserved(byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}

async fn find(request: &Request) -> Result<GetResponse, ApiError> {
    let parameters = &request.parameters;
    let get = GetRequest {
        index: request.index_name()?,
        id: request.required_part("id")?.to_owned(),
        routing: parameters.get("routing").map(str::to_owned),
        realtime: parameters.flag("realtime")?.unwrap_or(true),
        refresh: parameters.is_set("refresh")?,
    };
    let found = request.root().reader().get(&get).await?;
    if let Some(document) = &found.document {
        check_version(request, document)?;
    }
    Ok(found)
}

/// Refuses a document of another version than the one asked for.
fn check_version(request: &Request, document: &Document) -> Result<(), ApiError> {
    let wanted: Option<u64> = request.parameters.number("version")?;
    check_version_type(request.parameters.get("version_type"))?;
    match wanted.filter(|wanted| *wanted != document.version.0) {
        Some(wanted) => Err(version_conflict(document, wanted)),
        None => Ok(()),
    }
}

/// Refuses a type of versions that there is not; documents are read alike by all.
pub(super) fn check_version_type(version_type: Option<&str>) -> Result<(), ApiError> {
    match version_type {
        None | Some("internal" | "external" | "external_gt" | "external_gte") => Ok(()),
        Some(other) => Err(ApiError::illegal(format!(
            "No version type match [{other}]"
        ))),
    }
}

/// Returns the refusal of a document that has another version than the one `wanted`.
pub(super) fn version_conflict(document: &Document, wanted: u64) -> ApiError {
    let reason = format!(
        "[{}]: version conflict, current version [{}] is different than the one provided [{wanted}]",
        document.id, document.version
    );
    ApiError::new(
        StatusCode::CONFLICT,
        "version_conflict_engine_exception",
        reason,
    )
}

async fn get(request: Request) -> Answer {
    let form = DocumentForm::new(
        request.source_filter()?,
        request.parameters.list("stored_fields"),
    );
    let GetResponse {
        index,
        document,
        may_be_stale,
    } = find(&request).await?;
    let reply = match document {
        Some(document) => shown(&request, index, document, form).await?,
        None => {
            let missing = document::missing(&index, request.required_part("id")?);
            Reply::with_status(StatusCode::NOT_FOUND, &missing)
        }
    };
    Ok(reply.warning(&Staleness::of_document(may_be_stale).warnings()))
}

/// Renders a document: the shown part of its `_source` may take long.
async fn shown(
    request: &Request,
    index: String,
    mut document: Document,
    form: DocumentForm,
) -> Answer {
    let state = request.root().cluster().state();
    let meta = state.index_named(&index).map(|meta| &**meta);
    let ignoring = meta.and_then(|meta| request.root().reader().ignoring(meta));
    if !form.reads_source() && ignoring.is_none() {
        document.source = Bytes::new();
    }
    let extent = Extent {
        work_bytes: document.source.len(),
        body_bytes: form.num_bytes_shown(&document, meta),
    };
    let num_bytes_read = form.num_bytes_read(&document.source);
    let held = request
        .making
        .memory
        .reserve(document.source.len().saturating_add(num_bytes_read))?;
    let write = move |out: &mut Buffer<'_>| {
        let meta = state.index_named(&index).map(|meta| &**meta);
        let found = document::found(&index, &document, &form, meta, out.keep_on());
        let found = found.map(|found| found.with_ignored(ignoring.as_deref(), &document.source));
        let written = out.try_json(found);
        drop(held);
        written
    };
    Ok(Reply::made(request.making.written(extent, write).await?))
}

async fn get_source(request: Request) -> Answer {
    let filter = request.source_filter()?.unwrap_or_default();
    if !filter.enabled {
        let reason = "fetching source can not be disabled".to_owned();
        return Err(ApiError::validation(&[reason]));
    }
    let GetResponse {
        index,
        document,
        may_be_stale,
    } = find(&request).await?;
    let warnings = Staleness::of_document(may_be_stale).warnings();
    let source = document.as_ref().map(|document| document.source.clone());
    if let Some(source) = shown_source(&request, &index, source, filter).await? {
        return Ok(Reply::made(source).warning(&warnings));
    }
    let what = match document {
        Some(_) => "Source",
        None => "Document",
    };
    let id = request.required_part("id")?;
    let reason = format!("{what} not found [{index}]/[{id}]");
    let kind = "resource_not_found_exception";
    let error = ApiError::new(StatusCode::NOT_FOUND, kind, reason);
    let error = error.spoken_by(request.app.options.distribution);
    Ok(Reply::error(&error).warning(&warnings))
}

/// Returns what is shown of a document's `_source`, if anything.
async fn shown_source(
    request: &Request,
    index: &str,
    source: Option<Bytes>,
    filter: SourceFilter,
) -> Result<Option<Bytes>, ApiError> {
    let Some(source) = source else {
        return Ok(None);
    };
    let state = request.root().cluster().state();
    let kept = document::kept(state.index_named(index).map(|meta| &**meta));
    let mut held = request.making.memory.reserve(source.len())?;
    let num_bytes = source.len();
    let work = move |keep_on: KeepOn<'_>| {
        let shown = ShownSource::new(&filter, &kept).of(&source, keep_on)?;
        Ok::<_, ApiError>(shown.map(|shown| {
            held.shrink_to(shown.len());
            held.keep(shown)
        }))
    };
    request.making.work(num_bytes, work).await?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{sent, speaking};

    #[tokio::test(flavor = "multi_thread")]
    async fn a_document_that_is_not_sent_is_asked_for() {
        let dialect = speaking();
        for route in [
            ("PUT", "/books/_doc/1"),
            ("POST", "/books/_doc"),
            ("PUT", "/books/_create/1"),
        ] {
            let (status, refused) = sent(&dialect, route, &serde_json::Value::Null).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{route:?}");
            let error = &refused["error"];
            assert_eq!(error["type"], "parse_exception", "{refused}");
            assert_eq!(error["reason"], "request body is required");
        }
    }

    #[test]
    fn locations_are_escaped_and_have_the_routing() {
        let plain = location("books", "a/b é", None);
        assert_eq!(plain, "/books/_doc/a%2Fb%20%C3%A9");
        assert_eq!(location("é", "1", Some("")), "/%C3%A9/_doc/1");
        let routed = location("books", "1", Some("a&b"));
        assert_eq!(routed, "/books/_doc/1?routing=a%26b");
    }
}
