//! The steps of a durable commit.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use gleaner_log::files::write_all_at;

use super::sealed::{self, FileSums};
use super::{CommitMeta, META, META_NEXT, Segments, Shared};
use crate::EngineError;

/// A meta on its way to the disk.
pub(super) struct PendingMeta {
    /// What is to be on disk.
    sealed: Arc<[u8]>,
    pub(super) commit: CommitMeta,
    /// Files it names that are not yet known to be on disk.
    unsynced: Vec<PathBuf>,
}

impl Shared {
    /// Pins the meta in memory: from here on the files it names stay.
    pub(super) fn begin_persist(&self) -> Result<PendingMeta, EngineError> {
        self.sum_unknown()
            .map_err(EngineError::io("summing files"))?;
        let mut state = self.state.write();
        let meta = state.meta.clone();
        let meta = meta.ok_or_else(|| EngineError::internal("nothing was committed"))?;
        let commit = CommitMeta::parse(&meta)?;
        let unsynced = state
            .unsynced
            .keys()
            .filter(|path| commit.segments.name(path));
        let unsynced = unsynced.cloned().collect();
        let files = state.sums_of(|path| commit.segments.name(path));
        let sealed = sealed::seal(&meta, &self.shard, &files)?.into();
        state.pending = commit.segments.clone();
        Ok(PendingMeta {
            sealed,
            commit,
            unsynced,
        })
    }

    /// Sums the files of a commit without a list that was opened unchecked.
    fn sum_unknown(&self) -> io::Result<()> {
        if !self.state.read().has_unlisted {
            return Ok(());
        }
        let mut sums = FileSums::new();
        for entry in self.files.list(&self.folder)? {
            let path = PathBuf::from(&entry.name);
            let is_unknown = {
                let state = self.state.read();
                state.is_named(&path) && !state.sums.contains_key(&path)
            };
            if is_unknown {
                sums.insert(entry.name, self.sum_of(&path)?);
            }
        }
        let mut state = self.state.write();
        state.has_unlisted = false;
        let sums = sums
            .into_iter()
            .map(|(name, sum)| (PathBuf::from(name), sum));
        state.sums.extend(sums);
        Ok(())
    }

    pub(super) fn write_durably(&self, pending: &PendingMeta) -> io::Result<()> {
        for path in &pending.unsynced {
            match self.files.open(&self.folder.join(path)) {
                Ok(file) => file.sync()?,
                // A segment need not have every file (delete lists, for one).
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        self.files.sync_dir(&self.folder)?;
        let next = self.folder.join(META_NEXT);
        let file = self.files.create(&next)?;
        write_all_at(&*file, 0, &pending.sealed)?;
        file.sync()?;
        self.files.rename(&next, &self.folder.join(META))?;
        self.files.sync_dir(&self.folder)
    }

    pub(super) fn end_persist(&self, persisted: &PendingMeta) {
        let mut state = self.state.write();
        state.durable_meta = Some(Arc::clone(&persisted.sealed));
        state.durable = persisted.commit.segments.clone();
        state.pending = Segments::default();
        state.is_listed = true;
        for path in &persisted.unsynced {
            state.unsynced.remove(path);
        }
        let mut free = state.take_dead_files();
        let strays = std::mem::take(&mut state.strays);
        free.extend(strays.into_iter().filter(|path| !state.is_named(path)));
        drop(state);
        self.remove(&free);
    }

    /// Removes files that nothing names.
    pub(super) fn remove(&self, dead: &[PathBuf]) {
        for path in dead {
            match self.files.remove_file(&self.folder.join(path)) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => tracing::warn!(?path, %error, "a dead file stays until a restart"),
            }
        }
    }
}
