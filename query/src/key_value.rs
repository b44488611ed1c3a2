//! Values of sort keys.

use serde::{Deserialize, Serialize};

/// A value of a sort key, as it is compared and returned.
///
/// Values of one key are of one kind or missing; integers and fractions compare as numbers. NaN
/// is never stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum SortValue {
    /// Whole number, date or boolean.
    I64(i64),
    /// Whole number of an `unsigned_long`.
    U64(u64),
    /// Fraction, score.
    F64(f64),
    /// Keyword, `_id`.
    Text(String),
    /// No value.
    Missing,
    /// Address in its IPv6 form, IPv4 mapped; it compares as a number. The last one, for older ids of
    /// scrolls name the others by their position.
    Ip(u128),
}

impl SortValue {
    /// Returns the bytes of its text, if it is one.
    pub fn num_text_bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            _ => 0,
        }
    }
}
