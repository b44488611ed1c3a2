//! Requests of a client stay on one backend.

use super::*;

use crate::TrustedProxies;

async fn three() -> Vec<Recorder> {
    let mut backends = Vec::new();
    for _ in 0..3 {
        backends.push(Recorder::start().await);
    }
    backends
}

async fn by(key: &str, backends: &[Recorder]) -> Running {
    let addresses: Vec<_> = backends.iter().map(|backend| backend.address).collect();
    let options = FrontOptions {
        session: Some(key.parse().expect("a key")),
        trusted_proxies: TrustedProxies::new(vec!["127.0.0.0/8".parse().expect("a network")]),
        ..unprobed()
    };
    Running::ahead_of(&addresses, options).await
}

/// Sends requests with this field on a connection of each, and returns the places of the backends that saw them.
async fn places(front: &Running, backends: &[Recorder], field: &str) -> Vec<usize> {
    for _ in 0..10 {
        let mut client = front.client().await;
        client
            .send(format!("GET / HTTP/1.1\r\nHost: h\r\n{field}\r\n\r\n"))
            .await;
        assert_eq!(client.answer().await.expect("an answer").status, 200);
    }
    let num_arrived = |backend: &Recorder| backend.take().arrived.len();
    let counts: Vec<usize> = backends.iter().map(num_arrived).collect();
    (0..counts.len()).filter(|at| counts[*at] > 0).collect()
}

#[tokio::test]
async fn a_cookie_keeps_a_client_on_its_backend() {
    let backends = three().await;
    let front = by("cookie", &backends).await;
    let mut used = Vec::new();
    for _ in 0..12 {
        let first = front.client().await.get("/").await.expect("an answer");
        let cookie = first.field("set-cookie").expect("a new session");
        assert!(
            cookie.contains("httponly; samesite=lax; path=/"),
            "{cookie}"
        );
        assert!(
            !cookie.contains("secure"),
            "the connection is plain: {cookie}"
        );
        let (pair, _) = cookie.split_once(';').expect("attributes");
        let begun_at = backends
            .iter()
            .position(|backend| backend.take().arrived.len() == 1);
        let field = format!("Cookie: other=1; {pair}");
        let at = places(&front, &backends, &field).await;
        assert_eq!(at, [begun_at.expect("one")]);
        used.extend(at);
    }
    used.sort_unstable();
    used.dedup();
    assert!(used.len() > 1, "sessions spread");
}

#[tokio::test]
async fn a_session_that_is_known_sets_no_cookie() {
    let backends = three().await;
    let front = by("cookie:kept", &backends).await;
    let mut client = front.client().await;
    client
        .send("GET / HTTP/1.1\r\nHost: h\r\nCookie: kept=x\r\n\r\n")
        .await;
    let answer = client.answer().await.expect("an answer");
    assert_eq!(answer.field("set-cookie"), None);
}

#[tokio::test]
async fn a_header_or_the_address_behind_a_proxy_keeps_a_client_on_its_backend() {
    let backends = three().await;
    for (key, field) in [("header:X-User", "X-User"), ("address", "X-Forwarded-For")] {
        let front = by(key, &backends).await;
        let mut used = Vec::new();
        for number in 1..=12 {
            let field = format!("{field}: 203.0.113.{number}");
            let at = places(&front, &backends, &field).await;
            assert_eq!(at.len(), 1, "{field}");
            used.extend(at);
        }
        used.sort_unstable();
        used.dedup();
        assert!(used.len() > 1, "{key}: sessions spread");
    }
}

#[tokio::test]
async fn a_session_is_nowhere_else_however_many_of_its_requests_are_under_way() {
    for num_open in [2, 3, 8, 64] {
        let mut backends = Vec::new();
        for _ in 0..3 {
            backends.push(Recorder::replying(|_| Reply::Silence(Vec::new())).await);
        }
        let front = by("cookie", &backends).await;
        let mut clients = Vec::new();
        for number in 1..=num_open {
            let mut client = front.client().await;
            client
                .send("GET / HTTP/1.1\r\nHost: h\r\nCookie: gleaner_session=x\r\n\r\n")
                .await;
            clients.push(client);
            let arrived = async {
                while backends.iter().map(Recorder::num_arrived).sum::<usize>() < number {
                    tokio::task::yield_now().await;
                }
            };
            soon("a request", arrived).await;
        }
        let mut arrived: Vec<usize> = backends.iter().map(Recorder::num_arrived).collect();
        arrived.sort_unstable();
        assert_eq!(arrived, [0, 0, num_open]);
    }
}
