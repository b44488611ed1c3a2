//! From the body and the URI of a search to [`SearchRequest`].

mod collapse;
mod distance;
mod fields;
mod highlight;
mod slice;
mod sort;
mod uri;

#[cfg(test)]
mod tests;

use std::time::Duration;

use serde_json::Value;

pub use fields::{parse_field_formats, parse_source_filter};
pub use highlight::parse_highlight;
pub use sort::{is_descending, parse_sort};
pub use uri::apply_uri_parameters;

use super::{PointInTime, Scatter, SearchRequest, TrackTotal};
use crate::aggregation::{inherit_fields, parse_aggregations, parse_pipelines};
use crate::dsl::{Query, parse_query};
use crate::error::{ErrorType, QueryError};
use crate::json::{self, ObjectReader, scalar_text, token_name};
use crate::limits::Limits;
use crate::units::parse_time;

/// Keys of the dialect that are refused by name.
const NOT_SUPPORTED: [&str; 5] = [
    "knn",
    "rank",
    "retriever",
    "search_pipeline",
    "sub_searches",
];

/// Keys of the dialect that are refused by name where they ask for something.
const NOT_SUPPORTED_UNLESS_EMPTY: [&str; 5] = [
    "derived",
    "ext",
    "runtime_mappings",
    "script_fields",
    "suggest",
];

/// Reads the body of a search; an empty body finds everything.
///
/// # Errors
/// As [`json::read`] and [`parse_search_value`].
pub fn parse_search(body: &[u8], limits: &Limits) -> Result<SearchRequest, QueryError> {
    if body.trim_ascii().is_empty() {
        return Ok(SearchRequest::default());
    }
    parse_search_value(&json::read(body, limits)?, limits)
}

/// Reads the body of a search that is JSON already.
///
/// # Errors
/// `parsing_exception` and its kin: unknown keys, keys not supported, values of a wrong type, by
/// name; `action_request_validation_exception` for parts that exclude each other.
pub fn parse_search_value(value: &Value, limits: &Limits) -> Result<SearchRequest, QueryError> {
    let mut reader = ObjectReader::part("search", value)?;
    reader.unsupported(&NOT_SUPPORTED)?;
    reader.unsupported_unless_empty(&NOT_SUPPORTED_UNLESS_EMPTY)?;
    let mut request = SearchRequest::default();
    read_queries(&mut request, &mut reader, limits)?;
    read_window(&mut request, &mut reader)?;
    read_content(&mut request, &mut reader, limits)?;
    read_conduct(&mut request, &mut reader)?;
    if let Some((key, value)) = reader.rest().next() {
        return Err(QueryError::parsing(format!(
            "Unknown key for a {} in [{key}].",
            token_name(value)
        )));
    }
    check_combinations(&request)?;
    inherit_fields(&mut request.aggregations, &request.fields)?;
    Ok(request)
}

/// Reads a body that may hold a query and nothing else, as `_count` and `_validate/query` want it.
///
/// # Errors
/// `parsing_exception` naming any other key.
pub fn parse_query_body(body: &[u8], limits: &Limits) -> Result<Option<Query>, QueryError> {
    if body.trim_ascii().is_empty() {
        return Ok(None);
    }
    let value = json::read(body, limits)?;
    let mut reader = ObjectReader::part("request", &value)?;
    let query = reader
        .take("query")
        .map(|query| parse_query(query, limits))
        .transpose()?;
    match reader.rest().next() {
        None => Ok(query),
        Some((key, _)) => Err(QueryError::parsing(format!(
            "request does not support [{key}]"
        ))),
    }
}

fn read_queries(
    request: &mut SearchRequest,
    reader: &mut ObjectReader<'_>,
    limits: &Limits,
) -> Result<(), QueryError> {
    let mut query = |key| {
        reader
            .take(key)
            .map(|value| parse_query(value, limits))
            .transpose()
    };
    request.query = query("query")?;
    request.post_filter = query("post_filter")?;
    if let Some(value) = reader.take_any(&["aggs", "aggregations"]) {
        request.aggregations = parse_aggregations(value, limits)?;
        request.pipelines = parse_pipelines(value, &request.aggregations)?;
    }
    if let Some(value) = reader.take("collapse") {
        request.collapse = Some(collapse::collapse(value, limits)?);
    }
    if let Some(value) = reader.take("rescore") {
        request.rescores = collapse::rescores(value, limits)?;
    }
    request.min_score = reader.number("min_score")?.map(|score| score as f32);
    if let Some(value) = reader.take("indices_boost") {
        request.indices_boost = indices_boost(value)?;
    }
    Ok(())
}

fn read_window(
    request: &mut SearchRequest,
    reader: &mut ObjectReader<'_>,
) -> Result<(), QueryError> {
    if let Some(from) = reader.integer("from")? {
        request.from = window("from", from)?;
    }
    request.size = reader
        .integer("size")?
        .map(|size| window("size", size))
        .transpose()?;
    if let Some(value) = reader.take("sort") {
        request.sort = parse_sort(value)?;
    }
    request.track_scores = reader.boolean("track_scores")?.unwrap_or(false);
    if let Some(value) = reader.take("search_after") {
        request.search_after = Some(search_after(value)?);
    }
    if let Some(value) = reader.take("track_total_hits") {
        let text = scalar_text(value)
            .ok_or_else(|| reader.wrong("track_total_hits", "a boolean or a number", value))?;
        request.track_total_hits = parse_track_total(&text)?;
    }
    Ok(())
}

fn read_content(
    request: &mut SearchRequest,
    reader: &mut ObjectReader<'_>,
    limits: &Limits,
) -> Result<(), QueryError> {
    if let Some(value) = reader.take("_source") {
        request.source = parse_source_filter(value)?;
        request.is_source_asked = true;
    }
    if let Some(value) = reader.take("docvalue_fields") {
        request.docvalue_fields = parse_field_formats(value, "docvalue_fields")?;
    }
    if let Some(value) = reader.take("fields") {
        request.fields = parse_field_formats(value, "fields")?;
    }
    request.stored_fields = reader.texts("stored_fields")?;
    if let Some(value) = reader.take("highlight") {
        request.highlight = Some(parse_highlight(value, limits)?);
    }
    request.explain = reader.boolean("explain")?.unwrap_or(false);
    request.version = reader.boolean("version")?.unwrap_or(false);
    request.seq_no_primary_term = reader.boolean("seq_no_primary_term")?.unwrap_or(false);
    Ok(())
}

fn read_conduct(
    request: &mut SearchRequest,
    reader: &mut ObjectReader<'_>,
) -> Result<(), QueryError> {
    request.profile = reader.boolean("profile")?.unwrap_or(false);
    if let Some(text) = reader.text("scatter")? {
        request.scatter = parse_scatter(&text)?;
    }
    if let Some(text) = reader.text("timeout")? {
        request.timeout = parse_time(&text, "timeout")?;
    }
    if let Some(documents) = reader.integer("terminate_after")? {
        request.terminate_after = parse_terminate_after(documents)?;
    }
    if let Some(value) = reader.take("pit") {
        request.pit = Some(point_in_time(value)?);
    }
    if let Some(value) = reader.take("slice") {
        request.slice = Some(slice::parse_slice(value)?);
    }
    request.stats_groups = reader.texts("stats")?.unwrap_or_default();
    Ok(())
}

/// Reads `from` or `size`.
fn window(name: &str, number: i64) -> Result<usize, QueryError> {
    usize::try_from(number).map_err(|_| {
        QueryError::illegal(format!(
            "[{name}] parameter cannot be negative, found [{number}]"
        ))
    })
}

fn search_after(value: &Value) -> Result<Vec<Value>, QueryError> {
    let refuse = |found: &Value| {
        QueryError::parsing(format!(
            "[search_after] expected an array of values but found [{}]",
            token_name(found)
        ))
    };
    let values = value.as_array().ok_or_else(|| refuse(value))?;
    if values.is_empty() {
        return Err(QueryError::illegal(
            "[search_after] Values must contains at least one value.",
        ));
    }
    match values
        .iter()
        .find(|value| value.is_array() || value.is_object())
    {
        None => Ok(values.clone()),
        Some(nested) => Err(refuse(nested)),
    }
}

/// Reads `true`, `false`, a limit, or `-1` (none).
fn parse_track_total(text: &str) -> Result<TrackTotal, QueryError> {
    match text {
        "true" => Ok(TrackTotal::Exact),
        "false" | "-1" => Ok(TrackTotal::No),
        number => number.parse().map(TrackTotal::UpTo).map_err(|_| {
            QueryError::illegal(format!(
                "[track_total_hits] parameter must be positive or equals to -1, got {number}"
            ))
        }),
    }
}

/// Reads `terminate_after`; 0 is no bound.
fn parse_terminate_after(documents: i64) -> Result<Option<u64>, QueryError> {
    match u64::try_from(documents) {
        Ok(0) => Ok(None),
        Ok(documents) => Ok(Some(documents)),
        Err(_) => Err(QueryError::illegal("terminateAfter must be > 0")),
    }
}

fn parse_scatter(text: &str) -> Result<Scatter, QueryError> {
    match text {
        "shards" => Ok(Scatter::Shards),
        "terms" => Ok(Scatter::Terms),
        _ => Err(QueryError::illegal(format!(
            "[scatter] must be [shards] or [terms] but was [{text}]"
        ))),
    }
}

fn point_in_time(value: &Value) -> Result<PointInTime, QueryError> {
    let mut reader = ObjectReader::part("pit", value)?;
    let id = reader.text("id")?;
    let keep_alive: Option<Duration> = match reader.text("keep_alive")? {
        None => None,
        Some(text) => parse_time(&text, "keep_alive")?,
    };
    reader.finish()?;
    match id {
        Some(id) if !id.is_empty() => Ok(PointInTime { id, keep_alive }),
        _ => Err(QueryError::illegal(
            "[pit] point in time id is not provided",
        )),
    }
}

/// Reads `[{"name": factor}, …]` or the older `{"name": factor, …}`.
fn indices_boost(value: &Value) -> Result<Vec<(String, f32)>, QueryError> {
    let refuse = |found: &Value| {
        QueryError::parsing(format!(
            "[indices_boost] expected an array of objects with a name and a factor but found [{}]",
            token_name(found)
        ))
    };
    let objects: Vec<&Value> = match value {
        Value::Object(_) => vec![value],
        Value::Array(items) => items.iter().collect(),
        other => return Err(refuse(other)),
    };
    let mut boosts = Vec::new();
    for object in objects {
        for (name, factor) in object.as_object().ok_or_else(|| refuse(object))? {
            let number = factor.as_f64().ok_or_else(|| refuse(factor))? as f32;
            if !number.is_finite() || number < 0.0 {
                return Err(QueryError::illegal(format!(
                    "[indices_boost] factor of [{name}] must be a finite number, 0 or more"
                )));
            }
            boosts.push((name.clone(), number));
        }
    }
    Ok(boosts)
}

/// Refuses parts that exclude each other.
fn check_combinations(request: &SearchRequest) -> Result<(), QueryError> {
    if request.search_after.is_some() && request.from > 0 {
        return Err(QueryError::new(
            ErrorType::Validation,
            "Validation Failed: 1: `from` parameter must be set to 0 when `search_after` is used;",
        ));
    }
    check_stored_fields(request)?;
    collapse::check(request)
}

/// Refuses hits without anything stored that are to show some of it.
fn check_stored_fields(request: &SearchRequest) -> Result<(), QueryError> {
    let stored = request.stored_fields.as_deref().unwrap_or_default();
    if !stored.iter().any(|field| field == "_none_") {
        return Ok(());
    }
    let reason = if stored.len() > 1 {
        "cannot combine _none_ with other fields"
    } else if request.is_source_asked && request.source.enabled {
        "[stored_fields] cannot be disabled if [_source] is requested"
    } else if request.version {
        "[stored_fields] cannot be disabled if [version] is requested"
    } else if !request.fields.is_empty() {
        "[stored_fields] cannot be disabled when using the [fields] option"
    } else {
        return Ok(());
    };
    Err(QueryError::illegal(reason))
}
