//! Values of requests as keys of buckets.

use gleaner_query::address;
use gleaner_query::aggregation::{CompositeSource, CompositeValues, TermsAggregation, ValueSource};
use gleaner_query::decimal;
use serde_json::Value;

use super::key_filter::KeyFilter;
use super::{bounds, formats};
use crate::cells;
use crate::control::Control;
use crate::error::EvaluationError;
use crate::key::{Fraction, Key, ValueFormat, ValueKind};

/// The values of a `terms` request, read by the type of its field.
pub struct TermsRequest {
    /// How keys are shown.
    pub format: ValueFormat,
    /// The key of documents without a value.
    pub missing: Option<Key>,
    /// Which keys are wanted.
    pub filter: Option<KeyFilter>,
}

impl TermsRequest {
    /// Reads the values of `request`; without a `control` it is only checked, and what it says of keys
    /// is not for use.
    ///
    /// # Errors
    /// When a value is not of the field's type, a pattern is refused, or `control` stops.
    pub fn read(
        request: &TermsAggregation,
        mut format: ValueFormat,
        now_ms: i64,
        control: Option<&Control>,
    ) -> Result<Self, EvaluationError> {
        let missing = request.source.missing.as_ref();
        if format.kind == ValueKind::Unmapped && missing.is_some_and(Value::is_string) {
            format.kind = ValueKind::Keyword;
        }
        let missing = missing.map(|value| missing_key(value, &format, now_ms));
        let missing = missing.transpose()?;
        let (include, exclude) = (request.include.as_ref(), request.exclude.as_ref());
        let filter = KeyFilter::new(include, exclude, &format, now_ms, control)?;
        Ok(Self {
            format,
            missing,
            filter,
        })
    }
}

/// Reads a value of a request as a key of values of a type.
pub fn parse_key(value: &Value, format: &ValueFormat, now_ms: i64) -> Result<Key, EvaluationError> {
    // A date that a root asks for again: where the field is none, a number.
    let asked_again = value.get("ms").filter(|ms| ms.is_i64());
    let value = asked_again.unwrap_or(value);
    Ok(match format.kind {
        ValueKind::Keyword | ValueKind::Unmapped => Key::Text(match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }),
        ValueKind::Ip => Key::Ip(parse_ip(value.as_str().unwrap_or_default())?),
        ValueKind::Double => Key::F64(Fraction::from(bounds::number(value, format, now_ms)?)),
        ValueKind::Date => match asked_again.and_then(Value::as_i64) {
            Some(ms) => Key::I64(ms),
            None => Key::I64(bounds::date(value, format, now_ms)?),
        },
        ValueKind::UnsignedLong => match whole_text(value).and_then(|text| text.parse().ok()) {
            Some(value) => Key::U64(value),
            None => Key::U64(bounds::number(value, format, now_ms)? as u64),
        },
        ValueKind::Long | ValueKind::Boolean => {
            match whole_text(value).and_then(|text| text.parse().ok()) {
                Some(value) => Key::I64(value),
                None => Key::I64(bounds::number(value, format, now_ms)? as i64),
            }
        }
    })
}

/// Reads what stands for missing values: as [`parse_key`] does, but a number for dates is one of milliseconds,
/// whatever their format.
pub fn missing_key(
    value: &Value,
    format: &ValueFormat,
    now_ms: i64,
) -> Result<Key, EvaluationError> {
    match (format.kind, value) {
        (ValueKind::Date, Value::Number(_)) => {
            bounds::missing(value, format, now_ms).map(|ms| Key::I64(ms as i64))
        }
        _ => parse_key(value, format, now_ms),
    }
}

fn whole_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Reads an address in its IPv6 form.
pub fn parse_ip(text: &str) -> Result<u128, EvaluationError> {
    let refused = || EvaluationError::Query(format!("'{text}' is not an IP string literal."));
    address::parse_ip(text).ok_or_else(refused)
}

/// Returns what stands for missing addresses.
pub fn missing_address(source: &ValueSource) -> Result<Option<u128>, EvaluationError> {
    let missing = source.missing.as_ref();
    let missing = missing.map(|value| parse_ip(value.as_str().unwrap_or_default()));
    missing.transpose()
}

/// Reads where a page of `composite` begins as the part of its source: texts by the source's format.
///
/// # Errors
/// When the value is none of the source's.
pub fn after_key(
    source: &CompositeSource,
    value: &Value,
    format: &ValueFormat,
    now_ms: i64,
) -> Result<Key, EvaluationError> {
    let is_date = format.kind == ValueKind::Date
        || matches!(source.values, CompositeValues::DateHistogram { .. });
    let unformatted = match value {
        Value::String(text) if !is_date => number_in(text, source, format)?,
        _ => None,
    };
    let value = unformatted.as_ref().unwrap_or(value);
    match &source.values {
        CompositeValues::GeoTile { zoom, .. } => {
            let text = value.as_str().unwrap_or_default();
            cells::tile_of(text, *zoom).map(Key::I64).ok_or_else(|| {
                EvaluationError::Query(format!("Invalid geotile_grid [{text}] in [after]"))
            })
        }
        CompositeValues::Histogram(_) => bounds::number(
            value,
            &formats::of_fractions(ValueFormat::default()),
            now_ms,
        )
        .map(|value| Key::F64(Fraction::from(value))),
        _ if is_date => match value.as_i64().filter(|_| source.source.format.is_none()) {
            Some(ms) => Ok(Key::I64(ms)),
            None => {
                let format = ValueFormat {
                    kind: ValueKind::Date,
                    ..format.clone()
                };
                bounds::date(value, &format, now_ms).map(Key::I64)
            }
        },
        _ => {
            // Of whole numbers those on the far side of a fraction follow.
            let fraction = value.as_f64().filter(|number| number.fract() != 0.0);
            let is_whole = matches!(format.kind, ValueKind::Long | ValueKind::UnsignedLong);
            let whole = fraction
                .filter(|_| is_whole)
                .map(|number| match source.descending {
                    true => number.ceil(),
                    false => number.floor(),
                });
            let whole = whole.map(|number| Value::from(number as i64));
            parse_key(whole.as_ref().unwrap_or(value), format, now_ms)
        }
    }
}

/// Reads a number by the format of its source; `None` where the source has no numbers, or no format.
fn number_in(
    text: &str,
    source: &CompositeSource,
    format: &ValueFormat,
) -> Result<Option<Value>, EvaluationError> {
    let is_number = matches!(
        format.kind,
        ValueKind::Long | ValueKind::UnsignedLong | ValueKind::Double
    );
    match source.source.format.as_deref().filter(|_| is_number) {
        None => Ok(None),
        Some(pattern) => match decimal::unformat(pattern, text) {
            Some(number) => Ok(Some(Value::from(number))),
            None => Err(EvaluationError::Query(format!(
                "Cannot parse the value [{text}] using the pattern [{pattern}]"
            ))),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_date_asked_for_again_is_a_number_where_the_field_is_no_date() {
        for (kind, key) in [
            (ValueKind::Date, Key::I64(5)),
            (ValueKind::Long, Key::I64(5)),
            (ValueKind::UnsignedLong, Key::U64(5)),
            (ValueKind::Double, Key::F64(Fraction::from(5.0))),
            (ValueKind::Unmapped, Key::Text("5".to_owned())),
        ] {
            let format = ValueFormat {
                kind,
                ..ValueFormat::default()
            };
            let read = parse_key(&json!({"ms": 5}), &format, 0).expect("it is read");
            assert_eq!(read, key, "{format:?}");
        }
    }

    #[test]
    fn keys_that_are_asked_for_again_are_read_as_they_were() {
        let format = |kind, pattern: Option<&str>| ValueFormat {
            kind,
            pattern: pattern.map(str::to_owned),
            time_zone: None,
        };
        for (format, key) in [
            (format(ValueKind::Date, None), Key::I64(2_020)),
            (
                format(ValueKind::Date, Some("epoch_second")),
                Key::I64(86_400_000),
            ),
            (format(ValueKind::Date, Some("yyyy-MM-dd")), Key::I64(-1)),
            (format(ValueKind::Boolean, None), Key::I64(1)),
            (format(ValueKind::Long, None), Key::I64(i64::MIN)),
            (format(ValueKind::UnsignedLong, None), Key::U64(u64::MAX)),
            (
                format(ValueKind::Double, None),
                Key::F64(Fraction::from(0.1)),
            ),
            (format(ValueKind::Keyword, None), Key::Text("5".to_owned())),
            (format(ValueKind::Ip, None), Key::Ip(1)),
        ] {
            let read = parse_key(&format.key_value(&key), &format, 0).expect("it is read");
            assert_eq!(read, key, "{format:?}");
        }
    }
}
