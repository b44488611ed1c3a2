//! What of a document is returned: `_source`, `fields`, `docvalue_fields`.

use serde_json::Value;

use crate::error::QueryError;
use crate::json::{ObjectReader, token_name};
use crate::limits::Limits;
use crate::mapping::{ValuesAsked, check_values_of, is_metadata};
use crate::search::{FieldFormat, SourceFilter};

/// Reads `_source`: a boolean, a pattern, patterns, or `{includes, excludes}`.
///
/// # Errors
/// `parsing_exception` naming what is unknown or of a wrong type.
pub fn parse_source_filter(value: &Value) -> Result<SourceFilter, QueryError> {
    let filter = read_source_filter(value)?;
    check_source_filter(&filter)?;
    Ok(filter)
}

fn read_source_filter(value: &Value) -> Result<SourceFilter, QueryError> {
    match value {
        Value::Bool(enabled) => Ok(SourceFilter {
            enabled: *enabled,
            ..SourceFilter::default()
        }),
        Value::String(pattern) => Ok(source_from_text(pattern)),
        Value::Array(patterns) => Ok(SourceFilter {
            includes: patterns
                .iter()
                .map(|pattern| pattern.as_str().map(str::to_owned))
                .collect::<Option<_>>()
                .ok_or_else(|| QueryError::parsing("[_source] expected an array of strings"))?,
            ..SourceFilter::default()
        }),
        Value::Object(_) => {
            let mut reader = ObjectReader::part("_source", value)?;
            let includes = either(&mut reader, "includes", "include")?;
            let excludes = either(&mut reader, "excludes", "exclude")?;
            // Vectors are not kept apart from the rest: there is no such field.
            reader.boolean("exclude_vectors")?;
            reader.finish()?;
            Ok(SourceFilter {
                enabled: true,
                includes,
                excludes,
            })
        }
        other => Err(QueryError::parsing(format!(
            "Expected one of [VALUE_BOOLEAN, VALUE_STRING, START_ARRAY, START_OBJECT] but found \
             [{}] in [_source]",
            token_name(other)
        ))),
    }
}

/// Longest patterns of one filter of `_source` together, in bytes: some thousands of names.
const MAX_SOURCE_PATTERNS: usize = 64 << 10;

/// Refuses more patterns than documents can be compared with in passing.
pub(super) fn check_source_filter(filter: &SourceFilter) -> Result<(), QueryError> {
    let both = filter.includes.iter().chain(&filter.excludes);
    let num_bytes: usize = both.map(|pattern| pattern.len() + 1).sum();
    if num_bytes <= MAX_SOURCE_PATTERNS {
        return Ok(());
    }
    Err(QueryError::illegal(format!(
        "the patterns of [_source] take [{num_bytes}] bytes, at most [{MAX_SOURCE_PATTERNS}] are allowed; \
         use fewer of them, or [*] for what they share"
    )))
}

/// Reads `_source` as a URI has it: `true`, `false` or patterns joined by commas.
pub(super) fn source_from_text(text: &str) -> SourceFilter {
    match text {
        "true" => SourceFilter::default(),
        "false" => SourceFilter {
            enabled: false,
            ..SourceFilter::default()
        },
        patterns => SourceFilter {
            includes: comma_list(patterns),
            ..SourceFilter::default()
        },
    }
}

/// Splits `a,b`; empty parts are left out.
pub(super) fn comma_list(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

fn either(
    reader: &mut ObjectReader<'_>,
    name: &'static str,
    old_name: &'static str,
) -> Result<Vec<String>, QueryError> {
    let new = reader.texts(name)?;
    let old = reader.texts(old_name)?;
    Ok(new.or(old).unwrap_or_default())
}

/// Most entries of one list of fields.
const MAX_FIELDS: usize = 4_096;

/// Reads `fields` or `docvalue_fields` (called `name`): patterns, or `{field, format}`.
///
/// # Errors
/// `parsing_exception` naming what is unknown or of a wrong type.
pub fn parse_field_formats(value: &Value, name: &str) -> Result<Vec<FieldFormat>, QueryError> {
    match value {
        Value::Array(items) if items.len() > MAX_FIELDS => Err(QueryError::illegal(format!(
            "[{name}] lists [{}] fields, at most [{MAX_FIELDS}] are allowed; use patterns",
            items.len()
        ))),
        Value::Array(items) => items.iter().map(|item| field_format(item, name)).collect(),
        Value::String(_) => Ok(vec![field_format(value, name)?]),
        other => Err(QueryError::parsing(format!(
            "[{name}] expected an array of fields but found [{}]",
            token_name(other)
        ))),
    }
}

fn field_format(value: &Value, name: &str) -> Result<FieldFormat, QueryError> {
    let read = read_field_format(value, name)?;
    if name == "fields" {
        check_values_of(&read.field, ValuesAsked::Fields)?;
        return Ok(read);
    }
    check_values_of(&read.field, ValuesAsked::DocValues)?;
    match &read.format {
        Some(_) if is_metadata(&read.field) => Err(QueryError::illegal(format!(
            "Field [{0}] of type [{0}] does not support custom formats",
            read.field
        ))),
        _ => Ok(read),
    }
}

fn read_field_format(value: &Value, name: &str) -> Result<FieldFormat, QueryError> {
    if let Value::String(field) = value {
        return Ok(FieldFormat {
            field: field.clone(),
            format: None,
            include_unmapped: false,
        });
    }
    let mut reader = ObjectReader::part(name, value)?;
    let field = reader.text("field")?;
    // `use_field_mapping` is the default format's older name.
    let format = reader
        .text("format")?
        .filter(|format| format != "use_field_mapping");
    let include_unmapped = reader.boolean("include_unmapped")?.unwrap_or(false);
    // What the mapping does not know has no doc values.
    if include_unmapped && name != "fields" {
        return Err(QueryError::parsing(format!(
            "[{name}] [include_unmapped] is not supported"
        )));
    }
    reader.finish()?;
    Limits::check_label(
        &format!("a format of [{name}]"),
        format.as_deref().unwrap_or_default(),
    )?;
    match field {
        Some(field) => Ok(FieldFormat {
            field,
            format,
            include_unmapped,
        }),
        None => Err(QueryError::parsing(format!(
            "[{name}] requires a [field] in each entry"
        ))),
    }
}
