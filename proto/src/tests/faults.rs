//! What callers see when the other side is away, late, of another version or too talkative.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gleaner_query::resolved::Clause;
use tokio::net::TcpListener;

use super::samples::{self, REMAINING, shard};
use super::stub::Conduct;
use super::{serve_at, services, soon, stub_leaf};
use crate::search::{FetchCall, FetchFrom, FetchHits};
use crate::wire::{Wire, v1};
use crate::write::WriteAction;
use crate::{GrpcLeaf, LeafClient, LeafFault, Peer, Versions};

fn fetch_call() -> FetchCall {
    let from = FetchFrom {
        shard: samples::search_call().shards[0],
        hits: FetchHits::Places(vec![1]),
    };
    FetchCall {
        shards: vec![from],
        what: Arc::new(samples::what()),
        remaining: REMAINING,
    }
}

#[tokio::test]
async fn nobody_there_is_unreachable_for_every_shard_and_every_waiting_call() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    drop(listener);
    let leaf = GrpcLeaf::new(Peer::new(&address).expect("an address"));
    let calls = (0..20).map(|_| leaf.search(samples::search_call()));
    for answers in soon(futures::future::join_all(calls)).await {
        let shards: Vec<_> = answers
            .into_iter()
            .map(|answer| match answer {
                Err(LeafFault::Unreachable { shard, reason }) if reason.contains(&address) => shard,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(shards, [shard(0), shard(1)]);
    }
    // It was never sent, so its outcome is known.
    let written = soon(leaf.write(samples::write_call())).await;
    assert!(
        matches!(written, Err(LeafFault::Unreachable { .. })),
        "{written:?}"
    );
}

#[tokio::test]
async fn a_late_leaf_costs_the_deadline_and_no_more() {
    let (stub, _served, leaf) = stub_leaf().await;
    stub.conduct(Conduct::Stall);
    let mut call = samples::search_call();
    call.remaining = Duration::from_millis(20);
    let answers = soon(leaf.search(call)).await;
    assert_eq!(
        answers,
        [0, 1].map(|number| Err(LeafFault::DeadlinePassed {
            shard: shard(number)
        }))
    );
    let mut call = samples::write_call();
    call.remaining = Duration::ZERO;
    let written = soon(leaf.write(call)).await;
    assert!(
        matches!(written, Err(LeafFault::Indeterminate { .. })),
        "{written:?}"
    );
}

#[tokio::test]
async fn a_connection_that_broke_is_made_again() {
    let (stub, served, leaf) = stub_leaf().await;
    assert_eq!(soon(leaf.force_merge(shard(0), 1)).await, Ok(()));
    let address = served.address.clone();
    served.end().await;
    let away = soon(leaf.force_merge(shard(0), 1)).await;
    assert!(
        matches!(away, Err(LeafFault::Unreachable { .. })),
        "{away:?}"
    );
    let _again = serve_at(&address, services(Some(&stub))).await;
    soon(async {
        while leaf.force_merge(shard(0), 1).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_message_above_the_limit_is_refused_and_the_connection_stays() {
    let (stub, _served, leaf) = stub_leaf().await;
    let mut call = samples::write_call();
    call.items[0].action = WriteAction::Index {
        source: Bytes::from(vec![b' '; crate::MAX_MESSAGE_BYTES]),
        create: false,
    };
    let refused = soon(leaf.write(call)).await;
    assert!(
        matches!(refused, Err(LeafFault::TooLarge { .. })),
        "{refused:?}"
    );
    assert!(stub.calls.lock().is_empty(), "the leaf has seen it");

    stub.conduct(Conduct::Flood);
    let refused = soon(leaf.fetch(fetch_call())).await;
    assert!(
        matches!(refused[..], [Err(LeafFault::TooLarge { .. })]),
        "{refused:?}"
    );
    stub.conduct(Conduct::Answer);
    assert!(soon(leaf.fetch(fetch_call())).await[0].is_ok());
    assert_eq!(leaf.peer().num_connections(), 1);
}

#[tokio::test]
async fn a_caller_of_another_version_is_refused_by_name() {
    let (stub, served, _leaf) = stub_leaf().await;
    let speaking = |text| {
        let versions = Versions::parse(text).expect("a range");
        GrpcLeaf::new(Peer::speaking(&served.address, versions).expect("an address"))
    };
    let refused = soon(speaking("2-3").search(samples::search_call())).await;
    let Err(LeafFault::Unsupported { what }) = &refused[0] else {
        panic!("{refused:?}");
    };
    assert!(what.contains("version 1") && what.contains("2-3"), "{what}");
    assert!(stub.calls.lock().is_empty(), "the leaf has seen it");
    let answers = soon(speaking("1-2").search(samples::search_call())).await;
    assert!(answers[0].is_ok(), "{answers:?}");
}

#[tokio::test]
async fn a_panic_fails_one_call_and_not_the_connection() {
    let (stub, _served, leaf) = stub_leaf().await;
    stub.conduct(Conduct::Panic);
    let failed = soon(leaf.fetch(fetch_call())).await;
    assert!(
        matches!(failed[..], [Err(LeafFault::Internal { .. })]),
        "{failed:?}"
    );
    stub.conduct(Conduct::Answer);
    assert!(soon(leaf.fetch(fetch_call())).await[0].is_ok());
    assert_eq!(leaf.peer().num_connections(), 1);
}

#[tokio::test]
async fn calls_that_cannot_be_read_are_refused_by_name_before_the_leaf_sees_them() {
    let (stub, served, leaf) = stub_leaf().await;
    let mut query = samples::query();
    for _ in 0..300 {
        query.query = Clause::Constant(Box::new(query.query));
    }
    let mut call = samples::search_call();
    call.query = Arc::new(query);
    let refused = soon(leaf.search(call)).await;
    let Err(LeafFault::Internal { reason, .. }) = &refused[0] else {
        panic!("{refused:?}");
    };
    assert!(reason.contains("deeper than 256 levels"), "{reason}");

    // A clause as a newer root would send it.
    let mut newer = samples::search_call().to_message();
    let query = newer.query.as_mut().expect("it has one");
    query.post_filter = Some(v1::Clause {
        nodes: vec![v1::ClauseNode { kind: None }],
    });
    let peer = Peer::new(&served.address).expect("an address");
    let request = peer.request(newer).expect("it is small");
    let mut raw = v1::leaf_client::LeafClient::new(peer.channel());
    let status = soon(raw.search(request)).await.expect_err("it is unknown");
    assert_eq!(status.code(), tonic::Code::Unimplemented);
    assert!(status.message().contains("`Clause`"), "{status}");
    assert!(stub.calls.lock().is_empty(), "the leaf has seen one");
}

#[tokio::test]
async fn only_host_and_port_are_an_address() {
    for good in ["127.0.0.1:80", "leaf-1.example:9400", "[::1]:9400"] {
        assert!(Peer::new(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "leaf-1",
        "leaf-1:",
        "leaf-1:x",
        "http://leaf-1:1",
        "a:1/b",
        "u@a:1",
    ] {
        let refused = Peer::new(bad).err();
        assert!(refused.is_some_and(|error| error.address == bad), "{bad}");
    }
}
