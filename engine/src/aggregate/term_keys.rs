//! Keys of `terms` in one segment: what a column's values are.

use std::hash::Hash;
use std::net::Ipv6Addr;

use gleaner_query::address;
use serde_json::Value;
use tantivy::DocId;
use tantivy::columnar::{Column, StrColumn};

use super::bounds;
use super::key_filter::{KeyFilter, Ordinals};
use super::source::{ip_number, visit_column};
use crate::control::Control;
use crate::error::EngineError;
use crate::partial::key::{Fraction, Key, ValueFormat, ValueKind};

/// Values of one type of column as keys.
pub(super) trait KeyColumn: Send {
    /// A value as it is grouped by; equal values of two documents are equal here.
    type Raw: Copy + Eq + Ord + Hash + Send;

    /// Calls `f` with the place in `docs` and each value, or once with `None` without a value.
    fn visit(&self, docs: &[DocId], f: impl FnMut(usize, Option<Self::Raw>));

    /// Returns the keys of values, which are sorted and distinct.
    fn keys(&self, raws: &[Self::Raw]) -> Result<Vec<Key>, EngineError>;

    /// Returns the number of values where they are numbered from 0.
    fn num_ordinals(&self) -> Option<usize>;

    /// Returns a value's number where they are numbered from 0.
    fn ordinal(raw: Self::Raw) -> usize;

    /// Returns the numbers of the values wanted, where to read a value costs more than to ask for its
    /// number.
    fn wanted(&self, _: &KeyFilter, _: &Control) -> Result<Option<Ordinals>, EngineError> {
        Ok(None)
    }
}

/// Terms of a `keyword` by ordinal.
pub(super) struct Terms(pub(super) StrColumn);

impl KeyColumn for Terms {
    type Raw = u64;

    fn visit(&self, docs: &[DocId], f: impl FnMut(usize, Option<u64>)) {
        visit_column(self.0.ords(), docs, f);
    }

    fn keys(&self, raws: &[u64]) -> Result<Vec<Key>, EngineError> {
        let mut keys = Vec::with_capacity(raws.len());
        let mut push =
            |term: &[u8]| keys.push(Key::Text(String::from_utf8_lossy(term).into_owned()));
        let dictionary = self.0.dictionary();
        let found = dictionary.sorted_ords_to_term_cb(raws, &mut push);
        match found.map_err(EngineError::io("reading terms"))? {
            true => Ok(keys),
            false => Err(EngineError::Corrupt(
                "a column has terms beyond its dictionary".to_owned(),
            )),
        }
    }

    fn num_ordinals(&self) -> Option<usize> {
        Some(self.0.dictionary().num_terms())
    }

    fn ordinal(raw: u64) -> usize {
        raw as usize
    }

    fn wanted(
        &self,
        filter: &KeyFilter,
        control: &Control,
    ) -> Result<Option<Ordinals>, EngineError> {
        filter.ordinals(self.0.dictionary(), control).map(Some)
    }
}

/// Whole numbers, dates.
pub(super) struct Whole(pub(super) Column<i64>);
/// `unsigned_long`.
pub(super) struct Unsigned(pub(super) Column<u64>);
/// Fractions.
pub(super) struct Fractions(pub(super) Column<f64>);
/// Booleans.
pub(super) struct Booleans(pub(super) Column<bool>);
/// Addresses.
pub(super) struct Addresses(pub(super) Column<Ipv6Addr>);

/// Columns whose values are keys by themselves.
macro_rules! value_column {
    ($column:ty, $raw:ty, $to_raw:expr, $to_key:expr) => {
        impl KeyColumn for $column {
            type Raw = $raw;

            fn visit(&self, docs: &[DocId], mut f: impl FnMut(usize, Option<$raw>)) {
                visit_column(&self.0, docs, |i, value| f(i, value.map($to_raw)));
            }

            fn keys(&self, raws: &[$raw]) -> Result<Vec<Key>, EngineError> {
                Ok(raws.iter().copied().map($to_key).collect())
            }

            fn num_ordinals(&self) -> Option<usize> {
                None
            }

            fn ordinal(_: $raw) -> usize {
                0
            }
        }
    };
}

value_column!(Whole, i64, |value| value, Key::I64);
value_column!(Unsigned, u64, |value| value, Key::U64);
value_column!(Fractions, Fraction, Fraction::from, Key::F64);
value_column!(Booleans, bool, |value| value, |value| Key::I64(
    value.into()
));
value_column!(Addresses, u128, ip_number, Key::Ip);

/// A column without values.
pub(super) struct Nothing;

impl KeyColumn for Nothing {
    type Raw = u8;

    fn visit(&self, docs: &[DocId], mut f: impl FnMut(usize, Option<u8>)) {
        (0..docs.len()).for_each(|i| f(i, None));
    }

    fn keys(&self, _: &[u8]) -> Result<Vec<Key>, EngineError> {
        Ok(Vec::new())
    }

    fn num_ordinals(&self) -> Option<usize> {
        None
    }

    fn ordinal(_: u8) -> usize {
        0
    }
}

/// Reads a value of a request as a key of values of a type.
pub(super) fn parse_key(
    value: &Value,
    format: &ValueFormat,
    now_ms: i64,
) -> Result<Key, EngineError> {
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
pub(super) fn missing_key(
    value: &Value,
    format: &ValueFormat,
    now_ms: i64,
) -> Result<Key, EngineError> {
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
pub(super) fn parse_ip(text: &str) -> Result<u128, EngineError> {
    let refused = || EngineError::Query(format!("'{text}' is not an IP string literal."));
    address::parse_ip(text).ok_or_else(refused)
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
