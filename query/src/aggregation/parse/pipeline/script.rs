//! Scripts of pipeline aggregations: expressions, and calls of moving functions.

use serde_json::Value;

use super::path::bucket_path;
use crate::aggregation::{BucketScript, MovingFunction, PipelineKind};
use crate::error::QueryError;
use crate::json::ObjectReader;

/// Longest expression, in bytes.
const MAX_SCRIPT_BYTES: usize = 4_096;

/// Most numbers of a season of `holtWinters`.
const MAX_PERIOD: usize = 65_536;

/// Reads `bucket_script` and `bucket_selector`.
pub(super) fn scripted(
    kind: &str,
    reader: &mut ObjectReader<'_>,
) -> Result<PipelineKind, QueryError> {
    let paths = match reader.take("buckets_path") {
        Some(Value::Object(entries)) => {
            let path = |(name, path): (&String, &Value)| {
                let text = path
                    .as_str()
                    .ok_or_else(|| reader.wrong("buckets_path", "a path for each name", path))?;
                Ok((name.clone(), bucket_path(text)?))
            };
            entries
                .iter()
                .map(path)
                .collect::<Result<Vec<_>, QueryError>>()?
        }
        // A path without a name is `_value`, those of a list are numbered.
        Some(Value::String(path)) => vec![("_value".to_owned(), bucket_path(path)?)],
        Some(Value::Array(items)) => {
            let mut paths = Vec::with_capacity(items.len());
            for (number, item) in items.iter().enumerate() {
                let path = item
                    .as_str()
                    .ok_or_else(|| reader.wrong("buckets_path", "a list of paths", item))?;
                paths.push((format!("_value{number}"), bucket_path(path)?));
            }
            paths
        }
        _ => {
            return Err(QueryError::parsing(format!(
                "Missing required field [buckets_path] for [{kind}] aggregation"
            )));
        }
    };
    let Script {
        source,
        params,
        is_lucene,
    } = script(reader)?;
    let script = BucketScript {
        paths,
        source,
        params,
        is_lucene,
    };
    Ok(match kind {
        "bucket_script" => PipelineKind::Script(script),
        _ => PipelineKind::Selector(script),
    })
}

/// A script as it is written.
struct Script {
    source: String,
    params: Vec<(String, f64)>,
    is_lucene: bool,
}

/// Reads a script, which stands alone or in an object; its language is an expression's.
fn script(reader: &mut ObjectReader<'_>) -> Result<Script, QueryError> {
    let script = match reader.take("script") {
        Some(Value::String(source)) => Script {
            source: source.clone(),
            params: Vec::new(),
            is_lucene: false,
        },
        Some(value @ Value::Object(_)) => {
            let mut script = ObjectReader::part("script", value)?;
            script.unsupported(&["id", "options"])?;
            let source = source(&mut script)?;
            let lang = script.text("lang")?;
            let params = params(&mut script)?;
            script.finish()?;
            Script {
                source,
                params,
                is_lucene: match lang.as_deref() {
                    None | Some("painless") => false,
                    Some("expression") => true,
                    Some(other) => {
                        return Err(QueryError::illegal(format!(
                            "script_lang not supported [{other}]"
                        )));
                    }
                },
            }
        }
        _ => return Err(QueryError::parsing("Missing required field [script]")),
    };
    if script.source.len() > MAX_SCRIPT_BYTES {
        return Err(QueryError::illegal(format!(
            "[script] has [{}] bytes, more than [{MAX_SCRIPT_BYTES}]",
            script.source.len()
        )));
    }
    Ok(script)
}

/// Reads the text of a script, of which `inline` is the old name.
fn source(script: &mut ObjectReader<'_>) -> Result<String, QueryError> {
    match (script.text("source")?, script.text("inline")?) {
        (Some(_), Some(_)) => Err(QueryError::illegal(
            "[script] has both [source] and [inline], which are two names of the same",
        )),
        (source, inline) => Ok(source.or(inline).unwrap_or_default()),
    }
}

/// Reads the numbers of a script that are the same in all buckets.
fn params(script: &mut ObjectReader<'_>) -> Result<Vec<(String, f64)>, QueryError> {
    let entries = match script.take("params") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Object(entries)) => entries,
        Some(other) => return Err(script.wrong("params", "an object", other)),
    };
    let number = |(name, value): (&String, &Value)| {
        let number = value.as_f64().ok_or_else(|| {
            QueryError::illegal(format!(
                "[script] [params] [{name}] of [{value}] is not supported: only numbers are"
            ))
        })?;
        Ok((name.clone(), number))
    };
    entries.iter().map(number).collect()
}

/// Reads the function of `moving_fn`, which is given as the script that calls it, and how many numbers it needs: it may
/// stand in `if (values.length > 10) { … }`.
pub(super) fn moving_function(
    reader: &mut ObjectReader<'_>,
) -> Result<(MovingFunction, usize), QueryError> {
    let Script { source, params, .. } = script(reader)?;
    let bare: String = source.chars().filter(|c| !c.is_whitespace()).collect();
    let (call, fewest) = match bare.strip_prefix("if(values.length>") {
        None => (Some(bare.as_str()), 0),
        Some(guarded) => match guard(guarded) {
            Some((call, fewest)) => (Some(call), fewest),
            None => (None, 0),
        },
    };
    let function = call.and_then(|call| {
        let call = call.trim_start_matches("return").trim_end_matches(';');
        called(call, &params)
    });
    let function = function.ok_or_else(|| {
        QueryError::illegal(format!(
            "[moving_fn] [script] of [{source}] is not supported: one of MovingFunctions.max, min, sum, \
             stdDev, unweightedAvg, linearWeightedAvg, ewma, holt and holtWinters of [values], numbers and [params] is"
        ))
    })?;
    Ok((function, fewest))
}

/// Reads what follows `if (values.length >`: a whole number, and what stands in the brackets.
fn guard(text: &str) -> Option<(&str, usize)> {
    let (bound, call) = text.split_once("){")?;
    let (bound, more) = match bound.strip_prefix('=') {
        Some(bound) => (bound, 0),
        None => (bound, 1),
    };
    let factors = bound.split('*').map(|factor| factor.parse::<usize>().ok());
    let product = factors.reduce(|product, factor| product?.checked_mul(factor?));
    let fewest = product.flatten()?.checked_add(more)?;
    Some((call.strip_suffix('}')?, fewest))
}

/// Reads a number, or the name of one in the script's `params`.
fn number(text: &str, params: &[(String, f64)]) -> Option<f64> {
    let Some(access) = text.strip_prefix("params") else {
        return text.parse().ok();
    };
    let quoted = |quote: &str| {
        let inside = access.strip_prefix('[')?.strip_suffix(']')?;
        inside.strip_prefix(quote)?.strip_suffix(quote)
    };
    let name = access.strip_prefix('.').or_else(|| quoted("'"));
    let name = name.or_else(|| quoted("\""))?;
    let mut params = params.iter();
    let found = params.find(|(known, _)| known == name);
    found.map(|(_, number)| *number)
}

/// Reads how many numbers a season has.
fn period(text: &str, params: &[(String, f64)]) -> Option<usize> {
    let period = number(text, params)?;
    let is_in_range = period.fract() == 0.0 && (1.0..=MAX_PERIOD as f64).contains(&period);
    is_in_range.then_some(period as usize)
}

/// Reads a call without white space; `None` for all but calls of moving functions.
fn called(call: &str, params: &[(String, f64)]) -> Option<MovingFunction> {
    let call = call.strip_prefix("MovingFunctions.")?.strip_suffix(')')?;
    let (name, arguments) = call.split_once('(')?;
    if name == "stdDev" {
        let arguments_of_it = "values,MovingFunctions.unweightedAvg(values)";
        return (arguments == arguments_of_it).then_some(MovingFunction::StdDev);
    }
    let mut arguments = arguments.split(',');
    if arguments.next() != Some("values") {
        return None;
    }
    let arguments: Vec<&str> = arguments.collect();
    let number = |text: &str| number(text, params);
    Some(match (name, arguments.as_slice()) {
        ("max", []) => MovingFunction::Max,
        ("min", []) => MovingFunction::Min,
        ("sum", []) => MovingFunction::Sum,
        ("unweightedAvg", []) => MovingFunction::UnweightedAvg,
        ("linearWeightedAvg", []) => MovingFunction::LinearWeightedAvg,
        ("ewma", [alpha]) => MovingFunction::Ewma {
            alpha: number(alpha)?,
        },
        ("holt", [alpha, beta]) => MovingFunction::Holt {
            alpha: number(alpha)?,
            beta: number(beta)?,
        },
        ("holtWinters", [alpha, beta, gamma, season, is_multiplicative]) => {
            MovingFunction::HoltWinters {
                alpha: number(alpha)?,
                beta: number(beta)?,
                gamma: number(gamma)?,
                period: period(season, params)?,
                is_multiplicative: is_multiplicative.parse().ok()?,
            }
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn names(paths: &Value) -> Result<Vec<String>, String> {
        let body = json!({"buckets_path": paths, "script": "1"});
        let mut reader = ObjectReader::part("bucket_script", &body).expect("an object");
        match scripted("bucket_script", &mut reader) {
            Ok(PipelineKind::Script(script)) => {
                Ok(script.paths.into_iter().map(|(name, _)| name).collect())
            }
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.reason),
        }
    }

    #[test]
    fn paths_without_names_are_values() {
        for (paths, expected) in [
            (json!({"a": "sales"}), vec!["a"]),
            (json!("sales"), vec!["_value"]),
            (json!(["sales"]), vec!["_value0"]),
            (json!(["sales", "tags['x']>n"]), vec!["_value0", "_value1"]),
        ] {
            let names = names(&paths).expect("they are paths");
            assert_eq!(names, expected, "{paths}");
        }
        let refused = names(&json!(["sales", 1])).expect_err("it is no path");
        assert!(refused.contains("expected a list of paths"), "{refused}");
    }
    fn moving(script: &Value) -> Result<MovingFunction, String> {
        let body = json!({"script": script});
        let mut reader = ObjectReader::part("moving_fn", &body).expect("an object");
        let read = moving_function(&mut reader).map_err(|error| error.reason)?;
        Ok(read.0)
    }

    #[test]
    fn arguments_of_moving_functions_may_be_names_of_params() {
        let params = json!({"alpha": 0.5, "b": 0.25, "n": 4, "half": 1.5});
        let ewma = MovingFunction::Ewma { alpha: 0.5 };
        for call in ["params.alpha", "params['alpha']", "params[ \"alpha\" ]"] {
            let source = format!("MovingFunctions.ewma(values, {call})");
            let script = json!({"source": source, "params": params});
            assert_eq!(moving(&script).expect(call), ewma, "{call}");
        }
        let seasons =
            "MovingFunctions.holtWinters(values, params.alpha, params.b, 0.1, params.n, false)";
        let seasons = format!("if (values.length > 8) {{ return {seasons}; }}");
        let wanted = MovingFunction::HoltWinters {
            alpha: 0.5,
            beta: 0.25,
            gamma: 0.1,
            period: 4,
            is_multiplicative: false,
        };
        let script = json!({"source": seasons, "params": params});
        assert_eq!(moving(&script).expect("it is one"), wanted);
        for wrong in [
            "MovingFunctions.ewma(values, params.other)",
            "MovingFunctions.ewma(values, alpha)",
            "MovingFunctions.ewma(values, params)",
            "MovingFunctions.ewma(values, params['alpha\"])",
            "MovingFunctions.holtWinters(values, 0.1, 0.1, 0.1, params.half, true)",
            "MovingFunctions.holtWinters(values, 0.1, 0.1, 0.1, 65537, true)",
        ] {
            let script = json!({"source": wrong, "params": params});
            let refused = moving(&script).expect_err(wrong);
            assert!(refused.contains("is not supported"), "{refused}");
        }
    }

    #[test]
    fn inline_is_the_old_name_of_source() {
        let inline = json!({"inline": "MovingFunctions.max(values)", "lang": "painless"});
        assert_eq!(moving(&inline), Ok(MovingFunction::Max));
        let both = json!({"inline": "MovingFunctions.max(values)", "source": "1"});
        let refused = moving(&both).expect_err("two names");
        let wanted = "has both [source] and [inline]";
        assert!(refused.contains(wanted), "{refused}");
    }
}
