//! One posting list as it stands in the file, and its skip data.
//!
//! ```text
//! list   = [length of skips: varint, skips]   only with 128 documents or more
//!          full blocks, tail
//! skips  = one entry per full block:
//!          last document       u32, little endian
//!          width of documents  u8: bits; 0x40: their gaps are stored less one
//!          width of tfs        u8: bits
//!          sum of tfs          u32; only where the column has positions
//!          best document       u8 norm id, u8 tf (255: any from 255 on)
//! block  = 128 gaps between documents, 128 tfs less one; bit-packed, each in 16 · width bytes
//! tail   = fewer than 128 gaps, then their tfs; varints
//! varint = 7 bits a byte, the lowest first; the last byte has 0x80
//! ```
//!
//! The best document of a block is the one with the largest tf / norm under the average length of
//! the segment at its writing.

use super::block::{BLOCK, Block};
use crate::EngineError;

/// Bytes of a skip entry where the column has positions.
const ENTRY_WITH_POSITIONS: usize = 12;

/// A posting list of a text column.
#[derive(Clone, Copy)]
pub(crate) struct PostingList<'a> {
    num_documents: u32,
    entry_bytes: usize,
    skips: &'a [u8],
    blocks: &'a [u8],
}

/// Where a block stands in its list, and what its skip entry says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Number of the block; the tail comes after all full ones.
    pub(crate) index: u32,
    /// Last document of the block before, 0 for the first.
    pub(crate) before: u32,
    /// Last document; of the tail, the largest number there is.
    pub(crate) last: u32,
    /// Documents in the block, 0 behind the last.
    pub(crate) len: u32,
    /// Norm id and tf of the best document; `None` for the tail, where it is not stored.
    pub(crate) best: Option<(u8, u32)>,
    offset: usize,
    widths: Widths,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Widths {
    documents: u8,
    frequencies: u8,
    is_strict: bool,
}

impl Widths {
    fn num_bytes(self) -> usize {
        (usize::from(self.documents) + usize::from(self.frequencies)) * (BLOCK / 8)
    }
}

impl<'a> PostingList<'a> {
    /// Takes the bytes of a list of `num_documents` documents apart.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] when they are too few.
    pub(crate) fn open(
        bytes: &'a [u8],
        num_documents: u32,
        has_positions: bool,
    ) -> Result<Self, EngineError> {
        let entry_bytes = if has_positions {
            ENTRY_WITH_POSITIONS
        } else {
            8
        };
        let num_full = num_documents as usize / BLOCK;
        let (mut skips, mut blocks): (&[u8], &[u8]) = (&[], bytes);
        if num_full > 0 {
            let len = super::block::take_varint(&mut blocks).unwrap_or(u32::MAX) as usize;
            if len != num_full * entry_bytes || len > blocks.len() {
                let reason = format!("a posting list of {num_documents} has {len} bytes of skips");
                return Err(EngineError::Corrupt(reason));
            }
            (skips, blocks) = blocks.split_at(len);
        }
        Ok(Self {
            num_documents,
            entry_bytes,
            skips,
            blocks,
        })
    }

    /// Returns how many documents the list has, deleted ones included.
    pub(crate) fn num_documents(&self) -> u32 {
        self.num_documents
    }

    /// Returns how many blocks of 128 documents there are.
    pub(crate) fn num_full_blocks(&self) -> u32 {
        self.num_documents / BLOCK as u32
    }

    /// Returns how often the term occurs in full block `index`; only lists with positions know.
    pub(super) fn num_occurrences(&self, index: u32) -> Option<u32> {
        let at = index as usize * self.entry_bytes;
        let entry = self.skips.get(at..at + self.entry_bytes)?;
        let sum = entry.get(6..10).filter(|_| self.has_positions())?;
        Some(u32::from_le_bytes(sum.try_into().ok()?))
    }

    fn has_positions(&self) -> bool {
        self.entry_bytes == ENTRY_WITH_POSITIONS
    }

    /// Returns the first block.
    pub(crate) fn first(&self) -> Place {
        self.place(0, 0, 0)
    }

    /// Returns the block after `place`; behind the last one, an empty one without end.
    pub(crate) fn next(&self, place: &Place) -> Place {
        self.place(
            place.index + 1,
            place.last,
            place.offset + place.widths.num_bytes(),
        )
    }

    #[inline]
    fn place(&self, index: u32, before: u32, offset: usize) -> Place {
        let at = index as usize * self.entry_bytes;
        let Some(entry) = self.skips.get(at..at + self.entry_bytes) else {
            return self.tail(index, before, offset);
        };
        let best = &entry[self.entry_bytes - 2..];
        Place {
            index,
            before,
            last: u32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]]),
            len: BLOCK as u32,
            best: Some((
                best[0],
                if best[1] == u8::MAX {
                    u32::MAX
                } else {
                    u32::from(best[1])
                },
            )),
            offset,
            widths: Widths {
                documents: entry[4] & 0x1f,
                frequencies: entry[5],
                is_strict: entry[4] & 0x40 != 0,
            },
        }
    }

    fn tail(&self, index: u32, before: u32, offset: usize) -> Place {
        let is_behind = index > self.num_full_blocks();
        Place {
            index,
            before,
            last: u32::MAX,
            len: if is_behind {
                0
            } else {
                self.num_documents % BLOCK as u32
            },
            best: None,
            offset,
            widths: Widths::default(),
        }
    }

    /// Decodes the documents of a block, and of a tail its frequencies too.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] when bytes are missing.
    pub(crate) fn read_documents(
        &self,
        place: &Place,
        block: &mut Block,
    ) -> Result<(), EngineError> {
        let bytes = self.blocks.get(place.offset..).ok_or_else(damaged)?;
        if place.best.is_none() {
            return block
                .unpack_tail(bytes, place.before, place.len as usize)
                .ok_or_else(damaged);
        }
        let Widths {
            documents,
            is_strict,
            ..
        } = place.widths;
        block
            .unpack_documents(bytes, place.before, documents, is_strict)
            .ok_or_else(damaged)
    }

    /// Decodes the frequencies of a block whose documents were read.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] when bytes are missing.
    pub(crate) fn read_frequencies(
        &self,
        place: &Place,
        block: &mut Block,
    ) -> Result<(), EngineError> {
        if place.best.is_none() {
            return Ok(());
        }
        let Widths {
            documents,
            frequencies,
            is_strict,
        } = place.widths;
        let start = place.offset + usize::from(documents) * (BLOCK / 8);
        let bytes = self.blocks.get(start..).ok_or_else(damaged)?;
        block
            .unpack_frequencies(bytes, frequencies, is_strict)
            .ok_or_else(damaged)
    }
}

fn damaged() -> EngineError {
    EngineError::Corrupt("a posting list ends too early".to_owned())
}
