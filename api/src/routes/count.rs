//! `_count`.

use gleaner_query::dsl::Query;
use gleaner_query::names::ResolveOptions;
use gleaner_query::search::{SearchRequest, TrackTotal, apply_uri_parameters, parse_query_body};
use gleaner_root::plan::Target;
use gleaner_root::search::SearchOptions;
use http::Method;
use serde_json::json;

use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::parameters::groups::{COPIES, INDICES, SOURCE, URI_QUERY};
use crate::render::shards::{self, Staleness};
use crate::request::{Answer, Reading, Request};
use crate::response::Reply;
use crate::route::{Parameter, Route};

const COUNT: &[Parameter] = &[
    Parameter::honoured("min_score").in_request(),
    Parameter::honoured("terminate_after").in_request(),
];

pub(super) static ENDPOINTS: &[Endpoint] = &[Route {
    name: "count",
    methods: &[Method::GET, Method::POST],
    paths: &["/_count", "/{index}/_count"],
    parameters: &[COUNT, URI_QUERY, COPIES, INDICES, SOURCE],
    is_refused: false,
}
.answered_by(|request| Box::pin(count(request)))];

async fn count(mut request: Request) -> Answer {
    let body = request.bytes().await?;
    let (mut search, target) = match request.read.take() {
        Some(read) => (read.search, read.target),
        None => {
            let query = request.query(&body).await?;
            counting(query, &request.reading())?
        }
    };
    let _held = request.look_up(&mut search, &target).await?;
    let options = SearchOptions {
        origin: request.origin(&body),
        wants_edition: request.wants_edition,
        ..SearchOptions::default()
    };
    let response = request.root().search(&target, &search, &options).await?;
    let mut shown = json!({
        "count": response.total.map_or(0, |total| total.value),
        "_shards": shards::of_search(&response.shards),
    });
    if let Some(early) = response.terminated_early {
        shown["terminated_early"] = early.into();
    }
    let staleness = Staleness::of_search(&response.shards);
    let reply = Reply::json(&shown).evaluated_on(response.edition);
    Ok(reply.warning(&staleness.warnings()))
}

/// Reads a count whose answer may be kept.
pub(crate) fn read_kept(
    body: &[u8],
    reading: &Reading<'_>,
) -> Result<(SearchRequest, Target), ApiError> {
    counting(parse_query_body(body, &reading.limits)?, reading)
}

/// Returns the search that counts what matches `query`, with all that the URI says.
fn counting(
    query: Option<Query>,
    reading: &Reading<'_>,
) -> Result<(SearchRequest, Target), ApiError> {
    let mut search = SearchRequest {
        query,
        ..SearchRequest::default()
    };
    apply_uri_parameters(&mut search, reading.parameters.pairs(), &reading.limits)?;
    search.size = Some(0);
    search.track_total_hits = TrackTotal::Exact;
    Ok((search, reading.target_with(ResolveOptions::default())?))
}
