//! `function_score`, `distance_feature`, `rank_feature`.

use serde_json::{Map, Value};

use super::{Parser, check_field};
use crate::dsl::{
    BoostMode, DecayFunction, DecayShape, DistanceFeatureQuery, FeatureCurve, FieldValueFactor,
    FilteredFunction, FunctionScoreQuery, Modifier, Query, RankFeatureQuery, ScoreFunction,
    ScoreMode,
};
use crate::error::QueryError;
use crate::json::{ObjectReader, scalar_text, token_name};
use crate::sort_mode::SortMode;

/// Functions as the dialect names them.
const FUNCTIONS: [&str; 6] = [
    "field_value_factor",
    "random_score",
    "gauss",
    "exp",
    "linear",
    "script_score",
];

impl Parser<'_> {
    pub(super) fn function_score(&mut self, body: &Value) -> Result<Query, QueryError> {
        let mut reader = ObjectReader::query("function_score", body)?;
        let query = match reader.take("query") {
            Some(value) => self.query(value)?,
            None => Query::MatchAll { boost: 1.0 },
        };
        let listed = reader.take("functions");
        let alone = self.function(body, &mut reader)?;
        let functions = match (listed, alone) {
            (Some(_), Some(_)) => {
                return Err(QueryError::parsing(
                    "failed to parse [function_score] query. already found a function, now \
                     encountering [functions]. use [functions] array if you want to define several \
                     functions.",
                ));
            }
            (Some(listed), None) => self.functions(listed)?,
            (None, alone) => alone.into_iter().collect(),
        };
        let query = FunctionScoreQuery {
            query: Box::new(query),
            functions,
            score_mode: named(&mut reader, "score_mode", score_mode)?.unwrap_or_default(),
            boost_mode: named(&mut reader, "boost_mode", boost_mode)?.unwrap_or_default(),
            max_boost: reader.factor("max_boost")?.unwrap_or(f32::MAX),
            min_score: reader.number("min_score")?.map(|score| score as f32),
            boost: reader.boost()?,
        };
        reader.finish()?;
        Ok(Query::FunctionScore(query))
    }

    fn functions(&mut self, listed: &Value) -> Result<Vec<FilteredFunction>, QueryError> {
        let items = listed.as_array().ok_or_else(|| {
            QueryError::parsing(format!(
                "[function_score] [functions] must be an array of functions, but found [{}]",
                token_name(listed)
            ))
        })?;
        let one = |item: &Value| {
            let mut reader = ObjectReader::query("function_score", item)?;
            let filter = match reader.take("filter") {
                Some(filter) => Some(self.query(filter)?),
                None => None,
            };
            let function = self.function(item, &mut reader)?;
            reader.finish()?;
            let function = function.ok_or_else(|| {
                QueryError::parsing("an entry in functions list is missing a function.".to_owned())
            })?;
            Ok(FilteredFunction { filter, ..function })
        };
        items.iter().map(one).collect()
    }

    /// Reads the function and the weight among the keys of `body`; `None` where there is neither.
    fn function(
        &mut self,
        body: &Value,
        reader: &mut ObjectReader<'_>,
    ) -> Result<Option<FilteredFunction>, QueryError> {
        self.enter()?;
        self.depth -= 1;
        reader.ignore(&FUNCTIONS);
        let entries = body.as_object().into_iter().flatten();
        let mut named = entries.filter(|(key, _)| FUNCTIONS.contains(&key.as_str()));
        let (first, second) = (named.next(), named.next());
        if let (Some((first, _)), Some((second, _))) = (first, second) {
            return Err(QueryError::parsing(format!(
                "failed to parse function_score functions. already found [{first}], now \
                 encountering [{second}]."
            )));
        }
        let function = first.map(|(name, body)| function(name, body)).transpose()?;
        let weight = reader.number("weight")?.map(|weight| weight as f32);
        if weight.is_some_and(|weight| weight < 0.0) {
            return Err(QueryError::illegal("[weight] cannot be negative"));
        }
        let is_there = function.is_some() || weight.is_some();
        Ok(is_there.then_some(FilteredFunction {
            filter: None,
            weight,
            function,
        }))
    }
}

fn function(name: &str, body: &Value) -> Result<ScoreFunction, QueryError> {
    match name {
        "field_value_factor" => field_value(body).map(ScoreFunction::FieldValue),
        "random_score" => random(body),
        "gauss" => decay(name, body, DecayShape::Gauss),
        "exp" => decay(name, body, DecayShape::Exp),
        "linear" => decay(name, body, DecayShape::Linear),
        _ => Err(QueryError::parsing(format!(
            "[function_score] [{name}] is not supported: there are no scripts"
        ))),
    }
}

fn field_value(body: &Value) -> Result<FieldValueFactor, QueryError> {
    let mut reader = ObjectReader::query("field_value_factor", body)?;
    let field = reader.text("field")?.unwrap_or_default();
    if field.is_empty() {
        return Err(QueryError::parsing(
            "[field_value_factor] required field 'field' missing",
        ));
    }
    let read = FieldValueFactor {
        field,
        factor: reader.number("factor")?.unwrap_or(1.0),
        modifier: named(&mut reader, "modifier", modifier)?.unwrap_or_default(),
        missing: reader.number("missing")?,
    };
    reader.finish()?;
    Ok(read)
}

fn random(body: &Value) -> Result<ScoreFunction, QueryError> {
    let mut reader = ObjectReader::query("random_score", body)?;
    let seed = match reader.take("seed") {
        None => None,
        Some(Value::Number(number)) => Some(number.as_i64().map_or_else(
            || number.as_f64().unwrap_or_default().to_bits(),
            |seed| seed as u64,
        )),
        Some(Value::String(text)) => Some(gleaner_model::hash::tie_break_hash(text)),
        Some(other) => return Err(reader.wrong("seed", "an int, a long or a string", other)),
    };
    let field = reader.text("field")?;
    reader.finish()?;
    if field.as_deref() == Some("_id") {
        return Err(QueryError::illegal(
            "Fielddata access on the _id field is disallowed: leave [field] of [random_score] out, or name [_seq_no]",
        ));
    }
    // It tells a document from others, as its id does, which does not depend on the shard.
    let field = field.filter(|field| field != "_seq_no");
    Ok(ScoreFunction::Random { seed, field })
}

fn decay(name: &str, body: &Value, shape: DecayShape) -> Result<ScoreFunction, QueryError> {
    let mut reader = ObjectReader::query(name, body)?;
    let mode = named(&mut reader, "multi_value_mode", value_mode)?;
    let mut fields = reader.rest();
    let (Some((field, options)), None) = (fields.next(), fields.next()) else {
        return Err(QueryError::parsing(format!(
            "malformed score function score parameters: [{name}] needs one field, with [origin] and \
             [scale]"
        )));
    };
    check_field(name, field)?;
    let mut reader = ObjectReader::query(name, options)?;
    let value = |reader: &mut ObjectReader<'_>, key| reader.take(key).cloned();
    let origin = value(&mut reader, "origin");
    let scale = value(&mut reader, "scale").ok_or_else(|| {
        QueryError::parsing(format!(
            "[{name}] of [{field}]: both [scale] and [origin] must be set for numeric fields."
        ))
    })?;
    let offset = value(&mut reader, "offset");
    let decay = reader.number("decay")?.unwrap_or(0.5);
    reader.finish()?;
    if decay <= 0.0 || decay >= 1.0 {
        return Err(QueryError::illegal(format!(
            "[{name}] decay must be in the range (0..1), but was [{decay}]"
        )));
    }
    Ok(ScoreFunction::Decay(DecayFunction {
        field: field.to_owned(),
        shape,
        origin,
        scale,
        offset,
        decay,
        mode: mode.unwrap_or(SortMode::Min),
    }))
}

pub(super) fn distance_feature(body: &Value) -> Result<DistanceFeatureQuery, QueryError> {
    let mut reader = ObjectReader::query("distance_feature", body)?;
    let field = reader.text("field")?;
    let origin = reader.take("origin").cloned();
    let pivot = reader.text("pivot")?;
    let boost = reader.boost()?;
    reader.finish()?;
    let missing = |key| QueryError::illegal(format!("Required [{key}]"));
    Ok(DistanceFeatureQuery {
        field: field
            .filter(|field| !field.is_empty())
            .ok_or_else(|| missing("field"))?,
        origin: origin.ok_or_else(|| missing("origin"))?,
        pivot: pivot.ok_or_else(|| missing("pivot"))?,
        boost,
    })
}

pub(super) fn rank_feature(body: &Value) -> Result<RankFeatureQuery, QueryError> {
    let mut reader = ObjectReader::query("rank_feature", body)?;
    let field = reader.text("field")?.unwrap_or_default();
    check_field("rank_feature", &field)?;
    let empty = Value::Object(Map::new());
    let names = ["saturation", "log", "sigmoid", "linear"];
    let given = names.map(|name| reader.take(name).map(|body| (name, body)));
    let mut given = given.into_iter().flatten();
    let (first, second) = (given.next(), given.next());
    if second.is_some() {
        return Err(QueryError::illegal(
            "Can only specify one of [log], [saturation], [sigmoid] and [linear]",
        ));
    }
    let (name, options) = first.unwrap_or(("saturation", &empty));
    let curve = feature_curve(name, options)?;
    let boost = reader.boost()?;
    reader.finish()?;
    Ok(RankFeatureQuery {
        field,
        curve,
        boost,
    })
}

fn feature_curve(name: &str, options: &Value) -> Result<FeatureCurve, QueryError> {
    let mut reader = ObjectReader::query(name, options)?;
    // Each by the name that its fault has.
    let wanted: &[(&'static str, &str)] = match name {
        "log" => &[("scaling_factor", "scalingFactor")],
        "sigmoid" => &[("pivot", "pivot"), ("exponent", "exp")],
        "saturation" => &[("pivot", "pivot")],
        _ => &[],
    };
    let mut numbers = Vec::new();
    for (key, told) in wanted {
        let number = reader.number(key)?;
        let (least, is_in) = match name {
            "log" => (">= 1", number.is_none_or(|number| number >= 1.0)),
            _ => ("> 0", number.is_none_or(|number| number > 0.0)),
        };
        if let Some(number) = number.filter(|_| !is_in) {
            return Err(QueryError::illegal(format!(
                "{told} must be {least}, got: {number:?}"
            )));
        }
        numbers.push(number);
    }
    reader.finish()?;
    Ok(match (name, numbers.as_slice()) {
        ("linear", _) => FeatureCurve::Linear,
        ("log", [Some(scaling_factor)]) => FeatureCurve::Log {
            scaling_factor: *scaling_factor,
        },
        ("sigmoid", [Some(pivot), Some(exponent)]) => FeatureCurve::Sigmoid {
            pivot: *pivot,
            exponent: *exponent,
        },
        ("saturation", [Some(pivot)]) => FeatureCurve::Saturation { pivot: *pivot },
        ("saturation", _) => FeatureCurve::Typical { exponent: 1.0 },
        _ => {
            let given = wanted.iter().zip(&numbers);
            let missing = given.filter(|(_, number)| number.is_none());
            let missing: Vec<&str> = missing.map(|((key, _), _)| *key).collect();
            return Err(QueryError::parsing(format!(
                "[rank_feature] failed to parse field [{name}]: Required [{}]",
                missing.join(", ")
            )));
        }
    })
}

/// Reads one of several names, of any case.
fn named<T>(
    reader: &mut ObjectReader<'_>,
    key: &'static str,
    of: fn(&str) -> Option<T>,
) -> Result<Option<T>, QueryError> {
    let Some(value) = reader.take(key) else {
        return Ok(None);
    };
    let text = scalar_text(value).ok_or_else(|| reader.wrong(key, "a name", value))?;
    match of(&text.to_ascii_lowercase()) {
        Some(member) => Ok(Some(member)),
        None => Err(QueryError::illegal(format!(
            "[{}] illegal {key} [{text}]",
            reader.name()
        ))),
    }
}

fn score_mode(name: &str) -> Option<ScoreMode> {
    Some(match name {
        "multiply" => ScoreMode::Multiply,
        "sum" => ScoreMode::Sum,
        "avg" => ScoreMode::Avg,
        "first" => ScoreMode::First,
        "max" => ScoreMode::Max,
        "min" => ScoreMode::Min,
        _ => return None,
    })
}

fn boost_mode(name: &str) -> Option<BoostMode> {
    Some(match name {
        "multiply" => BoostMode::Multiply,
        "replace" => BoostMode::Replace,
        "sum" => BoostMode::Sum,
        "avg" => BoostMode::Avg,
        "max" => BoostMode::Max,
        "min" => BoostMode::Min,
        _ => return None,
    })
}

fn modifier(name: &str) -> Option<Modifier> {
    Some(match name {
        "none" => Modifier::None,
        "log" => Modifier::Log,
        "log1p" => Modifier::Log1p,
        "log2p" => Modifier::Log2p,
        "ln" => Modifier::Ln,
        "ln1p" => Modifier::Ln1p,
        "ln2p" => Modifier::Ln2p,
        "square" => Modifier::Square,
        "sqrt" => Modifier::Sqrt,
        "reciprocal" => Modifier::Reciprocal,
        _ => return None,
    })
}

fn value_mode(name: &str) -> Option<SortMode> {
    Some(match name {
        "min" => SortMode::Min,
        "max" => SortMode::Max,
        "avg" => SortMode::Avg,
        "sum" => SortMode::Sum,
        _ => return None,
    })
}
