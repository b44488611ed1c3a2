//! How shards come and go: names first, then files; what an error left half done is undone by the next call.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use gleaner_model::ShardKey;

use super::{DAMAGED, Lane, REMOVED};
use crate::agreement::Agreement;
use crate::base::LogStart;
use crate::error::LogError;
use crate::files::{Files, parent};
use crate::writer::{ShardWriter, shard_dir};

/// Shards of which an error has left something on disk that nobody may find.
#[derive(Debug, Default)]
pub(crate) struct Undone {
    /// Their removal has begun: nothing of them may come back.
    leaving: BTreeSet<ShardKey>,
    /// Their folder was being laid out, and holds nothing.
    coming: BTreeSet<ShardKey>,
    /// They leave because they are damaged: their folder is kept beside, for people.
    damaged: BTreeSet<ShardKey>,
}

impl Lane {
    /// Creates an empty shard.
    pub(super) fn create(&mut self, key: ShardKey) -> Result<(), LogError> {
        self.clear(key)?;
        let _folders = self.folders.lock();
        self.undone.coming.insert(key);
        let (writer, view) = ShardWriter::create(&self.root, key, &self.options)?;
        self.undone.coming.remove(&key);
        self.views.write().insert(key, view);
        self.shards.insert(key, writer);
        Ok(())
    }

    /// Replaces a shard by an empty one that begins at `begin`: laid out beside, then named.
    pub(super) fn begin(&mut self, key: ShardKey, begin: &LogStart) -> Result<(), LogError> {
        let view = self.views.read().get(&key).cloned();
        let agreed = view.as_ref().map(|view| view.agreement());
        let entry_version = agreed.map_or(0, |agreed| agreed.entry_version);
        let agreement = Agreement {
            point: begin.at,
            entry_version,
        };
        if view.is_some_and(|view| matches!(view.check(), Err(LogError::Corrupt { .. }))) {
            self.undone.damaged.insert(key);
        }
        self.leave(key)?;
        let _folders = self.folders.lock();
        self.undone.coming.insert(key);
        let (writer, view) = ShardWriter::begin(&self.root, key, begin, agreement, &self.options)?;
        self.undone.coming.remove(&key);
        self.views.write().insert(key, view);
        self.shards.insert(key, writer);
        Ok(())
    }

    /// Removes a shard, and what was kept of its damaged folder; one that is not there is removed.
    pub(super) fn remove(&mut self, key: ShardKey) -> Result<(), LogError> {
        self.leave(key)?;
        let dir = shard_dir(&self.root, key);
        let removed = remove_damaged(self.options.files.as_ref(), &dir, None);
        removed.map_err(|error| LogError::io("remove", &dir, error))?;
        self.put_aside.forget(key);
        Ok(())
    }

    fn leave(&mut self, key: ShardKey) -> Result<(), LogError> {
        if self.exists(key) {
            self.spare_journal(Some(key))?;
            self.undone.leaving.insert(key);
        }
        self.clear(key)
    }

    /// Makes sure that no shard needs what the journal holds, but for one that leaves.
    pub(super) fn spare_journal(&mut self, leaving: Option<ShardKey>) -> Result<(), LogError> {
        self.checkpoint();
        let mut needing = self.round.needing_journal.iter();
        if self.journal.is_left() || needing.any(|shard| Some(*shard) != leaving) {
            let reason = "a sync failed before: what the journal holds is needed";
            let error = io::Error::other(reason);
            return Err(LogError::io("remove the journal of", &self.root, error));
        }
        Ok(())
    }

    /// Takes from the disk what is left of a shard that leaves, or that did not come to be.
    ///
    /// First its name, then what the journal has of it, then its files: a shard of the same name may come, and
    /// nothing of this one may be written to it.
    fn clear(&mut self, key: ShardKey) -> Result<(), LogError> {
        let is_leaving = self.undone.leaving.contains(&key);
        if !is_leaving && !self.undone.coming.contains(&key) {
            return Ok(());
        }
        let dir = shard_dir(&self.root, key);
        let removed = dir.with_extension(REMOVED);
        let files = self.options.files.clone();
        let io = |error| LogError::io("remove", &dir, error);
        if is_there(files.as_ref(), &dir).map_err(io)? {
            absent_is_fine(files.remove_dir_all(&removed)).map_err(io)?;
            files.rename(&dir, &removed).map_err(io)?;
        }
        self.shards.remove(&key);
        self.views.write().remove(&key);
        self.sync_folder(files.as_ref(), key).map_err(io)?;
        if is_leaving {
            self.spare_journal(Some(key))?;
            self.round.needing_journal.remove(&key);
            let forgotten = self.journal.forget();
            forgotten.map_err(|error| LogError::io("remove the journal of", &self.root, error))?;
        }
        if self.undone.damaged.contains(&key) {
            let kept = keep_damaged(files.as_ref(), &dir, &removed).map_err(io)?;
            if let Some(kept) = kept {
                self.put_aside.note(key, kept);
            }
        }
        absent_is_fine(files.remove_dir_all(&removed)).map_err(io)?;
        self.undone.leaving.remove(&key);
        self.undone.coming.remove(&key);
        self.undone.damaged.remove(&key);
        Ok(())
    }

    /// Makes the absence of a shard's folder durable, or that of its index.
    fn sync_folder(&self, files: &dyn Files, key: ShardKey) -> io::Result<()> {
        let _folders = self.folders.lock();
        match files.sync_dir(&parent(&shard_dir(&self.root, key))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => files.sync_dir(&self.root),
            synced => synced,
        }
    }

    /// Removes the folder of a shard's index when that was its last shard here. Nothing depends on it:
    /// one that stays, or comes back after a crash, goes when the log is opened.
    pub(super) fn remove_index_folder(&self, key: ShardKey) {
        let _folders = self.folders.lock();
        let dir = parent(&shard_dir(&self.root, key));
        if let Err(error) = self.options.files.remove_empty_dir(&dir) {
            tracing::trace!(%error, dir = %dir.display(), "the folder of an index stays");
        }
    }
}

/// Keeps the folder of a damaged shard beside, in place of one that was kept before; returns where.
fn keep_damaged(files: &dyn Files, dir: &Path, removed: &Path) -> io::Result<Option<PathBuf>> {
    if !is_there(files, removed)? {
        return Ok(None);
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let since = since.unwrap_or_default().as_millis();
    let kept = dir.with_extension(format!("{DAMAGED}{since}"));
    files.rename(removed, &kept)?;
    tracing::warn!(folder = %kept.display(), "the folder of a damaged shard log was put aside; it may be removed");
    remove_damaged(files, dir, Some(&kept))?;
    Ok(Some(kept))
}

/// Removes what was kept of a shard's damaged folders, but for `kept`.
fn remove_damaged(files: &dyn Files, dir: &Path, kept: Option<&Path>) -> io::Result<()> {
    let index = parent(dir);
    let entries = match files.list(&index) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        listed => listed?,
    };
    for entry in entries {
        let path = index.join(entry.name);
        let is_kept = kept.is_some_and(|kept| kept == path);
        if path.file_stem() == dir.file_name() && is_damaged(&path) && !is_kept {
            absent_is_fine(files.remove_dir_all(&path))?;
        }
    }
    Ok(())
}

/// Returns whether a folder is that of a damaged shard log, which nobody reads.
pub(crate) fn is_damaged(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| extension.starts_with(DAMAGED))
}

fn is_there(files: &dyn Files, dir: &Path) -> io::Result<bool> {
    match files.list(dir) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Takes what is not there for removed.
fn absent_is_fine(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
