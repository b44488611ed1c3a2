//! The version map: latest writes that searches cannot see yet, and recent tombstones.
//!
//! It decides conflicts and serves real-time reads. Everything visible is looked up in the index;
//! entries leave the map when a refresh shows them, tombstones some time after.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gleaner_model::{DocumentId, PrimaryTerm, SeqNo, Version};

/// The latest write of a document.
#[derive(Debug, Clone)]
pub(crate) struct Latest {
    pub(crate) seq_no: SeqNo,
    pub(crate) term: PrimaryTerm,
    pub(crate) version: Version,
    /// The document; `None` when it was deleted.
    pub(crate) content: Option<Content>,
}

/// A document as written.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    pub(crate) routing: Option<String>,
    pub(crate) source: Bytes,
}

struct Entry {
    latest: Latest,
    written: Instant,
}

/// Latest writes by id.
#[derive(Default)]
pub(crate) struct VersionMap {
    entries: HashMap<DocumentId, Entry>,
    bytes: usize,
}

/// Bytes an entry takes beside id and source; a rough figure is enough for a bound.
const ENTRY_BYTES: usize = 160;

impl VersionMap {
    /// Returns the latest write of `id`, if it is remembered.
    pub(crate) fn get(&self, id: &DocumentId) -> Option<&Latest> {
        self.entries.get(id).map(|entry| &entry.latest)
    }

    /// Remembers a write.
    pub(crate) fn put(&mut self, id: DocumentId, latest: Latest) {
        self.bytes += size_of_entry(&id, &latest);
        let entry = Entry {
            latest,
            written: Instant::now(),
        };
        let key = id.clone();
        if let Some(old) = self.entries.insert(id, entry) {
            self.bytes -= size_of_entry(&key, &old.latest);
        }
    }

    /// Forgets a document.
    pub(crate) fn forget(&mut self, id: &DocumentId) {
        if let Some(old) = self.entries.remove(id) {
            self.bytes -= size_of_entry(id, &old.latest);
        }
    }

    /// Forgets documents that are visible (seq_no below `visible`) and tombstones that are visible
    /// and older than `tombstone_age`.
    pub(crate) fn prune(&mut self, visible: SeqNo, tombstone_age: Duration) {
        let now = Instant::now();
        self.entries.retain(|_, entry| {
            let is_visible = entry.latest.seq_no < visible;
            let is_young = now.duration_since(entry.written) < tombstone_age;
            !is_visible || (entry.latest.content.is_none() && is_young)
        });
        self.bytes = self
            .entries
            .iter()
            .map(|(id, entry)| size_of_entry(id, &entry.latest))
            .sum();
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }

    /// Returns the bytes held, roughly.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

fn size_of_entry(id: &DocumentId, latest: &Latest) -> usize {
    let content = latest
        .content
        .as_ref()
        .map_or(0, |content| content.source.len());
    ENTRY_BYTES + id.as_str().len() + content
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> DocumentId {
        DocumentId::parse(text).expect("a good id")
    }

    fn latest(seq_no: u64, source: Option<&'static str>) -> Latest {
        let content = source.map(|source| Content {
            routing: None,
            source: source.into(),
        });
        Latest {
            seq_no: SeqNo(seq_no),
            term: PrimaryTerm(1),
            version: Version(1),
            content,
        }
    }

    #[test]
    fn visible_documents_leave_and_young_tombstones_stay() {
        let mut map = VersionMap::default();
        map.put(id("a"), latest(0, Some("{}")));
        map.put(id("b"), latest(1, None));
        map.put(id("c"), latest(2, Some("{}")));
        map.prune(SeqNo(2), Duration::from_secs(60));
        assert!(map.get(&id("a")).is_none());
        assert!(map.get(&id("b")).is_some());
        assert!(map.get(&id("c")).is_some());
        map.prune(SeqNo(3), Duration::ZERO);
        assert!(map.get(&id("b")).is_none());
        assert_eq!(map.bytes(), 0);
    }

    #[test]
    fn bytes_follow_replaced_entries() {
        let mut map = VersionMap::default();
        map.put(id("a"), latest(0, Some("{\"long\":true}")));
        let before = map.bytes();
        map.put(id("a"), latest(1, Some("{\"long\":true}")));
        assert_eq!(map.bytes(), before);
    }
}
