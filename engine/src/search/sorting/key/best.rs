//! The best value that a segment has of a key, by what its column says of itself.

use std::cmp::Ordering;

use gleaner_partial::sorting::Kind;
use gleaner_query::answer::SortValue;
use gleaner_query::search::SortMode;
use tantivy::{f64_to_u64, i64_to_u64};

use super::{KeyReader, Raw, Source};
use crate::EngineError;

impl KeyReader {
    /// Returns a value that no document of the segment has a better one than, by what its column says of itself; `None` where it
    /// says nothing of the values that are compared.
    ///
    /// # Errors
    /// When a term cannot be read.
    pub(in crate::search) fn best(&self) -> Result<Option<SortValue>, EngineError> {
        let (number, index) = match &self.source {
            Source::Nothing => return self.resolve(self.missing.clone()).map(Some),
            Source::Score | Source::Distance(_) => return Ok(None),
            Source::System(bits, numbers) => {
                let number = end(self.descending, numbers.min_value(), numbers.max_value());
                return self.resolve(Raw::Number(bits | number)).map(Some);
            }
            Source::Whole(column) => {
                let value = end(self.descending, column.min_value(), column.max_value());
                let number = match self.kind {
                    Kind::Fraction => f64_to_u64(self.fitted(value as f64)),
                    _ => i64_to_u64(value),
                };
                (Raw::Number(number), &column.index)
            }
            Source::Unsigned(column) => {
                let value = end(self.descending, column.min_value(), column.max_value());
                let number = match self.kind {
                    Kind::Fraction => f64_to_u64(self.fitted(value as f64)),
                    _ => value,
                };
                (Raw::Number(number), &column.index)
            }
            Source::Fraction(column) => {
                let value = end(self.descending, column.min_value(), column.max_value());
                let number = match self.kind {
                    Kind::Whole => i64_to_u64(value as i64),
                    _ => f64_to_u64(self.fitted(value)),
                };
                (Raw::Number(number), &column.index)
            }
            Source::Ip(column) => {
                let address = end(self.descending, column.min_value(), column.max_value());
                (Raw::Address(address.to_bits()), &column.index)
            }
            Source::Terms(column) if column.num_terms() > 0 => {
                let last = column.num_terms() as u64 - 1;
                let ord = end(self.descending, 0, last);
                (Raw::Number(2 * ord + 1), &column.ords().index)
            }
            Source::Boolean(_) | Source::Terms(_) => return Ok(None),
        };
        let cardinality = index.get_cardinality();
        if cardinality.is_multivalue() && self.mode == SortMode::Sum {
            return Ok(None);
        }
        let is_missing_best =
            !cardinality.is_full() && self.compare(&self.missing, &number) == Ordering::Less;
        let best = if is_missing_best {
            self.missing.clone()
        } else {
            number
        };
        self.resolve(best).map(Some)
    }
}

/// Returns the value that comes first of those between two.
fn end<T>(is_descending: bool, least: T, most: T) -> T {
    if is_descending { most } else { least }
}
