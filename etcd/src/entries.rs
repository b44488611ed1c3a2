//! The keys of the state as they were at one revision, and the state that is made of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use gleaner_coordinator::entries::EntryTable;
use gleaner_model::{ClusterState, IndexMeta, IndexUuid, Security, Templates};
use gleaner_proto::etcd::{Event, Listing, Revision};

use crate::keys::{Keys, StateKey};
use crate::meta::{ClusterValue, Meta};
use crate::shown::{self, ShownVersions};
use crate::table;
use crate::value::{CLUSTER, INDEX, Kind, META, SECURITY, TEMPLATES};

/// A value as it lies in etcd, and what was read of it.
#[derive(Debug, Clone)]
pub(crate) struct StateEntry<T> {
    /// When it was written.
    pub(crate) revision: Revision,
    /// The value.
    pub(crate) bytes: Bytes,
    /// What it says, or why it cannot be read.
    pub(crate) read: Result<Arc<T>, String>,
}

impl<T: serde::de::DeserializeOwned> StateEntry<T> {
    pub(crate) fn new(kind: Kind, bytes: Bytes, revision: Revision) -> Self {
        Self {
            revision,
            read: kind.decode(&bytes).map(Arc::new),
            bytes,
        }
    }
}

/// The keys of the state.
#[derive(Debug, Clone)]
pub(crate) struct Entries {
    keys: Keys,
    pub(crate) cluster: Option<StateEntry<ClusterValue>>,
    pub(crate) meta: Option<StateEntry<Meta>>,
    /// The API keys. `None` where they are in `meta`, or there are none.
    pub(crate) security: Option<StateEntry<Security>>,
    /// `None` where nobody has put one.
    pub(crate) templates: Option<StateEntry<Templates>>,
    pub(crate) indices: BTreeMap<IndexUuid, StateEntry<IndexMeta>>,
    /// Entries of shards and nodes, which are no part of the state: they change beside it.
    pub(crate) table: Arc<EntryTable>,
    /// Which version of the state each root and front shows.
    pub(crate) shown: Arc<ShownVersions>,
}

/// Why keys make no state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The key.
    pub(crate) key: String,
    /// What is wrong with it.
    pub(crate) reason: String,
}

impl Entries {
    pub(crate) fn new(keys: Keys) -> Self {
        Self {
            keys,
            cluster: None,
            meta: None,
            security: None,
            templates: None,
            indices: BTreeMap::new(),
            table: Arc::default(),
            shown: Arc::default(),
        }
    }

    /// Takes all keys there are; those that were here and are not in `listing` were removed. What has not changed
    /// is not read again.
    pub(crate) fn replace(&mut self, listing: Listing) {
        let mut before = std::mem::take(&mut self.indices);
        (self.cluster, self.meta) = (None, None);
        (self.security, self.templates) = (None, None);
        self.table = Arc::default();
        self.shown = Arc::default();
        Arc::make_mut(&mut self.table).revision = table::revision_of(listing.revision);
        for pair in listing.pairs {
            if let Some(StateKey::Index(uuid)) = self.keys.read(&pair.key)
                && let Some(same) = before.remove(&uuid)
                && same.revision == pair.revision
            {
                self.indices.insert(uuid, same);
                continue;
            }
            self.apply(Event {
                key: pair.key,
                revision: pair.revision,
                value: Some(pair.value),
            });
        }
    }

    /// Takes all keys there are, and reads each.
    pub(crate) fn begin_again(&mut self, listing: Listing) {
        self.indices.clear();
        self.replace(listing);
    }

    /// Takes a change over; returns whether it is one of the state.
    pub(crate) fn apply(&mut self, event: Event) -> bool {
        let Event {
            key,
            revision,
            value,
        } = event;
        match self.keys.read(&key) {
            Some(StateKey::Cluster) => {
                self.cluster = value.map(|bytes| StateEntry::new(CLUSTER, bytes, revision));
            }
            Some(StateKey::Meta) => {
                self.meta = value.map(|bytes| StateEntry::new(META, bytes, revision));
            }
            Some(StateKey::Security) => {
                self.security = value.map(|bytes| StateEntry::new(SECURITY, bytes, revision));
            }
            Some(StateKey::Templates) => {
                self.templates = value.map(|bytes| StateEntry::new(TEMPLATES, bytes, revision));
            }
            Some(StateKey::Index(uuid)) => match value {
                Some(bytes) => {
                    let stored = StateEntry::new(INDEX, bytes, revision);
                    self.indices.insert(uuid, stored);
                }
                None => drop(self.indices.remove(&uuid)),
            },
            Some(StateKey::Shown(process)) => {
                let shown = Arc::make_mut(&mut self.shown);
                match value.and_then(|bytes| shown::read(&bytes)) {
                    Some(version) => drop(shown.insert(process, version)),
                    None => drop(shown.remove(&process)),
                }
                return false;
            }
            Some(key) => {
                table::apply(Arc::make_mut(&mut self.table), &key, value, revision);
                return false;
            }
            None => return false,
        }
        true
    }

    /// Returns the state.
    ///
    /// # Errors
    /// The first key that cannot be read, or is missing.
    pub(crate) fn state(&self) -> Result<ClusterState, Problem> {
        let cluster = read(self.cluster.as_ref(), || self.keys.cluster())?;
        let meta = read(self.meta.as_ref(), || self.keys.meta())?;
        let templates = match &self.templates {
            None => Arc::default(),
            stored => read(stored.as_ref(), || self.keys.templates())?,
        };
        // Where the key is there it decides, whatever leaves wrote to `meta`.
        let security = match &self.security {
            None if !meta.keys_apart => meta.security.clone(),
            stored => Some(read(stored.as_ref(), || self.keys.security())?),
        };
        let mut indices = BTreeMap::new();
        for (uuid, stored) in &self.indices {
            let index = read(Some(stored), || self.keys.index(uuid))?;
            if index.uuid != *uuid {
                return Err(Problem {
                    key: self.keys.index(uuid),
                    reason: format!("it holds the index [{}]", index.uuid),
                });
            }
            indices.insert(*uuid, index);
        }
        let meta = Meta::clone(&meta);
        Ok(ClusterState {
            version: meta.version,
            cluster_uuid: cluster.uuid.clone(),
            cluster_name: meta.cluster_name,
            nodes: meta.nodes,
            indices,
            deleted: meta.deleted,
            flooded: meta.flooded,
            templates,
            data_streams: meta.data_streams,
            persistent_settings: meta.persistent_settings,
            transient_settings: meta.transient_settings,
            lifecycles: meta.lifecycles,
            security,
        })
    }
}

fn read<T>(stored: Option<&StateEntry<T>>, key: impl Fn() -> String) -> Result<Arc<T>, Problem> {
    let problem = |reason: &str| Problem {
        key: key(),
        reason: reason.to_owned(),
    };
    let stored = stored.ok_or_else(|| problem("it is not there"))?;
    let read = stored.read.as_ref();
    read.map(Arc::clone).map_err(|reason| problem(reason))
}
