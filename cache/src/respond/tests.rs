//! Headers of answers that are kept.

use super::*;

#[test]
fn a_tag_is_known_by_its_name_or_any() {
    let known = |list: &'static str| names(&HeaderValue::from_static(list), "\"a-b\"");
    for list in ["\"a-b\"", "*", "\"x\", \"a-b\"", "W/\"a-b\""] {
        assert!(known(list), "{list}");
    }
    for list in ["", "a-b", "\"a\"", "\"a-b"] {
        assert!(!known(list), "{list}");
    }
}

#[test]
fn an_answer_has_a_tag_only_where_its_edition_is_known() {
    let keep = Keep {
        key: gleaner_model::AnswerKey([1; 32]),
        targets: std::sync::Arc::default(),
        until_ms: None,
        renews: false,
        stale: Default::default(),
        patience: std::time::Duration::ZERO,
    };
    let answer = |edition| Answer {
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        body: bytes::Bytes::from_static(b"{}"),
        edition,
    };
    let any = Some(HeaderValue::from_static("*"));
    for (edition, is_conditional, if_none_match, status, has_tag) in [
        (None, true, &any, 200, false),
        (Some(Edition([2; 16])), false, &any, 200, false),
        (Some(Edition([2; 16])), true, &None, 200, true),
        (Some(Edition([2; 16])), true, &any, 304, true),
    ] {
        let wanted = Wanted {
            is_conditional,
            if_none_match: if_none_match.clone(),
            edition: false,
        };
        let response = respond(Served::Evaluated(answer(edition)), &keep, &wanted);
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(response.headers().contains_key(header::ETAG), has_tag);
        assert_eq!(response.headers()["x-cache"], "miss");
        assert_eq!(response.headers()["vary"], "accept, accept-encoding");
    }
}

#[test]
fn a_tag_is_weak_and_matches_as_it_was_sent() {
    let keep = crate::tests::world::keep(1);
    let answered = |if_none_match: Option<HeaderValue>| {
        let answer = Answer {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: bytes::Bytes::from_static(b"{}"),
            edition: Some(Edition([2; 16])),
        };
        let wanted = Wanted {
            is_conditional: true,
            if_none_match,
            edition: false,
        };
        respond(Served::Evaluated(answer), &keep, &wanted)
    };
    let first = answered(None);
    let tag = first.headers()[header::ETAG].clone();
    assert!(tag.as_bytes().starts_with(b"W/\""), "{tag:?}");
    let second = answered(Some(tag.clone()));
    assert_eq!(second.status(), StatusCode::NOT_MODIFIED);
    for name in [header::ETAG, header::VARY] {
        assert_eq!(second.headers()[&name], first.headers()[&name], "{name}");
    }
}

#[test]
fn an_answer_that_was_stale_behind_is_called_so() {
    let keep = crate::tests::world::keep(1);
    for (behind, said) in [("hit", "miss"), ("stale", "stale")] {
        let mut headers = HeaderMap::new();
        mark(&mut headers, behind);
        let answer = Answer {
            status: StatusCode::OK,
            headers,
            body: bytes::Bytes::from_static(b"{}"),
            edition: None,
        };
        let response = respond(Served::Evaluated(answer), &keep, &Wanted::default());
        assert_eq!(response.headers()["x-cache"], said);
    }
}

#[test]
fn an_answer_that_is_shared_is_as_old_as_it_came() {
    let answer = |word, age: &str| {
        let mut headers = HeaderMap::new();
        mark(&mut headers, word);
        headers.insert(header::AGE, age.parse().expect("a header"));
        Served::Shared(Answer {
            status: StatusCode::OK,
            headers,
            body: bytes::Bytes::new(),
            edition: None,
        })
    };
    let seconds = Duration::from_secs;
    for (served, origin) in [
        (answer("hit", "40"), Origin::Kept(seconds(40))),
        (answer("stale", "50"), Origin::Stale(seconds(50))),
        (answer("hit", "soon"), Origin::Kept(seconds(0))),
    ] {
        assert_eq!(Origin::of(&served), origin);
    }
}
