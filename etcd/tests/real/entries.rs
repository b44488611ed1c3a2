//! Entries of shards: made and removed with their index, changed by compare-and-swap, taken over under a guard.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;
use gleaner_coordinator::conformance::entries as conformance;
use gleaner_coordinator::entries::{
    EntryChange, EntryOutcome, EntryTable, StoredEntry, TakeOverGuard,
};
use gleaner_coordinator::{Coordinator, CoordinatorError, ShardEntries};
use gleaner_etcd::{EtcdCoordinator, IfAbsent, Keys, NodeEntry, Session};
use gleaner_model::{
    ClusterState, Entry, Incarnation, IndexUuid, NodeId, NodeMeta, NodeUuid, Role, ShardKey,
    ShardNumber,
};
use gleaner_proto::Versions;
use gleaner_proto::etcd::Client;
use gleaner_replication::Change;
use gleaner_testkit::skipped;

use crate::cluster::{change, keys, open, with_index, within};
use crate::server::{Etcd, NO_ETCD};

const SHARD: ShardKey = ShardKey {
    index: IndexUuid([1; 16]),
    shard: ShardNumber(0),
};

fn node(name: &str) -> NodeUuid {
    NodeUuid([name.as_bytes()[0]; 16])
}

async fn registered(etcd: &Etcd, name: &str) -> Result<Session> {
    let (client, entry) = (etcd.client(), entry_of(name, node(name)));
    let session = Session::start(&client, keys(), &entry, LASTS);
    Ok(within(session).await?)
}

/// How long a session lasts that is not renewed.
const LASTS: Duration = Duration::from_secs(2);

fn entry_of(name: &str, uuid: NodeUuid) -> NodeEntry {
    NodeEntry {
        uuid,
        name: NodeId(name.into()),
        meta: NodeMeta {
            role: Role::Leaf,
            address: "10.0.0.2:9300".to_owned(),
            http_address: None,
            weight: 1.0,
            zone: None,
        },
        build: "1.2.3".to_owned(),
        wire: Versions::OURS,
        features: Vec::new(),
    }
}

/// A cluster of its own, with the sessions of its nodes.
struct OnEtcd {
    client: Client,
    keys: Keys,
    coordinator: EtcdCoordinator,
    sessions: BTreeMap<NodeUuid, Session>,
}

#[async_trait]
impl conformance::Site for OnEtcd {
    fn coordinator(&self) -> &dyn Coordinator {
        &self.coordinator
    }

    async fn join(&mut self, name: &NodeId, node: NodeUuid) -> Incarnation {
        let entry = entry_of(&name.0, node);
        let session = Session::start(&self.client, self.keys.clone(), &entry, LASTS);
        let session = within(session).await.expect("it registers");
        let incarnation = session.incarnation();
        self.sessions.insert(node, session);
        incarnation
    }

    async fn leave(&mut self, _: &NodeId, node: NodeUuid) {
        let session = self.sessions.remove(&node).expect("it has joined");
        within(session.end()).await.expect("it ends");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_of_entries_passes() -> Result<()> {
    let Some(etcd) = Etcd::start() else {
        return skipped("real::the_suite_of_entries_passes", NO_ETCD);
    };
    let mut number = 0;
    let fresh = || {
        number += 1;
        let (client, keys) = (etcd.client(), Keys::of(&format!("entries-{number}")));
        let keys = keys.expect("a good name");
        let absent = IfAbsent::Begin(Box::default());
        let opened = EtcdCoordinator::open(client.clone(), keys.clone(), absent);
        let runtime = tokio::runtime::Handle::current();
        let opened = tokio::task::block_in_place(|| runtime.block_on(within(opened)));
        OnEtcd {
            client,
            keys,
            coordinator: opened.expect("it opens"),
            sessions: BTreeMap::new(),
        }
    };
    within(conformance::suite(fresh)).await;
    Ok(())
}

/// The state with an index of so many shards, each with its only copy on node `b`.
fn with_shards(state: &ClusterState, number: u8, num_shards: usize) -> ClusterState {
    let mut next = with_index(state, number);
    let uuid = IndexUuid([number; 16]);
    let index = Arc::make_mut(next.indices.get_mut(&uuid).expect("it was added"));
    index.settings.number_of_shards = num_shards as u32;
    index.copies = vec![vec![NodeId("b".into())]; num_shards];
    next
}

/// The state with index 1, of as many shards as there are rows.
fn placed(state: &ClusterState, rows: &[&[&str]]) -> ClusterState {
    let mut next = with_index(state, 1);
    let index = next.indices.get_mut(&SHARD.index).expect("it was added");
    let index = Arc::make_mut(index);
    index.settings.number_of_shards = rows.len() as u32;
    let names = |row: &&[&str]| row.iter().map(|name| NodeId((*name).into())).collect();
    index.copies = rows.iter().map(names).collect();
    next
}

async fn until(
    entries: &Arc<dyn ShardEntries>,
    is_wanted: impl FnMut(&Arc<EntryTable>) -> bool,
) -> Arc<EntryTable> {
    let mut tables = entries.watch();
    let table = within(tables.wait_for(is_wanted)).await;
    Arc::clone(&table.expect("it follows"))
}

fn changed(stored: &StoredEntry, change: &Change, guard: Option<TakeOverGuard>) -> EntryChange {
    let next = change.apply(Some(&stored.entry), 1);
    EntryChange {
        shard: SHARD,
        expected: stored.revision,
        entry: Arc::new(next.expect("allowed").expect("an entry")),
        guard,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_come_and_go_with_their_index_and_change_by_themselves() -> Result<()> {
    let Some(etcd) = Etcd::start() else {
        let test = "real::entries_come_and_go_with_their_index_and_change_by_themselves";
        return skipped(test, NO_ETCD);
    };
    let (one, other) = (open(etcd.client()).await, open(etcd.client()).await);
    let entries = one.entries().expect("it keeps entries");
    let nobody = one
        .compare_and_swap(0, placed(&one.state(), &[&["a"]]))
        .await;
    assert!(
        matches!(nobody, Err(CoordinatorError::Unavailable { .. })),
        "{nobody:?}"
    );
    let many = vec![&["a"][..]; 121];
    let many = one.compare_and_swap(0, placed(&one.state(), &many)).await;
    assert!(
        matches!(many, Err(CoordinatorError::TooLarge { .. })),
        "{many:?}"
    );

    let _b = registered(&etcd, "b").await?;
    let (uuid, name) = (node("b"), NodeId("b".into()));
    until(&entries, |table| table.alive.contains_key(&uuid)).await;
    let state = change(&one, |state| placed(state, &[&["a", "b"]])).await;
    let theirs = other.entries().expect("it keeps entries");
    let table = until(&theirs, |table| table.shards.contains_key(&SHARD)).await;
    assert_eq!(table.nodes, BTreeMap::from([(name, uuid)]));
    let stored = table.shards[&SHARD].clone();
    let primary = stored.entry.node_of(stored.entry.primary);
    assert_eq!(
        (primary, stored.entry.term.0),
        (Some(uuid), 0),
        "the first that is alive"
    );
    assert_eq!(theirs.read(SHARD).await?, Some(stored.clone()));

    let touched = theirs.change(changed(&stored, &Change::Touch, None)).await;
    assert!(matches!(touched, EntryOutcome::Made { .. }), "{touched:?}");
    let table = until(&entries, |table| table.shards[&SHARD] != stored).await;
    let newer = table.shards[&SHARD].clone();
    assert_eq!(newer.entry.version, stored.entry.version + 1);
    let late = theirs.change(changed(&stored, &Change::Touch, None)).await;
    assert_eq!(late, EntryOutcome::Refused(newer.clone()));
    assert_eq!(one.state(), state, "the state has not changed with it");

    change(&one, |state| {
        let mut next = state.clone();
        next.delete_index(&SHARD.index);
        next
    })
    .await;
    until(&theirs, |table| table.shards.is_empty()).await;
    let gone = theirs.change(changed(&newer, &Change::Touch, None)).await;
    assert_eq!(gone, EntryOutcome::Gone);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_takes_over_only_from_a_node_that_is_gone_and_as_the_process_that_asked()
-> Result<()> {
    let Some(etcd) = Etcd::start() else {
        let test =
            "real::a_copy_takes_over_only_from_a_node_that_is_gone_and_as_the_process_that_asked";
        return skipped(test, NO_ETCD);
    };
    let coordinator = open(etcd.client()).await;
    let entries = coordinator.entries().expect("it keeps entries");
    let (a, b) = (registered(&etcd, "a").await?, registered(&etcd, "b").await?);
    until(&entries, |table| table.alive.len() == 2).await;
    change(&coordinator, |state| placed(state, &[&["a", "b"]])).await;
    let table = until(&entries, |table| table.shards.contains_key(&SHARD)).await;
    let stored = table.shards[&SHARD].clone();
    let copy_on = |entry: &Entry, name: &str| {
        let on = entry
            .copies
            .iter()
            .find(|(_, meta)| meta.node == node(name));
        *on.expect("a copy").0
    };
    let copy = copy_on(&stored.entry, "b");
    let grown = entries
        .change(changed(&stored, &Change::Grow { copy }, None))
        .await;
    assert!(matches!(grown, EntryOutcome::Made { .. }), "{grown:?}");
    let stored = entries.read(SHARD).await?.expect("it is there");
    let fence = gleaner_model::PrimaryTerm(0);
    let take_over = |incarnation| {
        let guard = TakeOverGuard {
            absent: node("a"),
            node: node("b"),
            incarnation,
        };
        changed(&stored, &Change::TakeOver { copy, fence }, Some(guard))
    };
    let refused = entries.change(take_over(b.incarnation())).await;
    assert_eq!(
        refused,
        EntryOutcome::Refused(stored.clone()),
        "`a` is alive"
    );
    let incarnation = a.incarnation();
    within(a.end()).await?;
    let refused = entries.change(take_over(incarnation)).await;
    assert_eq!(
        refused,
        EntryOutcome::Refused(stored.clone()),
        "another process"
    );
    let made = entries.change(take_over(b.incarnation())).await;
    assert!(matches!(made, EntryOutcome::Made { .. }), "{made:?}");
    let entry = entries.read(SHARD).await?.expect("it is there").entry;
    assert_eq!((entry.primary, entry.term.0), (copy, 1));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn indices_of_many_shards_go_together() -> Result<()> {
    let Some(etcd) = Etcd::start() else {
        return skipped("real::indices_of_many_shards_go_together", NO_ETCD);
    };
    let coordinator = open(etcd.client()).await;
    let entries = coordinator.entries().expect("it keeps entries");
    let b = registered(&etcd, "b").await?;
    until(&entries, |table| table.alive.len() == 1).await;
    // More than etcd takes in one transaction, were each removed by itself.
    for number in [1, 2] {
        change(&coordinator, |state| with_shards(state, number, 70)).await;
    }
    until(&entries, |table| table.shards.len() == 140).await;
    change(&coordinator, |state| {
        let mut next = state.clone();
        next.indices.clear();
        next
    })
    .await;
    until(&entries, |table| table.shards.is_empty()).await;
    b.end().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_indices_go_together_and_their_entries_with_the_next_change() -> Result<()> {
    let Some(etcd) = Etcd::start() else {
        let test = "real::a_hundred_indices_go_together_and_their_entries_with_the_next_change";
        return skipped(test, NO_ETCD);
    };
    let coordinator = open(etcd.client()).await;
    let entries = coordinator.entries().expect("it keeps entries");
    let b = registered(&etcd, "b").await?;
    until(&entries, |table| table.alive.len() == 1).await;
    for from in [1, 51] {
        change(&coordinator, |state| {
            (from..from + 50).fold(state.clone(), |state, number| {
                with_shards(&state, number, 1)
            })
        })
        .await;
    }
    until(&entries, |table| table.shards.len() == 100).await;
    change(&coordinator, |state| {
        let mut next = state.clone();
        next.indices.clear();
        next
    })
    .await;
    // A transaction that deletes a hundred indices has no room for the entries of all.
    until(&entries, |table| table.shards.len() < 100).await;
    change(&coordinator, |state| with_shards(state, 101, 1)).await;
    let last = ShardKey {
        index: IndexUuid([101; 16]),
        shard: ShardNumber(0),
    };
    until(&entries, |table| {
        table.shards.len() == 1 && table.shards.contains_key(&last)
    })
    .await;
    b.end().await?;
    Ok(())
}
