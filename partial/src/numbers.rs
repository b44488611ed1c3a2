//! Count, sum, extremes and sum of squares of numbers.

use serde::{Deserialize, Serialize};

use super::sum::ExactSum;

/// What the single- and multi-number metrics need.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Numbers {
    /// Values seen.
    pub count: u64,
    /// Smallest; +∞ without values.
    pub min: f64,
    /// Largest; −∞ without values.
    pub max: f64,
    /// Their sum.
    pub sum: ExactSum,
    /// Sum of their squares, kept for `extended_stats` only.
    pub squares: Option<ExactSum>,
}

impl Numbers {
    /// Returns the numbers of no values.
    pub fn new(with_squares: bool) -> Self {
        Self {
            count: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            sum: ExactSum::default(),
            squares: with_squares.then(ExactSum::default),
        }
    }

    /// Adds a value.
    pub fn add(&mut self, value: f64) {
        self.count += 1;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.sum.add(value);
        if let Some(squares) = &mut self.squares {
            squares.add(value * value);
        }
    }

    /// Adds the values of another shard or segment.
    pub fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.sum.merge(&other.sum);
        if let (Some(mine), Some(theirs)) = (&mut self.squares, &other.squares) {
            mine.merge(theirs);
        }
    }

    /// Returns the mean; `None` without values.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum.value() / self.count as f64)
    }
}
