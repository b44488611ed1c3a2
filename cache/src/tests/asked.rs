//! Where other nodes are asked what is current: who is asked when, and what a request waits for.

use super::world::Known;
use super::*;

fn elsewhere() -> (Arc<World>, Arc<Cache>) {
    let world = World::known(Known::Elsewhere, Bug::None);
    let cache = world.cache();
    (world, cache)
}

async fn ask(cache: &Arc<Cache>, answer: Answer) -> Served {
    let served = cache.answer(&keep(1), || async { answer }).await;
    served.expect("an answer")
}

#[tokio::test]
async fn nobody_is_asked_while_nothing_is_kept_and_once_for_each_hit() {
    let (world, cache) = elsewhere();
    let one = || whole("one", Some(world.edition()));
    assert!(matches!(ask(&cache, one()).await, Served::Evaluated(_)));
    assert_eq!(world.num_asked(), 0);
    for num_asked in 1..4 {
        assert!(matches!(ask(&cache, one()).await, Served::Kept(_)));
        assert_eq!(world.num_asked(), num_asked);
    }
    world.write();
    let two = whole("two", Some(world.edition()));
    assert_eq!(text(&ask(&cache, two).await), "two");
    assert_eq!(text(&ask(&cache, one()).await), "two");
    assert_eq!(world.num_asked(), 5);
}

#[tokio::test]
async fn an_answer_from_before_a_write_is_kept_and_never_served() {
    let (world, cache) = elsewhere();
    let before = whole("before", Some(world.edition()));
    world.write();
    assert_eq!(text(&ask(&cache, before).await), "before");
    let after = whole("after", Some(world.edition()));
    assert_eq!(text(&ask(&cache, after).await), "after");
}

#[tokio::test]
async fn what_is_kept_is_not_served_while_those_who_know_are_away() {
    let (world, cache) = elsewhere();
    let answer = |body| whole(body, Some(world.edition()));
    ask(&cache, answer("one")).await;
    *world.are_away.lock() = true;
    let served = ask(&cache, answer("two")).await;
    assert!(matches!(&served, Served::Evaluated(_)));
    *world.are_away.lock() = false;
    assert!(matches!(
        ask(&cache, answer("three")).await,
        Served::Kept(_)
    ));
}

#[tokio::test]
async fn equal_requests_that_come_together_are_evaluated_once() {
    let (world, cache) = elsewhere();
    let origin = Origin::new();
    let answer = whole("one", Some(world.edition()));
    let served = at_once(&cache, &origin, 1_000, &answer).await;
    assert_eq!(origin.num_begun(), 1);
    assert!(served.iter().flatten().all(|served| text(served) == "one"));
    assert_eq!(world.num_asked(), 999, "all but the first");
}

#[tokio::test]
async fn a_request_that_joins_an_evaluation_from_before_a_write_looks_again() {
    let (world, cache) = elsewhere();
    let origin = Origin::new();
    let begin = |answer: Answer| {
        let (cache, origin) = (Arc::clone(&cache), Arc::clone(&origin));
        tokio::spawn(async move { cache.answer(&keep(1), || origin.evaluate(answer)).await })
    };
    let before = begin(whole("before", Some(world.edition())));
    while origin.num_begun() == 0 {
        tokio::task::yield_now().await;
    }
    world.write();
    let after = begin(whole("after", Some(world.edition())));
    while world.num_asked() == 0 {
        tokio::task::yield_now().await;
    }
    origin.may_end.send_replace(true);
    let before = before.await.expect("it ends").expect("an answer");
    let after = after.await.expect("it ends").expect("an answer");
    assert_eq!((text(&before), text(&after)), ("before", "after"));
}
