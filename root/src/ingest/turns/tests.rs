//! Turns by time and by number; documents of small requests and of large ones; shards of several leaves.

use std::collections::BTreeMap;

use bytes::Bytes;
use gleaner_proto::write::{Condition, WriteAction};
use serde_json::json;

use super::*;
use crate::RootOptions;
use crate::ingest::{IngestItem, IngestOptions};
use crate::testing::{Cluster, Fixture, index, uuid};

/// Returns the shards of `num` documents, each `every_ms` after the last.
fn shards(turns: &Turns, num: i64, every_ms: i64) -> Vec<u32> {
    let at = |n: i64| turns.next(uuid(1), 3, 1_000 + n * every_ms).0;
    (0..num).map(at).collect()
}

/// Writes a request of `num_items` documents without ids; returns how many each shard got.
async fn write(root: &Root, num_items: usize, routing: Option<&str>) -> BTreeMap<u32, usize> {
    let item = || IngestItem {
        index: "index-1".to_owned(),
        id: None,
        routing: routing.map(str::to_owned),
        action: WriteAction::Index {
            source: Bytes::from_static(b"{}"),
            create: false,
        },
        condition: Condition::None,
        require_alias: false,
    };
    let items = (0..num_items).map(|_| item()).collect();
    let results = root.ingest(items, &IngestOptions::default()).await;
    let mut counts = BTreeMap::new();
    for result in results {
        let index = &root.state().indices[&uuid(1)];
        let slots = index.settings.routing_slots;
        let shard = result.shard.expect("it was written").shard;
        if routing.is_none() {
            assert_eq!(shard, gleaner_shard_router::shard_of(&result.id, slots, 2));
        }
        *counts.entry(shard.0).or_default() += 1;
    }
    counts
}

#[test]
fn slow_writers_give_each_shard_the_same() {
    let shards = shards(&Turns::default(), 9, TURN_MS);
    let next = |shard: u32| (shard + 1) % 3;
    assert!(
        shards.windows(2).all(|pair| pair[1] == next(pair[0])),
        "{shards:?}"
    );
}

#[test]
fn fast_ones_stay_for_a_turn() {
    let turns = Turns::default();
    let shards = shards(&turns, 3 * i64::from(TURN_DOCUMENTS), 0);
    let turns: Vec<_> = shards.chunk_by(|a, b| a == b).map(<[u32]>::len).collect();
    assert_eq!(turns, [TURN_DOCUMENTS as usize; 3]);
}

#[test]
fn a_clock_that_goes_back_ends_a_turn() {
    let shards = shards(&Turns::default(), 2, -1);
    assert_ne!(shards[0], shards[1]);
}

#[test]
fn indices_have_turns_of_their_own_and_are_bounded() {
    let turns = Turns::default();
    let of = |n: usize| {
        let mut uuid = [0; 16];
        uuid[..8].copy_from_slice(&(n as u64).to_le_bytes());
        IndexUuid(uuid)
    };
    let first: Vec<_> = (0..9).map(|n| turns.next(of(n), 4, 0)).collect();
    let again: Vec<_> = (0..9).map(|n| turns.next(of(n), 4, 1)).collect();
    assert_eq!(first, again);
    for n in 0..3 * MAX_INDICES {
        turns.next(of(n), 4, 0);
        assert!(turns.0.lock().len() <= MAX_INDICES);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn single_documents_go_to_one_shard_and_then_to_the_next() {
    let fixture = Fixture::new([index(1, &json!({}))]);
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    for n in 0..2 * TURN_DOCUMENTS as usize {
        if n == 200 {
            assert_eq!(counts.len(), 1, "{counts:?}");
        }
        for (shard, count) in write(&fixture.root, 1, None).await {
            *counts.entry(shard).or_default() += count;
        }
    }
    let each = TURN_DOCUMENTS as usize;
    assert_eq!(counts, BTreeMap::from([(0, each), (1, each)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_request_goes_to_one_shard_and_a_large_one_to_all() {
    let fixture = Fixture::new([index(1, &json!({}))]);
    let small = write(&fixture.root, MAX_ITEMS, None).await;
    assert_eq!(small.len(), 1, "{small:?}");
    let large = write(&fixture.root, 8 * MAX_ITEMS, None).await;
    assert!(large.values().all(|count| *count > 64), "{large:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_routing_value_goes_where_it_belongs() {
    let fixture = Fixture::new([index(1, &json!({}))]);
    let (slots, mut both) = (
        fixture.root.state().indices[&uuid(1)]
            .settings
            .routing_slots,
        0,
    );
    for routing in ["a", "b", "c", "d", "e", "f"] {
        let shard = gleaner_shard_router::shard_of(routing, slots, 2).0;
        both |= 1 << shard;
        let counts = write(&fixture.root, 4, Some(routing)).await;
        assert_eq!(counts, BTreeMap::from([(shard, 4)]));
    }
    assert_eq!(both, 3, "routing values of both shards");
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_of_several_leaves_do_not_wait_for_their_turn() {
    let indices = [index(1, &json!({}))];
    let cluster = Cluster::with_copies((2, 1), indices, RootOptions::default());
    let counts = write(&cluster.root, MAX_ITEMS, None).await;
    assert_eq!(counts.len(), 2, "{counts:?}");
}
