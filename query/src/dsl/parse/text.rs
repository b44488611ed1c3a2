//! `match` and its kin.

use serde_json::Value;

use super::one_field;
use super::value::{
    check_rewrite, fields, fuzziness, max_expansions, minimum_should_match, operator, scalar,
    tie_breaker, zero_terms,
};
use crate::dsl::{
    CombinedFieldsQuery, MatchPhrasePrefixQuery, MatchPhraseQuery, MatchQuery, MultiMatchQuery,
    MultiMatchType, TextOptions, ZeroTerms,
};
use crate::error::QueryError;
use crate::json::{ObjectReader, token_name};

/// A field's part of a query: the value alone, or an object with options.
enum Form<'a> {
    Short(&'a Value),
    Long(ObjectReader<'a>),
}

fn form<'a>(name: &'a str, field: &str, value: &'a Value) -> Result<Form<'a>, QueryError> {
    match value {
        Value::Object(_) => ObjectReader::query(name, value).map(Form::Long),
        Value::Array(_) => Err(QueryError::parsing(format!(
            "[{name}] unknown token [{}] after [{field}]",
            token_name(value)
        ))),
        Value::Null => Err(QueryError::illegal(format!(
            "[{name}] requires query value"
        ))),
        scalar => Ok(Form::Short(scalar)),
    }
}

pub(super) fn match_terms(body: &Value) -> Result<MatchQuery, QueryError> {
    let (field, value) = one_field("match", body)?;
    let mut reader = match form("match", field, value)? {
        Form::Short(text) => return Ok(plain_match(field, text)),
        Form::Long(reader) => reader,
    };
    let query = MatchQuery {
        field: field.to_owned(),
        query: scalar(&mut reader, &["query"])?.clone(),
        options: all_options(&mut reader)?,
        boost: reader.boost()?,
    };
    reader.unsupported(&["cutoff_frequency"])?;
    reader.finish()?;
    Ok(query)
}

pub(super) fn match_bool_prefix(body: &Value) -> Result<MatchQuery, QueryError> {
    let name = "match_bool_prefix";
    let (field, value) = one_field(name, body)?;
    let mut reader = match form(name, field, value)? {
        Form::Short(text) => return Ok(plain_match(field, text)),
        Form::Long(reader) => reader,
    };
    let query = MatchQuery {
        field: field.to_owned(),
        query: scalar(&mut reader, &["query"])?.clone(),
        options: term_options(&mut reader)?,
        boost: reader.boost()?,
    };
    reader.finish()?;
    Ok(query)
}

fn plain_match(field: &str, text: &Value) -> MatchQuery {
    MatchQuery {
        field: field.to_owned(),
        query: text.clone(),
        options: TextOptions::default(),
        boost: 1.0,
    }
}

pub(super) fn match_phrase(body: &Value) -> Result<MatchPhraseQuery, QueryError> {
    let name = "match_phrase";
    let (field, value) = one_field(name, body)?;
    let mut reader = match form(name, field, value)? {
        Form::Short(text) => return Ok(plain_phrase(field, text)),
        Form::Long(reader) => reader,
    };
    let phrase = phrase(field, &mut reader)?;
    reader.finish()?;
    Ok(phrase)
}

pub(super) fn match_phrase_prefix(body: &Value) -> Result<MatchPhrasePrefixQuery, QueryError> {
    let name = "match_phrase_prefix";
    let (field, value) = one_field(name, body)?;
    let mut reader = match form(name, field, value)? {
        Form::Short(text) => {
            return Ok(MatchPhrasePrefixQuery {
                phrase: plain_phrase(field, text),
                max_expansions: 50,
            });
        }
        Form::Long(reader) => reader,
    };
    let query = MatchPhrasePrefixQuery {
        phrase: phrase(field, &mut reader)?,
        max_expansions: max_expansions(&mut reader, "max_expansions")?,
    };
    reader.finish()?;
    Ok(query)
}

fn plain_phrase(field: &str, text: &Value) -> MatchPhraseQuery {
    MatchPhraseQuery {
        field: field.to_owned(),
        query: text.clone(),
        slop: 0,
        analyzer: None,
        zero_terms_query: ZeroTerms::None,
        boost: 1.0,
    }
}

fn phrase(field: &str, reader: &mut ObjectReader<'_>) -> Result<MatchPhraseQuery, QueryError> {
    Ok(MatchPhraseQuery {
        field: field.to_owned(),
        query: scalar(reader, &["query"])?.clone(),
        slop: reader.small_count("slop")?.unwrap_or(0),
        analyzer: reader.text("analyzer")?,
        zero_terms_query: zero_terms(reader)?,
        boost: reader.boost()?,
    })
}

/// Reads the options of `match_bool_prefix`, a part of those of `match`.
fn term_options(reader: &mut ObjectReader<'_>) -> Result<TextOptions, QueryError> {
    let options = TextOptions {
        operator: operator(reader, "operator")?,
        minimum_should_match: minimum_should_match(reader)?,
        fuzziness: fuzziness(reader)?,
        prefix_length: reader.small_count("prefix_length")?.unwrap_or(0),
        max_expansions: max_expansions(reader, "max_expansions")?,
        fuzzy_transpositions: reader.boolean("fuzzy_transpositions")?.unwrap_or(true),
        analyzer: reader.text("analyzer")?,
        ..TextOptions::default()
    };
    check_rewrite(reader, "fuzzy_rewrite", Some(options.max_expansions))?;
    Ok(options)
}

/// Reads the options of `match` and `multi_match`.
fn all_options(reader: &mut ObjectReader<'_>) -> Result<TextOptions, QueryError> {
    Ok(TextOptions {
        lenient: reader.boolean("lenient")?.unwrap_or(false),
        zero_terms_query: zero_terms(reader)?,
        auto_generate_synonyms_phrase_query: reader
            .boolean("auto_generate_synonyms_phrase_query")?
            .unwrap_or(true),
        ..term_options(reader)?
    })
}

pub(super) fn multi_match(body: &Value) -> Result<MultiMatchQuery, QueryError> {
    let mut reader = ObjectReader::query("multi_match", body)?;
    let kind = multi_match_type(&mut reader)?.unwrap_or_default();
    let slop = reader.small_count("slop")?;
    let query = MultiMatchQuery {
        fields: fields(&mut reader)?,
        query: scalar(&mut reader, &["query"])?.clone(),
        kind,
        tie_breaker: tie_breaker(&mut reader)?,
        slop: slop.unwrap_or(0),
        options: all_options(&mut reader)?,
        boost: reader.boost()?,
    };
    check_type(&query)?;
    reader.unsupported(&["cutoff_frequency"])?;
    reader.finish()?;
    Ok(query)
}

/// Refuses options that the type has no use for.
fn check_type(query: &MultiMatchQuery) -> Result<(), QueryError> {
    let name = match query.kind {
        MultiMatchType::CrossFields => "cross_fields",
        MultiMatchType::Phrase => "phrase",
        MultiMatchType::PhrasePrefix => "phrase_prefix",
        MultiMatchType::BoolPrefix if query.slop > 0 => {
            return Err(QueryError::parsing(
                "[slop] not allowed for type [bool_prefix]".to_owned(),
            ));
        }
        MultiMatchType::BestFields | MultiMatchType::MostFields | MultiMatchType::BoolPrefix => {
            return Ok(());
        }
    };
    if query.options.fuzziness.is_some() {
        return Err(QueryError::parsing(format!(
            "Fuzziness not allowed for type [{name}]"
        )));
    }
    Ok(())
}

pub(super) fn combined_fields(body: &Value) -> Result<CombinedFieldsQuery, QueryError> {
    let mut reader = ObjectReader::query("combined_fields", body)?;
    let fields = fields(&mut reader)?;
    if let Some((_, factor)) = fields.iter().find(|(_, factor)| *factor < 1.0) {
        return Err(QueryError::illegal(format!(
            "[combined_fields] requires field boosts to be >= 1.0, found [{factor:?}]"
        )));
    }
    let query = CombinedFieldsQuery {
        fields,
        query: scalar(&mut reader, &["query"])?.clone(),
        options: TextOptions {
            operator: operator(&mut reader, "operator")?,
            minimum_should_match: minimum_should_match(&mut reader)?,
            zero_terms_query: zero_terms(&mut reader)?,
            auto_generate_synonyms_phrase_query: reader
                .boolean("auto_generate_synonyms_phrase_query")?
                .unwrap_or(true),
            ..TextOptions::default()
        },
        boost: reader.boost()?,
    };
    reader.finish()?;
    Ok(query)
}

/// Reads `type`.
pub(super) fn multi_match_type(
    reader: &mut ObjectReader<'_>,
) -> Result<Option<MultiMatchType>, QueryError> {
    let Some(text) = reader.text("type")? else {
        return Ok(None);
    };
    match text.to_ascii_lowercase().as_str() {
        "best_fields" | "boolean" => Ok(Some(MultiMatchType::BestFields)),
        "most_fields" => Ok(Some(MultiMatchType::MostFields)),
        "cross_fields" => Ok(Some(MultiMatchType::CrossFields)),
        "phrase" => Ok(Some(MultiMatchType::Phrase)),
        "phrase_prefix" => Ok(Some(MultiMatchType::PhrasePrefix)),
        "bool_prefix" => Ok(Some(MultiMatchType::BoolPrefix)),
        _ => Err(QueryError::parsing(format!(
            "failed to parse [{}] query type [{text}]. unknown type.",
            reader.name()
        ))),
    }
}
