//! `_termvectors` and `_mtermvectors`: the terms of documents.

mod request;
mod shown;

use std::io::Write as _;

use bytes::Bytes;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use gleaner_query::names::expand_date_math;
use gleaner_root::term_vectors::TermVectors;
use http::{Method, StatusCode};
use serde_json::json;
use tokio::time::Instant;

use self::request::{DocumentRequest, Documents};
use self::shown::Shown;
use super::document::{check_version_type, version_conflict};
use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::parameters::groups::{ANY_COPY, SOURCE};
use crate::render::shards::Staleness;
use crate::request::{Answer, Request};
use crate::response::{Buffer, Extent, Reply};
use crate::route::{Parameter, Route};
use crate::security::Right;

/// Documents of one request that are worked on at a time.
const AT_A_TIME: usize = 4;

const VECTORS: &[Parameter] = &[
    Parameter::honoured("fields"),
    Parameter::honoured("offsets"),
    Parameter::honoured("positions"),
    Parameter::no_effect("payloads", "payloads are not kept"),
    Parameter::honoured("term_statistics"),
    Parameter::honoured("field_statistics"),
    Parameter::honoured("realtime"),
    Parameter::honoured("routing"),
    Parameter::honoured("version"),
    Parameter::honoured("version_type"),
    Parameter::no_effect("preference", ANY_COPY),
];
const MANY: &[Parameter] = &[Parameter::honoured("ids")];

pub(super) static ENDPOINTS: &[Endpoint] = &[
    Route {
        name: "termvectors",
        methods: &[Method::GET, Method::POST],
        paths: &["/{index}/_termvectors", "/{index}/_termvectors/{id}"],
        parameters: &[VECTORS, SOURCE],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(one(request))),
    Route {
        name: "mtermvectors",
        methods: &[Method::GET, Method::POST],
        paths: &["/_mtermvectors", "/{index}/_mtermvectors"],
        parameters: &[VECTORS, MANY, SOURCE],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(many(request))),
];

async fn one(mut request: Request) -> Answer {
    let body = request.json().await?;
    let mut wanted = DocumentRequest::of_parameters(&request.parameters)?;
    wanted.request.get.index = request.index_name()?;
    wanted.request.get.id = request.part("id").unwrap_or_default().to_owned();
    if let Some(body) = &body {
        wanted.read(body)?;
    }
    wanted.check()?;
    let (shown, staleness) = checked(&request, &mut wanted).await?;
    Ok(Reply::made(shown).warning(&staleness.warnings()))
}

async fn many(mut request: Request) -> Answer {
    let body = request.json().await?;
    let mut defaults = DocumentRequest::of_parameters(&request.parameters)?;
    if let Some(index) = request.expression()? {
        defaults.request.get.index = index;
    }
    let ids = request.parameters.list("ids");
    let wanted = Documents::read(&defaults, body.as_ref(), ids)?;
    let (request, wanted) = (&request, &wanted);
    let shown = |at| async move {
        let mut document = wanted.get(at)?;
        match checked(request, &mut document).await {
            // There is no room for the others either.
            Err(error) if error.status == StatusCode::TOO_MANY_REQUESTS => Err(error),
            Err(error) => Ok((failed(&document, &error), Staleness::default())),
            found => found,
        }
    };
    let found = stream::iter(0..wanted.len()).map(shown);
    let found: Vec<(Bytes, Staleness)> = found.buffered(AT_A_TIME).try_collect().await?;
    let mut staleness = Staleness::default();
    for (_, of_document) in &found {
        staleness.add(*of_document);
    }
    let num_bytes: usize = found.iter().map(|(shown, _)| shown.len() + 1).sum();
    let write = move |out: &mut Buffer<'_>| {
        out.push_str("{\"docs\":[")?;
        for (at, (shown, _)) in found.into_iter().enumerate() {
            out.push_str(if at > 0 { "," } else { "" })?;
            out.write_all(&shown)?;
        }
        out.push_str("]}")
    };
    let body = request.making.written(num_bytes + 16, write).await?;
    Ok(Reply::made(body).warning(&staleness.warnings()))
}

/// Returns the terms of a document, where the sender may read its index: a body names another one than the path.
async fn checked(
    request: &Request,
    wanted: &mut DocumentRequest,
) -> Result<(Bytes, Staleness), ApiError> {
    let index = &mut wanted.request.get.index;
    *index = expand_date_math(index, request.root().cluster().now_ms())?;
    if let Some(action) = Right::of(request.route).on_indices() {
        request.check_name(&action, index)?;
    }
    vectors(request, wanted).await
}

fn failed(wanted: &DocumentRequest, error: &ApiError) -> Bytes {
    let get = &wanted.request.get;
    let failed = json!({"_index": get.index, "_id": get.id, "error": error.to_error_object()});
    failed.to_string().into()
}

async fn vectors(
    request: &Request,
    wanted: &mut DocumentRequest,
) -> Result<(Bytes, Staleness), ApiError> {
    let began = Instant::now();
    wanted.request.memory = Some(request.making.memory.clone());
    let found = request
        .root()
        .reader()
        .term_vectors(&wanted.request)
        .await?;
    check_version(wanted, &found)?;
    let staleness = Staleness::of_reads(found.reads);
    let shown = Shown::new(found, wanted, began.elapsed());
    let work_bytes = shown.num_steps();
    let write = move |out: &mut Buffer<'_>| out.json(&shown);
    let extent = Extent {
        work_bytes,
        body_bytes: 0,
    };
    let shown = request.making.written(extent, write).await?;
    Ok((shown, staleness))
}

/// Refuses a document of another version than the one asked for.
fn check_version(wanted: &DocumentRequest, found: &TermVectors) -> Result<(), ApiError> {
    check_version_type(wanted.version_type.as_deref())?;
    let (Some(version), Some(document)) = (wanted.version, &found.document) else {
        return Ok(());
    };
    match document.version.0 == version {
        true => Ok(()),
        false => Err(version_conflict(document, version)),
    }
}
