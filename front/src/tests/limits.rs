//! Limits over real sockets: who is let in, what a refusal says, what is learned from answers, and who waits for whom.

use super::*;

use std::num::NonZeroU32;
use std::sync::Arc;

use bytes::Bytes;
use gleaner_model::security::KeyLimits;
use http::request::Parts;

use crate::{ControlOptions, LimitOptions, RequestClass, Visitor, Visitors, Work};

/// Those with `Authorization: KEY` have a key of that id; `wrong` is none. Paths begin with their class.
struct ByHeader;

impl Visitors for ByHeader {
    fn visitor(&self, head: &Parts) -> Visitor {
        let shown = head.headers.get("authorization");
        match shown.and_then(|value| value.to_str().ok()) {
            None => Visitor::Stranger,
            Some("wrong") => Visitor::Refused,
            Some(id) => Visitor::Key {
                id: id.into(),
                limits: KeyLimits::default(),
            },
        }
    }

    fn work(&self, head: &Parts, _: &Bytes) -> Work {
        Work {
            class: match head.uri.path().starts_with("/scan") {
                true => RequestClass::Scan,
                false => RequestClass::Read,
            },
            shape: head.uri.path().len() as u64,
            guess_ms: 1.0,
        }
    }
}

fn number(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).expect("not 0")
}

/// Returns limits of a second of search CPU a second.
fn a_second_of_cpu() -> LimitOptions {
    LimitOptions {
        cost_ms_per_second: Some(number(1_000)),
        ..LimitOptions::default()
    }
}

async fn limited(limits: LimitOptions, num_places: usize, backend: &Recorder) -> Running {
    let options = FrontOptions {
        control: Some(ControlOptions {
            limits,
            num_places,
            visitors: Arc::new(ByHeader),
        }),
        ..unprobed()
    };
    Running::ahead_of(&[backend.address], options).await
}

async fn asked(client: &mut Client, path: &str, key: &str) -> client::Answer {
    let key = match key {
        "" => String::new(),
        key => format!("Authorization: {key}\r\n"),
    };
    client
        .send(format!("GET {path} HTTP/1.1\r\nHost: h\r\n{key}\r\n"))
        .await;
    client.answer().await.expect("an answer")
}

#[tokio::test]
async fn strangers_are_refused_before_those_with_a_key() {
    let backend = Recorder::start().await;
    let limits = LimitOptions {
        strangers_per_second: Some(number(2)),
        keys_per_second: Some(number(1_000)),
        ..LimitOptions::default()
    };
    let front = limited(limits, 100, &backend).await;
    let mut client = front.client().await;
    let mut refused = None;
    for _ in 0..20 {
        let answer = asked(&mut client, "/", "").await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("a stranger is refused soon");
    let body: serde_json::Value = serde_json::from_str(&refused.body).expect("JSON");
    assert_eq!(body["error"]["type"], "rate_limited");
    assert_eq!(body["error"]["code"], "requests");
    assert_eq!(refused.field("retry-after"), Some("1"));
    for _ in 0..50 {
        assert_eq!(asked(&mut client, "/", "kim").await.status, 200);
    }
}

#[tokio::test]
async fn wrong_keys_end_before_they_reach_a_backend() {
    let backend = Recorder::start().await;
    let front = limited(LimitOptions::default(), 100, &backend).await;
    let mut client = front.client().await;
    for _ in 0..10 {
        assert_eq!(asked(&mut client, "/", "wrong").await.status, 200);
    }
    let answer = asked(&mut client, "/", "wrong").await;
    assert_eq!(answer.status, 429);
    assert!(answer.body.contains("\"auth_failures\""), "{}", answer.body);
    assert_eq!(backend.seen().arrived.len(), 10);
    assert_eq!(asked(&mut client, "/", "kim").await.status, 200);
}

#[tokio::test]
async fn what_an_answer_says_it_cost_is_charged_for_the_next_one() {
    let dear = b"HTTP/1.1 200 OK\r\nX-Gleaner-Cost-Us: 900000\r\nContent-Length: 0\r\n\r\n";
    let backend = Recorder::replying(|_| Reply::Bytes(dear.to_vec())).await;
    let front = limited(a_second_of_cpu(), 100, &backend).await;
    let mut client = front.client().await;
    let first = asked(&mut client, "/dear", "kim").await;
    assert_eq!(
        (first.status, first.field("x-gleaner-cost-us")),
        (200, None)
    );
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(asked(&mut client, "/dear", "kim").await.status);
    }
    assert!(
        statuses.contains(&429),
        "900 ms each, 1,000 a second: {statuses:?}"
    );
    let answer = asked(&mut client, "/dear", "kim").await;
    assert!(answer.body.contains("\"cost\""), "{}", answer.body);
    assert_eq!(
        asked(&mut client, "/dear", "lee").await.status,
        200,
        "another key"
    );
}

#[tokio::test]
async fn what_an_answer_cost_beyond_the_allowance_is_waited_for() {
    let dear = b"HTTP/1.1 200 OK\r\nX-Gleaner-Cost-Us: 20000000\r\nContent-Length: 0\r\n\r\n";
    let backend = Recorder::replying(|_| Reply::Bytes(dear.to_vec())).await;
    let front = limited(a_second_of_cpu(), 100, &backend).await;
    let mut client = front.client().await;
    assert_eq!(asked(&mut client, "/dear", "kim").await.status, 200);
    // Another shape too, which is cheap at a guess.
    let answer = asked(&mut client, "/cheap", "kim").await;
    assert_eq!(answer.status, 429, "{}", answer.body);
    let wait = answer
        .field("retry-after")
        .and_then(|wait| wait.parse().ok());
    assert!(
        wait.is_some_and(|wait: u64| (10..=20).contains(&wait)),
        "twenty seconds' worth, one of which was there: {wait:?}"
    );
    assert_eq!(backend.seen().arrived.len(), 1);
}

#[tokio::test]
async fn what_failed_is_settled_and_says_nothing_of_its_like() {
    let backend = Recorder::replying(|arrived| {
        let (status, cost_us) = match arrived.line.contains("/fail") {
            true => ("500 Internal Server Error", "20000000"),
            // Nonsense is no cost: the time counts.
            false => ("200 OK", "NaN"),
        };
        let head = format!(
            "HTTP/1.1 {status}\r\nX-Gleaner-Cost-Us: {cost_us}\r\nContent-Length: 0\r\n\r\n"
        );
        Reply::Bytes(head.into_bytes())
    })
    .await;
    let front = limited(a_second_of_cpu(), 100, &backend).await;
    let mut client = front.client().await;
    assert_eq!(asked(&mut client, "/fail", "kim").await.status, 500);
    assert_eq!(asked(&mut client, "/a", "kim").await.status, 429, "in debt");
    // Of the same shape: a second's worth each, had the failure been learned.
    for _ in 0..5 {
        assert_eq!(asked(&mut client, "/nice", "lee").await.status, 200);
    }
}

#[tokio::test]
async fn scans_that_hang_leave_room_for_reads() {
    let backend = Recorder::replying(|arrived| {
        match arrived.line.contains("/scan") || arrived.line.contains("/hang") {
            true => Reply::Silence(Vec::new()),
            false => Reply::Echo,
        }
    })
    .await;
    let limits = LimitOptions {
        open_requests: number(3),
        ..LimitOptions::default()
    };
    let front = limited(limits, 8, &backend).await;
    let mut hanging = Vec::new();
    for _ in 0..8 {
        let mut client = front.client().await;
        client.send("GET /scan HTTP/1.1\r\nHost: h\r\n\r\n").await;
        hanging.push(client);
    }
    let mut client = front.client().await;
    for _ in 0..20 {
        assert_eq!(asked(&mut client, "/read", "kim").await.status, 200);
    }
    // Of one key only so many are open at once.
    for _ in 0..3 {
        let mut client = front.client().await;
        client
            .send("GET /hang HTTP/1.1\r\nHost: h\r\nAuthorization: lee\r\n\r\n")
            .await;
        hanging.push(client);
    }
    let hang = |seen: &recorder::Seen| {
        let arrived = seen.arrived.iter();
        arrived.filter(|one| one.line.contains("/hang")).count() == 3
    };
    backend.until("three that hang", hang).await;
    let refused = asked(&mut client, "/read", "lee").await;
    assert_eq!(refused.status, 429);
    assert!(refused.body.contains("\"concurrency\""), "{}", refused.body);
    assert_eq!(asked(&mut client, "/read", "kim").await.status, 200);
}
