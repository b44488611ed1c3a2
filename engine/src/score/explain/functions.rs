//! Scores changed by functions: what each of them gives, and what they make of the query's score.

use gleaner_query::answer::Explanation;
use gleaner_query::dsl::{BoostMode, ScoreMode};
use gleaner_query::resolved::{Clause, Function, FunctionScore, WeightedFunction};

use super::{Explainer, leaf};
use crate::EngineError;
use crate::score::canonical::{Asked, Cursor};

impl Explainer<'_> {
    /// Scores changed by functions: the query's score, unless it is replaced, and what the functions give together.
    pub(super) fn functions(
        &self,
        scored: &FunctionScore,
        boost: f64,
    ) -> Result<(String, Vec<Explanation>), EngineError> {
        let mut given = Vec::new();
        for (filter, function) in scored.filters.iter().zip(&scored.functions) {
            given.extend(self.function(filter, function)?);
        }
        let together = self.together(scored, given)?;
        if scored.boost_mode == BoostMode::Replace {
            return Ok((together.description, together.details));
        }
        let mut details = self.all([&scored.query], boost)?;
        details.push(together);
        Ok((scored.boost_mode.explained().to_owned(), details))
    }

    /// What functions that gave `given` give together, up to the largest that they may.
    fn together(
        &self,
        scored: &FunctionScore,
        given: Vec<Explanation>,
    ) -> Result<Explanation, EngineError> {
        if given.is_empty() {
            return Ok(leaf(1.0, "No function matched"));
        }
        let alone = FunctionScore {
            query: Clause::MatchAll,
            boost_mode: BoostMode::Replace,
            max_boost: f32::MAX,
            min_score: None,
            ..scored.clone()
        };
        let value = self.given_by(alone)?.unwrap_or(1.0);
        let most = f64::from(scored.max_boost);
        let combined = Explanation {
            details: given,
            ..leaf(
                value,
                format!("function score, score mode [{}]", scored.score_mode),
            )
        };
        Ok(Explanation {
            details: vec![combined, leaf(most, "maxBoost")],
            ..leaf(value.min(most), "min of:")
        })
    }

    /// One function by itself, where its filter matches.
    fn function(
        &self,
        filter: &Clause,
        weighted: &WeightedFunction,
    ) -> Result<Option<Explanation>, EngineError> {
        let by = |function: &WeightedFunction| {
            self.given_by(FunctionScore {
                query: Clause::Constant(Box::new(filter.clone())),
                filters: vec![Clause::MatchAll],
                functions: vec![function.clone()],
                score_mode: ScoreMode::default(),
                boost_mode: BoostMode::Replace,
                max_boost: f32::MAX,
                min_score: None,
            })
        };
        let Some(value) = by(weighted)? else {
            return Ok(None);
        };
        let function = &weighted.function;
        let is_weighted = weighted.weight != 1.0 || *function == Function::One;
        let explained = match is_weighted {
            false => leaf(value, function.to_string()),
            true => {
                let bare = WeightedFunction {
                    weight: 1.0,
                    function: function.clone(),
                };
                let bare = by(&bare)?.unwrap_or(1.0);
                Explanation {
                    details: vec![
                        leaf(bare, function.to_string()),
                        leaf(weighted.weight.into(), "weight"),
                    ],
                    ..leaf(value, "product of:")
                }
            }
        };
        Ok(Some(match filter {
            Clause::MatchAll => explained,
            filter => Explanation {
                details: vec![leaf(1.0, format!("match filter: {filter}")), explained],
                ..leaf(value, "function score, product of:")
            },
        }))
    }

    /// Returns the document's score by functions; `None` where they do not match it.
    fn given_by(&self, scored: FunctionScore) -> Result<Option<f64>, EngineError> {
        let clause = Clause::Functions(Box::new(scored));
        let mut cursor = Cursor::open(&self.scope, self.reader, &clause, 1.0, Asked::Any)?;
        Ok(cursor.score(self.doc))
    }
}
