//! Writing a segment's file: once, front to back, through the file seam, summed on the way.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use gleaner_log::files::{File, write_all_at};
use tantivy::directory::{AntiCallToken, TerminatingWrite};

use super::Shared;
use super::sealed::FileSum;

/// A file that is being written; tantivy puts a buffer before it.
pub(super) struct SegmentFile {
    shared: Arc<Shared>,
    path: PathBuf,
    file: Arc<dyn File>,
    /// Of what was written so far.
    sum: FileSum,
}

impl SegmentFile {
    /// Goes on with an empty file.
    pub(super) fn new(shared: Arc<Shared>, path: PathBuf, file: Arc<dyn File>) -> Self {
        let sum = FileSum {
            num_bytes: 0,
            crc32c: 0,
        };
        Self {
            shared,
            path,
            file,
            sum,
        }
    }
}

impl Write for SegmentFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = write_all_at(&*self.file, self.sum.num_bytes, bytes);
        written.inspect_err(|error| self.shared.note_failed_write(error))?;
        self.sum.num_bytes += bytes.len() as u64;
        self.sum.crc32c = crc32c::crc32c_append(self.sum.crc32c, bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl TerminatingWrite for SegmentFile {
    /// The bytes stay in the page cache: the next durable commit that names the file syncs it.
    fn terminate_ref(&mut self, _: AntiCallToken) -> io::Result<()> {
        let mut state = self.shared.state.write();
        // One that was deleted meanwhile is not to come back.
        if state.unsynced.contains_key(&self.path) {
            state.sums.insert(self.path.clone(), self.sum);
        }
        Ok(())
    }
}
