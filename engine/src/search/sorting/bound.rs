//! A point of one key's order as the documents of a segment are compared with it, wherever it is
//! from: another segment, another index where the field has another type, a client.

use std::cmp::Ordering;

use gleaner_partial::sorting::Kind;
use gleaner_query::answer::SortValue;
use gleaner_query::order::compare_values;
use tantivy::columnar::StrColumn;
use tantivy::{f64_to_u64, i64_to_u64};

use super::key::{KeyReader, Raw};
use crate::EngineError;

/// A value beside its place in a segment.
///
/// A segment has no places for values it cannot hold. What stands at the same place is compared by
/// value; otherwise a missing value and a start between the same two terms would be taken for equal,
/// and so would 1 and 1.5.
pub(super) struct Bound {
    raw: Raw,
    value: SortValue,
}

impl Bound {
    /// Returns where `value` stands in the segment of `reader`.
    pub(super) fn of(reader: &KeyReader, value: SortValue) -> Result<Self, EngineError> {
        let value = reader.filled(value);
        let raw = reader.raw_of(&value)?;
        Ok(Self { raw, value })
    }

    /// Compares a document's value with this one in the key's direction.
    pub(super) fn compare(&self, reader: &KeyReader, document: &Raw) -> Ordering {
        let ordering = reader.compare(document, &self.raw);
        if ordering != Ordering::Equal {
            return ordering;
        }
        match reader.known(document) {
            Some(SortValue::Missing) | None => Ordering::Equal,
            Some(value) => reader.directed(compare_values(&value, &self.value)),
        }
    }
}

/// Returns where a number stands among those of `kind`: its own place, or the next one below; where
/// all are above it, the first.
pub(super) fn place_of_number(kind: Kind, value: &SortValue) -> u64 {
    match (kind, value) {
        (Kind::Whole, SortValue::I64(value)) => i64_to_u64(*value),
        (Kind::Whole, SortValue::U64(value)) => {
            i64_to_u64(i64::try_from(*value).unwrap_or(i64::MAX))
        }
        (Kind::Whole, SortValue::F64(value)) => i64_to_u64(value.floor() as i64),
        (Kind::Unsigned, SortValue::I64(value)) => u64::try_from(*value).unwrap_or(0),
        (Kind::Unsigned, SortValue::U64(value)) => *value,
        (Kind::Unsigned, SortValue::F64(value)) => value.floor() as u64,
        // The nearest fraction: all others are on the same side of both.
        (Kind::Fraction, SortValue::I64(value)) => f64_to_u64(*value as f64),
        (Kind::Fraction, SortValue::U64(value)) => f64_to_u64(*value as f64),
        (Kind::Fraction, SortValue::F64(value)) => f64_to_u64(*value),
        // Numbers stand before addresses and text.
        _ => 0,
    }
}

/// Returns where `text` stands among a column's terms: odd at a term, even between two.
pub(super) fn place_of(column: &StrColumn, text: &str) -> Result<u64, EngineError> {
    let (mut low, mut high) = (0, column.num_terms() as u64);
    let mut term = String::new();
    while low < high {
        let middle = low + (high - low) / 2;
        term.clear();
        column
            .ord_to_str(middle, &mut term)
            .map_err(EngineError::io("reading a term"))?;
        match term.as_str().cmp(text) {
            Ordering::Equal => return Ok(2 * middle + 1),
            Ordering::Less => low = middle + 1,
            Ordering::Greater => high = middle,
        }
    }
    Ok(2 * low)
}
