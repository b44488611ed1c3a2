//! Queries on `match_only_text`, whose matches all score the same (Elasticsearch, `MatchOnlyTextFieldMapper`).
//!
//! Does not: change what several fields score as one ([`Clause::Across`]), which is counted as of a `text` without norms.

use gleaner_model::{FieldPath, Mapping};
use gleaner_query::mapping::is_match_only;
use gleaner_query::resolved::Clause;

/// Lets each word, phrase and interval of such a field score 1. Several of them are still summed.
pub(super) fn settle(mapping: &Mapping, clause: &mut Clause) {
    match clause {
        // The others have no score.
        Clause::Bool { must, should, .. } => {
            settle_all(mapping, must);
            settle_all(mapping, should);
        }
        Clause::DisMax { clauses, .. } | Clause::AtLeast { clauses, .. } => {
            settle_all(mapping, clauses);
        }
        Clause::Boost { clause: inner, .. } => settle(mapping, inner),
        leaf => {
            let field = scored_field(leaf).and_then(|path| mapping.fields.get(path));
            if field.is_some_and(|field| is_match_only(&field.declared)) {
                let scored = std::mem::replace(leaf, Clause::MatchNone);
                *leaf = Clause::Constant(Box::new(scored));
            }
        }
    }
}

fn settle_all(mapping: &Mapping, clauses: &mut [Clause]) {
    for clause in clauses {
        settle(mapping, clause);
    }
}

/// Returns the field of a clause that scores by its words.
fn scored_field(clause: &Clause) -> Option<&FieldPath> {
    match clause {
        Clause::Term { field, .. }
        | Clause::Synonyms { field, .. }
        | Clause::Blended { field, .. }
        | Clause::Phrase { field, .. } => Some(field),
        Clause::Intervals(intervals) => Some(&intervals.field),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use gleaner_analysis::AnalyzerRegistry;
    use gleaner_query::dsl::parse_query;
    use serde_json::{Value, json};

    use super::*;
    use crate::resolve::{Expansions, Resolver, any_of, boosted};
    use crate::testing::{NOW_MS, index, limits};

    fn resolve(query: &Value) -> Clause {
        let mapping = json!({"properties": {
            "line": {"type": "match_only_text"},
            "text": {"type": "text"},
        }});
        let (index, limits, mut expansions) = (index(1, &mapping), limits(), Expansions::default());
        let analyzers = AnalyzerRegistry::builtin();
        let mut resolver = Resolver::new(&index, &analyzers, &limits, NOW_MS, &mut expansions);
        let query = parse_query(query, &limits).expect("a query");
        resolver.resolve(&query).expect("it can be asked")
    }

    fn word(field: &str, word: &str) -> Clause {
        Clause::Term {
            field: FieldPath::new(field),
            term: word.to_owned(),
        }
    }

    fn constant(clause: Clause) -> Clause {
        Clause::Constant(Box::new(clause))
    }

    #[test]
    fn each_word_of_it_scores_the_same() {
        let (a, b) = (|| word("line", "a"), || word("line", "b"));
        let phrase = Clause::Phrase {
            field: FieldPath::new("line"),
            positions: vec![(0, vec!["a".to_owned()]), (1, vec!["b".to_owned()])],
            slop: 0,
        };
        let both = any_of(vec![constant(a()), constant(b())]);
        let several = Clause::DisMax {
            clauses: vec![constant(a()), word("text", "a")],
            tie_breaker: 0.0,
        };
        for (query, expected) in [
            (json!({"term": {"line": "a"}}), constant(a())),
            (json!({"match": {"line": "a b"}}), both.clone()),
            (
                json!({"query_string": {"query": "a b", "fields": ["line"]}}),
                both,
            ),
            (json!({"match_phrase": {"line": "a b"}}), constant(phrase)),
            (
                json!({"match": {"line": {"query": "a", "boost": 3}}}),
                boosted(constant(a()), 3.0),
            ),
            (
                json!({"multi_match": {"query": "a", "fields": ["line", "text"]}}),
                several,
            ),
            (json!({"term": {"text": "a"}}), word("text", "a")),
        ] {
            assert_eq!(resolve(&query), expected, "{query}");
        }
    }

    #[test]
    fn phrases_and_intervals_of_it_are_taken() {
        for query in [
            json!({"intervals": {"line": {"match": {"query": "a b", "max_gaps": 1}}}}),
            json!({"span_near": {"clauses": [{"span_term": {"line": "a"}}, {"span_term": {"line": "b"}}]}}),
        ] {
            let Clause::Constant(inner) = resolve(&query) else {
                panic!("{query} is scored");
            };
            assert!(matches!(*inner, Clause::Intervals(_)), "{query}");
        }
    }
}
