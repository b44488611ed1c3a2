//! The cache over a world in memory: who is answered by what, and that nobody is answered from before.

mod asked;
mod stale;
pub(crate) mod world;

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures::future::join_all;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio::sync::{oneshot, watch};

use super::*;
use world::{Bug, World, keep};

/// An answer of `edition`.
pub(super) fn whole(body: &str, edition: Option<Edition>) -> Answer {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    Answer {
        status: StatusCode::OK,
        headers,
        body: Bytes::copy_from_slice(body.as_bytes()),
        edition,
    }
}

fn text(served: &Served) -> &str {
    let body = match served {
        Served::Kept(entry) | Served::Stale(entry) => &entry.body,
        Served::Shared(answer) | Served::Evaluated(answer) | Served::Renewed(answer) => {
            &answer.body
        }
    };
    std::str::from_utf8(body).expect("text")
}

/// Counts evaluations, which wait until they may end.
struct Origin {
    num_begun: AtomicUsize,
    may_end: watch::Sender<bool>,
}

impl Origin {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            num_begun: AtomicUsize::new(0),
            may_end: watch::Sender::new(false),
        })
    }

    async fn evaluate(self: Arc<Self>, answer: Answer) -> Answer {
        self.num_begun.fetch_add(1, Ordering::Relaxed);
        let mut may_end = self.may_end.subscribe();
        may_end.wait_for(|may| *may).await.expect("it lives");
        answer
    }

    fn num_begun(&self) -> usize {
        self.num_begun.load(Ordering::Relaxed)
    }
}

/// Sends `num` equal requests, and lets the evaluation end when all are there.
async fn at_once(
    cache: &Arc<Cache>,
    origin: &Arc<Origin>,
    num: usize,
    answer: &Answer,
) -> Vec<Result<Served, Lost>> {
    let keep = keep(1);
    let asking = (0..num).map(|_| {
        let (origin, answer) = (Arc::clone(origin), answer.clone());
        cache.answer(&keep, || origin.evaluate(answer))
    });
    let ending = async {
        while origin.num_begun() == 0 {
            tokio::task::yield_now().await;
        }
        origin.may_end.send_replace(true);
    };
    let (served, ()) = tokio::join!(join_all(asking), ending);
    served
}

#[tokio::test]
async fn an_answer_is_kept_until_its_edition_is_not_the_current_one() {
    let world = World::new(Bug::None);
    let cache = world.cache();
    let ask = async |body: &str| {
        let answer = whole(body, Some(world.edition()));
        cache.answer(&keep(1), || async { answer }).await
    };
    assert!(matches!(ask("one").await, Ok(Served::Evaluated(_))));
    let again = ask("other").await.expect("an answer");
    assert!(matches!(&again, Served::Kept(_)));
    assert_eq!(text(&again), "one");
    let Served::Kept(entry) = again else {
        unreachable!("it was kept");
    };
    assert_eq!(entry.headers[header::CONTENT_TYPE], "text/plain");
    assert!(!entry.headers.contains_key(header::RETRY_AFTER));
    world.write();
    let after = ask("two").await.expect("an answer");
    assert!(matches!(&after, Served::Evaluated(_)));
    assert_eq!(text(&after), "two");
}

#[tokio::test]
async fn what_is_no_whole_answer_of_now_is_not_kept() {
    let world = World::new(Bug::None);
    let cache = world.cache();
    let edition = Some(world.edition());
    let refused = Answer {
        status: StatusCode::BAD_REQUEST,
        ..whole("refused", edition)
    };
    let large = whole(&"x".repeat(2 << 20), edition);
    world.write();
    let old = whole("old", edition);
    for answer in [refused, large, old, whole("partial", None)] {
        let served = cache.answer(&keep(1), || async { answer }).await;
        assert!(matches!(served, Ok(Served::Evaluated(_))));
    }
    let over = Keep {
        until_ms: Some(0),
        ..keep(2)
    };
    for _ in 0..2 {
        let answer = whole("of a time that is over", Some(world.edition()));
        let served = cache.answer(&over, || async { answer }).await;
        assert!(matches!(served, Ok(Served::Evaluated(_))));
    }
}

#[tokio::test]
async fn an_old_answer_is_served_to_those_alone_who_take_it() {
    let world = World::new(Bug::None);
    let cache = world.cache();
    let old = whole("old", Some(world.edition()));
    let first = cache.answer(&keep(1), || async { old }).await;
    assert_eq!(text(&first.expect("an answer")), "old");
    world.write();
    let minute = Duration::from_secs(60);
    let taking = |always, on_error| Keep {
        stale: StaleLimits { always, on_error },
        ..keep(1)
    };
    let failed = || async {
        Answer {
            status: StatusCode::SERVICE_UNAVAILABLE,
            ..whole("failed", None)
        }
    };
    let served = cache
        .answer(&taking(minute, Duration::ZERO), pending::<Answer>)
        .await;
    assert!(matches!(&served, Ok(Served::Stale(entry)) if entry.body == "old"));
    let served = cache.answer(&taking(Duration::ZERO, minute), failed).await;
    assert!(matches!(&served, Ok(Served::Stale(entry)) if entry.body == "old"));
    let served = cache.answer(&keep(1), failed).await;
    assert_eq!(text(&served.expect("an answer")), "failed");
    let new = whole("new", Some(world.edition()));
    let served = cache
        .answer(&taking(Duration::ZERO, minute), || async { new })
        .await;
    assert_eq!(
        text(&served.expect("an answer")),
        "new",
        "nothing has failed"
    );
}

#[tokio::test]
async fn a_renewed_answer_takes_the_place_of_the_one_kept() {
    let world = World::new(Bug::None);
    let cache = world.cache();
    for body in ["one", "two"] {
        let answer = whole(body, Some(world.edition()));
        let renewing = Keep {
            renews: true,
            ..keep(1)
        };
        let served = cache.answer(&renewing, || async { answer }).await;
        assert!(matches!(served, Ok(Served::Renewed(_))));
    }
    let served = cache.answer(&keep(1), pending::<Answer>).await;
    assert_eq!(text(&served.expect("an answer")), "two");
}

#[tokio::test]
async fn equal_requests_that_come_together_are_evaluated_once() {
    let world = World::new(Bug::None);
    let (cache, origin) = (world.cache(), Origin::new());
    let answer = whole("one", Some(world.edition()));
    let served = at_once(&cache, &origin, 1_000, &answer).await;
    assert_eq!(origin.num_begun(), 1);
    let is_shared = |served: &&Result<Served, Lost>| matches!(served, Ok(Served::Shared(_)));
    assert_eq!(served.iter().filter(is_shared).count(), 999);
    assert!(served.iter().flatten().all(|served| text(served) == "one"));
}

#[tokio::test]
async fn an_answer_for_one_alone_frees_all_and_the_key_goes_apart() {
    let world = World::new(Bug::None);
    let (cache, origin) = (world.cache(), Origin::new());
    let partial = whole("partial", None);
    let served = at_once(&cache, &origin, 10, &partial).await;
    assert_eq!(origin.num_begun(), 10);
    let is_own = |served: &Result<Served, Lost>| matches!(served, Ok(Served::Evaluated(_)));
    assert!(served.iter().all(is_own));
    let again = at_once(&cache, &origin, 10, &partial).await;
    assert_eq!((again.len(), origin.num_begun()), (10, 20));
}

#[tokio::test]
async fn a_refusal_for_want_of_room_is_for_all_who_wait() {
    let world = World::new(Bug::None);
    let (cache, origin) = (world.cache(), Origin::new());
    let busy = Answer {
        status: StatusCode::TOO_MANY_REQUESTS,
        ..whole("busy", None)
    };
    let served = at_once(&cache, &origin, 10, &busy).await;
    assert_eq!((served.len(), origin.num_begun()), (10, 1));
    let after = whole("room", Some(world.edition()));
    let after = cache.answer(&keep(1), || async { after }).await;
    assert!(matches!(after, Ok(Served::Evaluated(_))));
}

#[tokio::test]
async fn a_request_that_comes_after_a_write_does_not_join_one_from_before() {
    let world = World::new(Bug::None);
    let (cache, origin) = (world.cache(), Origin::new());
    let before = whole("before", Some(world.edition()));
    let first = tokio::spawn({
        let (cache, origin) = (Arc::clone(&cache), Arc::clone(&origin));
        async move { cache.answer(&keep(1), || origin.evaluate(before)).await }
    });
    while origin.num_begun() == 0 {
        tokio::task::yield_now().await;
    }
    world.write();
    let after = whole("after", Some(world.edition()));
    let served = cache.answer(&keep(1), || async { after }).await;
    assert_eq!(text(&served.expect("an answer")), "after");
    origin.may_end.send_replace(true);
    let first = first.await.expect("it ends").expect("an answer");
    assert_eq!(text(&first), "before");
    let kept = cache.answer(&keep(1), pending::<Answer>).await;
    assert_eq!(text(&kept.expect("it is kept")), "after");
}

/// Says when it is dropped.
struct Dropped(Option<oneshot::Sender<()>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        if let Some(said) = self.0.take() {
            // Nobody has to listen.
            said.send(()).ok();
        }
    }
}

#[tokio::test]
async fn an_evaluation_ends_when_the_last_who_waits_has_gone() {
    let world = World::new(Bug::None);
    let cache = world.cache();
    let (said, mut dropped) = oneshot::channel();
    let guard = Dropped(Some(said));
    let ask = |work: Option<Dropped>| {
        let cache = Arc::clone(&cache);
        tokio::spawn(async move {
            let work = async move {
                let _guard = work;
                pending::<Answer>().await
            };
            cache.answer(&keep(1), || work).await
        })
    };
    let first = ask(Some(guard));
    tokio::task::yield_now().await;
    let second = ask(None);
    tokio::task::yield_now().await;
    first.abort();
    assert!(first.await.is_err());
    assert!(dropped.try_recv().is_err(), "another waits");
    second.abort();
    assert!(second.await.is_err());
    dropped.await.expect("it was dropped");
}

#[tokio::test]
async fn an_evaluation_goes_on_for_others_when_the_one_who_brought_it_has_gone() {
    let world = World::new(Bug::None);
    let cache = world.cache();
    let origin = Origin::new();
    let answer = whole("one", Some(world.edition()));
    let ask = || {
        let (cache, origin, answer) = (Arc::clone(&cache), Arc::clone(&origin), answer.clone());
        tokio::spawn(async move { cache.answer(&keep(1), || origin.evaluate(answer)).await })
    };
    let first = ask();
    tokio::task::yield_now().await;
    let second = ask();
    tokio::task::yield_now().await;
    first.abort();
    assert!(first.await.is_err());
    origin.may_end.send_replace(true);
    let served = second.await.expect("it ends").expect("an answer");
    assert_eq!(text(&served), "one");
    assert_eq!(origin.num_begun(), 1);
}

#[tokio::test]
async fn an_evaluation_that_panics_fails_the_one_who_brought_it_alone() {
    let world = World::new(Bug::None);
    let cache = world.cache();
    let (fail, failing) = oneshot::channel::<()>();
    let brought = tokio::spawn({
        let cache = Arc::clone(&cache);
        let work = async move {
            failing.await.expect("asked to fail");
            panic!("as a test asks")
        };
        async move { cache.answer(&keep(1), || work).await }
    });
    tokio::task::yield_now().await;
    let answer = whole("one", Some(world.edition()));
    let waits = tokio::spawn({
        let cache = Arc::clone(&cache);
        async move { cache.answer(&keep(1), || async { answer }).await }
    });
    tokio::task::yield_now().await;
    fail.send(()).expect("it waits");
    assert!(matches!(brought.await.expect("it ends"), Err(Lost)));
    let served = waits.await.expect("it ends").expect("an answer");
    assert_eq!(text(&served), "one");
}

#[tokio::test(start_paused = true)]
async fn one_who_waits_too_long_goes_by_itself() {
    let world = World::new(Bug::None);
    let cache = world.cache();
    let slow = tokio::spawn({
        let cache = Arc::clone(&cache);
        async move { cache.answer(&keep(1), pending::<Answer>).await }
    });
    tokio::task::yield_now().await;
    let answer = whole("one", Some(world.edition()));
    let served = cache.answer(&keep(1), || async { answer }).await;
    assert!(matches!(served, Ok(Served::Evaluated(_))));
    slow.abort();
}
