//! Requests of several parts: letters in a body, each of which is answered by itself.

use super::*;

use std::time::Duration;

use gleaner_cache::Answer;
use http::{HeaderMap, Response, StatusCode};

use crate::Several;

/// The letters of a body below `/letters`; capital ones have answers that may be kept, those from `O` on take old ones
/// for a failure.
struct OfLetters;

struct Letters {
    letters: Bytes,
    keeps: Vec<Option<Keep>>,
}

impl Reads for OfLetters {
    fn keep(&self, _: &http::request::Parts, _: &Bytes) -> Option<Keep> {
        None
    }

    fn several(&self, head: &http::request::Parts, body: &Bytes) -> Option<Arc<dyn Several>> {
        let keep = |letter: &u8| {
            letter.is_ascii_uppercase().then(|| Keep {
                key: AnswerKey([*letter; 32]),
                targets: Arc::default(),
                until_ms: None,
                patience: PATIENCE,
                renews: false,
                stale: StaleLimits {
                    always: Duration::ZERO,
                    on_error: if *letter < b'O' {
                        Duration::ZERO
                    } else {
                        PATIENCE
                    },
                },
            })
        };
        head.uri.path().starts_with("/letters").then(|| {
            let keeps = body.iter().map(keep).collect();
            let letters = body.clone();
            Arc::new(Letters { letters, keeps }) as Arc<dyn Several>
        })
    }
}

impl Several for Letters {
    fn keeps(&self) -> &[Option<Keep>] {
        &self.keeps
    }

    fn body_for(&self, places: &[usize]) -> Bytes {
        places.iter().map(|at| self.letters[*at]).collect()
    }

    fn answers_in(&self, answer: &Response<Bytes>, num: usize) -> Option<Vec<Answer>> {
        let edition = answer.headers().get("x-gleaner-edition");
        let edition = edition.and_then(|text| Edition::parse(text.to_str().ok()?));
        let body = answer.body();
        let answers = body.iter().map(|letter| Answer {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: Bytes::copy_from_slice(&[*letter]),
            edition,
        });
        (body.len() == num).then(|| answers.collect())
    }

    fn joined(&self, answers: &[(StatusCode, Bytes)], took: Duration) -> Bytes {
        assert!(took < PATIENCE);
        let bodies = answers.iter().flat_map(|(_, body)| body.iter().copied());
        bodies.collect()
    }
}

/// A front ahead of a backend that answers with the letters that it was sent.
async fn start(reply: fn(&str, &str) -> String) -> (Running, Recorder, Arc<Now>) {
    let now = Arc::new(Now::default());
    let told = Arc::clone(&now);
    let backend = Recorder::replying(move |arrived| {
        let letters = String::from_utf8_lossy(&arrived.body).into_owned();
        let edition = format!("X-Gleaner-Edition: {}\r\n", told.edition());
        Reply::Bytes(reply(&letters, &edition).into_bytes())
    })
    .await;
    let kept = KeptAnswers {
        cache: Cache::new(CacheOptions::new(|| 0), Arc::clone(&now) as _),
        reads: Arc::new(OfLetters),
    };
    let options = FrontOptions {
        kept: Some(kept),
        is_read: |_, _| true,
        ..unprobed()
    };
    let front = Running::ahead_of(&[backend.address], options).await;
    (front, backend, now)
}

fn echoed(letters: &str, edition: &str) -> String {
    let length = letters.len();
    format!("HTTP/1.1 200 OK\r\n{edition}Content-Length: {length}\r\n\r\n{letters}")
}

#[tokio::test]
async fn what_is_missing_goes_on_as_one_request_and_answers_are_in_order() {
    let (front, backend, now) = start(echoed).await;
    let mut client = front.client().await;
    for (letters, asked, word) in [
        ("AbC", Some("AbC"), "miss"),
        ("CDA", Some("D"), "miss"),
        ("DCA", None, "hit"),
        ("bA", Some("b"), "miss"),
        ("b", Some("b"), "bypass"),
        ("EE", Some("E"), "miss"),
    ] {
        backend.take();
        let answer = client.post("/letters", letters).await.expect("an answer");
        assert_eq!((answer.status, &*answer.body), (200, letters));
        assert_eq!(answer.field("x-cache"), Some(word), "{letters}");
        assert_eq!(answer.field("x-gleaner-edition"), None, "it is for fronts");
        let arrived = backend.seen().arrived;
        let bodies: Vec<_> = arrived
            .iter()
            .map(|one| String::from_utf8_lossy(&one.body))
            .collect();
        assert_eq!(bodies.first().map(|body| &**body), asked, "{letters}");
        assert!(bodies.len() <= 1, "{bodies:?}");
    }
    now.0.store(1, Ordering::SeqCst);
    let answer = client.post("/letters", "AC").await.expect("an answer");
    assert_eq!(answer.field("x-cache"), Some("miss"), "another edition");
}

#[tokio::test]
async fn a_refusal_of_what_is_missing_is_the_answer_to_all() {
    let (front, _backend, _now) = start(|letters, edition| match letters.contains('X') {
        true => "HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nbad".to_owned(),
        false => echoed(letters, edition),
    })
    .await;
    let mut client = front.client().await;
    client.post("/letters", "AB").await.expect("an answer");
    let answer = client.post("/letters", "AXB").await.expect("an answer");
    assert_eq!((answer.status, &*answer.body), (400, "bad"));
    let answer = client.post("/letters", "AB").await.expect("an answer");
    assert_eq!(
        (&*answer.body, answer.field("x-cache")),
        ("AB", Some("hit"))
    );
}

#[tokio::test]
async fn older_answers_stand_for_parts_that_failed_where_each_has_one() {
    let (front, _backend, now) = start(|letters, edition| match edition.contains("01") {
        true => "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno".to_owned(),
        false => echoed(letters, edition),
    })
    .await;
    let mut client = front.client().await;
    client.post("/letters", "AOP").await.expect("an answer");
    now.0.store(1, Ordering::SeqCst);
    for (letters, status, body, word) in [
        ("OP", 200, "OP", "stale"),
        ("O", 200, "O", "stale"),
        // Takes no old one, or has none.
        ("AO", 503, "no", "miss"),
        ("OQ", 503, "no", "miss"),
        ("Ob", 503, "no", "miss"),
    ] {
        let answer = client.post("/letters", letters).await.expect("an answer");
        assert_eq!((answer.status, &*answer.body), (status, body), "{letters}");
        assert_eq!(answer.field("x-cache"), Some(word), "{letters}");
    }
}

#[tokio::test]
async fn a_backend_that_answers_too_few_parts_is_at_fault() {
    let (front, _backend, _now) = start(|_, edition| echoed("Q", edition)).await;
    let answer = front
        .client()
        .await
        .post("/letters", "AB")
        .await
        .expect("an answer");
    assert_eq!(answer.status, 502, "{}", answer.body);
}

#[tokio::test]
async fn answers_too_large_to_be_taken_apart_are_asked_for_whole_and_handed_on() {
    let (front, backend, _now) = start(|letters, edition| match letters.contains('L') {
        true => echoed(&"L".repeat((8 << 20) + 1), edition),
        false => echoed(letters, edition),
    })
    .await;
    let mut client = front.client().await;
    client.post("/letters", "A").await.expect("an answer");
    backend.take();
    let answer = client.post("/letters", "AL").await.expect("an answer");
    assert_eq!((answer.status, answer.body.len()), (200, (8 << 20) + 1));
    let arrived = backend.seen().arrived;
    let bodies: Vec<_> = arrived
        .iter()
        .map(|one| String::from_utf8_lossy(&one.body))
        .collect();
    assert_eq!(bodies, ["L", "AL"]);
}

#[tokio::test]
async fn equal_parts_of_requests_that_come_together_are_asked_for_once() {
    let (front, backend, _now) = start(echoed).await;
    let asking = (0..20).map(|_| async {
        let mut client = front.client().await;
        client
            .post("/letters", "ABC")
            .await
            .expect("an answer")
            .body
    });
    let answers = futures::future::join_all(asking).await;
    assert!(answers.iter().all(|answer| answer == "ABC"));
    let arrived = backend.seen().arrived;
    let num_parts: usize = arrived.iter().map(|one| one.body.len()).sum();
    assert_eq!(num_parts, 3, "{arrived:?}");
}
