//! Frozen hashes: where a document lives and how ties are broken. Never change a constant here.
//!
//! XXH3-64 (xxHash specification 0.1.1) with two seeds, so that the order among equal scores says
//! nothing about the shard. Test vectors below freeze both.

use twox_hash::XxHash3_64;

/// Seed of the routing hash ("gleanrt1" read as a number).
const ROUTING_SEED: u64 = 0x676c_6561_6e72_7431;
/// Seed of the tie-break hash ("gleantb1" read as a number).
const TIE_BREAK_SEED: u64 = 0x676c_6561_6e74_6231;

/// Returns the hash that decides the routing slot of `routing` (a routing value or an `_id`).
pub fn routing_hash(routing: &str) -> u64 {
    XxHash3_64::oneshot_with_seed(ROUTING_SEED, routing.as_bytes())
}

/// Returns the hash that orders documents whose score or sort keys are equal.
pub fn tie_break_hash(id: &str) -> u64 {
    XxHash3_64::oneshot_with_seed(TIE_BREAK_SEED, id.as_bytes())
}

/// Returns which of `num_slices` slices, from 0, a document is in, by the [`tie_break_hash`] of its id; 0
/// slices are taken for 1.
///
/// The hash is mixed once more, so that a slice says nothing about the order among equal scores. The mixing
/// is that of SplitMix64 (Steele, Lea and Flood: *Fast Splittable Pseudorandom Number Generators*, OOPSLA
/// 2014).
pub fn slice_of(tie_break: u64, num_slices: u32) -> u32 {
    let mixed = (tie_break ^ (tie_break >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let mixed = mixed ^ (mixed >> 31);
    (mixed % u64::from(num_slices.max(1))) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_frozen() {
        let vectors = [
            ("", routing_hash(""), tie_break_hash("")),
            ("1", routing_hash("1"), tie_break_hash("1")),
            (
                "gleaner",
                routing_hash("gleaner"),
                tie_break_hash("gleaner"),
            ),
        ];
        let expected = include_str!("hash/vectors.txt");
        let lines: Vec<String> = vectors
            .iter()
            .map(|(id, r, t)| format!("{id:?} {r:016x} {t:016x}"))
            .collect();
        assert_eq!(lines.join("\n"), expected.trim_end());
    }

    #[test]
    fn slices_are_frozen() {
        for (id, expected) in [
            ("", [0, 0, 1, 0, 5, 965]),
            ("1", [0, 0, 0, 0, 1, 578]),
            ("gleaner", [0, 0, 0, 1, 6, 572]),
        ] {
            let hash = tie_break_hash(id);
            let slices = [0, 1, 2, 3, 7, 1_024].map(|num_slices| slice_of(hash, num_slices));
            assert_eq!(slices, expected, "{id:?}");
        }
    }
}
