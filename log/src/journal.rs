//! What makes a small round durable with one sync, however many shards it touches.
//!
//! Does: keep bytes that were written to segments until the segments themselves are synced. Does not: sync
//! segments, or know what the bytes mean. Called by: [`crate::lane`]; read back by [`replay`] before any
//! shard is opened. Why there is one: `docs/decisions/0023-round-journal.md`.
//!
//! ```text
//! <dir>/journal-<commit thread>, integers little-endian:
//!     0   8  magic "GLNRJNL\0"
//!     8   4  format version, 1
//!    12   4  crc32c of bytes 0..12
//!    16   8  nonce: the first epoch; nobody who writes records can guess it
//!    24   4  crc32c of bytes 16..24
//!  2048  28  the same again
//!  4096   …  frames, one after the other; behind the last one zeros, or frames of earlier epochs
//!
//! frame, there whole or not at all:
//!     0   4  magic "GLJ1"
//!     4   4  number of parts
//!     8   8  epoch: one more whenever all that was held is synced elsewhere, and frames begin at 4096 again
//!    16   8  number of the frame in its epoch: 0, 1, 2 …
//!    24   8  bytes of all parts
//!    32   4  crc32c of bytes 0..32 and of all parts
//!    36   …  parts
//!
//! part, bytes that stand in a segment:
//!     0  20  shard number and index uuid
//!    20   8  first seq_no of the segment, which names it
//!    28   8  offset in the segment
//!    36   8  number of bytes
//!    44   …  bytes
//! ```
//!
//! A frame is written into zeros that are on disk already, but for the first there, so a sync of it changes no
//! file's length. The file goes when the log is closed; it is there after a crash only. Epochs count from the
//! nonce, so bytes of a record that look like a frame are not one. A file of an earlier program has no nonce:
//! its epochs count from 1.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gleaner_model::ShardKey;

use crate::files::{File, Files, write_all_at};
use crate::format::put_shard;

mod frame;
mod replay;

pub(crate) use replay::{JournalReplay, replay};

/// Begins the names of journals.
const NAME: &str = "journal-";
/// Ends the name of one that is being laid out.
const UNFINISHED: &str = ".new";

/// Newest format version that this program writes and reads.
const VERSION: u32 = 1;
const MAGIC: [u8; 8] = *b"GLNRJNL\0";
const HEADER_BYTES: usize = 28;
/// Where the header stands.
const HEADERS: [u64; 2] = [0, 2048];
const FRAME_MAGIC: [u8; 4] = *b"GLJ1";
const FRAME_HEADER_BYTES: usize = 36;
const PART_HEADER_BYTES: usize = 44;
/// Where frames begin: on a block of their own.
const START: u64 = 4096;

/// Zeros are written ahead by so many bytes.
const AHEAD_BYTES: usize = 256 << 10;

/// Bytes that a round has written to a segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part<'a> {
    pub(crate) shard: ShardKey,
    /// First seq_no of the segment.
    pub(crate) first: u64,
    /// Where they stand in the segment.
    pub(crate) offset: u64,
    pub(crate) bytes: &'a [u8],
}

impl Part<'_> {
    /// Returns the bytes it takes here.
    fn len(&self) -> u64 {
        PART_HEADER_BYTES as u64 + self.bytes.len() as u64
    }
}

/// The journal of one commit thread.
#[derive(Debug)]
pub(crate) struct Journal {
    files: Arc<dyn Files>,
    dir: PathBuf,
    path: PathBuf,
    limit: u64,
    state: State,
    buffer: Vec<u8>,
}

#[derive(Debug)]
enum State {
    /// There is no file.
    Absent,
    Open(Open),
    /// What it holds may be nowhere else: it takes nothing more until all of that is synced.
    Kept,
    /// Removed, but its name may come back.
    Unlinked,
    /// An opening could not read it back: it stays as it is until the next one.
    Left,
}

#[derive(Debug)]
struct Open {
    file: Arc<dyn File>,
    /// Zeros reach so far.
    len: u64,
    /// Where the next frame goes.
    end: u64,
    epoch: u64,
    /// Number of the next frame.
    number: u64,
}

impl Journal {
    /// Returns a journal of at most `limit` bytes in `dir`, which need not hold any; nothing is created yet.
    pub(crate) fn new(files: Arc<dyn Files>, dir: &Path, lane: usize, limit: u64) -> Self {
        Self {
            files,
            dir: dir.to_owned(),
            path: dir.join(format!("{NAME}{lane}")),
            limit,
            state: State::Absent,
            buffer: Vec::new(),
        }
    }

    /// Takes nothing, and stays: what it held of an earlier run is needed.
    pub(crate) fn leave(&mut self) {
        self.state = State::Left;
    }

    /// Returns whether it has what an opening could not read back.
    pub(crate) fn is_left(&self) -> bool {
        matches!(self.state, State::Left)
    }

    /// Returns whether a sync of it failed, or one of what it holds.
    pub(crate) fn is_kept(&self) -> bool {
        matches!(self.state, State::Kept)
    }

    /// Returns whether parts of so many bytes together can go into it at all.
    pub(crate) fn takes(&self, num_parts: usize, bytes: usize) -> bool {
        !self.is_kept() && !self.is_left() && START + frame_bytes(num_parts, bytes) <= self.limit
    }

    /// Returns whether they fit behind what it holds.
    pub(crate) fn has_room(&self, num_parts: usize, bytes: usize) -> bool {
        match &self.state {
            State::Absent | State::Unlinked => true,
            State::Open(open) => open.end + frame_bytes(num_parts, bytes) <= self.limit,
            State::Kept | State::Left => false,
        }
    }

    /// Makes the parts durable, all or none.
    ///
    /// # Errors
    /// Those of the disk; nothing is known of the parts then, and what was held before stays.
    pub(crate) fn append<'a>(&mut self, parts: impl Iterator<Item = Part<'a>>) -> io::Result<()> {
        if matches!(self.state, State::Absent | State::Unlinked) {
            self.state = State::Open(self.create()?);
        }
        let State::Open(open) = &mut self.state else {
            return Err(io::Error::other("the journal takes nothing any more"));
        };
        encode_frame(&mut self.buffer, open.epoch, open.number, parts);
        let end = open.end + self.buffer.len() as u64;
        while open.len < end {
            write_all_at(open.file.as_ref(), open.len, &[0; AHEAD_BYTES])?;
            open.len += AHEAD_BYTES as u64;
        }
        write_all_at(open.file.as_ref(), open.end, &self.buffer)?;
        if let Err(error) = open.file.sync() {
            self.state = State::Kept;
            return Err(error);
        }
        open.end = end;
        open.number += 1;
        Ok(())
    }

    /// Goes on without what it holds: all of that is synced where it belongs.
    pub(crate) fn restart(&mut self) {
        if let State::Open(open) = &mut self.state
            && open.number > 0
        {
            open.end = START;
            open.epoch = open.epoch.wrapping_add(1);
            open.number = 0;
        }
    }

    /// Takes nothing more: what it holds could not be synced where it belongs.
    pub(crate) fn keep(&mut self) {
        if matches!(self.state, State::Open(_)) {
            self.state = State::Kept;
        }
    }

    /// Removes the file, durably: what it holds is not wanted any more, and must not come back. One that an
    /// opening left stays.
    ///
    /// # Errors
    /// Those of the disk; nothing is known of its name then, until this is called again and succeeds.
    pub(crate) fn forget(&mut self) -> io::Result<()> {
        match self.state {
            State::Absent | State::Left => return Ok(()),
            State::Open(_) | State::Kept => self.files.remove_file(&self.path)?,
            State::Unlinked => {}
        }
        self.state = State::Unlinked;
        self.files.sync_dir(&self.dir)?;
        self.state = State::Absent;
        Ok(())
    }

    /// Lays the file out. Its name is durable then, its bytes are with the first frame.
    fn create(&self) -> io::Result<Open> {
        let mut new = self.path.clone().into_os_string();
        new.push(UNFINISHED);
        let new = PathBuf::from(new);
        let file = self.files.create(&new)?;
        let nonce = self.files.nonce();
        let mut head = vec![0; AHEAD_BYTES];
        for at in HEADERS {
            head[at as usize..][..HEADER_BYTES].copy_from_slice(&header(nonce));
        }
        write_all_at(file.as_ref(), 0, &head)?;
        self.files.rename(&new, &self.path)?;
        self.files.sync_dir(&self.dir)?;
        Ok(Open {
            file,
            len: AHEAD_BYTES as u64,
            end: START,
            epoch: nonce,
            number: 0,
        })
    }
}

fn frame_bytes(num_parts: usize, bytes: usize) -> u64 {
    (FRAME_HEADER_BYTES + num_parts * PART_HEADER_BYTES + bytes) as u64
}

fn header(nonce: u64) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    let crc = crc32c::crc32c(&bytes[..12]);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    bytes[16..24].copy_from_slice(&nonce.to_le_bytes());
    let crc = crc32c::crc32c(&bytes[16..24]);
    bytes[24..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn encode_frame<'a>(
    out: &mut Vec<u8>,
    epoch: u64,
    number: u64,
    parts: impl Iterator<Item = Part<'a>>,
) {
    out.clear();
    out.resize(FRAME_HEADER_BYTES, 0);
    let (mut num_parts, mut len) = (0_u32, 0);
    for part in parts {
        let mut shard = [0; 20];
        put_shard(&mut shard, part.shard);
        out.extend_from_slice(&shard);
        out.extend_from_slice(&part.first.to_le_bytes());
        out.extend_from_slice(&part.offset.to_le_bytes());
        out.extend_from_slice(&(part.bytes.len() as u64).to_le_bytes());
        out.extend_from_slice(part.bytes);
        num_parts += 1;
        len += part.len();
    }
    let (head, body) = out.split_at_mut(FRAME_HEADER_BYTES);
    head[..4].copy_from_slice(&FRAME_MAGIC);
    head[4..8].copy_from_slice(&num_parts.to_le_bytes());
    head[8..16].copy_from_slice(&epoch.to_le_bytes());
    head[16..24].copy_from_slice(&number.to_le_bytes());
    head[24..32].copy_from_slice(&len.to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&head[..32]), body);
    head[32..].copy_from_slice(&crc.to_le_bytes());
}
