//! After a crash: what journals hold is written to its segments again.
//!
//! A part may stand in its segment already, whole or torn, or not at all. What is written is what was written
//! before, at the same place: a segment never changes where it was acknowledged, so it does no harm to do so
//! twice, or after the segment was synced.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{
    FRAME_HEADER_BYTES, FRAME_MAGIC, HEADER_BYTES, MAGIC, NAME, PART_HEADER_BYTES, Part, START,
    UNFINISHED,
};
use crate::error::LogError;
use crate::files::{File, Files, read_exact_at, write_all_at};
use crate::format::{HeaderFault, VERSION, check_head, shard_at, u32_at, u64_at};
use crate::segment;
use crate::writer::shard_dir;

/// Writes what the journals in `dir` hold where it belongs, syncs it, and removes them; returns the bytes
/// written.
///
/// # Errors
/// [`LogError::UnsupportedVersion`], and those of the disk. The journals stay then.
pub(crate) fn replay(files: &dyn Files, dir: &Path) -> Result<u64, LogError> {
    let listed = files.list(dir);
    let listed = listed.map_err(|error| LogError::io("list", dir, error))?;
    let is_journal = |entry: &crate::files::Entry| !entry.is_dir && entry.name.starts_with(NAME);
    let names: Vec<_> = listed.into_iter().filter(is_journal).collect();
    let mut segments = Segments {
        files,
        dir,
        open: BTreeMap::new(),
        num_bytes: 0,
    };
    for name in &names {
        if !name.name.ends_with(UNFINISHED) {
            segments.replay(&dir.join(&name.name))?;
        }
    }
    let num_bytes = segments.sync()?;
    for name in &names {
        let path = dir.join(&name.name);
        let removed = files.remove_file(&path);
        removed.map_err(|error| LogError::io("remove", &path, error))?;
    }
    if !names.is_empty() {
        let synced = files.sync_dir(dir);
        synced.map_err(|error| LogError::io("sync", dir, error))?;
    }
    Ok(num_bytes)
}

/// Segments that journals speak of.
struct Segments<'a> {
    files: &'a dyn Files,
    dir: &'a Path,
    /// `None` for those that are not there any more.
    open: BTreeMap<PathBuf, Option<Arc<dyn File>>>,
    num_bytes: u64,
}

impl Segments<'_> {
    /// Writes the frames of the epoch that a journal begins with.
    fn replay(&mut self, path: &Path) -> Result<(), LogError> {
        let io = |error| LogError::io("read", path, error);
        let file = self.files.open(path).map_err(io)?;
        let len = file.len().map_err(io)?;
        check_version(file.as_ref(), path).map_err(io)??;
        let (mut at, mut epoch, mut number) = (START, None, 0);
        while let Some(frame) = read_frame(file.as_ref(), at, len).map_err(io)? {
            let head = &frame[..FRAME_HEADER_BYTES];
            if *epoch.get_or_insert(u64_at(head, 8)) != u64_at(head, 8)
                || u64_at(head, 16) != number
            {
                // Of an epoch whose parts are all synced.
                break;
            }
            for part in parts(&frame) {
                self.write(part)?;
            }
            at += frame.len() as u64;
            number += 1;
        }
        Ok(())
    }

    fn write(&mut self, part: Part<'_>) -> Result<(), LogError> {
        let path = segment::path(&shard_dir(self.dir, part.shard), part.first);
        let io = |error| LogError::io("write", &path, error);
        if !self.open.contains_key(&path) {
            let file = match self.files.open(&path) {
                Ok(file) => Some(file),
                // Trimmed, or removed with its shard.
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(io(error)),
            };
            self.open.insert(path.clone(), file);
        }
        let Some(Some(file)) = self.open.get(&path) else {
            return Ok(());
        };
        // Behind the end of a segment that lost what was synced a hole stands before it: the shard says so.
        write_all_at(file.as_ref(), part.offset, part.bytes).map_err(io)?;
        self.num_bytes += part.bytes.len() as u64;
        Ok(())
    }

    /// Makes what was written durable.
    fn sync(self) -> Result<u64, LogError> {
        for (path, file) in self.open {
            if let Some(file) = file {
                let synced = file.sync();
                synced.map_err(|error| LogError::io("sync", &path, error))?;
            }
        }
        Ok(self.num_bytes)
    }
}

/// Refuses the journal of a newer program. A damaged header does not matter: frames have their own checksums.
fn check_version(file: &dyn File, path: &Path) -> io::Result<Result<(), LogError>> {
    let mut bytes = [0; HEADER_BYTES];
    match read_exact_at(file, 0, &mut bytes) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Ok(())),
        Err(error) => return Err(error),
    }
    let is_whole = crc32c::crc32c(&bytes[..12]) == u32_at(&bytes, 12);
    Ok(match check_head(&bytes, MAGIC) {
        Err(HeaderFault::TooNew(found)) if is_whole => Err(LogError::UnsupportedVersion {
            file: path.to_owned(),
            found,
            supported: VERSION,
        }),
        _ => Ok(()),
    })
}

/// Returns the frame at `at`; `None` when no whole one stands there.
fn read_frame(file: &dyn File, at: u64, len: u64) -> io::Result<Option<Vec<u8>>> {
    let left = len.saturating_sub(at);
    if left < FRAME_HEADER_BYTES as u64 {
        return Ok(None);
    }
    let mut frame = vec![0; FRAME_HEADER_BYTES];
    read_exact_at(file, at, &mut frame)?;
    let body = u64_at(&frame, 24);
    if frame[..4] != FRAME_MAGIC || body > left - FRAME_HEADER_BYTES as u64 {
        return Ok(None);
    }
    frame.resize(FRAME_HEADER_BYTES + body as usize, 0);
    let (head, rest) = frame.split_at_mut(FRAME_HEADER_BYTES);
    read_exact_at(file, at + FRAME_HEADER_BYTES as u64, rest)?;
    let crc = crc32c::crc32c_append(crc32c::crc32c(&head[..32]), rest);
    Ok((crc == u32_at(head, 32)).then_some(frame))
}

/// Returns the parts of a whole frame.
fn parts(frame: &[u8]) -> impl Iterator<Item = Part<'_>> {
    let mut rest = &frame[FRAME_HEADER_BYTES..];
    std::iter::from_fn(move || {
        let (head, behind) = rest.split_at_checked(PART_HEADER_BYTES)?;
        let (bytes, behind) = behind.split_at_checked(u64_at(head, 36) as usize)?;
        rest = behind;
        Some(Part {
            shard: shard_at(head, 0),
            first: u64_at(head, 20),
            offset: u64_at(head, 28),
            bytes,
        })
    })
}
