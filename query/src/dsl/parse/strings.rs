//! The bodies of `query_string` and `simple_query_string`; their text is read in
//! [`crate::query_string`].

use serde_json::Value;

use super::text::multi_match_type;
use super::value::{
    check_rewrite, fields, fuzziness, max_expansions, minimum_should_match, operator,
    parse_field_factor, scalar, tie_breaker, time_zone,
};
use crate::dsl::{Fuzziness, QueryStringQuery, TextOptions};
use crate::error::QueryError;
use crate::json::{ObjectReader, scalar_text};
use crate::limits::Limits;
use crate::query_string::{SimpleFlags, escape};

pub(super) fn query_string(body: &Value, limits: &Limits) -> Result<QueryStringQuery, QueryError> {
    let mut reader = ObjectReader::query("query_string", body)?;
    check_fields_list(&mut reader)?;
    let (fields, default_field) = query_string_fields(&mut reader)?;
    let query = QueryStringQuery {
        query: query_text(&mut reader, limits)?,
        fields,
        default_field,
        allow_leading_wildcard: reader.boolean("allow_leading_wildcard")?.unwrap_or(true),
        phrase_slop: reader.small_count("phrase_slop")?.unwrap_or(0),
        kind: multi_match_type(&mut reader)?.unwrap_or_default(),
        tie_breaker: tie_breaker(&mut reader)?,
        time_zone: time_zone(&mut reader)?,
        fuzzy: TextOptions {
            fuzziness: fuzziness(&mut reader)?.or(Some(Fuzziness::Auto { low: 3, high: 6 })),
            ..fuzzy_options(&mut reader)?
        },
        ..common(&mut reader)?
    };
    check_rewrite(&mut reader, "rewrite", None)?;
    let best = Some(query.fuzzy.max_expansions);
    check_rewrite(&mut reader, "fuzzy_rewrite", best)?;
    // Without effect: how automata are bounded is fixed.
    reader.ignore(&["max_determinized_states", "enable_position_increments"]);
    let is_escaped = reader.boolean("escape")?.unwrap_or(false);
    reader.unsupported(&["quote_analyzer", "quote_field_suffix"])?;
    reader.finish()?;
    Ok(if is_escaped {
        QueryStringQuery {
            query: escape(&query.query),
            ..query
        }
    } else {
        query
    })
}

pub(super) fn simple_query_string(
    body: &Value,
    limits: &Limits,
) -> Result<QueryStringQuery, QueryError> {
    let mut reader = ObjectReader::query("simple_query_string", body)?;
    check_fields_list(&mut reader)?;
    let query = QueryStringQuery {
        query: query_text(&mut reader, limits)?,
        fields: fields(&mut reader)?,
        flags: flags(&mut reader)?.bits(),
        fuzzy: fuzzy_options(&mut reader)?,
        ..common(&mut reader)?
    };
    reader.unsupported(&["quote_field_suffix"])?;
    reader.finish()?;
    Ok(query)
}

fn query_text(reader: &mut ObjectReader<'_>, limits: &Limits) -> Result<String, QueryError> {
    let value = scalar(reader, &["query"])?;
    let text = scalar_text(value).unwrap_or_default();
    crate::query_string::check_length(&text, limits)?;
    Ok(text)
}

/// Reads what both have in common.
fn common(reader: &mut ObjectReader<'_>) -> Result<QueryStringQuery, QueryError> {
    Ok(QueryStringQuery {
        default_operator: operator(reader, "default_operator")?,
        analyzer: reader.text("analyzer")?,
        analyze_wildcard: reader.boolean("analyze_wildcard")?.unwrap_or(false),
        lenient: reader.boolean("lenient")?.unwrap_or(false),
        minimum_should_match: minimum_should_match(reader)?,
        boost: reader.boost()?,
        ..QueryStringQuery::new(String::new())
    })
}

fn fuzzy_options(reader: &mut ObjectReader<'_>) -> Result<TextOptions, QueryError> {
    Ok(TextOptions {
        prefix_length: reader.small_count("fuzzy_prefix_length")?.unwrap_or(0),
        max_expansions: max_expansions(reader, "fuzzy_max_expansions")?,
        fuzzy_transpositions: reader.boolean("fuzzy_transpositions")?.unwrap_or(true),
        auto_generate_synonyms_phrase_query: reader
            .boolean("auto_generate_synonyms_phrase_query")?
            .unwrap_or(true),
        ..TextOptions::default()
    })
}

/// Refuses a single name, which other queries take.
fn check_fields_list(reader: &mut ObjectReader<'_>) -> Result<(), QueryError> {
    match reader.take("fields") {
        None | Some(Value::Array(_)) => Ok(()),
        Some(other) => Err(reader.wrong("fields", "an array of strings", other)),
    }
}

/// Fields with their factors, and the one of them that the text need not name.
type FieldsAndDefault = (Vec<(String, f32)>, Option<String>);

fn query_string_fields(reader: &mut ObjectReader<'_>) -> Result<FieldsAndDefault, QueryError> {
    let fields = fields(reader)?;
    match reader.text("default_field")? {
        None => Ok((fields, None)),
        Some(_) if !fields.is_empty() => Err(QueryError::parsing(
            "[query_string] cannot have both [default_field] and [fields]".to_owned(),
        )),
        Some(field) => {
            let (field, factor) = parse_field_factor(&field, "query_string")?;
            // With a factor it is asked as one of several fields would be.
            let default_field = (factor == 1.0).then(|| field.clone());
            Ok((vec![(field, factor)], default_field))
        }
    }
}

fn flags(reader: &mut ObjectReader<'_>) -> Result<SimpleFlags, QueryError> {
    match reader.take("flags") {
        None => Ok(SimpleFlags::ALL),
        Some(Value::String(names)) => SimpleFlags::parse(names),
        // -1 is all of them.
        Some(Value::Number(bits)) if bits.as_i64().is_some_and(|bits| bits < 0) => {
            Ok(SimpleFlags::ALL)
        }
        Some(value) => value
            .as_u64()
            .and_then(|bits| u32::try_from(bits).ok())
            .map(SimpleFlags::from_bits)
            .ok_or_else(|| reader.wrong("flags", "names of operators joined by [|]", value)),
    }
}
