//! Which shard a document belongs to.

use gleaner_model::ShardNumber;
use gleaner_model::hash::routing_hash;

/// Returns the shard of a document: `hash(routing) % slots / (slots / shards)`.
///
/// `routing` is the routing value when the write carries one, else the `_id`. `slots` is the
/// index's `routing_slots`, a multiple of `shards`; both are ≥ 1. Neighbouring slots share a shard,
/// so an index that is split later by a whole factor splits each shard into neighbours.
///
/// # Panics
/// When `shards` is 0 or `slots` < `shards`: settings are checked before they get here.
pub fn shard_of(routing: &str, slots: u32, shards: u32) -> ShardNumber {
    let slot = routing_hash(routing) % u64::from(slots);
    let slots_per_shard = u64::from(slots / shards);
    ShardNumber((slot / slots_per_shard) as u32)
}

#[cfg(test)]
mod tests {
    use gleaner_model::settings::routing_slots_for;

    use super::*;

    #[test]
    fn routing_is_frozen() {
        let shards: Vec<u32> = ["", "1", "2", "doc-1", "gleaner", "日本"]
            .iter()
            .map(|id| shard_of(id, routing_slots_for(8), 8).0)
            .collect();
        assert_eq!(shards, [3, 4, 3, 4, 3, 7]);
    }

    #[test]
    fn ids_spread_evenly_over_shards() {
        for shards in [1_u32, 3, 4, 8, 64] {
            let mut counts = vec![0_u32; shards as usize];
            let documents = 64_000;
            for n in 0..documents {
                counts[shard_of(&format!("d{n}"), routing_slots_for(shards), shards).0 as usize] +=
                    1;
            }
            let expected = f64::from(documents) / f64::from(shards);
            let chi_square: f64 = counts
                .iter()
                .map(|c| (f64::from(*c) - expected).powi(2) / expected)
                .sum();
            // Mean is shards − 1; twice that plus 20 is far beyond the 99.9th percentile.
            assert!(
                chi_square < 2.0 * f64::from(shards) + 20.0,
                "{shards}: {chi_square}"
            );
        }
    }

    #[test]
    fn a_split_by_a_whole_factor_keeps_neighbours_together() {
        let slots = routing_slots_for(8);
        for n in 0..1_000 {
            let id = format!("d{n}");
            assert_eq!(shard_of(&id, slots, 4).0, shard_of(&id, slots, 8).0 / 2);
        }
    }
}
