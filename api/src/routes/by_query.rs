//! `_delete_by_query`, waited for.

use bytes::Bytes;
use gleaner_query::json::{self, ObjectReader};
use gleaner_query::search::{SearchRequest, apply_uri_parameters, parse_search_value};
use gleaner_root::by_query::{ByQueryReport, ByQueryRequest};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::parameters::Parameters;
use crate::parameters::groups::{ACTIVE_SHARDS, COPIES, INDICES, URI_QUERY};
use crate::request::Request;
use crate::response::Reply;
use crate::route::{Answer, Parameter, Route};

const NOT_SHOWN: &str = "no document is shown";

const DELETE: &[Parameter] = &[
    Parameter::honoured("conflicts"),
    Parameter::honoured("max_docs"),
    Parameter::honoured("size"),
    Parameter::honoured("scroll_size"),
    Parameter::honoured("scroll"),
    Parameter::honoured("refresh"),
    Parameter::honoured("requests_per_second"),
    Parameter::honoured("wait_for_completion"),
    Parameter::honoured("timeout"),
    Parameter::honoured("sort"),
    Parameter::honoured("terminate_after"),
    Parameter::no_effect("slices", "one pass reads all shards at once"),
    Parameter::no_effect("search_timeout", "`timeout` bounds each page"),
    Parameter::no_effect("search_type", "scores do not matter"),
    Parameter::no_effect("request_cache", "there is no request cache"),
    Parameter::no_effect("from", "all matches are deleted"),
    Parameter::no_effect("stats", "searches are not counted by group"),
    Parameter::no_effect("version", "conflicts are found by seq_no"),
    Parameter::no_effect("_source", NOT_SHOWN),
    Parameter::no_effect("_source_includes", NOT_SHOWN),
    Parameter::no_effect("_source_excludes", NOT_SHOWN),
];

pub(super) static ROUTES: &[Route] = &[Route {
    name: "delete_by_query",
    methods: &[Method::POST],
    paths: &["/{index}/_delete_by_query"],
    parameters: &[DELETE, URI_QUERY, COPIES, INDICES, ACTIVE_SHARDS],
    handler: |request| Box::pin(delete(request)),
    is_refused: false,
}];

async fn delete(mut request: Request) -> Answer {
    let body = request.json().await?;
    if request.parameters.flag("wait_for_completion")? == Some(false) {
        return Err(ApiError::unsupported("wait_for_completion=false (tasks)"));
    }
    let asked = asked(&request, body)?;
    let target = request.target()?;
    let origin = request.origin(&Bytes::new());
    let root = request.root();
    let report = root
        .deleter()
        .delete_by_query(&target, &asked, &origin)
        .await?;
    Ok(answered(&report))
}

fn asked(request: &Request, body: Option<Value>) -> Result<ByQueryRequest, ApiError> {
    let parameters = &request.parameters;
    let mut conflicts = parameters.get("conflicts").map(str::to_owned);
    let mut in_body = None;
    let search = search(request, body, &mut conflicts, &mut in_body)?;
    let max_docs = max_docs(parameters, in_body)?;
    if search.query.is_none() {
        return Err(ApiError::validation(&["query is missing".to_owned()]));
    }
    let page: usize = parameters.number("scroll_size")?.unwrap_or(1_000);
    if page == 0 {
        return Err(ApiError::illegal("[scroll_size] must be greater than 0"));
    }
    let is_proceeding = match conflicts.as_deref() {
        None | Some("abort") => false,
        Some("proceed") => true,
        Some(other) => {
            let reason =
                format!("conflicts may only be \"proceed\" or \"abort\" but was [{other}]");
            return Err(ApiError::illegal(reason));
        }
    };
    Ok(ByQueryRequest {
        search,
        page_size: page,
        max_docs,
        is_proceeding_on_conflicts: is_proceeding,
        is_refreshed: parameters.is_set("refresh")?,
        requests_per_second: requests_per_second(request)?,
        keep_alive: parameters
            .time("scroll")?
            .unwrap_or(std::time::Duration::from_secs(300)),
    })
}

/// Takes `conflicts` and `max_docs` out of the body; the rest is a search.
fn search(
    request: &Request,
    body: Option<Value>,
    conflicts: &mut Option<String>,
    max_docs: &mut Option<i64>,
) -> Result<SearchRequest, ApiError> {
    let limits = &request.root().cluster().limits();
    let mut search = match body {
        None => SearchRequest::default(),
        Some(Value::Object(mut entries)) => {
            let own: Value = ["conflicts", "max_docs"]
                .into_iter()
                .filter_map(|key| Some((key.to_owned(), entries.shift_remove(key)?)))
                .collect::<serde_json::Map<_, _>>()
                .into();
            let mut reader = ObjectReader::part("delete_by_query", &own)?;
            *conflicts = reader.text("conflicts")?.or(conflicts.take());
            *max_docs = reader.integer("max_docs")?;
            parse_search_value(&Value::Object(entries), limits)?
        }
        Some(other) => {
            let found = json::token_name(&other);
            return Err(ApiError::parse(format!(
                "expected START_OBJECT but found [{found}]"
            )));
        }
    };
    let pairs = of_search(request.parameters.pairs());
    apply_uri_parameters(&mut search, &pairs, limits)?;
    Ok(search)
}

/// Returns the parameters that mean what they mean for a search.
fn of_search(pairs: &[(String, String)]) -> Vec<(String, String)> {
    let is_own = |name: &str| matches!(name, "size" | "from" | "version");
    let pairs = pairs.iter().filter(|(name, _)| !is_own(name));
    pairs.cloned().collect()
}

/// Reads how many documents are deleted at most; `size` is an old name of `max_docs`.
fn max_docs(parameters: &Parameters, in_body: Option<i64>) -> Result<Option<usize>, ApiError> {
    let in_uri = agreed(parameters.number("size")?, parameters.number("max_docs")?)?;
    let max_docs = limit(agreed(in_body, in_uri)?)?;
    check_slices(parameters.get("slices"), max_docs)?;
    Ok(max_docs)
}

/// Returns the one `max_docs` that two places give; −1 in the first is none.
fn agreed(first: Option<i64>, second: Option<i64>) -> Result<Option<i64>, ApiError> {
    match (first, second) {
        (Some(first), Some(second)) if first != second && first != -1 => Err(ApiError::illegal(
            format!("[max_docs] set to two different values [{first}] and [{second}]"),
        )),
        _ => Ok(second.or(first)),
    }
}

/// Reads `max_docs`, where −1 is all.
fn limit(max_docs: Option<i64>) -> Result<Option<usize>, ApiError> {
    match max_docs {
        None | Some(-1) => Ok(None),
        Some(0) => {
            let reason = "maxDocs should be greater than 0 if the request is limited to some \
                          number of documents or -1 if it isn't but it was [0]";
            Err(ApiError::validation(&[reason.to_owned()]))
        }
        Some(number) => usize::try_from(number).map(Some).map_err(|_| {
            let reason = format!("[max_docs] parameter cannot be negative, found [{number}]");
            ApiError::illegal(reason)
        }),
    }
}

/// Refuses `slices` that are no number of slices, or more than the documents asked for.
fn check_slices(slices: Option<&str>, max_docs: Option<usize>) -> Result<(), ApiError> {
    let Some(text) = slices.filter(|text| *text != "auto") else {
        return Ok(());
    };
    let number = text.parse::<usize>().ok().filter(|number| *number > 0);
    let Some(number) = number else {
        let reason = "[slices] must be a positive integer or the string \"auto\"";
        return Err(ApiError::illegal(reason));
    };
    if max_docs.is_some_and(|max_docs| max_docs < number) {
        return Err(ApiError::illegal("[max_docs] should be >= [slices]"));
    }
    Ok(())
}

fn requests_per_second(request: &Request) -> Result<Option<f64>, ApiError> {
    let Some(text) = request.parameters.get("requests_per_second") else {
        return Ok(None);
    };
    match text.parse::<f64>() {
        Ok(-1.0) => Ok(None),
        Ok(rate) if rate > 0.0 => Ok(Some(rate)),
        _ => Err(ApiError::illegal(
            "[requests_per_second] must be a float greater than 0. Use -1 to disable throttling.",
        )),
    }
}

fn answered(report: &ByQueryReport) -> Reply {
    let failures: Vec<Value> = report
        .failures
        .iter()
        .map(|failure| {
            let error = ApiError::from(&failure.error);
            json!({
                "index": failure.index,
                "id": failure.id,
                "cause": error.to_json(),
                "status": error.status.as_u16(),
            })
        })
        .collect();
    let status = report
        .failures
        .iter()
        .map(|failure| ApiError::from(&failure.error).status)
        .max();
    let throttled_ms = report.throttled.as_millis() as u64;
    let shown = json!({
        "took": report.took.as_millis() as u64,
        "timed_out": report.timed_out,
        "total": report.total,
        "deleted": report.deleted,
        "batches": report.batches,
        "version_conflicts": report.version_conflicts,
        "noops": 0,
        "retries": {"bulk": 0, "search": 0},
        "throttled_millis": throttled_ms,
        "requests_per_second": report.requests_per_second.unwrap_or(-1.0),
        "throttled_until_millis": 0,
        "failures": failures,
    });
    Reply::with_status(status.unwrap_or(StatusCode::OK), &shown)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gleaner_query::limits::Limits;

    use super::*;

    #[test]
    fn two_different_limits_are_refused() {
        let told = |in_uri, in_body| agreed(in_uri, in_body).map_err(|e| e.reason().to_owned());
        assert_eq!(told(Some(3), Some(3)), Ok(Some(3)));
        assert_eq!(told(Some(3), None), Ok(Some(3)));
        assert_eq!(told(Some(-1), Some(3)), Ok(Some(3)));
        let reason = "[max_docs] set to two different values [1] and [3]";
        assert_eq!(told(Some(1), Some(3)), Err(reason.to_owned()));
    }

    #[test]
    fn both_names_of_the_limit_are_read() {
        let told = |query, in_body| {
            let parameters = Parameters::parse(Some(query)).expect("a good query");
            max_docs(&parameters, in_body).map_err(|e| e.reason().to_owned())
        };
        assert_eq!(told("size=4", None), Ok(Some(4)));
        assert_eq!(told("size=-1&max_docs=4", Some(4)), Ok(Some(4)));
        let two = |first: u8, second: u8| {
            let reason = format!("[max_docs] set to two different values [{first}] and [{second}]");
            Err(reason)
        };
        assert_eq!(told("size=4&max_docs=5", None), two(4, 5));
        assert_eq!(told("max_docs=5", Some(4)), two(4, 5));
        assert!(told("max_docs=1&slices=2", None).is_err());
    }

    #[test]
    fn limits_are_positive_or_all() {
        let told = |max_docs| limit(max_docs).map_err(|e| e.reason().to_owned());
        assert_eq!(told(None), Ok(None));
        assert_eq!(told(Some(-1)), Ok(None));
        assert_eq!(told(Some(4)), Ok(Some(4)));
        let negative = "[max_docs] parameter cannot be negative, found [-4]";
        assert_eq!(told(Some(-4)), Err(negative.to_owned()));
        assert!(told(Some(0)).is_err());
    }

    #[test]
    fn slices_are_at_most_the_documents_asked_for() {
        let told =
            |slices, max_docs| check_slices(slices, max_docs).map_err(|e| e.reason().to_owned());
        assert_eq!(told(None, Some(1)), Ok(()));
        assert_eq!(told(Some("auto"), Some(1)), Ok(()));
        assert_eq!(told(Some("2"), Some(2)), Ok(()));
        assert_eq!(told(Some("2"), None), Ok(()));
        let few = "[max_docs] should be >= [slices]";
        assert_eq!(told(Some("2"), Some(1)), Err(few.to_owned()));
        let junk = "[slices] must be a positive integer or the string \"auto\"";
        for text in ["0", "-1", "junk", ""] {
            assert_eq!(told(Some(text), None), Err(junk.to_owned()), "{text}");
        }
    }

    #[test]
    fn each_page_has_the_timeout_of_the_uri() {
        let pairs = [("timeout", "2s"), ("size", "3"), ("from", "4")];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut search = SearchRequest::default();
        let limits = Limits::default();
        apply_uri_parameters(&mut search, &of_search(&pairs), &limits).expect("read");
        assert_eq!(search.timeout, Some(Duration::from_secs(2)));
        assert_eq!((search.size, search.from), (None, 0));
    }
}
