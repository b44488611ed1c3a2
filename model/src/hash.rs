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
}
