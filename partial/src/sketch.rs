//! Percentiles: exact while values are few, then a sketch with bounded relative error.
//!
//! Source: C. Masson et al., *DDSketch* (VLDB 2019). Values fall into buckets whose bounds grow by
//! γ = (1 + α) / (1 − α); a percentile is within α = 0.5 % of a value at that rank. A bucket's count
//! does not depend on the order in which values come, so no layout of shards changes the result
//! (a t-digest's does).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Relative error of a percentile once there are more than [`EXACT`] values.
const ALPHA: f64 = 0.005;
/// Values kept as they are: 16 KiB.
pub const EXACT: usize = 2_048;

/// The distribution of numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Shape", into = "Shape")]
pub struct Sketch(Shape);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Shape {
    /// All values, at most [`EXACT`], in order of size.
    Exact(Vec<f64>),
    /// Counts per bucket.
    Buckets(Box<Buckets>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Buckets {
    /// Smallest value.
    min: f64,
    /// Largest value.
    max: f64,
    /// Values that are 0.
    zeros: u64,
    /// Positive values: bucket `i` holds (γ^(i−1), γ^i].
    positive: BTreeMap<i32, u64>,
    /// Negative values by magnitude.
    negative: BTreeMap<i32, u64>,
}

impl From<Sketch> for Shape {
    fn from(sketch: Sketch) -> Self {
        sketch.0
    }
}

impl TryFrom<Shape> for Sketch {
    type Error = &'static str;

    fn try_from(shape: Shape) -> Result<Self, Self::Error> {
        let is_sound = match &shape {
            Shape::Exact(values) => {
                values.len() <= EXACT
                    && values.iter().all(|v| !v.is_nan())
                    && values.is_sorted_by(|a, b| a.total_cmp(b).is_le())
            }
            Shape::Buckets(buckets) => buckets.is_sound(),
        };
        match is_sound {
            true => Ok(Self(shape)),
            false => Err("sketch of percentiles is damaged"),
        }
    }
}

impl Default for Sketch {
    fn default() -> Self {
        Self(Shape::Exact(Vec::new()))
    }
}

impl Sketch {
    /// Adds a value.
    pub fn add(&mut self, value: f64) {
        // -0 becomes 0, so that the order of equal values cannot differ.
        let value = value + 0.0;
        match &mut self.0 {
            Shape::Exact(values) => {
                let at = values.partition_point(|v| v.total_cmp(&value).is_lt());
                values.insert(at, value);
                if values.len() > EXACT {
                    self.thin();
                }
            }
            Shape::Buckets(buckets) => buckets.add(value, 1),
        }
    }

    /// Returns where a value is counted once there are many: values of one place are counted together. Places ascend with values.
    pub fn place_of(value: f64) -> (i8, i32) {
        match value + 0.0 {
            0.0 => (0, 0),
            value if value > 0.0 => (1, bucket(value)),
            // Larger magnitudes are smaller values.
            value => (-1, -bucket(-value)),
        }
    }

    /// Adds values of one place ([`Self::place_of`]), of which the least and the greatest are given; all are counted by place then.
    pub fn add_run(&mut self, least: f64, greatest: f64, count: u64) {
        self.thin();
        if let Shape::Buckets(buckets) = &mut self.0 {
            buckets.add(least + 0.0, count.saturating_sub(1));
            buckets.add(greatest + 0.0, count.min(1));
        }
    }

    /// Adds the values of another sketch.
    pub fn merge(&mut self, other: Self) {
        match other.0 {
            Shape::Exact(values) => self.merge_values(&values),
            Shape::Buckets(theirs) => {
                self.thin();
                if let Shape::Buckets(mine) = &mut self.0 {
                    mine.merge(&theirs);
                }
            }
        }
    }

    /// Returns the value at `percent` (0 to 100); `None` without values.
    ///
    /// The k-th of n values stands at share (k − ½) / n; between two exact values it is interpolated
    /// linearly, as a t-digest does.
    pub fn percentile(&self, percent: f64) -> Option<f64> {
        let share = percent.clamp(0.0, 100.0) / 100.0;
        match &self.0 {
            Shape::Exact(values) => interpolate(values, share),
            Shape::Buckets(buckets) => Some(buckets.at(share, |place| {
                let size = middle(place.bucket);
                if place.is_negative { -size } else { size }
            })),
        }
    }

    /// Returns the value at `percent` as [`Sketch::percentile`] does, but inside a bucket in proportion to
    /// the ranks: within 2 α of a value at that rank, and where values lie evenly far closer. For values
    /// whose distances count and not their sizes, as of dates: α of the time since 1970 is months.
    pub fn percentile_in_proportion(&self, percent: f64) -> Option<f64> {
        let share = percent.clamp(0.0, 100.0) / 100.0;
        match &self.0 {
            Shape::Exact(values) => interpolate(values, share),
            Shape::Buckets(buckets) => {
                Some(buckets.at(share, |place| buckets.in_proportion(place)))
            }
        }
    }

    /// Returns the percentage of values up to `value`, 0 to 100, as the inverse of [`Sketch::percentile`]; `None`
    /// without values.
    pub fn rank(&self, value: f64) -> Option<f64> {
        let share = match &self.0 {
            Shape::Exact(values) => share_of(values, value)?,
            Shape::Buckets(buckets) => buckets.share_of(value),
        };
        Some(share * 100.0)
    }

    /// Returns the median of the distances from the median; `None` without values.
    pub fn median_deviation(&self) -> Option<f64> {
        let median = self.percentile(50.0)?;
        let distance = |value: f64| (value - median).abs();
        match &self.0 {
            Shape::Exact(values) => {
                let mut distances: Vec<f64> = values.iter().map(|value| distance(*value)).collect();
                distances.sort_by(f64::total_cmp);
                interpolate(&distances, 0.5)
            }
            Shape::Buckets(buckets) => {
                let mut distances = Buckets::default();
                for (size, count) in buckets.sizes() {
                    distances.add(distance(size), count);
                }
                Self(Shape::Buckets(Box::new(distances))).percentile(50.0)
            }
        }
    }

    /// Returns the memory it takes, roughly, in bytes.
    pub fn num_bytes(&self) -> usize {
        match &self.0 {
            Shape::Exact(values) => values.len() * 8,
            Shape::Buckets(b) => (b.positive.len() + b.negative.len()) * 24,
        }
    }

    fn merge_values(&mut self, theirs: &[f64]) {
        match &mut self.0 {
            Shape::Exact(values) => {
                values.extend_from_slice(theirs);
                values.sort_by(f64::total_cmp);
                if values.len() > EXACT {
                    self.thin();
                }
            }
            Shape::Buckets(buckets) => theirs.iter().for_each(|value| buckets.add(*value, 1)),
        }
    }

    fn thin(&mut self) {
        if let Shape::Exact(values) = &self.0 {
            let mut buckets = Buckets::default();
            values.iter().for_each(|value| buckets.add(*value, 1));
            self.0 = Shape::Buckets(Box::new(buckets));
        }
    }
}

impl Default for Buckets {
    fn default() -> Self {
        Self {
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            zeros: 0,
            positive: BTreeMap::new(),
            negative: BTreeMap::new(),
        }
    }
}

impl Buckets {
    /// Returns a value of each bucket, and how many there are of it.
    fn sizes(&self) -> impl Iterator<Item = (f64, u64)> {
        let (negative, positive) = (self.negative.iter(), self.positive.iter());
        let negative = negative.map(|(at, count)| (-middle(*at), *count));
        let positive = positive.map(|(at, count)| (middle(*at), *count));
        let zeros = (self.zeros > 0).then_some((0.0, self.zeros));
        negative.chain(zeros).chain(positive)
    }

    /// Returns the share of values up to `value`; of its bucket half of them.
    fn share_of(&self, value: f64) -> f64 {
        if value < self.min {
            return 0.0;
        }
        if value > self.max {
            return 1.0;
        }
        let place = |value: f64| match value {
            0.0 => 0.0,
            value => value.signum() * middle(bucket(value.abs())),
        };
        let own = place(value);
        let (mut below, mut same, mut total) = (0.0, 0.0, 0.0);
        for (size, count) in self.sizes() {
            let count = count as f64;
            total += count;
            if size < own {
                below += count;
            } else if size.to_bits() == own.to_bits() {
                same += count;
            }
        }
        (below + same / 2.0) / total
    }

    fn add(&mut self, value: f64, count: u64) {
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        if value == 0.0 {
            self.zeros += count;
        } else if value > 0.0 {
            *self.positive.entry(bucket(value)).or_default() += count;
        } else {
            *self.negative.entry(bucket(-value)).or_default() += count;
        }
    }

    fn merge(&mut self, other: &Self) {
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.zeros = self.zeros.saturating_add(other.zeros);
        for (index, count) in &other.positive {
            let sum = self.positive.entry(*index).or_default();
            *sum = sum.saturating_add(*count);
        }
        for (index, count) in &other.negative {
            let sum = self.negative.entry(*index).or_default();
            *sum = sum.saturating_add(*count);
        }
    }

    fn is_sound(&self) -> bool {
        !self.min.is_nan() && !self.max.is_nan() && self.min <= self.max
    }

    /// The value at a share of the ranks; `value` says which one of a place's bucket.
    fn at(&self, share: f64, value: impl Fn(&Place) -> f64) -> f64 {
        if share == 0.0 {
            return self.min;
        }
        if share == 1.0 {
            return self.max;
        }
        let counts = || self.negative.values().chain(self.positive.values());
        let total = counts().fold(self.zeros, |sum, count| sum.saturating_add(*count));
        // Rank 0 is the first value.
        let rank = (share * total as f64 - 0.5).max(0.0);
        let mut seen = 0_u64;
        let negative = self
            .negative
            .iter()
            .rev()
            .map(|(i, n)| (Some((*i, true)), *n));
        let positive = self.positive.iter().map(|(i, n)| (Some((*i, false)), *n));
        for (place, count) in negative.chain([(None, self.zeros)]).chain(positive) {
            let before = seen as f64;
            seen = seen.saturating_add(count);
            if seen as f64 > rank {
                let found = place.map_or(0.0, |(bucket, is_negative)| {
                    let part = ((rank - before + 0.5) / count as f64).clamp(0.0, 1.0);
                    value(&Place {
                        bucket,
                        is_negative,
                        part,
                    })
                });
                return found.clamp(self.min, self.max);
            }
        }
        self.max
    }

    fn in_proportion(&self, place: &Place) -> f64 {
        let (small, large) = (growth().powi(place.bucket - 1), growth().powi(place.bucket));
        let (low, high) = if place.is_negative {
            (-large, -small)
        } else {
            (small, large)
        };
        let (low, high) = (low.max(self.min), high.min(self.max));
        low + place.part * (high - low)
    }
}

/// Where a rank is among values that are not 0.
struct Place {
    bucket: i32,
    is_negative: bool,
    /// Share of the bucket's values that are smaller, 0 to 1.
    part: f64,
}

fn growth() -> f64 {
    (1.0 + ALPHA) / (1.0 - ALPHA)
}

/// Returns the bucket of a positive value; all of f64 lies within ±75,000.
fn bucket(value: f64) -> i32 {
    (value.ln() / growth().ln()).ceil() as i32
}

/// Returns the value that is within α of all of a bucket.
fn middle(bucket: i32) -> f64 {
    2.0 * growth().powi(bucket) / (growth() + 1.0)
}

/// Returns the share of sorted values up to `value`, as [`interpolate`] has it; `None` without values.
fn share_of(values: &[f64], value: f64) -> Option<f64> {
    let (first, last) = (values.first()?, values.last()?);
    if value < *first {
        return Some(0.0);
    }
    if value > *last {
        return Some(1.0);
    }
    let below = values.partition_point(|other| *other < value);
    let up_to = values.partition_point(|other| *other <= value);
    let share = |rank: f64| rank / values.len() as f64;
    if up_to > below {
        return Some(share((below + up_to) as f64 / 2.0));
    }
    let (before, after) = (values[below - 1], values[below]);
    Some(share(
        below as f64 - 0.5 + (value - before) / (after - before),
    ))
}

fn interpolate(values: &[f64], share: f64) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    let rank = (share * values.len() as f64 - 0.5).clamp(0.0, last as f64);
    let (low, high) = (rank.floor() as usize, rank.ceil() as usize);
    let (low_value, high_value) = (values[low], values[high.min(last)]);
    if low == high {
        return Some(low_value);
    }
    Some(low_value + (rank - low as f64) * (high_value - low_value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sketch(values: impl Iterator<Item = f64>) -> Sketch {
        let mut sketch = Sketch::default();
        values.for_each(|value| sketch.add(value));
        sketch
    }

    #[test]
    fn few_values_are_interpolated_exactly() {
        let sketch = sketch([3.0, 1.0, 2.0, 4.0].into_iter());
        let found: Vec<_> = [0.0, 25.0, 50.0, 100.0]
            .map(|p| sketch.percentile(p))
            .to_vec();
        assert_eq!(found, [Some(1.0), Some(1.5), Some(2.5), Some(4.0)]);
        assert_eq!(Sketch::default().percentile(50.0), None);
    }

    #[test]
    fn ranks_are_the_inverse_of_percentiles() {
        let few = sketch([3.0, 1.0, 2.0, 4.0].into_iter());
        let ranks = [0.5, 1.0, 1.5, 2.5, 4.0, 9.0].map(|value| few.rank(value));
        assert_eq!(ranks, [0.0, 12.5, 25.0, 50.0, 87.5, 100.0].map(Some));
        let same = sketch([7.0, 7.0, 8.0, 9.0].into_iter());
        assert_eq!(same.rank(7.0), Some(25.0));
        let many = sketch((-20_000..=60_000).map(f64::from));
        for value in [-30_000.0, -10_000.0, 0.0, 20_000.0, 70_000.0] {
            let actual = ((value + 20_000.0) / 800.0_f64).clamp(0.0, 100.0);
            let found = many.rank(value).expect("there are values");
            assert!((found - actual).abs() < 0.5, "{value}: {found}");
        }
        assert_eq!(Sketch::default().rank(1.0), None);
    }

    #[test]
    fn deviations_are_medians_of_distances() {
        let few = sketch([1.0, 1.0, 2.0, 2.0, 4.0, 6.0, 9.0].into_iter());
        assert_eq!(few.median_deviation(), Some(1.0));
        let many = sketch((0..=10_000).map(f64::from));
        let found = many.median_deviation().expect("there are values");
        assert!((found - 2_500.0).abs() < 50.0, "{found}");
        assert_eq!(Sketch::default().median_deviation(), None);
    }

    #[test]
    fn many_values_stay_within_the_stated_error() {
        let sketch = sketch((-20_000..=60_000).map(f64::from));
        for percent in [0.0, 1.0, 5.0, 24.0, 50.0, 75.0, 99.0, 99.9, 100.0] {
            let actual = percent / 100.0 * 80_000.0 - 20_000.0;
            let found = sketch.percentile(percent).expect("there are values");
            // Ranks are whole: one step beside the relative error.
            assert!(
                (found - actual).abs() <= ALPHA * actual.abs() + 1.0,
                "{percent}: {found}"
            );
        }
    }

    #[test]
    fn many_dates_of_a_week_are_told_apart() {
        const MINUTE: f64 = 60_000.0;
        for start in [1.7e12, -1.7e12] {
            let week = sketch((0..10_080).map(|minute| start + f64::from(minute) * MINUTE));
            for percent in [0.0, 1.0, 25.0, 50.0, 75.0, 99.0, 100.0] {
                let actual = start + percent / 100.0 * 10_079.0 * MINUTE;
                let found = week.percentile_in_proportion(percent).expect("values");
                assert!(
                    (found - actual).abs() <= 10.0 * MINUTE,
                    "{percent}: {found}"
                );
            }
        }
    }

    #[test]
    fn merged_parts_equal_the_whole_in_any_order() {
        for step in [1, 100] {
            let values = || {
                (0..10_000)
                    .step_by(step)
                    .map(|v| f64::from(v) * 0.37 - 500.0)
            };
            let whole = sketch(values());
            let parts = || {
                [
                    sketch(values().skip(70)),
                    sketch(values().take(30)),
                    sketch(values().take(70).skip(30)),
                ]
            };
            let mut forward = Sketch::default();
            parts().into_iter().for_each(|part| forward.merge(part));
            let mut backward = Sketch::default();
            parts()
                .into_iter()
                .rev()
                .for_each(|part| backward.merge(part));
            assert_eq!(forward, whole);
            assert_eq!(backward, whole);
        }
    }
}
