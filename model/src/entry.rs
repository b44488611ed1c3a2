//! The entry of a shard: who orders its writes, which copies are in sync, where all copies are.
//!
//! Does: hold the entry, check that it makes sense, read and write its JSON.
//! Does not: decide how it may change (`replication` does), store it (`coordinator` does).
//! Called by `replication` and `coordinator`. Read [`Entry`] first.
//!
//! ```text
//! {"kind": "shard", "format": 1, "version": 17, "term": 4, "forced": [],
//!  "primary": "c2…", "in_sync": ["c2…", "c7…"],
//!  "copies": {"c2…": {"node": "n1…"}, "c7…": {"node": "n2…"},
//!             "c9…": {"node": "n3…", "learner": true, "why": "heat 0.81 of leaf-2"}}}
//! ```

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::id::{CopyId, HistoryId, NodeUuid, PrimaryTerm};

/// What the JSON says it is.
const KIND: &str = "shard";
/// The newest format that is known here.
const FORMAT: u64 = 1;

/// Why an entry cannot be used. Nothing may be written in its place.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// A later version of the software wrote it.
    #[error(
        "shard entry has format {format}, this version reads up to {FORMAT}: upgrade this node"
    )]
    NewerFormat {
        /// The format it has.
        format: u64,
    },
    /// It is no entry of a shard.
    #[error("expected an entry of kind `{KIND}`, found kind `{kind}`")]
    OtherKind {
        /// The kind it has; empty when it has none.
        kind: String,
    },
    /// It is no JSON, or lacks a field.
    #[error("shard entry cannot be read")]
    Malformed(#[from] serde_json::Error),
    /// Its parts contradict each other.
    #[error("shard entry contradicts itself: {0}")]
    Contradiction(&'static str),
}

/// What all nodes agree on about one shard. Changes by compare-and-swap only.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// Grows by 1 with each change. A copy refuses an entry below the greatest version it has seen.
    pub version: u64,
    /// Who orders: each new primary, and each opening of one, has a greater term. 0 until a primary has
    /// opened.
    pub term: PrimaryTerm,
    /// Terms that an operator forced, which may have lost acknowledged writes.
    #[serde(default)]
    pub forced: Vec<PrimaryTerm>,
    /// The history that the copies hold. Another one begins with each forced term: a copy of an earlier one is made anew.
    #[serde(default, skip_serializing_if = "HistoryId::is_first")]
    pub history: HistoryId,
    /// The copy that orders writes; a member of `in_sync`.
    pub primary: CopyId,
    /// Copies that hold everything acknowledged, and from which a primary may come.
    pub in_sync: BTreeSet<CopyId>,
    /// All copies.
    pub copies: BTreeMap<CopyId, CopyMeta>,
    /// Fields of later versions, kept when the entry is written again.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// One copy of a shard, as its entry knows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CopyMeta {
    /// The node that holds it.
    pub node: NodeUuid,
    /// Whether it only serves searches and never becomes in sync (default false).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub learner: bool,
    /// Whether the copy begins without records, because an operator has accepted that all are lost (default false). Its first
    /// opening ends this.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty: bool,
    /// Why it is there, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Fields of later versions, kept when the entry is written again.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl CopyMeta {
    /// Returns a copy on `node` that may become in sync.
    pub fn on(node: NodeUuid) -> Self {
        Self {
            node,
            learner: false,
            empty: false,
            why: None,
            other: Map::new(),
        }
    }
}

impl Entry {
    /// Returns the entry of a new shard. Nothing was ever written, so the primary alone is in sync; it is one of
    /// `copies`.
    pub fn first(primary: CopyId, copies: BTreeMap<CopyId, CopyMeta>) -> Self {
        Self {
            version: 1,
            term: PrimaryTerm(0),
            forced: Vec::new(),
            history: HistoryId::FIRST,
            primary,
            in_sync: [primary].into(),
            copies,
            other: Map::new(),
        }
    }

    /// Returns whether an operator has forced the term, and nobody has led since: the primary opens another one first.
    pub fn awaits_opening(&self) -> bool {
        self.forced.last() == Some(&self.term)
    }

    /// Returns whether `copy` may be opened on an empty folder though it is in sync: nothing was ever written, or an operator has
    /// it made empty.
    pub fn begins_empty(&self, copy: CopyId) -> bool {
        self.term.0 == 0 || self.copies.get(&copy).is_some_and(|meta| meta.empty)
    }

    /// Returns the node that holds `copy`; `None` where the entry does not name the copy.
    pub fn node_of(&self, copy: CopyId) -> Option<NodeUuid> {
        self.copies.get(&copy).map(|meta| meta.node)
    }

    /// Returns the nodes of all copies: the primary's, those in sync, the others.
    pub fn copies_by_rank(&self) -> Vec<NodeUuid> {
        let mut nodes = self.in_sync_by_rank();
        let others = self.copies.iter();
        let others = others.filter(|(copy, _)| !self.in_sync.contains(*copy));
        nodes.extend(others.map(|(_, meta)| meta.node));
        nodes
    }

    /// Returns the nodes of the copies in sync, the primary's first.
    pub fn in_sync_by_rank(&self) -> Vec<NodeUuid> {
        let others = self.in_sync.iter().filter(|copy| **copy != self.primary);
        let copies = std::iter::once(&self.primary).chain(others);
        copies.filter_map(|copy| self.node_of(*copy)).collect()
    }

    /// Reads an entry.
    ///
    /// # Errors
    /// [`EntryError`]; the stored bytes must then be left as they are.
    pub fn from_json(bytes: &[u8]) -> Result<Self, EntryError> {
        let mut fields: Map<String, Value> = serde_json::from_slice(bytes)?;
        let kind = fields.remove("kind");
        let kind = kind.as_ref().and_then(Value::as_str).unwrap_or_default();
        if kind != KIND {
            return Err(EntryError::OtherKind {
                kind: kind.to_owned(),
            });
        }
        match fields.remove("format").as_ref().and_then(Value::as_u64) {
            Some(FORMAT) => {}
            Some(format) if format > FORMAT => return Err(EntryError::NewerFormat { format }),
            _ => return Err(EntryError::Contradiction("`format` is not a known number")),
        }
        let entry: Self = serde_json::from_value(Value::Object(fields))?;
        entry.check()?;
        Ok(entry)
    }

    /// Writes the entry as JSON.
    pub fn to_json(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Stored<'a> {
            kind: &'static str,
            format: u64,
            #[serde(flatten)]
            entry: &'a Entry,
        }
        let stored = Stored {
            kind: KIND,
            format: FORMAT,
            entry: self,
        };
        serde_json::to_vec(&stored).expect("keys are texts and nothing else can fail")
    }

    /// Checks that the parts agree with each other.
    ///
    /// # Errors
    /// [`EntryError::Contradiction`] with the broken rule.
    pub fn check(&self) -> Result<(), EntryError> {
        let rule = if !self.in_sync.contains(&self.primary) {
            "the primary is not in sync"
        } else if !self.in_sync.iter().all(|id| self.copies.contains_key(id)) {
            "an in-sync copy is not among the copies"
        } else if self.in_sync.iter().any(|id| self.copies[id].learner) {
            "a learner is in sync"
        } else if self.forced.iter().any(|forced| *forced > self.term) {
            "a forced term is above the term"
        } else {
            return Ok(());
        };
        Err(EntryError::Contradiction(rule))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> CopyId {
        CopyId([n; 16])
    }

    fn entry() -> Entry {
        let copies = (1..=3).map(|n| (id(n), CopyMeta::on(NodeUuid([n; 16]))));
        Entry {
            version: 17,
            term: PrimaryTerm(4),
            forced: vec![PrimaryTerm(2)],
            history: HistoryId([7; 16]),
            primary: id(1),
            in_sync: [id(1), id(2)].into(),
            copies: copies.collect(),
            other: Map::new(),
        }
    }

    #[test]
    fn an_entry_survives_its_json_with_the_fields_of_later_versions() {
        let mut json: Value = serde_json::from_slice(&entry().to_json()).expect("JSON");
        json["later"] = "kept".into();
        json["copies"][id(3).to_string()]["later"] = 7.into();
        let entry = Entry::from_json(json.to_string().as_bytes()).expect("an entry");
        let again: Value = serde_json::from_slice(&entry.to_json()).expect("JSON");
        assert_eq!(again, json);
    }

    #[test]
    fn copies_are_ranked_from_the_primary_to_those_that_are_not_in_sync() {
        let mut entry = entry();
        entry.primary = id(2);
        let node = |n: u8| NodeUuid([n; 16]);
        assert_eq!(entry.copies_by_rank(), [node(2), node(1), node(3)]);
        assert_eq!(entry.in_sync_by_rank(), [node(2), node(1)]);
    }

    #[test]
    fn an_entry_of_a_newer_format_or_another_kind_is_refused_by_name() {
        let refused = |from: &str, to: &str| {
            let json = String::from_utf8(entry().to_json()).expect("UTF-8");
            assert!(json.contains(from), "{json}");
            let error = Entry::from_json(json.replace(from, to).as_bytes());
            error.expect_err("refused").to_string()
        };
        assert!(refused("\"format\":1", "\"format\":2").contains("format 2"));
        assert!(refused("\"format\":1", "\"format\":\"x\"").contains("not a known number"));
        assert!(refused("\"shard\"", "\"index\"").contains("`index`"));
        assert!(refused("\"term\":4", "\"term\":-4").contains("cannot be read"));
    }

    #[test]
    fn an_entry_that_contradicts_itself_is_refused() {
        let broken = |change: fn(&mut Entry)| {
            let mut entry = entry();
            change(&mut entry);
            entry.check().expect_err("refused").to_string()
        };
        assert!(entry().check().is_ok());
        assert!(broken(|entry| entry.primary = id(3)).contains("primary is not in sync"));
        assert!(broken(|entry| _ = entry.in_sync.insert(id(9))).contains("not among the copies"));
        assert!(broken(|entry| entry.forced = vec![PrimaryTerm(5)]).contains("above the term"));
        let learner = broken(|entry| {
            entry.copies.get_mut(&id(2)).expect("a copy").learner = true;
        });
        assert!(learner.contains("learner"));
    }
}
