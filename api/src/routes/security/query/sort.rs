//! The order of API keys that were found.

use std::cmp::Ordering;

use gleaner_query::QueryError;
use gleaner_query::date::{DateFormatter, DateReader, TimeZone};
use gleaner_query::json::ObjectReader;
use gleaner_query::search::is_descending;
use serde_json::Value;

use super::Entry;
use super::field::{DATE_FORMAT, Field, FieldValue};

/// Most fields that keys are sorted by.
const MOST_KEYS: usize = 16;

/// A field that keys are sorted by.
#[derive(Debug)]
pub(super) struct SortKey {
    field: Field,
    is_descending: bool,
    /// What its dates are shown and read as; `None`: milliseconds since the epoch.
    format: Option<DateFormatter>,
}

/// Reads `sort`: one field or a list of them.
///
/// # Errors
/// Fields and options that are not known, by name.
pub(super) fn parse(sort: &Value) -> Result<Vec<SortKey>, QueryError> {
    let keys = match sort {
        Value::Array(keys) => keys.as_slice(),
        one => std::slice::from_ref(one),
    };
    if keys.len() > MOST_KEYS {
        return Err(QueryError::illegal(format!(
            "[sort] has [{}] fields, at most [{MOST_KEYS}] are taken",
            keys.len()
        )));
    }
    keys.iter().map(parse_key).collect()
}

fn parse_key(key: &Value) -> Result<SortKey, QueryError> {
    if let Value::String(name) = key {
        return Ok(SortKey::new(Field::parse(name)?));
    }
    let mut entries = key.as_object().into_iter().flatten();
    let (Some((name, options)), None) = (entries.next(), entries.next()) else {
        return Err(QueryError::parsing(
            "[sort] takes names of fields, and objects with one field each",
        ));
    };
    let mut sort = SortKey::new(Field::parse(name)?);
    if let Value::String(order) = options {
        sort.is_descending = is_descending(order)?;
        return Ok(sort);
    }
    let mut reader = ObjectReader::part(name, options)?;
    if let Some(order) = reader.text("order")? {
        sort.is_descending = is_descending(&order)?;
    }
    if let Some(format) = reader.text("format")? {
        let formatter = DateFormatter::parse_pattern(&format)?;
        sort.format = Some(formatter).filter(|_| sort.field.is_date());
    }
    reader.ignore(&["unmapped_type"]);
    reader.finish()?;
    Ok(sort)
}

/// Reads `search_after`: a value for each field of `sort`.
///
/// # Errors
/// Where their numbers differ, and for values that cannot be read.
pub(super) fn parse_after(
    sort: &[SortKey],
    values: &[Value],
    now_ms: i64,
) -> Result<Vec<FieldValue>, QueryError> {
    if sort.is_empty() {
        return Err(QueryError::illegal("Sort must contain at least one field."));
    }
    if sort.len() != values.len() {
        return Err(QueryError::illegal(format!(
            "search_after has {} value(s) but sort has {}.",
            values.len(),
            sort.len()
        )));
    }
    let pairs = sort.iter().zip(values);
    pairs.map(|(key, value)| key.read(value, now_ms)).collect()
}

/// Compares the values of two keys.
pub(super) fn compare(sort: &[SortKey], a: &[FieldValue], b: &[FieldValue]) -> Ordering {
    for (key, (a, b)) in sort.iter().zip(a.iter().zip(b)) {
        let ordering = match key.is_descending {
            true => b.cmp(a),
            false => a.cmp(b),
        };
        if ordering != Ordering::Equal {
            return ordering;
        }
    }
    Ordering::Equal
}

impl SortKey {
    fn new(field: Field) -> Self {
        Self {
            field,
            is_descending: false,
            format: None,
        }
    }

    /// Returns the value that a key is sorted by.
    pub(super) fn value(&self, entry: Entry<'_>) -> FieldValue {
        let value = self.field.value(entry);
        value.unwrap_or_else(|| self.missing())
    }

    /// Returns what stands for a date that is not there: it comes last, as in the dialect.
    fn missing(&self) -> FieldValue {
        FieldValue::Date(match self.is_descending {
            true => i64::MIN,
            false => i64::MAX,
        })
    }

    /// Returns a value as `_sort` shows it, and `search_after` takes it.
    pub(super) fn show(&self, value: &FieldValue) -> Value {
        match (value, &self.format) {
            (FieldValue::Text(text), _) => text.as_str().into(),
            (FieldValue::Flag(flag), _) => (*flag).into(),
            (FieldValue::Date(ms), Some(format)) if *value != self.missing() => {
                format.format(*ms).into()
            }
            (FieldValue::Date(ms), _) => (*ms).into(),
        }
    }

    fn read(&self, value: &Value, now_ms: i64) -> Result<FieldValue, QueryError> {
        if !self.field.is_date() {
            return self.field.read_undated(value);
        }
        if let Some(ms) = value.as_i64() {
            return Ok(FieldValue::Date(ms));
        }
        if value.is_null() {
            return Ok(self.missing());
        }
        let default = DateFormatter::parse_pattern(DATE_FORMAT)?;
        let dates = DateReader {
            formatter: self.format.as_ref().unwrap_or(&default),
            zone: &TimeZone::UTC,
            now_ms,
        };
        self.field.read(value, &dates, false)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_shown_is_read_again() {
        let sort = json!([
            "name",
            {"creation": {"order": "desc", "format": "date_time"}},
            {"expiration": "desc"},
            {"invalidated": {}},
        ]);
        let sort = parse(&sort).expect("a sort");
        let values = [
            FieldValue::Text("a".to_owned()),
            FieldValue::Date(1_629_250_154_811),
            FieldValue::Date(i64::MIN),
            FieldValue::Flag(true),
        ];
        let shown = sort.iter().zip(&values).map(|(key, value)| key.show(value));
        let shown: Vec<Value> = shown.collect();
        assert_eq!(shown[1], "2021-08-18T01:29:14.811Z");
        let read = parse_after(&sort, &shown, 0).expect("values");
        assert_eq!(read, values);
    }

    #[test]
    fn dates_that_are_not_there_come_last() {
        for (order, missing) in [("asc", i64::MAX), ("desc", i64::MIN)] {
            let sort = parse(&json!([{"expiration": order}])).expect("a sort");
            let there = [FieldValue::Date(5)];
            let missing = [FieldValue::Date(missing)];
            assert_eq!(compare(&sort, &there, &missing), Ordering::Less, "{order}");
        }
        let wrong = parse(&json!([{"name": "up"}])).expect_err("no order");
        assert!(wrong.reason.contains("[up]"), "{}", wrong.reason);
    }
}
