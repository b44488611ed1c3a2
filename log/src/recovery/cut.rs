//! What is removed from a shard's folder because its state says so: trimmed segments, and all from where it is cut.
//!
//! The state is durable before anything goes, so what a crash leaves half done is finished by the next opening, and
//! what an opening finds of it is not taken for loss: the floor is that of the cut.

use std::path::Path;

use super::{Folder, Opening, corrupt, header_error};
use crate::error::LogError;
use crate::files::File;
use crate::format::{HeaderReadFault, SegmentHeader};
use crate::ledger::Ledger;
use crate::segment::{self, Segment};
use crate::state_file::State;

impl Folder<'_> {
    /// Removes segments that were trimmed but not yet removed when the system went down; returns the others.
    pub(super) fn finish_trim(self, firsts: Vec<u64>, state: State) -> Result<Vec<u64>, LogError> {
        self.remove(firsts, |first| first < state.first)
    }

    /// Removes segments that begin behind the place where the log is being cut, if it is; returns the others.
    pub(super) fn remove_cut(self, firsts: Vec<u64>, state: State) -> Result<Vec<u64>, LogError> {
        self.remove(firsts, |first| state.is_cut && first > state.floor)
    }

    fn remove(self, firsts: Vec<u64>, is_gone: impl Fn(u64) -> bool) -> Result<Vec<u64>, LogError> {
        let (gone, held): (Vec<u64>, Vec<u64>) = firsts.into_iter().partition(|f| is_gone(*f));
        for first in gone {
            let path = segment::path(self.dir, first);
            let removed = self.files.remove_file(&path);
            removed.map_err(|error| LogError::io("remove", &path, error))?;
        }
        Ok(held)
    }

    /// Cuts the log where `state` says, durably. `firsts` are its segments, from one on whose head tells what is
    /// before it; returns the last one that is left, and the ledger behind it, which knows terms from the first one
    /// on.
    pub(crate) fn cut(self, firsts: Vec<u64>, state: State) -> Result<(Segment, Ledger), LogError> {
        let firsts = self.remove_cut(firsts, state)?;
        let mut opening = Opening::new(self);
        let state = State {
            first: firsts.first().copied().unwrap_or(state.first),
            ..state
        };
        opening.segments(&firsts, state)?;
        let synced = self.files.sync_dir(self.dir);
        synced.map_err(|error| LogError::io("sync", self.dir, error))?;
        let missing = || corrupt(self.dir, self.shard, "no segment is left to cut");
        let last = opening.segments.pop().ok_or_else(missing)?;
        let ledger = opening.ledger.ok_or_else(missing)?;
        Ok((last, ledger))
    }

    /// Reads the head of a segment; returns it, and the offset of the first batch.
    pub(super) fn header(
        &self,
        file: &dyn File,
        first: u64,
        path: &Path,
    ) -> Result<(SegmentHeader, u64), LogError> {
        let (header, start) = SegmentHeader::read(file).map_err(|fault| match fault {
            HeaderReadFault::Header(fault) => header_error(fault, path, self.shard),
            HeaderReadFault::Io(error) => LogError::io("read", path, error),
        })?;
        if header.shard != self.shard || header.first != first {
            let reason = format!(
                "header says shard `{}` from seq_no {}, the path says otherwise",
                header.shard, header.first
            );
            return Err(corrupt(path, self.shard, &reason));
        }
        Ok((header, start))
    }
}
