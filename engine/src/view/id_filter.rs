//! Which ids a segment may have: asked before the segment itself is.
//!
//! A write under an explicit id looks the id up in every segment, and nearly every segment lacks it.
//! A Bloom filter of the ids' hashes answers that from one cache line. It is split into blocks as in
//! Apache Parquet (Putze, Sanders, Singler: *Cache-, Hash- and Space-Efficient Bloom Filters*, 2007).
//! A segment never gets new ids, so it is made once, when an id is first asked for, and dropped with
//! the segment; deletions leave it as it is.

use tantivy::columnar::ColumnValues;

/// Bits per document: about one in 200 absent ids is taken for one that may be there.
const BITS_PER_DOCUMENT: usize = 12;

/// Multipliers that draw one bit of each lane from a hash; those of Parquet's specification.
const SALTS: [u32; 8] = [
    0x47b6_137b,
    0x4497_4d91,
    0x8824_ad5b,
    0xa2b7_289d,
    0x7054_95c7,
    0x2df1_424b,
    0x9efc_4947,
    0x5c6b_fb31,
];

/// One cache line's half: a bit set in each lane per id.
type Block = [u32; 8];

/// A set of hashes that may hold more than was put in.
pub(super) struct IdFilter {
    blocks: Vec<Block>,
}

impl IdFilter {
    /// Makes the filter of a segment from the tie-break hashes of its documents' ids.
    pub(super) fn of(hashes: &dyn ColumnValues<u64>) -> Self {
        let num_bits = hashes.num_vals() as usize * BITS_PER_DOCUMENT;
        let mut filter = Self {
            blocks: vec![Block::default(); num_bits.div_ceil(256).max(1)],
        };
        for document in 0..hashes.num_vals() {
            filter.insert(hashes.get_val(document));
        }
        filter
    }

    /// Returns whether a document whose id has this hash may be in the segment; never wrong when it
    /// says no.
    pub(super) fn may_have(&self, hash: u64) -> bool {
        let block = &self.blocks[self.place(hash)];
        block
            .iter()
            .zip(mask(hash))
            .all(|(lane, bit)| lane & bit != 0)
    }

    fn insert(&mut self, hash: u64) {
        let place = self.place(hash);
        for (lane, bit) in self.blocks[place].iter_mut().zip(mask(hash)) {
            *lane |= bit;
        }
    }

    /// The upper half of the hash picks the block, the lower half the bits in it.
    fn place(&self, hash: u64) -> usize {
        (((hash >> 32) * self.blocks.len() as u64) >> 32) as usize
    }
}

fn mask(hash: u64) -> Block {
    SALTS.map(|salt| 1 << ((hash as u32).wrapping_mul(salt) >> 27))
}

#[cfg(test)]
mod tests {
    use gleaner_model::hash::tie_break_hash;

    use super::*;
    use crate::schema::testing::InMemory;

    #[test]
    fn no_id_is_missed_and_few_others_are_taken_for_one() {
        for num_documents in [0, 1, 7, 10_000] {
            let hash = |n: u32| tie_break_hash(&n.to_string());
            let filter = IdFilter::of(&InMemory((0..num_documents).map(hash).collect()));
            assert!((0..num_documents).all(|n| filter.may_have(hash(n))));
            let absent = num_documents..num_documents + 10_000;
            let num_wrong = absent.filter(|n| filter.may_have(hash(*n))).count();
            assert!(num_wrong < 150, "{num_wrong} of 10,000 at {num_documents}");
        }
    }
}
