//! What texts of query strings become.

use super::*;

fn over_body(text: &str) -> Value {
    json!({"query_string": {"query": text, "fields": ["body"]}})
}

fn without(clause: Clause) -> Clause {
    Clause::Bool {
        must: Vec::new(),
        should: Vec::new(),
        filter: Vec::new(),
        must_not: vec![clause],
        minimum_should_match: 0,
    }
}

#[test]
fn text_that_says_nothing_is_no_clause() {
    let fox = || term("body", "fox");
    for (text, expected) in [
        ("the fox", fox()),
        ("fox -the", fox()),
        ("the -fox", without(fox())),
        ("the NOT fox", without(fox())),
        ("\"\" -fox", without(fox())),
        ("\"the\" -fox", without(fox())),
        ("fox of AND dog", all_of(vec![fox(), term("body", "dog")])),
        ("the", Clause::MatchNone),
        ("-the", Clause::MatchNone),
        ("(the) -(the of)", Clause::MatchNone),
    ] {
        assert_eq!(resolve(&over_body(text)), expected, "{text}");
    }
    let nothing = json!({"bool": {"must_not": [over_body("the")]}});
    assert_eq!(resolve(&nothing), without(Clause::MatchNone));
}

#[test]
fn quotes_around_nothing_are_a_value_of_keywords_alone() {
    let over =
        |kind: &str, text: &str, field: &str| json!({kind: {"query": text, "fields": [field]}});
    let both = json!({"query_string": {"query": "\"\"", "fields": ["tag", "title"]}});
    for (query, expected) in [
        (over("query_string", "tag:\"\"", "body"), term("tag", "")),
        (over("query_string", "\"\"", "tag"), term("tag", "")),
        (over("query_string", "\"\"", "body"), Clause::MatchNone),
        (
            over("query_string", "fox \"\"", "body"),
            term("body", "fox"),
        ),
        (
            over("simple_query_string", "\"\"", "tag"),
            Clause::MatchNone,
        ),
        (both, term("tag", "")),
    ] {
        assert_eq!(resolve(&query), expected, "{query}");
    }
}

#[test]
fn simple_words_that_say_nothing_are_no_clauses() {
    let over = |text: &str| json!({"simple_query_string": {"query": text, "fields": ["body"]}});
    assert_eq!(resolve(&over("fox -the")), term("body", "fox"));
    assert_eq!(resolve(&over("-the")), Clause::MatchNone);
}

#[test]
fn terms_of_a_run_are_counted_one_by_one() {
    let zebra = Clause::Boost {
        clause: Box::new(term("title", "zebra")),
        factor: 2.0,
    };
    let expected = should(vec![term("title", "fox"), term("title", "dog"), zebra], 2);
    let query = json!({"query_string": {
        "query": "fox dog zebra^2", "default_field": "title", "minimum_should_match": 2,
    }});
    assert_eq!(resolve(&query), expected);
    let several = json!({"query_string": {
        "query": "fox dog zebra^2", "fields": ["title", "tag"], "minimum_should_match": 2,
    }});
    let Clause::Bool { should, .. } = resolve(&several) else {
        panic!("a bool");
    };
    assert_eq!(should.len(), 2, "over several fields a run is one clause");
}

#[test]
fn default_operators_join_the_terms_of_a_simple_word() {
    let query = |flags: &str, text: &str| {
        json!({"simple_query_string": {
            "query": text, "fields": ["title"], "default_operator": "and", "flags": flags,
        }})
    };
    let both = all_of(vec![term("title", "lazy"), term("title", "fox")]);
    assert_eq!(resolve(&query("ALL", "lazy-fox")), both);
    assert_eq!(resolve(&query("NONE", "lazy | fox")), both);
}

#[test]
fn bounds_and_fuzzy_words_are_normalised() {
    let text = |text: &str| Bound::Included(Scalar::Text(text.to_owned()));
    let query = json!({"query_string": {"query": "title:[Apple TO Cherry]"}});
    assert_eq!(
        resolve(&query),
        range("title", text("apple"), text("cherry"))
    );
    let plain = json!({"range": {"title": {"gte": "Apple", "lte": "Cherry"}}});
    assert_eq!(
        resolve(&plain),
        range("title", text("Apple"), text("Cherry"))
    );
    for (kind, word) in [
        ("query_string", "Aplle~"),
        ("simple_query_string", "Aplle~1"),
    ] {
        let query = json!({kind: {"query": word, "fields": ["title"]}});
        assert_eq!(fuzzy_words(&query), ["aplle"], "{query}");
    }
    let plain = json!({"fuzzy": {"title": "Aplle"}});
    assert_eq!(fuzzy_words(&plain), ["Aplle"]);
}

/// Returns the fuzzy words that shards are asked about.
fn fuzzy_words(query: &Value) -> Vec<String> {
    let mut expansions = Expansions::default();
    let resolved = try_resolve(query, &mut expansions);
    assert!(resolved.is_ok(), "{query}: {resolved:?}");
    let wanted = expansions.wanted.into_iter();
    wanted
        .filter_map(|request| match request.pattern {
            Pattern::Fuzzy { term, .. } => Some(term),
            _ => None,
        })
        .collect()
}

#[test]
fn lenient_texts_leave_out_fields_that_cannot_be_asked() {
    for text in [
        "n:fo*",
        "n:[a TO b]",
        "n:\"a b\"",
        "n:5~",
        "n:/5/",
        "n:f?o",
        "n:>=x",
    ] {
        let strict = json!({"query_string": {"query": text}});
        let refused = try_resolve(&strict, &mut Expansions::default());
        assert!(refused.is_err(), "{text}: {refused:?}");
        let lenient = json!({"query_string": {"query": text, "lenient": true}});
        assert_eq!(resolve(&lenient), Clause::MatchNone, "{text}");
    }
    let over_title = json!({"query_string": {"query": "fo*", "fields": ["title"]}});
    for kind in ["query_string", "simple_query_string"] {
        let query = json!({kind: {"query": "fo*", "fields": ["title", "n"], "lenient": true}});
        assert_eq!(resolve(&query), resolve(&over_title), "{kind}");
    }
}

#[test]
fn fields_weigh_the_same_however_they_are_named() {
    let tie_of = |query: Value| match resolve(&query) {
        Clause::DisMax {
            clauses,
            tie_breaker,
        } => (clauses.len(), tie_breaker),
        other => panic!("{query}: {other:?}"),
    };
    for fields in [json!(["title", "title.raw"]), json!(["titl*"])] {
        let simple = json!({"simple_query_string": {"query": "fo*", "fields": fields}});
        assert_eq!(tie_of(simple), (2, 1.0));
        for (kind, share) in [("best_fields", 0.0), ("most_fields", 1.0)] {
            let query = json!({"query_string": {"query": "fo*", "fields": fields, "type": kind}});
            assert_eq!(tie_of(query), (2, share), "{kind}");
        }
        let given = json!({"query_string": {
            "query": "title.r?w", "fields": fields, "tie_breaker": 0.5,
        }});
        assert_eq!(tie_of(given), (2, 0.5));
    }
}

#[test]
fn default_fields_of_the_index_may_have_factors() {
    let mut index = index(1, &mapping());
    index.settings.default_fields = vec!["tag".to_owned(), "title^3".to_owned()];
    let limits = limits();
    let analyzers = AnalyzerRegistry::builtin();
    let mut expansions = Expansions::default();
    let mut resolver = Resolver::new(&index, &analyzers, &limits, NOW_MS, &mut expansions);
    for text in ["fox", "fox*"] {
        let query = |fields: Value| json!({"query_string": {"query": text, "fields": fields}});
        let parsed = |query: &Value| parse_query(query, &limits).expect("a query");
        let default = resolver.resolve(&parsed(&query(json!([])))).expect(text);
        let named = resolver.resolve(&parsed(&query(json!(["tag", "title^3"]))));
        assert_eq!(Ok(default), named, "{text}");
    }
}

#[test]
fn prefixes_are_analysed_when_that_is_asked() {
    let over = |kind: &str, text: &str| {
        resolve(&json!({kind: {
            "query": text, "fields": ["body"], "analyze_wildcard": true, "default_operator": "and",
        }}))
    };
    let start = Clause::Pattern {
        field: path("body"),
        pattern: Pattern::Prefix {
            prefix: "fi".to_owned(),
            ignore_case: false,
        },
    };
    for kind in ["query_string", "simple_query_string"] {
        let both = all_of(vec![term("body", "wi"), start.clone()]);
        assert_eq!(over(kind, "Wi-Fi*"), both, "{kind}");
        assert_eq!(over(kind, "Fi*"), start, "{kind}");
        assert_eq!(over(kind, "fox the*"), term("body", "fox"), "{kind}");
    }
}

#[test]
fn a_default_field_is_read_as_if_the_text_named_it() {
    let over_default = json!({"query_string": {"query": ">=10", "default_field": "n"}});
    let from_ten = range("n", Bound::Included(Scalar::I64(10)), Bound::Unbounded);
    assert_eq!(resolve(&over_default), from_ten);
    let over_fields = json!({"query_string": {"query": ">=10", "fields": ["n"]}});
    let refused = try_resolve(&over_fields, &mut Expansions::default());
    assert!(refused.is_err(), "{refused:?}");
}
