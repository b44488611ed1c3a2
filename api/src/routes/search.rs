//! `_search`.

mod boosts;

use std::time::Duration;

use bytes::Bytes;
use gleaner_model::ClusterState;
use gleaner_query::names::ResolveOptions;
use gleaner_query::search::{SearchRequest, TrackTotal, apply_uri_parameters, parse_search};
use gleaner_query::settings::cluster;
use gleaner_root::SearchResponse;
use gleaner_root::plan::Target;
use gleaner_root::scroll::ScrollOrigin;
use gleaner_root::search::SearchOptions;
use http::Method;

use crate::cached::note_unkept;
use crate::contexts::{ContextId, ContextKind};
use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::parameters::Parameters;
use crate::parameters::groups::{COPIES, INDICES, SEARCH, SOURCE, SOURCE_FILTER, URI_QUERY};
use crate::render::search::{SearchBody, SearchForm, size_hint};
use crate::render::shards::Staleness;
use crate::request::{Answer, ReadSearch, Reading, Request};
use crate::response::{Buffer, Reply};
use crate::route::Route;

pub(super) use boosts::check_boosts;

pub(super) static ENDPOINTS: &[Endpoint] = &[Route {
    name: "search",
    methods: &[Method::GET, Method::POST],
    paths: &["/_search", "/{index}/_search"],
    parameters: &[SEARCH, URI_QUERY, SOURCE_FILTER, COPIES, INDICES, SOURCE],
    is_refused: false,
}
.answered_by(|request| Box::pin(search(request)))];

async fn search(mut request: Request) -> Answer {
    let body = request.bytes().await?;
    let CheckedSearch {
        mut search,
        target,
        mut options,
        form,
    } = match request.read.take() {
        Some(read) => CheckedSearch::of(*read, &request.reading())?,
        None => read_anew(&mut request, &body).await?,
    };
    let parameters = &request.parameters;
    options.origin = request.origin(&body);
    options.memory = Some(request.making.memory.clone());
    options.patience = request.patience();
    options.wants_edition = request.wants_edition;
    let response = match parameters.time("scroll")? {
        Some(keep_alive) => {
            let read = request.read_named(&mut search, &target).await?;
            let origin = ScrollOrigin {
                body,
                parameters: parameters.pairs().to_vec(),
                named: read.named.excerpt(&mut search),
            };
            begin_scroll(&request, &target, origin, keep_alive, &options).await?
        }
        None => {
            note_unkept(&request, &search, &target);
            answer(&request, &target, search, &options).await?
        }
    };
    shown(&request, response, form).await
}

/// Reads a search whose body was not read for its key.
async fn read_anew(request: &mut Request, body: &Bytes) -> Result<CheckedSearch, ApiError> {
    let limits = request.root().cluster().limits();
    let parse = move |body: &[u8]| parse_search(body, &limits);
    let mut search = request.parsed(body, parse).await?;
    let names = request
        .parameters
        .resolve_options(ResolveOptions::default())?;
    request.narrow_boosts(&mut search, &names)?;
    checked(search, &request.reading())
}

/// Answers the first page of a scroll, whose id is sealed for the sender.
async fn begin_scroll(
    request: &Request,
    target: &Target,
    origin: ScrollOrigin,
    keep_alive: Duration,
    options: &SearchOptions,
) -> Result<SearchResponse, ApiError> {
    let root = request.root();
    let starting = root
        .contexts()
        .start_scroll(target, origin, keep_alive, options);
    let mut response = Box::pin(starting).await?;
    if let Some(id) = &response.scroll_id {
        let (kind, id) = (ContextKind::Scroll, ContextId::of(id));
        request.app.contexts.add(kind, id, root.cluster().now_ms());
    }
    response.scroll_id = response.scroll_id.map(|id| request.sealed(id));
    Ok(response)
}

/// A search with all that its URI says, found to be one that can be asked.
struct CheckedSearch {
    search: SearchRequest,
    target: Target,
    options: SearchOptions,
    form: SearchForm,
}

impl CheckedSearch {
    /// Returns a search that was checked already, with what its URI says beside it.
    fn of(read: ReadSearch, reading: &Reading<'_>) -> Result<Self, ApiError> {
        let ReadSearch { search, target } = read;
        Ok(Self {
            options: options(reading)?,
            form: SearchForm::of(&search, reading.parameters)?,
            search,
            target,
        })
    }
}

/// Lays the URI over the body of a search, and checks what can be checked without asking anybody.
fn checked(mut search: SearchRequest, reading: &Reading<'_>) -> Result<CheckedSearch, ApiError> {
    let parameters = reading.parameters;
    apply_uri_parameters(&mut search, parameters.pairs(), &reading.limits)?;
    count_all_for_plain_totals(&mut search, parameters)?;
    let mut target = reading.target_with(ResolveOptions::default())?;
    // What may be reached was settled when the point in time was opened.
    if search.pit.is_some() && !reading.names_indices() {
        target.expression = None;
    }
    let options = options(reading)?;
    let form = SearchForm::of(&search, parameters)?;
    check(&search, parameters, &target)?;
    check_boosts(&search, &target, &reading.state, reading.now_ms)?;
    Ok(CheckedSearch {
        search,
        target,
        options,
        form,
    })
}

/// Reads a search whose answer may be kept.
pub(crate) fn read_kept(
    body: &[u8],
    reading: &Reading<'_>,
) -> Result<(SearchRequest, Target), ApiError> {
    let search = parse_search(body, &reading.limits)?;
    let checked = checked(search, reading)?;
    Ok((checked.search, checked.target))
}

/// Renders the answer of one search.
pub(super) async fn shown(request: &Request, response: SearchResponse, form: SearchForm) -> Answer {
    let num_bytes = size_hint(&response, &form);
    let staleness = Staleness::of_search(&response.shards);
    let edition = response.edition;
    let cost = response.cpu;
    let write = move |out: &mut Buffer<'_>| out.json(&SearchBody::new(&response, &form));
    let written = request.making.written(num_bytes, write);
    let reply = request.telling_cost(Reply::made(written.await?).evaluated_on(edition), cost);
    Ok(reply.warning(&staleness.warnings()))
}

/// Answers one search; the point in time that it names is noted as used.
pub(super) async fn answer(
    request: &Request,
    target: &Target,
    mut search: SearchRequest,
    options: &SearchOptions,
) -> Result<SearchResponse, ApiError> {
    let contexts = &request.app.contexts;
    if let Some(pit) = &mut search.pit {
        pit.id = request.unsealed(&pit.id)?;
        contexts.renew(ContextId::of(&pit.id));
    }
    let _held = request.look_up(&mut search, target).await?;
    let mut response = request.root().search(target, &search, options).await?;
    if let (Some(pit), Some(next)) = (&search.pit, &response.pit_id) {
        contexts.advance(&pit.id, ContextId::of(next));
    }
    response.pit_id = response.pit_id.map(|id| request.sealed(id));
    Ok(response)
}

/// A bare number cannot say "at least", so all hits are counted for it.
pub(super) fn count_all_for_plain_totals(
    search: &mut SearchRequest,
    parameters: &Parameters,
) -> Result<(), ApiError> {
    if !parameters.is_set("rest_total_hits_as_int")? {
        return Ok(());
    }
    match search.track_total_hits {
        TrackTotal::UpTo(limit) if limit != 10_000 => Err(inexact_total(limit)),
        TrackTotal::UpTo(_) => {
            search.track_total_hits = TrackTotal::Exact;
            Ok(())
        }
        TrackTotal::Exact | TrackTotal::No => Ok(()),
    }
}

/// Returns the refusal of a bare total that would not be exact.
pub(super) fn inexact_total(limit: u64) -> ApiError {
    ApiError::illegal(format!(
        "[rest_total_hits_as_int] cannot be used if the tracking of total hits is not accurate, got \
         {limit}"
    ))
}

/// Is an answer without some shards refused? `allowed` is what the request says.
pub(super) fn refuses_partial(allowed: Option<bool>, state: &ClusterState) -> bool {
    let default = || cluster::flag(state.settings(), cluster::ALLOW_PARTIAL_RESULTS);
    allowed.or_else(default) == Some(false)
}

/// Returns what a search needs beside its body.
fn options(reading: &Reading<'_>) -> Result<SearchOptions, ApiError> {
    let parameters = reading.parameters;
    let allowed = parameters.flag("allow_partial_search_results")?;
    Ok(SearchOptions {
        refuse_partial: refuses_partial(allowed, &reading.state),
        refuse_stale: parameters.flag("allow_stale")? == Some(false),
        min_coverage: parameters.get("min_coverage").map(share).transpose()?,
        ..SearchOptions::default()
    })
}

/// Reads a share: 0 to 1, or percent.
fn share(text: &str) -> Result<f64, ApiError> {
    let (number, whole) = match text.strip_suffix('%') {
        Some(percent) => (percent, 100.0),
        None => (text, 1.0),
    };
    let share = number
        .trim()
        .parse::<f64>()
        .ok()
        .map(|number| number / whole);
    share
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| {
            ApiError::illegal(format!(
                "[min_coverage] must be between [0] and [1] or [0%] and [100%], got [{text}]"
            ))
        })
}

/// Refuses what does not go together in the URI.
fn check(search: &SearchRequest, parameters: &Parameters, target: &Target) -> Result<(), ApiError> {
    check_search_type(parameters.get("search_type"))?;
    check_sizes(parameters)?;
    let is_cached = parameters.is_set("request_cache")?;
    if is_cached && parameters.get("scroll").is_some() {
        let mut faults = vec!["[request_cache] cannot be used in a scroll context".to_owned()];
        if search.size == Some(0) {
            faults.insert(0, "[size] cannot be [0] in a scroll context".to_owned());
        }
        return Err(ApiError::validation(&faults));
    }
    check_search_after(search)?;
    check_pit(search, target, parameters.get("preference"))
}

/// Refuses more values than there are keys: only hits of a point in time show one more.
pub(super) fn check_search_after(search: &SearchRequest) -> Result<(), ApiError> {
    let num_keys = search.sort.len().max(1);
    match &search.search_after {
        Some(values) if search.pit.is_none() && values.len() > num_keys => {
            Err(ApiError::illegal(format!(
                "search_after has {} value(s) but sort has {num_keys}.",
                values.len()
            )))
        }
        _ => Ok(()),
    }
}

/// Refuses numbers below what the dialect takes, although none of them has an effect.
fn check_sizes(parameters: &Parameters) -> Result<(), ApiError> {
    for (name, shown, least) in [
        ("batched_reduce_size", "batchedReduceSize", 2),
        ("pre_filter_shard_size", "preFilterShardSize", 1),
        (
            "max_concurrent_shard_requests",
            "maxConcurrentShardRequests",
            1,
        ),
    ] {
        let given = parameters.number::<i64>(name)?;
        if given.is_some_and(|given| given < least) {
            return Err(ApiError::illegal(format!("{shown} must be >= {least}")));
        }
    }
    Ok(())
}

/// Refuses a way to search that the dialect does not know.
pub(crate) fn check_search_type(given: Option<&str>) -> Result<(), ApiError> {
    match given {
        None | Some("query_then_fetch" | "dfs_query_then_fetch") => Ok(()),
        Some(other) => Err(ApiError::illegal(format!("No search type for [{other}]"))),
    }
}

/// Refuses what a point in time has settled already.
pub(super) fn check_pit(
    search: &SearchRequest,
    target: &Target,
    preference: Option<&str>,
) -> Result<(), ApiError> {
    if search.pit.is_none() {
        return Ok(());
    }
    let mut faults = Vec::new();
    let expression = target.expression.as_deref();
    if expression.is_some_and(|names| !names.is_empty()) {
        faults.push("[indices] cannot be used with point in time. Do not specify any index with point in time.".to_owned());
    }
    for (name, given) in [
        ("routing", target.routing.as_deref()),
        ("preference", preference),
    ] {
        if given.is_some() {
            faults.push(format!("[{name}] cannot be used with point in time"));
        }
    }
    if faults.is_empty() {
        Ok(())
    } else {
        Err(ApiError::validation(&faults))
    }
}

#[cfg(test)]
mod tests {
    use gleaner_query::search::PointInTime;
    use http::StatusCode;
    use serde_json::json;

    use super::*;
    use crate::testing::{create, sent, speaking};

    const ILLEGAL: &str = "illegal_argument_exception";

    fn faults_of_pit(target: &Target, preference: Option<&str>) -> Option<String> {
        let mut search = SearchRequest::default();
        assert!(check_pit(&search, target, preference).is_ok(), "no pit");
        search.pit = Some(PointInTime {
            id: "p".to_owned(),
            keep_alive: None,
        });
        let checked = check_pit(&search, target, preference);
        checked.err().map(|error| error.reason().to_owned())
    }

    #[test]
    fn a_point_in_time_takes_no_index_routing_or_preference() {
        let anywhere = Target::default();
        assert_eq!(faults_of_pit(&anywhere, None), None);
        let fault = faults_of_pit(&anywhere, Some("_local")).expect("refused");
        assert!(fault.contains("[preference] cannot be used"), "{fault}");
        let named = Target {
            expression: Some("books".to_owned()),
            routing: Some("r".to_owned()),
            ..Target::default()
        };
        let fault = faults_of_pit(&named, None).expect("refused");
        assert!(fault.contains("1: [indices] cannot be used"), "{fault}");
        assert!(fault.contains("2: [routing] cannot be used"), "{fault}");
    }

    #[test]
    fn whether_partial_answers_are_refused_is_for_the_request_and_else_for_the_cluster() {
        let mut state = ClusterState::default();
        assert!(!refuses_partial(None, &state));
        assert!(refuses_partial(Some(false), &state));
        let (key, value) = (cluster::ALLOW_PARTIAL_RESULTS, json!("false"));
        state.persistent_settings.insert(key.to_owned(), value);
        assert!(refuses_partial(None, &state));
        assert!(!refuses_partial(Some(true), &state));
    }

    #[tokio::test]
    async fn a_slice_is_of_a_scroll_or_a_point_in_time() {
        let alone = "[slice] can only be used with [scroll] or [point-in-time] requests";
        let (good, wrong) = (json!({"id": 0, "max": 2}), json!({"id": 2, "max": 2}));
        for (path, slice, reason) in [
            ("/_search", &good, alone),
            ("/_search", &wrong, "max must be greater than id"),
            ("/_search?scroll=1m", &wrong, "max must be greater than id"),
        ] {
            let body = json!({"slice": slice});
            let (status, answer) = sent(&speaking(), ("POST", path), &body).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
            assert_eq!(answer["error"]["type"], "illegal_argument_exception");
            assert_eq!(answer["error"]["reason"], reason, "{path}");
        }
        let body = json!({"slice": good});
        let (_, answer) = sent(&speaking(), ("POST", "/_search?scroll=1m"), &body).await;
        assert_ne!(answer["error"]["reason"], alone);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_wrong_for_an_index_fails_as_its_shards_do() {
        let dialect = speaking();
        let mappings = json!({"properties": {"t": {"type": "text"}}});
        create(&dialect, "notes", &json!({"mappings": mappings})).await;
        let (window, text) = ("Result window is too large", "Fielddata is disabled on [t]");
        let unknown = "No mapping found for [x] in order to sort on";
        for (path, body, kind, reason) in [
            ("", json!({"from": 9_999, "size": 2}), ILLEGAL, window),
            (
                "?scroll=1m",
                json!({"size": 10_001}),
                ILLEGAL,
                "Batch size is too large",
            ),
            ("", json!({"sort": ["t"], "size": 0}), ILLEGAL, text),
            (
                "",
                json!({"sort": ["x"], "size": 0}),
                "query_shard_exception",
                unknown,
            ),
        ] {
            let path = format!("/notes/_search{path}");
            let (status, answer) = sent(&dialect, ("POST", &path), &body).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
            let error = &answer["error"];
            assert_eq!(error["type"], "search_phase_execution_exception");
            assert_eq!(error["reason"], "all shards failed");
            assert_eq!(
                (&error["phase"], &error["grouped"]),
                (&json!("query"), &json!(true))
            );
            let cause = &error["root_cause"][0];
            assert_eq!(cause["type"], kind, "{answer}");
            let told = cause["reason"].as_str().unwrap_or_default();
            assert!(told.starts_with(reason), "{answer}");
            assert_eq!(cause.get("index").is_none(), kind == ILLEGAL, "{answer}");
            let failed = &error["failed_shards"][0];
            assert_eq!(
                (&failed["index"], &failed["reason"]),
                (&json!("notes"), cause)
            );
        }
    }

    #[test]
    fn numbers_without_effect_are_still_checked() {
        let checked = |query: &str| {
            let parameters = Parameters::parse(Some(query)).expect("well formed");
            check_sizes(&parameters).map_err(|error| error.reason().to_owned())
        };
        assert_eq!(
            checked("batched_reduce_size=2&pre_filter_shard_size=1"),
            Ok(())
        );
        for (query, reason) in [
            ("batched_reduce_size=1", "batchedReduceSize must be >= 2"),
            ("pre_filter_shard_size=0", "preFilterShardSize must be >= 1"),
            (
                "max_concurrent_shard_requests=-1",
                "maxConcurrentShardRequests must be >= 1",
            ),
        ] {
            assert_eq!(checked(query), Err(reason.to_owned()));
        }
    }

    #[test]
    fn a_share_is_a_fraction_or_percent() {
        for (text, expected) in [
            ("0.8", 0.8),
            ("80%", 0.8),
            ("1", 1.0),
            ("0", 0.0),
            ("100%", 1.0),
        ] {
            assert_eq!(share(text).ok(), Some(expected), "{text}");
        }
        for wrong in ["", "80", "1.01", "-1", "101%", "NaN", "all"] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
    }
}
