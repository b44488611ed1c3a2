//! Heads as clients send them, and what is left of them.

use http::{Request, StatusCode};

use super::*;

const CALLER: Caller = Caller {
    address: IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 9)),
    is_trusted_proxy: false,
    is_encrypted: true,
};

type Fields<'a> = &'a [(&'a str, &'a str)];

fn head(uri: &str, fields: Fields<'_>) -> request::Parts {
    let mut request = Request::get(uri);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).expect("a request").into_parts().0
}

fn cleaned(fields: Fields<'_>) -> HeaderMap {
    let mut head = head("/", &[&[("host", "search.example")], fields].concat());
    clean(&mut head, &CALLER).expect("clean");
    head.headers
}

#[test]
fn what_only_a_next_hop_may_say_is_taken_off() {
    let headers = cleaned(&[
        ("connection", "close, x-private, host, authorization"),
        ("x-private", "1"),
        ("keep-alive", "timeout=5"),
        ("te", "trailers"),
        ("transfer-encoding", "chunked"),
        ("content-length", "5"),
        ("upgrade", "h2c"),
        ("http2-settings", "x"),
        ("expect", "100-continue"),
        ("proxy-connection", "close"),
        ("authorization", "ApiKey x"),
        ("accept", "application/json"),
    ]);
    let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    let kept = [
        "accept",
        "authorization",
        "host",
        "via",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
    ];
    assert_eq!(names, kept);
}

#[test]
fn nobody_speaks_in_our_name_or_of_another_client() {
    let headers = cleaned(&[
        ("connection", "x-gleaner-remaining-ms"),
        ("x-gleaner-remaining-ms", "1"),
        ("X_Gleaner_Remaining_Ms", "1"),
        ("gleaner-principal", "root"),
        ("x-forwarded-for", "10.0.0.1"),
        ("x_forwarded_for", "10.0.0.1"),
        ("forwarded", "for=10.0.0.1"),
        ("x-real-ip", "10.0.0.1"),
        ("content_length", "5"),
        ("transfer_encoding", "chunked"),
        ("host_", "x"),
    ]);
    for name in headers.keys() {
        assert!(!name.as_str().contains("gleaner"), "{name}");
    }
    assert_eq!(headers["x-forwarded-for"], "203.0.113.9");
    assert_eq!(headers["x-forwarded-proto"], "https");
    assert_eq!(headers["x-forwarded-host"], "search.example");
    assert!(!headers.contains_key("content_length") && !headers.contains_key("transfer_encoding"));
}

#[test]
fn only_a_trusted_proxy_says_how_its_client_came() {
    for (is_trusted_proxy, proto) in [(true, "http"), (false, "https")] {
        let mut head = head("/", &[("host", "h"), ("x-forwarded-proto", "http")]);
        let caller = Caller {
            is_trusted_proxy,
            ..CALLER
        };
        clean(&mut head, &caller).expect("clean");
        assert_eq!(head.headers["x-forwarded-proto"], proto);
    }
}

#[test]
fn a_request_is_for_one_host() {
    let good: &[(&str, Fields<'_>)] = &[
        ("/", &[("host", "h:9200")]),
        ("/", &[("host", "[::1]:9200")]),
        ("http://h/", &[]),
        ("http://h/", &[("host", "H")]),
    ];
    for (uri, fields) in good {
        clean(&mut head(uri, fields), &CALLER).unwrap_or_else(|_| panic!("{uri} {fields:?}"));
    }
    let bad: &[(&str, Fields<'_>)] = &[
        ("/", &[]),
        ("/", &[("host", "")]),
        ("/", &[("host", "a"), ("host", "a")]),
        ("http://h/", &[("host", "g")]),
        ("/", &[("host", "a/b")]),
        ("/", &[("host", "a b")]),
        ("/", &[("host", "me@a")]),
        ("/", &[("host", "a, b")]),
        ("/", &[("host", "h:port")]),
        ("/", &[("host", "h:99999")]),
        ("http://me@h/", &[]),
    ];
    for (uri, fields) in bad {
        let refused = clean(&mut head(uri, fields), &CALLER).expect_err("refused");
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{uri} {fields:?}");
    }
    for method in [Method::CONNECT, Method::TRACE] {
        let mut head = head("/", &[("host", "h")]);
        head.method = method;
        let refused = clean(&mut head, &CALLER).expect_err("refused");
        assert_eq!(refused.status, StatusCode::METHOD_NOT_ALLOWED);
    }
}

#[test]
fn cookies_that_http2_split_are_one_field() {
    let headers = cleaned(&[("cookie", "a=1"), ("cookie", "b=2")]);
    assert_eq!(headers.get_all("cookie").iter().count(), 1);
    assert_eq!(headers["cookie"], "a=1; b=2");
}

#[test]
fn answers_lose_what_was_meant_for_the_front() {
    let lengths: &[(Fields<'_>, Option<&str>)] = &[
        (&[], None),
        (&[("content-length", "5")], Some("5")),
        (
            &[("content-length", "5"), ("content-length", "5")],
            Some("5"),
        ),
        (&[("content-length", "5, 5")], None),
        (
            &[("content-length", "5"), ("transfer-encoding", "chunked")],
            None,
        ),
    ];
    for (fields, length) in lengths {
        let mut answer = Response::builder()
            .version(Version::HTTP_10)
            .header("connection", "close, x-private")
            .header("x-private", "1")
            .header("content-type", "text/plain");
        for (name, value) in *fields {
            answer = answer.header(*name, *value);
        }
        let mut answer = answer.body(()).expect("an answer");
        clean_answer(&mut answer);
        assert_eq!(answer.version(), Version::HTTP_11);
        let told = answer.headers_mut().remove("content-length");
        assert_eq!(
            told.as_ref().and_then(|told| told.to_str().ok()),
            *length,
            "{fields:?}"
        );
        let names: Vec<&str> = answer.headers().keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["content-type"], "{fields:?}");
    }
}

#[test]
fn a_body_is_chunked_or_plain() {
    for (fields, is_taken) in [
        (&[][..], true),
        (&[("transfer-encoding", "Chunked")], true),
        (&[("transfer-encoding", "gzip, chunked")], false),
        (
            &[
                ("transfer-encoding", "chunked"),
                ("transfer-encoding", "chunked"),
            ],
            false,
        ),
    ] {
        let mut head = head("/", &[&[("host", "h")], fields].concat());
        let cleaned = clean(&mut head, &CALLER);
        let status = cleaned.err().map(|refusal| refusal.status);
        assert_eq!(status.is_none(), is_taken, "{fields:?}");
        assert!(is_taken || status == Some(StatusCode::NOT_IMPLEMENTED));
    }
}

#[test]
fn a_field_with_underscores_does_not_shadow_one_with_dashes() {
    let headers = cleaned(&[("x-user", "me"), ("x_user", "you"), ("x_other", "1")]);
    assert!(headers.contains_key("x-user") && headers.contains_key("x_other"));
    assert!(!headers.contains_key("x_user"));
}

#[test]
fn what_nodes_tell_each_other_stays_among_them() {
    let mut answer = http::Response::new(());
    for name in ["x-gleaner-cost-ms", "gleaner-edition", "x-cache"] {
        answer
            .headers_mut()
            .insert(name, HeaderValue::from_static("1"));
    }
    clean_answer(&mut answer);
    let names: Vec<&str> = answer.headers().keys().map(HeaderName::as_str).collect();
    assert_eq!(names, ["x-cache"]);
}
