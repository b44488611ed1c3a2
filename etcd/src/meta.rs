//! The keys `cluster` and `meta`: what a cluster is, and all of its metadata that is no index's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gleaner_model::{
    ClusterState, DataStream, IndexName, IndexUuid, Lifecycles, NodeId, NodeMeta, Security,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::value::{Kind, META, META_WITH_KEYS};

/// The value of `cluster`, written once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClusterValue {
    /// Identity of the cluster.
    pub(crate) uuid: String,
    /// What all nodes of the cluster can read; formats of higher levels are not written yet.
    pub(crate) level: u32,
}

/// The level at which clusters begin.
pub(crate) const FIRST_LEVEL: u32 = 1;

/// Names one change, so that who made it finds out whether it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChangeId(String);

impl ChangeId {
    pub(crate) fn random() -> Self {
        Self(format!("{:032x}", rand::random::<u128>()))
    }
}

/// The value of `meta`. It is written with each change of the state, so comparing its revision orders all of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Meta {
    /// Version of the state; grows by one with each change.
    pub(crate) version: u64,
    /// The change that made this version.
    pub(crate) change: ChangeId,
    /// As in [`ClusterState`].
    pub(crate) cluster_name: String,
    pub(crate) nodes: BTreeMap<NodeId, NodeMeta>,
    pub(crate) deleted: Vec<IndexUuid>,
    pub(crate) flooded: BTreeSet<NodeId>,
    pub(crate) persistent_settings: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(crate) transient_settings: Map<String, Value>,
    /// `None` too where the API keys lie in a key of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) security: Option<Arc<Security>>,
    /// Whether the API keys lie in the key `security`, which leaves may not write.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) keys_apart: bool,
    #[serde(default)]
    pub(crate) lifecycles: Arc<Lifecycles>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) data_streams: BTreeMap<IndexName, DataStream>,
}

impl Meta {
    /// Returns that of a state, made by `change`.
    pub(crate) fn of(state: &ClusterState, change: ChangeId) -> Self {
        // What is neither here nor in a key of its own would be lost.
        let ClusterState {
            version,
            cluster_uuid: _,
            cluster_name,
            nodes,
            indices: _,
            deleted,
            flooded,
            templates: _,
            data_streams,
            persistent_settings,
            transient_settings,
            lifecycles,
            security,
        } = state.clone();
        Self {
            version,
            change,
            cluster_name,
            nodes,
            deleted,
            flooded,
            persistent_settings,
            transient_settings,
            lifecycles,
            security,
            keys_apart: false,
            data_streams,
        }
    }

    /// Returns it without the API keys, which lie in a key of their own.
    pub(crate) fn without_keys(self) -> Self {
        Self {
            security: None,
            keys_apart: true,
            ..self
        }
    }

    /// Returns how it is written.
    pub(crate) fn kind(&self) -> Kind {
        match self.keys_apart {
            true => META,
            false => META_WITH_KEYS,
        }
    }
}
