//! What patterns stood for, and in which generations of the shards.

use std::sync::Arc;

use gleaner_model::Generation;
use gleaner_query::resolved::{ExpansionCandidate, ExpansionRequest};

use crate::plan::IndexPlan;

/// Bytes of candidates remembered, roughly.
const CACHE_BYTES: u64 = 4 << 20;

/// Candidates by the shards of an index and what was asked of them.
pub(crate) struct Cache(moka::sync::Cache<Vec<u8>, CachedExpansion>);

/// What shards answered, put together.
#[derive(Debug, Clone)]
pub(super) struct CachedExpansion {
    /// Of each shard, in order.
    pub(super) generations: Arc<Vec<Generation>>,
    /// For each pattern, in order.
    pub(super) candidates: Arc<Vec<Vec<ExpansionCandidate>>>,
}

impl Default for Cache {
    fn default() -> Self {
        let weigh = |key: &Vec<u8>, known: &CachedExpansion| {
            let candidates = known.candidates.iter().flatten();
            let terms: usize = candidates
                .map(|candidate| candidate.term.len() + size_of::<ExpansionCandidate>())
                .sum();
            let generations = size_of::<Generation>() * known.generations.len();
            u32::try_from(key.len() + terms + generations + 256).unwrap_or(u32::MAX)
        };
        let cache = moka::sync::Cache::builder();
        Self(cache.max_capacity(CACHE_BYTES).weigher(weigh).build())
    }
}

impl Cache {
    /// Remembers what the shards of `plan` answered to `wanted`.
    pub(super) fn keep(
        &self,
        plan: &IndexPlan,
        wanted: &[ExpansionRequest],
        known: CachedExpansion,
    ) {
        self.0.insert(key_of(plan, wanted), known);
    }

    /// Returns what the shards of `plan` answered to `wanted` before.
    pub(super) fn find(
        &self,
        plan: &IndexPlan,
        wanted: &[ExpansionRequest],
    ) -> Option<CachedExpansion> {
        self.0.get(&key_of(plan, wanted))
    }
}

/// Returns index, shards and patterns as unambiguous bytes.
fn key_of(plan: &IndexPlan, wanted: &[ExpansionRequest]) -> Vec<u8> {
    let mut key = Vec::with_capacity(128);
    key.extend(plan.index.uuid.0);
    key.extend((plan.shards.len() as u32).to_le_bytes());
    for planned in &plan.shards {
        key.extend(planned.shard.shard.0.to_le_bytes());
    }
    // Texts are quoted there, so that no two requests are written alike.
    key.extend(format!("{wanted:?}").into_bytes());
    key
}
