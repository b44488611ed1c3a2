//! Shards that show documents of a mapping that the root did not know when it planned.
//!
//! A field that a document has brought stands in the mapping before the document is shown. A root that has not heard of the
//! mapping takes the field for one that no document has. It asks for the cluster state in force then, and searches again;
//! where that cannot be had, the answer says that it may be old.

use super::restart::LookUps;
use super::{PlannedSearch, PreparedSearch, Searcher};
use crate::RootError;
use crate::plan::IndexPlan;
use crate::response::SearchResponse;

impl PlannedSearch {
    /// Returns how many shards answered from a newer mapping than the one that the query was resolved by.
    pub(super) fn num_outgrown(&self) -> u32 {
        let of_plan = |plan: &IndexPlan| {
            let known = plan.index.mapping.version;
            let generations = plan
                .shards
                .iter()
                .chain(&plan.hopeless)
                .chain(&plan.excluded);
            let generations = generations.filter_map(|shard| shard.generation);
            generations
                .filter(|generation| generation.mapping > known)
                .count()
        };
        self.plans.iter().map(of_plan).sum::<usize>() as u32
    }
}

impl Searcher {
    /// Returns whether a search is to be planned again: shards have answered from a newer mapping, which this root has by
    /// now.
    pub(super) async fn has_outgrown(
        &self,
        planned: Option<&PlannedSearch>,
        look_ups: &mut LookUps,
        search: &PreparedSearch<'_>,
    ) -> bool {
        let Some(planned) = planned.filter(|planned| planned.num_outgrown() > 0) else {
            return false;
        };
        if !look_ups.allow_another(search.deadline) {
            return false;
        }
        let Some(latest) = self.cluster.latest(search.deadline).await else {
            return false;
        };
        let is_newer = |plan: &IndexPlan| {
            let index = latest.indices.get(&plan.index.uuid);
            index.is_some_and(|index| index.mapping.version > plan.index.mapping.version)
        };
        planned.plans.iter().any(is_newer)
    }
}

/// Notes that so many shards show what the query was not resolved for.
///
/// # Errors
/// [`RootError::StaleRefused`] where the request wants no such answer.
pub(super) fn note_outgrown(
    response: &mut SearchResponse,
    num_outgrown: u32,
    refuse_stale: bool,
) -> Result<(), RootError> {
    if num_outgrown == 0 {
        return Ok(());
    }
    if refuse_stale {
        return Err(RootError::StaleRefused {
            stale: num_outgrown,
            total: response.shards.total,
        });
    }
    response.shards.stale = response.shards.stale.max(num_outgrown);
    response.edition = None;
    Ok(())
}
