//! A sum of fractions that does not depend on the order of its parts.
//!
//! Source: J. R. Shewchuk, *Adaptive Precision Floating-Point Arithmetic* (1997), growing
//! expansions, as `math.fsum` of Python uses them. The expansion holds the exact sum, and the result
//! is the exact sum rounded once (to nearest, ties to even), so any layout of shards and segments
//! gives the same bits.

use serde::{Deserialize, Serialize};

/// Numbers at least this large are kept apart, scaled down, so that no partial sum overflows
/// unless 2^64 of them are added.
const HUGE: f64 = f64::from_bits((1023 + 960) << 52);
/// Factor of the numbers kept apart: a power of two, so that scaling is exact.
const SCALE: f64 = f64::from_bits((1023 - 64) << 52);

/// Most numbers that a sum is taken apart into.
const MAX_PARTS: usize = 8;

/// The exact sum of finite numbers; whole numbers up to 2^53 take no memory beyond the struct.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ExactSum {
    /// Largest part of the expansion.
    top: f64,
    /// What `top` cannot hold.
    rest: Option<Box<Rest>>,
}

/// The parts of a sum that rarely exist.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Rest {
    /// Smaller parts of the expansion, by growing magnitude, none overlapping.
    small: Vec<f64>,
    /// Numbers of at least [`HUGE`], times [`SCALE`]: an expansion of its own.
    huge: Vec<f64>,
    /// Sum of infinities (squares may overflow).
    infinite: f64,
}

impl ExactSum {
    /// Adds a number.
    pub fn add(&mut self, value: f64) {
        if value.abs() >= HUGE || value.is_nan() {
            return self.add_huge(value);
        }
        if let Some(rest) = &mut self.rest {
            let carried = grow(&mut rest.small, value);
            let (high, low) = two_sum(self.top, carried);
            self.top = high;
            if low != 0.0 {
                rest.small.push(low);
            }
            return;
        }
        let (high, low) = two_sum(self.top, value);
        self.top = high;
        if low != 0.0 {
            self.rest_mut().small.push(low);
        }
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: &Self) {
        self.add(other.top);
        let Some(rest) = &other.rest else { return };
        for value in &rest.small {
            self.add(*value);
        }
        if rest.infinite != 0.0 {
            self.rest_mut().infinite += rest.infinite;
        }
        for value in &rest.huge {
            let mine = self.rest_mut();
            let carried = grow(&mut mine.huge, *value);
            mine.huge.push(carried);
        }
    }

    /// Returns the sum, rounded once.
    pub fn value(&self) -> f64 {
        let Some(rest) = &self.rest else {
            return self.top;
        };
        if rest.infinite != 0.0 {
            return rest.infinite;
        }
        let mut parts = rest.small.clone();
        parts.push(self.top);
        if rest.huge.iter().all(|part| *part == 0.0) {
            return round(&parts);
        }
        let mut scaled = rest.huge.clone();
        for part in parts {
            let carried = grow(&mut scaled, part * SCALE);
            scaled.push(carried);
        }
        round(&scaled) / SCALE
    }

    /// Returns numbers whose exact sum this is, up to 2⁻⁴⁰⁰ of it: each is what those before it leave, rounded. They
    /// are the same for any order of what was added.
    pub(super) fn parts(&self) -> Vec<f64> {
        let mut rest = self.clone();
        let mut parts = Vec::new();
        while parts.len() < MAX_PARTS {
            let part = rest.value();
            if part == 0.0 {
                break;
            }
            parts.push(part);
            if !part.is_finite() {
                break;
            }
            rest.add(-part);
        }
        parts
    }

    fn add_huge(&mut self, value: f64) {
        let rest = self.rest_mut();
        if value.is_finite() {
            let carried = grow(&mut rest.huge, value * SCALE);
            rest.huge.push(carried);
        } else {
            rest.infinite += value;
        }
    }

    fn rest_mut(&mut self) -> &mut Rest {
        self.rest.get_or_insert_with(Box::default)
    }
}

/// Returns the rounded product and its error: together they are the product, unless they are too small.
pub(super) fn product(a: f64, b: f64) -> [f64; 2] {
    let high = a * b;
    match high.is_finite() {
        true => [high, a.mul_add(b, -high)],
        false => [high, 0.0],
    }
}

/// Returns the product of two sums, each given by its parts.
pub(super) fn product_of(left: &[f64], right: &[f64]) -> ExactSum {
    let mut sum = ExactSum::default();
    for a in left {
        for b in right {
            let parts = product(*a, *b).into_iter().filter(|part| *part != 0.0);
            parts.for_each(|part| sum.add(part));
        }
    }
    sum
}

/// Returns the rounded sum and its error.
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let (large, small) = if a.abs() < b.abs() { (b, a) } else { (a, b) };
    let high = large + small;
    (high, small - (high - large))
}

/// Adds `value` to the expansion; returns the new largest part, which the caller appends.
fn grow(parts: &mut Vec<f64>, value: f64) -> f64 {
    let mut carried = value;
    parts.retain_mut(|part| {
        let (high, low) = two_sum(carried, *part);
        carried = high;
        *part = low;
        low != 0.0
    });
    carried
}

/// Rounds an expansion to one number, ties to even.
fn round(parts: &[f64]) -> f64 {
    let mut rest = parts.iter().rev().copied();
    let Some(mut high) = rest.next() else {
        return 0.0;
    };
    let mut low = 0.0;
    for part in rest.by_ref() {
        (high, low) = two_sum(high, part);
        if low != 0.0 {
            break;
        }
    }
    // `low` is half a unit at most; when it is exactly half, the parts below decide.
    if let Some(below) = rest.find(|part| *part != 0.0)
        && low != 0.0
        && (low < 0.0) == (below < 0.0)
    {
        let doubled = low * 2.0;
        let moved = high + doubled;
        if moved - high == doubled {
            return moved;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sum(values: &[f64]) -> f64 {
        let mut sum = ExactSum::default();
        values.iter().for_each(|value| sum.add(*value));
        sum.value()
    }

    #[test]
    fn sums_are_exact_where_naive_addition_is_not() {
        for (values, expected) in [
            (vec![], 0.0),
            (vec![0.1; 10], 1.0),
            (vec![1e100, 1.0, -1e100], 1.0),
            (vec![1e16, 1.0, 1e-16], 1e16 + 2.0),
            (vec![f64::MAX, f64::MAX, -f64::MAX], f64::MAX),
            (vec![f64::MAX, f64::MAX], f64::INFINITY),
            (vec![f64::INFINITY, 1.0], f64::INFINITY),
            (vec![1e300, 1.0, -1e300], 1.0),
            (
                vec![9_007_199_254_740_992.0, 1.0, 1.0],
                9_007_199_254_740_994.0,
            ),
        ] {
            assert_eq!(sum(&values).to_bits(), f64::to_bits(expected), "{values:?}");
        }
    }

    proptest! {
        #[test]
        fn any_order_and_any_grouping_give_the_same_bits(
            mut values in prop::collection::vec(prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL, 0..60),
            cut in 0_usize..60,
        ) {
            values.iter_mut().for_each(|v| *v = v.clamp(-1e280, 1e280));
            let whole = sum(&values);
            let (left, right) = values.split_at(cut.min(values.len()));
            let mut merged = ExactSum::default();
            right.iter().rev().for_each(|v| merged.add(*v));
            let mut other = ExactSum::default();
            left.iter().for_each(|v| other.add(*v));
            merged.merge(&other);
            prop_assert_eq!(whole.to_bits(), merged.value().to_bits());
        }

        #[test]
        fn whole_numbers_sum_as_integers_do(values in prop::collection::vec(-1_i64 << 50..1_i64 << 50, 0..200)) {
            let expected: i128 = values.iter().map(|v| i128::from(*v)).sum();
            let values: Vec<f64> = values.iter().map(|v| *v as f64).collect();
            prop_assert_eq!(sum(&values), expected as f64);
        }
    }
}
