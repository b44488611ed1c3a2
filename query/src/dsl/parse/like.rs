//! `more_like_this`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::value::{check_fields, parse_minimum_should_match};
use crate::dsl::{Like, LikeDocument, LikePlace, MinimumShouldMatch, MoreLikeThisQuery};
use crate::error::QueryError;
use crate::json::{ObjectReader, scalar_text, token_name};
use crate::limits::Limits;

/// Texts and documents of one list, at most: each document is read from its shard.
const MAX_LIKES: usize = 128;

/// Reads `more_like_this`.
pub(super) fn more_like_this(
    body: &Value,
    limits: &Limits,
) -> Result<MoreLikeThisQuery, QueryError> {
    let mut reader = ObjectReader::query("more_like_this", body)?;
    let fields = reader.texts("fields")?;
    check_fields(fields.as_deref().unwrap_or_default())?;
    if fields.as_ref().is_some_and(Vec::is_empty) {
        return Err(QueryError::parsing(
            "more_like_this requires 'fields' to be non-empty".to_owned(),
        ));
    }
    let minimum = reader.text("minimum_should_match")?;
    let minimum = minimum.map(|text| parse_minimum_should_match(&text));
    let query = MoreLikeThisQuery {
        fields,
        like: likes(&mut reader, "like")?,
        unlike: likes(&mut reader, "unlike")?,
        max_query_terms: reader.small_count("max_query_terms")?.unwrap_or(25) as usize,
        min_term_freq: reader.count("min_term_freq")?.unwrap_or(2),
        min_doc_freq: reader.count("min_doc_freq")?.unwrap_or(5),
        max_doc_freq: reader.count("max_doc_freq")?.unwrap_or(u64::MAX),
        min_word_length: reader.small_count("min_word_length")?.unwrap_or(0) as usize,
        max_word_length: reader.small_count("max_word_length")?.unwrap_or(0) as usize,
        stop_words: reader.texts("stop_words")?.unwrap_or_default(),
        analyzer: reader.text("analyzer")?,
        minimum_should_match: minimum
            .transpose()?
            .unwrap_or(MinimumShouldMatch::Percent(30)),
        boost_terms: reader.factor("boost_terms")?.unwrap_or(0.0),
        include: reader.boolean("include")?.unwrap_or(false),
        fail_on_unsupported_field: reader.boolean("fail_on_unsupported_field")?.unwrap_or(true),
        boost: reader.boost()?,
    };
    reader.finish()?;
    check(&query, limits)?;
    Ok(query)
}

fn check(query: &MoreLikeThisQuery, limits: &Limits) -> Result<(), QueryError> {
    if query.like.is_empty() {
        return Err(QueryError::parsing(
            "more_like_this requires 'like' to be specified".to_owned(),
        ));
    }
    if query.max_query_terms == 0 {
        return Err(QueryError::illegal(
            "requires 'maxQueryTerms' to be greater than 0".to_owned(),
        ));
    }
    if query.max_query_terms > limits.clauses {
        return Err(super::too_many_clauses(limits));
    }
    Ok(())
}

/// Reads texts and documents, one or several.
fn likes(reader: &mut ObjectReader<'_>, key: &'static str) -> Result<Vec<Like>, QueryError> {
    let items = match reader.take(key) {
        None => return Ok(Vec::new()),
        Some(Value::Array(items)) => items.as_slice(),
        Some(one) => std::slice::from_ref(one),
    };
    if items.len() > MAX_LIKES {
        return Err(QueryError::illegal(format!(
            "[more_like_this] [{key}] has [{}] texts and documents, at most [{MAX_LIKES}] are allowed",
            items.len()
        )));
    }
    items.iter().map(|item| like(item, key)).collect()
}

fn like(item: &Value, key: &str) -> Result<Like, QueryError> {
    if let Some(text) = scalar_text(item) {
        return Ok(Like::Text(text));
    }
    if !item.is_object() {
        return Err(QueryError::parsing(format!(
            "[more_like_this] content of [{key}] parameter must either be a string or an object, but \
             was [{}]",
            token_name(item)
        )));
    }
    let mut reader = ObjectReader::part(key, item)?;
    // Mapping types are gone; clients still name them. A document is read as it is, whatever its version.
    reader.ignore(&["_type", "type", "_version", "version", "version_type"]);
    let index = either(&mut reader, "_index", "index")?;
    let id = either(&mut reader, "_id", "id")?;
    let routing = either(&mut reader, "routing", "_routing")?;
    let fields = reader.texts("fields")?;
    let analyzers = analyzers(&mut reader)?;
    let written = reader.take("doc");
    reader.finish()?;
    let document = match (id, written) {
        (Some(id), None) => LikeDocument {
            place: Some(LikePlace {
                index,
                id,
                routing,
                is_read: false,
            }),
            source: None,
            fields,
            analyzers,
        },
        (None, Some(written @ Value::Object(_))) => LikeDocument {
            place: None,
            source: Some(written.clone()),
            fields,
            analyzers,
        },
        _ => {
            return Err(QueryError::parsing(format!(
                "[more_like_this] an item of [{key}] must have one of [_id] and [doc]"
            )));
        }
    };
    Ok(Like::Document(document))
}

/// Reads the names of analyzers by field.
fn analyzers(reader: &mut ObjectReader<'_>) -> Result<BTreeMap<String, String>, QueryError> {
    let key = "per_field_analyzer";
    let Some(given) = reader.take(key) else {
        return Ok(BTreeMap::new());
    };
    let wrong = || reader.wrong(key, "an object of names", given);
    let by_field = given.as_object().ok_or_else(wrong)?.iter();
    let named = by_field.map(|(field, name)| {
        let name = name.as_str().ok_or_else(wrong)?;
        Ok((field.clone(), name.to_owned()))
    });
    named.collect()
}

/// Reads a text that has two names.
fn either(
    reader: &mut ObjectReader<'_>,
    name: &'static str,
    other: &'static str,
) -> Result<Option<String>, QueryError> {
    let first = reader.text(name)?;
    Ok(first.or(reader.text(other)?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parsed(body: &Value) -> Result<MoreLikeThisQuery, String> {
        more_like_this(body, &Limits::default()).map_err(|error| error.reason)
    }

    #[test]
    fn texts_and_documents_are_read() {
        let query = parsed(&json!({
            "fields": ["title"],
            "like": ["some words", {"_index": "a", "_id": 1}, {"doc": {"title": "written"}}],
            "unlike": {"_id": "2"},
            "max_query_terms": 3, "min_term_freq": 1, "minimum_should_match": 2, "boost_terms": 1,
        }));
        let query = query.expect("read");
        assert_eq!((query.like.len(), query.unlike.len()), (3, 1));
        assert_eq!((query.max_query_terms, query.min_doc_freq), (3, 5));
        assert_eq!(query.minimum_should_match, MinimumShouldMatch::Count(2));
    }

    #[test]
    fn a_document_has_analyzers_of_its_own_and_any_version() {
        let item = json!({
            "_id": "1", "version": 3, "version_type": "external",
            "per_field_analyzer": {"title": "keyword"},
        });
        let query = parsed(&json!({"like": item})).expect("read");
        let [Like::Document(document)] = &query.like[..] else {
            panic!("no document: {query:?}");
        };
        let analyzer = document.analyzers.get("title").map(String::as_str);
        assert_eq!(analyzer, Some("keyword"));
    }

    #[test]
    fn what_is_missing_or_too_much_is_named() {
        let many: Vec<&str> = vec!["x"; MAX_LIKES + 1];
        for (body, reason) in [
            (json!({"fields": ["t"]}), "more_like_this requires 'like'"),
            (
                json!({"like": "x", "fields": []}),
                "more_like_this requires 'fields'",
            ),
            (
                json!({"like": "x", "max_query_terms": 0}),
                "requires 'maxQueryTerms'",
            ),
            (
                json!({"like": {"_index": "a"}}),
                "[more_like_this] an item of [like]",
            ),
            (
                json!({"like": {"_id": "1", "per_field_analyzer": {"f": 1}}}),
                "[like] failed to parse [per_field_analyzer]",
            ),
            (json!({"like": many}), "[more_like_this] [like] has [129]"),
            (
                json!({"like": "x", "likes": 1}),
                "[more_like_this] query does not support [likes]",
            ),
        ] {
            let refused = parsed(&body).expect_err("refused");
            assert!(refused.starts_with(reason), "{refused}");
        }
    }
}
