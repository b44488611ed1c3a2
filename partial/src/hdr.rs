//! Partial result of `percentiles` and `percentile_ranks` with `hdr`: how many values share their leading bits.
//!
//! Source: G. Tene, *HdrHistogram* (`DoubleHistogram`, version 2.1.9, which Elasticsearch uses). There a value
//! falls into one of 2^n equal parts of the span between two powers of two; n follows from the digits that
//! count. Those parts are what the leading bits of a double say, so counts by these bits are the same histogram,
//! without a range that grows in the order of values: any layout of shards and segments gives the same counts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::EvaluationError;

/// Bits of a double's fraction.
const FRACTION_BITS: u32 = 52;
/// What a count takes in memory, roughly, in bytes.
const COUNT_BYTES: usize = 48;

/// Counts of values ≥ 0 by their leading bits.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Hdr {
    /// Bits of the fraction that count.
    kept_bits: u32,
    /// By the leading bits: values of larger ones are larger.
    counts: BTreeMap<u64, u64>,
}

impl Hdr {
    /// Returns the histogram of no values; `digits` is how many count, 0 to 5.
    pub fn new(digits: u8) -> Self {
        // Twice the power of ten, rounded up to a power of two, is how many parts all spans of values have that
        // begin at 0; half of them are in the last span.
        let parts = 2 * 10_u64.pow(digits.min(5).into());
        Self {
            kept_bits: parts.next_power_of_two().trailing_zeros() - 1,
            counts: BTreeMap::new(),
        }
    }

    /// Adds a value.
    ///
    /// # Errors
    /// [`EvaluationError::Query`] for a value below 0.
    pub fn add(&mut self, value: f64) -> Result<(), EvaluationError> {
        if value < 0.0 || !value.is_finite() {
            return Err(EvaluationError::Query(format!(
                "The value [{value:?}] is out of bounds for a histogram of [hdr], which counts values of 0 and \
                 more. Use [tdigest] instead."
            )));
        }
        *self.counts.entry(self.part_of(value)).or_default() += 1;
        Ok(())
    }

    /// Adds the values of another segment or shard.
    ///
    /// # Errors
    /// [`EvaluationError::Internal`] when the two are of different requests.
    pub fn merge(&mut self, other: Self) -> Result<(), EvaluationError> {
        if self.kept_bits != other.kept_bits {
            return Err(crate::aggregations::mismatch());
        }
        for (part, count) in other.counts {
            let mine = self.counts.entry(part).or_default();
            *mine = mine.saturating_add(count);
        }
        Ok(())
    }

    /// Returns the value that so many percent of all are not above: the largest of its part.
    pub fn percentile(&self, percent: f64) -> Option<f64> {
        let total = self.total();
        if total == 0 {
            return None;
        }
        let wanted = ((percent.min(100.0) / 100.0) * total as f64 + 0.5) as u64;
        let mut seen = 0_u64;
        let found = self.counts.iter().find(|(_, count)| {
            seen = seen.saturating_add(**count);
            seen >= wanted.max(1)
        });
        let part = found.or_else(|| self.counts.last_key_value())?.0;
        Some(match percent == 0.0 {
            true => self.first_of(*part),
            false => self.last_of(*part),
        })
    }

    /// Returns the percentage of values that are not above `value`, or in its part.
    pub fn rank(&self, value: f64) -> Option<f64> {
        let total = self.total();
        if total == 0 {
            return None;
        }
        if value < 0.0 {
            return Some(0.0);
        }
        let seen: u64 = self
            .counts
            .range(..=self.part_of(value))
            .map(|(_, count)| count)
            .sum();
        Some(100.0 * seen as f64 / total as f64)
    }

    /// Returns roughly what it takes in memory, in bytes.
    pub fn num_bytes(&self) -> usize {
        self.counts.len() * COUNT_BYTES
    }

    fn total(&self) -> u64 {
        let counts = self.counts.values();
        counts.fold(0, |total: u64, count| total.saturating_add(*count))
    }

    /// Doubles of one sign are in the order of their bits; −0 is 0.
    fn part_of(&self, value: f64) -> u64 {
        value.abs().to_bits() >> (FRACTION_BITS - self.kept_bits)
    }

    fn first_of(&self, part: u64) -> f64 {
        f64::from_bits(part << (FRACTION_BITS - self.kept_bits))
    }

    /// Returns the largest value of a part, in steps of the smallest part that is counted: it is below the next part, also
    /// where such a step is nothing beside it.
    fn last_of(&self, part: u64) -> f64 {
        if part == 0 {
            return 0.0;
        }
        let smallest = self.counts.keys().find(|part| **part > 0);
        let smallest = *smallest.unwrap_or(&part);
        let step = self.first_of(smallest + 1) - self.first_of(smallest);
        let end = self.first_of(part + 1);
        (end - step).min(end.next_down())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(digits: u8, values: &[f64]) -> Hdr {
        let mut histogram = Hdr::new(digits);
        for value in values {
            histogram.add(*value).expect("it is not below 0");
        }
        histogram
    }

    /// The values of Elasticsearch's own tests (`190_percentiles_hdr_metric.yml`).
    #[test]
    fn percentiles_are_those_of_the_java_histogram() {
        let histogram = of(3, &[1.0, 51.0, 101.0, 151.0]);
        for (percent, expected) in [
            (1.0, 1.0),
            (5.0, 1.0),
            (25.0, 1.0),
            (50.0, 51.030_273_437_5),
            (75.0, 101.061_523_437_5),
            (95.0, 151.124_023_437_5),
            (99.0, 151.124_023_437_5),
        ] {
            assert_eq!(histogram.percentile(percent), Some(expected), "{percent}");
        }
    }

    #[test]
    fn ranks_count_what_is_not_above() {
        let histogram = of(2, &[0.0, 0.0, 10.0, 1_000.0]);
        for (value, expected) in [(-1.0, 0.0), (0.0, 50.0), (10.0, 75.0), (2_000.0, 100.0)] {
            assert_eq!(histogram.rank(value), Some(expected), "{value}");
        }
        assert_eq!(histogram.percentile(0.0), Some(0.0));
        assert_eq!(Hdr::new(2).rank(1.0), None);
        assert_eq!(Hdr::new(2).percentile(50.0), None);
    }

    #[test]
    fn a_percentile_lies_in_the_part_of_its_value_however_small_others_are() {
        for large in [1.0, 1e9, 1e300, f64::MAX] {
            let histogram = of(3, &[1e-300, large, large]);
            let found = histogram.percentile(100.0).expect("a value");
            assert_eq!(histogram.part_of(found), histogram.part_of(large));
            assert_eq!(histogram.rank(found), Some(100.0));
        }
    }

    #[test]
    fn values_below_zero_are_refused() {
        assert!(Hdr::new(3).add(-0.5).is_err());
        assert!(Hdr::new(3).add(-0.0).is_ok());
    }

    proptest! {
        #[test]
        fn values_are_found_within_their_digits(digits in 0_u8..=5, value in 1e-300..1e300_f64) {
            let found = of(digits, &[value]).percentile(50.0).expect("a value");
            let error = (found - value).abs() / value;
            prop_assert!(error <= 10_f64.powi(-i32::from(digits)), "{value} {found}");
        }

        #[test]
        fn any_grouping_gives_the_same_counts(values in prop::collection::vec(0.0..1e6_f64, 0..60), cut in 0_usize..60) {
            let (left, right) = values.split_at(cut.min(values.len()));
            let mut merged = of(3, right);
            merged.merge(of(3, left)).expect("they fit");
            prop_assert_eq!(merged, of(3, &values));
        }
    }
}
