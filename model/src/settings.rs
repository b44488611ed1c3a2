//! Settings of an index: typed where we act on them, and as declared for echoing.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::slow_log::SlowLog;

/// Upper bound on the routing slots of an index: large enough that 1,024 shards still hold some 736
/// slots each, so that no shard gets noticeably more than its share.
pub const ROUTING_SLOTS: u32 = 753_984;

/// Operations that an index refuses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocks {
    /// `index.blocks.read_only`: neither documents nor metadata change.
    pub read_only: bool,
    /// `index.blocks.read_only_allow_delete`: set by itself when the disk is nearly full.
    pub read_only_allow_delete: bool,
    /// `index.blocks.write`: documents do not change.
    pub write: bool,
    /// `index.blocks.read`: documents are not read.
    pub read: bool,
    /// `index.blocks.metadata`: metadata is neither read nor changed.
    pub metadata: bool,
}

/// Settings of an index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IndexSettings {
    /// Number of shards, 1 to 1,024; fixed at creation (default 4).
    pub number_of_shards: u32,
    /// Copies beside the primary (default 1; a single node holds none of them).
    pub number_of_replicas: u32,
    /// Slots a document's hash falls into; a multiple of the shard count, fixed at creation.
    pub routing_slots: u32,
    /// Members that the in-sync set of each shard keeps, ≥ 1, where copies agree (`index.replication.min_in_sync`).
    /// `None` (default): 1 with up to two copies, 2 with more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_in_sync: Option<u32>,
    /// Milliseconds between refreshes; `None` is never (`-1`). Default 1,000.
    pub refresh_interval_ms: Option<u64>,
    /// Milliseconds without a search after which an index that declares no refresh interval is not
    /// refreshed until it is searched again (`index.search.idle.after`, default 30,000).
    #[serde(default = "default_search_idle_after")]
    pub search_idle_after_ms: u64,
    /// Milliseconds for which requests may take an answer that is no longer current, at most, where they ask for that
    /// (`index.front.max_stale`, default 3,600,000).
    #[serde(
        default = "default_max_stale",
        skip_serializing_if = "is_default_max_stale"
    )]
    pub max_stale_ms: u64,
    /// Largest `from + size` (default 10,000).
    pub max_result_window: usize,
    /// Largest number of fields (default 1,000).
    pub total_fields_limit: usize,
    /// Deepest nesting of object fields, 1 to 1,000 (default 20).
    pub depth_limit: usize,
    /// Longest name of a field in characters (default unlimited).
    pub field_name_length_limit: usize,
    /// Whether wildcards leave the index out (`index.hidden`, default false).
    pub hidden: bool,
    /// Longest difference of n-gram sizes (default 1).
    pub max_ngram_diff: usize,
    /// Largest number of terms of a `terms` query (default 65,536).
    pub max_terms_count: usize,
    /// Largest regular expression in characters (default 1,000).
    pub max_regex_length: usize,
    /// Largest number of `docvalue_fields` of a search (default 100).
    #[serde(default = "default_docvalue_fields")]
    pub max_docvalue_fields: usize,
    /// When searches and writes are logged as slow (default never).
    #[serde(default, skip_serializing_if = "SlowLog::is_off")]
    pub slow_log: SlowLog,
    /// Blocks in force.
    pub blocks: Blocks,
    /// `analysis` as declared; `analysis::AnalyzerRegistry::from_settings` reads it.
    pub analysis: serde_json::Value,
    /// `index.query.default_field`.
    pub default_fields: Vec<String>,
    /// All settings as declared, flat (`index.number_of_shards` → text), for echoing.
    pub declared: serde_json::Map<String, serde_json::Value>,
}

impl Default for IndexSettings {
    fn default() -> Self {
        let number_of_shards = 4;
        Self {
            number_of_shards,
            number_of_replicas: 1,
            min_in_sync: None,
            routing_slots: routing_slots_for(number_of_shards),
            refresh_interval_ms: Some(1_000),
            search_idle_after_ms: default_search_idle_after(),
            max_stale_ms: default_max_stale(),
            max_result_window: 10_000,
            total_fields_limit: 1_000,
            depth_limit: 20,
            field_name_length_limit: usize::MAX,
            hidden: false,
            max_ngram_diff: 1,
            max_terms_count: 65_536,
            max_regex_length: 1_000,
            max_docvalue_fields: default_docvalue_fields(),
            slow_log: SlowLog::default(),
            blocks: Blocks::default(),
            analysis: serde_json::Value::Object(serde_json::Map::new()),
            default_fields: vec!["*".to_owned()],
            declared: serde_json::Map::new(),
        }
    }
}

impl IndexSettings {
    /// Returns whether a refresh interval was declared, the default one too: it is kept then, whether
    /// the index is searched or not.
    pub fn has_own_refresh_interval(&self) -> bool {
        self.declared.contains_key("index.refresh_interval")
    }

    /// Returns whether documents are to lie in an order (`index.sort.field`).
    pub fn is_sorted(&self) -> bool {
        self.declared.contains_key("index.sort.field")
    }

    /// Returns `index.max_shingle_diff`: the longest difference of shingle sizes (default 3).
    pub fn max_shingle_diff(&self) -> usize {
        self.declared_as("index.max_shingle_diff").unwrap_or(3)
    }

    /// Returns `index.max_slices_per_scroll`: the most slices of a scroll or a point in time (default
    /// 1,024).
    pub fn max_slices_per_scroll(&self) -> usize {
        let declared = self.declared_as("index.max_slices_per_scroll");
        declared.unwrap_or(1_024)
    }

    /// Returns `index.top_metrics_max_size`: the most documents of `top_metrics` (default 10).
    pub fn top_metrics_max_size(&self) -> usize {
        let declared = self.declared_as("index.top_metrics_max_size");
        declared.unwrap_or(10)
    }

    /// Returns `index.mapping.nested_fields.limit`: the most objects that are mapped as `nested` (default 50).
    pub fn nested_fields_limit(&self) -> usize {
        self.declared_as("index.mapping.nested_fields.limit")
            .unwrap_or(50)
    }

    /// Returns `index.mapping.nested_objects.limit`: the most nested objects of a document, those of all fields
    /// together (default 10,000).
    pub fn nested_objects_limit(&self) -> usize {
        self.declared_as("index.mapping.nested_objects.limit")
            .unwrap_or(10_000)
    }

    /// Returns a value that was checked when it was declared.
    pub(crate) fn declared_as<T: FromStr>(&self, key: &str) -> Option<T> {
        self.declared.get(key)?.as_str()?.parse().ok()
    }
}

/// Settings written before it was acted on have the default.
fn default_max_stale() -> u64 {
    3_600_000
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it by reference"
)]
fn is_default_max_stale(max_stale_ms: &u64) -> bool {
    *max_stale_ms == default_max_stale()
}

fn default_search_idle_after() -> u64 {
    30_000
}

/// Settings written before there was this limit have the default.
fn default_docvalue_fields() -> usize {
    100
}

/// Returns the number of routing slots for `shards`: the largest multiple of it that is at most
/// [`ROUTING_SLOTS`].
pub fn routing_slots_for(shards: u32) -> u32 {
    ROUTING_SLOTS - ROUTING_SLOTS % shards.max(1)
}
