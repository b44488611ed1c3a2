//! How one segment follows another: the next begins when the last is full, and then that one is whole.

use std::io;

use gleaner_model::SeqNo;

use super::{Active, DurableBytes, ShardWriter, refused};
use crate::error::LogError;
use crate::files::write_all_at;
use crate::format::SegmentHeader;
use crate::segment::{self, Segment, SparseIndex};

impl ShardWriter {
    /// Returns where the staged bytes will begin, after opening a new segment if one is due.
    ///
    /// Only at the start of a round: then all bytes of the segment before are synced, so a later
    /// segment always proves that the earlier one was whole.
    pub(super) fn prepare(&mut self) -> Result<u64, LogError> {
        let is_full =
            |active: &Active| active.len >= self.options.segment_bytes && active.len > active.start;
        if self.staged.bytes.is_empty() && self.active.as_ref().is_none_or(is_full) {
            self.leave_segment()?;
            let active = self.create_segment();
            self.active = Some(active.map_err(|(action, error)| {
                let path = segment::path(&self.dir, self.ledger.next());
                refused(action, &path, self.shard, error)
            })?);
        }
        Ok(self.active.as_ref().map_or(0, |active| active.len))
    }

    /// Makes sure that all of the segment before a new one is in its place.
    fn leave_segment(&mut self) -> Result<(), LogError> {
        let synced = self.unsynced().map(|file| file.sync());
        if synced.is_none_or(|synced| self.settle(synced)) {
            return Ok(());
        }
        Err(LogError::Poisoned { shard: self.shard })
    }

    /// Creates the next segment; its name appears only when its header is on disk.
    fn create_segment(&mut self) -> Result<Active, (&'static str, io::Error)> {
        let first = self.ledger.next();
        let header = SegmentHeader {
            shard: self.shard,
            first,
            has_base: true,
            base: self.ledger.base_at(SeqNo(first), self.ledger.chain()),
        };
        let encoded = header.encode();
        let path = segment::path(&self.dir, first);
        let new = path.with_extension("new");
        let files = &self.options.files;
        let file = files.create(&new).map_err(|error| ("create", error))?;
        let written = write_all_at(file.as_ref(), 0, &encoded);
        written
            .and_then(|()| file.sync())
            .map_err(|error| ("create", error))?;
        let named = files
            .rename(&new, &path)
            .and_then(|()| files.sync_dir(&self.dir));
        if let Err(error) = named {
            // Nobody knows which names are on disk now, unless the disk was not asked. A segment
            // without records may be there or not; the next attempt puts another in its place.
            self.is_stopped = !is_out_of_descriptors(&error);
            return Err(("name", error));
        }
        let active = Active {
            file: file.clone(),
            path: path.clone(),
            first,
            start: encoded.len() as u64,
            salt: header.salt(),
            len: encoded.len() as u64,
            held: DurableBytes::Synced,
        };
        self.view.add_segment(Segment {
            path: path.into(),
            file,
            first,
            start: active.start,
            has_base: true,
            salt: active.salt,
            end: active.len,
            index: SparseIndex::default(),
        });
        Ok(active)
    }
}

/// Returns whether a file or folder was not even opened, for want of a descriptor: `EMFILE`, `ENFILE`.
fn is_out_of_descriptors(error: &io::Error) -> bool {
    cfg!(unix) && matches!(error.raw_os_error(), Some(23 | 24))
}
