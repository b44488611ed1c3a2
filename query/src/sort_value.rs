//! How values of sort keys are shown: addresses as text, dates in the format asked for.
//!
//! Leaves and roots compare values in another form (see [`crate::order`]); it is turned into the shown
//! one where hits are joined with their content.

use gleaner_model::FieldKind;
use gleaner_model::mapping::Mapping;
use serde_json::Value;

use crate::QueryError;
use crate::address::ip_text;
use crate::answer::SortValue;
use crate::date::DateFormatter;
use crate::search::{SortKey, SortTarget};

/// Returns the formats that values of each key are shown in, in an index of `mapping`: of dates that
/// were asked for in one.
///
/// # Errors
/// `illegal_argument_exception` for a `format` that is none of dates.
pub fn formats(
    keys: &[SortKey],
    mapping: &Mapping,
) -> Result<Vec<Option<DateFormatter>>, QueryError> {
    keys.iter().map(|key| format_of(key, mapping)).collect()
}

fn format_of(key: &SortKey, mapping: &Mapping) -> Result<Option<DateFormatter>, QueryError> {
    let (SortTarget::Field(path), Some(pattern)) = (&key.target, &key.format) else {
        return Ok(None);
    };
    let kind = mapping.field(path).map(|field| &field.kind);
    match kind {
        Some(FieldKind::Date { .. }) => DateFormatter::parse_pattern(pattern).map(Some),
        _ => Ok(None),
    }
}

/// Returns the values of a hit's keys as they are shown, by the [`formats`] of its index.
pub fn all_shown(values: &[SortValue], formats: &[Option<DateFormatter>]) -> Vec<Value> {
    let formats = formats.iter().map(Option::as_ref);
    let formats = formats.chain(std::iter::repeat(None));
    let shown = values.iter().zip(formats);
    shown
        .map(|(value, format)| shown_in(value, format))
        .collect()
}

fn shown_in(value: &SortValue, format: Option<&DateFormatter>) -> Value {
    match (value, format) {
        (SortValue::I64(ms), Some(format)) => Value::from(format.format(*ms)),
        _ => shown(value),
    }
}

/// Returns a value without a format as it is shown and as `search_after` takes it back.
fn shown(value: &SortValue) -> Value {
    match value {
        SortValue::I64(number) => Value::from(*number),
        SortValue::U64(number) => Value::from(*number),
        SortValue::F64(number) => Value::from(*number),
        SortValue::Text(text) => Value::from(text.as_str()),
        SortValue::Ip(address) => Value::from(ip_text(*address)),
        SortValue::Missing => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_as_text() {
        let values = [SortValue::Ip(1), SortValue::Ip(0xffff_0900_0001)];
        assert_eq!(all_shown(&values, &[]), ["::1", "9.0.0.1"]);
    }

    #[test]
    fn only_what_has_a_format_is_shown_in_it() {
        let format = DateFormatter::parse_pattern("yyyy/MM/dd").expect("a pattern");
        let values = [SortValue::I64(0), SortValue::Missing, SortValue::I64(0)];
        let formats = [Some(format.clone()), Some(format), None];
        let expected = serde_json::json!(["1970/01/01", null, 0]);
        assert_eq!(Value::from(all_shown(&values, &formats)), expected);
    }
}
