//! Clauses as parsed: good, short, unknown and wrong.

mod functions;
mod refusals;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::parse_query;
use crate::dsl::{
    Fuzziness, MinimumShouldMatch, MultiMatchType, Operator, Query, RangeQuery, TextOptions,
    ZeroTerms,
};
use crate::error::ErrorType;
use crate::limits::Limits;

fn parse(body: &Value) -> Query {
    let limits = Limits::default();
    parse_query(body, &limits).unwrap_or_else(|fault| panic!("{body}: {fault}"))
}

fn fault(body: &Value) -> String {
    parse_query(body, &Limits::default())
        .expect_err(&body.to_string())
        .reason
}

#[test]
fn short_forms_mean_the_long_ones() {
    let pairs = [
        (
            json!({"match": {"f": "a"}}),
            json!({"match": {"f": {"query": "a"}}}),
        ),
        (
            json!({"match_phrase": {"f": "a"}}),
            json!({"match_phrase": {"f": {"query": "a"}}}),
        ),
        (
            json!({"match_phrase_prefix": {"f": "a"}}),
            json!({"match_phrase_prefix": {"f": {"query": "a", "max_expansions": 50}}}),
        ),
        (
            json!({"match_bool_prefix": {"f": "a"}}),
            json!({"match_bool_prefix": {"f": {"query": "a"}}}),
        ),
        (
            json!({"term": {"f": 7}}),
            json!({"term": {"f": {"value": 7, "boost": 1}}}),
        ),
        (
            json!({"prefix": {"f": "a"}}),
            json!({"prefix": {"f": {"value": "a"}}}),
        ),
        (
            json!({"wildcard": {"f": "a*"}}),
            json!({"wildcard": {"f": {"wildcard": "a*"}}}),
        ),
        (
            json!({"regexp": {"f": "a.*"}}),
            json!({"regexp": {"f": {"value": "a.*", "flags": "ALL", "rewrite": "constant_score"}}}),
        ),
        (
            json!({"fuzzy": {"f": "a"}}),
            json!({"fuzzy": {"f": {"value": "a", "fuzziness": "AUTO"}}}),
        ),
        (
            json!({"bool": {"must": {"match_all": {}}}}),
            json!({"bool": {"must": [{"match_all": {"boost": 1.0}}]}}),
        ),
        (
            json!({"bool": {"must": null, "should": null, "filter": null, "must_not": null}}),
            json!({"bool": {}}),
        ),
        (
            json!({"ids": {"values": "1"}}),
            json!({"ids": {"type": [], "types": null, "values": [1]}}),
        ),
        (
            json!({"range": {"f": {"gte": 1, "lt": 2}}}),
            json!({"range": {"f": {"from": 1, "to": 2, "include_upper": false}}}),
        ),
        (
            json!({"range": {"f": {"gte": 1}}}),
            json!({"range": {"f": {"from": 1, "to": null, "relation": "intersects"}}}),
        ),
    ];
    for (short, long) in pairs {
        assert_eq!(parse(&short), parse(&long));
    }
}

#[test]
fn match_reads_every_option() {
    let Query::Match(query) = parse(&json!({"match": {"title": {
        "query": "to be", "operator": "AND", "minimum_should_match": "2<75%",
        "fuzziness": "AUTO:4,7", "prefix_length": 1, "max_expansions": "10",
        "fuzzy_transpositions": false, "fuzzy_rewrite": "constant_score", "analyzer": "stop",
        "lenient": true, "zero_terms_query": "all",
        "auto_generate_synonyms_phrase_query": false, "boost": 2.5
    }}})) else {
        panic!("match");
    };
    assert_eq!(query.boost, 2.5);
    assert_eq!(
        query.options,
        TextOptions {
            operator: Operator::And,
            minimum_should_match: Some(MinimumShouldMatch::Conditional(vec![(
                2,
                MinimumShouldMatch::Percent(75)
            )])),
            fuzziness: Some(Fuzziness::Auto { low: 4, high: 7 }),
            prefix_length: 1,
            max_expansions: 10,
            fuzzy_transpositions: false,
            analyzer: Some("stop".to_owned()),
            lenient: true,
            zero_terms_query: ZeroTerms::All,
            auto_generate_synonyms_phrase_query: false,
            time_zone: None,
        }
    );
}

#[test]
fn a_minimum_should_match_of_null_says_nothing() {
    let same = [json!({"minimum_should_match": null}), json!({})]
        .map(|bool| parse(&json!({"bool": bool})));
    assert_eq!(same[0], same[1]);
    let text = parse(&json!({"match": {"f": {"query": "a", "minimum_should_match": null}}}));
    assert_eq!(text, parse(&json!({"match": {"f": "a"}})));
}

#[test]
fn minimum_should_match_has_six_forms() {
    let read = |value: Value| {
        let Query::Bool(query) = parse(&json!({"bool": {"minimum_should_match": value}})) else {
            panic!("bool");
        };
        query.minimum_should_match.expect("given")
    };
    assert_eq!(read(json!(3)), MinimumShouldMatch::Count(3));
    assert_eq!(read(json!("-2")), MinimumShouldMatch::Count(-2));
    assert_eq!(read(json!("75%")), MinimumShouldMatch::Percent(75));
    assert_eq!(read(json!("-25%")), MinimumShouldMatch::Percent(-25));
    let rules = |rules| MinimumShouldMatch::Conditional(rules);
    assert_eq!(
        read(json!("2<-25% 9 < -3")),
        rules(vec![
            (2, MinimumShouldMatch::Percent(-25)),
            (9, MinimumShouldMatch::Count(-3))
        ])
    );
    for wrong in ["", "x", "%", "<2", "2<", "2<3<4", "-1<2"] {
        assert!(fault(&json!({"bool": {"minimum_should_match": wrong}})).contains(wrong));
    }
}

#[test]
fn fuzziness_is_a_number_or_auto() {
    let read =
        |value: Value| match parse(&json!({"fuzzy": {"f": {"value": "x", "fuzziness": value}}})) {
            Query::Fuzzy(query) => query.fuzziness,
            other => panic!("{other:?}"),
        };
    assert_eq!(read(json!("auto")), Fuzziness::Auto { low: 3, high: 6 });
    assert_eq!(read(json!("AUTO:3,6")), Fuzziness::Auto { low: 3, high: 6 });
    assert_eq!(read(json!(2)), Fuzziness::Edits(2));
    assert_eq!(read(json!("1")), Fuzziness::Edits(1));
    for wrong in ["3", "AUTO:6,3", "AUTO:3", "many"] {
        fault(&json!({"fuzzy": {"f": {"value": "x", "fuzziness": wrong}}}));
    }
}

#[test]
fn multi_match_reads_factors_and_types() {
    let Query::MultiMatch(query) = parse(&json!({"multi_match": {
        "query": "rust", "fields": ["title^3", "body", "*_name^0.5"], "type": "most_fields"
    }})) else {
        panic!("multi_match");
    };
    let fields: Vec<(&str, f32)> = query.fields.iter().map(|(f, b)| (f.as_str(), *b)).collect();
    assert_eq!(fields, [("title", 3.0), ("body", 1.0), ("*_name", 0.5)]);
    assert_eq!(query.kind, MultiMatchType::MostFields);
    assert!(matches!(
        parse(&json!({"multi_match": {"query": "x", "fields": "title"}})),
        Query::MultiMatch(query) if query.fields.len() == 1
    ));
    assert_eq!(
        fault(&json!({"multi_match": {"query": "x", "type": "phrase", "fuzziness": 1}})),
        "Fuzziness not allowed for type [phrase]"
    );
}

#[test]
fn range_keeps_what_its_bounds_say() {
    let range = parse(&json!({"range": {"day": {
        "gt": "2024-01-01||/M", "lte": "now", "format": "yyyy", "time_zone": "+01:00", "boost": 2
    }}}));
    assert_eq!(
        range,
        Query::Range(RangeQuery {
            relation: Default::default(),
            field: "day".to_owned(),
            lower: Some((json!("2024-01-01||/M"), false)),
            upper: Some((json!("now"), true)),
            format: Some("yyyy".to_owned()),
            time_zone: Some("+01:00".to_owned()),
            normalize: false,
            boost: 2.0,
        })
    );
}

#[test]
fn compound_clauses_hold_clauses() {
    let tree = json!({"bool": {
        "must": [{"dis_max": {"queries": [{"term": {"a": 1}}, {"term": {"b": 2}}],
            "tie_breaker": 0.7}}],
        "filter": {"constant_score": {"filter": {"exists": {"field": "c"}}, "boost": 1.2}},
        "should": [],
        "must_not": [{"boosting": {"positive": {"match_all": {}}, "negative": {"match_none": {}},
            "negative_boost": 0.5}}],
        "boost": 1.5
    }});
    let Query::Bool(query) = parse(&tree) else {
        panic!("bool");
    };
    let sizes = [
        query.must.len(),
        query.filter.len(),
        query.should.len(),
        query.must_not.len(),
    ];
    assert_eq!(sizes, [1, 1, 0, 1]);
    assert_eq!(query.boost, 1.5);
}

#[test]
fn regexp_flags_switch_operators_off() {
    let Query::Regexp(query) = parse(&json!({"regexp": {"f": {"value": "a~b", "flags": "NONE"}}}))
    else {
        panic!("regexp");
    };
    assert_eq!(query.value, r"a\~b");
}

#[test]
fn faults_use_the_words_of_the_dialect() {
    let cases = [
        (
            json!({"boool": {}}),
            "unknown query [boool] did you mean [bool]?",
        ),
        (
            json!({"invalid_query": {}}),
            "unknown query [invalid_query]",
        ),
        (json!({}), "query malformed, empty clause found"),
        (
            json!([]),
            "[_na] query malformed, must start with start_object",
        ),
        (
            json!({"match": "x"}),
            "[match] query malformed, no start_object after query name",
        ),
        (
            json!({"match": {"f": 1}, "term": {"f": 1}}),
            "[match] malformed query, expected [END_OBJECT] but found [FIELD_NAME]",
        ),
        (
            json!({"match": {"a": "x", "b": "y"}}),
            "[match] query doesn't support multiple fields, found [a] and [b]",
        ),
        (
            json!({"match": {"f": ["x"]}}),
            "[match] unknown token [START_ARRAY] after [f]",
        ),
        (
            json!({"match": {"f": {"query": "x", "foo": 1}}}),
            "[match] query does not support [foo]",
        ),
        (
            json!({"match": {"f": {"operator": "and"}}}),
            "[match] requires [query] value",
        ),
        (
            json!({"term": {"f": [1, 2]}}),
            "[term] query does not support array of values",
        ),
        (
            json!({"terms": {"f": 1}}),
            "[terms] query requires an array of terms",
        ),
    ];
    check_faults(&cases);
}

#[test]
fn faults_of_clauses_name_the_clause() {
    let cases = [
        (
            json!({"terms": {"f": {"index": "i", "id": "1"}}}),
            "[terms] query lookup element requires specifying the [path], after [f]",
        ),
        (
            json!({"terms": {"a": [1], "b": [2]}}),
            "[terms] query does not support multiple fields",
        ),
        (
            json!({"range": {"f": {"gte": 1, "foo": 2}}}),
            "[range] query does not support [foo]",
        ),
        (
            json!({"range": {"f": {"gt": 1, "gte": 2}}}),
            "both [gt] and [gte]",
        ),
        (
            json!({"exists": {}}),
            "[exists] must be provided with a [field]",
        ),
        (
            json!({"ids": {"type": ["doc"], "values": [1]}}),
            "[ids] [type] is not supported",
        ),
        (
            json!({"bool": {"mast": []}}),
            "[bool] unknown field [mast] did you mean [must]?",
        ),
        (
            json!({"constant_score": {}}),
            "[constant_score] requires a 'filter' element",
        ),
        (
            json!({"dis_max": {"queries": []}}),
            "[dis_max] requires 'queries' field",
        ),
        (
            json!({"boosting": {"positive": {"match_all": {}}}}),
            "requires 'negative' query",
        ),
        (
            json!({"nested": {"path": "a"}}),
            "[nested] query is not supported",
        ),
        (
            json!({"match_all": {"_name": {}}}),
            "[match_all] [_name] must be a string",
        ),
        (
            json!({"match": {"f": {"query": "x", "boost": -1}}}),
            "negative [boost] are not allowed in [match]",
        ),
    ];
    check_faults(&cases);
}

fn check_faults(cases: &[(Value, &str)]) {
    for (body, expected) in cases {
        let reason = fault(body);
        assert!(reason.contains(expected), "{reason} lacks {expected}");
    }
}

#[test]
fn every_clause_refuses_unknown_keys_and_wrong_types() {
    let field_clauses = [
        "match",
        "match_phrase",
        "match_phrase_prefix",
        "match_bool_prefix",
        "term",
        "range",
        "prefix",
        "wildcard",
        "regexp",
        "fuzzy",
    ];
    for name in field_clauses {
        let key = if name.starts_with("match") {
            "query"
        } else {
            "value"
        };
        let mut inner = json!({"unknown_key": 1});
        if name != "range" {
            inner[key] = json!("x");
        }
        let reason = fault(&json!({ name: {"f": inner} }));
        assert!(
            reason.contains("[unknown_key]") && reason.contains(name),
            "{reason}"
        );
        let reason = fault(&json!({ name: {"f": {key: {}, "gte": {}}} }));
        assert!(reason.contains(name), "{reason}");
        assert!(fault(&json!({ name: {} })).contains(name));
        fault(&json!({ name: {"f": {"boost": "high", key: "x"}} }));
    }
    let plain = json!({
        "match_all": {}, "match_none": {}, "multi_match": {"query": "x"},
        "query_string": {"query": "x"}, "simple_query_string": {"query": "x"},
        "terms": {"f": [1]}, "exists": {"field": "f"}, "ids": {"values": []}, "bool": {},
        "constant_score": {"filter": {"match_all": {}}},
        "dis_max": {"queries": [{"match_all": {}}]},
        "boosting": {"positive": {"match_all": {}}, "negative": {"match_all": {}},
            "negative_boost": 0.1},
    });
    for (name, body) in plain.as_object().expect("object") {
        parse(&json!({ name: body }));
        let mut unknown = body.clone();
        unknown["unknown_key"] = json!(1);
        assert!(fault(&json!({ name: unknown })).contains("unknown_key"));
        let mut wrong = body.clone();
        wrong["boost"] = json!([]);
        assert!(fault(&json!({ name: wrong })).contains("[boost]"));
    }
}

#[test]
fn limits_hold() {
    let mut deep = json!({"match_all": {}});
    for _ in 0..29 {
        deep = json!({"bool": {"must": [deep]}});
    }
    parse(&deep);
    assert!(fault(&json!({"bool": {"must": [deep]}})).contains("maximum nested depth of [30]"));
    let many: Vec<Value> = (0..1024).map(|n| json!({"term": {"f": n}})).collect();
    let refused = parse_query(&json!({"bool": {"should": many}}), &Limits::default());
    assert_eq!(refused.expect_err("many").kind, ErrorType::TooManyClauses);
    let long = "a".repeat(1_110);
    assert!(fault(&json!({"regexp": {"f": long}})).starts_with(
        "The length of regex [1110] used in the Regexp Query request has exceeded the allowed \
         maximum of [1000]."
    ));
    fault(&json!({"wildcard": {"f": long}}));
    fault(&json!({"query_string": {"query": "a ".repeat(20_000)}}));
}

fn any_json() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "match",
        "term",
        "terms",
        "bool",
        "must",
        "filter",
        "query",
        "range",
        "gte",
        "f",
        "boost",
        "fuzziness",
        "value",
        "dis_max",
        "queries",
        "query_string",
        "fields",
        "ids",
        "values",
        "minimum_should_match",
        "regexp",
        "AUTO",
        "2<75%",
        "title^3",
        "and",
        "simple_query_string",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        words.clone().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 48, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((words.clone(), inner), 0..4).prop_map(|entries| {
                entries
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect::<serde_json::Map<_, _>>()
                    .into()
            }),
        ]
    })
}

proptest! {
    #[test]
    fn parsing_never_panics(body in any_json()) {
        let limits = Limits::default();
        if let Ok(query) = parse_query(&body, &limits) {
            let _expanded = crate::query_string::expand(query, &limits);
        }
    }
}
