//! Who passes the guard.

use http::Method;

use super::*;

fn request(method: Method, headers: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = "/books/_delete_by_query?q=*".parse().expect("a path");
    for (name, value) in headers {
        let name: http::HeaderName = name.parse().expect("a name");
        request
            .headers_mut()
            .append(name, value.parse().expect("a value"));
    }
    request
}

/// Returns the status with which a request is refused or answered; 0 when it passes.
fn judged(guard: &Guard, method: Method, headers: &[(&str, &str)]) -> u16 {
    match guard.check(&request(method, headers)) {
        Ok(_) => 0,
        Err(answered) => answered.status().as_u16(),
    }
}

fn cors(allow_origin: &str) -> Guard {
    let settings = CorsSettings {
        allow_origin,
        allow_methods: "GET, POST",
        allow_headers: "Content-Type",
        expose_headers: "X-elastic-product",
        allow_credentials: true,
        max_age_seconds: 7,
    };
    Guard {
        cors: Cors::new(settings).expect("valid settings"),
        ..Guard::default()
    }
}

#[test]
fn a_node_is_called_by_an_address_or_one_of_its_names() {
    let guard = Guard {
        hosts: Hosts::new(["leaf-1", "search.example.com:9200", " *.svc.local", ""]),
        ..Guard::default()
    };
    let passes = |host: &str| judged(&guard, Method::GET, &[("host", host)]);
    for host in [
        "127.0.0.1",
        "10.1.2.3:9200",
        "[::1]:9200",
        "[2001:db8::1]",
        "localhost:9200",
        "LocalHost",
        "a.localhost",
        "leaf-1",
        "LEAF-1:9200",
        "search.example.com",
        "search.example.com.:443",
        "a.b.svc.local:1",
        "",
    ] {
        assert_eq!(passes(host), 0, "{host}");
    }
    for host in [
        "rebind.attacker.example:9200",
        "leaf-1.attacker.example",
        "localhost.attacker.example",
        "127.0.0.1.attacker.example",
        "svc.local",
        "xsvc.local",
        "[::1].attacker.example",
        "[attacker.example]",
        "leaf-1:9200:9200",
        "leaf-1@attacker.example",
        "leaf-1:x",
    ] {
        assert_eq!(passes(host), 421, "{host}");
    }
    let any = Guard {
        hosts: Hosts::new(["*"]),
        ..Guard::default()
    };
    assert_eq!(judged(&any, Method::GET, &[("host", "any.example")]), 0);
    let two = [("host", "127.0.0.1"), ("host", "attacker.example")];
    assert_eq!(judged(&guard, Method::GET, &two), 421, "both are checked");
    assert_eq!(
        judged(&guard, Method::GET, &[]),
        0,
        "no browser leaves it out"
    );
}

#[test]
fn the_authority_of_the_path_is_checked_as_the_header_is() {
    let mut request = request(Method::GET, &[("host", "127.0.0.1")]);
    *request.uri_mut() = "http://attacker.example/".parse().expect("a URL");
    assert!(Guard::default().check(&request).is_err());
    *request.uri_mut() = "http://127.0.0.1:9200/".parse().expect("a URL");
    assert!(Guard::default().check(&request).is_ok());
}

#[test]
fn another_origin_is_refused_whatever_the_method() {
    let guard = Guard::default();
    let host = ("host", "127.0.0.1:9200");
    for method in [Method::GET, Method::POST, Method::DELETE, Method::OPTIONS] {
        for origin in [
            "https://evil.example",
            "null",
            "http://127.0.0.1:3000",
            "http://127.0.0.1",
            "127.0.0.1:9200",
            "",
        ] {
            let status = judged(&guard, method.clone(), &[host, ("origin", origin)]);
            assert_eq!(status, 403, "{method} {origin}");
        }
        let own = [host, ("origin", "http://127.0.0.1:9200")];
        assert_eq!(judged(&guard, method.clone(), &own), 0, "{method}");
    }
}

#[test]
fn what_a_browser_says_of_the_site_counts_too() {
    let guard = Guard::default();
    for (site, status) in [
        ("cross-site", 403),
        ("same-site", 403),
        ("same-origin", 0),
        ("none", 0),
        ("something-new", 403),
    ] {
        let headers = [("sec-fetch-site", site)];
        assert_eq!(judged(&guard, Method::GET, &headers), status, "{site}");
    }
    // A proxy that calls the node by another name than the browser calls the proxy.
    let proxied = [
        ("host", "127.0.0.1:9200"),
        ("origin", "https://search.example.com"),
        ("sec-fetch-site", "same-origin"),
    ];
    assert_eq!(judged(&guard, Method::POST, &proxied), 0);
}

#[test]
fn probes_pass_whoever_asks() {
    for path in OPEN_PATHS {
        let headers = [("host", "attacker.example"), ("origin", "null")];
        let mut request = request(Method::GET, &headers);
        *request.uri_mut() = path.parse().expect("a path");
        assert!(Guard::default().check(&request).is_ok(), "{path}");
    }
}

#[test]
fn allowed_origins_pass_and_see_the_answer() {
    let evil = [("origin", "https://evil.example")];
    let good = [
        ("origin", "https://app.example.com"),
        ("sec-fetch-site", "cross-site"),
    ];
    for allowed in [
        "https://app.example.com",
        "http://x, HTTPS://app.example.com",
        "/https?:\\/\\/.*\\.example\\.com/",
    ] {
        let guard = cors(allowed);
        assert_eq!(judged(&guard, Method::POST, &evil), 403, "{allowed}");
        let passed = guard.check(&request(Method::POST, &good)).ok();
        let mut response = Response::new(Body::empty());
        passed.expect(allowed).mark(&mut response);
        let headers = response.headers();
        assert_eq!(
            headers["access-control-allow-origin"],
            "https://app.example.com"
        );
        assert_eq!(headers["access-control-allow-credentials"], "true");
        assert_eq!(
            headers["access-control-expose-headers"],
            "X-elastic-product"
        );
        assert_eq!(headers["vary"], "Origin");
    }
    let all = cors("*");
    assert_eq!(judged(&all, Method::POST, &evil), 0);
    let site = [("sec-fetch-site", "cross-site")];
    assert_eq!(judged(&all, Method::GET, &site), 0);
    assert_eq!(judged(&cors("/x/"), Method::GET, &site), 403);
    assert!(
        Cors::new(CorsSettings {
            allow_origin: "/(/",
            allow_methods: "",
            allow_headers: "",
            expose_headers: "",
            allow_credentials: false,
            max_age_seconds: 0,
        })
        .is_err()
    );
}

#[test]
fn an_answer_says_that_it_depends_on_the_origin_where_some_are_allowed() {
    for (guard, is_said) in [
        (Guard::default(), false),
        (cors("*"), false),
        (cors("https://app.example.com"), true),
    ] {
        let passed = guard.check(&request(Method::GET, &[])).ok();
        let passed = passed.expect("no browser");
        assert_eq!(passed.is_unmarked(), !is_said);
        let mut response = Response::new(Body::empty());
        if is_said {
            passed.mark(&mut response);
            assert_eq!(response.headers()["vary"], "Origin");
        }
    }
}

#[test]
fn what_was_kept_is_for_those_whose_answers_stay_as_they_are() {
    let own = ("host", "127.0.0.1:9200");
    let passes = |guard: &Guard, headers: &[(&str, &str)]| {
        let (head, ()) = request(Method::GET, headers).into_parts();
        guard.passes(&head)
    };
    for (headers, expected) in [
        (&[own][..], true),
        (&[], true),
        (&[("host", "attacker.example")], false),
        (&[own, ("host", "attacker.example")], false),
        (&[own, ("origin", "https://evil.example")], false),
        (&[own, ("origin", "null")], false),
        (&[own, ("origin", "http://127.0.0.1:9200")], true),
        (&[own, ("sec-fetch-site", "cross-site")], false),
        (&[own, ("sec-fetch-site", "same-origin")], true),
    ] {
        assert_eq!(passes(&Guard::default(), headers), expected, "{headers:?}");
    }
    let allowed = [own, ("origin", "https://app.example.com")];
    assert!(
        !passes(&cors("https://app.example.com"), &allowed),
        "its answer is marked"
    );
}

#[test]
fn a_preflight_is_answered_for_allowed_origins_only() {
    let asked = ("access-control-request-method", "DELETE");
    let good = [("origin", "https://app.example.com"), asked];
    let guard = cors("https://app.example.com");
    let answered = guard.check(&request(Method::OPTIONS, &good)).err();
    let answered = answered.expect("answered here");
    assert_eq!(answered.status(), StatusCode::OK);
    let headers = answered.headers();
    assert_eq!(headers["access-control-allow-methods"], "GET,POST");
    assert_eq!(headers["access-control-allow-headers"], "Content-Type");
    assert_eq!(headers["access-control-max-age"], "7");
    let evil = [("origin", "https://evil.example"), asked];
    assert_eq!(judged(&guard, Method::OPTIONS, &evil), 403);
    assert_eq!(judged(&Guard::default(), Method::OPTIONS, &good), 403);
}
