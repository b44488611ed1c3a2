//! Last words as prefixes, and texts of keyword fields.

use super::*;

fn prefix(field: &str, prefix: &str) -> Clause {
    Clause::Pattern {
        field: path(field),
        pattern: Pattern::Prefix {
            prefix: prefix.to_owned(),
            ignore_case: false,
        },
    }
}

#[test]
fn last_words_are_prefixes_on_keyword_fields_too() {
    let query = json!({"match_bool_prefix": {"tag": "Quick fo"}});
    assert_eq!(resolve(&query), prefix("tag", "Quick fo"));
    let query = json!({"multi_match": {
        "query": "Quick fo", "fields": ["tag", "title"], "type": "bool_prefix",
    }});
    let title = should(vec![term("title", "quick"), prefix("title", "fo")], 1);
    let expected = Clause::DisMax {
        clauses: vec![prefix("tag", "Quick fo"), title],
        tie_breaker: 1.0,
    };
    assert_eq!(resolve(&query), expected);
    let number = json!({"match_bool_prefix": {"n": "7"}});
    assert_eq!(resolve(&number), exact("n", Scalar::I64(7)));
}

#[test]
fn last_words_with_synonyms_are_whole_words() {
    let words = || vec!["car".to_owned(), "auto".to_owned()];
    let synonyms = Clause::Synonyms {
        field: path("title"),
        terms: words(),
    };
    assert_eq!(text::last_word(&path("title"), words()), synonyms);
    let alone = text::last_word(&path("title"), vec!["car".to_owned()]);
    assert_eq!(alone, prefix("title", "car"));
}

#[test]
fn analyzers_that_a_query_names_are_used_on_keyword_fields() {
    let query = json!({"match": {"tag": {"query": "Red Green", "analyzer": "standard"}}});
    let expected = should(vec![term("tag", "red"), term("tag", "green")], 1);
    assert_eq!(resolve(&query), expected);
    let query = json!({"match_bool_prefix": {"tag": {"query": "Red Gre", "analyzer": "standard"}}});
    let expected = should(vec![term("tag", "red"), prefix("tag", "gre")], 1);
    assert_eq!(resolve(&query), expected);
    let number = json!({"match": {"n": {"query": "7", "analyzer": "standard"}}});
    assert_eq!(resolve(&number), exact("n", Scalar::I64(7)));
}

#[test]
fn patterns_pass_the_normalizer_of_a_keyword_field() {
    let regexp = |field: &str, expression: &str| Clause::Pattern {
        field: path(field),
        pattern: Pattern::Regexp {
            expression: expression.to_owned(),
            ignore_case: false,
        },
    };
    let query = json!({"regexp": {"lower": "Gre.*"}});
    assert_eq!(resolve(&query), regexp("lower", "gre.*"));
    let query = json!({"regexp": {"tag": "Gre.*"}});
    assert_eq!(resolve(&query), regexp("tag", "Gre.*"));
    let query = json!({"prefix": {"lower": "Gre"}});
    assert_eq!(resolve(&query), prefix("lower", "gre"));
}
