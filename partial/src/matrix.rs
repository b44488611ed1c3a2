//! Partial result of `matrix_stats`: exact sums of powers and products.
//!
//! Powers and products of doubles are no doubles; each is summed as the numbers that it exactly consists of (unless
//! these are too small or too large for a double). The moments are made of the exact sums, so they do not
//! depend on the order of documents, and not on how far the values are from 0.

use serde::{Deserialize, Serialize};

use super::sum::{ExactSum, product, product_of};
use crate::error::EvaluationError;

/// What a sum takes in memory, roughly, in bytes.
const SUM_BYTES: usize = 96;

/// Sums over the documents that have all fields.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Matrix {
    /// Documents.
    count: u64,
    /// Of each field.
    fields: Vec<Powers>,
    /// Of the products of each field with those after it, field by field.
    products: Vec<ExactSum>,
}

/// Sums of the powers of a field's values.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Powers {
    first: ExactSum,
    second: ExactSum,
    third: ExactSum,
    fourth: ExactSum,
}

/// The sums with what they say of each field, which is worked out once.
#[derive(Debug)]
pub struct Described<'a> {
    matrix: &'a Matrix,
    fields: Vec<Moments>,
}

/// What the sums of a field say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moments {
    /// The mean.
    pub mean: f64,
    /// Σ(x − mean)².
    squares: f64,
    /// The sampled variance; not a number for one document.
    pub variance: f64,
    /// How far the values lean to one side.
    pub skewness: f64,
    /// How heavy their tails are; 3 of a normal distribution.
    pub kurtosis: f64,
}

impl Matrix {
    /// Returns the sums of no documents.
    pub fn new(num_fields: usize) -> Self {
        let num_pairs = num_fields * num_fields.saturating_sub(1) / 2;
        Self {
            count: 0,
            fields: vec![Powers::default(); num_fields],
            products: vec![ExactSum::default(); num_pairs],
        }
    }

    /// Returns roughly what the sums of so many fields take in memory, in bytes.
    pub fn num_bytes_of(num_fields: usize) -> usize {
        let num_pairs = num_fields * num_fields.saturating_sub(1) / 2;
        (4 * num_fields + num_pairs) * SUM_BYTES
    }

    /// Returns roughly what they take in memory, in bytes.
    pub(crate) fn num_bytes(&self) -> usize {
        Self::num_bytes_of(self.fields.len())
    }

    /// Returns how many documents have all fields.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Adds a document by its values, one of each field.
    pub fn add(&mut self, values: &[f64]) {
        self.count += 1;
        for (powers, value) in self.fields.iter_mut().zip(values) {
            powers.add(*value);
        }
        let mut products = self.products.iter_mut();
        for (at, value) in values.iter().enumerate() {
            for (sum, other) in products.by_ref().zip(&values[at + 1..]) {
                add_all(sum, &product(*value, *other));
            }
        }
    }

    /// Adds the documents of another segment or shard.
    ///
    /// # Errors
    /// [`EvaluationError::Internal`] when the two are of different requests.
    pub fn merge(&mut self, other: &Self) -> Result<(), EvaluationError> {
        if self.fields.len() != other.fields.len() || self.products.len() != other.products.len() {
            return Err(crate::aggregations::mismatch());
        }
        self.count = self.count.saturating_add(other.count);
        for (mine, theirs) in self.fields.iter_mut().zip(&other.fields) {
            mine.first.merge(&theirs.first);
            mine.second.merge(&theirs.second);
            mine.third.merge(&theirs.third);
            mine.fourth.merge(&theirs.fourth);
        }
        for (mine, theirs) in self.products.iter_mut().zip(&other.products) {
            mine.merge(theirs);
        }
        Ok(())
    }

    /// Returns what the sums say of each field; `None` without documents.
    pub fn described(&self) -> Option<Described<'_>> {
        let count = self.count as f64;
        let described = || Described {
            matrix: self,
            fields: self.fields.iter().map(|of| of.moments(count)).collect(),
        };
        (self.count > 0).then(described)
    }
}

impl Described<'_> {
    /// Returns how many documents have all fields.
    pub fn count(&self) -> u64 {
        self.matrix.count
    }

    /// Returns the moments of each field.
    pub fn fields(&self) -> &[Moments] {
        &self.fields
    }

    /// Returns the sampled covariance of two fields and their correlation; `None` where there is no such field. A field has
    /// its variance with itself, and 1.
    pub fn dependence(&self, one: usize, other: usize) -> Option<(f64, f64)> {
        let (left, right) = (self.fields.get(one)?, self.fields.get(other)?);
        if one == other {
            return Some((left.variance, 1.0));
        }
        let (low, high) = (one.min(other), one.max(other));
        let sums = &self.matrix.fields;
        // The pairs of the fields before it come first.
        let before = low * sums.len() - low * (low + 1) / 2;
        let products = self.matrix.products.get(before + high - low - 1)?.parts();
        let count = self.matrix.count as f64;
        let (first, second) = (sums[low].first.parts(), sums[high].first.parts());
        let mut sum = product_of(&products, &[count]);
        sum.merge(&negated(&product_of(&first, &second)));
        let together = sum.value() / count;
        let spread = left.squares.sqrt() * right.squares.sqrt();
        Some((together / (count - 1.0), together / spread))
    }
}

impl Powers {
    fn add(&mut self, value: f64) {
        let square = product(value, value);
        self.first.add(value);
        add_all(&mut self.second, &square);
        for part in square {
            for cube in product(part, value) {
                if cube != 0.0 {
                    self.third.add(cube);
                    add_all(&mut self.fourth, &product(cube, value));
                }
            }
        }
    }

    /// Σ(x − mean)ᵏ times nᵏ⁻¹ is a sum of products of the sums; it is rounded once.
    fn moments(&self, count: f64) -> Moments {
        let [s1, s2, s3, s4] =
            [&self.first, &self.second, &self.third, &self.fourth].map(ExactSum::parts);
        let n = [count];
        let square = product_of(&s1, &s1).parts();
        let n_square = product(count, count);
        let mut second = product_of(&s2, &n);
        second.merge(&negated(&product_of(&square, &[1.0])));
        // n²·S3 − 3n·S1·S2 + 2·S1³
        let mut third = product_of(&s3, &n_square);
        let mixed = product_of(&product_of(&s1, &s2).parts(), &[-3.0 * count]);
        third.merge(&mixed);
        third.merge(&product_of(&product_of(&square, &s1).parts(), &[2.0]));
        // n³·S4 − 4n²·S1·S3 + 6n·S1²·S2 − 3·S1⁴
        let mut fourth = product_of(&product_of(&s4, &n_square).parts(), &n);
        let mixed = product_of(&product_of(&s1, &s3).parts(), &n_square);
        fourth.merge(&product_of(&mixed.parts(), &[-4.0]));
        let mixed = product_of(&product_of(&square, &s2).parts(), &[6.0 * count]);
        fourth.merge(&mixed);
        fourth.merge(&product_of(&product_of(&square, &square).parts(), &[-3.0]));
        let squares = second.value() / count;
        let cubes = third.value() / count / count;
        let fourths = fourth.value() / count / count / count;
        Moments {
            mean: self.first.value() / count,
            squares,
            variance: squares / (count - 1.0),
            skewness: count.sqrt() * cubes / squares.powf(1.5),
            kurtosis: count * fourths / (squares * squares),
        }
    }
}

fn add_all(sum: &mut ExactSum, parts: &[f64]) {
    for part in parts.iter().filter(|part| **part != 0.0) {
        sum.add(*part);
    }
}

fn negated(sum: &ExactSum) -> ExactSum {
    product_of(&sum.parts(), &[-1.0])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(rows: &[[f64; 2]]) -> Matrix {
        let mut matrix = Matrix::new(2);
        rows.iter().for_each(|row| matrix.add(row));
        matrix
    }

    #[test]
    fn moments_are_those_of_the_definitions() {
        let matrix = of(&[[1.0, 8.0], [2.0, 6.0], [3.0, 7.0], [10.0, 1.0]]);
        let described = matrix.described().expect("it has documents");
        let moments = described.fields()[0];
        // Deviations −3, −2, −1, 6.
        assert_eq!(moments.mean, 4.0);
        assert_eq!(moments.variance, 50.0 / 3.0);
        assert_eq!(moments.skewness, 2.0 * 180.0 / 50_f64.powf(1.5));
        assert_eq!(moments.kurtosis, 4.0 * 1_394.0 / 2_500.0);
        let (covariance, correlation) = described.dependence(1, 0).expect("a pair");
        // Deviations 2.5, 0.5, 1.5, −4.5.
        assert_eq!(covariance, (-7.5 - 1.0 - 1.5 - 27.0) / 3.0);
        assert_eq!(correlation, -37.0 / (50_f64.sqrt() * 29_f64.sqrt()));
        assert_eq!(described.dependence(1, 1).expect("a pair").1, 1.0);
        assert_eq!(described.dependence(1, 2), None);
    }

    #[test]
    fn moments_do_not_depend_on_where_the_values_lie() {
        let near = of(&[[1.0, 0.0], [2.0, 0.0], [4.0, 0.0]]);
        let far = of(&[[1e12 + 1.0, 0.0], [1e12 + 2.0, 0.0], [1e12 + 4.0, 0.0]]);
        let first = |matrix: &Matrix| matrix.described().expect("some").fields()[0];
        let (near, far) = (first(&near), first(&far));
        assert_eq!(near.variance, far.variance);
        assert_eq!(near.skewness, far.skewness);
        assert_eq!(near.kurtosis, far.kurtosis);
    }

    #[test]
    fn no_documents_have_no_moments_and_one_has_no_spread() {
        assert!(Matrix::new(2).described().is_none());
        let one = of(&[[5.0, 6.0]]);
        let one = one.described().expect("one").fields()[0];
        assert_eq!(one.mean, 5.0);
        assert!(one.variance.is_nan() && one.skewness.is_nan() && one.kurtosis.is_nan());
        assert!(of(&[[1.0, 2.0]]).merge(&Matrix::new(3)).is_err());
    }

    /// All that is no number is alike.
    fn to_bits(value: f64) -> Option<u64> {
        (!value.is_nan()).then(|| value.to_bits())
    }

    proptest! {
        #[test]
        fn any_order_and_any_grouping_give_the_same_bits(
            rows in prop::collection::vec(
                (-1e20..1e20_f64, prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL)
                    .prop_map(|(plain, wide)| [plain, wide]),
                1..40,
            ),
            cut in 0_usize..40,
        ) {
            let whole = of(&rows);
            let (left, right) = rows.split_at(cut.min(rows.len()));
            let backwards: Vec<[f64; 2]> = right.iter().rev().copied().collect();
            let mut merged = of(&backwards);
            merged.merge(&of(left)).expect("they fit");
            for field in 0..2 {
                let bits = |matrix: &Matrix| matrix.described().map(|described| {
                    let of = described.fields()[field];
                    [of.mean, of.variance, of.skewness, of.kurtosis].map(to_bits)
                });
                prop_assert_eq!(bits(&whole), bits(&merged));
            }
            let bits = |matrix: &Matrix| {
                let pair = matrix.described()?.dependence(0, 1);
                pair.map(|(one, other)| [one, other].map(to_bits))
            };
            prop_assert_eq!(bits(&whole), bits(&merged));
        }
    }
}
