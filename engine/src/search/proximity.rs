//! Scores that fall with the distance of a value from an origin, and hang on nothing else (`distance_feature`).

use gleaner_model::FieldPath;
use gleaner_query::dsl::{BoostMode, ScoreMode};
use gleaner_query::resolved::{Clause, Function, FunctionScore, Origin, WeightedFunction};

use crate::{View, lower};

/// A score that is the same for all matches, times pivot / (pivot + distance).
pub(super) struct Proximity<'q> {
    field: &'q FieldPath,
    /// Milliseconds.
    origin: f64,
    pivot: f64,
}

impl<'q> Proximity<'q> {
    /// Returns what the matches of `clause` are scored by, where it is that alone.
    pub(super) fn of(view: &View, clause: &'q Clause) -> Option<Self> {
        let FunctionScore {
            query,
            filters,
            functions,
            score_mode: ScoreMode::Multiply,
            boost_mode: BoostMode::Multiply,
            max_boost: f32::MAX,
            min_score: None,
        } = lower::functions(clause)?
        else {
            return None;
        };
        let ([Clause::MatchAll], [WeightedFunction { weight, function }]) =
            (filters.as_slice(), functions.as_slice())
        else {
            return None;
        };
        match function {
            Function::Proximity {
                field,
                origin: Origin::Number(origin),
                pivot,
            } if *weight == 1.0 && lower::has_one_score(view, query) => Some(Self {
                field,
                origin: *origin,
                pivot: *pivot,
            }),
            _ => None,
        }
    }

    /// Returns the field of the value.
    pub(super) fn field(&self) -> &FieldPath {
        self.field
    }

    /// Returns the origin, milliseconds.
    pub(super) fn origin(&self) -> f64 {
        self.origin
    }

    /// Returns what part of the score of the origin a value has, up to 1.
    pub(super) fn share(&self, value: i64) -> f64 {
        self.pivot / (self.pivot + (value as f64 - self.origin).abs())
    }
}
