//! Values of fields of ranges: the bounds that `_source` names, each as the mapping reads it.

use gleaner_model::FieldKind;
use gleaner_model::mapping::Codec;
use gleaner_query::address::{ip_text, parse_ip};
use gleaner_query::date::{DateFormatter, DateReader, Instant, TimeZone};
use serde_json::{Map, Value};

use super::{Format, shortest};

/// Reads the ranges of one field.
pub(super) struct RangeReader {
    codec: Codec,
    /// How dates are written in `_source`; `None` for ranges of other values.
    dates: Option<DateFormatter>,
}

impl RangeReader {
    /// Returns the reader of a field of ranges; `None` for other fields.
    pub(super) fn of(kind: &FieldKind) -> Option<Self> {
        let FieldKind::Encoded { codec, .. } = kind else {
            return None;
        };
        let dates = match codec {
            Codec::GeoPoint => return None,
            // It was read when it was declared.
            Codec::DateRange(format) => DateFormatter::parse_pattern(&format.0).ok(),
            _ => None,
        };
        Some(Self {
            codec: codec.clone(),
            dates,
        })
    }

    /// Returns a range with the names of its bounds as they were given, dates in `format`; `None` for what is no range.
    pub(super) fn show(&self, value: &Value, format: &Format) -> Option<Value> {
        match value {
            Value::Object(bounds) => {
                let mut shown = Map::new();
                for (name, bound) in bounds {
                    shown.insert(name.clone(), self.bound(bound, format)?);
                }
                Some(Value::Object(shown))
            }
            Value::String(text) if self.codec == Codec::IpRange => network(text).map(Value::from),
            _ => None,
        }
    }

    fn bound(&self, bound: &Value, format: &Format) -> Option<Value> {
        if bound.is_null() {
            return Some(Value::Null);
        }
        match &self.codec {
            Codec::IntegerRange | Codec::LongRange => whole(bound),
            Codec::FloatRange => Some(fraction(shortest(number(bound)?), bound)),
            Codec::DoubleRange => Some(fraction(number(bound)?, bound)),
            Codec::DateRange(_) => self
                .date(bound)
                .map(|ms| format.date(Instant::from_millis(ms))),
            Codec::IpRange => parse_ip(bound.as_str()?).map(|address| ip_text(address).into()),
            Codec::GeoPoint => None,
        }
    }

    fn date(&self, bound: &Value) -> Option<i64> {
        let reader = DateReader {
            formatter: self.dates.as_ref()?,
            zone: &TimeZone::UTC,
            now_ms: 0,
        };
        reader.read(bound, false).ok()
    }
}

/// Returns a whole number; of a fraction what is in front of its point.
fn whole(bound: &Value) -> Option<Value> {
    if let Ok(exact) = number_text(bound)?.parse::<i64>() {
        return Some(exact.into());
    }
    let number = number(bound)?;
    Some(match number.is_finite() {
        true => Value::from(number as i64),
        false => bound.clone(),
    })
}

/// Returns a fraction; one that is not finite, which earlier versions took and JSON cannot write, as it was `written`.
fn fraction(number: f64, written: &Value) -> Value {
    match number.is_finite() {
        true => Value::from(number),
        false => written.clone(),
    }
}

fn number(bound: &Value) -> Option<f64> {
    number_text(bound)?.parse().ok()
}

fn number_text(bound: &Value) -> Option<String> {
    match bound {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Returns a network with its address as addresses are shown. One of sixteen bytes that holds more than the addresses of
/// four bytes is shown as it was written: its address alone would be shown as one of four.
fn network(text: &str) -> Option<String> {
    let (address, bits) = text.split_once('/')?;
    let bits: u32 = bits.parse().ok()?;
    let shown = ip_text(parse_ip(address)?);
    // An address of four bytes that was written as one of sixteen.
    let is_mapped = address.contains(':') && !shown.contains(':');
    let bits = match is_mapped {
        true => bits.checked_sub(96),
        false => Some(bits),
    };
    Some(match bits {
        Some(bits) => format!("{shown}/{bits}"),
        None => text.to_owned(),
    })
}
