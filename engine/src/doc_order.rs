//! Documents of a segment in the order of a key: the access path of lists, sorts and pages.
//!
//! A [`DocOrder`] is a permutation: documents ascending by (key, hash of `_id`), where the key is one number of each
//! document. The best of a sort stand at one of its ends, a page begins where a binary search finds its border, and what
//! has one score for all begins at the lowest hash. So such a search reads what it returns, and not the segment.
//!
//! Orders are derived: never part of a commit, and made again when they are not there. They lie in files without a name
//! in the shard's folder, 4 bytes a document, mapped: memory that the system takes back when it is short of it, and that
//! is gone with the segment or the process. A segment's order of a key is made by the second search that wants it, in some
//! 50 ns a document; the first one reads the segment, as that may be the only one.
//!
//! Does: make orders, keep them for a segment whatever is deleted in it. Does not: know queries. Called by the search.
//! Read first: [`DocOrders::get`].

mod build;
pub(crate) mod column;

use std::collections::HashMap;
use std::io::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gleaner_machine::mapped::{MappedBytes, MappedOwner};
use gleaner_partial::control::MemoryAccount;
use gleaner_partial::sorting::Kind;
use gleaner_query::search::SortMode;
use parking_lot::Mutex;
use tantivy::DocId;
use tantivy::columnar::ColumnValues;

/// Documents of a segment below which no order is made: reading all of them takes less than 100 µs. Fewer in builds with assertions,
/// so that whatever is tested with few documents is tested along orders too.
pub(crate) const FEW_DOCUMENTS: u32 = if cfg!(debug_assertions) { 64 } else { 4_096 };

/// Orders of one segment that are kept. Beyond that the segment is read.
const MOST_ORDERS: usize = 32;

/// Ranges of a number after which its order is made for them: one range costs but a look at the values. That of a date is made for
/// the second one, as lists are newest first anyway.
const RANGES_BEFORE: u32 = 16;

/// Memory that making an order takes for each document, bytes: keys, and pairs that are sorted.
const BUILD_BYTES: u64 = 32;

/// What documents are ordered by, before the hash of their id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum OrderKey {
    /// Nothing else.
    IdHash,
    /// The position of the operation that wrote them.
    SeqNo,
    /// One value of a column.
    Column {
        /// Its name in the schema.
        name: String,
        /// As what its values are compared: a column of one type may be sorted as another.
        kind: Kind,
        /// Whether fractions are those of 32 bits.
        is_narrow: bool,
        /// Whether instants count nanoseconds.
        is_nanos: bool,
        /// Which of several values counts; `None` where each document has one.
        mode: Option<SortMode>,
        /// The number that stands for no value; `None` where each document has one.
        missing: Option<u64>,
    },
}

/// The documents of a segment in one order.
pub(crate) struct DocOrder {
    stored: Stored,
}

enum Stored {
    Mapped(MappedBytes),
    /// Where the shard has no folder, as in tests of crashes.
    Held(Vec<u8>),
}

/// Bytes of a document.
const WIDTH: usize = size_of::<DocId>();

impl DocOrder {
    fn store(docs: &[DocId], folder: Option<&Path>) -> std::io::Result<Self> {
        let mut bytes = Vec::with_capacity(docs.len() * WIDTH);
        for doc in docs {
            bytes.extend_from_slice(&doc.to_le_bytes());
        }
        let stored = match folder {
            None => Stored::Held(bytes),
            Some(folder) => {
                let mut file = tempfile::tempfile_in(folder)?;
                // Written, not only made longer: a full disk is to be met here, and not by a reader of memory.
                file.write_all(&bytes)?;
                Stored::Mapped(MappedBytes::of(&file, &MappedOwner::new())?)
            }
        };
        Ok(Self { stored })
    }

    /// Returns the number of documents, deleted ones included.
    pub(crate) fn len(&self) -> usize {
        self.bytes().len() / WIDTH
    }

    /// Returns the document at `rank`, below [`Self::len`].
    pub(crate) fn doc(&self, rank: usize) -> DocId {
        let (docs, _) = self.bytes().as_chunks::<WIDTH>();
        DocId::from_le_bytes(docs[rank])
    }

    /// Returns the first of `ranks` whose document `is_before` does not hold of; it holds of all before and of none behind.
    ///
    /// # Errors
    /// Those of `is_before`.
    pub(crate) fn partition_point<E>(
        &self,
        ranks: Range<usize>,
        mut is_before: impl FnMut(DocId) -> Result<bool, E>,
    ) -> Result<usize, E> {
        let Range {
            start: mut low,
            end: mut high,
        } = ranks;
        while low < high {
            let middle = low + (high - low) / 2;
            if is_before(self.doc(middle))? {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    fn bytes(&self) -> &[u8] {
        match &self.stored {
            Stored::Mapped(bytes) => bytes,
            Stored::Held(bytes) => bytes,
        }
    }
}

/// The orders of one segment.
pub(crate) struct DocOrders {
    /// Where their files lie.
    folder: Option<Arc<PathBuf>>,
    slots: Mutex<HashMap<OrderKey, Slot>>,
    /// How many ranges have asked for an order that is not made.
    ranged: Mutex<HashMap<OrderKey, u32>>,
    /// Held while one is made: others read the segment meanwhile.
    making: Mutex<()>,
}

enum Slot {
    /// One search has wanted it.
    Wanted,
    Made(Arc<DocOrder>),
    /// It could not be made.
    Failed,
}

impl DocOrders {
    /// Returns those of a segment in `folder`, none of which is made.
    pub(crate) fn new(folder: Option<Arc<PathBuf>>) -> Self {
        Self {
            folder,
            slots: Mutex::default(),
            ranged: Mutex::default(),
            making: Mutex::default(),
        }
    }

    /// Returns the order by `key`; `None` where the segment has to be read. It is made where it is wanted for the second time:
    /// `hashes` has one of each document, and `keys` returns a number of each, or nothing where they have none. What that takes is
    /// reserved from `memory` meanwhile; without room it is not made.
    ///
    /// # Errors
    /// Those of `keys`.
    pub(crate) fn get<E>(
        &self,
        key: &OrderKey,
        hashes: &dyn ColumnValues<u64>,
        memory: Option<&Arc<MemoryAccount>>,
        keys: impl FnOnce() -> Result<Option<Vec<u64>>, E>,
    ) -> Result<Option<Arc<DocOrder>>, E> {
        if let Some(known) = self.known(key) {
            return Ok(known);
        }
        let Some(_one_at_a_time) = self.making.try_lock() else {
            return Ok(None);
        };
        let bytes = u64::from(hashes.num_vals()) * BUILD_BYTES;
        let Ok(_held) = memory.map(|memory| memory.reserve(bytes)).transpose() else {
            return Ok(None);
        };
        if *key == OrderKey::IdHash {
            return Ok(self.by_hash(hashes));
        }
        let (Some(keys), Some(by_hash)) = (keys()?, self.by_hash(hashes)) else {
            return Ok(None);
        };
        let ranked = (0..by_hash.len()).map(|rank| by_hash.doc(rank));
        Ok(self.keep(key, &build::by_key(&keys, ranked)))
    }

    /// Returns whether a range is to be looked up in the order by `key`: it is made, or so many have asked for it that it shall be.
    pub(crate) fn pays_for_ranges(&self, key: &OrderKey) -> bool {
        if let Some(Slot::Made(_)) = self.slots.lock().get(key) {
            return true;
        }
        let mut ranged = self.ranged.lock();
        if ranged.len() >= MOST_ORDERS && !ranged.contains_key(key) {
            return false;
        }
        let num_ranges = ranged.entry(key.clone()).or_default();
        *num_ranges = num_ranges.saturating_add(1);
        *num_ranges > RANGES_BEFORE
    }

    /// Returns how many are made.
    #[cfg(test)]
    pub(crate) fn num_made(&self) -> usize {
        let slots = self.slots.lock();
        slots
            .values()
            .filter(|slot| matches!(slot, Slot::Made(_)))
            .count()
    }

    /// Returns the order by `key` where it is made, `Some(None)` where it is not to be made.
    fn known(&self, key: &OrderKey) -> Option<Option<Arc<DocOrder>>> {
        let mut slots = self.slots.lock();
        match slots.get(key) {
            Some(Slot::Made(order)) => Some(Some(Arc::clone(order))),
            Some(Slot::Wanted) => None,
            Some(Slot::Failed) => Some(None),
            None => {
                if slots.len() < MOST_ORDERS {
                    slots.insert(key.clone(), Slot::Wanted);
                }
                Some(None)
            }
        }
    }

    fn by_hash(&self, hashes: &dyn ColumnValues<u64>) -> Option<Arc<DocOrder>> {
        if let Some(Slot::Made(order)) = self.slots.lock().get(&OrderKey::IdHash) {
            return Some(Arc::clone(order));
        }
        let hashes = (0..hashes.num_vals()).map(|doc| hashes.get_val(doc));
        self.keep(&OrderKey::IdHash, &build::by_hash(hashes))
    }

    fn keep(&self, key: &OrderKey, docs: &[DocId]) -> Option<Arc<DocOrder>> {
        let folder = self.folder.as_deref().map(PathBuf::as_path);
        let made = DocOrder::store(docs, folder).map(Arc::new);
        let slot = match &made {
            Ok(order) => Slot::Made(Arc::clone(order)),
            Err(error) => {
                tracing::warn!(?key, %error, "an order of documents is not kept: searches by it read the segment");
                Slot::Failed
            }
        };
        self.slots.lock().insert(key.clone(), slot);
        made.ok()
    }
}

#[cfg(test)]
mod tests {
    use tantivy::columnar::column_values::VecColumn;

    use super::*;

    /// Hashes that order the documents 2, 0, 1.
    const HASHES: [u64; 3] = [20, 30, 10];

    fn docs(order: &DocOrder) -> Vec<DocId> {
        (0..order.len()).map(|rank| order.doc(rank)).collect()
    }

    fn hashes() -> impl ColumnValues<u64> {
        VecColumn::from(HASHES.to_vec())
    }

    #[test]
    fn an_order_is_made_when_it_is_wanted_again_and_kept_in_a_file_without_a_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let orders = DocOrders::new(Some(Arc::new(folder.path().to_owned())));
        let keys = || Ok::<_, ()>(Some(vec![7, 7, 9]));
        let never = || -> Result<Option<Vec<u64>>, ()> { panic!("it is there") };
        let key = OrderKey::SeqNo;
        assert!(orders.get(&key, &hashes(), None, never).unwrap().is_none());
        let order = orders.get(&key, &hashes(), None, keys).unwrap().unwrap();
        assert_eq!(docs(&order), [0, 1, 2]);
        let again = orders.get(&key, &hashes(), None, never).unwrap().unwrap();
        assert!(Arc::ptr_eq(&order, &again));
        // That by hash was made on the way.
        let by_hash = orders.get(&OrderKey::IdHash, &hashes(), None, never);
        assert_eq!(docs(&by_hash.unwrap().unwrap()), [2, 0, 1]);
        let names = std::fs::read_dir(folder.path()).expect("a folder").count();
        assert_eq!(names, 0);
    }

    #[test]
    fn an_order_pays_for_ranges_once_many_have_asked_or_it_is_made() {
        let orders = DocOrders::new(None);
        for _ in 0..RANGES_BEFORE {
            assert!(!orders.pays_for_ranges(&OrderKey::SeqNo));
        }
        assert!(orders.pays_for_ranges(&OrderKey::SeqNo));
        assert!(!orders.pays_for_ranges(&OrderKey::IdHash));
        let none = || Ok::<_, ()>(None);
        for _ in 0..2 {
            orders
                .get(&OrderKey::IdHash, &hashes(), None, none)
                .unwrap();
        }
        assert!(orders.pays_for_ranges(&OrderKey::IdHash));
    }

    #[test]
    fn without_room_the_segment_is_read() {
        let orders = DocOrders::new(Some(Arc::new(PathBuf::from("/nowhere"))));
        let keys = || Ok::<_, ()>(Some(vec![0; 3]));
        for _ in 0..3 {
            assert!(
                orders
                    .get(&OrderKey::SeqNo, &hashes(), None, keys)
                    .unwrap()
                    .is_none()
            );
        }
        let orders = DocOrders::new(None);
        let none = || Ok::<_, &str>(None);
        assert!(
            orders
                .get(&OrderKey::SeqNo, &hashes(), None, none)
                .unwrap()
                .is_none()
        );
        assert!(
            orders
                .get(&OrderKey::SeqNo, &hashes(), None, none)
                .unwrap()
                .is_none()
        );
        let fail = || Err("unreadable");
        let failed = orders.get(&OrderKey::SeqNo, &hashes(), None, fail);
        assert_eq!(failed.err(), Some("unreadable"));
    }
}
