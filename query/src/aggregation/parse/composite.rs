//! `composite` and `multi_terms`: keys of several values.

use serde_json::{Map, Value};

use super::{Context, geo, histogram, order, source, terms};
use crate::aggregation::{
    AggregationKind, BucketOrder, CompositeAggregation, CompositeSource, CompositeValues,
    MissingOrder, MultiTermsAggregation,
};
use crate::dsl::parse_box;
use crate::error::{ErrorType, QueryError};
use crate::json::ObjectReader;

/// Most values that a key is made of.
const MAX_SOURCES: usize = 32;

/// Reads the body of `composite`.
pub(super) fn read(body: &Value, context: Context<'_>) -> Result<AggregationKind, QueryError> {
    let mut reader = ObjectReader::part("composite", body)?;
    let given = match reader.take("sources") {
        Some(Value::Array(items)) => items.as_slice(),
        // One source may stand without a list.
        Some(value @ Value::Object(_)) => std::slice::from_ref(value),
        Some(value) => return Err(reader.wrong("sources", "an array", value)),
        None => &[],
    };
    if given.is_empty() || given.len() > MAX_SOURCES {
        return Err(QueryError::illegal(format!(
            "Composite [sources] must hold 1 to {MAX_SOURCES} sources, but there are [{}] in [{}]",
            given.len(),
            context.name
        )));
    }
    let sources = given.iter().map(named_source);
    let sources = sources.collect::<Result<Vec<_>, QueryError>>()?;
    check_names(&sources)?;
    let size = terms::size(&mut reader, "size", context)?;
    let after = match reader.take("after") {
        None | Some(Value::Null) => None,
        Some(Value::Object(entries)) => Some(after(entries, &sources)?),
        Some(value) => return Err(reader.wrong("after", "an object", value)),
    };
    reader.finish()?;
    Ok(AggregationKind::Composite(CompositeAggregation {
        sources,
        size: size.unwrap_or(terms::DEFAULT_SIZE),
        after,
    }))
}

fn check_names(sources: &[CompositeSource]) -> Result<(), QueryError> {
    for (at, source) in sources.iter().enumerate() {
        if sources[..at].iter().any(|other| other.name == source.name) {
            return Err(QueryError::illegal(format!(
                "Composite source names must be unique, found duplicates: [{}]",
                source.name
            )));
        }
    }
    Ok(())
}

/// Reads `{"name": {"terms": {…}}}`.
fn named_source(value: &Value) -> Result<CompositeSource, QueryError> {
    let (name, kinds) = only(value).ok_or_else(|| malformed(value))?;
    crate::limits::Limits::check_label("the name of a source of [composite]", name)?;
    let (kind, body) = only(kinds).ok_or_else(|| malformed(value))?;
    let mut reader = ObjectReader::part(kind, body)?;
    let read = source::read(&mut reader)?;
    if read.missing.is_some() {
        return Err(QueryError::parsing(format!(
            "[{kind}] [missing] is not supported in [composite], [missing_bucket] is"
        )));
    }
    let values = match kind {
        "terms" => CompositeValues::Terms,
        "histogram" => CompositeValues::Histogram(histogram::interval_of(&mut reader, name)?),
        "date_histogram" => CompositeValues::DateHistogram {
            interval: histogram::date_interval(&mut reader)?,
            time_zone: source::time_zone(&mut reader)?,
            offset_ms: histogram::offset_ms(&mut reader)?,
        },
        "geotile_grid" => CompositeValues::GeoTile {
            zoom: geo::zoom(&mut reader)?,
            bounds: reader.take("bounds").map(parse_box).transpose()?,
        },
        _ => {
            return Err(QueryError::parsing(format!(
                "invalid source type: [{kind}] of [composite]: [date_histogram, geotile_grid, histogram, \
                 terms] are there"
            )));
        }
    };
    let descending = match reader.text("order")?.as_deref() {
        None | Some("asc") => false,
        Some("desc") => true,
        Some(other) => {
            return Err(QueryError::illegal(format!("Unknown order [{other}]")));
        }
    };
    let missing_bucket = reader.boolean("missing_bucket")?.unwrap_or(false);
    let missing_order = missing_order(&mut reader)?;
    if missing_order != MissingOrder::Default && !missing_bucket {
        return Err(QueryError::illegal(
            "missing_order can only be set if missing_bucket is true",
        ));
    }
    reader.finish()?;
    Ok(CompositeSource {
        name: name.to_owned(),
        source: read,
        values,
        descending,
        missing_bucket,
        missing_order,
    })
}

fn only(value: &Value) -> Option<(&str, &Value)> {
    let entries = value.as_object().filter(|entries| entries.len() == 1)?;
    let (key, value) = entries.iter().next()?;
    Some((key, value))
}

fn malformed(value: &Value) -> QueryError {
    QueryError::parsing(format!(
        "[composite] a source must be an object with a name, in which one type stands, but found [{value}]"
    ))
}

fn missing_order(reader: &mut ObjectReader<'_>) -> Result<MissingOrder, QueryError> {
    Ok(match reader.text("missing_order")?.as_deref() {
        None | Some("default") => MissingOrder::Default,
        Some("first") => MissingOrder::First,
        Some("last") => MissingOrder::Last,
        Some(other) => {
            return Err(QueryError::illegal(format!(
                "Unknown missing_order [{other}], expected one of [first, last, default]"
            )));
        }
    })
}

/// Reads where to go on, in the order of the sources.
fn after(
    entries: &Map<String, Value>,
    sources: &[CompositeSource],
) -> Result<Vec<Value>, QueryError> {
    if entries.len() != sources.len() {
        return Err(QueryError::illegal(format!(
            "[after] has {} value(s) but [sources] has {}",
            entries.len(),
            sources.len()
        )));
    }
    let mut values = Vec::with_capacity(sources.len());
    for source in sources {
        let name = &source.name;
        let value = entries
            .get(name)
            .ok_or_else(|| QueryError::illegal(format!("Missing value for [after.{name}]")))?;
        if value.is_array() || value.is_object() || (value.is_null() && !source.missing_bucket) {
            return Err(QueryError::illegal(format!(
                "Invalid value for [after.{name}]: [{value}]"
            )));
        }
        values.push(value.clone());
    }
    Ok(values)
}

/// Refuses `composite` below buckets that it cannot page through.
pub(super) fn check_parent(parent: &str, kind: &AggregationKind) -> Result<(), QueryError> {
    if matches!(kind, AggregationKind::Composite(_)) && parent != "filter" {
        return Err(QueryError::new(
            ErrorType::IllegalArgument,
            format!(
                "[composite] aggregation cannot be used with a parentAggregation of type: [{parent}]"
            ),
        ));
    }
    Ok(())
}

/// Reads the body of `multi_terms`.
pub(super) fn multi_terms(
    body: &Value,
    context: Context<'_>,
) -> Result<AggregationKind, QueryError> {
    let mut reader = ObjectReader::part("multi_terms", body)?;
    let given = match reader.take("terms") {
        Some(Value::Array(items)) => items.as_slice(),
        Some(value) => return Err(reader.wrong("terms", "an array", value)),
        None => &[],
    };
    if given.len() < 2 || given.len() > MAX_SOURCES {
        return Err(QueryError::illegal(format!(
            "The [terms] parameter in the aggregation [{}] must be present and have at least 2 fields, at \
             most {MAX_SOURCES}, but it has {}",
            context.name,
            given.len()
        )));
    }
    let one = |value| {
        let mut reader = ObjectReader::part("terms", value)?;
        let read = source::read(&mut reader)?;
        reader.finish()?;
        Ok(read)
    };
    let sources = given.iter().map(one);
    let sources = sources.collect::<Result<Vec<_>, QueryError>>()?;
    let size = terms::size(&mut reader, "size", context)?;
    terms::size_of_shards(&mut reader, context)?;
    reader.ignore(&["collect_mode", "shard_min_doc_count"]);
    let min_doc_count = source::at_least(&mut reader, "min_doc_count", 1, context)?;
    let order = order::read(&mut reader)?;
    let show_error = reader.boolean("show_term_doc_count_error")?;
    reader.finish()?;
    Ok(AggregationKind::MultiTerms(MultiTermsAggregation {
        sources,
        size: size.unwrap_or(terms::DEFAULT_SIZE),
        min_doc_count: min_doc_count.unwrap_or(1),
        order: order.unwrap_or_else(|| vec![(BucketOrder::Count, true)]),
        show_term_doc_count_error: show_error.unwrap_or(false),
    }))
}
