//! Which copies the entry names: those on the nodes that the index's state gives the shard.
//!
//! The leaf of the primary sees to it, as long as nobody else does: a copy is added for a node that has none, and one
//! on a node that is not to hold any, or whose folder is another by now, goes. One in sync goes last, when those that
//! stay are all in sync; a primary gives its role to one of those first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use gleaner_coordinator::entries::EntryChange;
use gleaner_model::{CopyId, CopyMeta, Entry, NodeUuid};
use gleaner_replication::{Change, Event};
use tokio::time::MissedTickBehavior;

use super::driver::CopyDriver;
use super::holding::CopyHolder;
use crate::replicate::halt::Halt;

/// How often a primary looks.
const EVERY: Duration = Duration::from_secs(1);

impl CopyHolder {
    /// Looks from time to time, for ever.
    pub(super) async fn keep_placed(&self, driver: &Arc<CopyDriver>) -> Halt {
        let mut every = tokio::time::interval(EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            self.place(driver).await;
        }
    }

    /// Has the entry name the copies that there are to be, where this copy leads.
    async fn place(&self, driver: &Arc<CopyDriver>) {
        let state = self.leaf.node.coordinator.state();
        let Some(index) = state.indices.get(&self.key.index) else {
            return;
        };
        let Some((entry, revision)) = driver.entry().filter(|(entry, _)| {
            let leads = driver.status_now().reign.map(|reign| reign.term);
            leads == Some(entry.term)
        }) else {
            return;
        };
        let table = self.hub.table();
        let row = index.copies_of(self.key.shard);
        let wanted: Option<BTreeSet<NodeUuid>> = row
            .iter()
            .map(|name| table.nodes.get(name).copied())
            .collect();
        let known = row.iter().filter_map(|name| table.nodes.get(name).copied());
        let change = due(&entry, &known.collect(), wanted.as_ref());
        driver.handle(Event::Withdraw {
            copies: removed_by(change.as_ref()),
        });
        let Some(change) = change else {
            if let Some(to) = wanted
                .and_then(|wanted| heir(&entry, &wanted, |node| table.alive.contains_key(node)))
            {
                tracing::info!(shard = %self.key, %to, "the primary is to be on another node");
                driver.handle(Event::HandOver { to });
            }
            return;
        };
        let Some(change) = ripe(change, |copy| driver.may_have_right(copy)) else {
            return;
        };
        let next = match change.apply(Some(&entry), driver.min_in_sync()) {
            Ok(Some(next)) => next,
            Ok(None) => return,
            Err(refusal) => {
                tracing::debug!(shard = %self.key, %refusal, "the shard's copies stay as they are");
                return;
            }
        };
        let change = EntryChange {
            shard: self.key,
            expected: revision,
            entry: Arc::new(next),
            guard: None,
        };
        // Where it was not made it is due again.
        drop(self.hub.entries.change(change).await);
    }
}

/// Returns how the copies of the entry are to change for the nodes `known`; those on other nodes go only where
/// `wanted` says that these are all.
fn due(
    entry: &Entry,
    known: &BTreeSet<NodeUuid>,
    wanted: Option<&BTreeSet<NodeUuid>>,
) -> Option<Change> {
    let held: BTreeSet<NodeUuid> = entry.copies.values().map(|meta| meta.node).collect();
    let add: BTreeMap<CopyId, CopyMeta> = known
        .difference(&held)
        .map(|node| (CopyId(rand::random()), CopyMeta::on(*node)))
        .collect();
    let in_sync = entry.in_sync_by_rank();
    let are_in_sync = known.iter().all(|node| in_sync.contains(node));
    let goes = |(copy, meta): &(&CopyId, &CopyMeta)| {
        let is_stranger = wanted.is_some_and(|wanted| !wanted.contains(&meta.node));
        let is_needed = entry.in_sync.contains(*copy) && !are_in_sync;
        is_stranger && !is_needed && **copy != entry.primary
    };
    let remove: BTreeSet<CopyId> = entry
        .copies
        .iter()
        .filter(goes)
        .map(|(copy, _)| *copy)
        .collect();
    let is_due = !add.is_empty() || !remove.is_empty();
    is_due.then_some(Change::Place { add, remove })
}

/// Returns the copies that a change removes.
fn removed_by(change: Option<&Change>) -> BTreeSet<CopyId> {
    match change {
        Some(Change::Place { remove, .. }) => remove.clone(),
        _ => BTreeSet::new(),
    }
}

/// Returns what of a change is to be made now: a copy goes once its right to answer as one that shows all has run out. A
/// primary that leads later does not know it, and would not wait for it.
fn ripe(change: Change, may_have_right: impl Fn(CopyId) -> bool) -> Option<Change> {
    let Change::Place { add, mut remove } = change else {
        return Some(change);
    };
    remove.retain(|copy| !may_have_right(*copy));
    let is_due = !add.is_empty() || !remove.is_empty();
    is_due.then_some(Change::Place { add, remove })
}

/// Returns the copy that is to lead instead of a primary on a node that is not `wanted`: one in sync on a node that is,
/// and is alive.
fn heir(
    entry: &Entry,
    wanted: &BTreeSet<NodeUuid>,
    is_alive: impl Fn(&NodeUuid) -> bool,
) -> Option<CopyId> {
    let is_wanted = |copy: &CopyId| {
        let node = entry.node_of(*copy);
        node.filter(|node| wanted.contains(node))
    };
    if is_wanted(&entry.primary).is_some() {
        return None;
    }
    let mut in_sync = entry.in_sync.iter();
    let found = in_sync.find(|copy| is_wanted(copy).is_some_and(|node| is_alive(&node)));
    found.copied()
}

#[cfg(test)]
mod tests {
    use gleaner_model::PrimaryTerm;

    use super::*;

    fn node(n: u8) -> NodeUuid {
        NodeUuid([n; 16])
    }

    fn entry(nodes: &[u8], in_sync: &[u8]) -> Entry {
        let id = |n: &u8| CopyId([*n; 16]);
        Entry {
            version: 3,
            term: PrimaryTerm(1),
            forced: Vec::new(),
            history: gleaner_model::HistoryId::FIRST,
            primary: id(&in_sync[0]),
            in_sync: in_sync.iter().map(id).collect(),
            copies: nodes
                .iter()
                .map(|n| (id(n), CopyMeta::on(node(*n))))
                .collect(),
            other: Default::default(),
        }
    }

    fn placed(entry: &Entry, wanted: &[u8]) -> Option<Vec<NodeUuid>> {
        let wanted: BTreeSet<_> = wanted.iter().map(|n| node(*n)).collect();
        let change = due(entry, &wanted, Some(&wanted))?;
        let next = change.apply(Some(entry), 1).expect("allowed").expect("one");
        let mut nodes: Vec<_> = next.copies.values().map(|meta| meta.node).collect();
        nodes.sort_unstable();
        Some(nodes)
    }

    #[test]
    fn copies_come_to_new_nodes_and_go_where_none_is_wanted_once_the_others_are_in_sync() {
        assert_eq!(placed(&entry(&[1, 2], &[1, 2]), &[1, 2]), None);
        let added = placed(&entry(&[1], &[1]), &[1, 2]);
        assert_eq!(added, Some(vec![node(1), node(2)]));
        let moved = placed(&entry(&[1, 2], &[1]), &[1, 3]);
        assert_eq!(moved, Some(vec![node(1), node(3)]));
        let moving = placed(&entry(&[1, 2], &[1, 2]), &[1, 3]);
        assert_eq!(
            moving,
            Some(vec![node(1), node(2), node(3)]),
            "3 is not in sync yet"
        );
        let fewer = placed(&entry(&[1, 2], &[1, 2]), &[1]);
        assert_eq!(fewer, Some(vec![node(1)]), "replicas are fewer");
        assert_eq!(
            placed(&entry(&[1], &[1]), &[2]).map(|nodes| nodes.len()),
            Some(2)
        );
    }

    #[test]
    fn a_primary_where_none_is_wanted_gives_its_role_to_a_copy_in_sync_where_one_is() {
        let heir = |entry: &Entry, wanted: &[u8]| {
            let wanted = wanted.iter().map(|n| node(*n)).collect();
            heir(entry, &wanted, |alive| *alive != node(4)).map(|copy| copy.0[0])
        };
        assert_eq!(heir(&entry(&[1, 2], &[1, 2]), &[1, 2]), None);
        assert_eq!(heir(&entry(&[1, 2, 3], &[1, 2, 3]), &[3]), Some(3));
        assert_eq!(heir(&entry(&[1, 4], &[1, 4]), &[4]), None, "4 is not alive");
        assert_eq!(
            heir(&entry(&[1, 3], &[1]), &[3]),
            None,
            "3 is not in sync yet"
        );
    }

    #[test]
    fn a_copy_goes_once_its_right_has_run_out_while_others_come_at_once() {
        let [one, two] = [CopyId([1; 16]), CopyId([2; 16])];
        let place = |add: &[u8], remove: &[CopyId]| Change::Place {
            add: add
                .iter()
                .map(|n| (CopyId([*n; 16]), CopyMeta::on(node(*n))))
                .collect(),
            remove: remove.iter().copied().collect(),
        };
        let has_right = |copy| copy == two;
        let now = |change| ripe(change, has_right);
        assert_eq!(now(place(&[], &[two])), None);
        assert_eq!(now(place(&[], &[one, two])), Some(place(&[], &[one])));
        assert_eq!(now(place(&[3], &[two])), Some(place(&[3], &[])));
        assert_eq!(removed_by(Some(&place(&[3], &[two]))), [two].into());
    }

    #[test]
    fn nothing_goes_while_a_node_that_is_wanted_is_not_known() {
        let known = [node(1)].into();
        assert_eq!(due(&entry(&[1, 2], &[1]), &known, None), None);
    }
}
