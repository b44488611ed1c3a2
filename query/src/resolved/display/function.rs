//! Functions that scores are made of, in the words of Elasticsearch's explanations.

use std::fmt::{self, Display, Formatter};

use crate::dsl::{BoostMode, DecayShape, FeatureCurve, Modifier, ScoreMode};
use crate::resolved::{Decay, Function, Origin};

impl Display for Function {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::One => f.write_str("constant score 1.0 - no function provided"),
            Self::FieldValue {
                field,
                factor,
                modifier,
                missing,
            } => {
                write!(f, "field value function: {modifier}(doc['{field}'].value")?;
                if let Some(missing) = missing {
                    write!(f, "?:{missing:?}")?;
                }
                write!(f, " * factor={factor:?})")
            }
            Self::Random { seed, field } => {
                write!(f, "random score function (seed: {seed}, field: ")?;
                match field {
                    Some(field) => write!(f, "{field})"),
                    None => f.write_str("null)"),
                }
            }
            Self::Decay(decay) => write!(f, "{decay}"),
            Self::Proximity {
                field,
                origin,
                pivot,
            } => write!(
                f,
                "distance score, computed as pivot / (pivot + distance) from: field={field}, origin={origin}, \
                 pivot={pivot:?}"
            ),
            Self::Feature { field, curve } => {
                write!(f, "FeatureQuery(field={field}, function={curve})")
            }
        }
    }
}

impl Display for Decay {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let shape = match self.shape {
            DecayShape::Gauss => "gauss",
            DecayShape::Exp => "exp",
            DecayShape::Linear => "linear",
        };
        let Self {
            field,
            origin,
            scale,
            offset,
            decay,
            ..
        } = self;
        write!(
            f,
            "Function for field {field}: {shape}(origin={origin}, scale={scale:?}, offset={offset:?}, decay={decay:?})"
        )
    }
}

/// A point is written as in the dialect: latitude first.
impl Display for Origin {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nanos(nanos) => write!(f, "{nanos}"),
            Self::Number(number) => write!(f, "{number:?}"),
            Self::Point(point) => {
                let (latitude, longitude) = point.degrees();
                write!(f, "[{latitude}, {longitude}]")
            }
        }
    }
}

/// As Lucene writes the functions of its queries for features.
impl Display for FeatureCurve {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Saturation { pivot } => write!(f, "SaturationFunction(pivot={pivot:?})"),
            Self::Typical { exponent } => {
                write!(f, "SigmoidFunction(pivot=mean, a={exponent:?})")
            }
            Self::Log { scaling_factor } => {
                write!(f, "LogFunction(scalingFactor={scaling_factor:?})")
            }
            Self::Sigmoid { pivot, exponent } => {
                write!(f, "SigmoidFunction(pivot={pivot:?}, a={exponent:?})")
            }
            Self::Linear => f.write_str("LinearFunction"),
        }
    }
}

/// As the dialect has it in requests.
impl Display for Modifier {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Log => "log",
            Self::Log1p => "log1p",
            Self::Log2p => "log2p",
            Self::Ln => "ln",
            Self::Ln1p => "ln1p",
            Self::Ln2p => "ln2p",
            Self::Square => "square",
            Self::Sqrt => "sqrt",
            Self::Reciprocal => "reciprocal",
        })
    }
}

/// As the dialect has it in requests.
impl Display for ScoreMode {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Multiply => "multiply",
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::First => "first",
            Self::Max => "max",
            Self::Min => "min",
        })
    }
}

impl BoostMode {
    /// Returns what the score is of the query's and of what functions give, as explanations say it.
    pub fn explained(self) -> &'static str {
        match self {
            Self::Multiply => "function score, product of:",
            Self::Replace => "min of:",
            Self::Sum => "sum of",
            Self::Avg => "avg of",
            Self::Max => "max of",
            Self::Min => "min of",
        }
    }
}

#[cfg(test)]
mod tests {
    use gleaner_model::FieldPath;

    use super::*;
    use crate::search::SortMode;

    #[test]
    fn functions_read_as_explanations_of_the_dialect_do() {
        let field = FieldPath::new("likes");
        let value = Function::FieldValue {
            field: field.clone(),
            factor: 1.2,
            modifier: Modifier::Log1p,
            missing: Some(1.0),
        };
        let expected = "field value function: log1p(doc['likes'].value?:1.0 * factor=1.2)";
        assert_eq!(value.to_string(), expected);
        let random = Function::Random {
            seed: 10,
            field: None,
        };
        assert_eq!(
            random.to_string(),
            "random score function (seed: 10, field: null)"
        );
        let decay = Function::Decay(Decay {
            field: field.clone(),
            shape: DecayShape::Gauss,
            origin: Origin::Number(5.0),
            scale: 10.0,
            offset: 0.0,
            decay: 0.5,
            mode: SortMode::Min,
        });
        assert_eq!(
            decay.to_string(),
            "Function for field likes: gauss(origin=5.0, scale=10.0, offset=0.0, decay=0.5)"
        );
        let feature = Function::Feature {
            field,
            curve: FeatureCurve::Saturation { pivot: 8.0 },
        };
        assert_eq!(
            feature.to_string(),
            "FeatureQuery(field=likes, function=SaturationFunction(pivot=8.0))"
        );
    }
}
