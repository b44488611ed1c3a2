//! The book as a search uses it.

use std::sync::Arc;

use gleaner_model::IndexUuid;
use gleaner_query::answer::LeafTimes;
use tokio::time::advance;

use super::*;
use crate::LeafHandle;
use crate::testing::{FakeLeaf, shard};

fn copies<const N: usize>() -> [LeafHandle; N] {
    std::array::from_fn(|n| LeafHandle {
        node: NodeId(format!("leaf-{n}").into()),
        client: Arc::new(FakeLeaf::default()),
    })
}

fn book() -> Arc<Book> {
    Arc::new(Book::new(0.05, true))
}

fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn key() -> (IndexUuid, Phase) {
    (shard(1, 0).index, Phase::Query)
}

/// Returns how often each of two copies comes first in 200 queries.
fn firsts(book: &Book, copies: &[LeafHandle; 2]) -> [usize; 2] {
    let mut firsts = [0; 2];
    for fingerprint in 0..200 {
        firsts[book.open().order(shard(1, 0), copies, fingerprint, &[])[0]] += 1;
    }
    firsts
}

fn answer(book: &Book, node: &NodeId, ms: u64) {
    book.open().answered(node, key(), Some(millis(ms)), None);
}

#[tokio::test(start_paused = true)]
async fn queries_go_where_they_are_answered_sooner_and_come_back_in_time() {
    let (book, copies) = (book(), copies());
    assert!(firsts(&book, &copies).iter().all(|seen| *seen > 50));
    for _ in 0..20 {
        answer(&book, &copies[0].node, 30);
        answer(&book, &copies[1].node, 2);
    }
    assert_eq!(firsts(&book, &copies), [0, 200]);
    advance(Duration::from_secs(60)).await;
    assert!(firsts(&book, &copies)[0] > 50, "it is tried again");
}

#[tokio::test(start_paused = true)]
async fn requests_under_way_are_load_until_they_end() {
    let (book, copies) = (book(), copies());
    let tickets: Vec<Ticket> = (0..4).map(|_| book.begin(&copies[1].node)).collect();
    assert_eq!(firsts(&book, &copies), [200, 0]);
    drop(tickets);
    assert!(firsts(&book, &copies)[1] > 50);
}

#[tokio::test(start_paused = true)]
async fn a_dead_leaf_is_probed_by_one_request_and_returns_slowly() {
    let (book, copies) = (book(), copies());
    let dead = &copies[0].node;
    for _ in 0..3 {
        assert!(firsts(&book, &copies)[0] > 0);
        book.open().unreachable(dead);
    }
    assert_eq!(firsts(&book, &copies), [0, 200]);
    assert!(book.open().is_out(dead, shard(1, 0)));
    advance(millis(1_000)).await;
    assert_eq!(firsts(&book, &copies)[0], 1, "one probe");
    answer(&book, dead, 2);
    answer(&book, &copies[1].node, 2);
    let early = firsts(&book, &copies)[0];
    advance(Duration::from_secs(9)).await;
    let late = firsts(&book, &copies)[0];
    assert!(early < 40 && late > 50, "{early} then {late}");
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_cannot_serve_is_left_out_for_its_shard_alone() {
    let (book, copies): (_, [LeafHandle; 2]) = (book(), copies());
    let node = &copies[0].node;
    book.open().served(node, shard(1, 0), false);
    assert!(book.open().is_out(node, shard(1, 0)));
    assert!(!book.open().is_out(node, shard(1, 1)));
    book.open().served(node, shard(1, 0), true);
    assert!(!book.open().is_out(node, shard(1, 0)));
}

#[tokio::test(start_paused = true)]
async fn a_leaf_that_joins_later_warms_up() {
    let (book, copies) = (book(), copies());
    book.open().answered(&copies[0].node, key(), None, None);
    advance(BEGINNING * 2).await;
    let early = firsts(&book, &copies)[1];
    advance(Duration::from_secs(10)).await;
    let late = firsts(&book, &copies)[1];
    assert!(early < 40 && late > 50, "{early} then {late}");
}

#[tokio::test(start_paused = true)]
async fn a_request_is_repeated_on_the_copy_that_answers_soonest() {
    let (book, copies): (_, [LeafHandle; 3]) = (book(), copies());
    let backup = |others: &[usize]| {
        let asked = (shard(1, 0), Phase::Query);
        book.open().backup(asked, &copies, others)
    };
    book.open().order(shard(1, 0), &copies, 1, &[]);
    assert_eq!(backup(&[1, 2]), Some((1, UNKNOWN)));
    for ms in 1..=100 {
        answer(&book, &copies[1].node, ms);
        answer(&book, &copies[2].node, ms / 10);
    }
    let (copy, delay) = backup(&[1, 2]).expect("two are left");
    assert_eq!(copy, 2);
    assert!((millis(9)..millis(12)).contains(&delay), "{delay:?}");
    assert_eq!(backup(&[]), None);
}

#[tokio::test(start_paused = true)]
async fn a_leaf_whose_searches_wait_is_asked_only_where_the_first_copy_is_silent() {
    let (book, copies): (_, [LeafHandle; 2]) = (book(), copies());
    let times = LeafTimes {
        queue: millis(50),
        evaluate: millis(10),
        ..LeafTimes::default()
    };
    for _ in 0..5 {
        let node = &copies[1].node;
        book.open()
            .answered(node, key(), Some(millis(60)), Some(times));
    }
    let asked = (shard(1, 0), Phase::Query);
    let backup = book.open().backup(asked, &copies, &[1]);
    assert_eq!(backup, Some((1, super::SILENCE)));
}
