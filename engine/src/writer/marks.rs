//! Which operation each writer of a node works on, in a file that outlives the process.
//!
//! A document whose analysis kills the process would kill each process that reads the log. So a writer notes its operation
//! where the next process finds it: two stores for a document, no call. Its two steps are noted apart, as two threads take
//! them: the document is built by who applies it, and indexed by tantivy's thread.
//!
//! Does: note, and tell what was left. Does not: decide what follows. Called by [`super::Writer`]; the leaf reads what
//! was left. Read first: [`ApplyMarks`].

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gleaner_machine::mapped::Cells;
use gleaner_model::{IndexUuid, SeqNo, ShardKey, ShardNumber};
use parking_lot::Mutex;

/// Writers whose operations are noted at once: twice as many as have a seat, as one that closes keeps its place for a moment.
const NUM_PLACES: usize = 128;

/// Numbers ahead of the places: which process has the file.
const HEAD: usize = 16;
/// Numbers of a place. The steps are in different lines of the processor's cache, as different threads write them.
const PLACE: usize = 16;
/// The shard: number and one more, 0 where the place is free; then the index.
const SHARD: usize = 0;
const INDEX: [usize; 2] = [1, 2];
/// The operation and one more that is built, 0 for none.
const BUILT: usize = 3;
/// The same of the one that is indexed.
const INDEXED: usize = 8;

/// An operation that a writer worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MarkedOperation {
    /// The shard.
    pub shard: ShardKey,
    /// The position in its log.
    pub seq_no: SeqNo,
}

/// What a process left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftMarks {
    /// Which one it was: the number that it began with, 0 where there was none.
    pub process: u64,
    /// What its writers worked on when it ended.
    pub operations: BTreeSet<MarkedOperation>,
}

/// The marks of a node's writers. Share it by `Arc`.
pub struct ApplyMarks {
    cells: Cells,
    free: Mutex<Vec<usize>>,
}

impl ApplyMarks {
    /// Returns what was left by the last process that had marks at `path`.
    ///
    /// # Errors
    /// That the file cannot be read.
    pub fn left(path: &Path) -> io::Result<LeftMarks> {
        let cells = Cells::read(path)?;
        let places = cells.get(HEAD..).unwrap_or_default();
        Ok(LeftMarks {
            process: cells.first().copied().unwrap_or_default(),
            operations: places.chunks_exact(PLACE).flat_map(marks_of).collect(),
        })
    }

    /// Begins anew at `path`, as a process of that number, which no other has; what was left there is forgotten.
    ///
    /// # Errors
    /// What the system says.
    pub fn begin(path: &Path, process: u64) -> io::Result<Arc<Self>> {
        let cells = Cells::create(path, HEAD + NUM_PLACES * PLACE)?;
        cells.all()[0].store(process, Ordering::Relaxed);
        Ok(Arc::new(Self {
            cells,
            free: Mutex::new((0..NUM_PLACES).collect()),
        }))
    }

    /// Takes a place for a writer of `shard`; `None` when all are taken: then nothing is noted.
    fn take(self: &Arc<Self>, shard: ShardKey) -> Option<WriterMark> {
        let place = self.free.lock().pop()?;
        let mark = WriterMark {
            marks: Arc::clone(self),
            place,
        };
        let [high, low] = words_of(shard.index);
        mark.set(INDEX[0], high);
        mark.set(INDEX[1], low);
        mark.set(SHARD, u64::from(shard.shard.0) + 1);
        Some(mark)
    }
}

impl fmt::Debug for ApplyMarks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApplyMarks").finish_non_exhaustive()
    }
}

/// Where the writer of one shard notes its operations.
#[derive(Debug, Clone)]
pub struct ShardMarks {
    /// Those of the node.
    pub marks: Arc<ApplyMarks>,
    /// The shard.
    pub shard: ShardKey,
}

impl ShardMarks {
    pub(super) fn take(&self) -> Option<Arc<WriterMark>> {
        self.marks.take(self.shard).map(Arc::new)
    }
}

/// The place of a writer; free again when it is dropped.
#[derive(Debug)]
pub(super) struct WriterMark {
    marks: Arc<ApplyMarks>,
    place: usize,
}

impl WriterMark {
    /// Notes that a document is built; it is until what is returned is dropped.
    pub(super) fn builds(&self, seq_no: SeqNo) -> Building<'_> {
        let cell = self.cell(BUILT);
        cell.store(seq_no.0 + 1, Ordering::Relaxed);
        Building(cell)
    }

    /// Notes that a document is indexed.
    pub(super) fn indexes(&self, seq_no: SeqNo) {
        self.set(INDEXED, seq_no.0 + 1);
    }

    /// Notes that it was.
    pub(super) fn has_indexed(&self) {
        self.set(INDEXED, 0);
    }

    fn cell(&self, at: usize) -> &AtomicU64 {
        &self.marks.cells.all()[HEAD + self.place * PLACE + at]
    }

    fn set(&self, at: usize, number: u64) {
        self.cell(at).store(number, Ordering::Relaxed);
    }
}

impl Drop for WriterMark {
    fn drop(&mut self) {
        for at in [SHARD, BUILT, INDEXED] {
            self.set(at, 0);
        }
        self.marks.free.lock().push(self.place);
    }
}

/// A document is being built.
pub(super) struct Building<'a>(&'a AtomicU64);

impl Drop for Building<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

fn words_of(index: IndexUuid) -> [u64; 2] {
    let number = u128::from_be_bytes(index.0);
    [(number >> 64) as u64, number as u64]
}

fn marks_of(place: &[u64]) -> impl Iterator<Item = MarkedOperation> {
    let shard = place[SHARD].checked_sub(1);
    let shard = shard.and_then(|shard| u32::try_from(shard).ok());
    let index = (u128::from(place[INDEX[0]]) << 64) | u128::from(place[INDEX[1]]);
    let shard = shard.map(|shard| ShardKey {
        index: IndexUuid(index.to_be_bytes()),
        shard: ShardNumber(shard),
    });
    let operations = [place[BUILT], place[INDEXED]];
    let noted = operations
        .into_iter()
        .filter_map(|operation| operation.checked_sub(1));
    noted.filter_map(move |operation| {
        Some(MarkedOperation {
            shard: shard?,
            seq_no: SeqNo(operation),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8) -> ShardKey {
        ShardKey {
            index: IndexUuid([n; 16]),
            shard: ShardNumber(u32::from(n)),
        }
    }

    #[test]
    fn the_next_process_finds_what_was_being_worked_on_and_nothing_that_has_ended() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("marks");
        assert_eq!(
            ApplyMarks::left(&path).expect("reads"),
            LeftMarks::default()
        );
        let marks = ApplyMarks::begin(&path, 9).expect("begins");
        let [one, other] = [1, 2].map(|n| marks.take(key(n)).expect("there is room"));
        drop(one.builds(SeqNo(0)));
        one.indexes(SeqNo(0));
        let building = one.builds(SeqNo(1));
        other.indexes(SeqNo(7));
        other.has_indexed();
        let left = ApplyMarks::left(&path).expect("reads");
        let of = |seq_no| MarkedOperation {
            shard: key(1),
            seq_no: SeqNo(seq_no),
        };
        assert_eq!(left.process, 9);
        assert_eq!(left.operations, BTreeSet::from([of(0), of(1)]));
        drop(building);
        drop(one);
        let left = ApplyMarks::left(&path).expect("reads");
        assert!(left.operations.is_empty());
        let all: Vec<_> = (0..2 * NUM_PLACES)
            .map_while(|_| marks.take(key(3)))
            .collect();
        assert_eq!(all.len(), NUM_PLACES - 1, "the other has one");
    }
}
