//! `_update`: a part of a document.

pub(super) mod body;

use gleaner_model::Version;
use gleaner_proto::write::{Condition, WriteAction};
use http::Method;

use super::document::{item, write};
use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::parameters::groups::{ACTIVE_SHARDS, CONDITIONS, DOCUMENT_ERRORS, SOURCE_FILTER, WRITE};
use crate::request::{Answer, Request};
use crate::route::{Parameter, Route};

const UPDATE: &[Parameter] = &[
    Parameter::honoured("retry_on_conflict"),
    Parameter::refused("lang", "a script"),
];

pub(super) static ENDPOINTS: &[Endpoint] = &[Route {
    name: "update",
    methods: &[Method::POST],
    paths: &["/{index}/_update/{id}"],
    parameters: &[
        UPDATE,
        WRITE,
        DOCUMENT_ERRORS,
        CONDITIONS,
        SOURCE_FILTER,
        ACTIVE_SHARDS,
    ],
    is_refused: false,
}
.answered_by(|request| Box::pin(update(request)))];

async fn update(mut request: Request) -> Answer {
    let body = request.bytes().await?;
    let retries = request.parameters.number("retry_on_conflict")?.unwrap_or(0);
    let source = request.source_filter()?;
    let body::UpdateBody {
        mut update,
        condition,
    } = body::parse(&body)?;
    update.retry_on_conflict = retries;
    // The URI says what of `_source` is returned where the body does not.
    update.returned_source = update
        .returned_source
        .or(source)
        .filter(|filter| filter.enabled);
    check_versioning(&request)?;
    let mut item = item(&request, WriteAction::Update(update))?;
    if item.condition == Condition::None {
        item.condition = condition;
    }
    write(&request, item).await
}

/// Updates know no versions of the client's.
fn check_versioning(request: &Request) -> Result<(), ApiError> {
    let version: Option<u64> = request.parameters.number("version")?;
    match (version.map(Version), request.parameters.get("version_type")) {
        (None, None | Some("internal")) => Ok(()),
        _ => Err(ApiError::validation(&[
            "internal versioning can not be used for optimistic concurrency control. Please use \
             `if_seq_no` and `if_primary_term` instead"
                .to_owned(),
        ])),
    }
}
