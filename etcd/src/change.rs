//! What a change of the state writes, and the first state of a cluster.

use std::collections::BTreeSet;
use std::sync::Arc;

use gleaner_coordinator::{CoordinatorError, size};
use gleaner_model::{ClusterState, IndexMeta};
use gleaner_proto::etcd::{Compare, Operation, Revision, Transaction};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::entries::StateEntry;
use crate::keys::Keys;
use crate::meta::{ChangeId, ClusterValue, FIRST_LEVEL, Meta};
use crate::mirror::View;
use crate::table;
use crate::value::{CLUSTER, INDEX, Kind, SECURITY, TEMPLATES};

/// Operations that etcd takes in one transaction where it was started without `--max-txn-ops`.
const MAX_OPERATIONS: usize = 128;

/// A change of the state that is ready to be sent.
pub(crate) struct Change {
    /// Its name, in `meta` once it is made.
    pub(crate) id: ChangeId,
    /// The revision of `meta` that it goes out from.
    pub(crate) base: Revision,
    /// The state that it makes.
    pub(crate) state: ClusterState,
    /// What it writes.
    pub(crate) transaction: Transaction,
}

impl Change {
    /// Prepares to replace the state of `view` by `next`, whose version is one higher.
    ///
    /// # Errors
    /// [`CoordinatorError::TooLarge`], [`CoordinatorError::Unreadable`].
    pub(crate) fn prepare(
        keys: &Keys,
        view: &View,
        next: ClusterState,
    ) -> Result<Self, CoordinatorError> {
        let version = view.state()?.version + 1;
        Self::prepare_at(keys, view, next, version)
    }

    /// As [`Change::prepare`], for a state of any version that is higher.
    pub(crate) fn prepare_at(
        keys: &Keys,
        view: &View,
        mut next: ClusterState,
        version: u64,
    ) -> Result<Self, CoordinatorError> {
        let current = view.state()?;
        next.version = version;
        size::check(&current, &next, size::bytes_of(&next))?;
        let id = ChangeId::random();
        let stored = view.entries.meta.as_ref();
        let base = stored.map(|meta| meta.revision).unwrap_or_default();
        let mut operations = Vec::new();
        for (uuid, index) in &next.indices {
            let before = current.indices.get(uuid);
            if !before.is_some_and(|before| Arc::ptr_eq(before, index) || before == index) {
                let stored = view.entries.indices.get(uuid);
                operations.push(put_index(keys, index, stored)?);
            }
            if before.is_none() {
                operations.extend(table::first_entries(keys, &view.entries.table, index)?);
            }
        }
        if next.templates != current.templates {
            let stored = view.entries.templates.as_ref();
            operations.push(put(keys.templates(), TEMPLATES, &*next.templates, stored)?);
        }
        let deleted = current.indices.keys();
        let deleted = deleted.filter(|uuid| !next.indices.contains_key(uuid));
        operations.extend(deleted.map(|uuid| Operation::Delete {
            key: keys.index(uuid),
        }));
        let mut meta = Meta::of(&next, id.clone());
        // The first keys of a cluster begin apart. Those that are in `meta` stay until its etcd knows users.
        let begins = current.security.is_none();
        if let Some(security) = &next.security
            && (begins || view.entries.security.is_some())
        {
            if next.security != current.security {
                let stored = view.entries.security.as_ref();
                operations.push(put(keys.security(), SECURITY, &**security, stored)?);
            }
            meta = meta.without_keys();
        }
        operations.push(put(keys.meta(), meta.kind(), &meta, stored)?);
        // Entries of deleted indices that there is no room for go with a later change: nothing reads them.
        let room = MAX_OPERATIONS.saturating_sub(operations.len());
        let entries = view.entries.table.shards.keys().map(|shard| shard.index);
        let without: BTreeSet<_> = entries
            .filter(|index| !next.indices.contains_key(index))
            .collect();
        let without = without.iter().take(room);
        operations.extend(without.map(|index| Operation::DeletePrefix {
            prefix: keys.shards_of(index),
        }));
        Ok(Self {
            id,
            base,
            state: next,
            transaction: Transaction {
                compares: vec![unchanged(keys, base)],
                operations,
            },
        })
    }
}

/// Returns what gives `meta` another revision and changes nothing else but its version: whatever else goes out from
/// `stored` cannot be made any more then.
///
/// # Errors
/// [`CoordinatorError::Unreadable`] where `meta` cannot be read: it is left.
pub(crate) fn touch(
    keys: &Keys,
    stored: &StateEntry<Meta>,
) -> Result<Transaction, CoordinatorError> {
    let read = stored.read.as_ref();
    let meta = read.map_err(|reason| CoordinatorError::Unreadable {
        path: keys.meta(),
        reason: reason.clone(),
    })?;
    let touched = Meta {
        version: meta.version + 1,
        change: ChangeId::random(),
        ..Meta::clone(meta)
    };
    Ok(Transaction {
        compares: vec![unchanged(keys, stored.revision)],
        operations: vec![put(keys.meta(), touched.kind(), &touched, Some(stored))?],
    })
}

/// Returns what takes the API keys of a cluster out of `meta` into a key of their own; `None` where they are there, or
/// there are none.
///
/// # Errors
/// [`CoordinatorError::Unreadable`] where `meta` cannot be read: it is left.
pub(crate) fn keys_apart(
    keys: &Keys,
    stored: &StateEntry<Meta>,
) -> Result<Option<Transaction>, CoordinatorError> {
    let read = stored.read.as_ref();
    let meta = read.map_err(|reason| CoordinatorError::Unreadable {
        path: keys.meta(),
        reason: reason.clone(),
    })?;
    let Some(security) = &meta.security else {
        return Ok(None);
    };
    let apart = Meta {
        version: meta.version + 1,
        change: ChangeId::random(),
        ..Meta::clone(meta)
    };
    let apart = apart.without_keys();
    let absent = Compare {
        key: keys.security(),
        revision: None,
    };
    Ok(Some(Transaction {
        compares: vec![unchanged(keys, stored.revision), absent],
        operations: vec![
            put(keys.security(), SECURITY, &**security, None)?,
            put(keys.meta(), apart.kind(), &apart, Some(stored))?,
        ],
    }))
}

/// Returns what begins a cluster with `state`, where there is none.
///
/// # Errors
/// A state that has no such JSON.
pub(crate) fn beginning(
    keys: &Keys,
    state: &ClusterState,
) -> Result<Transaction, CoordinatorError> {
    let cluster = ClusterValue {
        uuid: state.cluster_uuid.clone(),
        level: FIRST_LEVEL,
    };
    let mut meta = Meta::of(state, ChangeId::random());
    let mut operations = vec![put(keys.cluster(), CLUSTER, &cluster, None)?];
    if let Some(security) = &state.security {
        operations.push(put(keys.security(), SECURITY, &**security, None)?);
        meta = meta.without_keys();
    }
    operations.push(put(keys.meta(), meta.kind(), &meta, None)?);
    for index in state.indices.values() {
        operations.push(put_index(keys, index, None)?);
    }
    if !state.templates.is_empty() {
        operations.push(put(keys.templates(), TEMPLATES, &*state.templates, None)?);
    }
    let absent = |key: String| Compare {
        key,
        revision: None,
    };
    Ok(Transaction {
        compares: vec![absent(keys.cluster()), absent(keys.meta())],
        operations,
    })
}

fn unchanged(keys: &Keys, base: Revision) -> Compare {
    Compare {
        key: keys.meta(),
        revision: Some(base),
    }
}

fn put_index(
    keys: &Keys,
    index: &IndexMeta,
    stored: Option<&StateEntry<IndexMeta>>,
) -> Result<Operation, CoordinatorError> {
    put(keys.index(&index.uuid), INDEX, index, stored)
}

fn put<T: Serialize + DeserializeOwned>(
    key: String,
    kind: Kind,
    value: &T,
    stored: Option<&StateEntry<T>>,
) -> Result<Operation, CoordinatorError> {
    let stored = stored.map(|stored| &*stored.bytes);
    match kind.encode(value, stored) {
        Ok(bytes) => Ok(Operation::Put {
            key,
            value: bytes.into(),
            lease: None,
        }),
        Err(error) => Err(CoordinatorError::Store {
            path: key,
            source: error.into(),
        }),
    }
}
