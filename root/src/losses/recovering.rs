//! Entries that an etcd has lost, as one does that is restored from an older backup, are written anew by what leaves hold.
//!
//! An entry is too old where a copy has seen a greater version. The copy that holds most leads then, alone in sync: of all
//! that was acknowledged, each copy in sync had everything. The others compare their logs with its, and come back in sync.
//! A leaf that does not tell may hold records under terms that are used again: where one is left out, another history
//! begins, and what it holds never mixes with that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::join_all;
use gleaner_coordinator::entries::{EntryChange, EntryOutcome, EntryTable, StoredEntry};
use gleaner_coordinator::{BroughtBack, ShardEntries};
use gleaner_model::{
    ClusterState, CopyMeta, Entry, HistoryId, IndexUuid, NodeId, NodeUuid, PrimaryTerm, Role,
    ShardKey,
};
use gleaner_proto::read::CopyOnDisk;

use super::{Losses, PATIENCE, refused};
use crate::RootError;

/// By index, its shards and the nodes that hold them.
pub type Unknown = BTreeMap<IndexUuid, BTreeSet<(u32, NodeId)>>;

/// What is to be done, or was done, about an etcd that has lost what it held.
#[derive(Debug, Clone)]
pub struct Recovery {
    /// The cluster state that this root has seen, and etcd not any more; `None` where etcd has the newest known here.
    pub state: Option<BroughtBack>,
    /// Leaves that did not tell what they hold, and why.
    pub silent: Vec<(NodeId, String)>,
    /// Shards whose entries are too old.
    pub shards: Vec<ShardRecovery>,
    /// What leaves hold of indices that nobody knows.
    pub unknown: Unknown,
}

/// A shard whose entry is too old.
#[derive(Debug, Clone)]
pub struct ShardRecovery {
    /// The name of the index.
    pub index: String,
    /// The shard.
    pub shard: ShardKey,
    /// The entry in etcd.
    pub stored: StoredEntry,
    /// The greatest version that a copy has seen.
    pub seen: u64,
    /// What leaves hold.
    pub held: Vec<(NodeId, CopyOnDisk)>,
    /// The node whose copy is to lead and the entry that says so; or why there is none.
    pub plan: Result<(NodeId, Entry), String>,
    /// Why the entry was not written.
    pub failure: Option<String>,
}

/// What leaves hold of a shard, with the identity of each node.
type Held = Vec<(NodeId, NodeUuid, CopyOnDisk)>;

impl Losses<'_> {
    /// Finds what an etcd has lost, and writes it anew unless this `is_dry`. Leaves in `without` need not tell what they hold.
    ///
    /// # Errors
    /// An `illegal_argument_exception` where a leaf that is not left out does not tell, or no copies agree here;
    /// [`RootError::Coordinator`].
    pub async fn recover(
        &self,
        without: &BTreeSet<String>,
        is_dry: bool,
    ) -> Result<Recovery, RootError> {
        let coordinator = &self.cluster.coordinator;
        let entries = coordinator.entries().ok_or_else(|| {
            refused("one process has the only copy of each shard: there are no entries".to_owned())
        })?;
        let (by_leaf, silent) = self.ask_all(&self.cluster.state()).await;
        let missing = silent.iter().find(|(node, _)| !without.contains(&*node.0));
        if let Some((node, reason)) = missing.filter(|_| !is_dry) {
            return Err(refused(format!(
                "[{node}] does not tell what it holds, which may be what was acknowledged last: {reason}. Start it first, or \
                 name it in [without]: its copies are made anew then"
            )));
        }
        let brought = coordinator.bring_back(is_dry).await?;
        let state = match &brought {
            Some(_) => coordinator.state(),
            None => coordinator.latest().await?,
        };
        let table = Arc::clone(&entries.watch().borrow());
        let (known, unknown) = sorted(&state, &table, by_leaf);
        let mut shards = Vec::new();
        for (shard, held) in known {
            let Some(stored) = entries.read(shard).await? else {
                continue;
            };
            let index = state.indices.get(&shard.index);
            let index = index.map_or_else(String::new, |index| index.name.to_string());
            let planning = Planning {
                index,
                shard,
                stored,
                have_all_told: silent.is_empty(),
            };
            shards.extend(planning.plan(held));
        }
        if !is_dry {
            for shard in &mut shards {
                shard.failure = write(&*entries, shard).await;
            }
        }
        Ok(Recovery {
            state: brought,
            silent,
            shards,
            unknown,
        })
    }

    /// Asks all leaves what their disks hold.
    async fn ask_all(
        &self,
        state: &ClusterState,
    ) -> (Vec<(NodeId, Vec<CopyOnDisk>)>, Vec<(NodeId, String)>) {
        let leaves = self.cluster.leaves.all();
        let asked = leaves.iter().map(|leaf| async {
            let told = tokio::time::timeout(PATIENCE, leaf.client.copies_on_disk()).await;
            let told = match told {
                Ok(told) => told.map_err(|fault| fault.to_string()),
                Err(_) => Err("it does not answer".to_owned()),
            };
            (leaf.node.clone(), told)
        });
        let (mut told, mut silent) = (Vec::new(), Vec::new());
        for (node, answer) in join_all(asked).await {
            match answer {
                Ok(copies) => told.push((node, copies)),
                Err(reason) => silent.push((node, reason)),
            }
        }
        let members = state
            .nodes
            .iter()
            .filter(|(_, meta)| meta.role == Role::Leaf);
        let unasked = members.filter(|(name, _)| !leaves.iter().any(|leaf| leaf.node == **name));
        silent
            .extend(unasked.map(|(name, _)| (name.clone(), "nobody knows its address".to_owned())));
        (told, silent)
    }
}

/// Sorts what leaves hold: by shards of indices that are known, and what nobody knows.
fn sorted(
    state: &ClusterState,
    table: &EntryTable,
    by_leaf: Vec<(NodeId, Vec<CopyOnDisk>)>,
) -> (BTreeMap<ShardKey, Held>, Unknown) {
    let mut known: BTreeMap<ShardKey, Held> = BTreeMap::new();
    let mut unknown = Unknown::new();
    for (node, copies) in by_leaf {
        for copy in copies {
            let shard = copy.shard;
            if !state.indices.contains_key(&shard.index) {
                let held = unknown.entry(shard.index).or_default();
                held.insert((shard.shard.0, node.clone()));
            } else if let Some(uuid) = table.nodes.get(&node) {
                known
                    .entry(shard)
                    .or_default()
                    .push((node.clone(), *uuid, copy));
            }
        }
    }
    (known, unknown)
}

/// A shard whose entry may be too old.
struct Planning {
    index: String,
    shard: ShardKey,
    stored: StoredEntry,
    /// Whether no leaf was left out.
    have_all_told: bool,
}

impl Planning {
    /// Returns what is to become of the shard; `None` where no copy has seen a newer entry.
    fn plan(self, held: Held) -> Option<ShardRecovery> {
        let Self {
            index,
            shard,
            stored,
            have_all_told,
        } = self;
        let newest = held.iter().max_by_key(|(_, _, copy)| copy.version)?;
        let (seen, history) = (newest.2.version, newest.2.history);
        if seen <= stored.entry.version {
            return None;
        }
        let is_whole = |copy: &CopyOnDisk| {
            copy.copy.is_some()
                && copy.damage.is_none()
                && copy.end.is_some()
                && copy.history == history
        };
        let whole = held.iter().filter(|(_, _, copy)| is_whole(copy));
        let most = whole.max_by_key(|(_, _, copy)| (copy.last_term, copy.end));
        let plan = match most {
            None => {
                Err("no copy that is left is whole: see `gleaner cluster accept-loss`".to_owned())
            }
            Some((node, _, best)) => {
                let entry = entry_by(&stored.entry, &held, best, have_all_told);
                Ok((node.clone(), entry))
            }
        };
        let held = held.into_iter().map(|(node, _, copy)| (node, copy));
        Some(ShardRecovery {
            index,
            shard,
            stored,
            seen,
            held: held.collect(),
            plan,
            failure: None,
        })
    }
}

/// Returns the entry by which `best` leads: above all that any copy has seen.
fn entry_by(stored: &Entry, held: &Held, best: &CopyOnDisk, have_all_told: bool) -> Entry {
    let copies = held.iter().map(|(_, _, copy)| copy);
    let seen = copies.clone().map(|copy| copy.version).max();
    let fence = copies.map(|copy| copy.fence).max();
    let term = PrimaryTerm(stored.term.max(fence.unwrap_or_default()).0 + 1);
    let is_replaced = |meta: &CopyMeta| {
        held.iter()
            .any(|(_, node, copy)| *node == meta.node && copy.copy.is_some())
    };
    let kept = stored.copies.iter().filter(|(_, meta)| !is_replaced(meta));
    let mut copies: BTreeMap<_, _> = kept.map(|(copy, meta)| (*copy, meta.clone())).collect();
    for (_, node, copy) in held {
        if let Some(id) = copy.copy {
            let meta = stored.copies.get(&id).cloned();
            copies.insert(id, meta.unwrap_or_else(|| CopyMeta::on(*node)));
        }
    }
    let primary = best.copy.unwrap_or(stored.primary);
    let mut entry = Entry {
        version: seen.unwrap_or_default().max(stored.version) + 1,
        term,
        forced: stored.forced.clone(),
        history: best.history,
        primary,
        in_sync: [primary].into(),
        copies,
        other: stored.other.clone(),
    };
    if !have_all_told {
        entry.forced.push(term);
        entry.history = HistoryId(rand::random());
    }
    entry
}

/// Writes the entry of a shard; returns why that failed.
async fn write(entries: &dyn ShardEntries, recovery: &ShardRecovery) -> Option<String> {
    let Ok((node, entry)) = &recovery.plan else {
        return None;
    };
    tracing::warn!(
        index = recovery.index, shard = %recovery.shard, %node, version = entry.version, term = %entry.term,
        "the entry of a shard is written anew by what leaves hold: that in etcd was older than what they have seen"
    );
    let change = EntryChange {
        shard: recovery.shard,
        expected: recovery.stored.revision,
        entry: Arc::new(entry.clone()),
        guard: None,
    };
    match entries.change(change).await {
        EntryOutcome::Made { .. } => None,
        EntryOutcome::Refused(_) => Some("the entry was changed meanwhile: look again".to_owned()),
        EntryOutcome::Gone => Some("the shard was deleted meanwhile".to_owned()),
        EntryOutcome::Unknown { reason } => Some(format!("{reason}; look again")),
    }
}

#[cfg(test)]
mod tests {
    use gleaner_model::{CopyId, Revision, SeqNo, ShardNumber};
    use gleaner_replication::HeldRecords;

    use super::*;

    fn copy(number: u8) -> CopyId {
        CopyId([number; 16])
    }

    fn shard() -> ShardKey {
        ShardKey {
            index: IndexUuid([1; 16]),
            shard: ShardNumber(0),
        }
    }

    fn stored() -> StoredEntry {
        let copies = (1..=2).map(|number| (copy(number), CopyMeta::on(NodeUuid([number; 16]))));
        let entry = Entry {
            version: 4,
            term: PrimaryTerm(2),
            ..Entry::first(copy(1), copies.collect())
        };
        StoredEntry {
            entry: Arc::new(entry),
            revision: Revision(9),
        }
    }

    fn held(
        node: u8,
        of: u8,
        version: u64,
        (term, end): (u64, u64),
    ) -> (NodeId, NodeUuid, CopyOnDisk) {
        let disk = CopyOnDisk {
            shard: shard(),
            copy: Some(copy(of)),
            history: HistoryId::FIRST,
            end: Some(SeqNo(end)),
            last_term: PrimaryTerm(term),
            agreed: SeqNo(end),
            fence: PrimaryTerm(term + 1),
            version,
            committed: None,
            damage: None,
        };
        (
            NodeId(format!("leaf-{node}").into()),
            NodeUuid([node; 16]),
            disk,
        )
    }

    fn planning(have_all_told: bool) -> Planning {
        Planning {
            index: "books".to_owned(),
            shard: shard(),
            stored: stored(),
            have_all_told,
        }
    }

    fn plan(held: Held, have_all_told: bool) -> Option<(NodeId, Entry)> {
        let planned = planning(have_all_told).plan(held)?;
        Some(planned.plan.expect("a copy is whole"))
    }

    #[test]
    fn the_copy_that_holds_most_leads_above_all_that_was_seen() {
        // The third node's copy was placed after the backup, and took over.
        let copies = vec![
            held(1, 1, 6, (3, 90)),
            held(2, 2, 11, (5, 70)),
            held(3, 7, 12, (5, 80)),
        ];
        let (node, entry) = plan(copies, true).expect("it is too old");
        assert_eq!((&*node.0, entry.primary), ("leaf-3", copy(7)));
        assert_eq!((entry.version, entry.term), (13, PrimaryTerm(7)));
        assert_eq!(entry.in_sync, [copy(7)].into());
        assert_eq!(entry.copies.len(), 3);
        assert!(entry.history.is_first() && !entry.awaits_opening());
        entry.check().expect("it makes sense");
    }

    #[test]
    fn another_history_begins_where_a_leaf_did_not_tell() {
        let (_, entry) = plan(vec![held(1, 1, 6, (3, 90))], false).expect("it is too old");
        let of = |number| HeldRecords::of(&entry, copy(number), HistoryId::FIRST);
        assert_eq!(of(1), HeldRecords::Adopted);
        assert_eq!(of(2), HeldRecords::GivenUp);
    }

    #[test]
    fn nothing_is_done_where_no_copy_has_seen_more_or_none_is_whole() {
        assert!(plan(vec![held(1, 1, 4, (2, 9))], true).is_none());
        let mut damaged = held(1, 1, 6, (3, 90));
        damaged.2.damage = Some("torn".to_owned());
        let planned = planning(true).plan(vec![damaged]);
        assert!(planned.expect("it is too old").plan.is_err());
    }
}
