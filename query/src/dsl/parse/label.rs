//! `_name`: the name by which hits tell that a query matches them.

use std::borrow::Cow;

use serde_json::Value;

use crate::error::QueryError;
use crate::json::scalar_text;
use crate::limits::Limits;

/// Key of the name.
const KEY: &str = "_name";

/// Takes the name out of a query's body, or out of what stands there under its field; `None` where there is
/// none.
///
/// # Errors
/// `parsing_exception` for a name that is none, `illegal_argument_exception` for one that is too long.
pub(super) fn taken<'a>(
    query: &str,
    body: &'a Value,
) -> Result<Option<(String, Cow<'a, Value>)>, QueryError> {
    let Some(entries) = body.as_object() else {
        return Ok(None);
    };
    if entries.contains_key(KEY) {
        let mut bare = entries.clone();
        let name = bare.shift_remove(KEY);
        return named(query, name.as_ref(), Value::Object(bare)).map(Some);
    }
    let mut fields = entries.iter();
    let (Some((field, Value::Object(options))), None) = (fields.next(), fields.next()) else {
        return Ok(None);
    };
    // Below a field stand options; below other keys, such as `filter`, stand queries with names of their own.
    if !options.contains_key(KEY) || !is_of_field(query) {
        return Ok(None);
    }
    let mut bare = options.clone();
    let name = bare.shift_remove(KEY);
    let within = [(field.clone(), Value::Object(bare))];
    named(
        query,
        name.as_ref(),
        Value::Object(within.into_iter().collect()),
    )
    .map(Some)
}

fn named<'a>(
    query: &str,
    name: Option<&Value>,
    bare: Value,
) -> Result<(String, Cow<'a, Value>), QueryError> {
    let name = name.and_then(scalar_text);
    let name =
        name.ok_or_else(|| QueryError::parsing(format!("[{query}] [{KEY}] must be a string")))?;
    Limits::check_label("the name of a query", &name)?;
    Ok((name, Cow::Owned(bare)))
}

/// Returns whether the query's options stand below the name of its field.
fn is_of_field(query: &str) -> bool {
    matches!(
        query,
        "match"
            | "match_phrase"
            | "match_phrase_prefix"
            | "match_bool_prefix"
            | "term"
            | "terms_set"
            | "range"
            | "prefix"
            | "wildcard"
            | "regexp"
            | "fuzzy"
            | "intervals"
            | "span_term"
    )
}
