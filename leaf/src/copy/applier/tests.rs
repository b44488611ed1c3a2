//! Who applies what when, and who is told.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use gleaner_model::SeqNo;
use gleaner_proto::LeafClient;

use super::*;
use crate::copy::shard::Shard;
use crate::testing::{Fixture, call, key, put, soon};

/// Returns what a batch of `num` operations is offered with; each tells `num_told` what became of it.
fn batch(
    num: usize,
    num_told: &Arc<AtomicUsize>,
    is_expected: bool,
) -> (Vec<Operation>, OnApplied) {
    let num_told = Arc::clone(num_told);
    let told = move |is_applied: bool| {
        assert_eq!(is_applied, is_expected);
        num_told.fetch_add(1, Ordering::Relaxed);
    };
    let operation = Operation {
        term: gleaner_model::PrimaryTerm(1),
        mapping: gleaner_model::MappingVersion(0),
        timestamp_ms: 0,
        kind: OperationKind::NoOp,
    };
    (vec![operation; num], Box::new(told))
}

/// Uses the shard's engine, as a refresh that takes long does, until the sender is dropped.
async fn occupy(shard: &Arc<Shard>) -> Sender<()> {
    let (release, released) = channel::<()>();
    let (started, has_started) = tokio::sync::oneshot::channel();
    let shard = Arc::clone(shard);
    tokio::task::spawn_blocking(move || {
        let state = shard.applier.state.lock();
        started.send(()).expect("the test waits");
        assert!(released.recv().is_err(), "nothing is sent");
        drop(state);
        shard.applier.apply_waiting();
    });
    has_started.await.expect("locked");
    release
}

/// Returns a copy with one document.
async fn begun() -> (Fixture, Arc<Shard>) {
    let fixture = Fixture::start();
    fixture.write(vec![put("a", "{}")]).await.expect("written");
    let shard = fixture.shard().await;
    (fixture, shard)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_is_answered_when_durable_and_shown_by_the_next_refresh() {
    let (fixture, shard) = begun().await;
    let release = occupy(&shard).await;
    for id in ["b", "c"] {
        let answer = soon(fixture.leaf.write(call(vec![put(id, "{}")]))).await;
        answer.expect("written");
    }
    assert_eq!(shard.applier.next(), SeqNo(1));
    assert!(shard.applier.waiting_bytes() > 0);
    assert!(fixture.get("b").await.is_some(), "written, not applied");
    let mut refreshing = Box::pin(fixture.leaf.refresh(key(1)));
    assert!(futures::poll!(&mut refreshing).is_pending());
    drop(release);
    let shown = soon(refreshing).await.expect("refreshes");
    assert_eq!(shown.visible, SeqNo(4), "three documents and the refresh");
    assert_eq!(shard.applier.waiting_bytes(), 0);
    soon(shard.pipeline.wait_idle()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_batch_is_answered_when_it_is_applied() {
    let (fixture, shard) = begun().await;
    let release = occupy(&shard).await;
    let many = (0..40).map(|n| put(&n.to_string(), "{}")).collect();
    let mut large = Box::pin(fixture.leaf.write(call(many)));
    while shard.applier.waiting_bytes() == 0 {
        assert!(futures::poll!(&mut large).is_pending());
        tokio::task::yield_now().await;
    }
    assert!(futures::poll!(&mut large).is_pending());
    drop(release);
    soon(large).await.expect("written");
    assert_eq!(shard.applier.next(), SeqNo(41));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_when_the_copy_stops_is_told_that_it_was_not_applied() {
    let (_fixture, shard) = begun().await;
    let release = occupy(&shard).await;
    let num_told = Arc::new(AtomicUsize::new(0));
    let offer = || {
        let (operations, told) = batch(1, &num_told, false);
        shard
            .applier
            .offer_now(SeqNo(1), operations, Vec::new(), told)
    };
    assert_eq!(
        offer(),
        Ok(Left::Nothing),
        "who holds the engine sees to it"
    );
    assert_eq!(num_told.load(Ordering::Relaxed), 0);
    shard.applier.stop("as a test asks");
    assert_eq!(num_told.load(Ordering::Relaxed), 1);
    assert!(offer().is_err(), "it takes nothing more");
    assert_eq!(num_told.load(Ordering::Relaxed), 2);
    drop(release);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_a_stop_overtook_is_told_and_not_put_back() {
    let (_fixture, shard) = begun().await;
    let applier = &shard.applier;
    let num_told = Arc::new(AtomicUsize::new(0));
    let (operations, told) = batch(1, &num_told, false);
    // As one that was taken out to be applied.
    let taken = Batch::new(operations, Vec::new(), Some(told));
    applier.stop("as a test asks");
    assert_eq!(applier.put_back(SeqNo(1), taken), Left::Nothing);
    assert_eq!(num_told.load(Ordering::Relaxed), 1);
    assert_eq!(applier.waiting_bytes(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_brings_a_few_operations_leaves_a_large_batch_before_them_to_its_thread() {
    let (_fixture, shard) = begun().await;
    // The thread that opened the writer may be about to look once more.
    while shard.applier.waiting.lock().is_draining() {
        tokio::task::yield_now().await;
    }
    let num_told = Arc::new(AtomicUsize::new(0));
    let (large, told) = batch(40, &num_told, true);
    let taken = shard
        .applier
        .take_in(SeqNo(1), Batch::new(large, Vec::new(), Some(told)));
    assert_eq!(taken, Ok(()));
    let (small, told) = batch(1, &num_told, true);
    let left = shard.applier.offer_now(SeqNo(41), small, Vec::new(), told);
    assert_eq!(left, Ok(Left::ToThread));
    assert_eq!(shard.applier.next(), SeqNo(1));
    let drain = |until| {
        let draining = Arc::clone(&shard);
        tokio::task::spawn_blocking(move || draining.applier.drain(until))
    };
    // Its turn is over at once: the rest waits for the next one.
    let is_done = soon(drain(Instant::now())).await.expect("drains");
    assert_eq!((is_done, shard.applier.next()), (false, SeqNo(41)));
    let is_done = soon(drain(Instant::now() + Duration::from_secs(60))).await;
    assert!(is_done.expect("drains"));
    assert_eq!(shard.applier.next(), SeqNo(42));
    assert_eq!(num_told.load(Ordering::Relaxed), 2);
}
