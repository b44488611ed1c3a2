//! What `meta.json` says: the segments that are the index, and our checkpoint inside.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use gleaner_model::{Generation, HistoryId, MappingVersion, SeqNo};
use serde::{Deserialize, Serialize};

use crate::EngineError;

/// Marks a checkpoint as ours.
const MAGIC: &str = "gleaner-checkpoint";
/// Newest format of the checkpoint, which stands for the layout of the whole folder.
const FORMAT: u32 = 1;

/// Extension of the file that holds a segment's norms.
pub(super) const NORMS: &str = "fieldnorm";

/// The segments a meta names: id as 32 hexadecimal digits → opstamp of its delete list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Segments(HashMap<String, SegmentEntry>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SegmentEntry {
    max_doc: u32,
    delete_opstamp: Option<u64>,
}

/// A commit: its segments and how far in the log it reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitMeta {
    /// The segments.
    pub segments: Segments,
    /// Every operation before this one is in the segments.
    pub next_seq_no: SeqNo,
    /// The mapping in force at the commit.
    pub mapping: MappingVersion,
    /// Whether its documents are known to have all their fields.
    pub completeness: Completeness,
}

/// Whether the documents of a copy are known to be indexed with all the fields that they brought: earlier
/// programs left out some.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Completeness {
    /// Nobody has looked.
    #[default]
    Unknown,
    /// They are.
    Complete,
}

impl Completeness {
    fn is_unknown(&self) -> bool {
        *self == Self::Unknown
    }
}

/// The checkpoint as JSON inside tantivy's commit payload.
#[derive(Debug, Serialize, Deserialize)]
struct Payload {
    magic: String,
    format: u32,
    next_seq_no: SeqNo,
    mapping: MappingVersion,
    /// Programs that do not know it leave it out, which says what is true then.
    #[serde(default, skip_serializing_if = "Completeness::is_unknown")]
    fields: Completeness,
}

/// Only the head: read first, so that a newer format is refused by name whatever else changed.
#[derive(Deserialize)]
struct Head {
    magic: String,
    format: u32,
}

/// As much of tantivy's `meta.json` as concerns us.
#[derive(Deserialize)]
struct Meta {
    segments: Vec<Segment>,
    payload: Option<String>,
}

#[derive(Deserialize)]
struct Segment {
    segment_id: String,
    max_doc: u32,
    deletes: Option<Deletes>,
}

#[derive(Deserialize)]
struct Deletes {
    opstamp: u64,
}

impl CommitMeta {
    /// Reads `meta.json`.
    ///
    /// # Errors
    /// [`EngineError::Newer`] for a newer format, [`EngineError::Corrupt`] for anything unreadable.
    pub fn parse(bytes: &[u8]) -> Result<Self, EngineError> {
        let meta = parse_meta(bytes)?;
        let damaged = || EngineError::Corrupt("meta.json holds no checkpoint of ours".to_owned());
        let payload = meta.payload.as_deref().ok_or_else(damaged)?;
        let head: Head = serde_json::from_str(payload).map_err(|_| damaged())?;
        if head.magic != MAGIC {
            return Err(damaged());
        }
        if head.format > FORMAT {
            return Err(EngineError::Newer {
                what: "checkpoint",
                found: head.format,
                known: FORMAT,
            });
        }
        let payload: Payload = serde_json::from_str(payload).map_err(|_| damaged())?;
        Ok(Self {
            segments: Segments::of(meta.segments),
            next_seq_no: payload.next_seq_no,
            mapping: payload.mapping,
            completeness: payload.fields,
        })
    }

    /// Returns the commit payload for a checkpoint.
    pub fn payload(
        next_seq_no: SeqNo,
        mapping: MappingVersion,
        completeness: Completeness,
    ) -> String {
        let payload = Payload {
            magic: MAGIC.to_owned(),
            format: FORMAT,
            next_seq_no,
            mapping,
            fields: completeness,
        };
        serde_json::to_string(&payload).expect("numbers and constants always serialise")
    }

    /// Returns what searches of this commit of a copy of `history` see: everything before `next_seq_no`.
    pub fn generation(&self, history: HistoryId) -> Generation {
        Generation {
            mapping: self.mapping,
            visible: self.next_seq_no,
            history,
        }
    }
}

impl Segments {
    /// Reads the segments of a `meta.json`, with or without a checkpoint.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`].
    pub fn parse(bytes: &[u8]) -> Result<Self, EngineError> {
        parse_meta(bytes).map(|meta| Self::of(meta.segments))
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether the segment `id` is one of them.
    pub(super) fn contain(&self, id: &str) -> bool {
        self.0.contains_key(id)
    }

    /// Returns whether `path`, a file name, belongs to one of the segments in the state named.
    pub fn name(&self, path: &Path) -> bool {
        let Some((id, rest)) = path.to_str().and_then(|name| name.split_once('.')) else {
            return false;
        };
        let Some(entry) = self.0.get(id) else {
            return false;
        };
        match rest.strip_suffix(".del") {
            Some(opstamp) => entry
                .delete_opstamp
                .is_some_and(|named| opstamp == named.to_string()),
            None => rest != "store.temp",
        }
    }

    /// Returns each segment: its id, its number of documents, its list of deletes.
    pub(super) fn parts(&self) -> impl Iterator<Item = (&str, u32, Option<String>)> {
        self.0.iter().map(|(id, entry)| {
            let deletes = entry
                .delete_opstamp
                .map(|stamp| format!("{id}.{stamp}.del"));
            (id.as_str(), entry.max_doc, deletes)
        })
    }

    /// Returns the names of the segments' files, whose kinds are `parts`, with their delete lists.
    pub(super) fn file_names<'a>(&'a self, parts: &'a [&str]) -> impl Iterator<Item = String> + 'a {
        self.0.iter().flat_map(move |(id, entry)| {
            let deletes = entry
                .delete_opstamp
                .map(|stamp| format!("{id}.{stamp}.del"));
            let files = parts.iter().map(move |part| format!("{id}.{part}"));
            files.chain(deletes)
        })
    }

    /// Returns each segment's file of norms with its number of documents, live and deleted.
    pub(super) fn norm_files(&self) -> impl Iterator<Item = (PathBuf, u32)> {
        self.0
            .iter()
            .map(|(id, entry)| (PathBuf::from(format!("{id}.{NORMS}")), entry.max_doc))
    }

    fn of(segments: Vec<Segment>) -> Self {
        let entry = |segment: Segment| {
            let delete_opstamp = segment.deletes.map(|deletes| deletes.opstamp);
            let entry = SegmentEntry {
                max_doc: segment.max_doc,
                delete_opstamp,
            };
            (segment.segment_id.replace('-', ""), entry)
        };
        Self(segments.into_iter().map(entry).collect())
    }
}

fn parse_meta(bytes: &[u8]) -> Result<Meta, EngineError> {
    serde_json::from_slice(bytes)
        .map_err(|error| EngineError::Corrupt(format!("meta.json cannot be read: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef";

    fn meta(payload: &str) -> Vec<u8> {
        let segment = serde_json::json!({
            "segment_id": "01234567-89ab-cdef-0123-456789abcdef",
            "max_doc": 7,
            "deletes": {"num_deleted_docs": 1, "opstamp": 42},
        });
        serde_json::json!({"segments": [segment], "payload": payload})
            .to_string()
            .into_bytes()
    }

    #[test]
    fn a_commit_survives_its_payload() {
        let payload = CommitMeta::payload(SeqNo(9), MappingVersion(3), Completeness::Complete);
        let commit = CommitMeta::parse(&meta(&payload)).expect("it is ours");
        assert_eq!(
            (commit.next_seq_no, commit.mapping, commit.completeness),
            (SeqNo(9), MappingVersion(3), Completeness::Complete)
        );
    }

    #[test]
    fn format_one_of_the_checkpoint_is_frozen() {
        let unknown = r#"{"magic":"gleaner-checkpoint","format":1,"next_seq_no":9,"mapping":3}"#;
        let complete = unknown.replace('}', r#","fields":"complete"}"#);
        for (completeness, golden) in [
            (Completeness::Unknown, unknown),
            (Completeness::Complete, &complete),
        ] {
            let payload = CommitMeta::payload(SeqNo(9), MappingVersion(3), completeness);
            assert_eq!(payload, golden);
            let commit = CommitMeta::parse(&meta(golden)).expect("it is ours");
            assert_eq!(commit.completeness, completeness);
        }
    }

    #[test]
    fn newer_formats_are_refused_by_name() {
        let payload = r#"{"magic":"gleaner-checkpoint","format":2,"position":{}}"#;
        let error = CommitMeta::parse(&meta(payload)).expect_err("it is newer");
        assert!(
            matches!(
                error,
                EngineError::Newer {
                    found: 2,
                    known: 1,
                    ..
                }
            ),
            "{error}"
        );
        let error = CommitMeta::parse(&meta("{}")).expect_err("it is not ours");
        assert!(matches!(error, EngineError::Corrupt(_)), "{error}");
    }

    #[test]
    fn a_meta_names_the_files_of_its_segments_and_only_the_newest_delete_list() {
        let segments = Segments::parse(&meta("{}")).expect("it has segments");
        for (file, expected) in [
            (format!("{ID}.store"), true),
            (format!("{ID}.42.del"), true),
            (format!("{ID}.41.del"), false),
            (format!("{ID}.store.temp"), false),
            ("ffffffffffffffffffffffffffffffff.store".to_owned(), false),
            ("meta.json.next".to_owned(), false),
        ] {
            assert_eq!(segments.name(Path::new(&file)), expected, "{file}");
        }
        let norms: Vec<_> = segments.norm_files().collect();
        assert_eq!(norms, [(PathBuf::from(format!("{ID}.fieldnorm")), 7)]);
    }
}
