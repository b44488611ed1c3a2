//! Values that several clauses share: operators, edit distances, `minimum_should_match`, `field^3`.

use serde_json::Value;

use crate::date::TimeZone;
use crate::dsl::{Fuzziness, MinimumShouldMatch, Operator, ZeroTerms};
use crate::error::QueryError;
use crate::json::{ObjectReader, scalar_text};

/// Values of `rewrite` under which every hit scores the same.
const CONSTANT_SCORES: [&str; 5] = [
    "constant_score",
    "constant_score_auto",
    "constant_score_blended",
    "constant_score_boolean",
    "constant_score_filter",
];

/// Reads `and` or `or` of any case.
pub(crate) fn parse_operator(text: &str, place: &str) -> Result<Operator, QueryError> {
    if text.eq_ignore_ascii_case("or") {
        Ok(Operator::Or)
    } else if text.eq_ignore_ascii_case("and") {
        Ok(Operator::And)
    } else {
        Err(QueryError::illegal(format!(
            "[{place}] operator needs to be either [and] or [or], but was [{text}]"
        )))
    }
}

pub(super) fn operator(
    reader: &mut ObjectReader<'_>,
    key: &'static str,
) -> Result<Operator, QueryError> {
    match reader.text(key)? {
        None => Ok(Operator::Or),
        Some(text) => parse_operator(&text, reader.name()),
    }
}

pub(super) fn zero_terms(reader: &mut ObjectReader<'_>) -> Result<ZeroTerms, QueryError> {
    let Some(text) = reader.text("zero_terms_query")? else {
        return Ok(ZeroTerms::None);
    };
    if text.eq_ignore_ascii_case("none") {
        Ok(ZeroTerms::None)
    } else if text.eq_ignore_ascii_case("all") {
        Ok(ZeroTerms::All)
    } else {
        Err(QueryError::parsing(format!(
            "[{}] unsupported zero_terms_query value [{text}], expected [none] or [all]",
            reader.name()
        )))
    }
}

pub(super) fn fuzziness(reader: &mut ObjectReader<'_>) -> Result<Option<Fuzziness>, QueryError> {
    let Some(value) = reader.take("fuzziness") else {
        return Ok(None);
    };
    let text = scalar_text(value).ok_or_else(|| reader.wrong("fuzziness", "a number", value))?;
    parse_fuzziness(&text).map(Some)
}

/// Reads `0`, `1`, `2`, `AUTO` or `AUTO:low,high`.
fn parse_fuzziness(text: &str) -> Result<Fuzziness, QueryError> {
    let upper = text.trim().to_ascii_uppercase();
    if upper == "AUTO" {
        return Ok(Fuzziness::Auto { low: 3, high: 6 });
    }
    if let Some(bounds) = upper.strip_prefix("AUTO:") {
        let bounds = bounds
            .split_once(',')
            .and_then(|(low, high)| Some((low.trim().parse().ok()?, high.trim().parse().ok()?)));
        return match bounds {
            Some((low, high)) if low <= high => Ok(Fuzziness::Auto { low, high }),
            _ => Err(QueryError::parsing(format!(
                "failed to find low and high distance values in [{text}]; expected [AUTO:low,high]"
            ))),
        };
    }
    match upper.as_str() {
        "0" | "0.0" => Ok(Fuzziness::Edits(0)),
        "1" | "1.0" => Ok(Fuzziness::Edits(1)),
        "2" | "2.0" => Ok(Fuzziness::Edits(2)),
        _ => Err(QueryError::illegal(format!(
            "Valid edit distances are [0, 1, 2] or [AUTO], but was [{text}]"
        ))),
    }
}

/// Reads how many clauses must match; `null` says nothing.
pub(super) fn minimum_should_match(
    reader: &mut ObjectReader<'_>,
) -> Result<Option<MinimumShouldMatch>, QueryError> {
    if reader
        .take("minimum_should_match")
        .is_some_and(Value::is_null)
    {
        return Ok(None);
    }
    match reader.text("minimum_should_match")? {
        None => Ok(None),
        Some(text) => parse_minimum_should_match(&text).map(Some),
    }
}

/// Reads `3`, `-2`, `75%`, `-25%`, `2<75%` or several of the last, separated by spaces.
pub(crate) fn parse_minimum_should_match(text: &str) -> Result<MinimumShouldMatch, QueryError> {
    let refuse =
        || QueryError::illegal(format!("failed to parse [minimum_should_match]: [{text}]"));
    if !text.contains('<') {
        return single_minimum(text.trim()).ok_or_else(refuse);
    }
    // Spaces separate rules, but may also stand around `<`.
    let joined = text.split('<').map(str::trim).collect::<Vec<_>>().join("<");
    let mut rules = Vec::new();
    for rule in joined.split_whitespace() {
        let (above, rule) = rule.split_once('<').ok_or_else(refuse)?;
        let above = above.parse().map_err(|_| refuse())?;
        rules.push((above, single_minimum(rule).ok_or_else(refuse)?));
    }
    Ok(MinimumShouldMatch::Conditional(rules))
}

fn single_minimum(text: &str) -> Option<MinimumShouldMatch> {
    match text.strip_suffix('%') {
        Some(percent) => percent.parse().ok().map(MinimumShouldMatch::Percent),
        None => text.parse().ok().map(MinimumShouldMatch::Count),
    }
}

/// Fields and patterns that one query may name: each is held against all fields of a mapping. As many as there may be
/// clauses.
const MAX_FIELDS: usize = 1_024;

/// Reads a string or an array of `field` and `field^factor`; empty when absent.
pub(super) fn fields(reader: &mut ObjectReader<'_>) -> Result<Vec<(String, f32)>, QueryError> {
    let names = reader.texts("fields")?.unwrap_or_default();
    check_fields(&names)?;
    names
        .iter()
        .map(|name| parse_field_factor(name, reader.name()))
        .collect()
}

/// Refuses more fields than a query may name.
pub(super) fn check_fields(names: &[String]) -> Result<(), QueryError> {
    match names.len() {
        few if few <= MAX_FIELDS => Ok(()),
        many => Err(QueryError::illegal(format!(
            "field expansion matches too many fields, limit: {MAX_FIELDS}, got: {many}"
        ))),
    }
}

/// Reads `field` or `field^factor`; `place` is what errors name.
///
/// # Errors
/// `illegal_argument_exception` for a factor that is no number of 0 or more.
pub fn parse_field_factor(text: &str, place: &str) -> Result<(String, f32), QueryError> {
    let Some((field, factor)) = text.split_once('^') else {
        return Ok((text.to_owned(), 1.0));
    };
    let number: Option<f32> = factor.trim().parse().ok();
    match number {
        Some(number) if number.is_finite() && number >= 0.0 && !field.is_empty() => {
            Ok((field.to_owned(), number))
        }
        _ => Err(QueryError::illegal(format!(
            "[{place}] failed to parse [{text}]: expected a factor, 0 or more, after [^]"
        ))),
    }
}

/// Reads `max_expansions` (or another `key` of that meaning), at least 1.
pub(super) fn max_expansions(
    reader: &mut ObjectReader<'_>,
    key: &'static str,
) -> Result<u32, QueryError> {
    match reader.small_count(key)? {
        Some(0) => Err(QueryError::illegal(format!(
            "[{}] requires [{key}] to be positive",
            reader.name()
        ))),
        given => Ok(given.unwrap_or(50)),
    }
}

/// Checks how `key` (`rewrite` or `fuzzy_rewrite`) wants a pattern rewritten. Patterns score a constant;
/// a fuzzy term stands for its `max_expansions` best terms, with their own scores.
pub(super) fn check_rewrite(
    reader: &mut ObjectReader<'_>,
    key: &'static str,
    max_expansions: Option<u32>,
) -> Result<(), QueryError> {
    let Some(method) = reader.text(key)? else {
        return Ok(());
    };
    let best = max_expansions.map(|count| format!("top_terms_blended_freqs_{count}"));
    if CONSTANT_SCORES.contains(&method.as_str()) || best.as_ref() == Some(&method) {
        return Ok(());
    }
    let done = best.unwrap_or_else(|| CONSTANT_SCORES[0].to_owned());
    Err(QueryError::parsing(format!(
        "[{}] [{key}] [{method}] is not supported, as it would change scores; leave it out for \
         [{done}]",
        reader.name()
    )))
}

/// Reads `time_zone`, which has to be one even where no date is asked for.
pub(super) fn time_zone(reader: &mut ObjectReader<'_>) -> Result<Option<String>, QueryError> {
    let zone = reader.text("time_zone")?;
    zone.as_deref().map(TimeZone::parse).transpose()?;
    Ok(zone)
}

/// Reads `tie_breaker`, 0 to 1.
pub(super) fn tie_breaker(reader: &mut ObjectReader<'_>) -> Result<Option<f32>, QueryError> {
    match reader.factor("tie_breaker")? {
        Some(share) if share > 1.0 => Err(QueryError::illegal(format!(
            "[{}] [tie_breaker] must be between 0 and 1, but was [{share}]",
            reader.name()
        ))),
        given => Ok(given),
    }
}

/// Takes the value of `key`, a string, number or boolean.
pub(super) fn scalar<'a>(
    reader: &mut ObjectReader<'a>,
    keys: &[&'static str],
) -> Result<&'a Value, QueryError> {
    let name = reader.name();
    let key = keys[0];
    match reader.take_any(keys) {
        None | Some(Value::Null) => Err(QueryError::illegal(format!(
            "[{name}] requires [{key}] value"
        ))),
        Some(value @ (Value::Array(_) | Value::Object(_))) => {
            Err(reader.wrong(key, "a string, number or boolean", value))
        }
        Some(value) => Ok(value),
    }
}

/// Refuses `text` of more than `max` characters.
pub(crate) fn check_chars(text: &str, max: usize, name: &str) -> Result<(), QueryError> {
    let chars = text.chars().count();
    if chars <= max {
        return Ok(());
    }
    Err(QueryError::illegal(format!(
        "The length of the text [{chars}] used in the [{name}] query has exceeded the allowed \
         maximum of [{max}]"
    )))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::dsl::parse_query;
    use crate::limits::Limits;

    #[test]
    fn rewrites_that_would_change_scores_are_refused() {
        let limits = Limits::default();
        for method in ["top_terms_2", "top_terms_boost_2", "scoring_boolean", "x"] {
            for body in [
                json!({"prefix": {"f": {"value": "a", "rewrite": method}}}),
                json!({"fuzzy": {"f": {"value": "a", "rewrite": method}}}),
                json!({"match": {"f": {"query": "a", "fuzzy_rewrite": method}}}),
                json!({"query_string": {"query": "a*", "rewrite": method}}),
                json!({"query_string": {"query": "a~", "fuzzy_rewrite": method}}),
            ] {
                let refused = parse_query(&body, &limits).expect_err(method);
                let named = format!("[{method}] is not supported");
                assert!(refused.reason.contains(&named), "{body}: {refused}");
            }
        }
        for body in [
            json!({"wildcard": {"f": {"value": "a", "rewrite": "constant_score_blended"}}}),
            json!({"fuzzy": {"f": {"value": "a", "rewrite": "top_terms_blended_freqs_50"}}}),
            json!({"fuzzy": {"f": {
                "value": "a", "max_expansions": 7, "rewrite": "top_terms_blended_freqs_7",
            }}}),
            json!({"query_string": {"query": "a*", "rewrite": "constant_score"}}),
        ] {
            assert!(parse_query(&body, &limits).is_ok(), "{body}");
        }
        let other = json!({"fuzzy": {"f": {"value": "a", "rewrite": "top_terms_blended_freqs_7"}}});
        assert!(parse_query(&other, &limits).is_err(), "50 terms are found");
    }
}
