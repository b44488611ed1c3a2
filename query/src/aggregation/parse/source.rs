//! Where an aggregation's values come from, and numbers with bounds of their own.

use serde_json::Value;

use super::Context;
use crate::aggregation::{ValueSource, ValueType};
use crate::date::TimeZone;
use crate::error::QueryError;
use crate::json::ObjectReader;
use crate::mapping::DOCUMENT_METADATA;

/// Reads `field`, `value_type`, `missing` and `format`; scripts are refused.
pub(super) fn read(reader: &mut ObjectReader<'_>) -> Result<ValueSource, QueryError> {
    reader.unsupported(&["script"])?;
    let missing = reader.take("missing");
    if let Some(value) = missing
        && (value.is_array() || value.is_object())
    {
        return Err(reader.wrong("missing", "a value", value));
    }
    Ok(ValueSource {
        field: field(reader)?,
        value_type: value_type(reader)?,
        missing: missing.filter(|value| !value.is_null()).cloned(),
        format: reader.text("format")?,
    })
}

/// Reads `value_type`, by the names that Elasticsearch's `ValueType` is read from.
fn value_type(reader: &mut ObjectReader<'_>) -> Result<Option<ValueType>, QueryError> {
    let Some(name) = reader.text("value_type")? else {
        return Ok(None);
    };
    Ok(Some(match name.as_str() {
        "string" => ValueType::Text,
        "byte" | "short" | "integer" | "long" | "number" | "numeric" => ValueType::Long,
        "float" | "double" => ValueType::Double,
        "boolean" => ValueType::Boolean,
        "date" => ValueType::Date,
        "ip" => ValueType::Ip,
        _ => return Err(QueryError::illegal(format!("Unknown value type [{name}]"))),
    }))
}

/// Reads `field`, which must be there.
pub(super) fn field(reader: &mut ObjectReader<'_>) -> Result<String, QueryError> {
    let field = reader.text("field")?.filter(|field| !field.is_empty());
    let field = field.ok_or_else(|| {
        QueryError::illegal("Required one of fields [field, script], but none were specified. ")
    })?;
    // They would be as empty as fields that nobody knows.
    if DOCUMENT_METADATA.contains(&field.as_str()) {
        return Err(QueryError::illegal(format!(
            "aggregations over the metadata field [{field}] are not supported"
        )));
    }
    Ok(field)
}

/// Reads a whole number that must be at least `low`.
pub(super) fn at_least(
    reader: &mut ObjectReader<'_>,
    key: &'static str,
    low: i64,
    context: Context<'_>,
) -> Result<Option<u64>, QueryError> {
    let Some(number) = reader.integer(key)? else {
        return Ok(None);
    };
    if number < low {
        let bound = if low == 1 {
            "greater than 0".to_owned()
        } else {
            format!("greater than or equal to {low}")
        };
        return Err(QueryError::illegal(format!(
            "[{key}] must be {bound}. Found [{number}] in [{}]",
            context.name
        )));
    }
    Ok(u64::try_from(number).ok())
}

/// Reads `time_zone` and checks it.
pub(super) fn time_zone(reader: &mut ObjectReader<'_>) -> Result<Option<String>, QueryError> {
    let zone = reader.text("time_zone")?;
    if let Some(zone) = &zone {
        TimeZone::parse(zone)?;
    }
    Ok(zone)
}

/// Bounds as given; one of them may be absent.
#[derive(Clone, Copy)]
pub(super) struct Bounds<'a> {
    pub(super) min: Option<&'a Value>,
    pub(super) max: Option<&'a Value>,
}

/// Reads `{"min": …, "max": …}`; `None` where neither is given.
pub(super) fn bounds<'a>(
    reader: &mut ObjectReader<'a>,
    key: &'static str,
) -> Result<Option<Bounds<'a>>, QueryError> {
    let Some(value) = reader.take(key).filter(|value| !value.is_null()) else {
        return Ok(None);
    };
    let mut inner = ObjectReader::part(key, value)?;
    let mut bound = |key| inner.take(key).filter(|value| !value.is_null());
    let (min, max) = (bound("min"), bound("max"));
    inner.finish()?;
    for bound in [min, max].into_iter().flatten() {
        if bound.is_array() || bound.is_object() {
            return Err(reader.wrong(key, "a value for each bound", bound));
        }
    }
    Ok((min.is_some() || max.is_some()).then_some(Bounds { min, max }))
}

/// Reads a finite number, also from text.
pub(super) fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    number.filter(|number| number.is_finite())
}
