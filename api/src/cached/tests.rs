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

#[tokio::test]
async fn an_answer_has_a_tag_only_where_its_edition_is_known() {
    let keep = Keep {
        key: gleaner_model::AnswerKey([1; 32]),
        targets: Arc::default(),
        until_ms: None,
        patience: std::time::Duration::ZERO,
    };
    let answer = |edition| Answer {
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        body: bytes::Bytes::from_static(b"{}"),
        edition,
    };
    let any = Some(HeaderValue::from_static("*"));
    for (edition, condition, status, has_tag) in [
        (None, Some(&any), 200, false),
        (Some(Edition([2; 16])), None, 200, false),
        (Some(Edition([2; 16])), Some(&None), 200, true),
        (Some(Edition([2; 16])), Some(&any), 304, true),
    ] {
        let response = respond(Served::Evaluated(answer(edition)), &keep, condition);
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(response.headers().contains_key(header::ETAG), has_tag);
        assert_eq!(response.headers()["x-cache"], "miss");
    }
}
