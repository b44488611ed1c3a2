//! How values of sort keys are shown: addresses as text, dates in the format asked for, floats of 32 bits
//! by the fewest digits.
//!
//! Leaves and roots compare values in another form (see [`crate::order`]); it is turned into the shown
//! one where hits are joined with their content.
//!
//! Where a number is missing there stands the largest or the smallest of its type, as in Elasticsearch: infinite
//! fractions are shown as text, `Infinity`. The ends of dates are shown in the format asked for, and [`read_end`] takes
//! that text back. A format that writes an end as it writes other dates, such as `yyyy`, cannot give it back: the end
//! is a number then. Other missing values are `null`.
//!
//! Keys of 32-bit floats, scores among them, are *narrow*: their values are compared as doubles, but each is
//! one that a float holds, so the digits that tell floats apart suffice. What a client gives back is rounded
//! again.
//!
//! `_shard_doc` is shown as text, as the tie-break of a point in time is: it has more digits than a double keeps, and
//! many clients read the numbers of JSON as doubles.

use gleaner_model::mapping::{Mapping, Resolution};
use gleaner_model::{FieldKind, NumberKind};
use serde_json::Value;

use crate::QueryError;
use crate::address::ip_text;
use crate::date::{DateFormatter, Instant, TimeZone};
use crate::key_value::SortValue;
use crate::search::{Missing, SortKey, SortTarget};

/// How the values of one key are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// As they are.
    Plain,
    /// Fractions by the fewest digits that tell them from other floats of 32 bits.
    Narrow,
    /// Dates of milliseconds in the format asked for.
    Date(DateFormatter),
    /// Dates of nanoseconds in the format asked for.
    DateNanos(DateFormatter),
    /// Whole numbers as text.
    Text,
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
        let is_nanos = resolution(key, mapping).is_some_and(Resolution::is_nanos);
        let date = date_format(key, mapping);
        date.map(|date| match date {
            Some(format) if is_nanos => Format::DateNanos(format),
            Some(format) => Format::Date(format),
            None if matches!(key.target, SortTarget::ShardDoc) => Format::Text,
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

/// Returns what the values of a key count where they are dates: what its `numeric_type` asks for, or else its type does,
/// so that a `date_nanos` has one order over indices whatever they keep. `None` where they are no dates.
pub fn resolution(key: &SortKey, mapping: &Mapping) -> Option<Resolution> {
    let SortTarget::Field(path) = &key.target else {
        return None;
    };
    let own = match mapping.field(path).map(|field| &field.kind) {
        Some(FieldKind::Date { resolution, .. }) => *resolution,
        Some(_) => return None,
        None => match key.unmapped_type.as_deref()? {
            "date" => Resolution::Millis,
            "date_nanos" => Resolution::Nanos,
            _ => return None,
        },
    };
    Some(match key.numeric_type.as_deref() {
        Some("date") => Resolution::Millis,
        Some("date_nanos") => Resolution::Nanos,
        _ if own == Resolution::MillisOfNanos => Resolution::Nanos,
        _ => own,
    })
}

/// Returns the float of 32 bits that is nearest to `value`; `value` itself where it is too large for any.
pub fn narrowed(value: f64) -> f64 {
    let narrow = f64::from(value as f32);
    if narrow.is_finite() { narrow } else { value }
}

fn date_format(key: &SortKey, mapping: &Mapping) -> Result<Option<DateFormatter>, QueryError> {
    match (&key.format, resolution(key, mapping)) {
        (Some(pattern), Some(_)) => DateFormatter::parse_pattern(pattern).map(Some),
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
        (SortValue::I64(ms), Format::Date(format)) => shown_date(*ms, format, Resolution::Millis),
        (SortValue::I64(nanos), Format::DateNanos(format)) => {
            shown_date(*nanos, format, Resolution::Nanos)
        }
        (SortValue::F64(number), Format::Narrow) if number.is_finite() => {
            Value::from(fewest_digits(*number))
        }
        (SortValue::U64(number), Format::Text) => Value::from(number.to_string()),
        _ => shown(value),
    }
}

fn shown_date(count: i64, format: &DateFormatter, resolution: Resolution) -> Value {
    match ENDS.contains(&count) {
        true => {
            written_end(count, format, resolution).map_or_else(|| Value::from(count), Value::from)
        }
        false => Value::from(format.write(instant(count, resolution))),
    }
}

/// What stands for missing dates: the first and the last that 64 bits count.
const ENDS: [i64; 2] = [i64::MIN, i64::MAX];

/// Returns the end of the dates of `resolution`, `i64::MIN` or `i64::MAX`, that a key of this `format` shows as `text`
/// where a date is missing; `None` where it shows neither so.
pub fn read_end(text: &str, format: &DateFormatter, resolution: Resolution) -> Option<i64> {
    let is_shown_so = |end: &i64| written_end(*end, format, resolution).as_deref() == Some(text);
    ENDS.into_iter().find(is_shown_so)
}

/// Returns an end of dates as `format` writes it; `None` where that is the text of other dates, too.
fn written_end(end: i64, format: &DateFormatter, resolution: Resolution) -> Option<String> {
    let written = instant(end, resolution);
    let text = format.write(written);
    let is_of_end_alone = match format.read_in(&text, &TimeZone::UTC, false) {
        Ok(read) => read == written,
        // Formats write years that they do not read. What is next to the end may be written alike.
        Err(_) => format.write(instant(end - end.signum(), resolution)) != text,
    };
    is_of_end_alone.then_some(text)
}

/// Returns the instant that is so many milliseconds or nanoseconds from the epoch.
fn instant(count: i64, resolution: Resolution) -> Instant {
    match resolution.is_nanos() {
        true => Instant::from_nanos(count),
        false => Instant::from_millis(count),
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
    fn numbers_of_more_digits_than_a_double_keeps_are_text() {
        let keys = parse_sort(&json!(["_doc", "_shard_doc"])).expect("an order");
        let formats = formats(&keys, &Mapping::default(), &[]).expect("no formats");
        let shown = all_shown(&[SortValue::U64(7), SortValue::U64(u64::MAX)], &formats);
        assert_eq!(Value::from(shown), json!([7, "18446744073709551615"]));
    }

    #[test]
    fn dates_of_one_type_have_one_unit_whatever_an_index_keeps() {
        let mapping_of = |resolution: Resolution| {
            let body = json!({"properties": {"d": {"type": resolution.type_name()}}});
            let rules = MappingRules::default();
            let mut mapping = parse_mapping(&body, None, &rules).expect("a mapping");
            for field in mapping.fields.values_mut() {
                if let FieldKind::Date {
                    resolution: kept, ..
                } = &mut field.kind
                {
                    *kept = resolution;
                }
            }
            mapping
        };
        let unit_of = |options: serde_json::Value, kept: Resolution| {
            let keys = parse_sort(&json!({"d": options})).expect("a good order");
            resolution(&keys[0], &mapping_of(kept))
        };
        let (millis, nanos) = (Some(Resolution::Millis), Some(Resolution::Nanos));
        for (kept, own) in [
            (Resolution::Millis, millis),
            (Resolution::MillisOfNanos, nanos),
            (Resolution::Nanos, nanos),
        ] {
            assert_eq!(unit_of(json!({}), kept), own);
            assert_eq!(unit_of(json!({"numeric_type": "date"}), kept), millis);
            assert_eq!(unit_of(json!({"numeric_type": "date_nanos"}), kept), nanos);
        }
    }

    /// Returns how the ends of dates are shown in a format.
    fn shown_ends(pattern: &str, resolution: Resolution) -> Vec<Value> {
        let format = DateFormatter::parse_pattern(pattern).expect("a pattern");
        let format = match resolution.is_nanos() {
            true => Format::DateNanos(format),
            false => Format::Date(format),
        };
        all_shown(&ENDS.map(SortValue::I64), &[format.clone(), format])
    }

    #[test]
    fn the_ends_of_dates_are_shown_in_formats_that_give_them_back() {
        let (millis, nanos) = (Resolution::Millis, Resolution::Nanos);
        let of_millis = [
            "-292275055-05-16T16:47:04.192Z",
            "+292278994-08-17T07:12:55.807Z",
        ];
        let of_nanos = [
            "1677-09-21T00:12:43.145224192Z",
            "2262-04-11T23:47:16.854775807Z",
        ];
        for (pattern, resolution, [first, last]) in [
            ("strict_date_optional_time", millis, of_millis),
            (Resolution::NANOS_FORMAT, millis, of_millis),
            ("uuuu-MM-dd'T'HH:mm:ss.SSSX", millis, of_millis),
            (
                "epoch_millis",
                millis,
                ["-9223372036854775808", "9223372036854775807"],
            ),
            (
                "epoch_second||uuuu",
                millis,
                ["-9223372036854775.808", "9223372036854775.807"],
            ),
            ("strict_date_optional_time", nanos, of_nanos),
            (Resolution::NANOS_FORMAT, nanos, of_nanos),
            (
                "epoch_millis",
                nanos,
                ["-9223372036854.775808", "9223372036854.775807"],
            ),
        ] {
            let shown = shown_ends(pattern, resolution);
            assert_eq!(shown, [first, last], "{pattern} {resolution:?}");
            let format = DateFormatter::parse_pattern(pattern).expect("a pattern");
            let read = |text| read_end(text, &format, resolution);
            assert_eq!(read(first), Some(i64::MIN), "{pattern} {resolution:?}");
            assert_eq!(read(last), Some(i64::MAX), "{pattern} {resolution:?}");
            for other in ["2026-01-01T00:00:00.000Z", "0", ""] {
                assert_eq!(read(other), None, "{pattern} {resolution:?}");
            }
        }
    }

    #[test]
    fn the_ends_of_dates_are_numbers_in_formats_that_write_other_dates_alike() {
        for pattern in [
            "yyyy",
            "uuuu",
            "uuuu-MM-dd",
            "uuuu-MM-dd'T'HH:mm:ss",
            "HH:mm:ss.SSS",
            "strict_date",
        ] {
            for resolution in [Resolution::Millis, Resolution::Nanos] {
                let shown = shown_ends(pattern, resolution);
                assert_eq!(shown, [i64::MIN, i64::MAX], "{pattern} {resolution:?}");
                let format = DateFormatter::parse_pattern(pattern).expect("a pattern");
                for end in ENDS {
                    let text = format.write(instant(end, resolution));
                    let read = read_end(&text, &format, resolution);
                    assert_eq!(read, None, "{pattern} {resolution:?} {text}");
                }
            }
        }
    }

    #[test]
    fn dates_of_an_index_without_the_field_are_shown_in_the_format_too() {
        let format = "strict_date_optional_time";
        for (type_name, expected) in [
            ("date", json!("+292278994-08-17T07:12:55.807Z")),
            ("date_nanos", json!("2262-04-11T23:47:16.854775807Z")),
            ("long", json!(i64::MAX)),
        ] {
            let key = json!({"d": {"unmapped_type": type_name, "format": format}});
            let keys = parse_sort(&key).expect("a good order");
            let formats = formats(&keys, &Mapping::default(), &[]).expect("a format");
            let shown = all_shown(&[SortValue::I64(i64::MAX)], &formats);
            assert_eq!(shown, [expected], "{type_name}");
        }
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
        let dates = [Format::Date(format.clone()), Format::DateNanos(format)];
        for format in [Format::Plain, Format::Narrow].into_iter().chain(dates) {
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
