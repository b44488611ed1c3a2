//! [`ShardDirectory`] as tantivy's `Directory`.

use std::io::{self, BufWriter};
use std::path::Path;
use std::sync::Arc;

use tantivy::Directory;
use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    DirectoryLock, FileHandle, INDEX_WRITER_LOCK, Lock, WatchCallback, WatchHandle, WritePtr,
};

use super::{META, Segments, ShardDirectory, write::SegmentFile};

/// tantivy's name for the list of its files.
const MANAGED: &str = ".managed.json";

impl Directory for ShardDirectory {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        self.shared.open_handle(path)
    }

    /// Deletes a file, or puts the deletion off while a meta names it.
    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        let mut state = self.shared.state.write();
        let is_stale = state.epoch != self.epoch;
        if state.is_named(path) || is_stale {
            state.postponed.insert(path.to_owned());
            return Ok(());
        }
        state.forget(path);
        drop(state);
        self.shared
            .files
            .remove_file(&self.shared.folder.join(path))
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => DeleteError::FileDoesNotExist(path.to_owned()),
                _ => DeleteError::IoError {
                    io_error: Arc::new(error),
                    filepath: path.to_owned(),
                },
            })
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        if path == Path::new(META) {
            return Ok(self.shared.state.read().meta.is_some());
        }
        match self.shared.files.open(&self.shared.folder.join(path)) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(OpenReadError::wrap_io_error(error, path.to_owned())),
        }
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        let failed = |error| OpenWriteError::wrap_io_error(error, path.to_owned());
        let mut state = self.shared.state.write();
        if state.epoch != self.epoch {
            return Err(failed(io::Error::other("a newer writer has taken over")));
        }
        let file = self
            .shared
            .files
            .create(&self.shared.folder.join(path))
            .inspect_err(|error| self.shared.note_failed_write(error))
            .map_err(failed)?;
        state.unsynced.insert(path.to_owned(), self.epoch);
        let shared = Arc::clone(&self.shared);
        let file = SegmentFile::new(shared, path.to_owned(), file);
        Ok(BufWriter::new(Box::new(file)))
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        let state = self.shared.state.read();
        let kept = match path.to_str() {
            Some(META) => state.meta.as_ref(),
            Some(MANAGED) => state.managed.as_ref(),
            _ => None,
        };
        kept.map(|bytes| bytes.to_vec())
            .ok_or_else(|| OpenReadError::FileDoesNotExist(path.to_owned()))
    }

    /// Keeps the bytes in memory: only a durable commit writes `meta.json`.
    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        let mut state = self.shared.state.write();
        if state.epoch != self.epoch {
            return Err(io::Error::other("a newer writer has taken over"));
        }
        match path.to_str() {
            Some(META) => {
                let segments = Segments::parse(data).map_err(io::Error::other)?;
                self.shared.set_meta(&mut state, data, segments);
            }
            Some(MANAGED) => state.managed = Some(data.into()),
            _ => return Err(io::Error::other("only metas are written at once")),
        }
        Ok(())
    }

    /// Does nothing: only a durable commit syncs.
    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }

    /// Locks within the process; that no other process opens the folder is the leaf's care.
    fn acquire_lock(&self, lock: &Lock) -> Result<DirectoryLock, LockError> {
        let is_writer = lock.filepath == INDEX_WRITER_LOCK.filepath;
        let gate = if is_writer {
            &self.shared.writer_gate
        } else {
            &self.shared.meta_gate
        };
        let guard = if lock.is_blocking {
            Some(gate.enter())
        } else {
            gate.try_enter()
        };
        let guard = guard.ok_or(LockError::LockBusy)?;
        Ok(DirectoryLock::from(Box::new(guard)))
    }

    fn watch(&self, _: WatchCallback) -> tantivy::Result<WatchHandle> {
        Ok(WatchHandle::empty())
    }
}
