//! Which terms of a dictionary a test of each of them finds.

use super::Pattern;
use crate::encoded::{GeoPoint, Relation};

impl Pattern {
    /// Returns whether it is a test that finds `term`; false for automata.
    pub fn accepts(&self, term: &str) -> bool {
        match self {
            Self::Spans {
                relation,
                lower,
                upper,
            } => {
                let Some((least, greatest)) = term.split_at_checked(term.len() / 2) else {
                    return false;
                };
                let (lower, upper) = (lower.as_str(), upper.as_str());
                match relation {
                    Relation::Intersects => least <= upper && lower <= greatest,
                    Relation::Contains => least <= lower && upper <= greatest,
                    Relation::Within => lower <= least && greatest <= upper,
                }
            }
            Self::Points(shape) => GeoPoint::of_term(term).is_some_and(|point| shape.holds(&point)),
            _ => false,
        }
    }
}
