//! One grantor, its holders, and what a chain of them promises.

mod link;
mod world;

use std::sync::Arc;
use std::time::Duration;

use gleaner_model::{Generation, IndexUuid, MappingVersion, NodeId, SeqNo, ShardKey, ShardNumber};
use tokio::time::Instant;

use super::*;
use world::{Fault, World};

/// Runs of the world in which nothing wrong is found, and within which each fault is.
const NUM_SEEDS: u64 = 200;

const A: IndexUuid = IndexUuid([1; 16]);

fn shard(index: IndexUuid) -> ShardKey {
    ShardKey {
        index,
        shard: ShardNumber(0),
    }
}

fn at(visible: u64) -> Generation {
    Generation {
        mapping: MappingVersion(1),
        visible: SeqNo(visible),
        history: gleaner_model::HistoryId::FIRST,
    }
}

/// Shows one shard of index `A`.
struct One(Generation);

impl Shown for One {
    fn leasable(&self, index: IndexUuid, _: &mut Duration) -> Vec<(ShardKey, Generation)> {
        vec![(shard(index), self.0)]
    }

    fn note_read(&self, _: IndexUuid) {}

    fn state_version(&self) -> u64 {
        7
    }
}

fn ask(number: u64, heard: Option<Mark>, interest: &[IndexUuid]) -> FollowCall {
    FollowCall {
        holder: 1,
        number,
        heard,
        interest: interest.to_vec(),
        read: Vec::new(),
        is_last: false,
    }
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_waits_for_the_holder_or_its_lease() {
    let grants = Arc::new(Grants::default());
    let begun = Instant::now();
    grants.acknowledge(shard(A), at(1)).await;
    assert_eq!(begun.elapsed(), Duration::ZERO, "nobody follows");

    let first = grants.answer(&ask(1, None, &[A]), &One(at(1))).await;
    let first = first.expect("it is answered");
    assert_eq!(first.shown, [(shard(A), at(1))]);
    assert_eq!(begun.elapsed(), Duration::ZERO, "the first is due at once");
    // Silent: its lease runs out.
    grants.acknowledge(shard(A), at(2)).await;
    assert_eq!(begun.elapsed(), GRANTED);
    // And is waited for no more.
    grants.acknowledge(shard(A), at(3)).await;
    assert_eq!(begun.elapsed(), GRANTED);

    // It asks again, and hears before the lease is over.
    let second = grants
        .answer(&ask(2, Some(first.mark), &[A]), &One(at(3)))
        .await;
    let second = second.expect("it is answered");
    let begun = Instant::now();
    let waiting = grants.acknowledge(shard(A), at(4));
    let hearing = async {
        let told = grants
            .answer(&ask(3, Some(second.mark), &[A]), &One(at(4)))
            .await;
        let told = told.expect("it is answered");
        assert_eq!(
            begun.elapsed(),
            Duration::ZERO,
            "a change is answered at once"
        );
        let grants = Arc::clone(&grants);
        tokio::spawn(async move {
            grants
                .answer(&ask(4, Some(told.mark), &[A]), &One(at(4)))
                .await
        });
    };
    tokio::join!(waiting, hearing);
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn an_ask_without_news_is_answered_when_the_lease_is_to_be_renewed() {
    let grants = Grants::default();
    let first = grants.answer(&ask(1, None, &[A]), &One(at(1))).await;
    let mark = first.expect("it is answered").mark;
    let begun = Instant::now();
    let renewed = grants.answer(&ask(2, Some(mark), &[A]), &One(at(1))).await;
    assert_eq!(begun.elapsed(), RENEWAL);
    assert_eq!(renewed.expect("it is answered").lease, LEASE);
    // Changes of what nobody asked for wake nobody.
    assert_eq!(grants.note(shard(IndexUuid([9; 16])), at(9)), None);
    // Another interest is answered at once.
    let begun = Instant::now();
    drop(grants.answer(&ask(3, Some(mark), &[]), &One(at(1))).await);
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn an_ask_that_was_given_up_grants_nothing() {
    let grants = Grants::default();
    drop(grants.answer(&ask(2, None, &[A]), &One(at(1))).await);
    let late = grants.answer(&ask(1, None, &[]), &One(at(1))).await;
    let late = late.expect("it is answered");
    assert!(late.shown.is_empty() && late.lease.is_zero());
    let begun = Instant::now();
    grants.acknowledge(shard(A), at(2)).await;
    assert!(
        begun.elapsed() >= LEASE,
        "the interest of the newer ask counts"
    );
}

#[tokio::test(start_paused = true)]
async fn a_holder_goes_by_a_lease_from_before_it_asked() {
    let (holdings, leaf) = (Holdings::default(), NodeId("leaf-1".into()));
    let answer = FollowAnswer {
        mark: Mark {
            process: 1,
            change: 1,
        },
        shown: vec![(shard(A), at(1))],
        lease: LEASE,
        state_version: 7,
    };
    let sent = Instant::now();
    tokio::time::advance(LEASE - Duration::from_millis(1)).await;
    holdings.take(&leaf, sent, answer.clone());
    assert!(holdings.shown(&leaf, shard(A), 7).is_some());
    assert_eq!(holdings.num_held(), 1);
    assert!(
        holdings.shown(&leaf, shard(A), 6).is_none(),
        "its state is older"
    );
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(holdings.shown(&leaf, shard(A), 7).is_none(), "it is over");
    assert_eq!(holdings.num_held(), 0);
    holdings.take(&leaf, Instant::now(), answer);
    assert!(holdings.shown(&leaf, shard(A), 7).is_some());
    holdings.keep_indices(&leaf, &[]);
    assert!(holdings.shown(&leaf, shard(A), 7).is_none());
}

#[test]
fn nothing_older_than_what_was_acknowledged_is_gone_by() {
    let (mut leased, mut without) = (0, 0);
    for seed in 0..NUM_SEEDS {
        let reads = World::run(seed, None).expect("no lie");
        leased += reads.leased;
        without += reads.without;
    }
    // Without a lease nothing is stale.
    assert!(
        leased * 2 > without,
        "{leased} reads under a lease, {without} without one"
    );
}

#[test]
fn leases_do_not_lapse_where_the_network_is_good() {
    for seed in 0..10 {
        let reads = World::run_on(seed, None, true).expect("no lie");
        // At the beginning there is none yet.
        assert!(reads.without * 50 < reads.leased, "{reads:?}");
    }
}

#[test]
fn each_planted_fault_is_found() {
    for fault in Fault::all() {
        let found = (0..NUM_SEEDS).find(|seed| World::run(*seed, Some(fault)).is_err());
        let found = found.unwrap_or_else(|| panic!("{fault:?} was not found"));
        println!("{fault:?} is found by seed {found}");
    }
}
