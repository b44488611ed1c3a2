//! Where a term stands in its documents.
//!
//! ```text
//! positions = number of full blocks: varint
//!             width of each full block: u8, bits
//!             full blocks: 128 gaps, bit-packed, each in 16 · width bytes
//!             tail: fewer than 128 gaps; varints
//! ```
//!
//! The gaps of all documents follow each other, as many per document as the term has occurrences
//! there; the first of a document counts from 0.

use bitpacking::{BitPacker, BitPacker4x};

use super::block::{BLOCK, WIDEST, take_varint};
use super::cursor::Cursor;
use crate::EngineError;

/// Reads positions of documents of one list, forwards only.
pub(crate) struct Positions<'a> {
    unpacker: BitPacker4x,
    widths: &'a [u8],
    /// Full blocks from `next` on, and the tail.
    bytes: &'a [u8],
    /// The block that `bytes` starts with.
    next: usize,
    /// The block that is decoded.
    decoded: Option<usize>,
    gaps: [u32; BLOCK],
    num_gaps: usize,
    /// Blocks of the list, and occurrences in them, that lie before the last document asked about.
    passed: (u32, u64),
}

impl<'a> Positions<'a> {
    /// Takes the bytes of a term's positions apart.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] when they are too few.
    pub(super) fn open(mut bytes: &'a [u8]) -> Result<Self, EngineError> {
        let num_full = take_varint(&mut bytes).ok_or_else(damaged)? as usize;
        let (widths, bytes) = bytes.split_at_checked(num_full).ok_or_else(damaged)?;
        Ok(Self {
            unpacker: BitPacker4x::new(),
            widths,
            bytes,
            next: 0,
            decoded: None,
            gaps: [0; BLOCK],
            num_gaps: 0,
            passed: (0, 0),
        })
    }

    /// Leaves in `positions` where the term stands in the document that `cursor`, of the term's list,
    /// stands on, ascending. Documents never fall.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`].
    pub(crate) fn read(
        &mut self,
        cursor: &mut Cursor<'_>,
        positions: &mut Vec<u32>,
    ) -> Result<(), EngineError> {
        let (mut block, mut passed) = self.passed;
        while block < cursor.place().index {
            let inside = cursor.list().num_occurrences(block).ok_or_else(damaged)?;
            passed += u64::from(inside);
            block += 1;
        }
        self.passed = (block, passed);
        let start = passed + cursor.num_occurrences_before()?;
        positions.clear();
        self.take(start, cursor.frequency()?, positions)
            .ok_or_else(damaged)
    }

    /// Adds up `count` gaps from the `start`-th on.
    fn take(&mut self, start: u64, count: u32, positions: &mut Vec<u32>) -> Option<()> {
        let mut block = usize::try_from(start / BLOCK as u64).ok()?;
        let mut first = (start % BLOCK as u64) as usize;
        let (mut left, mut position) = (count as usize, 0_u32);
        while left > 0 {
            self.decode(block)?;
            let gaps = self.gaps[..self.num_gaps].get(first..)?;
            let taken = gaps.len().min(left);
            for gap in &gaps[..taken] {
                position = position.checked_add(*gap)?;
                positions.push(position);
            }
            if taken == 0 {
                return None;
            }
            left -= taken;
            (block, first) = (block + 1, 0);
        }
        Some(())
    }

    fn decode(&mut self, block: usize) -> Option<()> {
        if self.decoded == Some(block) {
            return Some(());
        }
        let passed = self.widths.get(self.next..block)?;
        let passed: usize = passed.iter().map(|&width| num_bytes(width)).sum();
        self.bytes = self.bytes.get(passed..)?;
        self.next = block;
        self.num_gaps = match self.widths.get(block) {
            Some(&width) if width > WIDEST => return None,
            Some(&width) => {
                let bytes = self.bytes.get(..num_bytes(width))?;
                self.unpacker.decompress(bytes, &mut self.gaps, width);
                BLOCK
            }
            None => unpack_tail(self.bytes, &mut self.gaps)?,
        };
        self.decoded = Some(block);
        Some(())
    }
}

/// Returns how many bytes a full block takes.
fn num_bytes(width: u8) -> usize {
    usize::from(width) * (BLOCK / 8)
}

fn unpack_tail(mut bytes: &[u8], gaps: &mut [u32; BLOCK]) -> Option<usize> {
    let mut num_gaps = 0;
    while !bytes.is_empty() {
        *gaps.get_mut(num_gaps)? = take_varint(&mut bytes)?;
        num_gaps += 1;
    }
    Some(num_gaps)
}

fn damaged() -> EngineError {
    EngineError::Corrupt("the positions of a term end too early".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open_and_take(bytes: &[u8], start: u64, count: u32) -> Option<Vec<u32>> {
        let mut found = Vec::new();
        Positions::open(bytes)
            .ok()?
            .take(start, count, &mut found)?;
        Some(found)
    }

    #[test]
    fn gaps_are_added_up_over_the_tail() {
        // No full block; gaps 3, 0, 200.
        let bytes = [0x80, 0x83, 0x80, 0x48, 0x81];
        assert_eq!(open_and_take(&bytes, 0, 3), Some(vec![3, 3, 203]));
        assert_eq!(open_and_take(&bytes, 1, 2), Some(vec![0, 200]));
    }

    #[test]
    fn bytes_that_are_missing_or_wrong_are_told() {
        assert!(Positions::open(&[]).is_err(), "no number of blocks");
        assert!(
            Positions::open(&[0x85, 1, 2]).is_err(),
            "five widths are due"
        );
        assert_eq!(open_and_take(&[0x80, 0x83], 0, 2), None, "one gap of two");
        assert_eq!(open_and_take(&[0x80, 0x03], 0, 1), None, "half a number");
        assert_eq!(open_and_take(&[0x81, 40], 0, 1), None, "40 bits");
        assert_eq!(open_and_take(&[0x81, 7, 1, 2], 0, 1), None, "a short block");
        assert_eq!(open_and_take(&[0x80, 0x83], 500, 1), None, "far behind");
    }
}
