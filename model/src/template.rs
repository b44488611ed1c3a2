//! Templates: what new indices get by their names, as agreed in the cluster state.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What an index gets from a template, as it was declared.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TemplateContent {
    /// Settings by their dotted keys (`index.number_of_shards`), as texts; `None` where none were given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Map<String, Value>>,
    /// A mapping in the dialect's JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mappings: Option<Value>,
    /// Aliases by name, in the dialect's JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aliases: Option<Map<String, Value>>,
    /// How long a data stream keeps what is written to it, in the dialect's JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<Map<String, Value>>,
}

/// A part that index templates are composed of.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ComponentTemplate {
    /// What it gives.
    pub template: TemplateContent,
    /// The user's number of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// The user's notes (`_meta`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meta: Option<Value>,
    /// Whether its use brings a warning; `None` where that was not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<bool>,
}

/// What new indices of some names get. One template applies to an index: the one of the highest priority.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct IndexTemplate {
    /// Names and wildcards of the indices that it is for.
    pub index_patterns: Vec<String>,
    /// What it gives itself, over its components.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<TemplateContent>,
    /// The components by name, each over those before it; `None` where none were given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub composed_of: Option<Vec<String>>,
    /// Components that may be missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore_missing_component_templates: Vec<String>,
    /// Whether it goes before others, the highest first; `None` counts as 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u64>,
    /// The user's number of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// The user's notes (`_meta`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meta: Option<Value>,
    /// Whether names become data streams instead of indices; `None` where they do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_stream: Option<DataStreamTemplate>,
    /// Whether a write to a name that is not there makes it; `None` leaves it to the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_auto_create: Option<bool>,
    /// Whether its use brings a warning; `None` where that was not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<bool>,
}

/// What data streams of a template are like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataStreamTemplate {
    /// Whether wildcards leave them out.
    #[serde(default)]
    pub hidden: bool,
    /// Whether their documents may have a routing of their own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_custom_routing: bool,
}

/// A template of the older kind: all that match an index apply to it, in their order, where no
/// [`IndexTemplate`] does.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LegacyTemplate {
    /// Names and wildcards of the indices that it is for.
    pub index_patterns: Vec<String>,
    /// Which come first; later ones stand over them.
    pub order: i64,
    /// What it gives.
    pub template: TemplateContent,
    /// The user's number of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
}

/// All templates of a cluster, by name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Templates {
    /// The parts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub components: BTreeMap<String, ComponentTemplate>,
    /// The index templates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub index: BTreeMap<String, IndexTemplate>,
    /// Those of the older kind.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub legacy: BTreeMap<String, LegacyTemplate>,
}

impl Templates {
    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.components.is_empty() && self.index.is_empty() && self.legacy.is_empty()
    }
}
