//! Calls that come together, and what keeps them apart.

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::join_all;
use gleaner_model::PrimaryTerm;
use gleaner_proto::LeafClient;
use gleaner_proto::write::Update;

use super::*;
use crate::copy::shard::Shard;
use crate::testing::{Fixture, PATIENCE, call, item, key, put, soon};
use crate::write::queue::WriteQueue;

fn created(id: &str) -> WriteItem {
    let (source, create) = (Bytes::from_static(b"{}"), true);
    item(id, WriteAction::Index { source, create })
}

/// Runs a test on the runtime's only worker: no other task runs until it waits.
async fn on_the_worker(test: impl Future<Output = ()> + Send + 'static) {
    let outcome = tokio::spawn(test).await;
    outcome.expect("the test did not fail");
}

/// Returns a leaf with an open shard.
async fn opened() -> (Fixture, Arc<Shard>) {
    let fixture = Fixture::start();
    let shard = fixture.shard().await;
    // Making the index blocks, which lets other threads run the worker's tasks until this one waits.
    tokio::task::yield_now().await;
    (fixture, shard)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn calls_that_come_together_are_one_append_and_each_has_its_own_answer() {
    on_the_worker(async {
        let (fixture, shard) = opened().await;
        let num_before = fixture.log.num_appends();
        let ids = ["a", "b", "a", "c"];
        let calls = ids.map(|id| fixture.leaf.write(call(vec![created(id)])));
        let answers = soon(join_all(calls)).await;
        assert_eq!(fixture.log.num_appends(), num_before + 1);
        let taken = answers.iter().map(|answer| {
            let items = &answer.as_ref().expect("written").items;
            assert_eq!(items.len(), 1);
            items[0].as_ref().ok().map(|outcome| outcome.seq_no.0)
        });
        let taken: Vec<_> = taken.collect();
        let first = taken[0].expect("it was the first");
        assert_eq!(taken, [Some(first), Some(first + 1), None, Some(first + 2)]);
        shard.pipeline.wait_idle().await;
        for id in ["a", "b", "c"] {
            assert!(fixture.get(id).await.is_some(), "{id}");
        }
        assert_eq!(shard.counters.snapshot().index_total, 3);
        assert_eq!(shard.counters.snapshot().index_failed, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_fault_is_told_to_each_call_of_the_batch_and_nothing_of_it_stays() {
    on_the_worker(async {
        let (fixture, _) = opened().await;
        fixture.log.refuse_next();
        let calls = ["a", "b"].map(|id| fixture.leaf.write(call(vec![put(id, "{}")])));
        let full = Err(LeafFault::DiskFull { shard: key(1) });
        assert_eq!(soon(join_all(calls)).await, [full.clone(), full]);
        assert_eq!(fixture.get("a").await, None);
        let again = soon(fixture.write(vec![put("b", "{}")])).await;
        assert!(again.expect("room again").items[0].is_ok());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_call_of_another_term_is_not_held_against_the_others() {
    on_the_worker(async {
        let (fixture, _) = opened().await;
        let of_term = |id: &str, term| WriteCall {
            term: PrimaryTerm(term),
            ..call(vec![put(id, "{}")])
        };
        let calls = [("a", 1), ("b", 2), ("c", 1)];
        let calls = calls.map(|(id, term)| fixture.leaf.write(of_term(id, term)));
        let answers = soon(join_all(calls)).await;
        let (asked, current) = (PrimaryTerm(2), PrimaryTerm(1));
        let shard = key(1);
        let fenced = LeafFault::Fenced {
            shard,
            current,
            asked,
        };
        assert!(answers[0].is_ok() && answers[2].is_ok());
        assert_eq!(answers[1], Err(fenced));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_caller_who_goes_away_before_its_turn_writes_nothing_and_takes_no_other_call_along() {
    on_the_worker(async {
        let (fixture, shard) = opened().await;
        let mut gone = Box::pin(fixture.leaf.write(call(vec![put("a", "{}")])));
        assert!(futures::poll!(gone.as_mut()).is_pending());
        drop(gone);
        let stays = fixture.leaf.write(call(vec![put("b", "{}")]));
        assert!(soon(stays).await.is_ok());
        shard.pipeline.wait_idle().await;
        assert!(fixture.get("a").await.is_none());
        assert!(fixture.get("b").await.is_some());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_caller_who_goes_away_while_nothing_can_be_ordered_writes_nothing() {
    on_the_worker(async {
        let (fixture, shard) = opened().await;
        let primary = fixture.primary().await;
        let held = primary.lock_order().await;
        let mut gone = Box::pin(fixture.leaf.write(call(vec![put("a", "{}")])));
        let mut stays = Box::pin(fixture.leaf.write(call(vec![put("b", "{}")])));
        assert!(futures::poll!(gone.as_mut()).is_pending());
        assert!(futures::poll!(stays.as_mut()).is_pending());
        // Until the task has taken both calls.
        while !primary.pending.is_empty() {
            tokio::task::yield_now().await;
        }
        drop(gone);
        drop(held);
        assert!(soon(stays).await.is_ok());
        shard.pipeline.wait_idle().await;
        assert!(fixture.get("a").await.is_none());
        assert!(fixture.get("b").await.is_some());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn more_than_a_small_batch_holds_becomes_several() {
    on_the_worker(async {
        let (fixture, _) = opened().await;
        let num_before = fixture.log.num_appends();
        let ids: Vec<String> = (0..2 * SMALL_ITEMS + 1).map(|n| n.to_string()).collect();
        let calls = ids
            .iter()
            .map(|id| fixture.leaf.write(call(vec![put(id, "{}")])));
        let answers = soon(join_all(calls)).await;
        assert!(answers.iter().all(Result::is_ok));
        assert_eq!(fixture.log.num_appends(), num_before + 3);
        let spaces = " ".repeat(SMALL_BYTES / 2);
        let long: &str = format!("{{{spaces}}}").leak();
        let calls = ["a", "b", "c"].map(|id| fixture.leaf.write(call(vec![put(id, long)])));
        let answers = soon(join_all(calls)).await;
        assert!(answers.iter().all(Result::is_ok));
        assert_eq!(fixture.log.num_appends(), num_before + 6);
    })
    .await;
}

#[test]
fn what_updates_and_what_may_be_sent_again_is_written_alone() {
    let of_bytes = |call: WriteCall, bytes| {
        let queue = WriteQueue::new(1 << 20, PATIENCE);
        let of_shard = queue.for_shard();
        let room = queue.enter(&of_shard, bytes, PATIENCE);
        let write = PendingWrite {
            call,
            bytes,
            room: room.now_or_never().expect("at once").expect("room"),
            began: Instant::now(),
            reply: oneshot::channel().0,
        };
        write.is_small()
    };
    let is_small = |call: WriteCall| of_bytes(call, 100);
    assert!(is_small(call(vec![
        put("a", "{}"),
        item("b", WriteAction::Delete)
    ])));
    let update = WriteAction::Update(Update::default());
    assert!(!is_small(call(vec![put("a", "{}"), item("b", update)])));
    let named = gleaner_proto::write::Idempotency {
        producer: 1,
        sequence: 0,
    };
    let again = WriteCall {
        idempotency: Some(named),
        ..call(vec![put("a", "{}")])
    };
    assert!(!is_small(again));
    assert!(!of_bytes(call(vec![put("a", "{}")]), SMALL_BYTES + 1));
    assert!(is_small(call(vec![put("a", "{}"); SMALL_ITEMS])));
    assert!(!is_small(call(vec![put("a", "{}"); SMALL_ITEMS + 1])));
}
