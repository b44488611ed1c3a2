//! How keys and numbers are shown: dates by their format, numbers by a pattern, booleans as words.

use gleaner_query::address::ip_text;
use gleaner_query::answer::BucketKey;
use gleaner_query::decimal;
use gleaner_query::double::java_text;
use serde_json::Value;

use crate::key::{Key, ValueFormat, ValueKind};
use crate::request::bounds;

/// Returns the type name of `terms` over values of `kind`. Without a field it is that of text: so does
/// Elasticsearch, whose clients read it.
pub(super) fn terms_type(kind: ValueKind) -> &'static str {
    match kind {
        ValueKind::Unmapped | ValueKind::Keyword | ValueKind::Ip => "sterms",
        ValueKind::Long | ValueKind::Boolean | ValueKind::Date => "lterms",
        ValueKind::UnsignedLong => "ulterms",
        ValueKind::Double => "dterms",
    }
}

/// Returns the type name of `rare_terms` over values of `kind`.
pub(super) fn rare_type(kind: ValueKind) -> &'static str {
    match kind {
        ValueKind::Unmapped => "umrareterms",
        ValueKind::Keyword | ValueKind::Ip => "srareterms",
        _ => "lrareterms",
    }
}

/// Returns a key as it stands among others in a key of several values; `is_formatted` says that the request has
/// a format.
pub(super) fn part_value(format: &ValueFormat, key: &Key, is_formatted: bool) -> Value {
    match (format.kind, key) {
        (ValueKind::Boolean, Key::I64(value)) => Value::Bool(*value != 0),
        _ if is_formatted => match key_text(format, key) {
            Some(text) => Value::from(text),
            None => plain_value(key),
        },
        _ => plain_value(key),
    }
}

fn plain_value(key: &Key) -> Value {
    match key {
        Key::I64(value) => Value::from(*value),
        Key::U64(value) => Value::from(*value),
        Key::F64(value) => Value::from(value.get()),
        Key::Text(text) => Value::from(text.as_str()),
        Key::Ip(address) => Value::from(ip_text(*address)),
    }
}

/// Returns the key as it is answered.
pub(super) fn bucket_key(key: &Key) -> BucketKey {
    match key {
        Key::I64(value) => BucketKey::I64(*value),
        Key::U64(value) => BucketKey::U64(*value),
        Key::F64(value) => BucketKey::F64(value.get()),
        Key::Text(text) => BucketKey::Text(text.clone()),
        Key::Ip(address) => BucketKey::Text(ip_text(*address)),
    }
}

/// Returns the key as it is answered among keys that are all texts or, for any other `kind`, whole numbers.
pub(super) fn key_of_type(kind: ValueKind, format: &ValueFormat, key: &Key) -> BucketKey {
    let whole = match key {
        // Whole numbers with a sign and those without one meet as fractions.
        Key::F64(value) if value.get() < i64::MAX as f64 => BucketKey::I64(value.get() as i64),
        Key::F64(value) => BucketKey::U64(value.get() as u64),
        other => bucket_key(other),
    };
    if !matches!(kind, ValueKind::Keyword | ValueKind::Ip) {
        return whole;
    }
    match (key_text(format, key), whole) {
        (Some(text), _) => BucketKey::Text(text),
        (None, BucketKey::I64(number)) => BucketKey::Text(number.to_string()),
        (None, BucketKey::U64(number)) => BucketKey::Text(number.to_string()),
        (None, other) => other,
    }
}

/// Returns the key's formatted form, where one is shown.
pub(super) fn key_text(format: &ValueFormat, key: &Key) -> Option<String> {
    match (format.kind, key) {
        (ValueKind::Boolean, Key::I64(value)) => Some((*value != 0).to_string()),
        (ValueKind::Date, Key::I64(value)) => date_text(format, *value),
        // A number of another index that is beyond all dates.
        (ValueKind::Date, Key::U64(_)) => None,
        (_, Key::I64(value)) => whole_text(format, (*value).into()),
        (_, Key::U64(value)) => whole_text(format, (*value).into()),
        (_, Key::F64(value)) => number_text(format, value.get()),
        (_, Key::Text(_) | Key::Ip(_)) => None,
    }
}

/// Returns the formatted form of a whole number, every digit as it is, where the request has a pattern.
fn whole_text(format: &ValueFormat, value: i128) -> Option<String> {
    let pattern = format.pattern.as_deref()?;
    Some(decimal::format_whole(pattern, value))
}

/// Returns the formatted form of a number: of a date, a boolean, or where the request has a pattern.
pub(super) fn number_text(format: &ValueFormat, value: f64) -> Option<String> {
    match format.kind {
        ValueKind::Boolean => Some((value != 0.0).to_string()),
        // Means of dates are cut to whole milliseconds, as Elasticsearch does.
        ValueKind::Date => date_text(format, value as i64),
        _ => format
            .pattern
            .as_deref()
            .map(|pattern| decimal::format(pattern, value)),
    }
}

/// Returns a bound as it stands in the key of a range.
pub(super) fn bound_text(format: &ValueFormat, value: f64) -> String {
    number_text(format, value).unwrap_or_else(|| java_text(value))
}

fn date_text(format: &ValueFormat, ms: i64) -> Option<String> {
    let zone = bounds::zone(format.time_zone.as_deref()).ok()?;
    let formatter = bounds::formatter(format.pattern.as_deref()).ok()?;
    Some(formatter.format_in(ms, &zone))
}
