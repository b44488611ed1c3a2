//! `range`, `date_range`, `filter`, `filters`, `adjacency_matrix`, `global`, `missing`.

use serde_json::{Map, Value};

use super::{Context, source};
use crate::aggregation::{
    AdjacencyAggregation, AggregationKind, AggregationRange, RangeAggregation,
};
use crate::dsl::{Query, parse_query};
use crate::error::QueryError;
use crate::json::ObjectReader;

/// Most ranges or filters of one aggregation.
const MAX_PARTS: usize = 1_024;
/// Most filters of `adjacency_matrix`: there are half as many pairs as their square.
const MAX_ADJACENT: usize = 100;
/// Key of the bucket for what matches no filter.
const OTHER: &str = "_other_";

/// Reads the body of `range` or `date_range`.
pub(super) fn range(
    body: &Value,
    context: Context<'_>,
    is_date: bool,
) -> Result<AggregationKind, QueryError> {
    let name = if is_date { "date_range" } else { "range" };
    let mut reader = ObjectReader::part(name, body)?;
    let source = source::read(&mut reader)?;
    let keyed = reader.boolean("keyed")?.unwrap_or(false);
    let time_zone = if is_date {
        source::time_zone(&mut reader)?
    } else {
        None
    };
    let ranges = ranges(&mut reader, name, context)?;
    reader.finish()?;
    Ok(AggregationKind::Range(RangeAggregation {
        source,
        ranges,
        keyed,
        is_date,
        time_zone,
    }))
}

/// Reads `ranges`; of `date_range` they are dates.
pub(super) fn ranges(
    reader: &mut ObjectReader<'_>,
    name: &str,
    context: Context<'_>,
) -> Result<Vec<AggregationRange>, QueryError> {
    let ranges = match reader.take("ranges") {
        Some(Value::Array(items)) => items.as_slice(),
        Some(value) => return Err(reader.wrong("ranges", "an array", value)),
        None => &[],
    };
    check_number("ranges", ranges.len(), name, context)?;
    let is_date = name == "date_range";
    let ranges = ranges.iter().map(|range| one_range(range, is_date));
    ranges.collect()
}

fn one_range(value: &Value, is_date: bool) -> Result<AggregationRange, QueryError> {
    let mut reader = ObjectReader::part("range", value)?;
    let key = match reader.take("key") {
        None | Some(Value::Null) => None,
        Some(_) => reader.text("key")?,
    };
    let from = bound(&mut reader, "from", is_date)?;
    let to = bound(&mut reader, "to", is_date)?;
    reader.finish()?;
    Ok(AggregationRange { key, from, to })
}

fn bound(
    reader: &mut ObjectReader<'_>,
    key: &'static str,
    is_date: bool,
) -> Result<Option<Value>, QueryError> {
    let Some(value) = reader.take(key).filter(|value| !value.is_null()) else {
        return Ok(None);
    };
    let is_fit = match value {
        Value::String(_) if is_date => true,
        _ => source::number(value).is_some(),
    };
    if !is_fit {
        let wanted = if is_date { "a date" } else { "a number" };
        return Err(reader.wrong(key, wanted, value));
    }
    Ok(Some(value.clone()))
}

/// Refuses no parts, and too many.
pub(super) fn check_number(
    what: &str,
    number: usize,
    kind: &str,
    context: Context<'_>,
) -> Result<(), QueryError> {
    let name = context.name;
    match number {
        0 => Err(QueryError::illegal(format!(
            "No [{what}] specified for the [{name}] aggregation"
        ))),
        1..=MAX_PARTS => Ok(()),
        _ => Err(QueryError::illegal(format!(
            "[{kind}] aggregation [{name}] has [{number}] {what}, more than the maximum of \
             [{MAX_PARTS}]"
        ))),
    }
}

/// Reads the body of `filter`: a query.
pub(super) fn filter(body: &Value, context: Context<'_>) -> Result<AggregationKind, QueryError> {
    query(body, context).map(AggregationKind::Filter)
}

/// Reads a query; `{}` matches everything.
pub(super) fn query(body: &Value, context: Context<'_>) -> Result<Query, QueryError> {
    if body.as_object().is_some_and(Map::is_empty) {
        return Ok(Query::MatchAll { boost: 1.0 });
    }
    parse_query(body, context.limits)
}

/// Reads the body of `filters`.
pub(super) fn filters(body: &Value, context: Context<'_>) -> Result<AggregationKind, QueryError> {
    let mut reader = ObjectReader::part("filters", body)?;
    let (filters, is_keyed): (Vec<(String, Query)>, bool) = match reader.take("filters") {
        Some(Value::Object(named)) => (named_filters(named, context)?, true),
        Some(Value::Array(items)) => {
            let read = |(at, body): (usize, _)| Ok((at.to_string(), query(body, context)?));
            let filters = items.iter().enumerate().map(read);
            (filters.collect::<Result<_, QueryError>>()?, false)
        }
        Some(value) => return Err(reader.wrong("filters", "an object or an array", value)),
        None => (Vec::new(), false),
    };
    check_number("filters", filters.len(), "filters", context)?;
    let has_other = reader.boolean("other_bucket")?;
    let other_key = reader.text("other_bucket_key")?;
    let keyed = reader.boolean("keyed")?.unwrap_or(true);
    reader.finish()?;
    // A key for the other bucket asks for the bucket.
    let is_wanted = has_other.unwrap_or(other_key.is_some());
    let other_bucket = is_wanted.then(|| other_key.unwrap_or_else(|| OTHER.to_owned()));
    let is_taken = |key: &String| filters.iter().any(|(name, _)| name == key);
    if let Some(key) = other_bucket.as_ref().filter(|key| is_taken(key))
        && is_keyed
        && keyed
    {
        return Err(QueryError::illegal(format!(
            "[filters] aggregation [{}] has a filter with the key of its other bucket, [{key}]: one of them needs another \
             name",
            context.name
        )));
    }
    Ok(AggregationKind::Filters {
        filters,
        is_keyed,
        // What has no names is a list anyway.
        is_listed: is_keyed && !keyed,
        other_bucket,
    })
}

/// Reads queries by name: keys of an object have no order, the buckets of a list do.
fn named_filters(
    named: &Map<String, Value>,
    context: Context<'_>,
) -> Result<Vec<(String, Query)>, QueryError> {
    let read = |(key, body): (&String, _)| Ok((key.clone(), query(body, context)?));
    let filters = named.iter().map(read);
    let mut filters = filters.collect::<Result<Vec<_>, QueryError>>()?;
    filters.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(filters)
}

/// Reads the body of `adjacency_matrix`.
pub(super) fn adjacency(body: &Value, context: Context<'_>) -> Result<AggregationKind, QueryError> {
    let mut reader = ObjectReader::part("adjacency_matrix", body)?;
    let filters = match reader.take("filters") {
        Some(Value::Object(named)) => named_filters(named, context)?,
        Some(value) => return Err(reader.wrong("filters", "an object", value)),
        None => Vec::new(),
    };
    check_number("filters", filters.len(), "adjacency_matrix", context)?;
    if filters.len() > MAX_ADJACENT {
        return Err(QueryError::illegal(format!(
            "Number of filters is too large, must be less than or equal to: [{MAX_ADJACENT}] but was [{}] in \
             [{}]",
            filters.len(),
            context.name
        )));
    }
    let separator = reader.text("separator")?;
    let only_pairs = reader.boolean("show_only_intersecting")?;
    reader.finish()?;
    Ok(AggregationKind::Adjacency(AdjacencyAggregation {
        filters,
        separator: separator.unwrap_or_else(|| "&".to_owned()),
        only_pairs: only_pairs.unwrap_or(false),
    }))
}

/// Reads the body of `global`, which is empty.
pub(super) fn global(body: &Value) -> Result<AggregationKind, QueryError> {
    ObjectReader::part("global", body)?.finish()?;
    Ok(AggregationKind::Global)
}

/// Reads the body of `missing`.
pub(super) fn missing(body: &Value) -> Result<AggregationKind, QueryError> {
    let mut reader = ObjectReader::part("missing", body)?;
    let source = source::read_counted(&mut reader)?;
    reader.finish()?;
    Ok(AggregationKind::MissingValue {
        field: source.field,
        missing: source.missing,
    })
}
