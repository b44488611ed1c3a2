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
    assert_eq!(prefix::last_word(&path("title"), words()), synonyms);
    let alone = prefix::last_word(&path("title"), vec!["car".to_owned()]);
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
    let phrase =
        |text: &str| json!({"match_phrase": {"tag": {"query": text, "analyzer": "standard"}}});
    assert_eq!(resolve(&phrase("Red")), term("tag", "red"));
    let refused = try_resolve(&phrase("Red Green"), &mut Expansions::default());
    assert!(refused.is_err(), "{refused:?}");
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

#[test]
fn what_a_normalizer_makes_is_no_operator() {
    let settings = json!({
        "normalizer": {"folding": {"type": "custom", "filter": ["lowercase", "asciifolding"]}},
        "analyzer": {"folding": {"type": "custom", "tokenizer": "keyword", "filter": ["lowercase", "asciifolding"]}},
    });
    let mapping = json!({"properties": {
        "code": {"type": "keyword", "normalizer": "folding"},
        "text": {"type": "text", "analyzer": "folding"},
    }});
    let (index, limits) = (index(1, &mapping), limits());
    let mut expansions = Expansions::default();
    let analyzers = AnalyzerRegistry::from_settings(&settings).expect("good settings");
    let mut resolver = Resolver::new(&index, &analyzers, &limits, NOW_MS, &mut expansions);
    // U+FF0A is folded to an asterisk.
    for (query, expected) in [
        (json!({"wildcard": {"code": "A\u{ff0a}B*"}}), r"a\*b*"),
        (
            json!({"wildcard": {"code": {"value": "A\\\u{ff0a}\\B?", "case_insensitive": true}}}),
            r"a\*b?",
        ),
        (
            json!({"query_string": {"query": "code:A\u{ff0a}B*C"}}),
            r"a\*b*c",
        ),
        (
            json!({"query_string": {"query": "A\u{ff0a}B*C", "fields": ["text"]}}),
            r"a\*b*c",
        ),
        (json!({"regexp": {"code": "A\u{ff0a}B.*"}}), r"a\*b.*"),
        (json!({"prefix": {"code": "A\u{ff0a}"}}), "a*"),
    ] {
        let parsed = parse_query(&query, &limits).expect("a good query");
        let resolved = resolver.resolve(&parsed).expect("it resolves");
        let Clause::Pattern { pattern, .. } = resolved else {
            panic!("{query}: {resolved}");
        };
        let (Pattern::Wildcard { pattern: text, .. }
        | Pattern::Regexp {
            expression: text, ..
        }
        | Pattern::Prefix { prefix: text, .. }) = pattern
        else {
            panic!("{query}: {pattern}");
        };
        assert_eq!(text, expected, "{query}");
    }
}

#[test]
fn wildcards_do_not_pass_the_normalizer_and_literals_do() {
    let settings = json!({
        "char_filter": {"bare": {"type": "pattern_replace", "pattern": "[^A-Za-z0-9]", "replacement": ""}},
        "normalizer": {"plain": {"type": "custom", "char_filter": ["bare"], "filter": ["lowercase"]}},
        "analyzer": {"plain": {"type": "custom", "char_filter": ["bare"], "tokenizer": "keyword", "filter": ["lowercase"]}},
    });
    let mapping = json!({"properties": {
        "code": {"type": "keyword", "normalizer": "plain"},
        "text": {"type": "text", "analyzer": "plain"},
    }});
    let (index, limits) = (index(1, &mapping), limits());
    let mut expansions = Expansions::default();
    let analyzers = AnalyzerRegistry::from_settings(&settings).expect("good settings");
    let mut resolver = Resolver::new(&index, &analyzers, &limits, NOW_MS, &mut expansions);
    for (pattern, expected) in [
        ("A-B*C", "ab*c"),
        ("*A-B?C**", "*ab?c**"),
        // An escaped character is a literal.
        (r"A\*-?B", "a?b"),
        (r"\A-*C", "a*c"),
        (r"?É-*-C\", "?*c"),
    ] {
        for query in [
            json!({"wildcard": {"code": pattern}}),
            json!({"query_string": {"query": format!("code:{pattern}")}}),
            json!({"query_string": {"query": pattern, "fields": ["text"]}}),
        ] {
            let is_string = query.get("query_string").is_some();
            if is_string && pattern.ends_with('\\') {
                continue;
            }
            let parsed = parse_query(&query, &limits).expect("a good query");
            let resolved = resolver.resolve(&parsed).expect("it resolves");
            let Clause::Pattern {
                pattern: Pattern::Wildcard { pattern, .. },
                ..
            } = resolved
            else {
                panic!("{query}: {resolved}");
            };
            assert_eq!(pattern, expected, "{query}");
        }
    }
}

#[test]
fn last_words_are_whole_where_something_follows_them() {
    let quick = || term("title", "quick");
    let asked = |text: &str| resolve(&json!({"match_bool_prefix": {"title": text}}));
    let open = should(vec![quick(), prefix("title", "fo")], 1);
    assert_eq!(asked("quick fo"), open);
    let whole = should(vec![quick(), term("title", "fo")], 1);
    for text in ["quick fo ", "quick fo."] {
        assert_eq!(asked(text), whole, "{text:?}");
        let over = json!({"multi_match": {
            "query": text, "fields": ["title"], "type": "bool_prefix",
        }});
        assert_eq!(resolve(&over), whole, "{text:?}");
    }
    assert_eq!(asked("fo "), term("title", "fo"));
    let before_stop_word = json!({"match_bool_prefix": {"body": "fo the"}});
    assert_eq!(resolve(&before_stop_word), term("body", "fo"));
}

#[test]
fn what_character_filters_take_away_follows_no_word() {
    let settings = json!({
        "char_filter": {"bare": {"type": "pattern_replace", "pattern": "[.!]", "replacement": ""}},
        "analyzer": {"a": {
            "type": "custom",
            "char_filter": ["html_strip", "bare"],
            "tokenizer": "whitespace",
        }},
    });
    let (index, limits) = (index(1, &mapping()), limits());
    let mut expansions = Expansions::default();
    let analyzers = AnalyzerRegistry::from_settings(&settings).expect("good settings");
    let mut resolver = Resolver::new(&index, &analyzers, &limits, NOW_MS, &mut expansions);
    let mut asked = |text: &str| {
        let query = json!({"match_bool_prefix": {"title": {"query": text, "analyzer": "a"}}});
        let query = parse_query(&query, &limits).expect("a good query");
        resolver.resolve(&query).expect("it resolves")
    };
    for text in ["fo", "fo!", "fo...", "<b>fo</b>", "<b>fo!</b>"] {
        assert_eq!(asked(text), prefix("title", "fo"), "{text}");
    }
    for text in ["fo ", "fo !", "<p>fo</p>"] {
        assert_eq!(asked(text), term("title", "fo"), "{text}");
    }
}

#[test]
fn phrases_without_words_take_their_factor() {
    let query = json!({"match_phrase_prefix": {"body": {
        "query": "the", "zero_terms_query": "all", "boost": 2.0,
    }}});
    let expected = Clause::Boost {
        clause: Box::new(Clause::MatchAll),
        factor: 2.0,
    };
    assert_eq!(resolve(&query), expected);
}

#[test]
fn texts_of_very_many_words_are_refused() {
    let asked = |query: Value| try_resolve(&query, &mut Expansions::default());
    let words = |number: usize| "a ".repeat(number);
    let clauses = limits().clauses;
    let moved = json!({"match_phrase": {"title": {"query": words(clauses + 1), "slop": 1}}});
    let exact = json!({"match_phrase": {"title": words(clauses + 1)}});
    let fitting = json!({"match_phrase": {"title": {"query": words(clauses), "slop": 1}}});
    for query in [exact, fitting] {
        assert!(asked(query).is_ok());
    }
    let text = words(16_385);
    let fuzzy = json!({"match": {"title": {"query": words(clauses + 1), "fuzziness": 1}}});
    for query in [
        moved,
        fuzzy,
        json!({"match": {"title": text}}),
        json!({"match_phrase": {"title": text}}),
        json!({"match_bool_prefix": {"title": text}}),
        json!({"multi_match": {"query": text, "fields": ["title", "*"], "lenient": true}}),
    ] {
        let error = asked(query).expect_err("refused");
        assert_eq!(error.kind, ErrorType::TooManyClauses);
    }
}

#[test]
fn words_of_all_texts_and_fields_are_counted() {
    let text = "w ".repeat(16_000);
    let words = json!({"multi_match": {"query": text, "fields": ["title", "body"]}});
    let fields: Vec<String> = (0..100).map(|number| format!("f{number}")).collect();
    let patterns = json!({"query_string": {"query": "a* ".repeat(320), "fields": fields}});
    for one in [words, patterns] {
        let asked = |number: usize| {
            let texts = vec![one.clone(); number];
            let query = json!({"bool": {"should": texts}});
            try_resolve(&query, &mut Expansions::default())
        };
        assert!(asked(2).is_ok());
        let error = asked(3).expect_err("refused");
        assert_eq!(error.kind, ErrorType::TooManyClauses);
    }
}

#[test]
fn fields_that_exist_are_counted() {
    let long = |number: usize| (format!("f{number}"), json!({"type": "long"}));
    let properties: serde_json::Map<String, Value> = (0..700).map(long).collect();
    let (index, limits) = (index(1, &json!({"properties": properties})), limits());
    let asked = |number: usize| {
        let patterns = vec![json!({"exists": {"field": "f*"}}); number];
        let analyzers = AnalyzerRegistry::builtin();
        let mut expansions = Expansions::default();
        let mut resolver = Resolver::new(&index, &analyzers, &limits, NOW_MS, &mut expansions);
        resolver.resolve(&parse_query(
            &json!({"bool": {"should": patterns}}),
            &limits,
        )?)
    };
    assert!(asked(93).is_ok());
    let error = asked(94).expect_err("refused");
    assert_eq!(error.kind, ErrorType::TooManyClauses);
}

#[test]
fn words_too_long_for_edits_are_exact() {
    let (long, short) = ("a".repeat(1_025), "a".repeat(1_024));
    let fuzzy = |text: &str| json!({"match": {"tag": {"query": text, "fuzziness": "AUTO"}}});
    assert_eq!(resolve(&fuzzy(&long)), term("tag", &long));
    let mut expansions = Expansions::default();
    assert!(try_resolve(&fuzzy(&short), &mut expansions).is_ok());
    assert_eq!(expansions.wanted.len(), 1);
}

#[test]
fn edits_are_asked_of_texts_alone() {
    for (field, type_name) in [
        ("n", "integer"),
        ("b", "boolean"),
        ("d", "date"),
        ("ip", "ip"),
    ] {
        let asked = |lenient: bool| {
            let options = json!({"query": "7", "fuzziness": "AUTO", "lenient": lenient});
            json!({"match": {field: options}})
        };
        let refused = try_resolve(&asked(false), &mut Expansions::default());
        let expected = format!(
            "Can only use fuzzy queries on keyword and text fields - not on [{field}] which is of type \
             [{type_name}]"
        );
        assert_eq!(refused, Err(QueryError::illegal(expected)), "{field}");
        assert_eq!(resolve(&asked(true)), Clause::MatchNone, "{field}");
    }
}

#[test]
fn patterns_stand_for_as_many_terms_as_shards_take() {
    for query in [
        json!({"fuzzy": {"title": {"value": "quick", "max_expansions": 100_000}}}),
        json!({"match_phrase_prefix": {"title": {"query": "qui", "max_expansions": 100_000}}}),
    ] {
        let mut expansions = Expansions::default();
        assert!(try_resolve(&query, &mut expansions).is_ok());
        let wanted: Vec<usize> = expansions
            .wanted
            .iter()
            .map(|wanted| wanted.limit)
            .collect();
        assert_eq!(wanted, [limits().expansions], "{query}");
    }
}

#[test]
fn phrases_as_you_type_stand_for_all_terms_that_begin_so() {
    let mapping = json!({"properties": {
        "title": {"type": "search_as_you_type"},
        "text": {"type": "text"},
    }});
    let (index, limits) = (index(1, &mapping), limits());
    let asked = |field: &str, options: Value| {
        let analyzers = AnalyzerRegistry::builtin();
        let mut expansions = Expansions::default();
        let mut resolver = Resolver::new(&index, &analyzers, &limits, NOW_MS, &mut expansions);
        let query = json!({"match_phrase_prefix": {field: options}});
        let query = parse_query(&query, &limits).expect("a good query");
        resolver.resolve(&query).expect("it resolves");
        expansions
            .wanted
            .iter()
            .map(|wanted| wanted.limit)
            .collect::<Vec<_>>()
    };
    let all = limits.expansions;
    for (field, options, expected) in [
        ("title", json!({"query": "new y"}), all),
        ("title", json!({"query": "new y", "max_expansions": 7}), all),
        ("title", json!({"query": "y", "max_expansions": 7}), 7),
        ("title", json!({"query": "new y", "slop": 1}), 50),
        ("text", json!({"query": "new y"}), 50),
    ] {
        assert_eq!(
            asked(field, options.clone()),
            [expected],
            "{field} {options}"
        );
    }
}
