//! The small file beside a shard's segments: fence, first seq_no, and the durable floor.
//!
//! The floor is kept apart from the records it speaks of: a log that ends below its floor has lost
//! acknowledged records, however clean its last record looks.
//!
//! ```text
//! two slots at 0 and 4096 (one sector each), integers little-endian:
//!     0   8  magic "GLNRSTA\0"
//!     8   4  format version, 1
//!    12   4  shard number
//!    16  16  index uuid
//!    32   8  revision, growing with each write: the whole slot with the larger one counts
//!    40   8  fence: the lowest primary term that may append
//!    48   8  first: seq_no of the first record that is not trimmed
//!    56   8  floor: every record below this seq_no is acknowledged
//!    64   4  crc32c of bytes 0..64
//! ```
//!
//! The slot that was synced last is never written to before the other one is synced, so a torn
//! write always leaves a whole slot. What must not be lost with one slot (fence, first) is written
//! to both. Later versions must keep the checksum where it is, so that a flipped version number is
//! told from a newer program.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gleaner_model::{PrimaryTerm, ShardKey};

use crate::files::{File, Files, read_exact_at, write_all_at};
use crate::format::{HeaderFault, check_head, put_shard, shard_at, u32_at, u64_at};

/// Its name in the shard's folder.
pub(crate) const FILE_NAME: &str = "state";

/// Newest format version that this program writes and reads.
const VERSION: u32 = 1;
const MAGIC: [u8; 8] = *b"GLNRSTA\0";
const SLOT_BYTES: usize = 68;
const SLOT_STRIDE: u64 = 4096;

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct State {
    pub(crate) fence: PrimaryTerm,
    pub(crate) first: u64,
    pub(crate) floor: u64,
}

/// What opening found in the two slots.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slots {
    /// One of them cannot be read.
    pub(crate) is_one_damaged: bool,
    /// Both say the same.
    pub(crate) are_alike: bool,
}

/// Why it could not be opened.
#[derive(Debug)]
pub(crate) enum StateFault {
    Header(HeaderFault),
    Io(io::Error),
}

/// The open file.
#[derive(Debug)]
pub(crate) struct StateFile {
    file: Arc<dyn File>,
    shard: ShardKey,
    revision: u64,
    /// The slot that is known to be on disk, 0 or 1.
    synced_slot: u64,
    current: State,
    is_dirty: bool,
}

impl StateFile {
    /// Creates the file for a new shard, durable with its name when this returns.
    pub(crate) fn create(
        files: &dyn Files,
        dir: &Path,
        shard: ShardKey,
        first: State,
    ) -> io::Result<Self> {
        let path = dir.join(FILE_NAME);
        let new = path.with_extension("new");
        let file = files.create(&new)?;
        let mut state = Self {
            file,
            shard,
            revision: 0,
            synced_slot: 1,
            current: State::default(),
            is_dirty: false,
        };
        state.store(first)?;
        files.rename(&new, &path)?;
        files.sync_dir(dir)?;
        Ok(state)
    }

    /// Opens the file, and makes durable what it says.
    pub(crate) fn open(
        files: &dyn Files,
        path: &Path,
        shard: ShardKey,
    ) -> Result<(Self, Slots), StateFault> {
        let file = files.open(path).map_err(StateFault::Io)?;
        let mut whole: Vec<(u64, u64, State)> = Vec::new();
        let mut fault = None;
        for slot in [0, 1] {
            match read_slot(file.as_ref(), slot, shard) {
                Ok((revision, state)) => whole.push((revision, slot, state)),
                Err(StateFault::Header(HeaderFault::Damaged(reason))) => fault = Some(reason),
                Err(other) => return Err(other),
            }
        }
        let best = whole.iter().max_by_key(|(revision, ..)| *revision);
        let Some((revision, synced_slot, current)) = best.copied() else {
            let reason = fault.unwrap_or("no slot is whole");
            return Err(StateFault::Header(HeaderFault::Damaged(reason)));
        };
        whole.retain(|(_, _, state)| *state == current);
        harden(file.as_ref(), shard, &whole).map_err(StateFault::Io)?;
        let slots = Slots {
            is_one_damaged: fault.is_some(),
            are_alike: whole.len() == 2,
        };
        let state = Self {
            file,
            shard,
            revision,
            synced_slot,
            current,
            is_dirty: false,
        };
        Ok((state, slots))
    }

    /// What was last written.
    pub(crate) fn current(&self) -> State {
        self.current
    }

    /// Something was written and not synced.
    pub(crate) fn is_dirty(&self) -> bool {
        self.is_dirty
    }

    /// Writes without a sync: survives the process at once, the machine after [`StateFile::sync`].
    pub(crate) fn note(&mut self, state: State) -> io::Result<()> {
        self.revision += 1;
        let bytes = encode(self.shard, self.revision, state);
        let slot = 1 - self.synced_slot;
        write_all_at(self.file.as_ref(), slot * SLOT_STRIDE, &bytes)?;
        self.current = state;
        self.is_dirty = true;
        Ok(())
    }

    /// Makes the last note durable.
    fn sync(&mut self) -> io::Result<()> {
        self.file.sync()?;
        self.settle();
        Ok(())
    }

    /// Returns the file, to be synced; then [`Self::settle`] must be told.
    pub(crate) fn file(&self) -> Arc<dyn File> {
        self.file.clone()
    }

    /// Takes note that the last note is durable.
    pub(crate) fn settle(&mut self) {
        self.synced_slot = 1 - self.synced_slot;
        self.is_dirty = false;
    }

    /// Writes to both slots, each durable: the loss of one loses nothing.
    pub(crate) fn store(&mut self, state: State) -> io::Result<()> {
        for _ in 0..2 {
            self.note(state)?;
            self.sync()?;
        }
        Ok(())
    }
}

/// Writes slots again as they are read, and syncs them.
///
/// What is read may be in the page cache only: after a kill, and then a sync would do, or after a sync that
/// failed, and then the system holds it for written. A slot that is on disk does not change by this, so a tear
/// does it no harm.
fn harden(file: &dyn File, shard: ShardKey, slots: &[(u64, u64, State)]) -> io::Result<()> {
    for (revision, slot, state) in slots {
        write_all_at(file, slot * SLOT_STRIDE, &encode(shard, *revision, *state))?;
    }
    file.sync()
}

/// Returns the path of the state file of a shard's folder.
pub(crate) fn path(dir: &Path) -> PathBuf {
    dir.join(FILE_NAME)
}

fn encode(shard: ShardKey, revision: u64, state: State) -> [u8; SLOT_BYTES] {
    let mut bytes = [0; SLOT_BYTES];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    put_shard(&mut bytes[12..32], shard);
    bytes[32..40].copy_from_slice(&revision.to_le_bytes());
    bytes[40..48].copy_from_slice(&state.fence.0.to_le_bytes());
    bytes[48..56].copy_from_slice(&state.first.to_le_bytes());
    bytes[56..64].copy_from_slice(&state.floor.to_le_bytes());
    let crc = crc32c::crc32c(&bytes[..64]);
    bytes[64..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn read_slot(file: &dyn File, slot: u64, shard: ShardKey) -> Result<(u64, State), StateFault> {
    let damaged = |reason| Err(StateFault::Header(HeaderFault::Damaged(reason)));
    let mut bytes = [0; SLOT_BYTES];
    match read_exact_at(file, slot * SLOT_STRIDE, &mut bytes) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return damaged("file is shorter than its two slots");
        }
        Err(error) => return Err(StateFault::Io(error)),
    }
    let crc_fits = crc32c::crc32c(&bytes[..64]) == u32_at(&bytes, 64);
    match check_head(&bytes, MAGIC, VERSION) {
        Ok(_) if !crc_fits => damaged("slot fails its checksum"),
        // A flipped bit must not pass for a newer program: its slot would have a fitting checksum.
        Err(HeaderFault::TooNew { .. }) if !crc_fits => damaged("slot fails its checksum"),
        Err(fault) => Err(StateFault::Header(fault)),
        Ok(_) if shard_at(&bytes, 12) != shard => damaged("slot belongs to another shard"),
        Ok(_) => Ok((
            u64_at(&bytes, 32),
            State {
                fence: PrimaryTerm(u64_at(&bytes, 40)),
                first: u64_at(&bytes, 48),
                floor: u64_at(&bytes, 56),
            },
        )),
    }
}
