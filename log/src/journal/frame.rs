//! The frames of a journal, read one after the other, and across damage.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::{
    FRAME_HEADER_BYTES, FRAME_MAGIC, HEADER_BYTES, HEADERS, MAGIC, PART_HEADER_BYTES, Part, START,
    VERSION,
};
use crate::error::LogError;
use crate::files::{File, read_exact_at};
use crate::format::{HeaderFault, check_head, shard_at, u32_at, u64_at};

/// A journal does not have more epochs: at ten a second they last for thirteen years.
const NUM_EPOCHS: u64 = 1 << 32;

/// Read at once while frames are looked for.
const PIECE_BYTES: usize = 64 << 10;

/// Which epochs a journal can have.
#[derive(Debug, Clone, Copy)]
pub(super) enum Epochs {
    /// Those from a nonce on.
    From(u64),
    /// The first of them is not known: by an earlier program, or its header is damaged.
    Any,
}

impl Epochs {
    /// Reads a journal's header and refuses that of a newer program. A damaged one does not matter: frames
    /// have their own checksums.
    pub(super) fn read(file: &dyn File, path: &Path) -> io::Result<Result<Self, LogError>> {
        for at in HEADERS {
            let mut bytes = [0; HEADER_BYTES];
            match read_exact_at(file, at, &mut bytes) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => continue,
                Err(error) => return Err(error),
            }
            if crc32c::crc32c(&bytes[..12]) != u32_at(&bytes, 12) {
                continue;
            }
            match check_head(&bytes, MAGIC, VERSION) {
                Err(HeaderFault::TooNew { found, supported }) => {
                    return Ok(Err(LogError::UnsupportedVersion {
                        file: path.to_owned(),
                        found,
                        supported,
                    }));
                }
                Ok(_) if crc32c::crc32c(&bytes[16..24]) == u32_at(&bytes, 24) => {
                    return Ok(Ok(Self::From(u64_at(&bytes, 16))));
                }
                _ => {}
            }
        }
        Ok(Ok(Self::Any))
    }

    fn contains(self, epoch: u64) -> bool {
        match self {
            Self::From(first) => epoch.wrapping_sub(first) < NUM_EPOCHS,
            Self::Any => true,
        }
    }
}

/// A whole frame.
#[derive(Debug)]
pub(super) struct Frame {
    bytes: Vec<u8>,
}

impl Frame {
    fn epoch(&self) -> u64 {
        u64_at(&self.bytes, 8)
    }

    fn number(&self) -> u64 {
        u64_at(&self.bytes, 16)
    }

    /// Returns what it holds.
    pub(super) fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        let mut rest = &self.bytes[FRAME_HEADER_BYTES..];
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
}

/// The frames of the epoch that a journal begins with. When its first one is not whole, that epoch is not
/// known: then those of all its epochs, as what earlier ones had is synced and stays as it is.
pub(super) struct Frames {
    file: Arc<dyn File>,
    len: u64,
    epochs: Epochs,
    epoch: Option<u64>,
    at: u64,
    /// Of the next frame.
    number: u64,
    has_gap: bool,
}

impl Frames {
    pub(super) fn new(file: Arc<dyn File>, epochs: Epochs) -> io::Result<Self> {
        Ok(Self {
            len: file.len()?,
            file,
            epochs,
            epoch: None,
            at: START,
            number: 0,
            has_gap: false,
        })
    }

    /// Returns whether a frame was skipped that had been acknowledged.
    pub(super) fn has_gap(&self) -> bool {
        self.has_gap
    }

    /// Returns the next frame; `None` when there is none.
    pub(super) fn next(&mut self) -> io::Result<Option<Frame>> {
        let next = self.read(self.at)?;
        let next = next.filter(|frame| self.follows(frame) && frame.number() == self.number);
        let found = match (next, self.epochs) {
            (Some(frame), _) => Some((self.at, frame)),
            // Without a nonce a record could pass for a frame.
            (None, Epochs::Any) => None,
            (None, Epochs::From(_)) => self.search()?,
        };
        let Some((at, frame)) = found else {
            return Ok(None);
        };
        if self.at == START && at == START {
            self.epoch = Some(frame.epoch());
        }
        self.at = at + frame.bytes.len() as u64;
        self.number = frame.number() + 1;
        Ok(Some(frame))
    }

    /// Returns whether a frame may stand behind what was read.
    fn follows(&self, frame: &Frame) -> bool {
        match self.epoch {
            Some(epoch) => frame.epoch() == epoch && frame.number() >= self.number,
            None => self.epochs.contains(frame.epoch()),
        }
    }

    /// Looks behind a frame that is not whole for one that follows.
    fn search(&mut self) -> io::Result<Option<(u64, Frame)>> {
        let mut piece = Vec::new();
        let mut from = self.at + 1;
        while from + (FRAME_HEADER_BYTES as u64) <= self.len {
            piece.resize((self.len - from).min(PIECE_BYTES as u64) as usize, 0);
            read_exact_at(self.file.as_ref(), from, &mut piece)?;
            for (index, magic) in piece.windows(FRAME_MAGIC.len()).enumerate() {
                if magic != FRAME_MAGIC {
                    continue;
                }
                let at = from + index as u64;
                if let Some(frame) = self.read(at)?.filter(|frame| self.follows(frame)) {
                    self.has_gap |= self.epoch.is_some();
                    return Ok(Some((at, frame)));
                }
            }
            // A magic may stand across two pieces.
            from += (piece.len() - (FRAME_MAGIC.len() - 1)) as u64;
        }
        Ok(None)
    }

    /// Returns the frame at `at`; `None` when no whole one of this journal stands there.
    fn read(&self, at: u64) -> io::Result<Option<Frame>> {
        let left = self.len.saturating_sub(at);
        if left < FRAME_HEADER_BYTES as u64 {
            return Ok(None);
        }
        let mut bytes = vec![0; FRAME_HEADER_BYTES];
        read_exact_at(self.file.as_ref(), at, &mut bytes)?;
        let body = u64_at(&bytes, 24);
        // The epoch first: what looks like a frame but is not costs no more than its header.
        if bytes[..4] != FRAME_MAGIC
            || !self.epochs.contains(u64_at(&bytes, 8))
            || body > left - FRAME_HEADER_BYTES as u64
        {
            return Ok(None);
        }
        bytes.resize(FRAME_HEADER_BYTES + body as usize, 0);
        let (head, rest) = bytes.split_at_mut(FRAME_HEADER_BYTES);
        read_exact_at(self.file.as_ref(), at + FRAME_HEADER_BYTES as u64, rest)?;
        let crc = crc32c::crc32c_append(crc32c::crc32c(&head[..32]), rest);
        Ok((crc == u32_at(head, 32)).then_some(Frame { bytes }))
    }
}
