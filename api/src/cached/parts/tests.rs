//! Searches of an `_msearch`: their keys are those of searches by themselves, and their answers fit in their places.

use gleaner_model::Edition;
use http::{Request, Response, StatusCode, header};

use super::super::key::tests::{keep_in, moment};
use super::*;
use crate::routes::parameter_tables;
use gleaner_query::limits::Limits;

fn searches(uri: &str, body: &'static str) -> Option<Searches> {
    let maker = KeyMaker::new(parameter_tables(), Limits::default());
    let request = Request::builder()
        .method("POST")
        .uri(uri)
        .header("content-type", "application/x-ndjson");
    let (head, ()) = request.body(()).expect("a good request").into_parts();
    let body = Bytes::from_static(body.as_bytes());
    maker.searches(&head, &body, &moment(), &Memo::default())
}

/// Returns which of the searches of `body` have the key of the same search by itself.
fn kept(uri: &str, body: &'static str) -> Option<Vec<bool>> {
    let alone = keep_in(&moment(), ("POST", "/books/_search"), r#"{"size":1}"#);
    let alone = alone.expect("it may be kept").key;
    let searches = searches(uri, body)?;
    let keeps = searches.keeps().iter();
    Some(
        keeps
            .map(|keep| keep.as_ref().is_some_and(|keep| keep.key == alone))
            .collect(),
    )
}

#[test]
fn a_search_among_several_has_the_key_of_the_same_by_itself() {
    let body = "{\"index\":\"books\"}\n{\"size\":1}\n\n{ \"size\": 1 }\r\n{\"index\":[\"bo*\"],\
                \"preference\":\"_local\"}\n{\"size\":1,\"from\":0}\n{}\n{\"size\":2}\n";
    assert_eq!(kept("/_msearch", body), Some(vec![true, true, true, false]));
    assert_eq!(
        kept("/books/_msearch?max_concurrent_searches=3", body).map(|kept| kept.len()),
        Some(4)
    );
    for (uri, body, expected) in [
        (
            "/_msearch",
            "{\"routing\":\"a\"}\n{\"size\":1}\n",
            vec![false],
        ),
        (
            "/_msearch?typed_keys=true",
            "{}\n{\"size\":1}\n",
            vec![false],
        ),
        ("/_msearch", "{}\n{\"size\":1}\n\n", vec![true]),
    ] {
        assert_eq!(kept(uri, body), Some(expected), "{uri} {body}");
    }
}

#[test]
fn what_the_root_refuses_or_answers_once_is_not_looked_up() {
    let one = "{}\n{\"size\":1}\n";
    for (uri, body) in [
        ("/_msearch", ""),
        ("/_msearch", "{}\n{\"size\":1}"),
        ("/_msearch", "{}\n{\"size\":1}\n{}\n"),
        ("/_msearch?pretty", one),
        ("/_msearch?filter_path=took", one),
        ("/_msearch?format=yaml", one),
        ("/_msearch?max_concurrent_searches=0", one),
        ("/_msearch?search_type=nope", one),
        ("/_msearch?nope=1", one),
        ("/_msearch", "{\"request_cache\":false}\n{\"size\":1}\n"),
        ("/_msearch", "{\"nope\":1}\n{\"size\":1}\n"),
        ("/_msearch", "{}\n{\"profile\":true}\n"),
        ("/gone/_msearch", one),
        ("/_search", one),
    ] {
        assert!(searches(uri, body).is_none(), "{uri} {body}");
    }
    let body: &str = Box::leak(one.repeat(MAX_KEPT_SEARCHES + 1).into_boxed_str());
    assert!(searches("/_msearch", body).is_none());
    let mixed = searches("/_msearch", "{}\n{\"profile\":true}\n{}\n{\"size\":1}\n");
    let mixed = mixed.expect("one of them may be kept");
    let is_kept: Vec<_> = mixed.keeps().iter().map(Option::is_some).collect();
    assert_eq!(is_kept, [false, true]);
    assert_eq!(mixed.body_for(&[1]), "{}\n{\"size\":1}\n");
}

#[test]
fn answers_are_cut_and_joined_to_the_byte() {
    let mixed = searches("/_msearch", "{}\n{\"size\":1}\n{}\n{}\n").expect("two searches");
    let first = r#"{"took":3,"hits":{"hits":[{"_source":{"a":"]},{"}}]},"status":200}"#;
    let second = r#"{"error":{"reason":"\"status\":1}"},"status":429}"#;
    let whole = format!(r#"{{"took":7,"responses":[{first},{second}]}}"#);
    let edition = Edition([7; 16]);
    let mut answer = Response::new(Bytes::from(whole.clone()));
    let list = edition_list(&[Some(edition), None]);
    let list = list.parse().expect("a header");
    answer
        .headers_mut()
        .insert(gleaner_cache::respond::X_EDITION, list);
    let answers = mixed.answers_in(&answer, 2).expect("two answers");
    assert_eq!(answers[0].body, first.replace(r#","status":200"#, ""));
    assert_eq!(
        (answers[0].status, answers[0].edition),
        (StatusCode::OK, Some(edition))
    );
    assert_eq!(answers[1].body, second);
    let refused = (answers[1].status, answers[1].edition);
    assert_eq!(refused, (StatusCode::TOO_MANY_REQUESTS, None));
    let parts: Vec<_> = answers
        .into_iter()
        .map(|answer| (answer.status, answer.body))
        .collect();
    assert_eq!(Searches::joined(&parts, Duration::from_millis(7)), whole);
    assert!(mixed.answers_in(&answer, 3).is_none(), "another number");
    answer
        .headers_mut()
        .insert(header::WARNING, "299 - \"old\"".parse().expect("a header"));
    let warned = mixed.answers_in(&answer, 2).expect("two answers");
    assert_eq!(warned[0].edition, None, "it may be about any of them");
    *answer.status_mut() = StatusCode::BAD_REQUEST;
    assert!(mixed.answers_in(&answer, 2).is_none(), "a refusal of all");
}
