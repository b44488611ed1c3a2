//! Where an aggregation's values come from, and numbers with bounds of their own.

use serde_json::Value;

use super::Context;
use crate::aggregation::{ValueSource, ValueType};
use crate::date::TimeZone;
use crate::error::QueryError;
use crate::json::ObjectReader;
use crate::mapping::{ValuesAsked, check_values_of};

/// Reads `field`, `value_type`, `missing` and `format`; scripts are refused.
pub(super) fn read(reader: &mut ObjectReader<'_>) -> Result<ValueSource, QueryError> {
    let source = read_counted(reader)?;
    check_values_of(&source.field, ValuesAsked::Aggregation)?;
    Ok(source)
}

/// As [`read`], for what counts values without showing them: ids can be counted.
pub(super) fn read_counted(reader: &mut ObjectReader<'_>) -> Result<ValueSource, QueryError> {
    reader.unsupported(&["script"])?;
    let missing = reader.take("missing");
    if let Some(value) = missing
        && (value.is_array() || value.is_object())
    {
        return Err(reader.wrong("missing", "a value", value));
    }
    Ok(ValueSource {
        field: counted_field(reader)?,
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
    let field = counted_field(reader)?;
    check_values_of(&field, ValuesAsked::Aggregation)?;
    Ok(field)
}

fn counted_field(reader: &mut ObjectReader<'_>) -> Result<String, QueryError> {
    let field = reader.text("field")?.filter(|field| !field.is_empty());
    let field = field.ok_or_else(|| {
        QueryError::illegal("Required one of fields [field, script], but none were specified. ")
    })?;
    check_values_of(&field, ValuesAsked::Count)?;
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::aggregation::parse_aggregations;
    use crate::limits::Limits;

    #[test]
    fn the_name_of_the_index_has_values_and_ids_are_only_counted() {
        for (kind, is_counting) in [
            ("value_count", true),
            ("cardinality", true),
            ("missing", true),
            ("terms", false),
            ("max", false),
            ("rare_terms", false),
            ("geo_bounds", false),
        ] {
            let read = |field: &str| {
                let request = json!({"a": {kind: {"field": field}}});
                parse_aggregations(&request, &Limits::default())
            };
            assert!(read("_index").is_ok(), "{kind}");
            let of_ids = read("_id");
            assert_eq!(of_ids.is_ok(), is_counting, "{kind}");
            if let Err(error) = of_ids {
                assert!(error.reason.contains("[_id] can only"), "{error}");
            }
            for name in [
                "_routing",
                "_ignored",
                "_field_names",
                "_doc_count",
                "_nested_path",
                "_tier",
                "_type",
            ] {
                let refused = read(name).expect_err("it has no values");
                assert!(refused.reason.contains(&format!("[{name}]")), "{refused}");
            }
        }
    }
}
