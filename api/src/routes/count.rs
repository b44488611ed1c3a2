//! `_count`.

use gleaner_query::search::{SearchRequest, TrackTotal, apply_uri_parameters};
use gleaner_root::search::SearchOptions;
use http::Method;
use serde_json::json;

use crate::parameters::groups::{COPIES, INDICES, SOURCE, URI_QUERY};
use crate::render::shards::{self, Staleness};
use crate::request::Request;
use crate::response::Reply;
use crate::route::{Answer, Parameter, Route};

const COUNT: &[Parameter] = &[
    Parameter::honoured("min_score"),
    Parameter::honoured("terminate_after"),
];

pub(super) static ROUTES: &[Route] = &[Route {
    name: "count",
    methods: &[Method::GET, Method::POST],
    paths: &["/_count", "/{index}/_count"],
    parameters: &[COUNT, URI_QUERY, COPIES, INDICES, SOURCE],
    handler: |request| Box::pin(count(request)),
    is_refused: false,
}];

async fn count(mut request: Request) -> Answer {
    let body = request.bytes().await?;
    let query = request.query(&body).await?;
    let limits = &request.root().cluster().limits();
    let mut search = SearchRequest {
        query,
        ..SearchRequest::default()
    };
    apply_uri_parameters(&mut search, request.parameters.pairs(), limits)?;
    search.size = Some(0);
    search.track_total_hits = TrackTotal::Exact;
    let target = request.target()?;
    let options = SearchOptions {
        origin: request.origin(&body),
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
    Ok(Reply::json(&shown).warning(&staleness.warnings()))
}
