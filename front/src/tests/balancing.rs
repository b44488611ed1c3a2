//! Which backends are asked.

use super::*;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[tokio::test]
async fn requests_that_are_open_even_out() {
    let mut backends = Vec::new();
    for _ in 0..4 {
        backends.push(Recorder::replying(|_| Reply::Silence(Vec::new())).await);
    }
    let addresses: Vec<_> = backends.iter().map(|backend| backend.address).collect();
    let front = Running::ahead_of(&addresses, unprobed()).await;
    let mut clients = Vec::new();
    for number in 1..=40 {
        let mut client = front.client().await;
        client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
        clients.push(client);
        let all_arrived = async {
            while backends.iter().map(Recorder::num_arrived).sum::<usize>() < number {
                tokio::task::yield_now().await;
            }
        };
        soon("a request", all_arrived).await;
    }
    for backend in &backends {
        let num_open = backend.num_arrived();
        assert!((6..=14).contains(&num_open), "{num_open}");
    }
}

#[tokio::test]
async fn a_backend_that_is_not_ready_is_asked_once_it_is() {
    let is_ready = Arc::new(AtomicBool::new(false));
    let says = Arc::clone(&is_ready);
    let waking = Recorder::replying(move |arrived| {
        match arrived.line == "GET /ready" && !says.load(Ordering::Relaxed) {
            true => Reply::Bytes(recorder::plain("503 Later", "")),
            false => Reply::Echo,
        }
    })
    .await;
    let other = Recorder::start().await;
    let options = FrontOptions {
        ready_path: Some("/ready".to_owned()),
        probe_every: SHORT / 20,
        ..FrontOptions::default()
    };
    let front = Running::ahead_of(&[waking.address, other.address], options).await;
    // The second look begins when the first is known.
    waking
        .until("two looks", |seen| seen.arrived.len() >= 2)
        .await;
    let mut client = front.client().await;
    for _ in 0..20 {
        assert_eq!(client.get("/").await.expect("an answer").body, "GET /");
    }
    let is_asked =
        |seen: &recorder::Seen| seen.arrived.iter().any(|arrived| arrived.line == "GET /");
    assert!(!is_asked(&waking.seen()));
    is_ready.store(true, Ordering::Relaxed);
    let asking = async {
        // It warms up: it is asked when the other is busy, which many at once make it.
        while !is_asked(&waking.seen()) {
            let mut clients = Vec::new();
            for _ in 0..30 {
                let mut client = front.client().await;
                client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
                clients.push(client);
            }
            for client in &mut clients {
                client.answer().await.expect("an answer");
            }
        }
    };
    soon("a request", asking).await;
}

#[tokio::test]
async fn where_no_backend_is_ready_all_are_asked() {
    let backend = Recorder::replying(|arrived| match arrived.line == "GET /ready" {
        true => Reply::Bytes(recorder::plain("503 Later", "")),
        false => Reply::Echo,
    })
    .await;
    let options = FrontOptions {
        ready_path: Some("/ready".to_owned()),
        probe_every: SHORT / 20,
        answers_probes: true,
        ..FrontOptions::default()
    };
    let front = Running::ahead_of(&[backend.address], options).await;
    backend
        .until("two looks", |seen| seen.arrived.len() >= 2)
        .await;
    assert!(!front.front.is_ready());
    let ready = front
        .client()
        .await
        .get("/_health/ready")
        .await
        .expect("an answer");
    assert_eq!(ready.status, 503);
    let live = front
        .client()
        .await
        .get("/_health/live")
        .await
        .expect("an answer");
    assert_eq!(live.status, 200);
    let answer = front.client().await.get("/").await.expect("an answer");
    assert_eq!(answer.body, "GET /");
}
