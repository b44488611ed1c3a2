//! Widths of number fields, and how values are rounded to them.

use serde::{Deserialize, Serialize};

/// Width of a number field.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum NumberKind {
    /// 64-bit signed.
    Long,
    /// 32-bit signed.
    Integer,
    /// 16-bit signed.
    Short,
    /// 8-bit signed.
    Byte,
    /// 64-bit unsigned.
    UnsignedLong,
    /// 64-bit IEEE 754.
    Double,
    /// 32-bit IEEE 754 (values are rounded to it).
    Float,
    /// 16-bit IEEE 754 (values are rounded to it).
    HalfFloat,
    /// A long of value × factor, rounded; reads back as a double.
    ScaledFloat {
        /// The factor, > 0.
        factor: f64,
    },
    /// How many tokens a text has, as a 32-bit signed number.
    TokenCount {
        /// Whether places that removed tokens left count too.
        counts_gaps: bool,
    },
    /// A positive 32-bit fraction that only `rank_feature` queries read.
    RankFeature {
        /// Whether larger values score more.
        positive_score_impact: bool,
    },
    /// Such fractions by name, each in a column of its own.
    RankFeatures {
        /// Whether larger values score more.
        positive_score_impact: bool,
    },
}

impl NumberKind {
    /// Returns the dialect's name of the type.
    pub fn type_name(self) -> &'static str {
        match self {
            Self::Long => "long",
            Self::Integer => "integer",
            Self::Short => "short",
            Self::Byte => "byte",
            Self::UnsignedLong => "unsigned_long",
            Self::Double => "double",
            Self::Float => "float",
            Self::HalfFloat => "half_float",
            Self::ScaledFloat { .. } => "scaled_float",
            Self::TokenCount { .. } => "token_count",
            Self::RankFeature { .. } => "rank_feature",
            Self::RankFeatures { .. } => "rank_features",
        }
    }

    /// Returns whether only `rank_feature` queries read the values; then, whether larger ones score more.
    pub fn positive_score_impact(self) -> Option<bool> {
        match self {
            Self::RankFeature {
                positive_score_impact,
            }
            | Self::RankFeatures {
                positive_score_impact,
            } => Some(positive_score_impact),
            _ => None,
        }
    }

    /// Returns whether values are whole numbers.
    pub fn is_integral(self) -> bool {
        matches!(
            self,
            Self::Long
                | Self::Integer
                | Self::Short
                | Self::Byte
                | Self::UnsignedLong
                | Self::TokenCount { .. }
        )
    }
}

/// Returns `value` rounded to what a field of `kind` can hold; unchanged for other kinds.
///
/// Half floats keep 11 bits of mantissa within ±65,504 (IEEE 754 binary16), rounded to even; scaled
/// floats keep what is left of value × factor where that is rounded, halves up.
pub fn round_to(kind: NumberKind, value: f64) -> f64 {
    match kind {
        NumberKind::Float | NumberKind::RankFeature { .. } | NumberKind::RankFeatures { .. } => {
            f64::from(value as f32)
        }
        NumberKind::HalfFloat => round_to_half(value),
        NumberKind::ScaledFloat { factor } => round_half_up(value * factor) / factor,
        _ => value,
    }
}

/// Returns the nearest whole number; of two that are as near the larger one, as Java's `Math.round`:
/// −2.5 becomes −2. There is no −0.
fn round_half_up(value: f64) -> f64 {
    let below = value.floor();
    if value - below < 0.5 {
        // Adding 0 turns −0 into 0 and changes nothing else.
        below + 0.0
    } else {
        // Infinite values have no distance to themselves and stay what they are.
        below + 1.0
    }
}

fn round_to_half(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    // Below 2⁻¹⁴ half floats are subnormal: their step stays at 2⁻²⁴.
    let exponent = value.abs().log2().floor().max(-14.0);
    let step = (exponent - 10.0).exp2();
    (value / step).round_ties_even() * step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_floats_round_to_eleven_bits() {
        for (value, rounded) in [
            (0.1, 0.099_975_585_937_5),
            (1.0, 1.0),
            (2_049.0, 2_048.0),
            (65_504.0, 65_504.0),
        ] {
            assert_eq!(round_to(NumberKind::HalfFloat, value), rounded);
        }
    }

    #[test]
    fn halves_round_towards_the_larger_number() {
        for (value, rounded) in [
            (2.5, 3.0),
            (-2.5, -2.0),
            (-2.6, -3.0),
            (-0.5, 0.0),
            (0.499_999_999_999_999_94, 0.0),
            (4_503_599_627_370_497.0, 4_503_599_627_370_497.0),
            (-1e300, -1e300),
            (f64::INFINITY, f64::INFINITY),
            (f64::NEG_INFINITY, f64::NEG_INFINITY),
        ] {
            assert_eq!(round_half_up(value), rounded, "{value}");
        }
        assert!(round_half_up(f64::NAN).is_nan());
        let scaled = NumberKind::ScaledFloat { factor: 10.0 };
        assert_eq!(round_to(scaled, -0.25), -0.2);
        assert_eq!(round_to(scaled, 0.25), 0.3);
        assert!(round_to(scaled, -0.0).is_sign_positive());
        assert!(round_to(scaled, -0.04).is_sign_positive());
    }
}
