//! Keys by routes: every parameter is decided, and keys are made without a root.

use gleaner_model::{IndexMeta, IndexName, IndexUuid};
use http::Request;

use super::*;
use crate::route::ParameterEffect;
use crate::routes::parameter_tables;

pub(in crate::cached) fn moment() -> Moment {
    let index = IndexMeta {
        settings: Default::default(),
        ..IndexMeta::new(
            IndexUuid([7; 16]),
            IndexName::parse("books").expect("a good name"),
        )
    };
    let mut state = ClusterState::default();
    state.indices.insert(index.uuid, Arc::new(index));
    Moment {
        state: Arc::new(state),
        now_ms: 1_767_225_600_000,
    }
}

fn keep_at(method: &str, uri: &str, body: &'static str) -> Option<Keep> {
    keep_in(&moment(), (method, uri), body)
}

pub(in crate::cached) fn keep_in(
    moment: &Moment,
    (method, uri): (&str, &str),
    body: &'static str,
) -> Option<Keep> {
    let maker = KeyMaker::new(parameter_tables(), Limits::default());
    let request = Request::builder()
        .method(method)
        .uri(uri)
        .header("content-type", "application/json");
    let (head, ()) = request.body(()).expect("a good request").into_parts();
    maker.keep(
        &head,
        &Bytes::from_static(body.as_bytes()),
        moment,
        &Memo::default(),
    )
}

#[test]
fn every_parameter_of_a_route_that_is_kept_is_decided() {
    let is_kept = |route: &&Route| takes(route) || route.name == "msearch";
    let kept: Vec<&Route> = parameter_tables().filter(is_kept).collect();
    assert_eq!(kept.len(), KEPT.len() + 1);
    for route in kept {
        for parameter in route.all_parameters() {
            let name = parameter.name;
            assert_ne!(
                parameter.in_key,
                KeyPart::Undecided,
                "{}: {name}",
                route.name
            );
            // What has no effect shapes nothing; its warning is of each request.
            if parameter.handling != ParameterEffect::Honoured {
                assert_eq!(parameter.in_key, KeyPart::Neutral, "{}: {name}", route.name);
            }
        }
    }
}

#[test]
fn keys_are_made_without_a_root() {
    let searched = keep_at("POST", "/books/_search", "{}").expect("a key");
    assert_eq!(searched.targets.indices.len(), 1);
    assert_eq!(searched.targets.indices[0].shards.len(), 4);
    assert_eq!((searched.until_ms, searched.patience), (None, PATIENCE));
    let key = |method, uri, body| keep_at(method, uri, body).map(|keep| keep.key);
    let same = [
        ("GET", "/books/_search", ""),
        ("GET", "/_search", "{ }"),
        ("POST", "/bo*/_search?size=10", "{}"),
        (
            "POST",
            "/books/_search?timeout=3s&allow_partial_search_results=false",
            "{}",
        ),
        (
            "POST",
            "/books/_search?source=%7B%7D&source_content_type=application/json",
            "",
        ),
        ("POST", "/books/_search?request_cache=true", "{}"),
    ];
    for (method, uri, body) in same {
        assert_eq!(key(method, uri, body), Some(searched.key), "{uri}");
    }
    // Their answers warn, each for its own request; a root keeps them without the warning.
    assert_eq!(key("POST", "/books/_search?error_trace=true", "{}"), None);
    let others = [
        "/books/_count",
        "/books/_search?pretty",
        "/books/_search?human=true",
        "/books/_search?typed_keys=true",
        "/books/_search?filter_path=took",
        "/books/_search?routing=a",
        "/books/_search?q=a",
    ];
    for uri in others {
        let other = key("POST", uri, "{}");
        assert!(other.is_some_and(|other| other != searched.key), "{uri}");
    }
}

#[test]
fn names_that_say_dates_are_those_of_the_day_of_the_request() {
    let index = |number: u8, name: &str| {
        let name = IndexName::parse(name).expect("a good name");
        IndexMeta::new(IndexUuid([number; 16]), name)
    };
    let mut moment = moment();
    let state = Arc::make_mut(&mut moment.state);
    for index in [index(1, "logs-2026.01.01"), index(2, "logs-2026.01.02")] {
        state.indices.insert(index.uuid, Arc::new(index));
    }
    let (maker, memo) = (
        KeyMaker::new(parameter_tables(), Limits::default()),
        Memo::default(),
    );
    let request = Request::builder().method("POST");
    let request = request.uri("/%3Clogs-%7Bnow%2Fd%7D%3E/_search");
    let (head, ()) = request.body(()).expect("a good request").into_parts();
    let mut searched = |now_ms: i64| {
        let moment = Moment {
            now_ms,
            ..moment.clone()
        };
        let keep = maker.keep(&head, &Bytes::new(), &moment, &memo);
        keep.map(|keep| keep.targets.indices[0].uuid)
    };
    let (today, day) = (moment.now_ms, 86_400_000);
    let uuids = [1, 1, 2].map(|number| Some(IndexUuid([number; 16])));
    assert_eq!([today, today, today + day].map(&mut searched), uuids);
}

#[test]
fn transient_settings_are_in_force() {
    let set = |key: &str, value: &str| {
        let mut moment = moment();
        let state = Arc::make_mut(&mut moment.state);
        state
            .transient_settings
            .insert(key.to_owned(), value.into());
        moment
    };
    let body = r#"{"query":{"bool":{"must":{"bool":{"must":{"match_all":{}}}}}}}"#;
    let key = |moment: &Moment| {
        let keep = keep_in(moment, ("POST", "/books/_search"), body);
        keep.map(|keep| keep.key)
    };
    let unset = key(&moment());
    assert!(unset.is_some());
    assert_eq!(key(&set(cluster::MAX_NESTED_DEPTH, "1")), None);
    let other = key(&set(cluster::MAX_BUCKETS, "3"));
    assert!(other.is_some() && other != unset);
}

#[test]
fn what_the_root_refuses_or_answers_once_has_no_key() {
    for (method, uri, body) in [
        ("POST", "/gone/_search", "{}"),
        ("POST", "/books/_search", "{"),
        ("POST", "/books/_search", r#"{"size":1,"size":2}"#),
        ("POST", "/books/_search?nope=1", "{}"),
        ("POST", "/books/_search?min_coverage=7", "{}"),
        ("POST", "/books/_search?min_coverage=0.5", "{}"),
        ("POST", "/books/_search?scroll=1m", "{}"),
        ("POST", "/books/_search?format=cbor", "{}"),
        (
            "POST",
            "/books/_search",
            r#"{"indices_boost":[{"gone":2}]}"#,
        ),
        ("POST", "/books/_count?terminate_after=1", "{}"),
        ("POST", "/books/_doc/1", "{}"),
        ("PUT", "/books/_search", "{}"),
        ("GET", "/_cat/indices", ""),
    ] {
        assert!(keep_at(method, uri, body).is_none(), "{uri} {body}");
    }
}
