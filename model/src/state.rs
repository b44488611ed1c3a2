//! The cluster as everyone agrees on it: which indices exist and what they are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::cluster_settings::ClusterSettings;
use crate::id::{IndexName, IndexUuid, NodeId, PrimaryTerm, ShardKey, ShardNumber};
use crate::lifecycle::{Lifecycles, StreamLifecycle};
use crate::mapping::Mapping;
use crate::security::Security;
use crate::settings::IndexSettings;
use crate::template::Templates;

/// An alias as one index knows it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Alias {
    /// A query in the dialect's JSON that searches through the alias must also match.
    pub filter: Option<serde_json::Value>,
    /// Routing for writes through the alias.
    pub index_routing: Option<String>,
    /// Routing for searches through the alias, comma-separated.
    pub search_routing: Option<String>,
    /// Whether writes through the alias go to this index.
    pub is_write_index: Option<bool>,
    /// Whether wildcards leave the alias out.
    pub is_hidden: Option<bool>,
    /// Whether it is the name of the data stream that the index is of, which is shown and changed as that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_data_stream: bool,
}

/// Everything agreed about one index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IndexMeta {
    /// Identity, for ever.
    pub uuid: IndexUuid,
    /// Name for people, unique now.
    pub name: IndexName,
    /// When it was created, milliseconds since the epoch.
    pub created_ms: i64,
    /// Settings in force.
    pub settings: IndexSettings,
    /// Mapping in force.
    #[serde(deserialize_with = "crate::mapping::since::read")]
    pub mapping: Arc<Mapping>,
    /// Aliases by name.
    pub aliases: BTreeMap<IndexName, Alias>,
    /// The primary term of each shard, by shard number.
    pub primary_terms: Vec<PrimaryTerm>,
    /// The leaves that hold each shard's copies, by shard number, the primary first. Empty where one
    /// process holds everything.
    #[serde(default)]
    pub copies: Vec<Vec<NodeId>>,
    /// Whether the index is closed to reads and writes.
    pub is_closed: bool,
    /// When another index took its place under an alias or in a data stream, milliseconds since the epoch; `None`:
    /// none has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_over_ms: Option<i64>,
    /// The name as it was given, where that has date math: a rollover makes the next name of it. `None`: as `name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provided_name: Option<String>,
    /// The name that an index which is being made gets once it is whole. `None`: it has its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub final_name: Option<IndexName>,
}

impl IndexMeta {
    /// Returns an open index with the default settings, an empty mapping and no alias, whose copies have no place yet.
    pub fn new(uuid: IndexUuid, name: IndexName) -> Self {
        Self {
            uuid,
            name,
            created_ms: 0,
            settings: IndexSettings::default(),
            mapping: Arc::default(),
            aliases: BTreeMap::new(),
            primary_terms: Vec::new(),
            copies: Vec::new(),
            is_closed: false,
            rolled_over_ms: None,
            provided_name: None,
            final_name: None,
        }
    }

    /// Returns the name as it was given, with its date math.
    pub fn given_name(&self) -> &str {
        let provided = self.provided_name.as_deref();
        provided.unwrap_or(self.name.as_str())
    }

    /// Returns the name that documents of the index have as `_index`: it never changes.
    pub fn name_of_documents(&self) -> &IndexName {
        self.final_name.as_ref().unwrap_or(&self.name)
    }

    /// Returns the keys of all shards.
    pub fn shards(&self) -> impl Iterator<Item = ShardKey> + use<> {
        let index = self.uuid;
        (0..self.settings.number_of_shards).map(move |shard| ShardKey {
            index,
            shard: ShardNumber(shard),
        })
    }

    /// Returns the name of the data stream that the index is of. Its other aliases are those of the data stream then.
    pub fn stream_name(&self) -> Option<&IndexName> {
        let mut aliases = self.aliases.iter();
        aliases.find_map(|(name, alias)| alias.is_data_stream.then_some(name))
    }

    /// Returns the leaves that hold `shard`, the primary first; empty where one process holds
    /// everything.
    pub fn copies_of(&self, shard: ShardNumber) -> &[NodeId] {
        self.copies.get(shard.0 as usize).map_or(&[], Vec::as_slice)
    }
}

/// A name under which documents are appended: to the newest of its indices, which is replaced by a newer one now
/// and then. Each of its indices bears the name as an alias, and the aliases of the data stream: those of one that
/// writes go through have [`Alias::is_write_index`] on the newest index alone, and `Some(false)` on all others.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DataStream {
    /// Its indices, the oldest first; documents go to the last. Never empty.
    pub indices: Vec<IndexUuid>,
    /// Number of the newest index, from 1.
    pub generation: u64,
    /// Whether wildcards leave it out.
    #[serde(default)]
    pub hidden: bool,
    /// Whether its documents may have a routing of their own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_custom_routing: bool,
    /// How long it keeps what was written to it; `None` keeps all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<StreamLifecycle>,
}

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Holds shard copies.
    Leaf,
    /// Plans, scatters, gathers; answers the dialect.
    Root,
}

/// A member of the cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeMeta {
    /// What it does.
    pub role: Role,
    /// `host:port` at which other nodes call it.
    pub address: String,
    /// `host:port` at which clients call it; `None` for a node that does not answer them.
    pub http_address: Option<String>,
    /// Share of the shards it takes relative to others, > 0 (default 1).
    pub weight: f64,
    /// Failure domain: copies of a shard are spread over zones where there are several.
    pub zone: Option<String>,
}

/// A snapshot of the cluster's metadata.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ClusterState {
    /// Grows by one with each change.
    pub version: u64,
    /// Identity of the cluster: 32 hexadecimal digits.
    pub cluster_uuid: String,
    /// Its name for people.
    pub cluster_name: String,
    /// The members, as a file names them. Empty where one process is the cluster.
    #[serde(default)]
    pub nodes: BTreeMap<NodeId, NodeMeta>,
    /// All indices.
    pub indices: BTreeMap<IndexUuid, Arc<IndexMeta>>,
    /// The indices deleted last, oldest first, at most [`MAX_DELETED`]: a node that was away meanwhile
    /// finds here which of its copies to remove. What is neither here nor among the indices, nobody
    /// asked to delete.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deleted: Vec<IndexUuid>,
    /// The nodes whose disk is nearly full: indices with copies there refuse writes. A process alone is
    /// named by the empty text.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub flooded: BTreeSet<NodeId>,
    /// What new indices get by their names.
    #[serde(default, skip_serializing_if = "no_templates")]
    pub templates: Arc<Templates>,
    /// The data streams by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub data_streams: BTreeMap<IndexName, DataStream>,
    /// Dynamic settings, flat (`search.max_buckets` → value), that outlive a restart.
    pub persistent_settings: serde_json::Map<String, serde_json::Value>,
    /// Settings that override the persistent ones until they are removed. They are kept as those are.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub transient_settings: serde_json::Map<String, serde_json::Value>,
    /// What becomes of indices as they age.
    #[serde(default, skip_serializing_if = "no_lifecycles")]
    pub lifecycles: Arc<Lifecycles>,
    /// Who may do what; `None`: every request may do everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security: Option<Arc<Security>>,
}

/// Deleted indices that the cluster state remembers: as many as Elasticsearch does.
pub const MAX_DELETED: usize = 500;

fn no_templates(templates: &Templates) -> bool {
    templates.is_empty()
}

fn no_lifecycles(lifecycles: &Lifecycles) -> bool {
    lifecycles.is_empty()
}

impl ClusterState {
    /// Takes an index out, and remembers that it was deleted.
    pub fn delete_index(&mut self, uuid: &IndexUuid) {
        if self.indices.remove(uuid).is_some() {
            self.deleted.push(*uuid);
            let num_forgotten = self.deleted.len().saturating_sub(MAX_DELETED);
            self.deleted.drain(..num_forgotten);
            for stream in self.data_streams.values_mut() {
                stream.indices.retain(|index| index != uuid);
            }
        }
    }

    /// Returns the dynamic settings in force.
    pub fn settings(&self) -> ClusterSettings<'_> {
        ClusterSettings::new(&self.persistent_settings, &self.transient_settings)
    }

    /// Returns the data stream that an index is of, with its name.
    pub fn data_stream_of(&self, uuid: &IndexUuid) -> Option<(&IndexName, &DataStream)> {
        let mut streams = self.data_streams.iter();
        streams.find(|(_, stream)| stream.indices.contains(uuid))
    }

    /// Returns the index of that name.
    pub fn index_named(&self, name: &str) -> Option<&Arc<IndexMeta>> {
        self.indices
            .values()
            .find(|index| index.name.as_str() == name)
    }

    /// Returns the indices that bear the alias `name`.
    pub fn aliased<'a>(
        &'a self,
        name: &'a str,
    ) -> impl Iterator<Item = (&'a Arc<IndexMeta>, &'a Alias)> {
        self.indices
            .values()
            .filter_map(move |index| Some((index, index.aliases.get(name)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_of_an_older_state_was_given_its_name() {
        let name = IndexName::parse("books").expect("a good name");
        let mut index = IndexMeta::new(IndexUuid([1; 16]), name);
        let older = serde_json::to_string(&index).expect("JSON");
        assert!(!older.contains("provided_name"), "{older}");
        let read: IndexMeta = serde_json::from_str(&older).expect("an index");
        assert_eq!(read.given_name(), "books");
        assert_eq!(read.name_of_documents().as_str(), "books");
        index.provided_name = Some("<books-{now/d}>".to_owned());
        let newer = serde_json::to_string(&index).expect("JSON");
        let read: IndexMeta = serde_json::from_str(&newer).expect("an index");
        assert_eq!(read.given_name(), "<books-{now/d}>");
    }

    #[test]
    fn deleted_indices_are_remembered_up_to_a_number() {
        let mut state = ClusterState::default();
        let uuid = |n: usize| IndexUuid((n as u128).to_be_bytes());
        state.delete_index(&uuid(0));
        assert!(state.deleted.is_empty(), "it was never there");
        for n in 0..=MAX_DELETED {
            let index = IndexMeta::new(uuid(n), IndexName::parse("books").expect("a good name"));
            state.indices.insert(index.uuid, Arc::new(index));
            state.delete_index(&uuid(n));
        }
        assert_eq!(state.deleted.len(), MAX_DELETED);
        assert_eq!(state.deleted.first(), Some(&uuid(1)));
        assert!(state.indices.is_empty());
    }
}
