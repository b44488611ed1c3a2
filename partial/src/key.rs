//! Keys of buckets and the type of the values they were made of.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

/// Key of a bucket. Keys of one aggregation are of one variant, unless indices have the field as different types.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Key {
    /// Whole number, boolean as 0 or 1, date in milliseconds.
    I64(i64),
    /// Whole number of an `unsigned_long`.
    U64(u64),
    /// Fraction.
    F64(Fraction),
    /// Keyword.
    Text(String),
    /// Address in its IPv6 form, big-endian.
    Ip(u128),
}

/// A fraction with a total order; −0 is 0, NaN does not occur.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(from = "f64", into = "f64")]
pub struct Fraction(f64);

impl Fraction {
    /// Returns the number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl From<f64> for Fraction {
    fn from(value: f64) -> Self {
        // Adding 0 turns -0 into 0 and changes nothing else.
        Self(value + 0.0)
    }
}

impl From<Fraction> for f64 {
    fn from(value: Fraction) -> Self {
        value.0
    }
}

impl PartialEq for Fraction {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Fraction {}

impl PartialOrd for Fraction {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Fraction {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl std::hash::Hash for Fraction {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

/// Type of the values that an aggregation has seen; decides names of types and how keys are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ValueKind {
    /// The shard's mapping does not know the field.
    #[default]
    Unmapped,
    /// `keyword`.
    Keyword,
    /// `ip`.
    Ip,
    /// Whole numbers.
    Long,
    /// `unsigned_long`.
    UnsignedLong,
    /// Fractions.
    Double,
    /// `boolean`.
    Boolean,
    /// `date`.
    Date,
}

impl ValueKind {
    /// Returns the type that all keys of a result can be read as, where indices have the field as different
    /// types. `last` is the greatest key: whole numbers come before fractions, and fractions before texts.
    pub(crate) fn of_all(self, last: Option<&Key>) -> Self {
        match last {
            Some(Key::Text(_)) => Self::Keyword,
            Some(Key::Ip(_)) => Self::Ip,
            Some(Key::F64(_)) => Self::Double,
            // Numbers that have no sign, and others that may have one.
            Some(Key::U64(_)) if self != Self::UnsignedLong => Self::Double,
            Some(Key::I64(_) | Key::U64(_)) | None => self,
        }
    }
}

/// How values are shown.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ValueFormat {
    /// Type of the values.
    pub kind: ValueKind,
    /// Format of dates (the request's or the field's) or of numbers (the request's).
    pub pattern: Option<String>,
    /// Time zone in which dates are shown; `None` is UTC.
    pub time_zone: Option<String>,
}

impl ValueFormat {
    /// Takes over what the other shard knows when this one does not know the field.
    pub fn merge(&mut self, other: Self) {
        if self.kind == ValueKind::Unmapped {
            *self = other;
        }
    }
}
