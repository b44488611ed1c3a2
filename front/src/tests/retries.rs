//! Requests that are sent twice, requests that are not, and answers to clients when no backend answers.

use super::*;

use gleaner_shard_router::order_for_session;

use crate::SessionKey;

/// A backend whose answers cannot be passed on.
async fn unreadable() -> Recorder {
    Recorder::replying(|_| Reply::Last(b"no HTTP\r\n\r\n".to_vec())).await
}

/// A backend that takes requests and never answers.
async fn silent() -> Recorder {
    Recorder::replying(|_| Reply::Silence(Vec::new())).await
}

/// Returns a session of the backend at `wanted` of these.
pub(super) fn session_of(wanted: usize, backends: &[SocketAddr]) -> String {
    let names: Vec<String> = backends
        .iter()
        .map(|address| format!("http://{address}"))
        .collect();
    (0..1_000)
        .map(|number| number.to_string())
        .find(|session| order_for_session(session.as_bytes(), &names)[0] == wanted)
        .expect("one of so many")
}

pub(super) fn by_header() -> FrontOptions {
    FrontOptions {
        session: Some("header:X-Session".parse::<SessionKey>().expect("a key")),
        ..unprobed()
    }
}

#[tokio::test]
async fn what_did_not_reach_its_backend_reaches_another() {
    let (gone, other) = (Recorder::start().await, Recorder::start().await);
    let addresses = [gone.address, other.address];
    let front = Running::ahead_of(&addresses, by_header()).await;
    gone.until("the first look", |seen| seen.num_ended == 1)
        .await;
    drop(gone);
    let session = session_of(0, &addresses);
    let mut client = front.client().await;
    for rest in [
        "Content-Length: 5\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ] {
        let head = format!("POST /write HTTP/1.1\r\nHost: h\r\nX-Session: {session}\r\n");
        client.send(head + rest).await;
        let answer = client.answer().await.expect("an answer");
        assert_eq!((answer.status, &*answer.body), (200, "POST /write"));
    }
    let seen = other.take();
    assert!(
        seen.arrived.iter().all(|arrived| arrived.body == b"hello"),
        "{seen:?}"
    );
    assert_eq!(seen.arrived.len(), 2);
}

#[tokio::test]
async fn only_what_changes_nothing_is_sent_to_a_second_backend() {
    let backends = [unreadable().await, unreadable().await];
    let addresses = backends.each_ref().map(|backend| backend.address);
    let options = FrontOptions {
        is_read: |method, path| method == http::Method::GET || path == "/read",
        ..unprobed()
    };
    let front = Running::ahead_of(&addresses, options).await;
    let chunked = "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    for (request, num_sent) in [
        ("GET /any HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(), 2),
        (
            "POST /read HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi".to_owned(),
            2,
        ),
        (
            "POST /write HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi".to_owned(),
            1,
        ),
        // Of this one nothing is at hand any more.
        (format!("POST /read HTTP/1.1\r\nHost: h\r\n{chunked}"), 1),
    ] {
        let mut client = front.client().await;
        client.send(&request).await;
        let answer = client.answer().await.expect("an answer");
        assert_eq!(answer.status, 502, "{request}");
        let num_arrived = |backend: &Recorder| backend.take().arrived.len();
        assert_eq!(
            backends.iter().map(num_arrived).sum::<usize>(),
            num_sent,
            "{request}"
        );
    }
}

#[tokio::test]
async fn retries_are_a_burst_and_then_a_share() {
    let backends = [unreadable().await, unreadable().await];
    let addresses = backends.each_ref().map(|backend| backend.address);
    let front = Running::ahead_of(&addresses, unprobed()).await;
    for _ in 0..50 {
        let answer = front.client().await.get("/").await.expect("an answer");
        assert_eq!(answer.status, 502);
    }
    let num_arrived: usize = backends.iter().map(Recorder::num_arrived).sum();
    assert!((70..=75).contains(&num_arrived), "{num_arrived}");
}

#[tokio::test]
async fn a_request_that_no_backend_answers_in_time_is_504_and_not_sent_again() {
    let backends = [silent().await, silent().await];
    let addresses = backends.each_ref().map(|backend| backend.address);
    let options = FrontOptions {
        answer_within: SHORT,
        tells_deadline: true,
        ..unprobed()
    };
    let front = Running::ahead_of(&addresses, options).await;
    let mut client = front.client().await;
    client
        .send("GET / HTTP/1.1\r\nHost: h\r\nX-Gleaner-Remaining-Ms: 9\r\n\r\n")
        .await;
    let answer = client.answer().await.expect("an answer");
    let body: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!((answer.status, &body["status"]), (504, &504.into()));
    assert_eq!(body["error"]["type"], "timeout_exception");
    let arrived: Vec<_> = backends
        .iter()
        .flat_map(|backend| backend.take().arrived)
        .collect();
    let [arrived] = &arrived[..] else {
        panic!("{arrived:?}")
    };
    let left = arrived.field("x-gleaner-remaining-ms").expect("told");
    assert!(left.parse::<u128>().expect("a number") <= SHORT.as_millis());
    let ends = backends.each_ref().map(|backend| {
        Box::pin(backend.until("the end of the request", |seen| seen.num_ended == 2))
    });
    futures::future::select_all(ends).await;
}

#[tokio::test]
async fn a_front_without_a_backend_says_when_to_come_again() {
    let front = Running::ahead_of(&[nobody().await, nobody().await], unprobed()).await;
    let answer = front
        .client()
        .await
        .post("/", "hello")
        .await
        .expect("an answer");
    let body: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!((answer.status, &body["status"]), (503, &503.into()));
    assert_eq!(answer.field("retry-after"), Some("1"));
    assert_eq!(body["error"]["type"], "no_backend_exception");
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_request_with_it() {
    let backend = silent().await;
    let front = Running::ahead_of(&[backend.address], unprobed()).await;
    backend
        .until("the first look", |seen| seen.num_ended == 1)
        .await;
    let mut client = front.client().await;
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    backend
        .until("the request", |seen| seen.arrived.len() == 1)
        .await;
    drop(client);
    backend.until("its end", |seen| seen.num_ended == 2).await;
}

#[tokio::test]
async fn a_backend_that_fails_again_and_again_is_left_out_and_comes_back() {
    let failing = Recorder::replying(|_| Reply::Bytes(recorder::plain("500 Oops", "failed"))).await;
    let other = Recorder::start().await;
    let addresses = [failing.address, other.address];
    let front = Running::ahead_of(&addresses, by_header()).await;
    let session = session_of(0, &addresses);
    let request = format!("GET / HTTP/1.1\r\nHost: h\r\nX-Session: {session}\r\n\r\n");
    let mut client = front.client().await;
    let mut statuses = Vec::new();
    for _ in 0..6 {
        client.send(&request).await;
        statuses.push(client.answer().await.expect("an answer").status);
    }
    assert_eq!(statuses, [500, 500, 500, 200, 200, 200]);
    let is_back = async {
        loop {
            client.send(&request).await;
            if client.answer().await.expect("an answer").status == 500 {
                break;
            }
        }
    };
    soon("its return", is_back).await;
}

#[tokio::test]
async fn requests_beyond_the_limit_are_refused_until_one_ends() {
    let backend = silent().await;
    let options = FrontOptions {
        max_open_requests: 1,
        ..unprobed()
    };
    let front = Running::ahead_of(&[backend.address], options).await;
    let mut first = front.client().await;
    first.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    backend.until("it", |seen| seen.arrived.len() == 1).await;
    let mut second = front.client().await;
    let answer = second.get("/").await.expect("an answer");
    let body: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!(
        (answer.status, answer.field("retry-after")),
        (429, Some("1"))
    );
    assert_eq!(body["error"]["type"], "rejected_execution_exception");
    drop(first);
    let taken = async {
        while backend.num_arrived() == 1 {
            second.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
            // The refusal, or nothing once it is forwarded.
            tokio::select! {
                answer = second.answer() => assert_eq!(answer.map(|answer| answer.status), Some(503)),
                () = backend.until("another", |seen| seen.arrived.len() == 2) => {}
            }
        }
    };
    soon("a place", taken).await;
}
