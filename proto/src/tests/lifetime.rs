//! How long calls live: as long as someone waits for them and the server runs.

use std::time::Duration;

use futures::FutureExt;
use gleaner_model::SeqNo;

use super::samples::{self, shard};
use super::stub::{Conduct, Event};
use super::{soon, stub_leaf};
use crate::read::WaitForRefreshCall;
use crate::{LeafClient, LeafFault};

#[tokio::test]
async fn a_dropped_call_is_dropped_on_the_leaf() {
    let (stub, _served, leaf) = stub_leaf().await;
    let mut events = stub.events();
    stub.conduct(Conduct::Stall);
    let mut call = Box::pin(leaf.search(samples::search_call()));
    soon(async {
        tokio::select! {
            answer = &mut call => panic!("it stalls: {answer:?}"),
            event = events.recv() => assert_eq!(event, Some(Event::Began)),
        }
    })
    .await;
    drop(call);
    assert_eq!(soon(events.recv()).await, Some(Event::Dropped));
}

#[tokio::test]
async fn a_storm_of_cancelled_calls_leaves_the_connection_whole() {
    let (stub, _served, leaf) = stub_leaf().await;
    assert_eq!(soon(leaf.force_merge(shard(0), 1)).await, Ok(()));
    stub.conduct(Conduct::Stall);
    for _ in 0..60 {
        // More at once than the defaults of HTTP/2 libraries put up with.
        let calls: Vec<_> = (0..100).map(|_| leaf.refresh(shard(0))).collect();
        let mut storm = futures::future::join_all(calls);
        assert!((&mut storm).now_or_never().is_none());
        tokio::task::yield_now().await;
        drop(storm);
    }
    stub.conduct(Conduct::Answer);
    assert_eq!(soon(leaf.force_merge(shard(0), 1)).await, Ok(()));
    assert_eq!(leaf.peer().num_connections(), 1);
}

#[tokio::test]
async fn a_burst_of_short_answers_leaves_the_connection_whole() {
    let (_stub, _served, leaf) = stub_leaf().await;
    for _ in 0..5 {
        // More short frames unread at once than h2 puts up with on a window of the default size.
        let calls = (0..2_000).map(|_| leaf.refresh(shard(0)));
        for answer in soon(futures::future::join_all(calls)).await {
            assert_eq!(answer, Ok(samples::generation()));
        }
    }
    assert_eq!(leaf.peer().num_connections(), 1);
}

#[tokio::test]
async fn a_stop_ends_waits_at_once_and_lets_calls_end() {
    let (stub, served, leaf) = stub_leaf().await;
    let mut events = stub.events();
    stub.conduct(Conduct::Stall);
    let waiting = tokio::spawn({
        let leaf = leaf.clone();
        let long = Duration::from_secs(3_600);
        let call = WaitForRefreshCall::on_copy(shard(1), SeqNo(8), long);
        async move { leaf.wait_for_refresh(call).await }
    });
    assert_eq!(soon(events.recv()).await, Some(Event::Began));
    served.end().await;
    let ended = soon(waiting).await.expect("no panic");
    assert!(
        matches!(ended, Err(LeafFault::Unreachable { .. })),
        "{ended:?}"
    );
    assert_eq!(soon(events.recv()).await, Some(Event::Dropped));
}

#[tokio::test]
async fn what_does_not_end_after_a_stop_is_cut_off() {
    let (stub, served, leaf) = stub_leaf().await;
    let mut events = stub.events();
    stub.conduct(Conduct::Stall);
    let write = tokio::spawn(async move { leaf.write(samples::write_call()).await });
    assert_eq!(soon(events.recv()).await, Some(Event::Began));
    served.end().await;
    let cut_off = soon(write).await.expect("no panic");
    assert!(
        matches!(cut_off, Err(LeafFault::Indeterminate { .. })),
        "{cut_off:?}"
    );
}
