//! Functions that scores are made of: fields and values as given → as the index holds them.

use gleaner_model::mapping::Codec;
use gleaner_model::{FieldKind, FieldPath};
use gleaner_query::QueryError;
use gleaner_query::dsl::{
    BoostMode, DecayFunction, DistanceFeatureQuery, FeatureCurve, FilteredFunction,
    FunctionScoreQuery, Modifier, RankFeatureQuery, ScoreFunction, ScoreMode,
};
use gleaner_query::encoded::{parse_distance, parse_point};
use gleaner_query::error::ErrorType;
use gleaner_query::resolved::{Clause, Decay, Function, FunctionScore, Origin, WeightedFunction};
use gleaner_query::units::parse_time;
use serde_json::Value;

use super::{Resolver, boosted, values};

impl Resolver<'_> {
    pub(super) fn function_score(
        &mut self,
        query: &FunctionScoreQuery,
    ) -> Result<Clause, QueryError> {
        let mut scored = FunctionScore {
            // The factor is the query's: functions are combined with the product.
            query: boosted(self.resolve(&query.query)?, query.boost),
            filters: Vec::with_capacity(query.functions.len()),
            functions: Vec::with_capacity(query.functions.len()),
            score_mode: query.score_mode,
            boost_mode: query.boost_mode,
            max_boost: query.max_boost,
            min_score: query.min_score,
        };
        for function in &query.functions {
            let FilteredFunction {
                filter,
                weight,
                function,
            } = function;
            scored.filters.push(match filter {
                Some(filter) => self.resolve(filter)?,
                None => Clause::MatchAll,
            });
            scored.functions.push(WeightedFunction {
                weight: weight.unwrap_or(1.0),
                function: match function {
                    Some(function) => self.score_function(function)?,
                    None => Function::One,
                },
            });
        }
        Ok(Clause::Functions(Box::new(scored)))
    }

    fn score_function(&mut self, function: &ScoreFunction) -> Result<Function, QueryError> {
        match function {
            ScoreFunction::FieldValue(factor) => {
                let path = self.mapping().own_path(&factor.field);
                match self.mapping().field(path.as_str()).map(|field| &field.kind) {
                    None if factor.missing.is_none() => Err(refuse(&format!(
                        "Unable to find a field mapper for field [{path}]. No 'missing' value defined."
                    ))),
                    Some(kind) if !is_numeric(kind) => {
                        Err(not_numeric("field_value_factor", &path))
                    }
                    _ => Ok(Function::FieldValue {
                        field: path,
                        factor: factor.factor,
                        modifier: factor.modifier,
                        missing: factor.missing,
                    }),
                }
            }
            ScoreFunction::Random { seed, field } => {
                let field = field.as_deref().map(|name| self.mapping().own_path(name));
                let kind = |path: &FieldPath| {
                    let field = self.mapping().field(path.as_str());
                    field.is_some_and(|field| field.kind.has_doc_values())
                };
                if let Some(path) = field.as_ref().filter(|path| !kind(path)) {
                    return Err(refuse(&format!(
                        "[random_score] field [{path}] is not mapped with doc values and cannot be \
                         used as a source of random numbers"
                    )));
                }
                Ok(Function::Random {
                    seed: seed.unwrap_or(self.now_ms as u64),
                    field,
                })
            }
            ScoreFunction::Decay(decay) => self.decay(decay).map(Function::Decay),
        }
    }

    fn decay(&self, decay: &DecayFunction) -> Result<Decay, QueryError> {
        let path = self.mapping().own_path(&decay.field);
        let field = self.mapping().field(path.as_str());
        let Some(kind) = field.map(|field| &field.kind) else {
            return Err(refuse(&format!("unknown field [{path}]")));
        };
        let (origin, scale, offset) = match kind {
            FieldKind::Date { format, .. } => {
                let origin = match &decay.origin {
                    Some(origin) => self.instant(origin, &format.0, None, false)?.millis(),
                    None => self.now_ms,
                };
                let distance = |value: &Value, name| duration_ms(&values::text_of(value), name);
                let offset = decay.offset.as_ref();
                let offset = offset.map(|offset| distance(offset, "offset"));
                (
                    Origin::Number(origin as f64),
                    distance(&decay.scale, "scale")? as f64,
                    offset.transpose()?.unwrap_or(0) as f64,
                )
            }
            kind if is_numeric(kind) => {
                let origin = decay.origin.as_ref().ok_or_else(|| {
                    refuse(&format!(
                        "both [scale] and [origin] must be set for numeric fields, [{path}] is one"
                    ))
                })?;
                let number = |value: &Value| values::number(value).map(values::Number::as_f64);
                let offset = decay.offset.as_ref().map(number).transpose()?;
                (
                    Origin::Number(number(origin)?),
                    number(&decay.scale)?,
                    offset.unwrap_or(0.0),
                )
            }
            FieldKind::Encoded {
                codec: Codec::GeoPoint,
                ..
            } => {
                let origin = decay.origin.as_ref().ok_or_else(|| {
                    refuse(&format!(
                        "both [scale] and [origin] must be set for geo fields, [{path}] is one"
                    ))
                })?;
                let offset = decay.offset.as_ref().map(metres).transpose()?;
                (
                    Origin::Point(parse_point(origin).map_err(QueryError::illegal)?),
                    metres(&decay.scale)?,
                    offset.unwrap_or(0.0),
                )
            }
            other => {
                return Err(refuse(&format!(
                    "field [{path}] is of type [{}], but only numeric types, dates and points are supported.",
                    other.type_name()
                )));
            }
        };
        if scale <= 0.0 || offset < 0.0 {
            return Err(QueryError::illegal(format!(
                "[scale] must be > 0.0 and [offset] >= 0.0 for the decay of [{path}], but were \
                 [{scale}] and [{offset}]"
            )));
        }
        Ok(Decay {
            field: path,
            shape: decay.shape,
            origin,
            scale,
            offset,
            decay: decay.decay,
            mode: decay.mode,
        })
    }

    pub(super) fn distance_feature(
        &self,
        query: &DistanceFeatureQuery,
    ) -> Result<Clause, QueryError> {
        let path = self.mapping().own_path(&query.field);
        let kind = self.mapping().field(path.as_str()).map(|field| &field.kind);
        let (origin, pivot) = match kind {
            None => return Ok(Clause::MatchNone),
            Some(FieldKind::Date {
                format, resolution, ..
            }) => {
                // What the text leaves open is at its end (Elasticsearch, `DateFieldType.distanceFeatureQuery`).
                let origin = self.instant(&query.origin, &format.0, None, true)?;
                let pivot = parse_time(&query.pivot, "pivot")?.unwrap_or_default();
                match resolution.is_nanos() {
                    true => (
                        Origin::Nanos(origin.saturating_nanos()),
                        pivot.as_nanos() as f64,
                    ),
                    false => (
                        Origin::Number(origin.millis() as f64),
                        pivot.as_millis() as f64,
                    ),
                }
            }
            Some(FieldKind::Encoded {
                codec: Codec::GeoPoint,
                ..
            }) => {
                let origin = parse_point(&query.origin).map_err(QueryError::illegal)?;
                let pivot = parse_distance(&query.pivot).map_err(QueryError::illegal)?;
                (Origin::Point(origin), pivot)
            }
            Some(other) => {
                return Err(QueryError::illegal(format!(
                    "Illegal data type of [{}]! [distance_feature] query can only be run on a date, \
                     date_nanos or geo_point field type!",
                    other.type_name()
                )));
            }
        };
        if pivot <= 0.0 {
            return Err(QueryError::illegal(format!(
                "[distance_feature] [pivot] must be > 0, but was [{}]",
                query.pivot
            )));
        }
        let function = Function::Proximity {
            field: path.clone(),
            origin,
            pivot,
        };
        Ok(scored_by(path, function, query.boost))
    }

    pub(super) fn rank_feature(&self, query: &RankFeatureQuery) -> Result<Clause, QueryError> {
        let path = self.mapping().own_path(&query.field);
        let Some(field) = self.mapping().field(path.as_str()) else {
            return Ok(Clause::MatchNone);
        };
        let is_root =
            field.kind.is_of_features() && self.mapping().features(path.as_str()).is_none();
        let FieldKind::Number { number, .. } = &field.kind else {
            return Err(no_feature(&field.kind));
        };
        if is_root {
            return Err(no_feature(&field.kind));
        }
        let function = match number.positive_score_impact() {
            Some(false) => of_reciprocals(path.clone(), query.curve)?,
            _ => Function::Feature {
                field: path.clone(),
                curve: query.curve,
            },
        };
        Ok(scored_by(path, function, query.boost))
    }
}

fn no_feature(kind: &FieldKind) -> QueryError {
    QueryError::illegal(format!(
        "[rank_feature] query only works on [rank_feature] fields and features of [rank_features] fields, not [{}]",
        kind.type_name()
    ))
}

/// Reads a distance between points, in metres.
fn metres(value: &Value) -> Result<f64, QueryError> {
    parse_distance(&values::text_of(value)).map_err(QueryError::illegal)
}

/// Returns what a feature scores of which smaller values score more: the curve of 1 / v, and 1 / pivot.
fn of_reciprocals(field: FieldPath, curve: FeatureCurve) -> Result<Function, QueryError> {
    let curve = match curve {
        FeatureCurve::Saturation { pivot } => FeatureCurve::Sigmoid {
            pivot,
            exponent: -1.0,
        },
        FeatureCurve::Typical { exponent } => FeatureCurve::Typical {
            exponent: -exponent,
        },
        FeatureCurve::Sigmoid { pivot, exponent } => FeatureCurve::Sigmoid {
            pivot,
            exponent: -exponent,
        },
        FeatureCurve::Linear => {
            return Ok(Function::FieldValue {
                field,
                factor: 1.0,
                modifier: Modifier::Reciprocal,
                missing: None,
            });
        }
        FeatureCurve::Log { .. } => {
            return Err(QueryError::illegal(
                "Cannot use the [log] function with a field that has a negative score impact as it would \
                 trigger negative scores",
            ));
        }
    };
    Ok(Function::Feature { field, curve })
}

/// Returns the documents that have the field, scored by `function` alone times `factor`.
fn scored_by(field: FieldPath, function: Function, factor: f32) -> Clause {
    let query = Clause::Exists {
        fields: vec![field],
    };
    let scored = FunctionScore {
        query: boosted(query, factor),
        filters: vec![Clause::MatchAll],
        functions: vec![WeightedFunction {
            weight: 1.0,
            function,
        }],
        score_mode: ScoreMode::Multiply,
        boost_mode: BoostMode::Multiply,
        max_boost: f32::MAX,
        min_score: None,
    };
    Clause::Functions(Box::new(scored))
}

fn duration_ms(text: &str, name: &str) -> Result<i64, QueryError> {
    let duration = parse_time(text, name)?.unwrap_or_default();
    i64::try_from(duration.as_millis())
        .map_err(|_| QueryError::illegal(format!("[{name}] of [{text}] is too long")))
}

/// Returns whether values of the field are numbers that can be read for each document.
fn is_numeric(kind: &FieldKind) -> bool {
    let is_number = matches!(
        kind,
        FieldKind::Number { .. } | FieldKind::Date { .. } | FieldKind::Boolean { .. }
    );
    is_number && kind.has_doc_values()
}

fn not_numeric(function: &str, path: &FieldPath) -> QueryError {
    QueryError::illegal(format!(
        "[{function}] field [{path}] is no field of numbers with doc values"
    ))
}

fn refuse(reason: &str) -> QueryError {
    QueryError::new(
        ErrorType::QueryShard,
        format!("failed to create query: {reason}"),
    )
}
