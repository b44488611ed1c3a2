//! Several requests as one: what one call is for, and who shares its answers.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::tests::whole;
use crate::tests::world::{Bug, World, keep};

/// Notes what each call is for, and answers each part by its place.
#[derive(Default)]
struct Calls(Mutex<Vec<Vec<usize>>>);

impl Calls {
    fn answer(&self, world: &World, wanted: Vec<usize>) -> Vec<Answer> {
        let answers = wanted.iter().map(|at| {
            let edition = (*at != 9).then(|| world.edition());
            whole(&format!("of {at}"), edition)
        });
        let answers = answers.collect();
        self.0.lock().push(wanted);
        answers
    }
}

fn texts(served: &[Result<Served, Lost>]) -> Vec<String> {
    let text = |served: &Result<Served, Lost>| {
        let (word, body) = match served.as_ref().expect("an answer") {
            Served::Kept(entry) => ("kept", entry.body.clone()),
            Served::Stale(entry) => ("stale", entry.body.clone()),
            Served::Shared(answer) => ("shared", answer.body.clone()),
            Served::Evaluated(answer) => ("evaluated", answer.body.clone()),
            Served::Renewed(answer) => ("renewed", answer.body.clone()),
        };
        format!("{word} {}", String::from_utf8_lossy(&body))
    };
    served.iter().map(text).collect()
}

#[tokio::test]
async fn what_is_missing_is_fetched_by_one_call_and_answered_in_order() {
    let world = World::new(Bug::None);
    let (cache, calls) = (world.cache(), Arc::new(Calls::default()));
    let fetch = |wanted| {
        let (world, calls) = (Arc::clone(&world), Arc::clone(&calls));
        async move { calls.answer(&world, wanted) }
    };
    let kept = |numbers: &[Option<u8>]| -> Vec<Option<Keep>> {
        numbers.iter().map(|number| number.map(keep)).collect()
    };
    let served = cache
        .answer_each(&kept(&[Some(1), Some(2), None, Some(1)]), fetch)
        .await;
    let expected = [
        "evaluated of 0",
        "evaluated of 1",
        "evaluated of 2",
        "shared of 0",
    ];
    assert_eq!(texts(&served), expected);
    let again = kept(&[Some(3), Some(2), None, Some(1), Some(4)]);
    let served = cache.answer_each(&again, fetch).await;
    let expected = [
        "evaluated of 0",
        "kept of 1",
        "evaluated of 2",
        "kept of 0",
        "evaluated of 4",
    ];
    assert_eq!(texts(&served), expected);
    assert_eq!(*calls.0.lock(), [vec![0, 1, 2], vec![0, 2, 4]]);
    world.write();
    let served = cache.answer_each(&kept(&[Some(2)]), fetch).await;
    assert_eq!(texts(&served), ["evaluated of 0"], "another edition");
}

#[tokio::test]
async fn a_call_that_brings_too_little_leaves_nobody_waiting() {
    let world = World::new(Bug::None);
    let cache = world.cache();
    let keeps = [Some(keep(1)), None];
    let fetch = |_| async { Vec::new() };
    for served in cache.answer_each(&keeps, fetch).await {
        let Ok(Served::Evaluated(answer)) = served else {
            panic!("nothing is kept of it");
        };
        assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
    }
}

#[tokio::test]
async fn a_call_goes_on_for_others_when_its_request_is_gone() {
    let world = World::new(Bug::None);
    let cache = world.cache();
    let (begun, may_end) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(tokio::sync::Notify::new()),
    );
    let asking = {
        let (cache, world) = (Arc::clone(&cache), Arc::clone(&world));
        let (begun, may_end) = (Arc::clone(&begun), Arc::clone(&may_end));
        tokio::spawn(async move {
            let fetch = |wanted: Vec<usize>| {
                let (world, begun) = (Arc::clone(&world), Arc::clone(&begun));
                let may_end = Arc::clone(&may_end);
                async move {
                    begun.fetch_add(1, Ordering::SeqCst);
                    may_end.notified().await;
                    let edition = Some(world.edition());
                    wanted.iter().map(|_| whole("one", edition)).collect()
                }
            };
            cache
                .answer_each(&[Some(keep(1)), Some(keep(2))], fetch)
                .await
        })
    };
    while begun.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    let waiting = {
        let cache = Arc::clone(&cache);
        tokio::spawn(async move {
            let own = || async { whole("two", None) };
            cache.answer(&keep(2), own).await
        })
    };
    // It has taken its seat in the flight when it has had a turn.
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    asking.abort();
    assert!(asking.await.is_err_and(|error| error.is_cancelled()));
    may_end.notify_one();
    let served = waiting.await.expect("it ends");
    assert_eq!(texts(&[served]), ["shared one"]);
    assert_eq!(begun.load(Ordering::SeqCst), 1);
}
