//! A decoded block: up to 128 documents with their term frequencies.

use std::cell::RefCell;

use bitpacking::{BitPacker, BitPacker4x};
use tantivy::TERMINATED;

/// Documents of a full block.
pub(crate) const BLOCK: usize = BitPacker4x::BLOCK_LEN;
/// Bits of the widest number.
pub(super) const WIDEST: u8 = 32;
/// Documents looked at together when one is searched for.
const RUN: usize = 16;

/// Blocks that a thread keeps for its next lists, at most: some 64 KiB.
const MOST_SPARE: usize = 64;

thread_local! {
    #[expect(clippy::vec_box, reason = "a box is lent out and comes back; its block does not move")]
    static SPARE: RefCell<Vec<Box<Block>>> = const { RefCell::new(Vec::new()) };
}

/// Documents and frequencies of a block.
pub(crate) struct Block {
    unpacker: BitPacker4x,
    /// Ascending; behind the last, [`TERMINATED`].
    documents: [u32; BLOCK],
    frequencies: [u32; BLOCK],
    len: usize,
}

impl Block {
    /// Returns a block of whatever content; one that the thread has used, if there is one.
    pub(super) fn take() -> Box<Self> {
        let spare = SPARE.with_borrow_mut(Vec::pop);
        spare.unwrap_or_else(|| {
            Box::new(Self {
                unpacker: BitPacker4x::new(),
                documents: [TERMINATED; BLOCK],
                frequencies: [0; BLOCK],
                len: 0,
            })
        })
    }

    /// Leaves a block for the thread's next lists.
    pub(super) fn give_back(self: Box<Self>) {
        SPARE.with_borrow_mut(|spare| {
            if spare.len() < MOST_SPARE {
                spare.push(self);
            }
        });
    }

    /// Returns the documents, ascending.
    pub(crate) fn documents(&self) -> &[u32] {
        &self.documents[..self.len]
    }

    /// Returns the frequencies beside the documents.
    pub(crate) fn frequencies(&self) -> &[u32] {
        &self.frequencies[..self.len]
    }

    /// Returns the document at `position`, [`TERMINATED`] behind the last.
    pub(crate) fn document(&self, position: usize) -> u32 {
        self.documents.get(position).copied().unwrap_or(TERMINATED)
    }

    /// Returns the frequency at `position`.
    pub(crate) fn frequency(&self, position: usize) -> u32 {
        self.frequencies[position]
    }

    /// Returns the position of the first document from `target` on; 128 when there is none in a
    /// full block. Has no branches to mispredict.
    #[inline]
    pub(crate) fn position_of(&self, target: u32) -> usize {
        // Documents are below 2³¹, and signed numbers compare faster.
        let target = target.min(TERMINATED) as i32;
        let is_before = |document: &u32| u32::from((*document as i32) < target);
        let mut run = 0_u32;
        for last in self.documents.iter().skip(RUN - 1).step_by(RUN) {
            run = run.wrapping_add(is_before(last));
        }
        let start = run as usize * RUN;
        let Some(candidates) = self.documents.get(start..start + RUN) else {
            return BLOCK;
        };
        let mut within = 0_u32;
        for document in candidates {
            within = within.wrapping_add(is_before(document));
        }
        start + within as usize
    }

    pub(super) fn unpack_documents(
        &mut self,
        bytes: &[u8],
        before: u32,
        width: u8,
        is_strict: bool,
    ) -> Option<()> {
        let bytes = bytes.get(..usize::from(width) * (BLOCK / 8))?;
        let documents = &mut self.documents;
        if is_strict {
            let before = (before > 0).then_some(before);
            self.unpacker
                .decompress_strictly_sorted(before, bytes, documents, width);
        } else {
            self.unpacker
                .decompress_sorted(before, bytes, documents, width);
        }
        self.len = BLOCK;
        Some(())
    }

    pub(super) fn unpack_frequencies(
        &mut self,
        bytes: &[u8],
        width: u8,
        is_less_one: bool,
    ) -> Option<()> {
        if width > WIDEST {
            return None;
        }
        let bytes = bytes.get(..usize::from(width) * (BLOCK / 8))?;
        self.unpacker
            .decompress(bytes, &mut self.frequencies, width);
        if is_less_one {
            for frequency in &mut self.frequencies {
                *frequency = frequency.wrapping_add(1);
            }
        }
        Some(())
    }

    pub(super) fn unpack_tail(&mut self, mut bytes: &[u8], before: u32, len: usize) -> Option<()> {
        let mut document = before;
        for slot in &mut self.documents[..len] {
            document = document.checked_add(take_varint(&mut bytes)?)?;
            *slot = document;
        }
        self.documents[len..].fill(TERMINATED);
        unpack_varints(bytes, &mut self.frequencies[..len])?;
        self.len = len;
        Some(())
    }
}

/// Fills `values` from the varints that `bytes` begin with.
fn unpack_varints(mut bytes: &[u8], values: &mut [u32]) -> Option<()> {
    let are_single = bytes.len() == values.len() && bytes.iter().all(|byte| byte & 0x80 != 0);
    if are_single {
        for (value, byte) in values.iter_mut().zip(bytes) {
            *value = u32::from(byte & 0x7f);
        }
        return Some(());
    }
    for value in values {
        *value = take_varint(&mut bytes)?;
    }
    Some(())
}

/// Takes a varint off the front of `bytes`; `None` when they end before it or it is too large.
#[inline]
pub(super) fn take_varint(bytes: &mut &[u8]) -> Option<u32> {
    // Most take one byte or two.
    if let [first, second, ..] = **bytes {
        if first & 0x80 != 0 {
            *bytes = &bytes[1..];
            return Some(u32::from(first & 0x7f));
        }
        if second & 0x80 != 0 {
            *bytes = &bytes[2..];
            return Some(u32::from(first) | u32::from(second & 0x7f) << 7);
        }
    }
    take_long_varint(bytes)
}

fn take_long_varint(bytes: &mut &[u8]) -> Option<u32> {
    let mut value = 0_u64;
    for at in 0..5 {
        let byte = *bytes.get(at)?;
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 != 0 {
            *bytes = &bytes[at + 1..];
            return u32::try_from(value).ok();
        }
    }
    None
}
