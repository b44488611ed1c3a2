//! Writing a segment's file: once, front to back, through the file seam.

use std::io::{self, Write};
use std::sync::Arc;

use gleaner_log::files::{File, write_all_at};
use tantivy::directory::{AntiCallToken, TerminatingWrite};

/// A file that is being written; tantivy puts a buffer before it.
pub(super) struct SegmentFile {
    pub(super) file: Arc<dyn File>,
    pub(super) written: u64,
}

impl Write for SegmentFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        write_all_at(&*self.file, self.written, bytes)?;
        self.written += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl TerminatingWrite for SegmentFile {
    /// The bytes stay in the page cache: the next durable commit that names the file syncs it.
    fn terminate_ref(&mut self, _: AntiCallToken) -> io::Result<()> {
        Ok(())
    }
}
