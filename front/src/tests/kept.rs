//! Answers that a front keeps: what is kept, what is not, and what the head of each answer says.

use super::*;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use gleaner_cache::{Cache, CacheOptions, Current, Generations, Keep, StaleLimits};
use gleaner_model::{AnswerKey, Edition};
use gleaner_query::canonical::edition::Targets;

use crate::{KeptAnswers, Reads};

mod several;

/// What is current, by hand.
#[derive(Default)]
struct Now(AtomicU8);

impl Now {
    fn edition(&self) -> Edition {
        Edition([self.0.load(Ordering::SeqCst); 16])
    }
}

#[async_trait]
impl Generations for Now {
    fn current(&self, _: &Targets) -> Current {
        Current::Edition(self.edition())
    }
}

/// Answers below `/kept` may be kept, by path and body.
struct BelowKept;

impl Reads for BelowKept {
    fn may_be_answered(&self, head: &http::request::Parts) -> bool {
        head.headers
            .get("host")
            .is_none_or(|host| host != "foreign.example")
    }

    fn keep(&self, head: &http::request::Parts, body: &Bytes) -> Option<Keep> {
        let path = head.uri.path();
        let mut key = [0; 32];
        for (byte, of) in key.iter_mut().zip(path.bytes().chain(body.iter().copied())) {
            *byte = of;
        }
        path.starts_with("/kept").then(|| Keep {
            key: AnswerKey(key),
            targets: Arc::default(),
            until_ms: None,
            patience: PATIENCE,
            renews: false,
            stale: match path.ends_with("/old") {
                true => StaleLimits {
                    always: std::time::Duration::ZERO,
                    on_error: PATIENCE,
                },
                false => StaleLimits::default(),
            },
        })
    }
}

/// A front that keeps answers, its backend, and what is current.
struct Site {
    front: Running,
    backend: Recorder,
    now: Arc<Now>,
}

impl Site {
    /// Starts a backend that answers `200` with `fields` and a body, and counts what it answers.
    async fn start(fields: &'static str, body: &'static str) -> Self {
        let now = Arc::new(Now::default());
        let told = Arc::clone(&now);
        let backend = Recorder::replying(move |arrived| {
            // Asked of fronts alone.
            let edition = match arrived.field("x-gleaner-edition") {
                Some("wanted") => format!("X-Gleaner-Edition: {}\r\n", told.edition()),
                _ => String::new(),
            };
            let opaque = arrived.field("x-opaque-id").unwrap_or("none");
            let (length, fields) = (body.len(), fields.replace("OPAQUE", opaque));
            let head =
                format!("HTTP/1.1 200 OK\r\n{fields}{edition}Content-Length: {length}\r\n\r\n");
            Reply::Bytes((head + body).into_bytes())
        })
        .await;
        let clock = || 0;
        let kept = KeptAnswers {
            cache: Cache::new(CacheOptions::new(clock), Arc::clone(&now) as _),
            reads: Arc::new(BelowKept),
        };
        let options = FrontOptions {
            kept: Some(kept),
            is_read: |_, _| true,
            ..unprobed()
        };
        let front = Running::ahead_of(&[backend.address], options).await;
        Self {
            front,
            backend,
            now,
        }
    }

    fn num_asked(&self) -> usize {
        self.backend.seen().arrived.len()
    }
}

const JSON: &str = "Content-Type: application/json\r\nX-Elastic-Product: Elasticsearch\r\n";

#[tokio::test]
async fn an_answer_is_kept_while_its_edition_is_current() {
    let site = Site::start(JSON, "{\"hits\":[]}").await;
    let mut client = site.front.client().await;
    for (origin, num_asked) in [("miss", 1), ("hit", 1), ("hit", 1)] {
        let answer = client.get("/kept").await.expect("an answer");
        assert_eq!((answer.status, &*answer.body), (200, "{\"hits\":[]}"));
        assert_eq!(answer.field("x-cache"), Some(origin));
        assert_eq!(answer.field("x-elastic-product"), Some("elasticsearch"));
        assert_eq!(answer.field("x-gleaner-edition"), None, "it is for fronts");
        assert_eq!(site.num_asked(), num_asked);
    }
    site.now.0.store(1, Ordering::SeqCst);
    let answer = client.get("/kept").await.expect("an answer");
    assert_eq!(answer.field("x-cache"), Some("miss"), "another edition");
    let answer = client.post("/kept", "1").await.expect("an answer");
    assert_eq!(answer.field("x-cache"), Some("miss"), "another request");
    for num_asked in [4, 5] {
        let answer = client.get("/other").await.expect("an answer");
        assert_eq!(answer.field("x-cache"), None, "it may not be kept");
        assert_eq!(site.num_asked(), num_asked);
    }
}

#[tokio::test]
async fn what_is_kept_is_not_for_those_whom_a_backend_might_refuse() {
    let site = Site::start(JSON, "{}").await;
    let mut client = site.front.client().await;
    for (host, num_asked, origin) in [
        ("search.example", 1, Some("miss")),
        ("search.example", 1, Some("hit")),
        ("foreign.example", 2, None),
        ("foreign.example", 3, None),
        ("search.example", 3, Some("hit")),
    ] {
        client
            .send(format!("GET /kept HTTP/1.1\r\nHost: {host}\r\n\r\n"))
            .await;
        let answer = client.answer().await.expect("an answer");
        assert_eq!(answer.field("x-cache"), origin, "{host}");
        assert_eq!(site.num_asked(), num_asked, "{host}");
    }
    let arrived = &site.backend.seen().arrived[1];
    assert_eq!(arrived.field("host"), Some("foreign.example"), "it judges");
}

#[tokio::test]
async fn all_fronts_ask_one_backend_for_an_answer() {
    let mut backends = Vec::new();
    for _ in 0..3 {
        backends.push(Recorder::start().await);
    }
    let addresses: Vec<_> = backends.iter().map(|backend| backend.address).collect();
    let mut fronts = Vec::new();
    for _ in 0..4 {
        let kept = KeptAnswers {
            cache: Cache::new(CacheOptions::new(|| 0), Arc::new(Now::default())),
            reads: Arc::new(BelowKept),
        };
        let options = FrontOptions {
            kept: Some(kept),
            ..unprobed()
        };
        fronts.push(Running::ahead_of(&addresses, options).await);
    }
    let mut used = std::collections::BTreeSet::new();
    for number in 0..24 {
        for front in &fronts {
            let path = format!("/kept/{number}");
            let answer = front.client().await.get(&path).await.expect("an answer");
            assert_eq!(answer.status, 200);
        }
        let arrived = backends.iter().map(|backend| backend.take().arrived.len());
        let arrived: Vec<usize> = arrived.collect();
        let one = arrived.iter().position(|num| *num == fronts.len());
        used.insert(one.unwrap_or_else(|| panic!("{number} was asked of several: {arrived:?}")));
    }
    assert_eq!(used.len(), 3, "each has its share");
}

#[tokio::test]
async fn a_head_is_forwarded_and_never_taken_for_the_answer_to_a_get() {
    let site = Site::start(JSON, "{}").await;
    let mut client = site.front.client().await;
    for num_asked in [1, 2] {
        client.send("HEAD /kept HTTP/1.1\r\nHost: h\r\n\r\n").await;
        let head = soon("a head", client.head()).await.expect("a head");
        assert!(head.contains("content-length: 2"), "{head}");
        assert_eq!(site.num_asked(), num_asked);
    }
    let answer = client.get("/kept").await.expect("an answer");
    assert_eq!(
        (answer.field("x-cache"), &*answer.body),
        (Some("miss"), "{}")
    );
}

#[tokio::test]
async fn each_request_has_its_own_id_tag_and_packing() {
    let body: &str = Box::leak("a word ".repeat(1_000).into_boxed_str());
    let site = Site::start("Content-Type: text/plain\r\nX-Opaque-Id: OPAQUE\r\n", body).await;
    let mut client = site.front.client().await;
    let mut tag = String::new();
    for (id, origin) in [("one", "miss"), ("two", "hit")] {
        client
            .send(format!(
                "GET /kept HTTP/1.1\r\nHost: h\r\nX-Opaque-Id: {id}\r\n\r\n"
            ))
            .await;
        let answer = client.answer().await.expect("an answer");
        assert_eq!(answer.field("x-opaque-id"), Some(id));
        assert_eq!(
            (answer.field("x-cache"), &*answer.body),
            (Some(origin), body)
        );
        tag = answer.field("etag").expect("a tag").to_owned();
    }
    client
        .send(format!(
            "GET /kept HTTP/1.1\r\nHost: h\r\nIf-None-Match: {}\r\n\r\n",
            // The client reads all of a head in small letters.
            tag.replacen('w', "W", 1)
        ))
        .await;
    let answer = client.answer().await.expect("an answer");
    assert_eq!((answer.status, &*answer.body), (304, ""));
    assert_eq!(answer.field("vary"), Some("accept, accept-encoding"));
    client
        .send("GET /kept HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\n\r\n")
        .await;
    let head = soon("a head", client.head()).await.expect("a head");
    assert!(head.contains("content-encoding: gzip"), "{head}");
    assert!(head.contains("x-cache: hit"), "{head}");
    assert_eq!(head.matches("\r\nvary:").count(), 1, "{head}");
    assert!(head.contains("vary: accept, accept-encoding"), "{head}");
    // The bytes are others, so the tag that both have is a weak one.
    assert!(head.contains(&format!("etag: {tag}")), "{head}");
    assert!(tag.starts_with("w/\""), "{tag}");
    assert_eq!(site.num_asked(), 1);
    let arrived = &site.backend.seen().arrived[0];
    assert_eq!(arrived.field("accept-encoding"), None, "the front packs");
}

#[tokio::test]
async fn what_is_too_large_to_be_kept_is_handed_on_as_it_comes() {
    let body: &str = Box::leak("x".repeat((1 << 20) + 1).into_boxed_str());
    let site = Site::start(JSON, body).await;
    let mut client = site.front.client().await;
    for num_asked in [1, 2] {
        let answer = client.get("/kept").await.expect("an answer");
        assert_eq!((answer.status, answer.body.len()), (200, body.len()));
        assert_eq!(answer.field("x-cache"), Some("miss"));
        assert_eq!(site.num_asked(), num_asked);
    }
}

#[tokio::test]
async fn an_older_answer_is_served_for_one_that_failed_and_for_no_other() {
    let now = Arc::new(Now::default());
    let (told, step) = (Arc::clone(&now), Arc::new(AtomicU8::new(0)));
    let at = Arc::clone(&step);
    let backend = Recorder::replying(move |_| {
        let edition = format!("X-Gleaner-Edition: {}\r\n", told.edition());
        let (status, size) = match at.load(Ordering::SeqCst) {
            0 => ("200 OK", 3),
            // Too large to be kept.
            1 => ("200 OK", (1 << 20) + 1),
            _ => ("503 Service Unavailable", 3),
        };
        let head = format!("HTTP/1.1 {status}\r\n{edition}Content-Length: {size}\r\n\r\n");
        Reply::Bytes((head + &"x".repeat(size)).into_bytes())
    })
    .await;
    let kept = KeptAnswers {
        cache: Cache::new(CacheOptions::new(|| 0), Arc::clone(&now) as _),
        reads: Arc::new(BelowKept),
    };
    let options = FrontOptions {
        kept: Some(kept),
        ..unprobed()
    };
    let front = Running::ahead_of(&[backend.address], options).await;
    let mut client = front.client().await;
    for (at, origin, size) in [(0, "miss", 3), (1, "miss", (1 << 20) + 1), (2, "stale", 3)] {
        step.store(at, Ordering::SeqCst);
        now.0.store(at, Ordering::SeqCst);
        let answer = client.get("/kept/old").await.expect("an answer");
        let seen = (answer.status, answer.field("x-cache"), answer.body.len());
        assert_eq!(seen, (200, Some(origin), size));
    }
}

#[tokio::test]
async fn a_refusal_is_the_one_of_the_request_itself() {
    let kept = KeptAnswers {
        cache: Cache::new(CacheOptions::new(|| 0), Arc::new(Now::default())),
        reads: Arc::new(BelowKept),
    };
    let options = FrontOptions {
        kept: Some(kept),
        ..unprobed()
    };
    let front = Running::ahead_of(&[nobody().await], options).await;
    let answer = front.client().await.get("/kept").await.expect("an answer");
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("root_cause"), "{}", answer.body);
}
