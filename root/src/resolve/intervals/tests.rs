//! What rules of intervals, spans and texts over several fields become.

use gleaner_analysis::AnalyzerRegistry;
use gleaner_query::dsl::parse_query;
use gleaner_query::resolved::{ExpansionCandidate, FieldStatistics, Statistics};
use serde_json::{Value, json};

use super::*;
use crate::resolve::Expansions;
use crate::testing::{NOW_MS, index, limits};

fn try_resolve(query: &Value, expansions: &mut Expansions) -> Result<Clause, QueryError> {
    let mapping = json!({"properties": {
        "title": {"type": "text"},
        "body": {"type": "text", "analyzer": "stop"},
        "other": {"type": "text"},
        "tag": {"type": "keyword"},
        "n": {"type": "integer"},
        "caption": {"type": "alias", "path": "title"},
    }});
    let (index, limits) = (index(1, &mapping), limits());
    let analyzers = AnalyzerRegistry::builtin();
    let mut resolver = Resolver::new(&index, &analyzers, &limits, NOW_MS, expansions);
    resolver.resolve(&parse_query(query, &limits)?)
}

/// Returns a query as it is shown.
fn shown(query: &Value) -> String {
    let resolved = try_resolve(query, &mut Expansions::default());
    resolved
        .unwrap_or_else(|error| panic!("{query}: {error}"))
        .to_string()
}

fn refused(query: &Value) -> String {
    let resolved = try_resolve(query, &mut Expansions::default());
    resolved.expect_err("refused").reason
}

fn title(rule: &Value) -> Value {
    json!({"intervals": {"title": rule}})
}

#[test]
fn words_are_put_together_as_the_rule_says() {
    let words = |options: Value| {
        let mut rule = json!({"query": "a b a"});
        if let (Value::Object(rule), Value::Object(options)) = (&mut rule, options) {
            rule.extend(options);
        }
        title(&json!({"match": rule}))
    };
    for (query, expected) in [
        (words(json!({})), "title:UNORDERED(ax2,b)"),
        (
            words(json!({"max_gaps": 2})),
            "title:MAXGAPS/2(UNORDERED(ax2,b))",
        ),
        (words(json!({"ordered": true})), "title:ORDERED(a,b,a)"),
        (
            words(json!({"ordered": true, "max_gaps": 0})),
            "title:BLOCK(a,b,a)",
        ),
        (
            words(json!({"mode": "unordered_no_overlap"})),
            "title:UNORDERED_NO_OVERLAPS(a,b,a)",
        ),
        (title(&json!({"match": {"query": "One"}})), "title:one"),
        (title(&json!({"match": {"query": ""}})), "MatchNoDocsQuery"),
        (
            title(
                &json!({"match": {"query": "a", "filter": {"after": {"match": {"query": "b"}}}}}),
            ),
            "title:After(a,b)",
        ),
        (
            title(&json!({"match": {"query": "One", "use_field": "other", "analyzer": "keyword"}})),
            "title:One",
        ),
        (
            json!({"intervals": {"unknown": {"match": {"query": "a"}}}}),
            "MatchNoDocsQuery",
        ),
        (
            json!({"intervals": {"body": {"match": {"query": "red the fox", "ordered": true}}}}),
            "body:ORDERED(red,EXTEND(fox,1,0))",
        ),
    ] {
        assert_eq!(shown(&query), expected, "{query}");
    }
    let keyword = json!({"intervals": {"tag": {"match": {"query": "a"}}}});
    assert!(refused(&keyword).starts_with("Can only use interval queries on text fields"));
}

#[test]
fn words_of_rules_in_no_order_are_counted_together() {
    let both = json!({"all_of": {"max_gaps": 1, "intervals": [
        {"match": {"query": "a b"}}, {"match": {"query": "a"}},
    ]}});
    assert_eq!(shown(&title(&both)), "title:MAXGAPS/1(UNORDERED(ax2,b))");
    let near = json!({"all_of": {"intervals": [
        {"match": {"query": "a b", "max_gaps": 2}}, {"match": {"query": "a"}},
    ]}});
    let expected = "title:UNORDERED(MAXGAPS/2(UNORDERED(a,b)),a)";
    assert_eq!(shown(&title(&near)), expected);
}

#[test]
fn alternatives_of_different_lengths_are_pulled_out_of_phrases() {
    let rule = json!({"all_of": {"ordered": true, "max_gaps": 0, "intervals": [
        {"any_of": {"intervals": [
            {"match": {"query": "a"}}, {"match": {"query": "a b", "ordered": true, "max_gaps": 0}},
        ]}},
        {"match": {"query": "c"}},
    ]}});
    let expected = "title:or(BLOCK(a,c),BLOCK(BLOCK(a,b),c))";
    assert_eq!(shown(&title(&rule)), expected);
    let alternatives: Vec<Value> = (0..12)
        .map(|n| json!({"match": {"query": format!("v{n} w{n}")}}))
        .collect();
    let any_of = json!({"any_of": {"intervals": alternatives}});
    let all_of =
        json!({"all_of": {"ordered": true, "max_gaps": 0, "intervals": [any_of, any_of, any_of]}});
    assert!(refused(&title(&all_of)).contains("more than [128] phrases"));
}

/// Returns a rule for `b` or the phrase `x b`, which holds it.
fn short_or_long() -> Value {
    json!({"any_of": {"intervals": [
        {"match": {"query": "b"}}, {"match": {"query": "x b", "ordered": true, "max_gaps": 0}},
    ]}})
}

#[test]
fn alternatives_of_different_lengths_are_pulled_out_of_what_counts_gaps() {
    let word = |word: &str| json!({"match": {"query": word}});
    let all_of = |mode: &str, max_gaps: i32, rules: Vec<Value>| json!({"all_of": {"mode": mode, "max_gaps": max_gaps, "intervals": rules}});
    let three = || vec![word("a"), short_or_long(), word("c")];
    let inner = all_of("ordered", -1, vec![word("a"), short_or_long()]);
    let words = json!({"any_of": {"intervals": [word("y"), short_or_long()]}});
    for (rule, expected) in [
        (
            all_of("ordered", 1, three()),
            "or(MAXGAPS/1(ORDERED(a,b,c)),MAXGAPS/1(ORDERED(a,BLOCK(x,b),c)))",
        ),
        (
            all_of("unordered", 1, three()),
            "or(MAXGAPS/1(UNORDERED(a,b,c)),MAXGAPS/1(UNORDERED(a,BLOCK(x,b),c)))",
        ),
        (
            all_of("ordered", -1, three()),
            "ORDERED(a,or(b,BLOCK(x,b)),c)",
        ),
        (
            all_of("ordered", 0, vec![inner, word("c")]),
            "or(BLOCK(ORDERED(a,b),c),BLOCK(ORDERED(a,BLOCK(x,b)),c))",
        ),
        // Words hold no other alternative.
        (
            all_of("ordered", 1, vec![words, word("c")]),
            "or(MAXGAPS/1(ORDERED(or(b,y),c)),MAXGAPS/1(ORDERED(BLOCK(x,b),c)))",
        ),
    ] {
        assert_eq!(shown(&title(&rule)), format!("title:{expected}"), "{rule}");
    }
}

#[test]
fn alternatives_of_different_lengths_are_filtered_one_by_one() {
    let x = json!({"match": {"query": "x"}});
    let filtered = |mut rule: Value, relation: &str, by: Value| {
        let kind = if rule["match"].is_null() {
            "any_of"
        } else {
            "match"
        };
        rule[kind]["filter"] = json!({relation: by});
        rule
    };
    for (rule, expected) in [
        (
            filtered(short_or_long(), "containing", x.clone()),
            "or(Containing(b,x),Containing(BLOCK(x,b),x))",
        ),
        (
            filtered(short_or_long(), "not_containing", x.clone()),
            "or(NotContaining(b,x),NotContaining(BLOCK(x,b),x))",
        ),
        (
            filtered(x.clone(), "contained_by", short_or_long()),
            "or(ContainedBy(x,b),ContainedBy(x,BLOCK(x,b)))",
        ),
        (
            filtered(x.clone(), "not_contained_by", short_or_long()),
            "NotContainedBy(x,or(b,BLOCK(x,b)))",
        ),
        (
            filtered(short_or_long(), "overlapping", x),
            "Overlapping(or(b,BLOCK(x,b)),x)",
        ),
    ] {
        assert_eq!(shown(&title(&rule)), format!("title:{expected}"), "{rule}");
    }
}

#[test]
fn alternatives_inside_alternatives_are_bounded() {
    let word = |n: usize| json!({"match": {"query": format!("w{n}")}});
    let pair = |n: usize| json!({"match": {"query": format!("v{n} w{n}")}});
    // What is inside is copied into 64 phrases.
    let phrase = |inner: Value| {
        let intervals = [
            json!({"any_of": {"intervals": [inner, word(0)], "filter": {"overlapping": word(0)}}}),
            json!({"any_of": {"intervals": (0..64).map(pair).collect::<Vec<_>>()}}),
        ];
        json!({"all_of": {"ordered": true, "max_gaps": 0, "intervals": intervals}})
    };
    let nested = |depth: usize| title(&(0..depth).fold(word(1), |inner, _| phrase(inner)));
    try_resolve(&nested(2), &mut Expansions::default()).expect("few copies");
    let reason = refused(&nested(4));
    assert!(
        reason.contains("more than [16777216] bytes in one request"),
        "{reason}"
    );
}

#[test]
fn spans_of_patterns_are_of_the_field_that_an_alias_names() {
    for pattern in ["prefix", "wildcard", "regexp", "fuzzy"] {
        let near = json!({"span_near": {"clauses": [
            {"span_term": {"caption": "a"}},
            {"span_term": {"title": "b"}},
            {"span_multi": {"match": {pattern: {"caption": {"value": "c"}}}}},
        ]}});
        try_resolve(&near, &mut Expansions::default()).expect(pattern);
    }
}

#[test]
fn patterns_stand_for_128_terms_at_most() {
    let query = title(&json!({"prefix": {"prefix": "Pre"}}));
    let mut expansions = Expansions::default();
    assert_eq!(try_resolve(&query, &mut expansions), Ok(Clause::MatchNone));
    let wanted = std::mem::take(&mut expansions.wanted);
    assert_eq!((wanted.len(), wanted[0].limit), (1, MAX_EXPANSIONS + 1));
    let candidates = |number: usize| -> Vec<ExpansionCandidate> {
        let candidate = |n| ExpansionCandidate {
            distance: 0,
            term: format!("pre{n:03}"),
            documents: 1,
        };
        (0..number).map(candidate).collect()
    };
    expansions.answer(&wanted[0], candidates(2));
    let found = try_resolve(&query, &mut expansions).expect("two");
    assert_eq!(found.to_string(), "title:or(pre000,pre001)");
    expansions.answer(&wanted[0], candidates(MAX_EXPANSIONS + 1));
    let refused = try_resolve(&query, &mut expansions).expect_err("too many");
    assert_eq!(
        refused.reason,
        "[pre*] expanded to too many terms (limit 128)"
    );
}

#[test]
fn ranges_stand_for_the_terms_between_two() {
    let query = title(&json!({"range": {"gte": "Aa", "lt": "B"}}));
    let mut expansions = Expansions::default();
    assert_eq!(try_resolve(&query, &mut expansions), Ok(Clause::MatchNone));
    let wanted = std::mem::take(&mut expansions.wanted);
    assert_eq!((wanted.len(), wanted[0].limit), (1, limits().clauses + 1));
    assert_eq!(wanted[0].pattern.to_string(), "[aa TO b}", "as terms are");
    let candidate = ExpansionCandidate {
        distance: 0,
        term: "ab".to_owned(),
        documents: 1,
    };
    expansions.answer(&wanted[0], vec![candidate]);
    let found = try_resolve(&query, &mut expansions).expect("one");
    let one = shown(&title(&json!({"match": {"query": "ab"}})));
    assert_eq!(found.to_string(), one);
}

#[test]
fn spans_are_of_one_field_of_text() {
    let term = |field: &str, term: &str| json!({"span_term": {field: term}});
    let near = |clauses: Vec<Value>| json!({"span_near": {"clauses": clauses, "slop": 2}});
    let query = near(vec![term("title", "A"), term("title", "b")]);
    assert_eq!(shown(&query), "title:MAXGAPS/2(ORDERED(A,b))");
    let not = json!({"span_not": {
        "include": term("title", "a"), "exclude": term("title", "b"), "pre": 1, "post": 2,
    }});
    assert_eq!(shown(&not), "title:NotOverlapping(a,EXTEND(b,2,1))");
    let Ok(Clause::Intervals(spans)) = try_resolve(&not, &mut Expansions::default()) else {
        panic!("no spans");
    };
    assert_eq!(spans.terms(), ["a"], "what is excluded weighs nothing");
    let mixed = refused(&near(vec![term("title", "a"), term("other", "b")]));
    assert!(mixed.contains("Clauses must have same field"), "{mixed}");
    assert!(refused(&term("tag", "a")).starts_with("Can only use span queries on text fields"));
    let multi = json!({"span_multi": {"match": {"wildcard": {"title": "a*"}}}});
    let mut expansions = Expansions::default();
    assert_eq!(try_resolve(&multi, &mut expansions), Ok(Clause::MatchNone));
    assert_eq!(expansions.wanted.len(), 1);
}

#[test]
fn fields_of_one_analyzer_are_searched_word_by_word() {
    let cross = |fields: &[&str]| {
        json!({"multi_match": {
            "query": "a b", "fields": fields, "type": "cross_fields", "operator": "and",
        }})
    };
    assert_eq!(
        shown(&cross(&["title^2", "other"])),
        "+Blended(title:a^2.0 other:a) +Blended(title:b^2.0 other:b)"
    );
    assert_eq!(
        shown(&cross(&["title", "body"])),
        "((+title:a +title:b) | body:b)"
    );
    let combined = json!({"combined_fields": {"query": "a", "fields": ["title", "body"]}});
    assert!(refused(&combined).contains("must have the same search analyzer"));
    let combined = json!({"combined_fields": {"query": "a", "fields": ["title", "tag"]}});
    assert!(refused(&combined).starts_with("Field [tag] of type [keyword] does not support"));
}

#[test]
fn a_gap_is_part_of_the_span_before_it() {
    let term = |term: &str| json!({"span_term": {"title": term}});
    let near = |first: Value, gap: &str, slop: u32| {
        let clauses = json!([first, {"span_gap": {gap: 2}}, term("b")]);
        json!({"span_near": {"clauses": clauses, "slop": slop}})
    };
    let either = json!({"span_or": {"clauses": [term("a"), term("c")]}});
    for (query, expected) in [
        (near(term("a"), "title", 0), "title:BLOCK(EXTEND(a,0,2),b)"),
        (
            near(term("a"), "caption", 1),
            "title:MAXGAPS/1(ORDERED(EXTEND(a,0,2),b))",
        ),
        (
            near(either, "title", 0),
            "title:or(BLOCK(EXTEND(a,0,2),b),BLOCK(EXTEND(c,0,2),b))",
        ),
    ] {
        assert_eq!(shown(&query), expected);
    }
    assert!(refused(&near(term("a"), "other", 0)).contains("must have same field"));
}

#[test]
fn words_that_tell_the_most_are_chosen_by_numbers_of_all_shards() {
    let query = json!({"more_like_this": {
        "like": "usual rare rare missing", "fields": ["title"], "min_term_freq": 1, "min_doc_freq": 2,
        "max_query_terms": 1, "boost_terms": 3,
    }});
    let mut expansions = Expansions::default();
    assert_eq!(try_resolve(&query, &mut expansions), Ok(Clause::MatchNone));
    let wanted = &expansions.uncounted.fields[&FieldPath::new("title")];
    assert_eq!(wanted.len(), 3);
    let field = FieldPath::new("title");
    let numbers = FieldStatistics {
        documents: 100,
        total_length: 1_000,
    };
    let counts = [("usual", 50), ("rare", 2), ("missing", 0)];
    let counts = counts.map(|(word, documents)| (word.to_owned(), documents));
    expansions.count(std::sync::Arc::new(Statistics {
        fields: [(field.clone(), numbers)].into(),
        terms: [(field, counts.into())].into(),
        totals: std::collections::BTreeMap::new(),
    }));
    let found = try_resolve(&query, &mut expansions).expect("counted");
    assert_eq!(found.to_string(), "(title:rare)^3.0");
    let named =
        json!({"more_like_this": {"like": {"_index": "i", "_id": "1"}, "fields": ["title"]}});
    assert!(
        refused(&named).contains("[more_like_this] of the document [i/1] is not supported here")
    );
}

#[test]
fn a_document_is_analyzed_as_it_says_itself() {
    let document = json!({"doc": {"title": "One Two"}, "per_field_analyzer": {"title": "keyword"}});
    let query = json!({"more_like_this": {
        "like": [document, "Three Four"], "fields": ["title"], "min_term_freq": 1, "analyzer": "standard",
    }});
    let mut expansions = Expansions::default();
    assert_eq!(try_resolve(&query, &mut expansions), Ok(Clause::MatchNone));
    let wanted = &expansions.uncounted.fields[&FieldPath::new("title")];
    let words: Vec<&str> = wanted.iter().map(String::as_str).collect();
    assert_eq!(words, ["One Two", "four", "three"]);
}
