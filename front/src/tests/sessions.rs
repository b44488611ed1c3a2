//! Clients that are kept on one backend.

use std::collections::BTreeSet;

use super::*;

#[tokio::test]
async fn a_cookie_keeps_a_client_on_its_backend() {
    let backends = [
        Backend::start().await,
        Backend::start().await,
        Backend::start().await,
    ];
    let options = FrontOptions {
        session: Some("cookie".parse().expect("a key")),
        ..ahead_of(&backends.iter().collect::<Vec<_>>())
    };
    let front = listening(options).await;
    let mut all = BTreeSet::new();
    for _ in 0..30 {
        let first = ask(front.address, &get("/")).await;
        let line = first
            .lines()
            .find_map(|line| line.strip_prefix("set-cookie: "))
            .expect("set");
        let cookie = line.split(';').next().expect("a value");
        let own = first.lines().last().expect("a body").to_owned();
        for _ in 0..5 {
            let request = format!("GET / HTTP/1.1\r\nhost: h\r\ncookie: {cookie}\r\n\r\n");
            let next = ask(front.address, &request).await;
            assert!(
                next.ends_with(&own) && !next.contains("set-cookie"),
                "{next}"
            );
        }
        all.insert(own);
    }
    assert_eq!(all.len(), 3, "sessions spread");
}

#[tokio::test]
async fn a_header_names_a_session() {
    let backends = [Backend::start().await, Backend::start().await];
    let options = FrontOptions {
        session: Some("header:x-user".parse().expect("a key")),
        ..ahead_of(&[&backends[0], &backends[1]])
    };
    let front = listening(options).await;
    for user in ["a", "b", "c", "d"] {
        let request = format!("GET / HTTP/1.1\r\nhost: h\r\nx-user: {user}\r\n\r\n");
        let first = ask(front.address, &request).await;
        for _ in 0..5 {
            assert_eq!(
                ask(front.address, &request).await.lines().last(),
                first.lines().last()
            );
        }
    }
}
