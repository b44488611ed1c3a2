//! One search of several, answered: by what is kept, with others that ask the same, or by itself.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gleaner_cache::{Answer, Keep, Origin, Served};
use gleaner_model::Edition;
use gleaner_query::search::parse_search;
use gleaner_root::SearchResponse;
use gleaner_root::search::SearchOptions;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use parking_lot::Mutex;

use super::line::{checked, narrowed};
use super::{Header, search};
use crate::cached::{Lookup, PartRequest, note_unkept};
use crate::error::ApiError;
use crate::render::search::{SearchBody, SearchForm, size_hint};
use crate::render::shards::Staleness;
use crate::request::Request;
use crate::response::{Buffer, Form};

/// One search: its header line, read, and its body not yet read.
pub(super) struct Part {
    pub(super) line: Bytes,
    pub(super) header: Header,
    pub(super) body: Bytes,
}

/// The answer to one search.
pub(super) struct PartAnswer {
    pub(super) body: Bytes,
    /// Whether it is one with a status of 200, which is not in its body.
    pub(super) is_whole: bool,
    /// Where one that may be kept came from.
    pub(super) headers: HeaderMap,
    pub(super) edition: Option<Edition>,
    pub(super) origin: Origin,
    pub(super) staleness: Staleness,
    /// How long threads of leaves were busy with it, for this request.
    pub(super) cost: Duration,
}

/// A search that was evaluated.
struct Evaluation {
    status: StatusCode,
    body: Bytes,
    edition: Option<Edition>,
    staleness: Staleness,
    cost: Duration,
}

/// Returns the answer to one search; an error is one of the whole request: there is no memory to tell it, or the key has
/// ended.
pub(super) async fn answer(request: &Arc<Request>, part: Part) -> Result<PartAnswer, ApiError> {
    request.check_going_on()?;
    let cache = request.app.cache.as_ref();
    let kept = cache.and_then(|cache| Some((cache, keep_of(request, &part, cache.memo())?)));
    let Some((cache, keep)) = kept else {
        let evaluation = evaluate(request, &part, false).await?;
        return Ok(PartAnswer {
            body: evaluation.body,
            is_whole: evaluation.status == StatusCode::OK,
            headers: HeaderMap::new(),
            edition: None,
            origin: Origin::Bypass,
            staleness: evaluation.staleness,
            cost: evaluation.cost,
        });
    };
    let own = Arc::new(Mutex::new(Ok((Staleness::default(), Duration::ZERO))));
    let fetch = || {
        let (request, own) = (Arc::clone(request), Arc::clone(&own));
        Box::pin(gleaner_telemetry::carried(async move {
            match evaluate(&request, &part, true).await {
                Ok(evaluation) => {
                    *own.lock() = Ok((evaluation.staleness, evaluation.cost));
                    evaluation.into_answer()
                }
                Err(error) => {
                    *own.lock() = Err(error);
                    untold()
                }
            }
        }))
    };
    let served = cache.answer(&keep, fetch).await;
    let lost = |lost: gleaner_cache::Lost| {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        ApiError::new(status, "exception", lost.to_string())
    };
    let served = served.map_err(lost)?;
    request.app.note_lookup(Lookup::of(&served), &keep.targets);
    let nothing = Ok((Staleness::default(), Duration::ZERO));
    let own = std::mem::replace(&mut *own.lock(), nothing);
    let origin = Origin::of(&served);
    let (status, headers, body, edition) = match served {
        Served::Kept(entry) | Served::Stale(entry) => {
            let (headers, body) = (entry.headers.clone(), entry.body.clone());
            (StatusCode::OK, headers, body, Some(entry.edition))
        }
        Served::Shared(answer) | Served::Evaluated(answer) | Served::Renewed(answer) => {
            (answer.status, answer.headers, answer.body, answer.edition)
        }
    };
    let (staleness, cost) = match origin {
        Origin::Evaluated | Origin::Bypass => own?,
        Origin::Kept(_) | Origin::Stale(_) => Default::default(),
    };
    Ok(PartAnswer {
        body,
        is_whole: status == StatusCode::OK,
        headers,
        edition,
        origin,
        staleness,
        cost,
    })
}

fn keep_of(request: &Request, part: &Part, memo: &gleaner_cache::Memo) -> Option<Keep> {
    let asked = PartRequest {
        headers: &request.headers,
        principal: &request.sender.principal,
        route: request.route,
        line: &part.line,
        body: &part.body,
    };
    asked.keep(&part.header, &request.reading(), memo)
}

impl Evaluation {
    /// Returns it as it may be kept. What copies without their primaries answered is for the one who asked.
    fn into_answer(self) -> Answer {
        let kind = HeaderValue::from_static(Form::default().media_type());
        let is_fresh = self.staleness.warnings().is_empty();
        Answer {
            status: self.status,
            headers: HeaderMap::from_iter([(header::CONTENT_TYPE, kind)]),
            body: self.body,
            edition: self.edition.filter(|_| is_fresh),
        }
    }
}

/// Stands for an answer for which there is no memory: others who wait for it go by themselves.
fn untold() -> Answer {
    Answer {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        headers: HeaderMap::new(),
        body: Bytes::new(),
        edition: None,
    }
}

/// Evaluates one search, and writes its answer or what is wrong.
async fn evaluate(
    request: &Request,
    part: &Part,
    wants_edition: bool,
) -> Result<Evaluation, ApiError> {
    let making = &request.making;
    let error = match Box::pin(run(request, part, wants_edition)).await {
        Ok((response, form)) => {
            let num_bytes = size_hint(&response, &form);
            let staleness = Staleness::of_search(&response.shards);
            let (cost, edition) = (response.cpu, response.edition);
            let write = move |out: &mut Buffer<'_>| out.json(&SearchBody::new(&response, &form));
            match making.written(num_bytes, write).await {
                Ok(body) => {
                    return Ok(Evaluation {
                        status: StatusCode::OK,
                        body,
                        edition,
                        staleness,
                        cost,
                    });
                }
                Err(error) => error,
            }
        }
        Err(error) => error,
    };
    let (status, body) = (error.status, error.to_body());
    let written = making.written(0, move |out| out.json(&body)).await?;
    Ok(Evaluation {
        status,
        body: written,
        edition: None,
        staleness: Staleness::default(),
        cost: Duration::ZERO,
    })
}

async fn run(
    request: &Request,
    part: &Part,
    wants_edition: bool,
) -> Result<(SearchResponse, SearchForm), ApiError> {
    let limits = request.root().cluster().limits();
    let parse = move |body: &[u8]| parse_search(body, &limits);
    let (mut search, _held) = request.making.parsed(&part.body, parse).await?;
    let form = checked(&mut search, &part.header, &request.parameters)?;
    let narrow = |names: Option<&str>, options: &_| request.narrowed(names, options);
    let target = narrowed(&part.header, &search, narrow)?;
    request.narrow_boosts(&mut search, &target.options)?;
    let cluster = request.root().cluster();
    search::check_boosts(&search, &target, &cluster.state(), cluster.now_ms())?;
    let options = SearchOptions {
        refuse_partial: part.header.refuse_partial,
        origin: request.origin(&part.body),
        patience: request.patience(),
        memory: Some(request.making.memory.clone()),
        wants_edition,
        ..SearchOptions::default()
    };
    if part.header.request_cache != Some(false) {
        note_unkept(request, &search, &target);
    }
    let response = search::answer(request, &target, search, &options).await?;
    Ok((response, form))
}
