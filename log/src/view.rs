//! What readers see of one shard: durable segments, the tail, and whether it is damaged.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use gleaner_model::{SeqNo, ShardKey};
use parking_lot::RwLock;

use crate::agreement::{Agreement, AgreementCell};
use crate::error::LogError;
use crate::frames::ReadFault;
use crate::segment::{Entry, Segment};

mod reading;

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
    /// How often the log was cut: what a reader of files found is worth nothing if it was meanwhile.
    num_cuts: u64,
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
            num_cuts: 0,
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

    /// Shows nothing from a batch's start on any more: files are about to be cut there. Returns where segments begin,
    /// from the last one on from which what is left can be read again.
    pub(crate) fn cut(&self, start: Entry) -> Vec<u64> {
        let mut published = self.published.write();
        published.num_cuts += 1;
        published.next = start.seq_no;
        let left = published
            .segments
            .partition_point(|s| s.first <= start.seq_no);
        let has_base = |segment: &Segment| segment.has_base;
        let from = published.segments[..left].iter().rposition(has_base);
        let firsts = published.segments[from.unwrap_or(0)..].iter();
        let firsts = firsts.map(|segment| segment.first).collect();
        published.segments.truncate(left);
        if let Some(last) = published.segments.last_mut() {
            last.end = start.offset;
        }
        firsts
    }

    /// Puts the segment in the place of the last one, of which it is what is left.
    pub(crate) fn replace_last(&self, segment: Segment) {
        let mut published = self.published.write();
        published.segments.pop();
        published.segments.push(segment);
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
