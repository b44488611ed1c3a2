//! Which fields can be sorted by, and what kind of values they have.

use gleaner_model::mapping::Codec;
use gleaner_model::{FieldKind, Mapping, NumberKind};
use gleaner_query::QueryError;
use gleaner_query::error::ErrorType;
use gleaner_query::mapping::{ValuesAsked, check_values_of};
use gleaner_query::search::{SortKey, SortMode, SortTarget};
use gleaner_query::sort_value;

use crate::request::formats::{is_rank_feature, no_fielddata};

/// What kind of values a key has, for all segments alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Whole numbers of 64 bits with a sign: dates and booleans too.
    Whole,
    /// Whole numbers of 64 bits without a sign.
    Unsigned,
    /// Fractions.
    Fraction,
    /// Addresses.
    Ip,
    /// Terms.
    Text,
}

/// Checks that documents of an index with this mapping can be sorted by `keys`, whatever it holds.
///
/// # Errors
/// `query_shard_exception` for fields that are unknown (without `unmapped_type`), have no such mode or cannot
/// be of the `numeric_type` asked for; `illegal_argument_exception` for those without doc values, and for a
/// `format` that is none.
pub fn check_sort(keys: &[SortKey], mapping: &Mapping) -> Result<(), QueryError> {
    keys.iter().try_for_each(|key| match &key.target {
        SortTarget::Field(path) if path != SEQ_NO => kind(key, path, mapping).map(drop),
        SortTarget::Distance(distance) => check_points(key, &distance.field, mapping),
        _ => Ok(()),
    })
}

/// Refuses a field that has no points to measure distances of.
///
/// # Errors
/// `query_shard_exception`.
pub fn check_points(key: &SortKey, path: &str, mapping: &Mapping) -> Result<(), QueryError> {
    match mapping.field(path).map(|field| &field.kind) {
        Some(FieldKind::Encoded {
            codec: Codec::GeoPoint,
            ..
        }) => Ok(()),
        Some(kind) => Err(refused(format!(
            "unable to apply geo distance sort on field [{path}] of type [{}]: it is no [geo_point]",
            kind.type_name()
        ))),
        None if key.unmapped_type.is_some() => Ok(()),
        None => Err(refused(format!(
            "failed to find mapper for [{path}] for geo distance based sort"
        ))),
    }
}

/// The number of a document's latest write, which is sorted by without a mapping.
pub const SEQ_NO: &str = "_seq_no";

/// Returns the kind of values of the field `key` sorts by.
///
/// # Errors
/// As [`check_sort`].
pub fn kind(key: &SortKey, path: &str, mapping: &Mapping) -> Result<Kind, QueryError> {
    let Some(field) = mapping.field(path) else {
        return match &key.unmapped_type {
            Some(type_name) => {
                check_values_of(path, ValuesAsked::Sort)?;
                converted(of_unmapped(type_name), key, path, type_name)
            }
            None => Err(refused(format!(
                "No mapping found for [{path}] in order to sort on"
            ))),
        };
    };
    sort_value::formats(std::slice::from_ref(key), mapping, &[])?;
    let kind = of_field(path, &field.kind)?;
    let kind = converted(kind, key, path, field.kind.type_name())?;
    let needs_numbers = matches!(
        key.mode,
        Some(SortMode::Sum | SortMode::Avg | SortMode::Median)
    );
    if matches!(kind, Kind::Text | Kind::Ip) && needs_numbers {
        return Err(refused(format!(
            "sort mode of [{path}] must be min or max: its values are no numbers"
        )));
    }
    Ok(kind)
}

fn refused(reason: String) -> QueryError {
    QueryError::new(ErrorType::QueryShard, reason)
}

fn of_field(path: &str, kind: &FieldKind) -> Result<Kind, QueryError> {
    if is_rank_feature(kind) {
        return Err(QueryError::illegal(format!(
            "[{}] fields do not support sorting, scripting or aggregating: [{path}] is one",
            kind.type_name()
        )));
    }
    if !kind.has_column() {
        let type_name = kind.type_name();
        return Err(QueryError::illegal(match kind {
            FieldKind::Text { .. } => no_fielddata(path),
            _ => format!("Can't sort on field [{path}] of type [{type_name}] without doc values"),
        }));
    }
    Ok(match kind {
        FieldKind::Keyword { .. } | FieldKind::Text { .. } => Kind::Text,
        FieldKind::Ip { .. } => Kind::Ip,
        FieldKind::Number {
            number: NumberKind::UnsignedLong,
            ..
        } => Kind::Unsigned,
        FieldKind::Number { number, .. } if !number.is_integral() => Kind::Fraction,
        _ => Kind::Whole,
    })
}

/// Returns what the values of a field of `type_name` are compared as, by the key's `numeric_type`.
fn converted(kind: Kind, key: &SortKey, path: &str, type_name: &str) -> Result<Kind, QueryError> {
    let Some(numeric_type) = key.numeric_type.as_deref() else {
        return Ok(kind);
    };
    match (numeric_type, kind) {
        (_, Kind::Text | Kind::Ip) => Err(refused(format!(
            "[numeric_type] option cannot be set on a non-numeric field, got [{type_name}] for [{path}]"
        ))),
        ("double", _) => Ok(Kind::Fraction),
        ("long", Kind::Whole | Kind::Fraction) => Ok(Kind::Whole),
        ("date" | "date_nanos", Kind::Whole) if matches!(type_name, "date" | "date_nanos") => {
            Ok(Kind::Whole)
        }
        _ => Err(refused(format!(
            "[numeric_type] of [{numeric_type}] is not supported for [{path}] of type [{type_name}]"
        ))),
    }
}

fn of_unmapped(type_name: &str) -> Kind {
    match type_name {
        "keyword" | "text" => Kind::Text,
        "ip" => Kind::Ip,
        "double" | "float" | "half_float" | "scaled_float" => Kind::Fraction,
        "unsigned_long" => Kind::Unsigned,
        _ => Kind::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_index_is_sorted_by_its_name() {
        let of = |options: serde_json::Value| {
            let sort = serde_json::json!({"_index": options});
            let keys = gleaner_query::search::parse_sort(&sort).expect("a good order");
            kind(&keys[0], "_index", &Mapping::default())
        };
        let descending = serde_json::json!({"order": "desc", "unmapped_type": "long"});
        assert_eq!(of(descending), Ok(Kind::Text));
        let mean = of(serde_json::json!({"mode": "avg"})).expect_err("names have no mean");
        assert_eq!(mean.kind, ErrorType::QueryShard);
    }

    #[test]
    fn a_numeric_type_that_cannot_be_had_is_refused_by_name() {
        let sort = serde_json::json!([{"f": {"numeric_type": "date"}}]);
        let keys = gleaner_query::search::parse_sort(&sort).expect("a good order");
        let of = |kind, type_name| converted(kind, &keys[0], "f", type_name);
        assert_eq!(of(Kind::Whole, "date").expect("dates"), Kind::Whole);
        for (kind, type_name) in [(Kind::Whole, "long"), (Kind::Text, "keyword")] {
            let reason = of(kind, type_name).expect_err("no dates").reason;
            assert!(reason.contains("[numeric_type]"), "{reason}");
            assert!(reason.contains(type_name), "{reason}");
        }
    }
}
