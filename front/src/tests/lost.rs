//! Connections that break without an answer: a backend may have died of the request, or only have closed what was kept.

use super::*;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::recorder::{Arrived, Seen};
use super::retries::{by_header, session_of};

/// Bytes of an answer that no buffers on its way hold.
const LARGE: usize = 64 << 20;

/// Options by which every request changes nothing.
fn reading() -> FrontOptions {
    FrontOptions {
        is_read: |_, path| path != "/write",
        ..unprobed()
    }
}

/// A backend that dies of a request for `/poison`.
async fn mortal() -> Recorder {
    Recorder::replying(|arrived| match arrived.line.ends_with("/poison") {
        true => Reply::Death,
        false => Reply::Echo,
    })
    .await
}

/// A backend that answers one request of a connection, and closes it at the second without a word. A request for
/// `/never` is never answered.
async fn closing() -> Recorder {
    let asked = Mutex::new(HashMap::new());
    Recorder::replying(move |arrived| {
        let mut asked = asked.lock();
        let num_asked = asked.entry(arrived.connection).or_insert(0);
        *num_asked += 1;
        // A reply is asked for when the head is there, and again with the body.
        let is_first = *num_asked <= 2;
        match is_first && !arrived.line.ends_with("/never") {
            true => Reply::Echo,
            false => Reply::Last(Vec::new()),
        }
    })
    .await
}

fn num_of(backends: &[Recorder], line: &str) -> usize {
    let seen = backends.iter().flat_map(|backend| backend.seen().arrived);
    seen.filter(|arrived| arrived.line == line).count()
}

#[tokio::test]
async fn a_request_that_costs_a_backend_its_life_is_not_sent_to_another() {
    // The first request of a connection, and a further one of a kept one.
    for num_before in [0, 1, 8] {
        for request in ["GET", "POST"] {
            let backends = [mortal().await, mortal().await, mortal().await];
            let addresses = backends.each_ref().map(|backend| backend.address);
            let front = Running::ahead_of(&addresses, reading()).await;
            let mut client = front.client().await;
            for _ in 0..num_before {
                client.post("/", "").await.expect("an answer");
            }
            let answer = match request {
                "GET" => client.get("/poison").await,
                _ => client.post("/poison", "{}").await,
            };
            assert_eq!(answer.expect("an answer").status, 502, "{num_before}");
            let line = format!("{request} /poison");
            assert_eq!(num_of(&backends, &line), 1, "{num_before} before");
            // The others live, and one that takes no connection is gone around.
            for _ in 0..20 {
                let answer = client.get("/").await.expect("an answer");
                assert_eq!(answer.status, 200, "{}", answer.body);
            }
        }
    }
}

/// A backend that dies of a request for `/poison`, and keeps silent on all others once it `is_busy`.
async fn busy_and_mortal(is_busy: &Arc<AtomicBool>) -> Recorder {
    let is_busy = Arc::clone(is_busy);
    let reply = move |arrived: &Arrived| match is_busy.load(Ordering::Relaxed) {
        _ if arrived.line.ends_with("/poison") => Reply::Death,
        true => Reply::Silence(Vec::new()),
        false => Reply::Echo,
    };
    Recorder::replying(reply).await
}

#[tokio::test]
async fn what_was_answered_a_moment_ago_outlives_a_backend_that_dies_beside_it() {
    let is_busy = Arc::<AtomicBool>::default();
    let backends = [busy_and_mortal(&is_busy).await, Recorder::start().await];
    let addresses = backends.each_ref().map(|backend| backend.address);
    let options = FrontOptions {
        is_read: |_, path| path != "/write",
        same_work: |head| head.uri.path().strip_suffix(char::is_numeric),
        ..by_header()
    };
    let front = Running::ahead_of(&addresses, options).await;
    let session = session_of(0, &addresses);
    let post = |path: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: h\r\nX-Session: {session}\r\nContent-Length: 2\r\n\r\n{{}}"
        )
    };
    let mut client = front.client().await;
    for path in ["/read", "/document/1", "/write"] {
        client.send(post(path)).await;
        assert_eq!(client.answer().await.expect("an answer").status, 200);
    }
    is_busy.store(true, Ordering::Relaxed);
    let asked = ["/read", "/document/2", "/new", "/write"];
    let mut waiting = Vec::new();
    for path in asked {
        let mut client = front.client().await;
        client.send(post(path)).await;
        waiting.push(client);
    }
    backends[0]
        .until("all of them", |seen| seen.arrived.len() == 3 + asked.len())
        .await;
    client.send(post("/poison")).await;
    let mut statuses = Vec::new();
    for client in waiting.iter_mut().chain([&mut client]) {
        statuses.push(client.answer().await.expect("an answer").status);
    }
    assert_eq!(statuses, [200, 200, 502, 502, 502]);
    assert_eq!(backends[1].num_arrived(), 2);
}

#[tokio::test]
async fn what_breaks_the_connection_to_a_second_backend_is_not_familiar_any_more() {
    let is_breaking = Arc::<AtomicBool>::default();
    let mut backends = Vec::new();
    for _ in 0..2 {
        let is_breaking = Arc::clone(&is_breaking);
        let reply = move |_: &Arrived| match is_breaking.load(Ordering::Relaxed) {
            true => Reply::Last(Vec::new()),
            false => Reply::Echo,
        };
        backends.push(Recorder::replying(reply).await);
    }
    let addresses: Vec<_> = backends.iter().map(|backend| backend.address).collect();
    let front = Running::ahead_of(&addresses, by_header()).await;
    let session = session_of(0, &addresses);
    let request = format!("GET /read HTTP/1.1\r\nHost: h\r\nX-Session: {session}\r\n\r\n");
    let mut client = front.client().await;
    client.send(&request).await;
    assert_eq!(client.answer().await.expect("an answer").status, 200);
    is_breaking.store(true, Ordering::Relaxed);
    // Over the connection that was kept, a fresh one, and to the other backend; then to the first one alone.
    for (num_arrived, of) in [([3, 1], "familiar"), ([4, 1], "forgotten")] {
        client.send(&request).await;
        assert_eq!(client.answer().await.expect("an answer").status, 502);
        let arrived: Vec<_> = backends.iter().map(Recorder::num_arrived).collect();
        assert_eq!(arrived, num_arrived, "{of}");
    }
}

#[tokio::test]
async fn what_a_kept_connection_lost_goes_once_over_a_fresh_one_where_it_changes_nothing() {
    for number in [1, 2] {
        let mut backends = Vec::new();
        for _ in 0..number {
            backends.push(closing().await);
        }
        let addresses: Vec<_> = backends.iter().map(|backend| backend.address).collect();
        let front = Running::ahead_of(&addresses, reading()).await;
        let mut client = front.client().await;
        for asked in 0..60 {
            let answer = match asked % 2 {
                0 => client.get("/read").await,
                _ => client.post("/read", "hello").await,
            };
            assert_eq!(answer.expect("an answer").status, 200, "{asked}");
        }
    }
}

#[tokio::test]
async fn what_changes_something_or_breaks_a_fresh_connection_is_not_sent_again() {
    for (path, num_sent) in [("/write", 1), ("/never", 2)] {
        let backends = [closing().await];
        let front = Running::ahead_of(&[backends[0].address], reading()).await;
        let mut client = front.client().await;
        client.get("/").await.expect("an answer");
        let answer = client.post(path, "hello").await.expect("an answer");
        assert_eq!(answer.status, 502, "{path}");
        assert_eq!(num_of(&backends, &format!("POST {path}")), num_sent);
    }
    let backends = [closing().await];
    let front = Running::ahead_of(&[backends[0].address], reading()).await;
    let answer = front.client().await.get("/never").await;
    assert_eq!(answer.expect("an answer").status, 502);
    assert_eq!(num_of(&backends, "GET /never"), 1, "its connection is new");
}

#[tokio::test]
async fn a_connection_that_breaks_takes_those_that_are_kept_beside_it_along() {
    let asked = Mutex::new(HashMap::new());
    let large = format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n");
    let large = [large.into_bytes(), vec![b'a'; LARGE]].concat();
    let backend = Recorder::replying(move |arrived| {
        let mut asked = asked.lock();
        let num_asked = asked.entry(arrived.connection).or_insert(0);
        *num_asked += 1;
        // A reply is asked for when the head is there, and again with the body.
        match arrived.line.as_str() {
            _ if *num_asked > 2 => Reply::Last(Vec::new()),
            "GET /large" => Reply::Bytes(large.clone()),
            _ => Reply::Echo,
        }
    })
    .await;
    let front = Running::ahead_of(&[backend.address], reading()).await;
    let [mut slow, mut client] = [front.client().await, front.client().await];
    // One connection is busy with what nobody reads yet, so that there is another one.
    slow.send("GET /large HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let has_arrived = |seen: &Seen| seen.arrived.len() == 1;
    backend.until("the large one", has_arrived).await;
    client.get("/").await.expect("an answer");
    assert_eq!(slow.answer().await.expect("an answer").status, 200);
    let before = backend.seen().arrived;
    assert_ne!(before[0].connection, before[1].connection);
    let mut statuses = Vec::new();
    for _ in 0..2 {
        let answer = client.post("/write", "hello").await;
        statuses.push(answer.expect("an answer").status);
    }
    assert_eq!(statuses, [502, 200]);
}

#[tokio::test]
async fn a_kept_connection_that_breaks_late_was_lost_with_the_work() {
    let backends = [closing().await, closing().await];
    let addresses = backends.each_ref().map(|backend| backend.address);
    let options = FrontOptions {
        lost_within: std::time::Duration::ZERO,
        ..reading()
    };
    let front = Running::ahead_of(&addresses, options).await;
    let mut client = front.client().await;
    let mut statuses = Vec::new();
    for number in 0..12 {
        let path = format!("/{number}");
        statuses.push(client.get(&path).await.expect("an answer").status);
        assert_eq!(num_of(&backends, &format!("GET {path}")), 1);
    }
    assert!(statuses.contains(&502), "{statuses:?}");
}

#[tokio::test]
async fn connections_to_backends_are_kept_as_long_as_is_said() {
    for (backend_idle, num_connections) in [(PATIENCE * 60, 1), (SHORT / 200, 2)] {
        let backend = Recorder::start().await;
        let options = FrontOptions {
            backend_idle,
            ..unprobed()
        };
        let front = Running::ahead_of(&[backend.address], options).await;
        // The first connection is the look.
        backend
            .until("the first look", |seen| seen.num_ended == 1)
            .await;
        let mut client = front.client().await;
        client.get("/").await.expect("an answer");
        if num_connections == 2 {
            backend.until("its end", |seen| seen.num_ended == 2).await;
        }
        client.get("/").await.expect("an answer");
        assert_eq!(backend.seen().num_connections, 1 + num_connections);
    }
    let backend = Recorder::start().await;
    let options = FrontOptions {
        backend_idle: std::time::Duration::ZERO,
        ..unprobed()
    };
    let front = Running::ahead_of(&[backend.address], options).await;
    front.client().await.get("/").await.expect("an answer");
    backend.until("both ends", |seen| seen.num_ended == 2).await;
}
