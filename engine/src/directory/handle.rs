//! Reading a segment's file.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use gleaner_log::files::{File, read_exact_at};
use tantivy::Directory;
use tantivy::directory::error::OpenReadError;
use tantivy::directory::{FileHandle, OwnedBytes};

use super::{Shared, meta, norms};

impl Shared {
    /// Opens a file of a segment; norms of columns that are younger than the segment are added.
    pub(super) fn open_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        let stored = self.open_stored(path)?;
        if path
            .extension()
            .is_none_or(|extension| extension != meta::NORMS)
        {
            return Ok(stored);
        }
        let (columns, max_doc) = {
            let state = self.state.read();
            (
                Arc::clone(&state.norm_columns),
                state.max_docs.get(path).copied(),
            )
        };
        // A segment that no meta names yet was written under the present schema.
        let Some(max_doc) = max_doc else {
            return Ok(stored);
        };
        norms::complete(stored, &columns, max_doc)
            .map_err(|error| OpenReadError::wrap_io_error(error, path.to_owned()))
    }

    fn open_stored(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        if let Some(mapped) = &self.mapped {
            return mapped.get_file_handle(path);
        }
        let opened = self.files.open(&self.folder.join(path));
        let bytes =
            opened
                .and_then(|file| read_all(&*file))
                .map_err(|error| match error.kind() {
                    io::ErrorKind::NotFound => OpenReadError::FileDoesNotExist(path.to_owned()),
                    _ => OpenReadError::wrap_io_error(error, path.to_owned()),
                })?;
        Ok(Arc::new(OwnedBytes::new(bytes)))
    }
}

/// Returns all bytes of a file.
pub(super) fn read_all(file: &dyn File) -> io::Result<Vec<u8>> {
    read_range(file, 0..file.len()?)
}

/// Returns some bytes of a file, which must be there.
pub(super) fn read_range(file: &dyn File, range: Range<u64>) -> io::Result<Vec<u8>> {
    let len = range.end.saturating_sub(range.start);
    let len = usize::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let mut bytes = vec![0; len];
    read_exact_at(file, range.start, &mut bytes)?;
    Ok(bytes)
}
