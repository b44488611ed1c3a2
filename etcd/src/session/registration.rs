//! The keys of a node: written together, under a lease, where nobody else is this node or bears its name.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gleaner_model::{Incarnation, NodeMeta, NodeUuid};
use gleaner_proto::etcd::{
    Client, Compare, Fault, KeyValue, Lease, Operation, Outcome, Range, Transaction,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::NodeEntry;
use crate::keys::Keys;
use crate::reach;
use crate::value::{ALIVE, Kind, NAME, NODE};

/// How often a registration begins again because others have changed its keys.
const MAX_ATTEMPTS: u32 = 16;

/// Why a node is not registered.
#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    /// Another node that is alive bears the name.
    #[error(
        "another node of the cluster is named `{name}` and alive, that of the data folder [{node}]: give this \
         one another name, or stop that one"
    )]
    NameTaken {
        /// The name.
        name: String,
        /// The other node.
        node: NodeUuid,
    },
    /// Another process has registered the same node since.
    #[error(
        "another process is the node `{name}` now, with the same data folder or a copy of it: stop one of them"
    )]
    Replaced {
        /// Its name.
        name: String,
    },
    /// A key cannot be read, as one of a newer version; it is left as it is.
    #[error("the key `{key}` in etcd cannot be read: {reason}")]
    Unreadable {
        /// The key.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Most roots cannot reach this process.
    #[error("most roots cannot reach the node `{name}`")]
    OutOfReach {
        /// Its name.
        name: String,
    },
    /// Others keep changing the keys of this node.
    #[error("the keys of the node kept changing: gave up after {attempts} attempts")]
    Contention {
        /// Attempts made.
        attempts: u32,
    },
    /// etcd does not answer, or refuses.
    #[error(transparent)]
    Unavailable(#[from] Fault),
}

/// The value of `node/…`.
#[derive(Serialize, Deserialize)]
struct NodeValue {
    name: String,
    #[serde(flatten)]
    meta: NodeMeta,
    build: String,
    wire: String,
    features: Vec<String>,
}

/// What others read of `node/…`.
#[derive(Deserialize)]
pub(crate) struct AddressValue {
    pub(crate) address: Arc<str>,
}

/// The value of `name/…`.
#[derive(Serialize, Deserialize)]
pub(crate) struct NameValue {
    pub(crate) node: NodeUuid,
}

/// The value of `alive/…`.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AliveValue {
    pub(crate) incarnation: Incarnation,
}

/// Registers one node; the process is one incarnation of it, under one lease after the other.
pub(super) struct Registration {
    client: Client,
    keys: Keys,
    node: NodeUuid,
    name: String,
    alive: AliveValue,
    values: Values,
    /// Whether this process was registered before.
    was_registered: bool,
}

/// What the node writes, as bytes.
struct Values {
    node: Bytes,
    name: Bytes,
    alive: Bytes,
}

impl Registration {
    pub(super) fn new(
        client: Client,
        keys: Keys,
        entry: &NodeEntry,
    ) -> Result<Self, RegistrationError> {
        let NodeEntry {
            uuid,
            name,
            meta,
            build,
            wire,
            features,
        } = entry;
        // A node alone writes what it is; what an earlier version of it knew more of is not true any more.
        let node = NodeValue {
            name: name.to_string(),
            meta: meta.clone(),
            build: build.clone(),
            wire: wire.to_string(),
            features: features.clone(),
        };
        let alive = AliveValue {
            incarnation: Incarnation(rand::random()),
        };
        let values = Values {
            node: encoded(NODE, &node, || keys.node(*uuid))?,
            name: encoded(NAME, &NameValue { node: *uuid }, || keys.name(&name.0))?,
            alive: encoded(ALIVE, &alive, || keys.alive(*uuid))?,
        };
        Ok(Self {
            client,
            keys,
            node: *uuid,
            name: name.to_string(),
            alive,
            values,
            was_registered: false,
        })
    }

    pub(super) fn incarnation(&self) -> Incarnation {
        self.alive.incarnation
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Registers the node under a new lease. A process that most roots cannot reach is not registered again: it lost its
    /// lease for that.
    pub(super) async fn register(&mut self, lasts: Duration) -> Result<Lease, RegistrationError> {
        if self.was_registered
            && reach::is_out_of_reach(&self.client, &self.keys, self.node, self.incarnation())
                .await?
        {
            let name = self.name.clone();
            return Err(RegistrationError::OutOfReach { name });
        }
        let lease = self.client.grant(lasts).await?;
        for _ in 0..MAX_ATTEMPTS {
            if self.try_register(&lease).await? {
                self.was_registered = true;
                return Ok(lease);
            }
        }
        Err(RegistrationError::Contention {
            attempts: MAX_ATTEMPTS,
        })
    }

    /// Returns whether the node is registered; `false` when it is to be tried again.
    async fn try_register(&self, lease: &Lease) -> Result<bool, RegistrationError> {
        let key = self.keys.alive(self.node);
        let own: Option<CurrentValue<AliveValue>> = self.find(&key, ALIVE).await?;
        if let Some(own) = &own {
            let is_this = own.value == self.alive;
            if is_this && own.pair.lease == Some(lease.id) {
                // An earlier attempt, of which nobody knew.
                return Ok(true);
            }
            if !is_this && self.was_registered {
                let name = self.name.clone();
                return Err(RegistrationError::Replaced { name });
            }
            if let Some(old) = own.pair.lease.filter(|_| !is_this) {
                self.client.revoke(old).await?;
                return Ok(false);
            }
        }
        let mut compares = vec![as_found(key, own.as_ref())];
        self.compare_name(&mut compares).await?;
        let transaction = Transaction {
            compares,
            operations: self.operations(lease),
        };
        match self.client.transaction(transaction).await {
            Ok(outcome) => Ok(matches!(outcome, Outcome::Committed(_))),
            Err(Fault::Unknown { .. }) => Ok(false),
            Err(fault) => Err(fault.into()),
        }
    }

    /// Adds that the name is still free: nobody's, this node's, or that of a node that is not alive.
    async fn compare_name(&self, compares: &mut Vec<Compare>) -> Result<(), RegistrationError> {
        let key = self.keys.name(&self.name);
        let found: Option<CurrentValue<NameValue>> = self.find(&key, NAME).await?;
        if let Some(CurrentValue { value, .. }) = &found
            && value.node != self.node
        {
            let alive = self.keys.alive(value.node);
            let other = self.client.range(Range::key(&alive)).await?;
            if !other.pairs.is_empty() {
                return Err(RegistrationError::NameTaken {
                    name: self.name.clone(),
                    node: value.node,
                });
            }
            compares.push(Compare {
                key: alive,
                revision: None,
            });
        }
        compares.push(as_found(key, found.as_ref()));
        Ok(())
    }

    fn operations(&self, lease: &Lease) -> Vec<Operation> {
        let Values { node, name, alive } = &self.values;
        let put = |key: String, value: &Bytes, lease| Operation::Put {
            key,
            value: value.clone(),
            lease,
        };
        vec![
            put(self.keys.node(self.node), node, None),
            put(self.keys.name(&self.name), name, None),
            put(self.keys.alive(self.node), alive, Some(lease.id)),
        ]
    }

    async fn find<T: DeserializeOwned>(
        &self,
        key: &str,
        kind: Kind,
    ) -> Result<Option<CurrentValue<T>>, RegistrationError> {
        let listing = self.client.range(Range::key(key)).await?;
        let Some(pair) = listing.pairs.into_iter().next() else {
            return Ok(None);
        };
        match kind.decode(&pair.value) {
            Ok(value) => Ok(Some(CurrentValue { pair, value })),
            Err(reason) => Err(RegistrationError::Unreadable {
                key: key.to_owned(),
                reason,
            }),
        }
    }
}

/// A key that is there.
struct CurrentValue<T> {
    pair: KeyValue,
    value: T,
}

/// Compares that a key is as it was found.
fn as_found<T>(key: String, found: Option<&CurrentValue<T>>) -> Compare {
    Compare {
        key,
        revision: found.map(|found| found.pair.revision),
    }
}

fn encoded<T: Serialize + DeserializeOwned>(
    kind: Kind,
    value: &T,
    key: impl Fn() -> String,
) -> Result<Bytes, RegistrationError> {
    let encoded = kind.encode(value, None);
    encoded
        .map(Bytes::from)
        .map_err(|error| RegistrationError::Unreadable {
            key: key(),
            reason: error.to_string(),
        })
}
