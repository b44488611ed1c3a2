//! Reading a segment's file.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gleaner_log::files::{File, read_exact_at};
use gleaner_machine::mapped::{MappedBytes, MappedOwner, WeakBytes};
use parking_lot::Mutex;
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
            let mapped = mapped.open(&self.folder.join(path), &self.owner);
            let mapped = mapped.map_err(|error| open_error(error, path))?;
            return Ok(Arc::new(OwnedBytes::new(mapped)));
        }
        let opened = self.files.open(&self.folder.join(path));
        let bytes = opened.and_then(|file| read_all(&*file));
        let bytes = bytes.map_err(|error| open_error(error, path))?;
        Ok(Arc::new(OwnedBytes::new(bytes)))
    }
}

/// The files that are mapped: one that is opened again while somebody holds it is not mapped twice.
#[derive(Debug, Default)]
pub(super) struct MappedFiles(Mutex<HashMap<PathBuf, WeakBytes>>);

/// Files that are known at least before those that nobody holds are forgotten.
const MANY: usize = 64;

impl MappedFiles {
    fn open(&self, path: &Path, owner: &Arc<MappedOwner>) -> io::Result<MappedBytes> {
        let mut known = self.0.lock();
        if let Some(mapped) = known.get(path).and_then(WeakBytes::upgrade) {
            return Ok(mapped);
        }
        let mapped = MappedBytes::of(&fs::File::open(path)?, owner)?;
        if known.len() >= MANY && known.len() == known.capacity() {
            known.retain(|_, mapped| mapped.is_held());
        }
        known.insert(path.to_owned(), mapped.downgrade());
        Ok(mapped)
    }
}

fn open_error(error: io::Error, path: &Path) -> OpenReadError {
    match error.kind() {
        io::ErrorKind::NotFound => OpenReadError::FileDoesNotExist(path.to_owned()),
        _ => OpenReadError::wrap_io_error(error, path.to_owned()),
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
