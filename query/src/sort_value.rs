//! How values of sort keys are shown: addresses as text, dates in the format asked for, floats of 32 bits
//! by the fewest digits.
//!
//! Leaves and roots compare values in another form (see [`crate::order`]); it is turned into the shown
//! one where hits are joined with their content.
//!
//! Where a number is missing there stands the largest or the smallest of its type, as in Elasticsearch: infinite
//! fractions are shown as text, `Infinity`, and the ends of dates as numbers in any format, since no format gives
//! them back. Other missing values are `null`.
//!
//! Keys of 32-bit floats, scores among them, are *narrow*: their values are compared as doubles, but each is
//! one that a float holds, so the digits that tell floats apart suffice. What a client gives back is rounded
//! again.

use gleaner_model::mapping::Mapping;
use gleaner_model::{FieldKind, NumberKind};
use serde_json::Value;

use crate::QueryError;
use crate::address::ip_text;
use crate::answer::SortValue;
use crate::date::DateFormatter;
use crate::search::{Missing, SortKey, SortTarget};

/// How the values of one key are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// As they are.
    Plain,
    /// Fractions by the fewest digits that tell them from other floats of 32 bits.
    Narrow,
    /// Dates in the format asked for.
    Date(DateFormatter),
}

/// Returns how values of each key are shown, in an index of `mapping`. `narrow` are the
/// [`narrow_keys`] of all indices searched, in the order of `keys`; keys beyond its end are none.
///
/// # Errors
/// `illegal_argument_exception` for a `format` that is none of dates.
pub fn formats(
    keys: &[SortKey],
    mapping: &Mapping,
    narrow: &[bool],
) -> Result<Vec<Format>, QueryError> {
    let narrow = narrow.iter().copied().chain(std::iter::repeat(false));
    let formats = keys.iter().zip(narrow).map(|(key, is_narrow)| {
        let date = date_format(key, mapping);
        date.map(|date| match date {
            Some(format) => Format::Date(format),
            None if is_narrow => Format::Narrow,
            None => Format::Plain,
        })
    });
    formats.collect()
}

/// Returns for each key whether all its values are floats of 32 bits, whichever of the indices with
/// these mappings they are from. Where one index keeps doubles, two values may differ in digits that
/// a float does not have: none are narrow then.
pub fn narrow_keys<'m>(
    keys: &[SortKey],
    mappings: &(impl Iterator<Item = &'m Mapping> + Clone),
) -> Vec<bool> {
    let is_narrow_in_all = |key: &SortKey| {
        let mut indices = mappings.clone().filter_map(|of| is_narrow(key, of));
        indices.next() == Some(true) && indices.all(|narrow| narrow)
    };
    keys.iter().map(is_narrow_in_all).collect()
}

/// Returns whether the values of a key are floats of 32 bits in an index of `mapping`: scores, and those of
/// a `float` or `half_float` that no `numeric_type` turns into others. `None` where the index has no values
/// of it.
pub fn is_narrow(key: &SortKey, mapping: &Mapping) -> Option<bool> {
    let path = match &key.target {
        SortTarget::Field(path) => path,
        SortTarget::Score => return Some(true),
        SortTarget::Doc | SortTarget::ShardDoc | SortTarget::Distance(_) => return Some(false),
    };
    let is_float = match mapping.field(path) {
        Some(field) => matches!(
            field.kind,
            FieldKind::Number {
                number: NumberKind::Float | NumberKind::HalfFloat,
                ..
            }
        ),
        // Only what stands for a missing value is of the type assumed.
        None if matches!(key.missing, Missing::Value(_)) => {
            matches!(key.unmapped_type.as_deref()?, "float" | "half_float")
        }
        None => return None,
    };
    Some(is_float && key.numeric_type.is_none())
}

/// Returns the float of 32 bits that is nearest to `value`; `value` itself where it is too large for any.
pub fn narrowed(value: f64) -> f64 {
    let narrow = f64::from(value as f32);
    if narrow.is_finite() { narrow } else { value }
}

fn date_format(key: &SortKey, mapping: &Mapping) -> Result<Option<DateFormatter>, QueryError> {
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
pub fn all_shown(values: &[SortValue], formats: &[Format]) -> Vec<Value> {
    let plain = Format::Plain;
    let formats = formats.iter().chain(std::iter::repeat(&plain));
    let shown = values.iter().zip(formats);
    shown
        .map(|(value, format)| shown_in(value, format))
        .collect()
}

fn shown_in(value: &SortValue, format: &Format) -> Value {
    match (value, format) {
        (SortValue::I64(i64::MIN | i64::MAX), _) => shown(value),
        (SortValue::I64(ms), Format::Date(format)) => Value::from(format.format(*ms)),
        (SortValue::F64(number), Format::Narrow) if number.is_finite() => {
            Value::from(fewest_digits(*number))
        }
        _ => shown(value),
    }
}

/// Returns the fraction of fewest digits that becomes `value` when it is [`narrowed`]; `value` itself
/// where there is none, so that what is shown is always read back as what it was.
fn fewest_digits(value: f64) -> f64 {
    let short = (value as f32).to_string().parse::<f64>().ok();
    let short = short.filter(|short| narrowed(*short) == value);
    short.unwrap_or(value)
}

/// Returns a value without a format as it is shown and as `search_after` takes it back.
fn shown(value: &SortValue) -> Value {
    match value {
        SortValue::I64(number) => Value::from(*number),
        SortValue::U64(number) => Value::from(*number),
        SortValue::F64(f64::INFINITY) => Value::from("Infinity"),
        SortValue::F64(f64::NEG_INFINITY) => Value::from("-Infinity"),
        SortValue::F64(number) => Value::from(*number),
        SortValue::Text(text) => Value::from(text.as_str()),
        SortValue::Ip(address) => Value::from(ip_text(*address)),
        SortValue::Missing => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::mapping::{MappingRules, parse_mapping};
    use crate::search::parse_sort;

    #[test]
    fn addresses_are_shown_as_text() {
        let values = [SortValue::Ip(1), SortValue::Ip(0xffff_0900_0001)];
        assert_eq!(all_shown(&values, &[]), ["::1", "9.0.0.1"]);
    }

    #[test]
    fn only_what_has_a_format_is_shown_in_it() {
        let format = DateFormatter::parse_pattern("yyyy/MM/dd").expect("a pattern");
        let values = [SortValue::I64(0), SortValue::Missing, SortValue::I64(0)];
        let formats = [Format::Date(format.clone()), Format::Date(format)];
        let expected = json!(["1970/01/01", null, 0]);
        assert_eq!(Value::from(all_shown(&values, &formats)), expected);
    }

    #[test]
    fn the_ends_of_numbers_are_numbers_and_those_of_fractions_text() {
        let format = DateFormatter::parse_pattern("yyyy").expect("a pattern");
        let values = [
            SortValue::I64(i64::MAX),
            SortValue::I64(i64::MIN),
            SortValue::U64(u64::MAX),
            SortValue::F64(f64::INFINITY),
            SortValue::F64(f64::NEG_INFINITY),
            SortValue::Missing,
        ];
        let (max, min) = (i64::MAX, i64::MIN);
        let expected = json!([max, min, u64::MAX, "Infinity", "-Infinity", null]);
        for format in [Format::Plain, Format::Narrow, Format::Date(format)] {
            let formats = vec![format; values.len()];
            assert_eq!(Value::from(all_shown(&values, &formats)), expected);
        }
    }

    #[test]
    fn narrow_values_are_shown_by_the_fewest_digits() {
        let half = 0.099_975_585_937_5;
        for (value, expected) in [
            (f64::from(0.7_f32), json!(0.7)),
            (f64::from(-0.1_f32), json!(-0.1)),
            (half, json!(0.099_975_586)),
            (16_777_216.0, json!(16_777_216.0)),
            (f64::from(f32::MAX), json!(3.402_823_5e38)),
            (-0.0, json!(-0.0)),
            // No floats of 32 bits.
            (0.7, json!(0.7)),
            (0.1 + 0.2, json!(0.1 + 0.2)),
            (1e39, json!(1e39)),
        ] {
            let values = [SortValue::F64(value)];
            assert_eq!(all_shown(&values, &[Format::Narrow]), [expected]);
        }
        let wide = [SortValue::F64(f64::from(0.7_f32))];
        assert_eq!(all_shown(&wide, &[Format::Plain]), [0.699_999_988_079_071]);
        assert_eq!(narrowed(1e39), 1e39);
    }

    proptest! {
        #[test]
        fn narrow_values_are_read_back_as_what_they_were(bits in any::<u32>()) {
            let value = f64::from(f32::from_bits(bits));
            prop_assume!(value.is_finite());
            prop_assert_eq!(narrowed(fewest_digits(value)).to_bits(), value.to_bits());
        }
    }

    #[test]
    fn keys_are_narrow_where_no_index_has_other_values() {
        let mapping = |type_name: &str| {
            let mapping = json!({"properties": {"f": {"type": type_name}}});
            parse_mapping(&mapping, None, &MappingRules::default()).expect("a mapping")
        };
        let (float, half, double) = (mapping("float"), mapping("half_float"), mapping("double"));
        let without = Mapping::default();
        let plain = json!({"f": "asc"});
        let as_long = json!({"f": {"unmapped_type": "long", "missing": 1}});
        let as_float = json!({"f": {"unmapped_type": "float", "missing": 1}});
        for (key, mappings, expected) in [
            (&plain, vec![&float], true),
            (&plain, vec![&float, &half], true),
            (&plain, vec![&float, &double], false),
            (&plain, vec![&double, &float], false),
            (&plain, vec![&float, &without], true),
            (&plain, vec![&without], false),
            (&as_float, vec![&without, &float], true),
            (&as_long, vec![&without, &float], false),
            (&json!({"f": {"mode": "avg"}}), vec![&float], true),
            (
                &json!({"f": {"numeric_type": "double"}}),
                vec![&float],
                false,
            ),
            (&json!("_score"), vec![&double, &without], true),
            (&json!("_doc"), vec![&float], false),
        ] {
            let keys = parse_sort(&json!([key])).expect("an order");
            let narrow = narrow_keys(&keys, &mappings.into_iter());
            assert_eq!(narrow, [expected], "{key}");
        }
    }
}
