//! Search bodies and URI parameters as parsed.

mod highlight;

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{apply_uri_parameters, parse_query_body, parse_search, parse_search_value};
use crate::aggregation::AggregationKind;
use crate::dsl::Query;
use crate::limits::Limits;
use crate::search::{
    FieldFormat, Missing, Scatter, SearchRequest, Slice, SortMode, SortTarget, SourceFilter,
    TrackTotal,
};

fn parse(body: &Value) -> SearchRequest {
    parse_search_value(body, &Limits::default()).unwrap_or_else(|fault| panic!("{body}: {fault}"))
}

fn fault(body: &Value) -> String {
    parse_search_value(body, &Limits::default())
        .expect_err(&body.to_string())
        .reason
}

#[test]
fn an_empty_body_finds_everything() {
    for body in ["", "  \n", "{}"] {
        let request = parse_search(body.as_bytes(), &Limits::default()).expect("empty");
        assert_eq!(request, SearchRequest::default());
        assert_eq!(request.size(), 10);
    }
}

#[test]
fn a_whole_body_is_read() {
    let request = parse(&json!({
        "query": {"match_all": {}}, "from": 5, "size": "20", "track_scores": true,
        "track_total_hits": 100, "min_score": 0.5, "post_filter": {"match_none": {}},
        "docvalue_fields": ["a", {"field": "b", "format": "epoch_millis"}],
        "fields": ["c*"], "stored_fields": "st", "explain": true, "version": true,
        "seq_no_primary_term": true, "profile": false, "timeout": "2s", "terminate_after": 7,
        "pit": {"id": "abc", "keep_alive": "1m"}, "slice": {"id": 1, "max": 3}, "indices_boost": [{"i*": 2.0}, {"j": 1}],
        "stats": ["g"]
    }));
    assert_eq!(request.query, Some(Query::MatchAll { boost: 1.0 }));
    assert_eq!((request.from, request.size()), (5, 20));
    assert_eq!(request.track_total_hits, TrackTotal::UpTo(100));
    assert_eq!(request.min_score, Some(0.5));
    let formatted = FieldFormat {
        field: "b".to_owned(),
        format: Some("epoch_millis".to_owned()),
        include_unmapped: false,
    };
    assert_eq!(request.docvalue_fields[1], formatted);
    assert_eq!(request.stored_fields, Some(vec!["st".to_owned()]));
    assert_eq!(request.timeout, Some(Duration::from_secs(2)));
    assert_eq!(request.terminate_after, Some(7));
    let pit = request.pit.expect("pit");
    assert_eq!(pit.keep_alive, Some(Duration::from_secs(60)));
    assert_eq!(request.slice, Some(Slice { id: 1, max: 3 }));
    assert_eq!(
        request.indices_boost,
        [("i*".to_owned(), 2.0), ("j".to_owned(), 1.0)]
    );
}

#[test]
fn a_query_is_spread_by_shards_or_by_terms_and_in_no_other_way() {
    assert_eq!(parse(&json!({})).scatter, Scatter::Shards);
    assert_eq!(
        parse(&json!({"scatter": "shards"})).scatter,
        Scatter::Shards
    );
    assert_eq!(parse(&json!({"scatter": "terms"})).scatter, Scatter::Terms);
    assert_eq!(
        fault(&json!({"scatter": "leaves"})),
        "[scatter] must be [shards] or [terms] but was [leaves]"
    );
}

#[test]
fn sort_has_many_forms() {
    let sort = |value: Value| parse(&json!({"sort": value})).sort;
    assert_eq!(sort(json!("a")), sort(json!(["a"])));
    assert_eq!(
        sort(json!({"a": "asc"})),
        sort(json!([{"a": {"order": "asc"}}]))
    );
    let keys = sort(json!([
        "_score", {"a": "desc"}, "_doc", "_shard_doc",
        {"b": {"order": "desc", "missing": "_first", "mode": "avg", "unmapped_type": "long",
            "format": "yyyy", "numeric_type": "date"}},
        {"c": {"missing": 7}}, {"_score": {"order": "asc"}}
    ]));
    assert_eq!(keys[0].target, SortTarget::Score);
    assert!(keys[0].descending && keys[1].descending && !keys[6].descending);
    assert_eq!(
        (&keys[2].target, &keys[3].target),
        (&SortTarget::Doc, &SortTarget::ShardDoc)
    );
    assert_eq!(
        (keys[4].missing.clone(), keys[4].mode),
        (Missing::First, Some(SortMode::Avg))
    );
    assert_eq!(keys[5].missing, Missing::Value(json!(7)));
    for (wrong, expected) in [
        (json!({"a": "up"}), "unknown order [up]"),
        (json!({"a": {"mode": "most"}}), "Unknown SortMode [most]"),
        (json!({"a": {"nested": {}}}), "[nested] is not supported"),
        (json!({"_script": {}}), "[_script] sort is not supported"),
        (
            json!({"_id": {"unmapped_type": "keyword"}}),
            "sorting by [_id] is not supported: index a copy of it",
        ),
        (
            json!([{"_geo_distance": {}}]),
            "[_geo_distance] sort requires a field with points",
        ),
        (
            json!("_geo_distance"),
            "[_geo_distance] sort requires a field with points",
        ),
        (
            json!({"_geo_distance": {"p": [], "unit": "km"}}),
            "at least one point",
        ),
        (
            json!({"_geo_distance": {"p": [1, 91]}}),
            "illegal latitude value [91]",
        ),
        (
            json!({"_geo_distance": {"p": "1,1", "q": "1,1"}}),
            "Trying to reset fieldName to [q], already set to [p].",
        ),
        (
            json!({"_geo_distance": {"p": "1,1", "mode": "sum"}}),
            "sort_mode [sum] isn't supported for sorting by geo distance",
        ),
        (
            json!({"_geo_distance": {"p": "1,1", "unit": "leagues"}}),
            "No match found for value [leagues] of [unit]",
        ),
        (
            json!({"_geo_distance": {"p": "1,1", "distance_type": "sloppy_arc"}}),
            "No geo distance for [sloppy_arc]",
        ),
        (
            json!({"_geo_distance": {"p": "1,1", "nested": {"path": "a"}}}),
            "[nested] is not supported",
        ),
        (
            json!({"a": {"ordr": "asc"}}),
            "unknown field [ordr] did you mean [order]?",
        ),
        (json!(7), "malformed sort format"),
    ] {
        assert!(
            fault(&json!({"sort": wrong})).contains(expected),
            "{expected}"
        );
    }
}

#[test]
fn source_has_five_forms() {
    let source = |value: Value| parse(&json!({"_source": value})).source;
    assert!(!source(json!(false)).enabled);
    assert_eq!(source(json!(true)), SourceFilter::default());
    assert_eq!(source(json!("a.*")).includes, ["a.*"]);
    assert_eq!(source(json!(["a", "b"])).includes, ["a", "b"]);
    let both = source(json!({"includes": ["a"], "excludes": "a.b"}));
    assert_eq!(
        (both.includes, both.excludes),
        (vec!["a".to_owned()], vec!["a.b".to_owned()])
    );
    assert!(fault(&json!({"_source": 7})).contains("[VALUE_NUMBER]"));
    assert!(fault(&json!({"_source": {"include_all": true}})).contains("[include_all]"));
}

#[test]
fn the_source_is_asked_for_in_the_body_or_the_uri() {
    assert!(!parse(&json!({"stored_fields": "a"})).is_source_asked);
    for asked in [json!(true), json!("a"), json!({"excludes": ["a"]})] {
        assert!(parse(&json!({"_source": asked})).is_source_asked, "{asked}");
    }
    for (name, is_asked) in [
        ("_source", true),
        ("_source_includes", true),
        ("_source_excludes", true),
        ("_source_exclude_vectors", false),
        ("stored_fields", false),
    ] {
        let mut request = SearchRequest::default();
        let given = [(name.to_owned(), "true".to_owned())];
        apply_uri_parameters(&mut request, &given, &Limits::default()).expect("parameters");
        assert_eq!(request.is_source_asked, is_asked, "{name}");
    }
}

#[test]
fn nothing_that_is_stored_is_shown_where_none_of_it_is_wanted() {
    for (key, value) in [
        ("_source", json!(false)),
        ("docvalue_fields", json!(["a"])),
        ("version", json!(false)),
        ("fields", json!([])),
    ] {
        parse(&json!({"stored_fields": "_none_", key: value}));
    }
    let disabled = "[stored_fields] cannot be disabled";
    for (key, value, expected) in [
        ("_source", json!(["a"]), "if [_source] is requested"),
        ("version", json!(true), "if [version] is requested"),
        ("fields", json!(["a"]), "when using the [fields] option"),
    ] {
        let reason = fault(&json!({"stored_fields": "_none_", key: value}));
        assert_eq!(reason, format!("{disabled} {expected}"));
    }
    let reason = fault(&json!({"stored_fields": ["_none_", "st"]}));
    assert_eq!(reason, "cannot combine _none_ with other fields");
    let mut request = parse(&json!({"stored_fields": "_none_"}));
    let uri = [("version".to_owned(), "true".to_owned())];
    let refused = apply_uri_parameters(&mut request, &uri, &Limits::default());
    assert!(refused.is_err());
}

#[test]
fn top_hits_return_the_fields_of_the_search_unless_they_name_others() {
    let fields_of = |top_hits: &Value| {
        let request = parse(&json!({"fields": ["a", "b*"], "aggs": {"tags": {
            "terms": {"field": "tag"}, "aggs": {"top": {"top_hits": top_hits}},
        }}}));
        let AggregationKind::TopHits(hits) = &request.aggregations[0].sub[0].kind else {
            panic!("no top_hits: {request:?}");
        };
        let fields = hits.fields.iter().map(|format| format.field.clone());
        fields.collect::<Vec<String>>()
    };
    assert_eq!(fields_of(&json!({})), ["a", "b*"]);
    assert_eq!(fields_of(&json!({"fields": []})), ["a", "b*"]);
    assert_eq!(fields_of(&json!({"fields": ["c"]})), ["c"]);
    assert!(fields_of(&json!({"stored_fields": "_none_"})).is_empty());
    let names: Vec<String> = (0..4_000).map(|i| format!("f{i}")).collect();
    let many = (0..17).map(|i| (format!("x{i}"), json!({"top_hits": {}})));
    let many: Map<String, Value> = many.collect();
    let refused = fault(&json!({"fields": names, "aggs": many}));
    assert!(
        refused.contains("[17] aggregations [top_hits]"),
        "{refused}"
    );
}

#[test]
fn vectors_may_be_excluded_from_the_source_without_effect() {
    let source = |value: Value| parse(&json!({"_source": value})).source;
    for flag in [true, false] {
        let whole = source(json!({"exclude_vectors": flag}));
        assert_eq!(whole, SourceFilter::default());
        let part = source(json!({"exclude_vectors": flag, "includes": ["a"]}));
        assert_eq!(part.includes, ["a"]);
    }
    let wrong = fault(&json!({"_source": {"exclude_vectors": "some"}}));
    assert!(wrong.contains("[exclude_vectors]"), "{wrong}");
}

#[test]
fn totals_are_counted_as_asked() {
    let total = |value: Value| parse(&json!({"track_total_hits": value})).track_total_hits;
    assert_eq!(total(json!(true)), TrackTotal::Exact);
    assert_eq!(total(json!(-1)), TrackTotal::No);
    assert_eq!(total(json!(false)), TrackTotal::No);
    assert_eq!(total(json!("50")), TrackTotal::UpTo(50));
    fault(&json!({"track_total_hits": -2}));
}

#[test]
fn faults_name_the_key() {
    for (body, expected) in [
        (
            json!({"foo": "x"}),
            "Unknown key for a VALUE_STRING in [foo].",
        ),
        (
            json!({"foo": {}}),
            "Unknown key for a START_OBJECT in [foo].",
        ),
        (json!({"from": -2}), "[from] parameter cannot be negative"),
        (json!({"size": -1}), "[size] parameter cannot be negative"),
        (json!({"suggest": {"s": {}}}), "[suggest] is not supported"),
        (json!({"knn": {}}), "[knn] is not supported"),
        (json!({"slice": {}}), "[slice] [id] is not provided"),
        (json!({"timeout": "2"}), "unit is missing"),
        (json!({"search_after": []}), "at least one value"),
        (
            json!({"search_after": [1], "from": 1}),
            "`from` parameter must be set to 0",
        ),
        (json!({"explain": "maybe"}), "[explain]"),
        (
            json!({"fields": ["a", {"field": "_source"}]}),
            "Cannot fetch values for internal field [_source].",
        ),
        (json!({"pit": {}}), "point in time id"),
        (json!({"indices_boost": 7}), "[indices_boost]"),
        (json!({"query": {"nope": {}}}), "unknown query [nope]"),
        (
            json!([]),
            "[search] expected an object but found [START_ARRAY]",
        ),
    ] {
        let reason = fault(&body);
        assert!(reason.contains(expected), "{reason} lacks {expected}");
    }
}

#[test]
fn uri_parameters_lie_over_the_body() {
    let mut request = parse(&json!({"query": {"match_none": {}}, "size": 3, "_source": false}));
    let parameters: Vec<(String, String)> = [
        ("q", "a:b"),
        ("df", "f"),
        ("default_operator", "and"),
        ("size", "7"),
        ("from", "2"),
        ("sort", "a:desc,_score,b"),
        ("track_total_hits", "true"),
        ("_source", "true"),
        ("_source_includes", "x,y"),
        ("_source_excludes", "z"),
        ("docvalue_fields", "d"),
        ("explain", ""),
        ("timeout", "1s"),
        ("terminate_after", "5"),
        ("routing", "r"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    apply_uri_parameters(&mut request, &parameters, &Limits::default()).expect("parameters");
    assert!(matches!(&request.query, Some(Query::QueryString(q)) if q.fields[0].0 == "f"));
    assert_eq!((request.from, request.size()), (2, 7));
    assert_eq!(request.sort.len(), 3);
    assert!(request.sort[0].descending && request.sort[1].descending && request.explain);
    assert_eq!(request.source.includes, ["x", "y"]);
    assert!(request.source.enabled);
    for (name, value) in [
        ("from", "-1"),
        ("size", "x"),
        ("explain", "1"),
        ("sort", "a:up"),
    ] {
        let wrong = [(name.to_owned(), value.to_owned())];
        assert!(apply_uri_parameters(&mut request, &wrong, &Limits::default()).is_err());
    }
}

#[test]
fn a_query_body_holds_a_query_only() {
    let limits = Limits::default();
    assert_eq!(parse_query_body(b"", &limits), Ok(None));
    assert!(parse_query_body(br#"{"query":{"match_all":{}}}"#, &limits).is_ok());
    let fault = parse_query_body(br#"{"match_all":{}}"#, &limits).expect_err("misplaced");
    assert_eq!(fault.reason, "request does not support [match_all]");
}

proptest! {
    #[test]
    fn bodies_never_panic(key in prop::sample::select(vec![
        "query", "sort", "_source", "highlight", "fields", "search_after", "pit", "size",
        "indices_boost", "track_total_hits", "timeout", "aggs", "slice",
    ]), text in "[\\[\\]{}\":,a-c0-9.-]{0,24}") {
        let _parsed = parse_search(format!("{{\"{key}\":{text}}}").as_bytes(), &Limits::default());
    }

    #[test]
    fn parameters_never_panic(name in prop::sample::select(vec![
        "q", "from", "size", "sort", "_source", "timeout", "terminate_after", "min_score",
    ]), value in "\\PC{0,16}") {
        let mut request = SearchRequest::default();
        let _applied =
            apply_uri_parameters(&mut request, &[(name.to_owned(), value)], &Limits::default());
    }
}
