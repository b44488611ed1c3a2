//! Functions of a document that scores are made of, as leaves evaluate them.

use gleaner_model::FieldPath;
use serde::{Deserialize, Serialize};

use super::{Clause, FieldStatistics};
use crate::dsl::{BoostMode, DecayShape, FeatureCurve, Modifier, ScoreMode};
use crate::encoded::GeoPoint;
use crate::sort_mode::SortMode;

/// Documents of a clause, scored by functions of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FunctionScore {
    /// What must match.
    pub query: Clause,
    /// Which documents each of `functions` is for, in their order.
    pub filters: Vec<Clause>,
    /// The functions.
    pub functions: Vec<WeightedFunction>,
    /// How they are combined. Where none is for a document, they give 1.
    pub score_mode: ScoreMode,
    /// How what they give is combined with the clause's score.
    pub boost_mode: BoostMode,
    /// They give no more than this.
    pub max_boost: f32,
    /// Documents that score less do not match.
    pub min_score: Option<f32>,
}

/// A function with its factor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WeightedFunction {
    /// Factor, finite, ≥ 0.
    pub weight: f32,
    /// The function.
    pub function: Function,
}

/// A number made of a document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Function {
    /// 1.
    One,
    /// modifier(factor × the smallest value of a field).
    FieldValue {
        /// A field of numbers or dates.
        field: FieldPath,
        /// Factor on the value.
        factor: f64,
        /// Applied to the product.
        modifier: Modifier,
        /// Value of documents that have none; `None` refuses them.
        missing: Option<f64>,
    },
    /// A number from 0 to 1 that hangs on the seed and on the document alone.
    Random {
        /// The seed.
        seed: u64,
        /// Documents of equal values have equal numbers; `None` goes by the id.
        field: Option<FieldPath>,
    },
    /// What falls with the distance from an origin.
    Decay(Decay),
    /// pivot / (pivot + distance of the nearest value from the origin); 0 without a value.
    Proximity {
        /// A field of dates, or of points.
        field: FieldPath,
        /// Where the distance is 0.
        origin: Origin,
        /// Milliseconds, or metres; > 0.
        pivot: f64,
    },
    /// A curve over the value of a feature; 0 without one.
    Feature {
        /// A field of features.
        field: FieldPath,
        /// The curve.
        curve: FeatureCurve,
    },
}

/// Where distances from values of a field begin.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Origin {
    /// A number, or milliseconds since the epoch.
    Number(f64),
    /// Nanoseconds since the epoch, of a `date_nanos`; distances are nanoseconds.
    Nanos(i64),
    /// A point on the earth; distances are metres.
    Point(GeoPoint),
}

/// A decay function, in the units of the field: dates are milliseconds, points metres apart. 1 without a value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decay {
    /// A field of numbers, dates or points.
    pub field: FieldPath,
    /// How it falls.
    pub shape: DecayShape,
    /// Where it is 1.
    pub origin: Origin,
    /// At which distance beyond the offset it is `decay`, > 0.
    pub scale: f64,
    /// Up to which distance it is 1.
    pub offset: f64,
    /// Its value at the scale.
    pub decay: f64,
    /// Which distance of several values counts; never the median.
    pub mode: SortMode,
}

impl Modifier {
    /// Returns what it makes of `value`; NaN where there is no such number.
    pub fn apply(self, value: f64) -> f64 {
        match self {
            Self::None => value,
            Self::Log => value.log10(),
            Self::Log1p => (value + 1.0).log10(),
            Self::Log2p => (value + 2.0).log10(),
            Self::Ln => value.ln(),
            Self::Ln1p => value.ln_1p(),
            Self::Ln2p => (value + 1.0).ln_1p(),
            Self::Square => value * value,
            Self::Sqrt => value.sqrt(),
            Self::Reciprocal => value.recip(),
        }
    }
}

/// Bits of an f32 that a feature's code leaves out: 8 of its mantissa stay.
const CODE_SHIFT: u32 = 15;

/// Returns what a feature's value counts in a mean of many, where larger values score more; of others their reciprocal.
///
/// It is the upper bits of the value as an f32, as Lucene's `FeatureField` has them: whole numbers that grow about as its
/// logarithm, whose sums are the same in any order.
pub fn feature_code(value: f64, is_positive: bool) -> u64 {
    let value = if is_positive { value } else { value.recip() };
    u64::from((value as f32).to_bits() >> CODE_SHIFT)
}

impl FeatureCurve {
    /// Is it around the mean of the field?
    pub fn is_typical(self) -> bool {
        matches!(self, Self::Typical { .. })
    }

    /// Returns the curve with its mean taken from the numbers of the field, where it has one: the length of a feature is
    /// its [code](feature_code).
    pub fn settled(self, numbers: &FieldStatistics) -> Self {
        let Self::Typical { exponent } = self else {
            return self;
        };
        let code = numbers.total_length / numbers.documents.max(1);
        // A mean of numbers of 17 bits.
        let mean = f64::from(f32::from_bits((code as u32) << CODE_SHIFT));
        Self::Sigmoid {
            pivot: if exponent < 0.0 { mean.recip() } else { mean },
            exponent,
        }
    }

    /// Returns what a feature's value scores; of a curve that is not [settled](Self::settled), around 1.
    pub fn apply(self, value: f64) -> f64 {
        match self {
            Self::Typical { exponent } => {
                let around_1 = Self::Sigmoid {
                    pivot: 1.0,
                    exponent,
                };
                around_1.apply(value)
            }
            Self::Saturation { pivot } => value / (value + pivot),
            Self::Log { scaling_factor } => (scaling_factor + value).ln(),
            Self::Sigmoid { pivot, exponent } => {
                let raised = value.powf(exponent);
                raised / (raised + pivot.powf(exponent))
            }
            Self::Linear => value,
        }
    }
}

impl Decay {
    /// Returns what a document gives whose values are at `distances` from the origin (Elasticsearch, *Function score
    /// query*, *Supported decay functions*).
    ///
    /// The offset is taken off each distance before one of them is chosen.
    pub fn apply(&self, distances: &[f64]) -> f64 {
        let distance = self.counted(distances);
        match self.shape {
            DecayShape::Gauss => {
                let spread = 0.5 * self.scale * self.scale / self.decay.ln();
                (0.5 * distance * distance / spread).exp()
            }
            DecayShape::Exp => (self.decay.ln() / self.scale * distance).exp(),
            DecayShape::Linear => {
                let end = self.scale / (1.0 - self.decay);
                ((end - distance) / end).max(0.0)
            }
        }
    }

    /// Returns the distance beyond the offset that counts; 0 where there is no value.
    fn counted(&self, distances: &[f64]) -> f64 {
        let beyond = |distance: &f64| (distance - self.offset).max(0.0);
        let values = distances.iter().map(beyond);
        let sum: f64 = values.clone().sum();
        let chosen = match self.mode {
            SortMode::Max => values.reduce(f64::max),
            SortMode::Sum => Some(sum),
            SortMode::Avg if distances.is_empty() => None,
            SortMode::Avg => Some(sum / distances.len() as f64),
            SortMode::Min | SortMode::Median => values.reduce(f64::min),
        };
        chosen.unwrap_or(0.0)
    }
}

impl BoostMode {
    /// Returns the score made of the query's and of what the functions give.
    pub fn combine(self, query: f64, functions: f64) -> f64 {
        match self {
            Self::Multiply => query * functions,
            Self::Replace => functions,
            Self::Sum => query + functions,
            Self::Avg => (query + functions) / 2.0,
            Self::Max => query.max(functions),
            Self::Min => query.min(functions),
        }
    }
}

impl ScoreMode {
    /// Returns what functions give together, of which there are pairs of value × weight and weight, in
    /// order; 1 without any.
    pub fn combine(self, values: impl Iterator<Item = (f64, f64)>) -> f64 {
        let (mut sum, mut weights, mut combined) = (0.0, 0.0, None::<f64>);
        for (value, weight) in values {
            sum += value;
            weights += weight;
            combined = Some(match (self, combined) {
                (_, None) => value,
                (Self::First, Some(first)) => first,
                (Self::Max, Some(so_far)) => so_far.max(value),
                (Self::Min, Some(so_far)) => so_far.min(value),
                (Self::Multiply, Some(so_far)) => so_far * value,
                (Self::Sum | Self::Avg, Some(_)) => sum,
            });
        }
        match (self, combined) {
            (_, None) => 1.0,
            (Self::Sum | Self::Avg, _) if weights == 0.0 => 1.0,
            (Self::Avg, Some(sum)) => sum / weights,
            (_, Some(combined)) => combined,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decay(shape: DecayShape) -> Decay {
        Decay {
            field: FieldPath::new("price"),
            shape,
            origin: Origin::Number(0.0),
            scale: 10.0,
            offset: 2.0,
            decay: 0.3,
            mode: SortMode::Min,
        }
    }

    #[test]
    fn a_decay_is_one_within_the_offset_and_the_decay_at_the_scale() {
        for shape in [DecayShape::Gauss, DecayShape::Exp, DecayShape::Linear] {
            let decay = decay(shape);
            assert_eq!(decay.apply(&[2.0]), 1.0, "{shape:?}");
            assert!((decay.apply(&[12.0]) - 0.3).abs() < 1e-12, "{shape:?}");
        }
        assert_eq!(decay(DecayShape::Linear).apply(&[1e9]), 0.0);
    }

    #[test]
    fn the_offset_of_a_decay_is_taken_off_each_distance() {
        let scored = |mode, distances: &[f64]| {
            let decay = Decay {
                scale: 20.0,
                offset: 10.0,
                decay: 0.5,
                mode,
                ..decay(DecayShape::Linear)
            };
            decay.apply(distances)
        };
        // 0 and 10 are left of 0 and 20; linear falls to 0 at 40.
        for (mode, distance) in [
            (SortMode::Avg, 5.0),
            (SortMode::Sum, 10.0),
            (SortMode::Max, 10.0),
            (SortMode::Min, 0.0),
        ] {
            let expected = (40.0 - distance) / 40.0;
            assert_eq!(scored(mode, &[0.0, 20.0]), expected, "{mode:?}");
            assert_eq!(scored(mode, &[]), 1.0, "{mode:?}");
        }
    }

    #[test]
    fn functions_are_combined_by_their_mode() {
        let values = [(6.0, 2.0), (1.0, 1.0)];
        let combined = |mode: ScoreMode| mode.combine(values.into_iter());
        assert_eq!(combined(ScoreMode::Multiply), 6.0);
        assert_eq!(combined(ScoreMode::Sum), 7.0);
        assert_eq!(combined(ScoreMode::Avg), 7.0 / 3.0);
        assert_eq!(combined(ScoreMode::First), 6.0);
        assert_eq!(combined(ScoreMode::Max), 6.0);
        assert_eq!(combined(ScoreMode::Min), 1.0);
        assert_eq!(ScoreMode::Max.combine(std::iter::empty()), 1.0);
    }
}
