//! What every [`ShardEntries`] must do, as one suite of checks.

use std::sync::Arc;

use async_trait::async_trait;
use gleaner_model::{ClusterState, Entry, Incarnation, NodeId, NodeUuid, ShardKey, ShardNumber};

use super::{index, named};
use crate::entries::{EntryChange, EntryOutcome, EntryTable, StoredEntry, TakeOverGuard};
use crate::{Coordinator, CoordinatorError, ShardEntries, update};

/// A coordinator that keeps entries, and nodes that join it and leave.
#[async_trait]
pub trait Site {
    /// Returns the coordinator.
    fn coordinator(&self) -> &dyn Coordinator;

    /// Has a node be alive; returns the process that runs on it.
    async fn join(&mut self, name: &NodeId, node: NodeUuid) -> Incarnation;

    /// Has a node be alive no more.
    async fn leave(&mut self, name: &NodeId, node: NodeUuid);
}

/// Runs all checks, each on a fresh coordinator whose state is at version 0 and that knows no nodes.
///
/// # Panics
/// When an implementation breaks a promise; for tests.
pub async fn suite<S: Site>(mut fresh: impl FnMut() -> S) {
    an_index_on_nodes_that_never_were_is_refused(fresh()).await;
    entries_come_and_go_with_their_index(fresh()).await;
    an_entry_changes_by_its_own_revision(fresh()).await;
    a_copy_takes_over_from_a_node_that_is_gone_only(fresh()).await;
}

fn node(name: &str) -> NodeUuid {
    NodeUuid([name.as_bytes()[0]; 16])
}

fn id(name: &str) -> NodeId {
    NodeId(name.into())
}

pub(crate) fn shard() -> ShardKey {
    ShardKey {
        index: index(Default::default()).uuid,
        shard: ShardNumber(0),
    }
}

/// Places an index of one shard on nodes.
pub(crate) async fn place(
    site: &impl Site,
    names: &[&str],
) -> Result<Arc<ClusterState>, CoordinatorError> {
    let row: Vec<NodeId> = names.iter().map(|name| id(name)).collect();
    update(site.coordinator(), |state| {
        let mut index = index(Default::default());
        index.copies = vec![row.clone()];
        let mut next = ClusterState {
            version: state.version,
            ..named("a")
        };
        next.indices.insert(index.uuid, Arc::new(index));
        Ok(Some(next))
    })
    .await
}

fn entries(site: &impl Site) -> Arc<dyn ShardEntries> {
    site.coordinator().entries().expect("it keeps entries")
}

async fn until(site: &impl Site, is_wanted: impl FnMut(&Arc<EntryTable>) -> bool) {
    let mut tables = entries(site).watch();
    let seen = tables.wait_for(is_wanted).await;
    assert!(seen.is_ok(), "the table is followed");
}

async fn joined(site: &mut impl Site, name: &str) -> Incarnation {
    let incarnation = site.join(&id(name), node(name)).await;
    until(site, |table| {
        table.alive.get(&node(name)) == Some(&incarnation)
    })
    .await;
    incarnation
}

async fn left(site: &mut impl Site, name: &str) {
    site.leave(&id(name), node(name)).await;
    until(site, |table| !table.alive.contains_key(&node(name))).await;
}

async fn stored(site: &impl Site) -> StoredEntry {
    let read = entries(site).read(shard()).await.expect("reads");
    read.expect("it is there")
}

/// Returns a change that only counts.
fn counted(stored: &StoredEntry, guard: Option<TakeOverGuard>) -> EntryChange {
    EntryChange {
        shard: shard(),
        expected: stored.revision,
        entry: Arc::new(Entry {
            version: stored.entry.version + 1,
            ..Entry::clone(&stored.entry)
        }),
        guard,
    }
}

async fn an_index_on_nodes_that_never_were_is_refused(site: impl Site) {
    let refused = place(&site, &["a"]).await;
    assert!(
        matches!(refused, Err(CoordinatorError::Unavailable { .. })),
        "{refused:?}"
    );
    assert!(site.coordinator().state().indices.is_empty());
}

async fn entries_come_and_go_with_their_index(mut site: impl Site) {
    joined(&mut site, "a").await;
    joined(&mut site, "b").await;
    left(&mut site, "a").await;
    place(&site, &["a", "b"]).await.expect("placed");
    until(&site, |table| table.shards.contains_key(&shard())).await;
    let StoredEntry { entry, .. } = stored(&site).await;
    assert_eq!(entry.node_of(entry.primary), Some(node("b")), "it is alive");
    assert_eq!((entry.term.0, entry.copies.len()), (0, 2));
    assert_eq!(entry.in_sync, [entry.primary].into());
    let emptied = update::<CoordinatorError, _>(site.coordinator(), |state| {
        let mut next = state.clone();
        next.delete_index(&shard().index);
        Ok(Some(next))
    });
    emptied.await.expect("deleted");
    until(&site, |table| table.shards.is_empty()).await;
    assert_eq!(entries(&site).read(shard()).await.expect("reads"), None);
}

async fn an_entry_changes_by_its_own_revision(mut site: impl Site) {
    joined(&mut site, "a").await;
    place(&site, &["a"]).await.expect("placed");
    let first = stored(&site).await;
    let made = entries(&site).change(counted(&first, None)).await;
    let EntryOutcome::Made { revision } = made else {
        panic!("it was not made: {made:?}");
    };
    let second = stored(&site).await;
    assert_eq!((second.revision, second.entry.version), (revision, 2));
    assert!(second.revision > first.revision);
    let late = entries(&site).change(counted(&first, None)).await;
    assert_eq!(late, EntryOutcome::Refused(second.clone()));
    until(&site, |table| table.shards.get(&shard()) == Some(&second)).await;
    let mut elsewhere = counted(&second, None);
    elsewhere.shard.shard = ShardNumber(1);
    let gone = entries(&site).change(elsewhere).await;
    assert_eq!(gone, EntryOutcome::Gone);
}

async fn a_copy_takes_over_from_a_node_that_is_gone_only(mut site: impl Site) {
    joined(&mut site, "a").await;
    let incarnation = joined(&mut site, "b").await;
    place(&site, &["a", "b"]).await.expect("placed");
    let before = stored(&site).await;
    let guard = TakeOverGuard {
        absent: node("a"),
        node: node("b"),
        incarnation,
    };
    let early = entries(&site).change(counted(&before, Some(guard))).await;
    assert_eq!(early, EntryOutcome::Refused(before.clone()), "`a` is alive");
    left(&mut site, "a").await;
    let another = TakeOverGuard {
        incarnation: Incarnation([0xee; 16]),
        ..guard
    };
    let another = entries(&site).change(counted(&before, Some(another))).await;
    assert_eq!(another, EntryOutcome::Refused(before.clone()));
    let made = entries(&site).change(counted(&before, Some(guard))).await;
    assert!(matches!(made, EntryOutcome::Made { .. }), "{made:?}");
}
