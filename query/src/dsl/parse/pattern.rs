//! `prefix`, `wildcard`, `regexp`, `fuzzy`.

use serde_json::Value;

use super::value::{check_chars, check_rewrite, fuzziness, max_expansions, scalar};
use super::{one_field, regexp_flags};
use crate::dsl::{Fuzziness, FuzzyQuery, PatternQuery};
use crate::error::QueryError;
use crate::json::{ObjectReader, scalar_text, token_name};
use crate::limits::Limits;

/// Default of `max_determinized_states`.
pub(crate) const MAX_DETERMINIZED_STATES: u32 = 10_000;

pub(super) fn prefix(body: &Value, limits: &Limits) -> Result<PatternQuery, QueryError> {
    let (mut query, reader) = pattern("prefix", &["value", "prefix"], body)?;
    finish(&mut query, reader)?;
    check_chars(&query.value, limits.pattern_chars, "prefix")?;
    Ok(query)
}

pub(super) fn wildcard(body: &Value, limits: &Limits) -> Result<PatternQuery, QueryError> {
    let (mut query, reader) = pattern("wildcard", &["value", "wildcard"], body)?;
    finish(&mut query, reader)?;
    check_chars(&query.value, limits.pattern_chars, "wildcard")?;
    Ok(query)
}

pub(super) fn regexp(body: &Value, limits: &Limits) -> Result<PatternQuery, QueryError> {
    let (mut query, mut reader) = pattern("regexp", &["value"], body)?;
    let mut flags = regexp_flags::ALL;
    if let Some(reader) = &mut reader {
        if let Some(names) = reader.text("flags")? {
            flags = regexp_flags::parse(&names)?;
        }
        if let Some(bits) = reader.small_count("flags_value")? {
            flags = bits;
        }
        if let Some(states) = reader.small_count("max_determinized_states")? {
            query.max_determinized_states = states;
        }
    }
    finish(&mut query, reader)?;
    check_regexp(&query.value, limits)?;
    query.value = regexp_flags::escape_disabled(&query.value, flags);
    Ok(query)
}

/// Refuses regular expressions that are too long.
pub(crate) fn check_regexp(expression: &str, limits: &Limits) -> Result<(), QueryError> {
    let chars = expression.chars().count();
    if chars <= limits.regexp_chars {
        return Ok(());
    }
    Err(QueryError::illegal(format!(
        "The length of regex [{chars}] used in the Regexp Query request has exceeded the allowed \
         maximum of [{}]. This maximum can be set by changing the [index.max_regex_length] index \
         level setting.",
        limits.regexp_chars
    )))
}

pub(super) fn fuzzy(body: &Value, limits: &Limits) -> Result<FuzzyQuery, QueryError> {
    let (pattern, reader) = pattern("fuzzy", &["value", "term"], body)?;
    check_chars(&pattern.value, limits.pattern_chars, "fuzzy")?;
    let mut query = FuzzyQuery {
        field: pattern.field,
        value: pattern.value,
        fuzziness: Fuzziness::Auto { low: 3, high: 6 },
        prefix_length: 0,
        max_expansions: 50,
        transpositions: true,
        normalize: false,
        boost: 1.0,
    };
    if let Some(mut reader) = reader {
        query.fuzziness = fuzziness(&mut reader)?.unwrap_or(query.fuzziness);
        query.prefix_length = reader.small_count("prefix_length")?.unwrap_or(0);
        query.max_expansions = max_expansions(&mut reader, "max_expansions")?;
        query.transpositions = reader.boolean("transpositions")?.unwrap_or(true);
        query.boost = reader.boost()?;
        check_rewrite(&mut reader, "rewrite", Some(query.max_expansions))?;
        reader.finish()?;
    }
    Ok(query)
}

/// Reads the field and value of a query in its short or long form; options are left to the caller.
fn pattern<'a>(
    name: &'a str,
    value_keys: &[&'static str],
    body: &'a Value,
) -> Result<(PatternQuery, Option<ObjectReader<'a>>), QueryError> {
    let (field, value) = one_field(name, body)?;
    let (text, reader) = match value {
        Value::Object(_) => {
            let mut reader = ObjectReader::query(name, value)?;
            let text = scalar(&mut reader, value_keys)?;
            (scalar_text(text), Some(reader))
        }
        short => (scalar_text(short), None),
    };
    let value = text.ok_or_else(|| {
        QueryError::parsing(format!(
            "[{name}] query does not support [{}] after [{field}]",
            token_name(value)
        ))
    })?;
    let query = PatternQuery {
        field: field.to_owned(),
        value,
        case_insensitive: false,
        normalize: false,
        analysis: None,
        max_determinized_states: MAX_DETERMINIZED_STATES,
        boost: 1.0,
    };
    Ok((query, reader))
}

/// Reads the options shared by the three patterns.
fn finish(query: &mut PatternQuery, reader: Option<ObjectReader<'_>>) -> Result<(), QueryError> {
    let Some(mut reader) = reader else {
        return Ok(());
    };
    query.case_insensitive = reader.boolean("case_insensitive")?.unwrap_or(false);
    query.boost = reader.boost()?;
    check_rewrite(&mut reader, "rewrite", None)?;
    reader.finish()
}
