//! One value of a field, as clauses and answers carry it.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

/// A value of a field as the index holds it, ordered as columns order it: -0.0 is below 0.0.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Scalar {
    /// Whole number.
    I64(i64),
    /// Whole number of an `unsigned_long`.
    U64(u64),
    /// Fraction.
    F64(f64),
    /// `boolean`.
    Bool(bool),
    /// `date`: milliseconds since the epoch.
    Date(i64),
    /// `ip`: the IPv6 form (IPv4 mapped), big-endian.
    Ip(u128),
    /// `keyword`, or a term of `text`.
    Text(String),
}

impl Ord for Scalar {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::I64(a), Self::I64(b)) | (Self::Date(a), Self::Date(b)) => a.cmp(b),
            (Self::U64(a), Self::U64(b)) => a.cmp(b),
            (Self::F64(a), Self::F64(b)) => a.total_cmp(b),
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Ip(a), Self::Ip(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            _ => self.type_rank().cmp(&other.type_rank()),
        }
    }
}

impl PartialOrd for Scalar {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Scalar {}

impl Scalar {
    /// Returns the term that scores where documents hold the value: `true` or `false` of a `boolean`,
    /// which scores as a `keyword` does. `None`: the value scores 1.
    pub fn scored_term(&self) -> Option<&'static str> {
        match self {
            Self::Bool(true) => Some("true"),
            Self::Bool(false) => Some("false"),
            Self::I64(_)
            | Self::U64(_)
            | Self::F64(_)
            | Self::Date(_)
            | Self::Ip(_)
            | Self::Text(_) => None,
        }
    }

    /// Where values of its type stand among those of other types.
    fn type_rank(&self) -> u8 {
        match self {
            Self::I64(_) => 0,
            Self::U64(_) => 1,
            Self::F64(_) => 2,
            Self::Bool(_) => 3,
            Self::Date(_) => 4,
            Self::Ip(_) => 5,
            Self::Text(_) => 6,
        }
    }
}
