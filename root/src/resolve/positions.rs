//! Fields whose words have no places (`index_options` of `docs` and `freqs`): phrases of them are refused.
//!
//! Their columns keep places all the same; what is asked of a field must not depend on that.

use std::borrow::Cow;

use gleaner_analysis::Token;
use gleaner_model::{Field, FieldPath};
use gleaner_query::QueryError;
use gleaner_query::dsl::TextOptions;
use gleaner_query::error::ErrorType;
use gleaner_query::mapping::has_positions;
use gleaner_query::resolved::Clause;

/// Returns `clause`, which is over `field`.
///
/// # Errors
/// [`QueryError`] where it looks for a phrase and the field has no positions.
pub(super) fn positioned(
    path: &FieldPath,
    field: &Field,
    clause: Clause,
) -> Result<Clause, QueryError> {
    match !has_positions(&field.declared) && has_phrase(&clause) {
        true => Err(no_positions(path)),
        false => Ok(clause),
    }
}

/// Returns the options of words over `field`: without places the words of what stands for others are all to match, in any order.
pub(super) fn placeless<'o>(field: &Field, options: &'o TextOptions) -> Cow<'o, TextOptions> {
    match has_positions(&field.declared) {
        true => Cow::Borrowed(options),
        false => Cow::Owned(TextOptions {
            auto_generate_synonyms_phrase_query: false,
            ..options.clone()
        }),
    }
}

/// Refuses words at several places over a field whose values have no positions, whatever they stand for.
pub(super) fn check_words(
    path: &FieldPath,
    field: &Field,
    tokens: &[Token],
) -> Result<(), QueryError> {
    let mut apart = tokens
        .windows(2)
        .filter(|two| two[0].position != two[1].position);
    match !has_positions(&field.declared) && apart.next().is_some() {
        true => Err(no_positions(path)),
        false => Ok(()),
    }
}

fn has_phrase(clause: &Clause) -> bool {
    let is_phrase = matches!(clause, Clause::Phrase { .. });
    is_phrase || clause.children().any(|(_, inside)| has_phrase(inside))
}

/// Returns the refusal of a phrase over a field whose values have no positions.
pub(super) fn no_positions(path: &FieldPath) -> QueryError {
    let reason = format!(
        "failed to create query: field:[{path}] was indexed without position data; cannot run PhraseQuery"
    );
    QueryError::new(ErrorType::QueryShard, reason)
}

/// Refuses intervals and spans (`what`) over a field whose values have no positions.
pub(super) fn check_places(what: &str, path: &FieldPath, field: &Field) -> Result<(), QueryError> {
    if has_positions(&field.declared) {
        return Ok(());
    }
    Err(QueryError::illegal(match what {
        "interval" => {
            format!("Cannot create intervals over field [{path}] with no positions indexed")
        }
        _ => format!("field:[{path}] was indexed without position data; cannot run SpanTermQuery"),
    }))
}

#[cfg(test)]
mod tests {
    use gleaner_analysis::AnalyzerRegistry;
    use gleaner_query::dsl::parse_query;
    use serde_json::{Value, json};

    use crate::resolve::{Expansions, Resolver};
    use crate::testing::{NOW_MS, index, limits};

    /// Returns the refusal of a query on `t`, of which words alone are indexed; empty where it is taken.
    fn refusal(query: &Value) -> String {
        let mapping = json!({"properties": {
            "t": {"type": "text", "index_options": "docs"},
            "f": {"type": "text", "index_options": "freqs"},
            "p": {"type": "text"},
        }});
        let (index, limits, mut expansions) = (index(1, &mapping), limits(), Expansions::default());
        let analyzers = AnalyzerRegistry::builtin();
        let mut resolver = Resolver::new(&index, &analyzers, &limits, NOW_MS, &mut expansions);
        let query = parse_query(query, &limits).expect("a query");
        let refused = resolver.resolve(&query).err();
        refused.map_or_else(String::new, |refused| refused.reason)
    }

    #[test]
    fn phrases_are_refused_where_words_have_no_places() {
        for (query, field) in [
            (json!({"match_phrase": {"t": "a b"}}), "t"),
            (json!({"match_phrase": {"f": "a b"}}), "f"),
            (json!({"match_phrase_prefix": {"t": "a b"}}), "t"),
            (json!({"match_phrase_prefix": {"t": "a"}}), ""),
            (
                json!({"multi_match": {"query": "a b", "type": "phrase", "fields": ["p", "f"]}}),
                "f",
            ),
            (
                json!({"query_string": {"query": "\"a b\"", "fields": ["t"]}}),
                "t",
            ),
            (json!({"match_phrase": {"p": "a b"}}), ""),
            (json!({"match_phrase": {"t": "a"}}), ""),
            (json!({"match": {"t": "a b"}}), ""),
            (
                json!({"multi_match": {"query": "a b", "type": "phrase", "fields": ["*"]}}),
                "",
            ),
        ] {
            let expected = match field {
                "" => String::new(),
                field => format!(
                    "failed to create query: field:[{field}] was indexed without position data; cannot run \
                     PhraseQuery"
                ),
            };
            assert_eq!(refusal(&query), expected, "{query}");
        }
        let intervals = json!({"intervals": {"t": {"match": {"query": "a"}}}});
        let expected = "Cannot create intervals over field [t] with no positions indexed";
        assert_eq!(refusal(&intervals), expected);
        let span = json!({"span_term": {"f": "a"}});
        assert!(refusal(&span).contains("cannot run SpanTermQuery"));
    }
}
