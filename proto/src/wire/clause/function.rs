//! Functions that scores are made of. Their filters travel as clauses, before them.

use gleaner_model::FieldPath;
use gleaner_query::dsl::{BoostMode, DecayShape, FeatureCurve, Modifier, ScoreMode};
use gleaner_query::encoded::GeoPoint;
use gleaner_query::resolved::{Clause, Decay, Function, FunctionScore, Origin, WeightedFunction};
use gleaner_query::search::SortMode;

use super::super::field::{known, member};
use super::super::ids::field_text;
use super::super::order::{mode_message, sort_mode};
use super::super::v1::function_score::Combination;
use super::super::v1::score_function::decay::Shape;
use super::super::v1::score_function::feature::{Curve, Sigmoid};
use super::super::v1::score_function::{self as message, Function as Kind, field_value};
use super::super::{DecodeError, v1};

/// Returns the message of the functions, without query and filters.
pub(super) fn message(scored: &FunctionScore) -> v1::FunctionScore {
    let functions = scored.functions.iter();
    v1::FunctionScore {
        functions: functions.map(function_message).collect(),
        score_mode: score_mode_message(scored.score_mode) as i32,
        boost_mode: boost_mode_message(scored.boost_mode) as i32,
        max_boost: scored.max_boost,
        min_score: scored.min_score,
    }
}

/// Reads functions; `parts` are the query and the filters.
pub(super) fn functions(
    node: v1::FunctionScore,
    parts: Vec<Clause>,
) -> Result<FunctionScore, DecodeError> {
    let v1::FunctionScore {
        functions,
        score_mode,
        boost_mode,
        max_boost,
        min_score,
    } = node;
    let mut parts = parts.into_iter();
    let missing = DecodeError::Missing("FunctionScore.query");
    Ok(FunctionScore {
        query: parts.next().ok_or(missing)?,
        filters: parts.collect(),
        functions: functions
            .into_iter()
            .map(function_of)
            .collect::<Result<_, _>>()?,
        score_mode: score_mode_of(score_mode)?,
        boost_mode: boost_mode_of(boost_mode)?,
        max_boost,
        min_score,
    })
}

fn function_message(function: &WeightedFunction) -> v1::ScoreFunction {
    let kind = match &function.function {
        Function::One => Kind::One(v1::Unit {}),
        Function::FieldValue {
            field,
            factor,
            modifier,
            missing,
        } => Kind::FieldValue(message::FieldValue {
            field: field_text(field),
            factor: *factor,
            modifier: modifier_message(*modifier) as i32,
            missing: *missing,
        }),
        Function::Random { seed, field } => Kind::Random(message::Random {
            seed: *seed,
            field: field.as_ref().map(field_text),
        }),
        Function::Decay(decay) => Kind::Decay(message::Decay {
            field: field_text(&decay.field),
            shape: match decay.shape {
                DecayShape::Gauss => Shape::Gauss,
                DecayShape::Exp => Shape::Exp,
                DecayShape::Linear => Shape::Linear,
            } as i32,
            origin: number_of(decay.origin),
            scale: decay.scale,
            offset: decay.offset,
            decay: decay.decay,
            mode: mode_message(Some(decay.mode)) as i32,
            point: point_of(decay.origin),
        }),
        Function::Proximity {
            field,
            origin,
            pivot,
        } => Kind::Proximity(match origin {
            Origin::Number(origin) => message::Proximity {
                field: field_text(field),
                origin: *origin as i64,
                pivot: *pivot as i64,
                ..message::Proximity::default()
            },
            Origin::Nanos(origin) => message::Proximity {
                field: field_text(field),
                origin: *origin,
                pivot: *pivot as i64,
                is_nanos: true,
                ..message::Proximity::default()
            },
            Origin::Point(_) => message::Proximity {
                field: field_text(field),
                point: point_of(*origin),
                pivot_m: *pivot,
                ..message::Proximity::default()
            },
        }),
        Function::Feature { field, curve } => Kind::Feature(message::Feature {
            field: field_text(field),
            curve: Some(curve_message(*curve)),
        }),
    };
    v1::ScoreFunction {
        weight: function.weight,
        function: Some(kind),
    }
}

fn function_of(message: v1::ScoreFunction) -> Result<WeightedFunction, DecodeError> {
    let v1::ScoreFunction { weight, function } = message;
    let function = match known(function, "ScoreFunction")? {
        Kind::One(v1::Unit {}) => Function::One,
        Kind::FieldValue(value) => Function::FieldValue {
            field: FieldPath::new(value.field),
            factor: value.factor,
            modifier: modifier_of(value.modifier)?,
            missing: value.missing,
        },
        Kind::Random(random) => Function::Random {
            seed: random.seed,
            field: random.field.map(FieldPath::new),
        },
        Kind::Decay(decay) => Function::Decay(Decay {
            field: FieldPath::new(decay.field),
            shape: match member(decay.shape, "Decay.shape")? {
                Shape::Unspecified => return Err(DecodeError::Missing("Decay.shape")),
                Shape::Gauss => DecayShape::Gauss,
                Shape::Exp => DecayShape::Exp,
                Shape::Linear => DecayShape::Linear,
            },
            origin: origin_of(decay.point, decay.origin),
            scale: decay.scale,
            offset: decay.offset,
            decay: decay.decay,
            mode: sort_mode(decay.mode)?.unwrap_or(SortMode::Min),
        }),
        Kind::Proximity(proximity) => Function::Proximity {
            field: FieldPath::new(proximity.field),
            pivot: match proximity.point {
                Some(_) => proximity.pivot_m,
                None => proximity.pivot as f64,
            },
            origin: match proximity.is_nanos {
                true => Origin::Nanos(proximity.origin),
                false => origin_of(proximity.point, proximity.origin as f64),
            },
        },
        Kind::Feature(feature) => Function::Feature {
            field: FieldPath::new(feature.field),
            curve: curve_of(known(feature.curve, "Feature.curve")?),
        },
    };
    Ok(WeightedFunction { weight, function })
}

fn number_of(origin: Origin) -> f64 {
    match origin {
        Origin::Number(number) => number,
        // Decay functions take milliseconds.
        Origin::Nanos(_) | Origin::Point(_) => 0.0,
    }
}

fn point_of(origin: Origin) -> Option<message::GeoOrigin> {
    match origin {
        Origin::Number(_) | Origin::Nanos(_) => None,
        Origin::Point(point) => Some(message::GeoOrigin {
            latitude: point.latitude,
            longitude: point.longitude,
        }),
    }
}

fn origin_of(point: Option<message::GeoOrigin>, number: f64) -> Origin {
    match point {
        Some(message::GeoOrigin {
            latitude,
            longitude,
        }) => Origin::Point(GeoPoint {
            latitude,
            longitude,
        }),
        None => Origin::Number(number),
    }
}

/// Pivot of a curve around the mean of its field: given ones are above 0.
const OF_THE_FIELD: f64 = 0.0;

fn curve_message(curve: FeatureCurve) -> Curve {
    match curve {
        FeatureCurve::Saturation { pivot } => Curve::Sigmoid(Sigmoid {
            pivot,
            exponent: None,
        }),
        FeatureCurve::Sigmoid { pivot, exponent } => Curve::Sigmoid(Sigmoid {
            pivot,
            exponent: Some(exponent),
        }),
        FeatureCurve::Typical { exponent } => Curve::Sigmoid(Sigmoid {
            pivot: OF_THE_FIELD,
            exponent: Some(exponent),
        }),
        FeatureCurve::Log { scaling_factor } => Curve::Log(scaling_factor),
        FeatureCurve::Linear => Curve::Linear(v1::Unit {}),
    }
}

fn curve_of(curve: Curve) -> FeatureCurve {
    match curve {
        Curve::Sigmoid(Sigmoid {
            pivot,
            exponent: None,
        }) => FeatureCurve::Saturation { pivot },
        Curve::Sigmoid(Sigmoid {
            pivot,
            exponent: Some(exponent),
        }) => match pivot == OF_THE_FIELD {
            true => FeatureCurve::Typical { exponent },
            false => FeatureCurve::Sigmoid { pivot, exponent },
        },
        Curve::Log(scaling_factor) => FeatureCurve::Log { scaling_factor },
        Curve::Linear(v1::Unit {}) => FeatureCurve::Linear,
    }
}

fn score_mode_message(mode: ScoreMode) -> Combination {
    match mode {
        ScoreMode::Multiply => Combination::Multiply,
        ScoreMode::Sum => Combination::Sum,
        ScoreMode::Avg => Combination::Avg,
        ScoreMode::First => Combination::First,
        ScoreMode::Max => Combination::Max,
        ScoreMode::Min => Combination::Min,
    }
}

fn score_mode_of(mode: i32) -> Result<ScoreMode, DecodeError> {
    let what = "FunctionScore.score_mode";
    Ok(match member(mode, what)? {
        Combination::Multiply => ScoreMode::Multiply,
        Combination::Sum => ScoreMode::Sum,
        Combination::Avg => ScoreMode::Avg,
        Combination::First => ScoreMode::First,
        Combination::Max => ScoreMode::Max,
        Combination::Min => ScoreMode::Min,
        Combination::Unspecified | Combination::Replace => return Err(DecodeError::Missing(what)),
    })
}

fn boost_mode_message(mode: BoostMode) -> Combination {
    match mode {
        BoostMode::Multiply => Combination::Multiply,
        BoostMode::Replace => Combination::Replace,
        BoostMode::Sum => Combination::Sum,
        BoostMode::Avg => Combination::Avg,
        BoostMode::Max => Combination::Max,
        BoostMode::Min => Combination::Min,
    }
}

fn boost_mode_of(mode: i32) -> Result<BoostMode, DecodeError> {
    let what = "FunctionScore.boost_mode";
    Ok(match member(mode, what)? {
        Combination::Multiply => BoostMode::Multiply,
        Combination::Replace => BoostMode::Replace,
        Combination::Sum => BoostMode::Sum,
        Combination::Avg => BoostMode::Avg,
        Combination::Max => BoostMode::Max,
        Combination::Min => BoostMode::Min,
        Combination::Unspecified | Combination::First => return Err(DecodeError::Missing(what)),
    })
}

fn modifier_message(modifier: Modifier) -> field_value::Modifier {
    use field_value::Modifier as Message;
    match modifier {
        Modifier::None => Message::None,
        Modifier::Log => Message::Log,
        Modifier::Log1p => Message::Log1p,
        Modifier::Log2p => Message::Log2p,
        Modifier::Ln => Message::Ln,
        Modifier::Ln1p => Message::Ln1p,
        Modifier::Ln2p => Message::Ln2p,
        Modifier::Square => Message::Square,
        Modifier::Sqrt => Message::Sqrt,
        Modifier::Reciprocal => Message::Reciprocal,
    }
}

fn modifier_of(modifier: i32) -> Result<Modifier, DecodeError> {
    use field_value::Modifier as Message;
    Ok(match member(modifier, "FieldValue.modifier")? {
        Message::None => Modifier::None,
        Message::Log => Modifier::Log,
        Message::Log1p => Modifier::Log1p,
        Message::Log2p => Modifier::Log2p,
        Message::Ln => Modifier::Ln,
        Message::Ln1p => Modifier::Ln1p,
        Message::Ln2p => Modifier::Ln2p,
        Message::Square => Modifier::Square,
        Message::Sqrt => Modifier::Sqrt,
        Message::Reciprocal => Modifier::Reciprocal,
    })
}
