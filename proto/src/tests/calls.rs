//! Each call once: it arrives as it was made, and its answer comes back as it was given.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use gleaner_model::{FieldPath, IndexUuid, Role, SeqNo};
use gleaner_query::answer::ViewId;
use gleaner_query::resolved::{ExpansionRequest, Pattern, StatisticsRequest};

use super::samples::{self, REMAINING, id, shard, view};
use super::stub::StubLeaf;
use super::{serve_at, services, soon, stub_leaf};
use crate::node::Readiness;
use crate::postings::{ListOf, LocateCall, LocateIn, LocateSet, PostingsCall};
use crate::read::{GenerationsCall, GetCall, WaitForRefreshCall};
use crate::replicate::{FileCall, SnapshotCall};
use crate::search::{
    ExpandCall, ExplainCall, FetchCall, FetchFrom, FetchHits, OpenViewsCall, StatisticsCall,
};
use crate::{
    GrpcLeaf, GrpcNode, LeafClient, LeafFault, NodeClient, Peer, ReplicationClient, Versions,
};

/// Whether `call` is the last that the leaf saw.
fn arrived(stub: &StubLeaf, call: impl Debug) {
    let calls = stub.calls.lock();
    assert_eq!(calls.last(), Some(&format!("{call:?}")));
}

fn not_here<T>() -> Result<T, LeafFault> {
    Err(LeafFault::NotHere { shard: shard(1) })
}

#[tokio::test]
async fn calls_of_the_query_phase() {
    let (stub, _served, leaf) = stub_leaf().await;
    let mut request = StatisticsRequest::default();
    let terms = request.fields.entry(FieldPath::new("body")).or_default();
    terms.insert("cat".to_owned());
    let call = StatisticsCall {
        shards: vec![view(0), view(1)],
        request: Arc::new(request),
        remaining: REMAINING,
    };
    let answers = soon(leaf.statistics(call.clone())).await;
    arrived(&stub, call);
    let statistics = answers[0].as_ref().map(|answer| &answer.statistics);
    assert_eq!(statistics, Ok(&samples::statistics()));
    assert_eq!(answers[1], not_here());

    let call = ExpandCall {
        shards: vec![view(0)],
        requests: Arc::new(vec![ExpansionRequest {
            field: FieldPath::new("body"),
            pattern: Pattern::Prefix {
                prefix: "ca".to_owned(),
                ignore_case: true,
            },
            limit: 50,
        }]),
        remaining: REMAINING,
    };
    let answers = soon(leaf.expand(call.clone())).await;
    arrived(&stub, call);
    assert_eq!(answers[0].as_ref().map(|a| a.view), Ok(ViewId(9)));

    let call = samples::search_call();
    let answers = soon(leaf.search(call.clone())).await;
    arrived(&stub, call);
    assert_eq!(answers, [Ok(samples::hits()), not_here()]);
}

#[tokio::test]
async fn calls_of_a_scatter_by_terms() {
    let (stub, _served, leaf) = stub_leaf().await;
    let list = |number, after: Option<u64>| ListOf {
        shard: view(number),
        after: after.map(SeqNo),
    };
    let call = PostingsCall {
        shards: vec![list(0, None), list(1, Some(1 << 40))],
        field: FieldPath::new("body"),
        term: "cat".to_owned(),
        is_weighted: true,
        limit: 1_000,
        remaining: REMAINING,
    };
    let answers = soon(leaf.postings(call.clone())).await;
    arrived(&stub, call);
    assert_eq!(answers, [Ok(samples::postings()), not_here()]);

    let set = LocateSet {
        documents: [7, 1 << 33].into_iter().collect(),
        top: 1,
    };
    let shard_and = |number, sets| LocateIn {
        shard: view(number),
        sets,
    };
    let call = LocateCall {
        shards: vec![shard_and(0, vec![set]), shard_and(1, Vec::new())],
        remaining: REMAINING,
    };
    let answers = soon(leaf.locate(call.clone())).await;
    arrived(&stub, call);
    assert_eq!(answers, [Ok(samples::places()), not_here()]);
}

#[tokio::test]
async fn calls_for_single_documents() {
    let (stub, _served, leaf) = stub_leaf().await;
    let from = |number, hits| FetchFrom {
        shard: view(number),
        hits,
    };
    let ranked = from(1, FetchHits::Places(vec![1, 1 << 33]));
    let numbered = from(2, FetchHits::Numbers(vec![7]));
    let call = FetchCall {
        shards: vec![ranked, numbered],
        what: Arc::new(samples::what()),
        remaining: REMAINING,
    };
    let answers = soon(leaf.fetch(call.clone())).await;
    arrived(&stub, call);
    assert_eq!(answers, [Ok(vec![samples::fetched()].into()), not_here()]);

    let call = ExplainCall {
        shard: view(1),
        id: id("a"),
        query: Arc::new(samples::query()),
        remaining: REMAINING,
    };
    let answer = soon(leaf.explain(call.clone())).await;
    arrived(&stub, call);
    assert_eq!(answer, Ok(samples::explained()));

    let call = GetCall {
        shard: shard(1),
        ids: vec![id("a"), id("b")],
        realtime: true,
        remaining: REMAINING,
    };
    let answer = soon(leaf.get(call.clone())).await;
    arrived(&stub, call);
    assert_eq!(answer, Ok(samples::documents()));

    let call = samples::write_call();
    let answer = soon(leaf.write(call.clone())).await;
    arrived(&stub, call);
    assert_eq!(answer, Ok(samples::written()));
}

#[tokio::test]
async fn calls_about_views() {
    let (stub, _served, leaf) = stub_leaf().await;
    let call = OpenViewsCall {
        shards: vec![shard(0), shard(1)],
        keep_alive: Duration::from_secs(60),
        holder: u64::MAX,
    };
    let answers = soon(leaf.open_views(call.clone())).await;
    arrived(&stub, call);
    let pinned = samples::pinned(0, u64::MAX);
    assert_eq!(answers, [Ok(pinned), not_here()]);

    let views = vec![pinned, pinned];
    let keep_alive = Duration::from_secs(30);
    let answers = soon(leaf.renew_views(views.clone(), keep_alive)).await;
    arrived(&stub, ("renew_views", &views, keep_alive));
    assert_eq!(answers, [Ok(()), not_here()]);

    assert_eq!(soon(leaf.release_views(views.clone())).await, 2);
    arrived(&stub, ("release_views", &views));
}

#[tokio::test]
async fn calls_about_shards() {
    let (stub, _served, leaf) = stub_leaf().await;
    let refreshed = soon(leaf.refresh(shard(1))).await;
    arrived(&stub, ("refresh", shard(1)));
    assert_eq!(refreshed, Ok(samples::generation()));

    let limit = Duration::from_secs(3);
    for call in [
        WaitForRefreshCall::on_copy(shard(1), SeqNo(5), limit),
        WaitForRefreshCall::by_primary(shard(1), SeqNo(6), limit),
    ] {
        let refreshed = soon(leaf.wait_for_refresh(call)).await;
        arrived(&stub, ("wait_for_refresh", call));
        assert_eq!(refreshed, Ok(samples::generation()));
    }

    let full = LeafFault::DiskFull { shard: shard(1) };
    assert_eq!(soon(leaf.flush(shard(1))).await, Err(full));
    arrived(&stub, ("flush", shard(1)));
    assert_eq!(soon(leaf.force_merge(shard(1), 3)).await, Ok(()));
    arrived(&stub, ("force_merge", shard(1), 3_usize));
    let call = GenerationsCall {
        shards: vec![shard(0), shard(1)],
        remaining: REMAINING,
    };
    let shown = soon(leaf.generations(call.clone())).await;
    arrived(&stub, call);
    assert_eq!(shown, [Ok(samples::shown()), not_here()]);
    assert_eq!(soon(leaf.shard_states()).await, Ok(vec![samples::state()]));
    let own = [samples::state().shard.index];
    let other = [IndexUuid([77; 16])];
    let own = soon(leaf.shard_states_of(&own)).await;
    assert_eq!(own, Ok(vec![samples::state()]));
    let other = soon(leaf.shard_states_of(&other)).await;
    assert_eq!(other, Ok(Vec::new()));
    assert_eq!(soon(leaf.node_stats()).await, Ok(samples::node_stats()));
}

#[tokio::test]
async fn calls_of_a_copy() {
    let (stub, _served, leaf) = stub_leaf().await;
    let call = SnapshotCall {
        any_copy: true,
        history: gleaner_model::HistoryId([6; 16]),
        shard: shard(1),
        follower: samples::follower(),
        keep_alive: Duration::from_secs(60),
    };
    let answer = soon(leaf.open_snapshot(call.clone())).await;
    arrived(&stub, call);
    assert_eq!(answer, Ok(samples::snapshot()));

    assert_eq!(soon(leaf.close_snapshot(shard(1), 77)).await, Ok(()));
    arrived(&stub, ("close_snapshot", shard(1), 77_u64));
}

#[tokio::test]
async fn a_file_is_read_in_pages() {
    let (stub, _served, leaf) = stub_leaf().await;
    let pattern = (0..9_u32 << 18).flat_map(u32::to_le_bytes);
    let file: bytes::Bytes = pattern.collect::<Vec<u8>>().into();
    *stub.file.lock() = file.clone();
    for (offset, max_bytes, num_pages) in [
        (0, file.len(), 3),
        (0, file.len() + 1, 3),
        (5, 4 << 20, 1),
        (1 << 20, 8 << 20, 2),
        (file.len() as u64 - 3, 100, 1),
        (file.len() as u64, 10, 1),
    ] {
        stub.calls.lock().clear();
        let call = FileCall {
            shard: shard(1),
            snapshot: 77,
            name: "a.store".to_owned(),
            offset,
            max_bytes,
        };
        let bytes = soon(leaf.read_file(call)).await.expect("it is there");
        let end = (offset as usize + max_bytes).min(file.len());
        assert!(bytes == file[offset as usize..end], "{offset} {max_bytes}");
        let calls = stub.calls.lock().len();
        assert!(calls == num_pages, "{offset} {max_bytes}: {calls}");
    }
}

#[tokio::test]
async fn a_node_says_who_it_is_and_what_it_is_not() {
    let served = serve_at("127.0.0.1:0", services(None)).await;
    let peer = Peer::new(&served.address).expect("an address");
    let node = GrpcNode::new(peer.clone());
    let info = soon(node.hello()).await.expect("it answers");
    assert_eq!((&*info.id.0, info.role), ("leaf-1", Role::Leaf));
    assert_eq!(
        (info.build_version.as_str(), info.wire),
        ("1.2.3", Versions::OURS)
    );
    assert_eq!(soon(node.readiness()).await, Ok(Readiness::Ready));
    let refused = soon(GrpcLeaf::new(peer).flush(shard(0))).await;
    assert!(
        matches!(refused, Err(LeafFault::Unsupported { .. })),
        "{refused:?}"
    );
}
