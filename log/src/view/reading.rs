//! Reading of segments while the commit thread writes to the last one, trims, and cuts: no lock is held meanwhile.

use std::path::Path;
use std::sync::Arc;

use gleaner_model::SeqNo;

use super::{ShardView, explain};
use crate::batch::BatchPage;
use crate::error::LogError;
use crate::frames::{ReadFault, Walker, Window, record};
use crate::ledger::chain_after;
use crate::segment::{Entry, Segment};
use crate::shard_log::{ReadBatch, Record};

/// Read at once when a page is read.
const PAGE_PIECE_BYTES: usize = 64 * 1024;
/// Read at once when one record is looked up: the index's stride and a usual record.
const LOOKUP_PIECE_BYTES: usize = 8 * 1024;

/// Where a read starts, taken out of the lock.
struct Place {
    path: Arc<Path>,
    window: Window,
    salt: u32,
    from: Entry,
}

impl Place {
    fn new(segment: &Segment, from: Entry, piece_bytes: usize) -> Self {
        Self {
            path: segment.path.clone(),
            window: Window::new(segment.file.clone(), segment.end, piece_bytes),
            salt: segment.salt,
            from,
        }
    }

    /// Reads from there on.
    fn read<T>(
        self,
        read: impl FnOnce(&mut Walker) -> Result<T, ReadFault>,
    ) -> Result<T, PlacedFault> {
        let mut walker = Walker::new(self.window, self.salt, self.from);
        let path = self.path;
        read(&mut walker).map_err(|fault| PlacedFault { fault, path })
    }
}

/// A fault, and the file that was read.
struct PlacedFault {
    fault: ReadFault,
    path: Arc<Path>,
}

impl ShardView {
    /// Returns a page of records.
    pub(crate) fn read(&self, from: SeqNo, max_bytes: usize) -> Result<ReadBatch, LogError> {
        self.steadily(|| {
            let first_available = self.first();
            let mut page = Page {
                records: Vec::new(),
                bytes: 0,
                max_bytes,
                next: from.max(first_available),
            };
            if from >= first_available {
                while let Some(place) = self.place(page.next, PAGE_PIECE_BYTES) {
                    if place.read(|walker| page.fill(walker))? {
                        break;
                    }
                }
            }
            Ok(ReadBatch {
                records: page.records,
                first_available,
                next: page.next,
            })
        })
    }

    /// Returns a page of whole batches.
    pub(crate) fn read_batches(
        &self,
        from: SeqNo,
        max_bytes: usize,
    ) -> Result<BatchPage, LogError> {
        self.steadily(|| {
            let first_available = self.first();
            let mut left = max_bytes;
            let mut page = BatchPage {
                batches: Vec::new(),
                first_available,
                next: from.max(first_available),
            };
            if from >= first_available {
                while let Some(place) = self.batch_place(page.next) {
                    if place.read(|walker| fill_batches(&mut page, walker, &mut left))? {
                        break;
                    }
                }
            }
            Ok(page)
        })
    }

    /// Returns one record.
    pub(crate) fn read_one(&self, seq_no: SeqNo) -> Result<Option<Record>, LogError> {
        self.steadily(|| match self.place(seq_no, LOOKUP_PIECE_BYTES) {
            Some(place) => place.read(|walker| walker.find(seq_no)),
            None => Ok(None),
        })
    }

    /// Returns the chain hash after the record at `at`.
    pub(crate) fn chain(&self, at: SeqNo) -> Result<Option<u64>, LogError> {
        self.steadily(|| match self.batch_place(at) {
            Some(place) => place.read(|walker| chain_at(walker, at)),
            None => Ok(None),
        })
    }

    /// Returns the chain hash before the record at `at`; `None` when it is not held.
    pub(crate) fn chain_before(&self, at: SeqNo) -> Result<Option<u64>, LogError> {
        self.steadily(|| match self.batch_place(at) {
            Some(place) => place.read(|walker| chain_before(walker, at)),
            None => Ok(None),
        })
    }

    /// Returns where the batch begins that holds a position; `None` when it is not held.
    pub(crate) fn batch_start(&self, seq_no: SeqNo) -> Result<Option<Entry>, LogError> {
        self.steadily(|| match self.batch_place(seq_no) {
            Some(place) => place.read(|walker| batch_start(walker, seq_no)),
            None => Ok(None),
        })
    }

    /// Reads until the log was not cut meanwhile: what a cut changes under a reader is no damage.
    fn steadily<T>(&self, read: impl Fn() -> Result<T, PlacedFault>) -> Result<T, LogError> {
        loop {
            self.check()?;
            let num_cuts = self.published.read().num_cuts;
            let found = read();
            if self.published.read().num_cuts == num_cuts {
                return found.map_err(|PlacedFault { fault, path }| self.explain(fault, &path));
            }
        }
    }

    fn place(&self, seq_no: SeqNo, piece_bytes: usize) -> Option<Place> {
        let published = self.published.read();
        let segment = published.segment_of(seq_no)?;
        Some(Place::new(segment, segment.seek(seq_no.0), piece_bytes))
    }

    /// Returns where to start reading to find the batch that holds a position.
    fn batch_place(&self, seq_no: SeqNo) -> Option<Place> {
        let published = self.published.read();
        let segment = published.segment_of(seq_no)?;
        let from = segment.seek_batch(seq_no.0);
        Some(Place::new(segment, from, PAGE_PIECE_BYTES))
    }

    /// Turns a fault into an error; damage stops the shard for good.
    fn explain(&self, fault: ReadFault, path: &Path) -> LogError {
        let error = explain(fault, path, self.shard);
        if matches!(error, LogError::Corrupt { .. }) {
            tracing::error!(shard = %self.shard, %error, "shard log is damaged");
            self.published.write().failed = Some(error.clone());
        }
        error
    }
}

struct Page {
    records: Vec<Record>,
    bytes: usize,
    max_bytes: usize,
    next: SeqNo,
}

impl Page {
    /// Takes records from a segment; `true` when the page is full.
    fn fill(&mut self, walker: &mut Walker) -> Result<bool, ReadFault> {
        loop {
            let offset = walker.offset();
            let Some((header, payload)) = walker.next_record()? else {
                return Ok(false);
            };
            if header.seq_no < self.next {
                continue;
            }
            if header.seq_no != self.next {
                return Err(ReadFault::Damaged {
                    offset,
                    reason: "records are out of order",
                });
            }
            if !self.records.is_empty() && self.bytes + payload.len() > self.max_bytes {
                return Ok(true);
            }
            self.bytes += payload.len();
            self.records.push(record(header, payload));
            self.next = self.next.next();
        }
    }
}

/// Takes batches from a segment; `true` when the page is full.
fn fill_batches(
    page: &mut BatchPage,
    walker: &mut Walker,
    max_bytes: &mut usize,
) -> Result<bool, ReadFault> {
    loop {
        let offset = walker.offset();
        let Some(header) = walker.enter_batch()? else {
            return Ok(false);
        };
        if header.next() <= page.next.0 {
            walker.skip_batch(&header);
            continue;
        }
        let follows =
            header.first == page.next.0 || page.batches.is_empty() && header.first < page.next.0;
        if !follows {
            return Err(ReadFault::Damaged {
                offset,
                reason: "batches are out of order",
            });
        }
        let batch = walker.read_batch(&header)?;
        if !page.take(batch, max_bytes) {
            return Ok(true);
        }
    }
}

/// Goes to the batch that holds a position; returns where it begins.
fn batch_start(walker: &mut Walker, seq_no: SeqNo) -> Result<Option<Entry>, ReadFault> {
    loop {
        let offset = walker.offset();
        let Some(header) = walker.enter_batch()? else {
            return Err(ReadFault::Damaged {
                offset,
                reason: "segment ends before a record that was written to it",
            });
        };
        if header.next() > seq_no.0 {
            return Ok(Some(Entry {
                seq_no: header.first,
                offset,
                left: 0,
            }));
        }
        walker.skip_batch(&header);
    }
}

/// Returns the chain hash after the record at `at`.
fn chain_at(walker: &mut Walker, at: SeqNo) -> Result<Option<u64>, ReadFault> {
    let Some(before) = chain_before(walker, at)? else {
        return Ok(None);
    };
    let record = walker.next_record()?;
    Ok(record.map(|(header, payload)| chain_after(before, header.seq_no, header.term, payload)))
}

/// Goes to the record at `at`; returns the chain hash before it.
fn chain_before(walker: &mut Walker, at: SeqNo) -> Result<Option<u64>, ReadFault> {
    loop {
        let Some(header) = walker.enter_batch()? else {
            return Ok(None);
        };
        if header.next() <= at.0 {
            walker.skip_batch(&header);
            continue;
        }
        let mut chain = header.chain;
        for _ in header.first..at.0 {
            let Some((header, payload)) = walker.next_record()? else {
                return Ok(None);
            };
            chain = chain_after(chain, header.seq_no, header.term, payload);
        }
        return Ok(Some(chain));
    }
}
