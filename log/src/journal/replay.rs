//! After a crash: what journals hold is written to its segments again.
//!
//! A part may stand in its segment already, whole or torn, or not at all. What is written is what was written
//! before, at the same place: a segment never changes where it was acknowledged, so it does no harm to do so
//! twice, or after the segment was synced.
//!
//! A frame that is not whole was torn by the crash, if none of its epoch stands behind it: nobody was told of
//! it. If one does, it was whole once: what stands behind it is read back, and the shards that miss the rest
//! say so by their own rules.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gleaner_model::ShardKey;

use super::frame::{Epochs, Frames};
use super::{NAME, Part, UNFINISHED};
use crate::error::LogError;
use crate::files::{File, Files, write_all_at};
use crate::segment;
use crate::writer::shard_dir;

/// Begins the name of a journal that was damaged, kept for whoever looks into it; nothing reads it.
const DAMAGED: &str = "damaged-";

/// What became of the journals of an earlier run.
#[derive(Debug, Default)]
pub(crate) struct JournalReplay {
    /// Bytes written to segments.
    pub(crate) num_bytes: u64,
    /// Shards whose bytes could not be written: they must not be opened, and the journals stay.
    pub(crate) failed: BTreeMap<ShardKey, LogError>,
    /// Copies of journals that lost frames which had been acknowledged.
    pub(crate) damaged: Vec<PathBuf>,
}

/// Writes what the journals in `dir` hold where it belongs, syncs it, and removes them.
///
/// # Errors
/// [`LogError::UnsupportedVersion`], and those of the disk that are not of one shard. The journals stay then.
pub(crate) fn replay(files: &dyn Files, dir: &Path) -> Result<JournalReplay, LogError> {
    let listed = files.list(dir);
    let listed = listed.map_err(|error| LogError::io("list", dir, error))?;
    let is_journal = |entry: &crate::files::Entry| !entry.is_dir && entry.name.starts_with(NAME);
    let names: Vec<_> = listed.into_iter().filter(is_journal).collect();
    let mut segments = Segments {
        files,
        dir,
        open: BTreeMap::new(),
        replayed: JournalReplay::default(),
    };
    let mut damaged = Vec::new();
    for name in &names {
        if !name.name.ends_with(UNFINISHED) && segments.replay(&dir.join(&name.name))? {
            damaged.push(&name.name);
        }
    }
    let mut replayed = segments.sync();
    if !replayed.failed.is_empty() || names.is_empty() {
        return Ok(replayed);
    }
    for name in &names {
        let path = dir.join(&name.name);
        if damaged.contains(&&name.name) {
            let copy = dir.join(format!("{DAMAGED}{}", name.name));
            let renamed = files.rename(&path, &copy);
            renamed.map_err(|error| LogError::io("rename", &path, error))?;
            replayed.damaged.push(copy);
        } else {
            let removed = files.remove_file(&path);
            removed.map_err(|error| LogError::io("remove", &path, error))?;
        }
    }
    let synced = files.sync_dir(dir);
    synced.map_err(|error| LogError::io("sync", dir, error))?;
    Ok(replayed)
}

/// Segments that journals speak of.
struct Segments<'a> {
    files: &'a dyn Files,
    dir: &'a Path,
    /// `None` for those that are not there any more.
    open: BTreeMap<PathBuf, Option<Open>>,
    replayed: JournalReplay,
}

/// A segment that is written to, and whose it is.
type Open = (ShardKey, Arc<dyn File>);

impl Segments<'_> {
    /// Writes the frames of the epoch that a journal begins with; `true` when some of it is missing.
    fn replay(&mut self, path: &Path) -> Result<bool, LogError> {
        let io = |error| LogError::io("read", path, error);
        let file = self.files.open(path).map_err(io)?;
        let epochs = Epochs::read(file.as_ref(), path).map_err(io)??;
        let mut frames = Frames::new(file, epochs).map_err(io)?;
        while let Some(frame) = frames.next().map_err(io)? {
            for part in frame.parts() {
                self.write(part);
            }
        }
        Ok(frames.has_gap())
    }

    /// Writes a part; a shard that refuses it is not written to any more.
    fn write(&mut self, part: Part<'_>) {
        if self.replayed.failed.contains_key(&part.shard) {
            return;
        }
        let path = segment::path(&shard_dir(self.dir, part.shard), part.first);
        if let Err(error) = self.try_write(part, &path) {
            let error = LogError::io("write what a journal holds to", &path, error);
            self.replayed.failed.insert(part.shard, error);
        }
    }

    fn try_write(&mut self, part: Part<'_>, path: &Path) -> io::Result<()> {
        if !self.open.contains_key(path) {
            let file = match self.files.open(path) {
                Ok(file) => Some((part.shard, file)),
                // Trimmed, or removed with its shard.
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            };
            self.open.insert(path.to_owned(), file);
        }
        let Some(Some((_, file))) = self.open.get(path) else {
            return Ok(());
        };
        // Behind the end of a segment that lost what was synced a hole stands before it: the shard says so.
        write_all_at(file.as_ref(), part.offset, part.bytes)?;
        self.replayed.num_bytes += part.bytes.len() as u64;
        Ok(())
    }

    /// Makes what was written durable.
    fn sync(mut self) -> JournalReplay {
        for (path, file) in self.open {
            if let Some((shard, file)) = file
                && let Err(error) = file.sync()
            {
                let error = LogError::io("sync what a journal holds in", &path, error);
                self.replayed.failed.insert(shard, error);
            }
        }
        self.replayed
    }
}
