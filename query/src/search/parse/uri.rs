//! The parameters of URI search, over what the body says.

use serde_json::Value;

use super::fields::{check_source_filter, comma_list, source_from_text};
use super::sort::key_from_text;
use super::{check_combinations, parse_terminate_after, parse_track_total, window};
use crate::error::QueryError;
use crate::limits::Limits;
use crate::query_string::{UriOptions, parse_uri_query};
use crate::search::{FieldFormat, SearchRequest};
use crate::units::parse_time;

/// Parameters that say what of `_source` is returned.
const SOURCE: [&str; 5] = [
    "_source",
    "_source_includes",
    "_source_include",
    "_source_excludes",
    "_source_exclude",
];

/// Lays URI parameters over `request`; where both say something, the URI holds.
///
/// Parameters that do not belong to the request itself (`routing`, `preference`, `scroll`, …) are
/// left to the caller, who knows the route's table.
///
/// # Errors
/// `illegal_argument_exception` naming the parameter whose value cannot be read.
pub fn apply_uri_parameters(
    request: &mut SearchRequest,
    parameters: &[(String, String)],
    limits: &Limits,
) -> Result<(), QueryError> {
    let mut options = UriOptions::default();
    let mut text = None;
    for (name, value) in parameters {
        match name.as_str() {
            "q" => text = Some(value),
            "df" => options.default_field = Some(value.clone()),
            "default_operator" => options.default_operator = Some(value.clone()),
            "analyzer" => options.analyzer = Some(value.clone()),
            "lenient" => options.lenient = boolean(name, value)?,
            "analyze_wildcard" => options.analyze_wildcard = boolean(name, value)?,
            _ => apply(request, name, value)?,
        }
    }
    if let Some(text) = text {
        request.query = Some(parse_uri_query(text, &options, limits)?);
    }
    check_source_filter(&request.source)?;
    check_combinations(request)
}

fn apply(request: &mut SearchRequest, name: &str, value: &str) -> Result<(), QueryError> {
    match name {
        "from" => request.from = window(name, integer(name, value)?)?,
        "size" => request.size = Some(window(name, integer(name, value)?)?),
        "sort" => {
            request.sort = comma_list(value)
                .iter()
                .map(|key| key_from_text(key))
                .collect::<Result<_, _>>()?;
        }
        "track_scores" => request.track_scores = boolean(name, value)?,
        "track_total_hits" => request.track_total_hits = parse_track_total(value)?,
        "explain" => request.explain = boolean(name, value)?,
        "version" => request.version = boolean(name, value)?,
        "seq_no_primary_term" => request.seq_no_primary_term = boolean(name, value)?,
        "include_named_queries_score" => request.named_scores = boolean(name, value)?,
        "timeout" => request.timeout = parse_time(value, name)?,
        "terminate_after" => {
            request.terminate_after = parse_terminate_after(integer(name, value)?)?;
        }
        "min_score" => request.min_score = Some(number(name, value)?),
        "stats" => request.stats_groups = comma_list(value),
        _ => apply_content(request, name, value),
    }
    Ok(())
}

/// Applies what is returned of each hit; none of it can fail.
fn apply_content(request: &mut SearchRequest, name: &str, value: &str) {
    request.is_source_asked |= SOURCE.contains(&name);
    match name {
        "_source" => {
            let given = source_from_text(value);
            request.source.enabled = given.enabled;
            request.source.includes = given.includes;
        }
        "_source_includes" | "_source_include" => request.source.includes = comma_list(value),
        "_source_excludes" | "_source_exclude" => request.source.excludes = comma_list(value),
        "stored_fields" => request.stored_fields = Some(comma_list(value)),
        "docvalue_fields" => {
            request.docvalue_fields = comma_list(value)
                .into_iter()
                .map(|field| FieldFormat {
                    field,
                    format: None,
                    include_unmapped: false,
                })
                .collect();
        }
        _ => {}
    }
}

/// Reads `true`, `false`, or nothing, which is true.
fn boolean(name: &str, value: &str) -> Result<bool, QueryError> {
    match value {
        "true" | "" => Ok(true),
        "false" => Ok(false),
        _ => Err(QueryError::illegal(format!(
            "Failed to parse value [{value}] as only [true] or [false] are allowed for [{name}]"
        ))),
    }
}

fn integer(name: &str, value: &str) -> Result<i64, QueryError> {
    value.parse().map_err(|_| {
        QueryError::illegal(format!(
            "Failed to parse int parameter [{name}] with value [{value}]"
        ))
    })
}

fn number(name: &str, value: &str) -> Result<f32, QueryError> {
    value
        .parse()
        .ok()
        .filter(|number: &f32| number.is_finite())
        .ok_or_else(|| {
            QueryError::illegal(format!(
                "Failed to parse float parameter [{name}] with value {}",
                Value::from(value)
            ))
        })
}
