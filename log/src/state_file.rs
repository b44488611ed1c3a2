//! The small file beside a shard's segments: fence, first seq_no, the durable floor, and what copies agreed on.
//!
//! The floor is kept apart from the records it speaks of: a log that ends below its floor has lost
//! acknowledged records, however clean its last record looks.
//!
//! ```text
//! two slots at 0 and 4096 (one sector each), integers little-endian:
//!     0   8  magic "GLNRSTA\0"
//!     8   4  format version, 2
//!    12   4  shard number
//!    16  16  index uuid
//!    32   8  revision, growing with each write: the whole slot with the larger one counts
//!    40   8  fence: the lowest primary term that may append
//!    48   8  first: seq_no of the first record that is not trimmed
//!    56   8  floor: every record below this seq_no is acknowledged
//!    64   4  crc32c of bytes 0..64
//!            version 1 ends here
//!    68   8  agreed point: every record below this seq_no is durable on all copies that have to have it
//!    76   8  greatest version of the shard's entry that was seen
//!    84   4  flags: 1 = the log is being cut, at the floor
//!    88   4  crc32c of bytes 0..88
//! ```
//!
//! The slot that was synced last is never written to before the other one is synced, so a torn
//! write always leaves a whole slot. What must not be lost with one slot (fence, first, a cut) is written
//! to both. Later versions must keep the checksum where it is, so that a flipped version number is
//! told from a newer program.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gleaner_model::{PrimaryTerm, SeqNo, ShardKey};

use crate::agreement::Agreement;
use crate::files::{File, Files, read_exact_at, write_all_at};
use crate::format::{HeaderFault, check_head, put_shard, shard_at, u32_at, u64_at};

/// Its name in the shard's folder.
pub(crate) const FILE_NAME: &str = "state";

/// Newest format version that this program writes and reads.
const VERSION: u32 = 2;
const MAGIC: [u8; 8] = *b"GLNRSTA\0";
/// Length of a slot of version 1, with which all later ones begin.
const COMMON_BYTES: usize = 68;
const SLOT_BYTES: usize = 92;
const FLAG_CUT: u32 = 1;
const SLOT_STRIDE: u64 = 4096;

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct State {
    pub(crate) fence: PrimaryTerm,
    pub(crate) first: u64,
    pub(crate) floor: u64,
    pub(crate) agreement: Agreement,
    /// What stands from the floor on is to be removed.
    pub(crate) is_cut: bool,
}

/// What opening found in the two slots.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slots {
    /// One of them cannot be read.
    pub(crate) is_one_damaged: bool,
    /// Both say the same.
    pub(crate) are_alike: bool,
}

/// A slot as it was read.
#[derive(Debug)]
struct Slot {
    number: u64,
    revision: u64,
    state: State,
    /// As its version has it.
    bytes: Vec<u8>,
}

/// Why it could not be opened.
#[derive(Debug)]
pub(crate) enum StateFault {
    Header(HeaderFault),
    Io(io::Error),
}

/// Why it could not be stored.
#[derive(Debug)]
pub(crate) enum StoreFault {
    /// Nothing has changed: the slot that counts was not touched.
    Refused(io::Error),
    /// Nobody knows which state is on disk.
    Unknown(io::Error),
}

impl StoreFault {
    /// Returns what the system said.
    pub(crate) fn into_source(self) -> io::Error {
        match self {
            Self::Refused(error) | Self::Unknown(error) => error,
        }
    }
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
        state.store(first).map_err(StoreFault::into_source)?;
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
        let mut whole = Vec::new();
        let mut fault = None;
        for slot in [0, 1] {
            match read_slot(file.as_ref(), slot, shard) {
                Ok(slot) => whole.push(slot),
                Err(StateFault::Header(HeaderFault::Damaged(reason))) => fault = Some(reason),
                Err(other) => return Err(other),
            }
        }
        let best = whole.iter().max_by_key(|slot| slot.revision);
        let Some(&Slot {
            number: synced_slot,
            revision,
            state: current,
            ..
        }) = best
        else {
            let reason = fault.unwrap_or("no slot is whole");
            return Err(StateFault::Header(HeaderFault::Damaged(reason)));
        };
        whole.retain(|slot| slot.state == current);
        harden(file.as_ref(), &whole).map_err(StateFault::Io)?;
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

    /// Writes without a sync: survives the process at once, the machine after [`StateFile::sync`]. Where that fails, the
    /// slot that was synced last counts, and the next note may be tried.
    pub(crate) fn note(&mut self, state: State) -> io::Result<()> {
        self.revision += 1;
        // The slot may be torn from here on: a sync must not make it the one that counts.
        self.is_dirty = false;
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
    pub(crate) fn store(&mut self, state: State) -> Result<(), StoreFault> {
        self.note(state).map_err(StoreFault::Refused)?;
        self.sync()
            .and_then(|()| self.note(state))
            .and_then(|()| self.sync())
            .map_err(StoreFault::Unknown)
    }
}

/// Writes slots again as they are read, and syncs them.
///
/// What is read may be in the page cache only: after a kill, and then a sync would do, or after a sync that
/// failed, and then the system holds it for written. A slot that is on disk does not change by this, so a tear
/// does it no harm.
fn harden(file: &dyn File, slots: &[Slot]) -> io::Result<()> {
    for slot in slots {
        write_all_at(file, slot.number * SLOT_STRIDE, &slot.bytes)?;
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
    bytes[64..68].copy_from_slice(&crc.to_le_bytes());
    bytes[68..76].copy_from_slice(&state.agreement.point.0.to_le_bytes());
    bytes[76..84].copy_from_slice(&state.agreement.entry_version.to_le_bytes());
    if state.is_cut {
        bytes[84..88].copy_from_slice(&FLAG_CUT.to_le_bytes());
    }
    let crc = crc32c::crc32c(&bytes[..88]);
    bytes[88..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn read_slot(file: &dyn File, number: u64, shard: ShardKey) -> Result<Slot, StateFault> {
    let damaged = |reason| Err(StateFault::Header(HeaderFault::Damaged(reason)));
    let mut bytes = vec![0; COMMON_BYTES];
    read(file, number * SLOT_STRIDE, &mut bytes)?;
    let crc_fits = crc32c::crc32c(&bytes[..64]) == u32_at(&bytes, 64);
    let version = match check_head(&bytes, MAGIC, VERSION) {
        Ok(_) if !crc_fits => return damaged("slot fails its checksum"),
        // A flipped bit must not pass for a newer program: its slot would have a fitting checksum.
        Err(HeaderFault::TooNew { .. }) if !crc_fits => return damaged("slot fails its checksum"),
        Err(fault) => return Err(StateFault::Header(fault)),
        Ok(_) if shard_at(&bytes, 12) != shard => return damaged("slot belongs to another shard"),
        Ok(version) => version,
    };
    let revision = u64_at(&bytes, 32);
    let mut state = State {
        fence: PrimaryTerm(u64_at(&bytes, 40)),
        first: u64_at(&bytes, 48),
        floor: u64_at(&bytes, 56),
        ..State::default()
    };
    if version > 1 {
        bytes.resize(SLOT_BYTES, 0);
        let rest = number * SLOT_STRIDE + COMMON_BYTES as u64;
        read(file, rest, &mut bytes[COMMON_BYTES..])?;
        if crc32c::crc32c(&bytes[..88]) != u32_at(&bytes, 88) {
            return damaged("slot fails its checksum");
        }
        state.agreement = Agreement {
            point: SeqNo(u64_at(&bytes, 68)),
            entry_version: u64_at(&bytes, 76),
        };
        state.is_cut = u32_at(&bytes, 84) & FLAG_CUT != 0;
    }
    Ok(Slot {
        number,
        revision,
        state,
        bytes,
    })
}

fn read(file: &dyn File, at: u64, bytes: &mut [u8]) -> Result<(), StateFault> {
    read_exact_at(file, at, bytes).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            StateFault::Header(HeaderFault::Damaged("file is shorter than its two slots"))
        }
        _ => StateFault::Io(error),
    })
}
