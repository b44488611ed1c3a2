//! Entries of shards, and the nodes that are alive, as they lie in etcd.
//!
//! Does: read those keys into an [`EntryTable`], make and change entries by transactions on their own revisions.
//! Does not: decide what changes (`replication` does). Read first: [`EtcdEntries`].

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use gleaner_coordinator::entries::{
    self, EntryChange, EntryOutcome, EntryTable, ShardEntries, StoredEntry, TakeOverGuard,
};
use gleaner_coordinator::{CoordinatorError, CopyMarks};
use gleaner_model::{Entry, IndexMeta, NodeId, ShardKey};
use gleaner_proto::etcd::{
    Client, Compare, Fault, Operation, Outcome, Range, Revision, Transaction,
};
use tokio::sync::watch;

use crate::error_of;
use crate::keys::{Keys, StateKey};
use crate::marks::EtcdMarks;
use crate::mirror::Mirror;
use crate::session::{AddressValue, AliveValue, NameValue};
use crate::value::{ALIVE, NAME, NODE};

/// Returns a revision as others than this crate know it.
pub(crate) fn revision_of(revision: Revision) -> gleaner_model::Revision {
    gleaner_model::Revision(revision.0.try_into().unwrap_or_default())
}

/// Takes a change of a key over. One that cannot be read is left out, and named.
pub(crate) fn apply(
    table: &mut EntryTable,
    key: &StateKey,
    value: Option<Bytes>,
    revision: Revision,
) {
    let revision = revision_of(revision);
    table.revision = table.revision.max(revision);
    let unread = |reason: &dyn std::fmt::Display| {
        tracing::error!(?key, %reason, "etcd holds what this node cannot read; it is left as it is");
    };
    match (key, value) {
        (StateKey::Shard(shard), Some(bytes)) => match Entry::from_json(&bytes) {
            Ok(entry) => {
                let entry = Arc::new(entry);
                table.shards.insert(*shard, StoredEntry { entry, revision });
            }
            Err(error) => unread(&error),
        },
        (StateKey::Shard(shard), None) => drop(table.shards.remove(shard)),
        (StateKey::Node(node), Some(bytes)) => match NODE.decode::<AddressValue>(&bytes) {
            Ok(value) => drop(table.addresses.insert(*node, value.address)),
            Err(reason) => unread(&reason),
        },
        (StateKey::Node(node), None) => drop(table.addresses.remove(node)),
        (StateKey::Name(name), Some(bytes)) => match NAME.decode::<NameValue>(&bytes) {
            Ok(value) => drop(table.nodes.insert(named(name), value.node)),
            Err(reason) => unread(&reason),
        },
        (StateKey::Name(name), None) => drop(table.nodes.remove(&named(name))),
        (StateKey::Alive(node), Some(bytes)) => match ALIVE.decode::<AliveValue>(&bytes) {
            Ok(value) => drop(table.alive.insert(*node, value.incarnation)),
            Err(reason) => unread(&reason),
        },
        (StateKey::Alive(node), None) => drop(table.alive.remove(node)),
        (
            StateKey::Cluster
            | StateKey::Meta
            | StateKey::Security
            | StateKey::Templates
            | StateKey::Index(_)
            | StateKey::Shown(_),
            _,
        ) => {}
    }
}

fn named(name: &str) -> NodeId {
    NodeId(name.into())
}

/// Most shards of an index: it is made in one transaction with the entries of all of them.
const MAX_SHARDS: usize = 120;

/// Returns what makes the entries of the shards of a new index.
///
/// # Errors
/// Those of [`entries::first_entries`], and [`CoordinatorError::TooLarge`] for more shards than one transaction takes.
pub(crate) fn first_entries(
    keys: &Keys,
    table: &EntryTable,
    index: &IndexMeta,
) -> Result<Vec<Operation>, CoordinatorError> {
    let num_shards = index.copies.len();
    if num_shards > MAX_SHARDS {
        let name = &index.name;
        let reason = format!(
            "[{name}] has [{num_shards}] shards, an index of a cluster on etcd at most [{MAX_SHARDS}]"
        );
        return Err(CoordinatorError::TooLarge { reason });
    }
    let made = entries::first_entries(table, index)?.into_iter();
    let puts = made.map(|(shard, entry)| Operation::Put {
        key: keys.shard(shard),
        value: entry.to_json().into(),
        lease: None,
    });
    Ok(puts.collect())
}

/// Entries in etcd.
pub(crate) struct EtcdEntries {
    pub(crate) client: Client,
    pub(crate) keys: Keys,
    pub(crate) mirror: Arc<Mirror>,
}

impl EtcdEntries {
    async fn find(&self, shard: ShardKey) -> Result<Option<StoredEntry>, CoordinatorError> {
        let key = self.keys.shard(shard);
        let listing = self
            .client
            .range(Range::key(&key))
            .await
            .map_err(error_of)?;
        let Some(pair) = listing.pairs.into_iter().next() else {
            return Ok(None);
        };
        let entry =
            Entry::from_json(&pair.value).map_err(|error| CoordinatorError::Unreadable {
                path: key,
                reason: error.to_string(),
            })?;
        Ok(Some(StoredEntry {
            entry: Arc::new(entry),
            revision: revision_of(pair.revision),
        }))
    }

    /// Returns what a take-over compares beside the entry; `None` where it does not hold already.
    async fn guarded(&self, guard: TakeOverGuard) -> Result<Option<[Compare; 2]>, Fault> {
        let own = self.keys.alive(guard.node);
        let found = self.client.range(Range::key(&own)).await?;
        let own_pair = found.pairs.into_iter().next();
        let is_own = |value: &[u8]| {
            let alive = ALIVE.decode::<AliveValue>(value);
            alive.is_ok_and(|alive| alive.incarnation == guard.incarnation)
        };
        Ok(own_pair.filter(|pair| is_own(&pair.value)).map(|pair| {
            let absent = Compare {
                key: self.keys.alive(guard.absent),
                revision: None,
            };
            let own = Compare {
                key: own,
                revision: Some(pair.revision),
            };
            [absent, own]
        }))
    }

    async fn refused(&self, shard: ShardKey) -> EntryOutcome {
        match self.find(shard).await {
            Ok(Some(stored)) => EntryOutcome::Refused(stored),
            Ok(None) => EntryOutcome::Gone,
            Err(error) => unknown(&error),
        }
    }
}

#[async_trait]
impl ShardEntries for EtcdEntries {
    fn watch(&self) -> watch::Receiver<Arc<EntryTable>> {
        self.mirror.tables().subscribe()
    }

    async fn read(&self, shard: ShardKey) -> Result<Option<StoredEntry>, CoordinatorError> {
        self.find(shard).await
    }

    fn marks(&self) -> Arc<dyn CopyMarks> {
        Arc::new(EtcdMarks::new(self.client.clone(), self.keys.clone()))
    }

    async fn change(&self, change: EntryChange) -> EntryOutcome {
        let EntryChange {
            shard,
            expected,
            entry,
            guard,
        } = change;
        let key = self.keys.shard(shard);
        let mut compares = vec![Compare {
            key: key.clone(),
            revision: Some(Revision(expected.0.try_into().unwrap_or(i64::MAX))),
        }];
        match guard {
            None => {}
            Some(guard) => match self.guarded(guard).await {
                Ok(Some(guards)) => compares.extend(guards),
                Ok(None) => return self.refused(shard).await,
                Err(fault) => return unknown(&fault),
            },
        }
        let transaction = Transaction {
            compares,
            operations: vec![Operation::Put {
                key,
                value: entry.to_json().into(),
                lease: None,
            }],
        };
        match self.client.transaction(transaction).await {
            Ok(Outcome::Committed(revision)) => EntryOutcome::Made {
                revision: revision_of(revision),
            },
            Ok(Outcome::Conflict) => self.refused(shard).await,
            Err(fault) => unknown(&fault),
        }
    }
}

fn unknown(reason: &dyn std::fmt::Display) -> EntryOutcome {
    EntryOutcome::Unknown {
        reason: reason.to_string(),
    }
}
