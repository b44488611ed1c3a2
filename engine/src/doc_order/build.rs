//! Sorting the documents of a segment.

use tantivy::DocId;

/// Bits below which a distance of keys and a rank stand in one number.
const RANK_BITS: u32 = 32;

/// Returns documents ascending by hash; `hashes` has one of each, in their order.
pub(crate) fn by_hash(hashes: impl Iterator<Item = u64>) -> Vec<DocId> {
    let mut pairs: Vec<(u64, DocId)> = hashes.zip(0..).collect();
    pairs.sort_unstable();
    pairs.into_iter().map(|(_, doc)| doc).collect()
}

/// Returns documents ascending by key, equal ones as they stand in `ranked`, an order of all documents; `keys` has one of
/// each, by document.
pub(crate) fn by_key(keys: &[u64], ranked: impl Iterator<Item = DocId>) -> Vec<DocId> {
    let least = keys.iter().min().copied().unwrap_or_default();
    let most = keys.iter().max().copied().unwrap_or_default();
    let of_rank: Vec<DocId> = ranked.collect();
    let ranks = of_rank.iter().zip(0_u32..);
    if (most - least) >> (u64::BITS - RANK_BITS) == 0 {
        // Numbers of one word are sorted twice as fast as pairs.
        let packed =
            ranks.map(|(&doc, rank)| (keys[doc as usize] - least) << RANK_BITS | u64::from(rank));
        let mut packed: Vec<u64> = packed.collect();
        packed.sort_unstable();
        return packed
            .into_iter()
            .map(|both| of_rank[both as u32 as usize])
            .collect();
    }
    let mut pairs: Vec<(u64, u32)> = ranks
        .map(|(&doc, rank)| (keys[doc as usize], rank))
        .collect();
    pairs.sort_unstable();
    pairs
        .into_iter()
        .map(|(_, rank)| of_rank[rank as usize])
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn documents_stand_by_key_then_hash(
            documents in proptest::collection::vec((prop_oneof![0_u64..9, any::<u64>()], any::<u64>()), 0..200),
            is_narrow in any::<bool>(),
        ) {
            let keys = documents.iter().map(|(key, _)| if is_narrow { key % 1_000 + (1 << 60) } else { *key });
            let keys: Vec<u64> = keys.collect();
            let hashes = documents.iter().map(|(_, hash)| hash % 100);
            let hashes: Vec<u64> = hashes.collect();
            let by_hash = by_hash(hashes.iter().copied());
            let found = by_key(&keys, by_hash.iter().copied());
            let mut expected: Vec<DocId> = (0..documents.len() as DocId).collect();
            expected.sort_by_key(|&doc| (keys[doc as usize], hashes[doc as usize], doc));
            prop_assert_eq!(found, expected);
        }
    }
}
