//! Files against the lengths and checksums with which they were written.
//!
//! Files are read through the seam, front to back, never by memory map: one that was cut must not end the
//! process. What merges delete meanwhile is passed over.

use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;

use gleaner_log::files::{File, Files};
use gleaner_machine::mapped::MappedOwner;
use serde::Deserialize;

use super::damage::{Damage, DamagedFile, FileFault};
use super::sealed::{FileSum, FileSums};
use super::{META, Segments, ShardDirectory, Shared, handle};
use crate::EngineError;

/// Read at once.
const PIECE_BYTES: usize = 1 << 20;

/// How much of a copy's files is checked when it is opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Verification {
    /// All bytes.
    #[default]
    Content,
    /// That they are there, in full length.
    Lengths,
}

/// What is named where it is not known which file it was.
const MAPPED: &str = "a mapped file";

/// What a check of files has to ask between pieces.
pub trait Pace {
    /// Notes that `num_bytes` were read; may block. Returns whether to go on.
    fn read(&mut self, num_bytes: u64) -> bool;
}

/// Reads on without a pause.
#[derive(Debug, Clone, Copy)]
pub struct Unpaced;

impl Pace for Unpaced {
    fn read(&mut self, _: u64) -> bool {
        true
    }
}

/// A file of an earlier version, which has no list: its parts of a segment all end in tantivy's footer.
const PARTS: [&str; 6] = ["idx", "pos", "term", "store", "fast", super::meta::NORMS];

/// As much of tantivy's footer as concerns us.
#[derive(Deserialize)]
struct Footer {
    crc: u32,
}

/// Bytes of tantivy's footer beside its JSON: its length and a magic number.
const FOOTER_TAIL: u64 = 8;
const FOOTER_MAGIC: u32 = 1337;
/// tantivy takes no longer one.
const MAX_FOOTER_BYTES: u64 = 50_000;

/// Checks `files` in `folder`; returns those that are not as they were written.
pub(super) fn check_files(
    files: &dyn Files,
    folder: &Path,
    expected: &FileSums,
    how: Verification,
) -> Result<Option<Damage>, EngineError> {
    let mut damaged = Vec::new();
    for (name, sum) in expected {
        let found = check_file(files, &folder.join(name), *sum, how, &mut Unpaced);
        if let Some(fault) = found.map_err(EngineError::io("checking a file"))? {
            let name = name.clone();
            damaged.push(DamagedFile { name, fault });
        }
    }
    Ok(Damage::of(damaged))
}

/// Returns what is wrong with a file, if anything is.
fn check_file(
    files: &dyn Files,
    path: &Path,
    expected: FileSum,
    how: Verification,
    pace: &mut dyn Pace,
) -> io::Result<Option<FileFault>> {
    let file = match files.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Some(FileFault::Missing));
        }
        Err(error) => return damage_or(error),
    };
    let found = file.len()?;
    if found != expected.num_bytes {
        let expected = expected.num_bytes;
        return Ok(Some(FileFault::Length { found, expected }));
    }
    if how == Verification::Lengths {
        return Ok(None);
    }
    let mut crc32c = 0;
    let read = read_pieces(&*file, 0..found, |piece| {
        crc32c = crc32c::crc32c_append(crc32c, piece);
        pace.read(piece.len() as u64)
    });
    match read {
        Ok(false) => Ok(None),
        Ok(true) if crc32c == expected.crc32c => Ok(None),
        Ok(true) => Ok(Some(FileFault::Checksum {
            found: crc32c,
            expected: expected.crc32c,
        })),
        Err(error) => damage_or(error),
    }
}

/// An error of the disk is damage, one of the system (too many open files, say) is none.
fn damage_or(error: io::Error) -> io::Result<Option<FileFault>> {
    /// `EIO` on Linux.
    const INPUT_OUTPUT: i32 = 5;
    let is_damage =
        error.raw_os_error() == Some(INPUT_OUTPUT) || error.kind() == io::ErrorKind::UnexpectedEof;
    match is_damage {
        true => Ok(Some(FileFault::Unreadable(error.to_string()))),
        false => Err(error),
    }
}

/// Reads a range in pieces; returns whether `take` wanted all of them.
fn read_pieces(
    file: &dyn File,
    range: std::ops::Range<u64>,
    mut take: impl FnMut(&[u8]) -> bool,
) -> io::Result<bool> {
    let mut piece = vec![0; PIECE_BYTES.min((range.end - range.start) as usize)];
    let mut at = range.start;
    while at < range.end {
        let wanted = piece.len().min((range.end - at) as usize);
        match file.read_at(at, &mut piece[..wanted]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => {
                at += n as u64;
                if !take(&piece[..n]) {
                    return Ok(false);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Checks the files of a commit that an earlier version wrote, by tantivy's checksums, and sums them.
pub(super) fn sum_unlisted(
    files: &dyn Files,
    folder: &Path,
    segments: &Segments,
) -> Result<Result<FileSums, Damage>, EngineError> {
    let (mut sums, mut damaged) = (FileSums::new(), Vec::new());
    for name in segments.file_names(&PARTS) {
        let summed = sum_file(files, &folder.join(&name));
        match summed.map_err(EngineError::io("checking a file"))? {
            Ok(sum) => drop(sums.insert(name, sum)),
            Err(fault) => damaged.push(DamagedFile { name, fault }),
        }
    }
    Ok(Damage::of(damaged).map_or(Ok(sums), Err))
}

/// Sums a file if tantivy's checksum of it is right.
fn sum_file(files: &dyn Files, path: &Path) -> io::Result<Result<FileSum, FileFault>> {
    let file = match files.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Err(FileFault::Missing));
        }
        Err(error) => {
            return damage_or(error).map(|fault| Err(fault.unwrap_or(FileFault::Missing)));
        }
    };
    let num_bytes = file.len()?;
    let Some((body_bytes, expected)) = footer(&*file, num_bytes)? else {
        let fault = FileFault::Content("has no footer".to_owned());
        return Ok(Err(fault));
    };
    let (mut crc32c, mut body) = (0, crc32fast::Hasher::new());
    read_pieces(&*file, 0..body_bytes, |piece| {
        crc32c = crc32c::crc32c_append(crc32c, piece);
        body.update(piece);
        true
    })?;
    read_pieces(&*file, body_bytes..num_bytes, |piece| {
        crc32c = crc32c::crc32c_append(crc32c, piece);
        true
    })?;
    let found = body.finalize();
    Ok(match found == expected {
        true => Ok(FileSum { num_bytes, crc32c }),
        false => Err(FileFault::Checksum { found, expected }),
    })
}

/// Returns the length of a file without its footer, and the checksum in that.
fn footer(file: &dyn File, num_bytes: u64) -> io::Result<Option<(u64, u32)>> {
    let Some(tail_at) = num_bytes.checked_sub(FOOTER_TAIL) else {
        return Ok(None);
    };
    let tail = handle::read_range(file, tail_at..num_bytes)?;
    let number = |at: usize| tail[at..at + 4].try_into().map(u32::from_le_bytes);
    let (Ok(len), Ok(FOOTER_MAGIC)) = (number(0), number(4)) else {
        return Ok(None);
    };
    let json_at = tail_at.checked_sub(u64::from(len));
    let Some(json_at) = json_at.filter(|_| u64::from(len) <= MAX_FOOTER_BYTES) else {
        return Ok(None);
    };
    let json = handle::read_range(file, json_at..tail_at)?;
    let footer: Option<Footer> = serde_json::from_slice(&json).ok();
    Ok(footer.map(|footer| (json_at, footer.crc)))
}

impl ShardDirectory {
    /// Checks all files that searches or the last durable commit read, and the commit itself. Blocks.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] for damage, [`EngineError::Io`] when that cannot be told.
    pub fn verify(&self, how: Verification, pace: &mut dyn Pace) -> Result<(), EngineError> {
        let mut damaged: Vec<DamagedFile> = self.shared.check_meta()?.into_iter().collect();
        // Not within the loop's head: writers would wait for the whole check.
        let named = self.shared.state.read().named_sums();
        for (name, sum) in named {
            let path = self.shared.folder.join(&name);
            let found = check_file(&*self.shared.files, &path, sum, how, pace);
            let found = found.map_err(EngineError::io("checking a file"))?;
            if let Some(fault) = found.filter(|_| self.shared.knows(&name)) {
                damaged.push(DamagedFile { name, fault });
            }
        }
        match Damage::of(damaged) {
            Some(damage) => Err(EngineError::Damaged(damage)),
            None => Ok(()),
        }
    }

    /// Refuses once bytes of a mapped file were not there when they were read.
    ///
    /// # Errors
    /// The damage, without the file's name.
    pub fn check_uncut(&self) -> Result<(), Damage> {
        self.shared.check_uncut()
    }

    /// Says that files may be damaged: they are to be checked soon.
    pub fn suspect(&self) {
        self.shared.is_suspect.store(true, Ordering::Release);
    }

    /// Returns whether somebody said so since [`Self::take_suspicion`] was last called.
    pub fn is_suspect(&self) -> bool {
        self.shared.is_suspect.load(Ordering::Acquire)
    }

    /// Returns whether somebody said so since this was last asked.
    pub fn take_suspicion(&self) -> bool {
        self.shared.is_suspect.swap(false, Ordering::AcqRel)
    }

    /// Returns the checksum, CRC-32C, with which a file was written, if it is known.
    pub fn checksum(&self, name: &str) -> Option<u32> {
        let state = self.shared.state.read();
        state.sums.get(Path::new(name)).map(|sum| sum.crc32c)
    }

    /// Checks the files of the segments `names`, 32 hexadecimal digits each: a merge is not to make
    /// damaged files into sound ones.
    pub(crate) fn verify_segments(&self, names: &[String]) -> Result<(), Damage> {
        let mut damaged = Vec::new();
        let named = self.shared.state.read().named_sums();
        for (name, sum) in named {
            let is_asked = names.iter().any(|id| name.starts_with(id.as_str()));
            let path = self.shared.folder.join(&name);
            let check = || {
                let how = Verification::Content;
                check_file(&*self.shared.files, &path, sum, how, &mut Unpaced)
            };
            // What cannot be told now is found by the next check.
            if let Some(Ok(Some(fault))) = is_asked.then(check)
                && self.shared.knows(&name)
            {
                damaged.push(DamagedFile { name, fault });
            }
        }
        if damaged.is_empty()
            && let Err(damage) = self.shared.check_uncut()
        {
            return Err(damage);
        }
        match Damage::of(damaged) {
            Some(damage) => {
                self.suspect();
                Err(damage)
            }
            None => Ok(()),
        }
    }
}

/// Refuses once bytes of a mapped file were not there when they were read.
pub(super) fn check_uncut(owner: &MappedOwner) -> Result<(), Damage> {
    match owner.is_cut() {
        true => Err(Damage::one(MAPPED, FileFault::Lost)),
        false => Ok(()),
    }
}

impl Shared {
    /// Refuses once bytes of a mapped file were not there when they were read.
    pub(super) fn check_uncut(&self) -> Result<(), Damage> {
        check_uncut(&self.owner)
    }

    /// Returns whether a file is still of use: a merge may have deleted it while it was checked.
    fn knows(&self, name: &str) -> bool {
        self.state.read().sums.contains_key(Path::new(name))
    }

    /// Checks `meta.json` against what was written last.
    fn check_meta(&self) -> Result<Option<DamagedFile>, EngineError> {
        // No commit replaces it meanwhile.
        let _held = self.persisting.lock();
        let written = self.state.read().durable_meta.clone();
        let Some(written) = written else {
            return Ok(None);
        };
        let found = super::read_whole(&*self.files, &self.folder.join(META))?;
        let fault = match found {
            None => Some(FileFault::Missing),
            Some(found) if found[..] == written[..] => None,
            Some(found) => Some(FileFault::Checksum {
                found: crc32c::crc32c(&found),
                expected: crc32c::crc32c(&written),
            }),
        };
        let name = META.to_owned();
        Ok(fault.map(|fault| DamagedFile { name, fault }))
    }

    /// Returns the sum of a file of the commit that is being made durable.
    pub(super) fn sum_of(&self, path: &Path) -> io::Result<FileSum> {
        match sum_file(&*self.files, &self.folder.join(path))? {
            Ok(sum) => Ok(sum),
            Err(fault) => {
                let name = path.display();
                Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("`{name}` {fault}"),
                ))
            }
        }
    }
}
