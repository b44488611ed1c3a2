//! What each clause of the dialect becomes for each kind of field.

mod aliases;
mod dates;
mod functions;
mod numbers;
mod query_strings;
mod words;

use std::ops::Bound;

use gleaner_query::dsl::parse_query;
use gleaner_query::resolved::ExpansionCandidate;
use serde_json::{Value, json};

use super::*;
use crate::testing::{NOW_MS, index, limits};

fn mapping() -> Value {
    json!({"properties": {
        "title": {"type": "text", "fields": {"raw": {"type": "keyword"}}},
        "body": {"type": "text", "analyzer": "stop"},
        "tag": {"type": "keyword"},
        "lower": {"type": "keyword", "normalizer": "lowercase"},
        "n": {"type": "integer"},
        "f": {"type": "float"},
        "scaled": {"type": "scaled_float", "scaling_factor": 10},
        "d": {"type": "date"},
        "b": {"type": "boolean"},
        "ip": {"type": "ip"},
        "hidden": {"type": "keyword", "index": false},
    }})
}

fn try_resolve(query: &Value, expansions: &mut Expansions) -> Result<Clause, QueryError> {
    let (index, limits) = (index(1, &mapping()), limits());
    let analyzers = AnalyzerRegistry::builtin();
    let mut resolver = Resolver::new(&index, &analyzers, &limits, NOW_MS, expansions);
    resolver.resolve(&parse_query(query, &limits)?)
}

fn resolve(query: &Value) -> Clause {
    let resolved = try_resolve(query, &mut Expansions::default());
    resolved.unwrap_or_else(|error| panic!("{query}: {error}"))
}

fn path(field: &str) -> FieldPath {
    FieldPath::new(field)
}

fn term(field: &str, term: &str) -> Clause {
    Clause::Term {
        field: path(field),
        term: term.to_owned(),
    }
}

fn exact(field: &str, value: Scalar) -> Clause {
    Clause::Exact {
        field: path(field),
        value,
    }
}

fn range(field: &str, lower: Bound<Scalar>, upper: Bound<Scalar>) -> Clause {
    Clause::Range {
        field: path(field),
        lower,
        upper,
    }
}

fn should(clauses: Vec<Clause>, minimum_should_match: u32) -> Clause {
    let Clause::Bool {
        must,
        should,
        filter,
        must_not,
        ..
    } = any_of(clauses)
    else {
        unreachable!("any_of makes a bool")
    };
    Clause::Bool {
        must,
        should,
        filter,
        must_not,
        minimum_should_match,
    }
}

#[test]
fn names_of_indices_are_no_terms_for_regexps() {
    let query = json!({"regexp": {"_index": "in.*"}});
    let error = try_resolve(&query, &mut Expansions::default()).expect_err("refused");
    assert!(error.to_string().contains("[_index]"), "{error}");
}

#[test]
fn metadata_answers_what_it_can_and_refuses_the_rest() {
    for (query, named) in [
        (json!({"prefix": {"_id": "1"}}), "_id"),
        (json!({"wildcard": {"_id": "1*"}}), "_id"),
        (json!({"regexp": {"_id": "1.*"}}), "_id"),
        (json!({"fuzzy": {"_id": "10"}}), "_id"),
        (json!({"range": {"_id": {"gte": "1"}}}), "_id"),
        (json!({"match_bool_prefix": {"_id": "1"}}), "_id"),
        (json!({"match_phrase_prefix": {"_id": "1"}}), "_id"),
        (json!({"query_string": {"query": "_id:1*"}}), "_id"),
        (json!({"query_string": {"query": "_id:[1 TO 3]"}}), "_id"),
        (json!({"term": {"_source": "x"}}), "_source"),
        (json!({"term": {"_seq_no": 1}}), "_seq_no"),
        (json!({"range": {"_seq_no": {"gte": 0}}}), "_seq_no"),
        (json!({"range": {"_index": {"gte": "a"}}}), "_index"),
        (json!({"fuzzy": {"_index": "indez"}}), "_index"),
        (json!({"match": {"_version": 1}}), "_version"),
        (json!({"exists": {"field": "_type"}}), "_type"),
        (
            json!({"query_string": {"query": "_exists_:_nested_path"}}),
            "_nested_path",
        ),
        (json!({"exists": {"field": "_source"}}), "_source"),
        (
            json!({"query_string": {"query": "_exists_:_source"}}),
            "_source",
        ),
    ] {
        let error = try_resolve(&query, &mut Expansions::default()).expect_err(named);
        assert!(error.to_string().contains(&format!("[{named}]")), "{error}");
        assert_eq!(error.kind, ErrorType::QueryShard);
    }
    let fields = json!({"multi_match": {"query": "7", "fields": ["_id", "tag"]}});
    let expected = Clause::DisMax {
        clauses: vec![ids(&["7".to_owned()]), term("tag", "7")],
        tie_breaker: 0.0,
    };
    assert_eq!(resolve(&fields), expected);
    let lenient = json!({"multi_match": {"query": "7", "fields": ["_source"], "lenient": true}});
    assert_eq!(resolve(&lenient), Clause::MatchNone);
    // Names like these are free.
    let unknown = json!({"prefix": {"_tag": "1"}});
    assert_eq!(resolve(&unknown), Clause::MatchNone);
}

#[test]
fn what_leaves_no_trace_does_not_exist() {
    let declared = json!({"properties": {"o": {"properties": {
        "long": {"type": "long", "index": false},
        "off": {"type": "long", "index": false, "doc_values": false},
        "stored": {"type": "text", "index": false, "store": true},
        "text": {"type": "text"},
        "unread": {"type": "text", "index": false},
    }}}});
    let (index, limits) = (index(1, &declared), limits());
    let mut expansions = Expansions::default();
    let analyzers = AnalyzerRegistry::builtin();
    let resolver = Resolver::new(&index, &analyzers, &limits, NOW_MS, &mut expansions);
    let all = ["o.long", "o.stored", "o.text"].map(path).to_vec();
    assert_eq!(resolver.exists("o"), Clause::Exists { fields: all });
    for nothing in ["o.off", "o.unread", "o.u*"] {
        assert_eq!(resolver.exists(nothing), Clause::MatchNone, "{nothing}");
    }
}

#[test]
fn ranges_of_booleans_are_what_lies_between() {
    let one = |value| Clause::Constant(Box::new(exact("b", Scalar::Bool(value))));
    let both = Clause::Exists {
        fields: vec![path("b")],
    };
    for (bounds, expected) in [
        (json!({"gte": true}), one(true)),
        (json!({"gt": false}), one(true)),
        (json!({"lt": true}), one(false)),
        (json!({"lte": "false"}), one(false)),
        (json!({"gte": false, "lte": true}), both),
        (json!({"gt": true}), Clause::MatchNone),
        (json!({"lt": false}), Clause::MatchNone),
    ] {
        let query = json!({"range": {"b": bounds}});
        assert_eq!(resolve(&query), expected, "{query}");
    }
}

#[test]
fn addresses_end_where_addresses_end() {
    use Bound::{Included, Unbounded};
    const LAST: &str = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    for (bounds, expected) in [
        (json!({"lt": "::"}), Clause::MatchNone),
        (json!({"gt": LAST}), Clause::MatchNone),
        (
            json!({"gt": "::"}),
            range("ip", Included(Scalar::Ip(1)), Unbounded),
        ),
        (
            json!({"lt": LAST}),
            range("ip", Unbounded, Included(Scalar::Ip(u128::MAX - 1))),
        ),
    ] {
        let query = json!({"range": {"ip": bounds}});
        assert_eq!(resolve(&query), expected, "{query}");
    }
    for network in ["1.2.3.4/33", "1.2.3.4/4294967295", "::/129", "::/-1"] {
        let query = json!({"term": {"ip": network}});
        let error = try_resolve(&query, &mut Expansions::default()).expect_err(network);
        assert!(error.to_string().contains(network), "{error}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn clauses_become_what_the_field_holds() {
    use Bound::{Excluded, Included, Unbounded};
    let day = |n: i64| Scalar::Date(n * 86_400_000);
    let last_of = |n: i64| Scalar::Date(n * 86_400_000 + 86_399_999);
    let mapped = |v4: u32| Scalar::Ip(0xffff_0000_0000 | u128::from(v4));
    for (query, expected) in [
        (json!({"match": {"title": "Fox"}}), term("title", "fox")),
        (
            json!({"match": {"title": "Quick fox"}}),
            should(vec![term("title", "quick"), term("title", "fox")], 1),
        ),
        (
            json!({"match": {"title": {"query": "quick fox", "operator": "and"}}}),
            all_of(vec![term("title", "quick"), term("title", "fox")]),
        ),
        (
            json!({"match": {"tag": "Quick fox"}}),
            term("tag", "Quick fox"),
        ),
        (json!({"match": {"n": "7"}}), exact("n", Scalar::I64(7))),
        (json!({"match": {"body": "the"}}), Clause::MatchNone),
        (
            json!({"match": {"body": {"query": "the", "zero_terms_query": "all"}}}),
            Clause::MatchAll,
        ),
        (json!({"match": {"nowhere": "x"}}), Clause::MatchNone),
        (json!({"term": {"title": "Fox"}}), term("title", "Fox")),
        (json!({"term": {"n": 7.0}}), exact("n", Scalar::I64(7))),
        (json!({"term": {"n": 7.5}}), Clause::MatchNone),
        (
            json!({"term": {"n": "9007199254740993.0"}}),
            exact("n", Scalar::I64(9_007_199_254_740_993)),
        ),
        (
            json!({"term": {"b": "true"}}),
            exact("b", Scalar::Bool(true)),
        ),
        (
            json!({"term": {"f": 0.1}}),
            exact("f", Scalar::F64(f64::from(0.1_f32))),
        ),
        (
            json!({"term": {"scaled": -0.25}}),
            exact("scaled", Scalar::F64(-0.2)),
        ),
        (
            json!({"term": {"ip": "10.0.0.1"}}),
            exact("ip", mapped(0x0a00_0001)),
        ),
        (
            json!({"term": {"ip": "10.0.0.0/8"}}),
            range(
                "ip",
                Included(mapped(0x0a00_0000)),
                Included(mapped(0x0aff_ffff)),
            ),
        ),
        (
            json!({"term": {"d": "1970-01-02"}}),
            range("d", Included(day(1)), Included(last_of(1))),
        ),
        (
            json!({"range": {"d": {"gt": "1970-01-02", "lt": "1970-01-05"}}}),
            range("d", Excluded(last_of(1)), Excluded(day(4))),
        ),
        (
            json!({"range": {"d": {"gte": "now/d"}}}),
            range("d", Included(Scalar::Date(NOW_MS)), Unbounded),
        ),
        (
            json!({"range": {"d": {"gte": -86_400_000}}}),
            range("d", Included(Scalar::Date(-86_400_000)), Unbounded),
        ),
        (
            json!({"range": {"n": {"gt": 1, "lte": 2.5}}}),
            range("n", Included(Scalar::I64(2)), Included(Scalar::I64(2))),
        ),
        (
            json!({"range": {"f": {"lte": 0.1}}}),
            range("f", Unbounded, Included(Scalar::F64(f64::from(0.1_f32)))),
        ),
        (
            json!({"range": {"n": {}}}),
            Clause::Exists {
                fields: vec![path("n")],
            },
        ),
        (
            json!({"terms": {"tag": ["b", "a", "b"]}}),
            Clause::AnyOf {
                field: path("tag"),
                values: vec![Scalar::Text("a".to_owned()), Scalar::Text("b".to_owned())],
            },
        ),
        (
            json!({"exists": {"field": "title"}}),
            Clause::Exists {
                fields: vec![path("title")],
            },
        ),
        (json!({"exists": {"field": "_id"}}), Clause::MatchAll),
        (json!({"term": {"_index": "index-1"}}), Clause::MatchAll),
        (json!({"term": {"_index": "other"}}), Clause::MatchNone),
        (
            json!({"match_phrase": {"title": "Fox"}}),
            term("title", "fox"),
        ),
        (
            json!({"match_phrase": {"title": "quick fox"}}),
            Clause::Phrase {
                field: path("title"),
                positions: vec![(0, vec!["quick".to_owned()]), (1, vec!["fox".to_owned()])],
                slop: 0,
            },
        ),
        (json!({"match": {"_index": "index-1"}}), Clause::MatchAll),
        (
            json!({"match_phrase": {"_id": "7"}}),
            ids(&["7".to_owned()]),
        ),
        (json!({"wildcard": {"_index": "in*1"}}), Clause::MatchAll),
        (json!({"prefix": {"_index": "x"}}), Clause::MatchNone),
        (
            json!({"prefix": {"_index": {"value": "IN", "case_insensitive": true}}}),
            Clause::MatchAll,
        ),
        (json!({"bool": {}}), Clause::MatchAll),
        (
            json!({"bool": {"should": [{"term": {"tag": "a"}}]}}),
            should(vec![term("tag", "a")], 1),
        ),
        (
            json!({"term": {"tag": {"value": "a", "boost": 2.0}}}),
            Clause::Boost {
                clause: Box::new(term("tag", "a")),
                factor: 2.0,
            },
        ),
    ] {
        assert_eq!(resolve(&query), expected, "{query}");
    }
}

#[test]
fn optional_clauses_beside_required_ones_need_not_match() {
    let query =
        json!({"bool": {"filter": [{"match_all": {}}], "should": [{"term": {"tag": "a"}}]}});
    let Clause::Bool {
        minimum_should_match,
        ..
    } = resolve(&query)
    else {
        panic!("a bool");
    };
    assert_eq!(minimum_should_match, 0);
}

#[test]
fn several_fields_are_weighed_as_their_type_says() {
    for (kind, tie_breaker) in [("best_fields", 0.0), ("most_fields", 1.0), ("phrase", 0.0)] {
        let query =
            json!({"multi_match": {"query": "fox", "fields": ["title^2", "tag"], "type": kind}});
        let title = Clause::Boost {
            clause: Box::new(term("title", "fox")),
            factor: 2.0,
        };
        let expected = Clause::DisMax {
            clauses: vec![title, term("tag", "fox")],
            tie_breaker,
        };
        assert_eq!(resolve(&query), expected, "{kind}");
    }
}

#[test]
fn fields_that_nobody_named_leave_out_what_they_cannot_hold() {
    // `fox` is no number, date or boolean: only the text and keyword fields take part.
    let Clause::DisMax { clauses, .. } = resolve(&json!({"query_string": {"query": "fox"}})) else {
        panic!("several fields");
    };
    let fields: Vec<&str> = clauses
        .iter()
        .filter_map(|clause| match clause {
            Clause::Term { field, .. } => Some(field.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(fields, ["body", "lower", "tag", "title", "title.raw"]);
    let open = json!({"multi_match": {"query": "fox", "fields": ["n", "*"]}});
    assert!(try_resolve(&open, &mut Expansions::default()).is_ok());
    let named = json!({"multi_match": {"query": "fox", "fields": ["n"]}});
    assert!(
        try_resolve(&named, &mut Expansions::default()).is_err(),
        "named, so it is wrong"
    );
}

#[test]
fn what_cannot_be_asked_is_refused() {
    for query in [
        json!({"term": {"n": "many"}}),
        json!({"term": {"b": "perhaps"}}),
        json!({"term": {"ip": "nowhere"}}),
        json!({"term": {"hidden": "x"}}),
        json!({"prefix": {"n": "1"}}),
        json!({"fuzzy": {"d": "1970"}}),
        json!({"term": {"n": {"value": 7, "case_insensitive": true}}}),
        json!({"term": {"d": {"value": "1970", "case_insensitive": true}}}),
        json!({"range": {"d": {"gte": "not a day"}}}),
    ] {
        let refused = try_resolve(&query, &mut Expansions::default());
        assert!(refused.is_err(), "{query}: {refused:?}");
    }
}

#[test]
fn fuzzy_terms_are_asked_for_once_and_weighed_by_their_distance() {
    let query = json!({"match": {"title": {"query": "foxes fox", "fuzziness": "AUTO"}}});
    let mut expansions = Expansions::default();
    assert!(try_resolve(&query, &mut expansions).is_ok());
    let wanted = std::mem::take(&mut expansions.wanted);
    let distances: Vec<u8> = wanted
        .iter()
        .map(|request| match request.pattern {
            Pattern::Fuzzy { distance, .. } => distance,
            _ => 0,
        })
        .collect();
    assert_eq!(distances, [1, 1], "five and three characters");
    assert!(wanted.iter().all(|request| request.limit == 50));
    let candidate = |distance, term: &str| ExpansionCandidate {
        distance,
        term: term.to_owned(),
        documents: 1,
    };
    expansions.answer(
        &wanted[0],
        vec![candidate(0, "foxes"), candidate(1, "foxe")],
    );
    expansions.answer(&wanted[1], Vec::new());
    let resolved = try_resolve(&query, &mut expansions).expect("resolves");
    let terms = vec![("foxes".to_owned(), 1.0), ("foxe".to_owned(), 0.75)];
    let foxes = Clause::Blended {
        field: path("title"),
        terms,
    };
    assert_eq!(resolved, should(vec![foxes, Clause::MatchNone], 1));
    assert_eq!(expansions.wanted, []);
}

#[test]
fn minimum_should_match_follows_the_dialects_table() {
    use gleaner_query::dsl::MinimumShouldMatch::{Conditional, Count, Percent};
    let rules = Conditional(vec![(2, Percent(-25)), (9, Count(-3))]);
    for (minimum, optional, expected) in [
        (Count(3), 5, 3),
        (Count(-2), 5, 3),
        (Count(-7), 5, 0),
        (Count(7), 5, 6),
        (Percent(i32::MIN), 5, 0),
        (Percent(75), 4, 3),
        (Percent(75), 5, 3),
        (Percent(-25), 4, 3),
        (Percent(-25), 5, 4),
        (Percent(-25), 3, 3),
        (rules.clone(), 1, 1),
        (rules.clone(), 2, 2),
        (rules.clone(), 3, 3),
        (rules.clone(), 9, 7),
        (rules, 10, 7),
        (Conditional(vec![(9, Count(3)), (2, Count(2))]), 5, 5),
    ] {
        assert_eq!(
            required(&minimum, optional),
            expected,
            "{minimum:?} of {optional}"
        );
    }
}
