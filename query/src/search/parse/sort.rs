//! `sort` in all its forms.

use serde_json::Value;

use super::distance;
use crate::error::QueryError;
use crate::json::{ObjectReader, scalar_text, token_name};
use crate::limits::Limits;
use crate::search::{Missing, SortKey, SortMode, SortTarget};

/// Most keys of one order: each is computed for every match.
const MAX_KEYS: usize = 64;

/// Reads `"field"`, `{"field": "desc"}`, `{"field": {"order": …}}` or an array of these.
///
/// # Errors
/// `parsing_exception` naming what is unknown or of a wrong type;
/// `illegal_argument_exception` for values that do not exist.
pub fn parse_sort(value: &Value) -> Result<Vec<SortKey>, QueryError> {
    let mut keys = Vec::new();
    match value {
        Value::Array(items) => {
            for item in items {
                add(&mut keys, item)?;
            }
        }
        single => add(&mut keys, single)?,
    }
    if keys.len() > MAX_KEYS {
        return Err(QueryError::illegal(format!(
            "[sort] has [{}] keys, more than [{MAX_KEYS}]",
            keys.len()
        )));
    }
    Ok(keys)
}

/// Reads a key as a URI has it: `field` or `field:desc`.
pub(super) fn key_from_text(text: &str) -> Result<SortKey, QueryError> {
    match text.rsplit_once(':') {
        None => key_of(text),
        Some((field, order)) => Ok(SortKey {
            descending: is_descending(order)?,
            ..key_of(field)?
        }),
    }
}

fn add(keys: &mut Vec<SortKey>, value: &Value) -> Result<(), QueryError> {
    match value {
        Value::String(field) => keys.push(key_of(field)?),
        Value::Object(entries) => {
            for (field, options) in entries {
                keys.push(key(field, options)?);
            }
        }
        other => {
            return Err(QueryError::parsing(format!(
                "malformed sort format, within the sort array, an object, or an actual string are \
                 allowed, but found [{}]",
                token_name(other)
            )));
        }
    }
    Ok(())
}

fn key(field: &str, options: &Value) -> Result<SortKey, QueryError> {
    if field == "_geo_distance" {
        return distance::key(options);
    }
    let plain = key_of(field)?;
    match options {
        Value::String(order) => Ok(SortKey {
            descending: is_descending(order)?,
            ..plain
        }),
        Value::Object(_) => key_with_options(plain, options),
        other => Err(QueryError::parsing(format!(
            "[sort] expected an order or an object after [{field}] but found [{}]",
            token_name(other)
        ))),
    }
}

/// Returns the key for `field` with its defaults: scores descend, the rest ascends.
fn key_of(field: &str) -> Result<SortKey, QueryError> {
    let target = match field {
        "" => return Err(QueryError::illegal("[sort] field name is null or empty")),
        "_geo_distance" => {
            return Err(QueryError::parsing(
                "[_geo_distance] sort requires a field with points",
            ));
        }
        "_script" => return Err(QueryError::parsing("[_script] sort is not supported")),
        // There is no column of ids.
        "_id" => {
            return Err(QueryError::illegal(
                "sorting by [_id] is not supported: index a copy of it in a [keyword] field",
            ));
        }
        "_score" => SortTarget::Score,
        "_doc" => SortTarget::Doc,
        "_shard_doc" => SortTarget::ShardDoc,
        field => SortTarget::Field(field.to_owned()),
    };
    Ok(SortKey {
        descending: target == SortTarget::Score,
        target,
        missing: Missing::Last,
        mode: None,
        unmapped_type: None,
        format: None,
        numeric_type: None,
    })
}

fn format(reader: &mut ObjectReader<'_>) -> Result<Option<String>, QueryError> {
    let format = reader.text("format")?;
    Limits::check_label("a format of [sort]", format.as_deref().unwrap_or_default())?;
    Ok(format)
}

fn key_with_options(plain: SortKey, options: &Value) -> Result<SortKey, QueryError> {
    let mut reader = ObjectReader::part("field_sort", options)?;
    reader.unsupported(&["nested", "nested_path", "nested_filter", "ignore_unmapped"])?;
    let descending = match reader.text("order")? {
        None => plain.descending,
        Some(order) => is_descending(&order)?,
    };
    let key = if matches!(plain.target, SortTarget::Field(_)) {
        SortKey {
            descending,
            missing: missing(&mut reader)?,
            mode: mode(&mut reader)?,
            unmapped_type: reader.text("unmapped_type")?,
            format: format(&mut reader)?,
            numeric_type: numeric_type(&mut reader)?,
            target: plain.target,
        }
    } else {
        if plain.target != SortTarget::Score {
            // Every document has a place.
            reader.ignore(&["unmapped_type"]);
        }
        SortKey {
            descending,
            ..plain
        }
    };
    reader.finish()?;
    Ok(key)
}

/// Returns whether `order` is `desc`, and not `asc`, in letters of either case.
///
/// # Errors
/// `illegal_argument_exception` for other words.
pub fn is_descending(order: &str) -> Result<bool, QueryError> {
    if order.eq_ignore_ascii_case("desc") {
        Ok(true)
    } else if order.eq_ignore_ascii_case("asc") {
        Ok(false)
    } else {
        Err(QueryError::illegal(format!(
            "[sort] unknown order [{order}], expected [asc] or [desc]"
        )))
    }
}

fn missing(reader: &mut ObjectReader<'_>) -> Result<Missing, QueryError> {
    match reader.take("missing") {
        None => Ok(Missing::Last),
        Some(Value::String(text)) if text == "_last" => Ok(Missing::Last),
        Some(Value::String(text)) if text == "_first" => Ok(Missing::First),
        Some(value) if scalar_text(value).is_some() => Ok(Missing::Value(value.clone())),
        Some(value) => Err(reader.wrong("missing", "[_last], [_first] or a value", value)),
    }
}

pub(super) fn mode(reader: &mut ObjectReader<'_>) -> Result<Option<SortMode>, QueryError> {
    let Some(name) = reader.text("mode")? else {
        return Ok(None);
    };
    match name.to_ascii_lowercase().as_str() {
        "min" => Ok(Some(SortMode::Min)),
        "max" => Ok(Some(SortMode::Max)),
        "sum" => Ok(Some(SortMode::Sum)),
        "avg" => Ok(Some(SortMode::Avg)),
        "median" => Ok(Some(SortMode::Median)),
        _ => Err(QueryError::illegal(format!("Unknown SortMode [{name}]"))),
    }
}

fn numeric_type(reader: &mut ObjectReader<'_>) -> Result<Option<String>, QueryError> {
    match reader.text("numeric_type")? {
        Some(name) if !["long", "double", "date", "date_nanos"].contains(&name.as_str()) => {
            Err(QueryError::illegal(format!(
                "invalid value for [numeric_type], must be [long, double, date, date_nanos], got \
                 [{name}]"
            )))
        }
        given => Ok(given),
    }
}
