//! How the copies that serve are spread over indices.

use gleaner_model::IndexMeta;
use gleaner_root::read::LocatedShard;
use serde_json::{Value, json};

use super::super::health::{CopiesByShard, Health};

/// Returns how many of `copies` serve, all together and index by index; the latter of indices that serve alone.
pub(super) fn of_copies(indices: &[&IndexMeta], copies: &[LocatedShard]) -> Value {
    let by_shard = &CopiesByShard::of(copies);
    let all = Health::of_all(indices.iter().copied(), by_shard);
    let counts = indices
        .iter()
        .map(|index| Health::of_index(index, by_shard));
    let counts: Vec<Health> = counts
        .filter(|health| health.active_primaries > 0)
        .collect();
    let mut shown = json!({"total": all.active, "primaries": all.active_primaries});
    if counts.is_empty() {
        return shown;
    }
    shown["replication"] = replication(&all).into();
    shown["index"] = json!({
        "shards": of_counts(counts.iter().map(|health| health.active)),
        "primaries": of_counts(counts.iter().map(|health| health.active_primaries)),
        "replication": of_ratios(counts.iter().map(replication)),
    });
    shown
}

/// Returns how many replicas serve for each primary that does.
fn replication(health: &Health) -> f64 {
    let (active, primaries) = (health.active as f64, health.active_primaries as f64);
    (active - primaries) / primaries
}

/// Returns the least, the most and the mean of `counts`, of which there is one at least.
fn of_counts(counts: impl Iterator<Item = u64>) -> Value {
    let counts: Vec<u64> = counts.collect();
    json!({
        "min": counts.iter().min(),
        "max": counts.iter().max(),
        "avg": counts.iter().sum::<u64>() as f64 / counts.len() as f64,
    })
}

/// Returns the same of `ratios`.
fn of_ratios(ratios: impl Iterator<Item = f64>) -> Value {
    let ratios: Vec<f64> = ratios.collect();
    json!({
        "min": ratios.iter().copied().fold(f64::INFINITY, f64::min),
        "max": ratios.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        "avg": ratios.iter().sum::<f64>() / ratios.len() as f64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_its_bounds_and_its_mean() {
        let counts = of_counts([1, 4, 1].into_iter());
        assert_eq!(counts, json!({"min": 1, "max": 4, "avg": 2.0}));
        let ratios = of_ratios([0.5, 1.5].into_iter());
        assert_eq!(ratios, json!({"min": 0.5, "max": 1.5, "avg": 1.0}));
        let none = of_copies(&[], &[]);
        assert_eq!(none, json!({"total": 0, "primaries": 0}));
    }
}
