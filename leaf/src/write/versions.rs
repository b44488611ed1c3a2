//! The version map: latest writes that searches cannot see yet, and recent tombstones.
//!
//! It decides conflicts and serves real-time reads. Everything visible is looked up in the index;
//! entries leave the map when a refresh shows them, tombstones some time after. Documents themselves
//! are kept for a while only: the log has them too.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gleaner_model::{DocumentId, PrimaryTerm, SeqNo, Version};

/// The latest write of a document.
#[derive(Debug, Clone)]
pub(crate) struct Latest {
    pub(crate) seq_no: SeqNo,
    pub(crate) term: PrimaryTerm,
    pub(crate) version: Version,
    pub(crate) document: Written,
}

/// What a write left of a document.
#[derive(Debug, Clone)]
pub(crate) enum Written {
    /// Nothing, since then.
    Deleted(Instant),
    /// This.
    Here(Arc<Content>),
    /// What the log has at its position.
    InLog,
}

impl Latest {
    pub(crate) fn is_deleted(&self) -> bool {
        matches!(self.document, Written::Deleted(_))
    }

    /// Returns the bytes of its document that are kept here.
    fn kept_bytes(&self) -> usize {
        match &self.document {
            Written::Here(content) => content.source.len(),
            Written::Deleted(_) | Written::InLog => 0,
        }
    }
}

/// A document as written.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    pub(crate) routing: Option<String>,
    pub(crate) source: Bytes,
}

/// A load between two refreshes leaves an entry for each of its documents, and the table that holds them
/// doubles: some hundred thousand of them must not show in the memory of a node.
const _: () = assert!(size_of::<(DocumentId, Latest)>() <= 56);

/// Latest writes by id.
#[derive(Default)]
pub(crate) struct VersionMap {
    entries: HashMap<DocumentId, Latest>,
    /// Documents that may be kept here, the oldest first.
    kept: VecDeque<(SeqNo, DocumentId)>,
    /// Tombstones that a write took the place of which the log may not take, by that write's position.
    replaced: VecDeque<(SeqNo, DocumentId, Latest)>,
    /// Of entries, their ids and `kept`, and of `replaced`.
    entry_bytes: usize,
    /// Of documents kept here.
    kept_bytes: usize,
}

/// Bytes an entry takes beside id and source; a rough figure is enough for a bound.
const ENTRY_BYTES: usize = 160;

impl VersionMap {
    /// Returns the latest write of `id`, if it is remembered.
    pub(crate) fn get(&self, id: &DocumentId) -> Option<&Latest> {
        self.entries.get(id)
    }

    /// Remembers the writes of a batch, in their order.
    pub(crate) fn put_all(&mut self, latest: HashMap<DocumentId, Latest>) {
        let mut latest: Vec<_> = latest.into_iter().collect();
        latest.sort_unstable_by_key(|(_, latest)| latest.seq_no);
        for (id, latest) in latest {
            self.put(id, latest);
        }
    }

    /// Remembers a write; of a tombstone that it takes the place of, until it is known to be durable.
    pub(crate) fn put(&mut self, id: DocumentId, latest: Latest) {
        let (seq_no, kept_bytes) = (latest.seq_no, latest.kept_bytes());
        let size = size_of_entry(&id);
        if kept_bytes > 0 {
            self.kept.push_back((seq_no, id.clone()));
            self.kept_bytes += kept_bytes;
        }
        let Some(old) = self.entries.insert(id.clone(), latest) else {
            self.entry_bytes += size;
            return;
        };
        self.kept_bytes -= old.kept_bytes();
        if old.is_deleted() {
            self.entry_bytes += size;
            self.replaced.push_back((seq_no, id, old));
        }
    }

    /// Forgets a document.
    pub(crate) fn forget(&mut self, id: &DocumentId) {
        drop(self.take(id));
    }

    fn take(&mut self, id: &DocumentId) -> Option<Latest> {
        let old = self.entries.remove(id)?;
        self.entry_bytes -= size_of_entry(id);
        self.kept_bytes -= old.kept_bytes();
        Some(old)
    }

    /// Forgets the tombstones whose place a write below `durable` took: it stays.
    fn settle(&mut self, durable: SeqNo) {
        let is_settled = |(by, ..): &mut (SeqNo, DocumentId, Latest)| *by < durable;
        while let Some((_, id, _)) = self.replaced.pop_front_if(is_settled) {
            self.entry_bytes -= size_of_entry(&id);
        }
    }

    /// Lets go of the oldest documents kept here beyond `limit` bytes; those from `durable` on stay,
    /// as the log may not have them yet, and so do tombstones that these took the place of.
    pub(crate) fn leave_to_log(&mut self, limit: usize, durable: SeqNo) {
        self.settle(durable);
        while self.kept_bytes > limit || self.kept.len() > MAX_STALE * self.entries.len() {
            let Some((seq_no, id)) = self.kept.pop_front_if(|(seq_no, _)| *seq_no < durable) else {
                return;
            };
            let latest = self.entries.get_mut(&id);
            // A newer write may have taken its place.
            if let Some(latest) = latest.filter(|latest| latest.seq_no == seq_no) {
                self.kept_bytes -= latest.kept_bytes();
                latest.document = Written::InLog;
            }
        }
    }

    /// Forgets documents that are visible (seq_no below `visible`) and tombstones that are visible
    /// and older than `tombstone_age`; younger ones too when they take more than `tombstone_bytes`.
    pub(crate) fn prune(
        &mut self,
        visible: SeqNo,
        tombstone_age: Duration,
        tombstone_bytes: usize,
    ) {
        self.settle(visible);
        let now = Instant::now();
        let replaced = self.replaced.iter().map(|(_, id, _)| size_of_entry(id));
        let (mut entry_bytes, mut kept_bytes, mut shown_bytes) = (replaced.sum(), 0, 0);
        self.entries.retain(|id, latest| {
            let is_visible = latest.seq_no < visible;
            let is_young = |at| now.duration_since(at) < tombstone_age;
            let stays = match latest.document {
                Written::Deleted(at) => !is_visible || is_young(at),
                Written::Here(_) | Written::InLog => !is_visible,
            };
            if stays {
                entry_bytes += size_of_entry(id);
                kept_bytes += latest.kept_bytes();
            }
            if stays && is_visible {
                shown_bytes += size_of_entry(id);
            }
            stays
        });
        if shown_bytes > tombstone_bytes {
            // Half of the bound, the newest: not again at the next refresh.
            let spared = self.oldest_spared(visible, tombstone_bytes / 2);
            self.entries.retain(|id, latest| {
                let stays = latest.seq_no >= spared;
                if !stays {
                    entry_bytes -= size_of_entry(id);
                }
                stays
            });
        }
        (self.entry_bytes, self.kept_bytes) = (entry_bytes, kept_bytes);
        self.kept.retain(|(seq_no, _)| *seq_no >= visible);
    }

    /// Returns the position from which on tombstones that are visible take at most `limit` bytes.
    fn oldest_spared(&self, visible: SeqNo, limit: usize) -> SeqNo {
        let entries = self.entries.iter();
        let shown = entries.filter(|(_, latest)| latest.seq_no < visible);
        let mut shown: Vec<_> = shown
            .map(|(id, latest)| (latest.seq_no, size_of_entry(id)))
            .collect();
        shown.sort_unstable_by_key(|(seq_no, _)| std::cmp::Reverse(*seq_no));
        let mut bytes = 0;
        let spared = shown.iter().take_while(|(_, size)| {
            bytes += size;
            bytes <= limit
        });
        spared.last().map_or(visible, |(seq_no, _)| *seq_no)
    }

    /// Forgets all but the tombstones below `next`; those that were replaced from there on are back.
    pub(crate) fn keep_tombstones(&mut self, next: SeqNo) {
        self.entries
            .retain(|_, latest| latest.is_deleted() && latest.seq_no < next);
        for (by, id, tombstone) in std::mem::take(&mut self.replaced) {
            if by >= next && tombstone.seq_no < next {
                self.entries.insert(id, tombstone);
            }
        }
        self.entry_bytes = self.entries.keys().map(size_of_entry).sum();
        self.kept_bytes = 0;
        self.kept = VecDeque::new();
    }

    /// Returns the bytes held, roughly.
    pub(crate) fn bytes(&self) -> usize {
        self.entry_bytes + self.kept_bytes
    }
}

/// Entries of `kept` for each document: some are of writes that were replaced.
const MAX_STALE: usize = 4;

fn size_of_entry(id: &DocumentId) -> usize {
    ENTRY_BYTES + id.as_str().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> DocumentId {
        DocumentId::parse(text).expect("a good id")
    }

    fn latest(seq_no: u64, source: Option<&'static str>) -> Latest {
        let document = match source {
            None => Written::Deleted(Instant::now()),
            Some(source) => Written::Here(Arc::new(Content {
                routing: None,
                source: source.into(),
            })),
        };
        Latest {
            seq_no: SeqNo(seq_no),
            term: PrimaryTerm(1),
            version: Version(1),
            document,
        }
    }

    #[test]
    fn visible_documents_leave_and_young_tombstones_stay() {
        let mut map = VersionMap::default();
        map.put(id("a"), latest(0, Some("{}")));
        map.put(id("b"), latest(1, None));
        map.put(id("c"), latest(2, Some("{}")));
        map.prune(SeqNo(2), Duration::from_secs(60), usize::MAX);
        assert!(map.get(&id("a")).is_none());
        assert!(map.get(&id("b")).is_some());
        assert!(map.get(&id("c")).is_some());
        map.prune(SeqNo(3), Duration::ZERO, usize::MAX);
        assert!(map.get(&id("b")).is_none());
        assert_eq!(map.bytes(), 0);
    }

    #[test]
    fn tombstones_are_bounded_and_the_newest_of_them_stay() {
        let mut map = VersionMap::default();
        for n in 0..1_000 {
            map.put(id(&format!("{n:03}")), latest(n, None));
        }
        let (limit, minute) = (100 * size_of_entry(&id("000")), Duration::from_secs(60));
        map.prune(SeqNo(990), minute, limit);
        // Half of the bound, and what is not visible yet.
        let left: Vec<_> = (0..1_000)
            .filter(|n| map.get(&id(&format!("{n:03}"))).is_some())
            .collect();
        assert_eq!(left, (940..1_000).collect::<Vec<_>>());
        assert_eq!(map.bytes(), 60 * size_of_entry(&id("000")));
        map.prune(SeqNo(1_000), minute, limit);
        assert!(map.get(&id("940")).is_some());
    }

    #[test]
    fn tombstones_outlast_what_the_log_did_not_take() {
        let mut map = VersionMap::default();
        map.put(id("a"), latest(0, Some("{}")));
        map.put(id("b"), latest(1, None));
        map.put(id("c"), latest(2, None));
        map.keep_tombstones(SeqNo(2));
        let left = ["a", "b", "c"].map(|name| map.get(&id(name)).is_some());
        assert_eq!(left, [false, true, false]);
        assert_eq!(map.bytes(), size_of_entry(&id("b")));
        map.forget(&id("b"));
        assert_eq!(map.bytes(), 0);
    }

    #[test]
    fn a_tombstone_is_back_when_the_log_did_not_take_what_replaced_it() {
        let size = size_of_entry(&id("a"));
        let mut written = VersionMap::default();
        for (n, source) in [(3, None), (5, Some("{}")), (6, None), (7, Some("{}"))] {
            written.put(id("a"), latest(n, source));
        }
        assert_eq!(written.bytes(), 3 * size + 2);
        // By what the log has: the tombstone that is left.
        for (next, left) in [(5, Some(3)), (6, None), (7, Some(6)), (8, None)] {
            let mut map = VersionMap {
                entries: written.entries.clone(),
                replaced: written.replaced.clone(),
                ..VersionMap::default()
            };
            map.keep_tombstones(SeqNo(next));
            let found = map.get(&id("a")).map(|latest| latest.seq_no.0);
            assert_eq!(found, left, "the log ends before {next}");
            assert_eq!(map.bytes(), left.map_or(0, |_| size));
        }
        written.leave_to_log(usize::MAX, SeqNo(6));
        assert_eq!(written.bytes(), 2 * size + 2);
        written.prune(SeqNo(7), Duration::ZERO, usize::MAX);
        assert_eq!(written.bytes(), 2 * size + 2, "it may still be lost");
        written.prune(SeqNo(8), Duration::ZERO, usize::MAX);
        assert_eq!(written.bytes(), 0);
    }

    #[test]
    fn bytes_follow_replaced_entries() {
        let mut map = VersionMap::default();
        map.put(id("a"), latest(0, Some("{\"long\":true}")));
        let before = map.bytes();
        map.put(id("a"), latest(1, Some("{\"long\":true}")));
        assert_eq!(map.bytes(), before);
    }

    #[test]
    fn the_oldest_durable_documents_are_left_to_the_log() {
        let mut map = VersionMap::default();
        for n in 0..4 {
            map.put(id(&n.to_string()), latest(n, Some("{\"ten\":10}")));
        }
        map.put(id("0"), latest(4, Some("{}")));
        let is_here = |map: &VersionMap, name: &str| {
            let latest = map.get(&id(name)).expect("remembered");
            matches!(latest.document, Written::Here(_))
        };
        map.leave_to_log(0, SeqNo(2));
        let here = ["0", "1", "2", "3"].map(|name| is_here(&map, name));
        assert_eq!(here, [true, false, true, true]);
        map.leave_to_log(5, SeqNo(5));
        let here = ["0", "1", "2", "3"].map(|name| is_here(&map, name));
        assert_eq!(here, [true, false, false, false]);
        assert_eq!(map.get(&id("1")).expect("remembered").version, Version(1));
    }
}
