//! What requests for tasks by query have in common: parameters, and the part of the body that is no search.

use std::time::Duration;

use gleaner_model::ActiveShards;
use gleaner_query::json::{self, ObjectReader};
use gleaner_query::limits::Limits;
use gleaner_query::search::{SearchRequest, apply_uri_parameters, parse_search_value};
use gleaner_root::by_query::Slices;
use serde_json::Value;

use crate::error::ApiError;
use crate::parameters::Parameters;

/// Documents of a page that nobody said the size of.
const PAGE_SIZE: usize = 1_000;

/// How long views live between two pages.
const KEEP_ALIVE: Duration = Duration::from_secs(300);

/// How a task is to be done.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) page_size: usize,
    pub(super) max_docs: Option<usize>,
    pub(super) is_proceeding: bool,
    pub(super) is_refreshed: bool,
    pub(super) requests_per_second: Option<f64>,
    pub(super) keep_alive: Duration,
    pub(super) write_timeout: Option<Duration>,
    pub(super) active_shards: Option<ActiveShards>,
    pub(super) slices: Slices,
}

impl Common {
    /// Reads the parameters; `conflicts` and `max_docs` are what the body says.
    pub(super) fn of(
        parameters: &Parameters,
        conflicts: Option<&str>,
        max_docs: Option<i64>,
    ) -> Result<Self, ApiError> {
        let max_docs = read_max_docs(parameters, max_docs)?;
        let rate = parameters.get("requests_per_second").map(rate);
        Ok(Self {
            page_size: PAGE_SIZE,
            max_docs,
            is_proceeding: is_proceeding(conflicts)?,
            is_refreshed: parameters.is_set("refresh")?,
            requests_per_second: rate.transpose()?.flatten(),
            keep_alive: parameters.time("scroll")?.unwrap_or(KEEP_ALIVE),
            write_timeout: parameters.time("timeout")?,
            active_shards: parameters.active_shards()?,
            slices: slices(parameters.get("slices"), max_docs)?,
        })
    }
}

/// Reads the body of a delete or an update by query: a search, and how it is done.
pub(super) fn of_body(
    parameters: &Parameters,
    body: Option<Value>,
    limits: &Limits,
) -> Result<(Common, SearchRequest), ApiError> {
    let mut conflicts = parameters.get("conflicts").map(str::to_owned);
    let mut max_docs = None;
    let mut search = match body {
        None => SearchRequest::default(),
        Some(Value::Object(mut entries)) => {
            let own: Value = ["conflicts", "max_docs", "script"]
                .into_iter()
                .filter_map(|key| Some((key.to_owned(), entries.shift_remove(key)?)))
                .collect::<serde_json::Map<_, _>>()
                .into();
            refuse_script(&own)?;
            let mut reader = ObjectReader::part("by_query", &own)?;
            conflicts = reader.text("conflicts")?.or(conflicts);
            max_docs = reader.integer("max_docs")?;
            parse_search_value(&Value::Object(entries), limits)?
        }
        Some(other) => {
            let found = json::token_name(&other);
            return Err(ApiError::parse(format!(
                "expected START_OBJECT but found [{found}]"
            )));
        }
    };
    let pairs = of_search(parameters.pairs());
    apply_uri_parameters(&mut search, &pairs, limits)?;
    if let Some(timeout) = parameters.time("search_timeout")? {
        search.timeout = Some(timeout);
    }
    let common = Common::of(parameters, conflicts.as_deref(), max_docs)?;
    Ok((common, search))
}

/// Refuses scripts by name.
pub(super) fn refuse_script(body: &Value) -> Result<(), ApiError> {
    match body.get("script") {
        None | Some(Value::Null) => Ok(()),
        Some(_) => Err(ApiError::unsupported("script")),
    }
}

/// Returns the parameters that mean what they mean for a search. `timeout` is that of the writes.
fn of_search(pairs: &[(String, String)]) -> Vec<(String, String)> {
    let is_own = |name: &str| {
        matches!(name, "size" | "from" | "version" | "timeout") || name.starts_with("_source")
    };
    let pairs = pairs.iter().filter(|(name, _)| !is_own(name));
    pairs.cloned().collect()
}

/// Refuses what a search for a task by query may not say, beside what is wrong already.
pub(super) fn check_search(
    search: &SearchRequest,
    common: &Common,
    mut reasons: Vec<String>,
) -> Result<(), ApiError> {
    if search.from > 0 {
        reasons.push("from is not supported in this context".to_owned());
    }
    if search.stored_fields.is_some() {
        reasons.push("stored_fields is not supported in this context".to_owned());
    }
    if search.collapse.is_some() {
        reasons.push("collapse is not supported in this context".to_owned());
    }
    if !search.rescores.is_empty() {
        reasons.push("rescore is not supported in this context".to_owned());
    }
    if search.slice.is_some() && common.slices != Slices::Number(1) {
        let reason = "can't specify both manual and automatic slicing at the same time";
        reasons.push(reason.to_owned());
    }
    match reasons.is_empty() {
        true => Ok(()),
        false => Err(ApiError::validation(&reasons)),
    }
}

fn is_proceeding(conflicts: Option<&str>) -> Result<bool, ApiError> {
    match conflicts {
        None | Some("abort") => Ok(false),
        Some("proceed") => Ok(true),
        Some(other) => Err(ApiError::illegal(format!(
            "conflicts may only be \"proceed\" or \"abort\" but was [{other}]"
        ))),
    }
}

/// Reads how many documents are written at most; `size` is an old name of `max_docs`.
fn read_max_docs(parameters: &Parameters, in_body: Option<i64>) -> Result<Option<usize>, ApiError> {
    let in_uri = agreed(parameters.number("size")?, parameters.number("max_docs")?)?;
    limit(agreed(in_body, in_uri)?)
}

/// Returns the one `max_docs` that two places give; −1 in the first is none.
pub(super) fn agreed(first: Option<i64>, second: Option<i64>) -> Result<Option<i64>, ApiError> {
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

/// Reads `slices`; refuses more than the documents asked for.
fn slices(slices: Option<&str>, max_docs: Option<usize>) -> Result<Slices, ApiError> {
    let number = match slices {
        None => return Ok(Slices::Number(1)),
        Some("auto") => return Ok(Slices::Auto),
        Some(text) => text.parse::<u32>().ok().filter(|number| *number > 0),
    };
    let Some(number) = number else {
        let reason = "[slices] must be a positive integer or the string \"auto\"";
        return Err(ApiError::illegal(reason));
    };
    if max_docs.is_some_and(|max_docs| max_docs < number as usize) {
        return Err(ApiError::illegal("[max_docs] should be >= [slices]"));
    }
    Ok(Slices::Number(number))
}

/// Reads `requests_per_second`, where −1 is as fast as it goes.
pub(super) fn rate(text: &str) -> Result<Option<f64>, ApiError> {
    match text.parse::<f64>() {
        Ok(-1.0) => Ok(None),
        Ok(rate) if rate > 0.0 => Ok(Some(rate).filter(|rate| rate.is_finite())),
        _ => Err(ApiError::illegal(
            "[requests_per_second] must be a float greater than 0. Use -1 to disable throttling.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(query: &str) -> Parameters {
        Parameters::parse(Some(query)).expect("a good query")
    }

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
            let common = Common::of(&parameters(query), None, in_body);
            common
                .map(|common| common.max_docs)
                .map_err(|e| e.reason().to_owned())
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
        let told = |text, max_docs| slices(text, max_docs).map_err(|e| e.reason().to_owned());
        assert_eq!(told(None, Some(1)), Ok(Slices::Number(1)));
        assert_eq!(told(Some("auto"), Some(1)), Ok(Slices::Auto));
        assert_eq!(told(Some("2"), Some(2)), Ok(Slices::Number(2)));
        let few = "[max_docs] should be >= [slices]";
        assert_eq!(told(Some("2"), Some(1)), Err(few.to_owned()));
        let junk = "[slices] must be a positive integer or the string \"auto\"";
        for text in ["0", "-1", "junk", ""] {
            assert_eq!(told(Some(text), None), Err(junk.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_rate_is_positive_or_none() {
        let told = |text| rate(text).ok();
        assert_eq!(told("-1"), Some(None));
        assert_eq!(told(".5"), Some(Some(0.5)));
        for text in ["", "0", "-12", "unlimited", "NaN"] {
            assert_eq!(told(text), None, "{text}");
        }
    }

    #[test]
    fn the_time_of_searches_and_that_of_writes_are_two() {
        let given = parameters("timeout=2s&search_timeout=3s&size=3&from=4");
        let (common, search) = of_body(&given, None, &Limits::default()).expect("read");
        assert_eq!(common.write_timeout, Some(Duration::from_secs(2)));
        assert_eq!(search.timeout, Some(Duration::from_secs(3)));
        assert_eq!((search.size, search.from), (None, 0));
        assert_eq!(common.max_docs, Some(3));
    }

    #[test]
    fn scripts_are_refused_by_name() {
        let body = serde_json::json!({"script": {"source": "ctx._source.a = 1"}});
        let refused = of_body(&parameters(""), Some(body), &Limits::default());
        let reason = refused.expect_err("refused").reason().to_owned();
        assert!(reason.contains("[script]"), "{reason}");
    }
}
