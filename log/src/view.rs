//! What readers see of one shard: durable segments, the tail, and whether it is damaged.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use gleaner_model::{SeqNo, ShardKey};
use parking_lot::RwLock;

use crate::agreement::{Agreement, AgreementCell};
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

/// The views of all shards of a log, shared by readers and commit threads.
pub(crate) type Views = Arc<RwLock<HashMap<ShardKey, Arc<ShardView>>>>;

/// One shard as readers see it. The commit thread publishes, readers never wait for the disk here.
#[derive(Debug)]
pub(crate) struct ShardView {
    shard: ShardKey,
    /// Noted by callers, written by the commit thread.
    agreement: AgreementCell,
    published: RwLock<Published>,
}

#[derive(Debug)]
struct Published {
    /// Set once, when damage was found; every call gets it.
    failed: Option<LogError>,
    next: u64,
    segments: Vec<Segment>,
}

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

    fn walker(self) -> (Arc<Path>, Walker) {
        let walker = Walker::new(self.window, self.salt, self.from);
        (self.path, walker)
    }
}

impl ShardView {
    /// Returns the view of a healthy shard; `next` is the position after the last record.
    pub(crate) fn new(
        shard: ShardKey,
        segments: Vec<Segment>,
        next: u64,
        agreement: Agreement,
    ) -> Self {
        let published = Published {
            failed: None,
            next,
            segments,
        };
        Self {
            shard,
            agreement: AgreementCell::new(agreement),
            published: RwLock::new(published),
        }
    }

    /// Returns the view of a shard that could not be opened.
    pub(crate) fn failed(shard: ShardKey, error: LogError) -> Self {
        let view = Self::new(shard, Vec::new(), 0, Agreement::default());
        view.published.write().failed = Some(error);
        view
    }

    /// Refuses when damage was found.
    pub(crate) fn check(&self) -> Result<(), LogError> {
        match &self.published.read().failed {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    /// Returns the last durable seq_no.
    pub(crate) fn tail(&self) -> Result<Option<SeqNo>, LogError> {
        self.check()?;
        Ok(self.published.read().next.checked_sub(1).map(SeqNo))
    }

    /// Notes what is new of the agreement with other copies.
    pub(crate) fn note_agreement(&self, agreement: Agreement) {
        self.agreement.note(agreement);
    }

    /// Returns the agreement with other copies, as far as records are durable here.
    pub(crate) fn agreement(&self) -> Agreement {
        let next = self.published.read().next;
        self.agreement.get(SeqNo(next))
    }

    /// Returns the oldest position that is held.
    pub(crate) fn first(&self) -> SeqNo {
        let published = self.published.read();
        let first = published.segments.first();
        SeqNo(first.map_or(published.next, |segment| segment.first))
    }

    /// Returns a page of records.
    pub(crate) fn read(&self, from: SeqNo, max_bytes: usize) -> Result<ReadBatch, LogError> {
        self.check()?;
        let first_available = self.first();
        let mut page = Page {
            records: Vec::new(),
            bytes: 0,
            max_bytes,
            next: from.max(first_available),
        };
        if from >= first_available {
            while let Some(place) = self.place(page.next, PAGE_PIECE_BYTES) {
                let (path, mut walker) = place.walker();
                let filled = page.fill(&mut walker);
                if filled.map_err(|fault| self.explain(fault, &path))? {
                    break;
                }
            }
        }
        Ok(ReadBatch {
            records: page.records,
            first_available,
            next: page.next,
        })
    }

    /// Returns a page of whole batches.
    pub(crate) fn read_batches(
        &self,
        from: SeqNo,
        mut max_bytes: usize,
    ) -> Result<BatchPage, LogError> {
        self.check()?;
        let first_available = self.first();
        let mut page = BatchPage {
            batches: Vec::new(),
            first_available,
            next: from.max(first_available),
        };
        if from >= first_available {
            while let Some(place) = self.batch_place(page.next) {
                let (path, mut walker) = place.walker();
                let filled = fill_batches(&mut page, &mut walker, &mut max_bytes);
                if filled.map_err(|fault| self.explain(fault, &path))? {
                    break;
                }
            }
        }
        Ok(page)
    }

    /// Returns one record.
    pub(crate) fn read_one(&self, seq_no: SeqNo) -> Result<Option<Record>, LogError> {
        self.check()?;
        let Some(place) = self.place(seq_no, LOOKUP_PIECE_BYTES) else {
            return Ok(None);
        };
        let (path, mut walker) = place.walker();
        let found = walker.find(seq_no);
        found.map_err(|fault| self.explain(fault, &path))
    }

    /// Returns the chain hash after the record at `at`.
    pub(crate) fn chain(&self, at: SeqNo) -> Result<Option<u64>, LogError> {
        self.check()?;
        let Some(place) = self.batch_place(at) else {
            return Ok(None);
        };
        let (path, mut walker) = place.walker();
        let chain = chain_at(&mut walker, at);
        chain.map_err(|fault| self.explain(fault, &path))
    }

    /// Returns the chain hash before the record at `at`; `None` when it is not held.
    pub(crate) fn chain_before(&self, at: SeqNo) -> Result<Option<u64>, LogError> {
        self.check()?;
        let Some(place) = self.batch_place(at) else {
            return Ok(None);
        };
        let (path, mut walker) = place.walker();
        let chain = chain_before(&mut walker, at);
        chain.map_err(|fault| self.explain(fault, &path))
    }

    /// Makes a written batch of records visible: they are durable.
    pub(crate) fn publish(&self, next: u64, end: u64, entries: &[Entry]) {
        let mut published = self.published.write();
        published.next = next;
        if let Some(segment) = published.segments.last_mut() {
            segment.end = end;
            for entry in entries {
                segment.index.note(*entry);
            }
        }
    }

    /// Adds the segment that is written to from now on.
    pub(crate) fn add_segment(&self, segment: Segment) {
        self.published.write().segments.push(segment);
    }

    /// Returns where trimming below a position would make the log start: at a segment's start.
    pub(crate) fn trim_point(&self, below: SeqNo) -> SeqNo {
        let published = self.published.read();
        let starts = || published.segments.iter().map(|segment| segment.first);
        let reached = starts().take_while(|first| *first <= below.0).last();
        SeqNo(
            reached
                .or_else(|| starts().next())
                .unwrap_or(published.next),
        )
    }

    /// Takes the segments below `first` out; returns their paths.
    pub(crate) fn drop_segments(&self, first: SeqNo) -> Vec<Arc<Path>> {
        let mut published = self.published.write();
        let keep = published.segments.partition_point(|s| s.first < first.0);
        published.segments.drain(..keep).map(|s| s.path).collect()
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

impl Published {
    fn segment_of(&self, seq_no: SeqNo) -> Option<&Segment> {
        if seq_no.0 >= self.next {
            return None;
        }
        let after = self.segments.partition_point(|s| s.first <= seq_no.0);
        after.checked_sub(1).map(|index| &self.segments[index])
    }
}

/// Turns a fault of reading `path` into the error to answer.
pub(crate) fn explain(fault: ReadFault, path: &Path, shard: ShardKey) -> LogError {
    match fault {
        ReadFault::Damaged { offset, reason } => LogError::Corrupt {
            shard,
            segment: path.to_owned(),
            offset,
            reason: reason.to_owned(),
        },
        ReadFault::Io(error) => LogError::io("read", path, error),
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
