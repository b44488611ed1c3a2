//! One segment file as readers see it, and the sparse index from seq_no to byte offset.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::files::File;

/// An index entry is made once this many bytes lie since the last one: the most that is walked
/// over to find a record (besides one record). 24 bytes of memory per 4 KiB of log are 0.6 %, twice that where
/// batches are larger: they have an entry for a batch header as often as for a record.
const INDEX_BYTES: u64 = 4096;

const SUFFIX: &str = ".log";

/// A position to start reading from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The next record is this one.
    pub(crate) seq_no: u64,
    /// Byte offset of its frame, or of its batch's header.
    pub(crate) offset: u64,
    /// Records before the next batch header; 0 when a batch header stands at `offset`.
    pub(crate) left: u32,
}

/// Where reading can start, sorted by seq_no; the first entry is the first batch of its segment.
#[derive(Debug, Default)]
pub(crate) struct SparseIndex {
    entries: Vec<Entry>,
    /// Offset of the last entry where a batch header stands.
    last_batch: u64,
}

impl SparseIndex {
    /// Adds an entry unless the one before is near; of batch headers, unless the last one of a header is.
    pub(crate) fn note(&mut self, entry: Entry) {
        let is_batch = entry.left == 0;
        let is_due = match self.entries.last() {
            Some(_) if is_batch => entry.offset >= self.last_batch + INDEX_BYTES,
            Some(last) => entry.offset >= last.offset + INDEX_BYTES,
            None => true,
        };
        if is_due {
            if is_batch {
                self.last_batch = entry.offset;
            }
            self.entries.push(entry);
        }
    }

    /// Returns the last entry at or before `seq_no`.
    fn at(&self, seq_no: u64) -> Option<Entry> {
        let after = self.entries.partition_point(|entry| entry.seq_no <= seq_no);
        after.checked_sub(1).map(|index| self.entries[index])
    }

    /// Returns the last entry at or before `seq_no` where a batch header stands.
    fn batch_at(&self, seq_no: u64) -> Option<Entry> {
        let after = self.entries.partition_point(|entry| entry.seq_no <= seq_no);
        let before = self.entries[..after].iter().rev();
        before.copied().find(|entry| entry.left == 0)
    }
}

/// A segment and how much of it is durable.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) path: Arc<Path>,
    pub(crate) file: Arc<dyn File>,
    pub(crate) first: u64,
    /// Offset of the first batch.
    pub(crate) start: u64,
    /// Its head tells what is known of the records before it.
    pub(crate) has_base: bool,
    pub(crate) salt: u32,
    /// Readers must not look beyond this offset.
    pub(crate) end: u64,
    pub(crate) index: SparseIndex,
}

impl Segment {
    /// Returns where to start reading to find `seq_no`.
    pub(crate) fn seek(&self, seq_no: u64) -> Entry {
        self.index.at(seq_no).unwrap_or_else(|| self.start())
    }

    /// Returns the batch header from which `seq_no` is reached.
    pub(crate) fn seek_batch(&self, seq_no: u64) -> Entry {
        self.index.batch_at(seq_no).unwrap_or_else(|| self.start())
    }

    fn start(&self) -> Entry {
        Entry {
            seq_no: self.first,
            offset: self.start,
            left: 0,
        }
    }
}

/// Returns the file name of the segment that starts at `first`.
pub(crate) fn file_name(first: u64) -> String {
    format!("{first:020}{SUFFIX}")
}

/// Returns the first seq_no that a file name tells; `None` when it is no segment's name.
pub(crate) fn parse_file_name(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    let is_number = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { digits.parse().ok() } else { None }
}

/// Returns the path of the segment that starts at `first`.
pub(crate) fn path(dir: &Path, first: u64) -> PathBuf {
    dir.join(file_name(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_file_names_are_segments() {
        assert_eq!(parse_file_name(&file_name(42)), Some(42));
        for name in ["state", "42.log", "+0000000000000000042.log", "a.log"] {
            assert_eq!(parse_file_name(name), None, "{name}");
        }
    }

    #[test]
    fn index_finds_the_last_entry_before() {
        let mut index = SparseIndex::default();
        for seq_no in 0..100 {
            index.note(Entry {
                seq_no,
                offset: 52 + 1000 * seq_no,
                left: u32::from(seq_no % 10 != 0),
            });
        }
        assert_eq!(index.at(4).unwrap().seq_no, 0);
        assert_eq!(index.at(7).unwrap().seq_no, 5);
        assert_eq!(index.batch_at(7).unwrap().seq_no, 0);
        assert_eq!(index.batch_at(12).unwrap().seq_no, 10);
    }

    #[test]
    fn every_batch_of_some_size_is_found_whatever_its_records_are() {
        let mut index = SparseIndex::default();
        for seq_no in 0..100 {
            // Six records in 6,000 bytes: a record is due between any two headers.
            index.note(Entry {
                seq_no,
                offset: 52 + 1000 * seq_no,
                left: (6 - (seq_no % 6) as u32) % 6,
            });
        }
        for seq_no in 0..100 {
            let found = index.batch_at(seq_no).unwrap().seq_no;
            assert_eq!(found, seq_no - seq_no % 6);
        }
    }
}
