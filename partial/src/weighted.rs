//! Partial result of `weighted_avg`.

use serde::{Deserialize, Serialize};

use super::key::ValueFormat;
use super::sum::ExactSum;

/// Sums that a weighted mean is made of.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Weighted {
    /// How the mean is shown.
    pub format: ValueFormat,
    /// Sum of values times their weights.
    products: ExactSum,
    /// Sum of weights.
    weights: ExactSum,
}

impl Weighted {
    /// Adds a value with its weight.
    pub fn add(&mut self, value: f64, weight: f64) {
        self.products.add(value * weight);
        self.weights.add(weight);
    }

    /// Adds the values of another segment or shard.
    pub fn merge(&mut self, other: Self) {
        self.format.merge(other.format);
        self.products.merge(&other.products);
        self.weights.merge(&other.weights);
    }

    /// Returns the mean; `None` without weights.
    pub fn mean(&self) -> Option<f64> {
        let weights = self.weights.value();
        (weights != 0.0).then(|| self.products.value() / weights)
    }
}
