//! Where the words of intervals stand among the tokens of a text.
//!
//! Does: mark the words inside the intervals that match, each by itself. Does not: find intervals (`score::intervals` does). Called by: the
//! matcher. Read first: [`IntervalMarker::find`].
//!
//! A field is marked by its own words alone: those that `use_field` takes from another one are not known here, and of
//! intervals with such words every one of the field's own is marked.

use gleaner_partial::control::{HighWater, Stop};
use gleaner_query::resolved::IntervalSource;

use super::Pace;
use super::marks::Marks;
use super::phrase::{Places, Tokens};
use crate::score::intervals::{Algebra, Work};

/// Intervals that a query looks for.
pub(super) struct IntervalMarker {
    algebra: Algebra,
    /// For each of its words: whether they are of the field that is marked.
    is_marked: Vec<bool>,
    /// Number of the first words as a term.
    first: usize,
}

impl IntervalMarker {
    /// Returns intervals whose words are numbered from `first`, to be marked in `field`, or in any where that is `None`.
    pub(super) fn new(source: &IntervalSource, field: Option<&str>, first: usize) -> Self {
        let algebra = Algebra::new(source);
        let words = algebra.words().iter();
        let is_marked = words.map(|words| field.is_none_or(|field| field == words.field.as_str()));
        Self {
            is_marked: is_marked.collect(),
            algebra,
            first,
        }
    }

    /// Returns how many terms it is numbered by.
    pub(super) fn num_words(&self) -> usize {
        self.is_marked.len()
    }

    /// Returns the numbers of the words that are of the field, and whether those are all.
    pub(super) fn numbers(&self) -> (Vec<usize>, bool) {
        let marked = self.is_marked.iter().enumerate();
        let own = marked.filter(|(_, is_marked)| **is_marked);
        let numbers: Vec<usize> = own.map(|(number, _)| self.first + number).collect();
        let is_all = numbers.len() == self.is_marked.len();
        (numbers, is_all)
    }

    /// Marks the words of each interval.
    pub(super) fn find(
        &self,
        tokens: &Tokens<'_>,
        marks: &mut Marks<'_>,
        pace: &mut Pace<'_>,
    ) -> Result<(), Stop> {
        let words = self.algebra.words().iter();
        let places: Vec<Places> = words
            .map(|words| Places::of(&words.terms, tokens))
            .collect();
        let positions = places.iter().map(|places| places.positions.as_slice());
        let positions: Vec<&[i64]> = positions.collect();
        let knows_all = self.is_marked.iter().all(|is_marked| *is_marked);
        let mut held = HighWater::default();
        let found = match knows_all {
            true => {
                let held = &mut held;
                let mut work = Work { pace, held };
                Some(self.algebra.intervals(&positions, &mut work)?)
            }
            false => None,
        };
        for (number, places) in places.iter().enumerate() {
            if !self.is_marked[number] {
                continue;
            }
            pace.step(1 + places.tokens.len())?;
            for (position, token) in places.positions.iter().zip(&places.tokens) {
                let is_inside = found.as_ref().is_none_or(|found| {
                    let at = found.partition_point(|interval| interval.end < *position);
                    found
                        .get(at)
                        .is_some_and(|interval| interval.start <= *position)
                });
                if is_inside {
                    marks.mark(*token, self.first + number);
                }
            }
        }
        Ok(())
    }
}
