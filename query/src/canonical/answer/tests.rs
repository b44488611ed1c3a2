//! Keys of answers: frozen, equal for spellings of one request, others for other requests.

use gleaner_model::{IndexUuid, ShardNumber};
use proptest::prelude::*;
use serde_json::{Map, json};

use super::*;
use crate::limits::Limits;
use crate::search::parse_search;

/// 2026-01-01T12:34:56.789Z.
const NOW_MS: i64 = 1_767_270_896_789;

fn canonical_at(body: &str, now_ms: i64) -> Option<CanonicalRequest> {
    let request = parse_search(body.as_bytes(), &Limits::default());
    CanonicalRequest::of(&request.expect("a search"), now_ms)
}

fn key_at(body: &str, now_ms: i64) -> Option<AnswerKey> {
    let request = canonical_at(body, now_ms)?;
    Some(key_with(&targets(), &request, b"search"))
}

fn key(body: &Value) -> Option<AnswerKey> {
    key_at(&body.to_string(), NOW_MS)
}

fn targets() -> Targets {
    Targets {
        indices: vec![TargetIndex {
            uuid: IndexUuid([7; 16]),
            filters: vec!["{}".to_owned()],
            boost: 1.0,
            shards: vec![ShardNumber(0), ShardNumber(1)],
        }],
    }
}

fn key_with(targets: &Targets, request: &CanonicalRequest, form: &[u8]) -> AnswerKey {
    answer_key(&KeyParts {
        cluster_uuid: "0123",
        settings: &SettingsDigest::of(&"settings"),
        targets,
        request,
        form,
    })
}

fn rich() -> Value {
    json!({
        "query": {"bool": {
            "must": [{"match": {"title": "the tea"}}, {"term": {"kind": "book"}}],
            "filter": [{"range": {"year": {"gte": 1990}}}, {"terms": {"tag": ["b", "a", 3]}}],
            "must_not": [{"exists": {"field": "gone"}}, {"ids": {"values": ["2", "1"]}}],
        }},
        "aggs": {"years": {"terms": {"field": "year", "size": 3}}},
        "sort": [{"year": "desc"}, "_score"],
        "size": 7,
    })
}

#[test]
fn keys_are_frozen() {
    let lines: Vec<String> = [
        key(&json!({})),
        key(&rich()),
        key(&json!({"query": {"range": {"at": {"gte": "now/d"}}}})),
    ]
    .iter()
    .map(|key| format!("{}\n", key.expect("a key")))
    .collect();
    assert_eq!(lines.concat(), include_str!("vectors.txt"));
}

#[test]
fn defaults_that_are_written_out_change_nothing() {
    let plain = key(&json!({"query": {"match": {"title": "tea"}}}));
    assert!(plain.is_some());
    for (name, value) in [
        ("from", json!(0)),
        ("size", json!(10)),
        ("track_total_hits", json!(10_000)),
        ("explain", json!(false)),
        ("version", json!(false)),
        ("_source", json!(true)),
        ("timeout", json!("5s")),
        ("stats", json!(["mine"])),
        ("scatter", json!("shards")),
        ("sort", json!([])),
    ] {
        let mut body = json!({"query": {"match": {"title": {"query": "tea", "boost": 1.0, "operator": "or"}}}});
        body[name] = value;
        assert_eq!(key(&body), plain, "{name}");
    }
    assert_eq!(key(&json!({"query": {"match_all": {}}})), key(&json!({})));
    assert_eq!(key_at("", NOW_MS), key(&json!({})));
}

#[test]
fn clauses_that_only_match_have_no_order() {
    let two = |first: &str, second: &str, place: &str| {
        let clause = |text: &str| json!({"term": {"kind": text}});
        key(&json!({"query": {"bool": {place: [clause(first), clause(second)]}}}))
    };
    for place in ["filter", "must_not"] {
        assert_eq!(two("a", "b", place), two("b", "a", place), "{place}");
    }
    for place in ["must", "should"] {
        assert_ne!(two("a", "b", place), two("b", "a", place), "{place}");
    }
    let inside = |first: &str, second: &str| {
        let clause = |text: &str| json!({"term": {"kind": text}});
        let either = json!({"bool": {"should": [clause(first), clause(second)]}});
        key(&json!({"query": {"constant_score": {"filter": either}}}))
    };
    assert_eq!(inside("a", "b"), inside("b", "a"));
}

#[test]
fn every_value_makes_another_key() {
    let changes = [
        ("/query/bool/must/0/match/title", json!("the teas")),
        ("/query/bool/filter/0/range/year/gte", json!(1991)),
        ("/query/bool/filter/1/terms/tag/2", json!("3")),
        ("/query/bool/must_not/1/ids/values/0", json!("3")),
        ("/aggs/years/terms/size", json!(4)),
        ("/sort/0/year", json!("asc")),
        ("/size", json!(8)),
    ];
    let mut seen = vec![key(&rich())];
    for (place, value) in changes {
        let mut body = rich();
        *body.pointer_mut(place).expect("it is there") = value;
        seen.push(key(&body));
    }
    for (name, value) in [
        ("from", json!(1)),
        ("track_total_hits", json!(true)),
        ("track_scores", json!(true)),
        ("min_score", json!(0.5)),
        ("post_filter", json!({"term": {"kind": "book"}})),
        ("_source", json!(false)),
        ("_source", json!(["title"])),
        ("docvalue_fields", json!(["year"])),
        ("fields", json!(["year"])),
        ("stored_fields", json!(["year"])),
        ("highlight", json!({"fields": {"title": {}}})),
        ("version", json!(true)),
        ("seq_no_primary_term", json!(true)),
        ("scatter", json!("terms")),
        ("indices_boost", json!([{"books": 2.0}])),
        ("search_after", json!([1990, 1.0])),
    ] {
        let mut body = rich();
        body[name] = value;
        seen.push(key(&body));
    }
    for (at, one) in seen.iter().enumerate() {
        assert!(one.is_some(), "case {at}");
        assert!(!seen[at + 1..].contains(one), "case {at}");
    }
}

#[test]
fn targets_and_form_are_in_the_key() {
    let request = canonical_at("{}", NOW_MS).expect("bytes");
    let with = |change: fn(&mut Targets)| {
        let mut targets = targets();
        change(&mut targets);
        key_with(&targets, &request, b"search")
    };
    let all = [
        with(|_| {}),
        with(|targets| targets.indices[0].uuid = IndexUuid([8; 16])),
        with(|targets| targets.indices[0].filters.clear()),
        with(|targets| targets.indices[0].filters[0].push(' ')),
        with(|targets| targets.indices[0].boost = 2.0),
        with(|targets| targets.indices[0].shards.truncate(1)),
        with(|targets| targets.indices.clear()),
        key_with(&targets(), &request, b"count"),
    ];
    for (at, one) in all.iter().enumerate() {
        assert!(!all[at + 1..].contains(one), "case {at}");
    }
}

#[test]
fn what_is_good_for_one_time_has_no_key() {
    for (name, value) in [
        ("explain", json!(true)),
        ("indices_boost", json!([{"<books-{now/d}>": 2.0}])),
        ("profile", json!(true)),
        ("terminate_after", json!(5)),
        ("pit", json!({"id": "p"})),
        ("slice", json!({"id": 0, "max": 2})),
    ] {
        assert_eq!(key(&json!({name: value})), None, "{name}");
    }
    for query in [
        json!({"range": {"at": {"gte": "now"}}}),
        json!({"range": {"at": {"lt": " now-1h"}}}),
        json!({"match": {"at": "now"}}),
        json!({"terms": {"at": ["2020-01-01", "now"]}}),
        json!({"query_string": {"query": "at:[now-1d TO *]"}}),
        json!({"query_string": {"query": r"at:n\ow"}}),
        json!({"simple_query_string": {"query": "tea now"}}),
    ] {
        assert_eq!(key(&json!({"query": query})), None, "{query}");
    }
    for query in [
        json!({"match": {"title": "now and then"}}),
        json!({"query_string": {"query": "snow known"}}),
        json!({"range": {"at": {"gte": "2020-01-01||/d"}}}),
    ] {
        let request = canonical_at(&json!({"query": query}).to_string(), NOW_MS);
        assert_eq!(request.expect("bytes").until_ms(), None, "{query}");
    }
}

#[test]
fn a_rounded_now_is_the_time_it_is_rounded_to() {
    const DAY_MS: i64 = 86_400_000;
    let midnight = NOW_MS - NOW_MS % DAY_MS;
    let of = |gte: &str, zone: Option<&str>, now_ms: i64| {
        let range = json!({"gte": gte, "time_zone": zone.unwrap_or("Z")});
        let body = json!({"query": {"range": {"at": range}}}).to_string();
        let until_ms = canonical_at(&body, now_ms).expect("bytes").until_ms();
        (key_at(&body, now_ms).expect("a key"), until_ms)
    };
    let (today, until_ms) = of("now/d", None, NOW_MS);
    assert_eq!(until_ms, Some(midnight + DAY_MS));
    assert_eq!(of("now/d", None, midnight).0, today);
    assert_ne!(of("now/d", None, midnight + DAY_MS).0, today);
    for (gte, zone, step_ms) in [
        ("now-7d/d", None, DAY_MS),
        ("now+1h/d", None, 3_600_000),
        ("now/m", None, 60_000),
        ("now/d", Some("Europe/Berlin"), 900_000),
        ("now/d", Some("+05:37"), 60_000),
    ] {
        let start = NOW_MS - NOW_MS % step_ms;
        let (_, until_ms) = of(gte, zone, NOW_MS);
        assert_eq!(until_ms, Some(start + step_ms), "{gte} {zone:?}");
    }
}

/// Writes `value` with the keys of its objects in another order, and with `space` between its parts. The order of
/// aggregations and sort keys is one of the answer, so `aggs` and `sort` stay.
fn respelled(value: &Value, space: &str, out: &mut String) {
    match value {
        Value::Object(fields) => {
            out.push('{');
            for (at, (name, value)) in fields.iter().rev().enumerate() {
                let comma = if at > 0 { "," } else { "" };
                out.push_str(&format!("{comma}{space}{}{space}:{space}", json!(name)));
                respelled(value, space, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                respelled(item, space, out);
            }
            out.push_str(space);
            out.push(']');
        }
        leaf => out.push_str(&leaf.to_string()),
    }
}

fn leaf() -> impl Strategy<Value = Value> {
    let field = prop::sample::select(vec!["title", "kind", "year"]);
    (field, "[a-z]{1,4}", 0_u8..4).prop_map(|(field, text, kind)| match kind {
        0 => json!({"term": {field: {"value": text, "boost": 2.0}}}),
        1 => json!({"match": {field: {"query": text, "operator": "and"}}}),
        2 => json!({"range": {field: {"gte": text, "lt": "z"}}}),
        _ => json!({"terms": {field: [text, "x"]}}),
    })
}

fn query() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(3, 12, 3, |inner| {
        let list = prop::collection::vec(inner, 0..3);
        (list.clone(), list.clone(), list)
            .prop_map(|(must, filter, should)| {
                json!({"bool": {"must": must, "filter": filter, "should": should}})
            })
    })
}

fn body() -> impl Strategy<Value = Value> {
    (query(), 0_usize..30, any::<bool>()).prop_map(|(query, size, has_version)| {
        let mut body = Map::new();
        body.insert("query".to_owned(), query);
        body.insert("size".to_owned(), size.into());
        body.insert("version".to_owned(), has_version.into());
        Value::Object(body)
    })
}

proptest! {
    #[test]
    fn spellings_of_one_request_have_one_key(body in body(), space in "[ \n\t]{0,3}") {
        let mut other = String::new();
        respelled(&body, &space, &mut other);
        prop_assert_eq!(key_at(&other, NOW_MS), key(&body));
    }

    #[test]
    fn requests_that_parse_otherwise_have_other_keys(one in body(), other in body()) {
        let parsed = |body: &Value| {
            let parsed = parse_search(body.to_string().as_bytes(), &Limits::default());
            parts(&parsed.expect("a search")).map(|parts| json(&parts))
        };
        prop_assert_eq!(parsed(&one) == parsed(&other), key(&one) == key(&other));
    }
}
