//! What the copies of a shard hold, and what is lost where none that counts as in sync is whole.
//!
//! Does: gather what entry, marks and leaves tell of the copies of one shard; force a copy, where an operator accepts the
//! loss ([`forcing`]). Does not: decide which copy, ask anybody for consent. Called by `api`. Read first: [`ShardCopies`].

mod forcing;
mod recovering;

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use gleaner_coordinator::entries::{EntryTable, StoredEntry};
use gleaner_coordinator::marks::CopyMark;
use gleaner_coordinator::{CoordinatorError, ShardEntries};
use gleaner_model::{CopyId, Entry, NodeId, NodeUuid, SeqNo, ShardKey};
use gleaner_proto::LeafClient;
use gleaner_proto::read::{CopyOnDisk, ShardPhase, ShardState};
use gleaner_query::QueryError;

use crate::cluster::ClusterView;
use crate::{LeafHandle, RootError};

pub use forcing::{Forced, ForcedCopy, Forcing, Loss};
pub use recovering::{Recovery, ShardRecovery, Unknown};

/// How long a leaf may take to tell what its disk holds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Looks at what copies hold, and forces some.
pub struct Losses<'a> {
    pub(crate) cluster: &'a ClusterView,
}

/// The copies of a shard.
#[derive(Debug, Clone)]
pub struct ShardCopies {
    /// The shard.
    pub shard: ShardKey,
    /// Its entry.
    pub stored: StoredEntry,
    /// The copies that the entry names, and nodes that are to hold one and have none, as those that came back with an empty folder.
    pub copies: Vec<CopyTold>,
}

/// What is known of one copy.
#[derive(Debug, Clone)]
pub struct CopyTold {
    /// The copy; `None` on a node that is to hold one, where the entry names none.
    pub copy: Option<CopyId>,
    /// Its node.
    pub node: NodeUuid,
    /// The name of the node; `None` where no node of that identity bears one any more.
    pub name: Option<NodeId>,
    /// Whether the node is alive.
    pub is_alive: bool,
    /// Whether the entry counts it as holding everything acknowledged.
    pub is_in_sync: bool,
    /// Whether it is the primary.
    pub is_primary: bool,
    /// What the leaf says of it; `None` where it says nothing.
    pub state: Option<ShardState>,
    /// What the leaf's disk holds of the shard; `None` where that is nothing.
    pub disk: Option<CopyOnDisk>,
    /// Why the leaf did not tell.
    pub silence: Option<String>,
    /// What it was known to hold; `None` where nobody noted that, or of another copy or history.
    pub mark: Option<CopyMark>,
}

impl CopyTold {
    /// Returns how the node is called, for people.
    pub fn called(&self) -> String {
        match &self.name {
            Some(name) => name.to_string(),
            None => format!("a node that is gone, {}", self.node),
        }
    }

    /// Returns the position after the last operation that is here.
    pub fn next(&self) -> SeqNo {
        self.disk.as_ref().map_or(SeqNo(0), CopyOnDisk::next)
    }

    /// Returns why the copy does not count as whole, though the entry may say so; `None` where it holds all that it is known
    /// to have held.
    pub fn lack(&self, entry: &Entry) -> Option<String> {
        if self.copy.is_none() {
            return Some("it has none yet".to_owned());
        }
        if !self.is_in_sync {
            return Some("it is not in sync".to_owned());
        }
        if !self.is_alive {
            return Some("its node is not alive".to_owned());
        }
        let Some(disk) = &self.disk else {
            return Some("nothing of it is on the disk".to_owned());
        };
        if let Some(damage) = &disk.damage {
            return Some(damage.clone());
        }
        if disk.copy != self.copy || disk.history != entry.history {
            return Some("its folder is of another copy or history".to_owned());
        }
        let known = self.mark.map_or(SeqNo(0), |mark| mark.position);
        if self.next() < known {
            return Some(format!("it ends at {}, and held {known}", self.next()));
        }
        let failed = self.state.as_ref();
        let failed = failed.filter(|state| state.phase == ShardPhase::Failed);
        failed.map(|state| state.reason.clone().unwrap_or_default())
    }
}

impl ShardCopies {
    /// Returns the entry.
    pub fn entry(&self) -> &Entry {
        &self.stored.entry
    }

    /// Returns the position after the last operation that any copy in sync holds, or was known to hold: what was acknowledged
    /// is below, as far as is known; and when that was noted.
    pub fn known(&self) -> (SeqNo, Option<i64>) {
        let in_sync = self.copies.iter().filter(|copy| copy.is_in_sync);
        let known = in_sync.map(|copy| {
            let mark = copy.mark.map(|mark| (mark.position, Some(mark.noted_ms)));
            let is_of = |disk: &&CopyOnDisk| disk.history == self.entry().history;
            let next = copy.disk.as_ref().filter(is_of).map(CopyOnDisk::next);
            mark.max(next.map(|next| (next, None)))
        });
        known.flatten().max().unwrap_or((SeqNo(0), None))
    }
}

impl Losses<'_> {
    /// Returns what the copies of a shard hold; `None` where one process has the only copy of each shard.
    ///
    /// # Errors
    /// [`RootError::Coordinator`] where the store does not answer.
    pub async fn copies(&self, shard: ShardKey) -> Result<Option<ShardCopies>, RootError> {
        let Some(entries) = self.cluster.coordinator.entries() else {
            return Ok(None);
        };
        let Some(stored) = entries.read(shard).await? else {
            return Ok(None);
        };
        let table = Arc::clone(&entries.watch().borrow());
        let named = stored.entry.copies.iter();
        let named = named.map(|(copy, meta)| (Some(*copy), meta.node));
        let state = self.cluster.state();
        let index = state.indices.get(&shard.index);
        let wanted = index.map_or(&[][..], |index| index.copies_of(shard.shard));
        let vacant = wanted
            .iter()
            .filter_map(|name| table.nodes.get(name))
            .filter(|node| stored.entry.copies.values().all(|meta| meta.node != **node))
            .map(|node| (None, *node));
        let asked: Vec<_> = named.chain(vacant).collect();
        let asking = Asking {
            table,
            leaves: self.cluster.leaves.all(),
            entries,
            shard,
            entry: Arc::clone(&stored.entry),
        };
        let told = asked.iter().map(|(copy, node)| asking.tell(*copy, *node));
        let copies = join_all(told).await;
        let copies = copies
            .into_iter()
            .collect::<Result<_, CoordinatorError>>()?;
        Ok(Some(ShardCopies {
            shard,
            stored,
            copies,
        }))
    }
}

/// What copies of one shard are asked for, and where.
struct Asking {
    entries: Arc<dyn ShardEntries>,
    shard: ShardKey,
    entry: Arc<Entry>,
    table: Arc<EntryTable>,
    leaves: Vec<LeafHandle>,
}

impl Asking {
    /// Returns what is known of the copy on a node.
    async fn tell(
        &self,
        copy: Option<CopyId>,
        node: NodeUuid,
    ) -> Result<CopyTold, CoordinatorError> {
        let (entry, shard) = (&self.entry, self.shard);
        let mark = self.entries.marks().of_copy(node, shard).await?;
        let name = self.table.name_of(node);
        let is_alive = self.table.alive.contains_key(&node);
        let mut told = CopyTold {
            copy,
            node,
            name: name.cloned(),
            is_alive,
            is_in_sync: copy.is_some_and(|copy| entry.in_sync.contains(&copy)),
            is_primary: copy == Some(entry.primary),
            state: None,
            disk: None,
            silence: None,
            mark: mark.filter(|mark| Some(mark.copy) == copy && mark.history == entry.history),
        };
        let leaf = self.leaves.iter().find(|leaf| Some(&leaf.node) == name);
        match leaf.filter(|_| is_alive) {
            None => told.silence = Some("it is not alive".to_owned()),
            Some(leaf) => {
                let asked = ask(&*leaf.client, shard);
                match tokio::time::timeout(PATIENCE, asked).await {
                    Ok(Ok((state, disk))) => (told.state, told.disk) = (state, disk),
                    Ok(Err(reason)) => told.silence = Some(reason),
                    Err(_) => told.silence = Some("it does not answer".to_owned()),
                }
            }
        }
        Ok(told)
    }
}

async fn ask(
    leaf: &dyn LeafClient,
    shard: ShardKey,
) -> Result<(Option<ShardState>, Option<CopyOnDisk>), String> {
    let (states, disk) = tokio::join!(leaf.shard_states(), leaf.copies_on_disk());
    let states = states.map_err(|fault| fault.to_string())?;
    let disk = disk.map_err(|fault| fault.to_string())?;
    let state = states.into_iter().find(|state| state.shard == shard);
    let held = disk.into_iter().find(|copy| copy.shard == shard);
    let is_there =
        |held: &CopyOnDisk| held.end.is_some() || held.committed.is_some() || held.damage.is_some();
    Ok((state, held.filter(is_there)))
}

fn refused(reason: String) -> RootError {
    RootError::Query(QueryError::illegal(reason))
}
