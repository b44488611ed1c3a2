//! Why a search found nothing in a shard, for roots that would ask in vain again.

use gleaner_engine::{EngineError, View, extent};
use gleaner_partial::control::Control;
use gleaner_query::answer::ShardHits;
use gleaner_query::resolved::{Extent, ShardQuery, Unmatched};

use crate::copy::shard::Shard;

impl Shard {
    /// Returns what excludes `query`, which has found `hits` in `view`, with a lease on it. `None` where
    /// something may match, where newer documents than the view's can be seen or soon will, and
    /// where it cannot be told.
    pub(crate) fn unmatched(
        &self,
        view: &View,
        query: &ShardQuery,
        hits: &ShardHits,
        control: &Control,
    ) -> Option<Box<Unmatched>> {
        let has_found = hits.total > 0 || !hits.hits.is_empty();
        let leases = &self.applier.leases;
        // A copy that may be stale is asked each time, so that each answer can say so.
        if has_found
            || hits.may_be_stale
            || hits.timed_out
            || hits.terminated_early
            || !leases.is_quiet()
        {
            return None;
        }
        let extent = match excluding(view, query, control) {
            Ok(extent) => extent?,
            Err(error) => {
                tracing::debug!(shard = %self.key, %error, "why nothing matches was not told");
                return None;
            }
        };
        // A copy that is being closed gives none: nobody would wait for it. Nor does one that has more
        // to show: it is written to, and its next refresh is near.
        let is_newest = || {
            self.engine().view().generation() == view.generation()
                && self.applier.failure().is_none()
                && self.shows_all()
                && self.pipeline.state().num_in_flight == 0
        };
        let lease = leases.give(is_newest)?;
        Some(Box::new(Unmatched { extent, lease }))
    }
}

/// Returns what excludes the query or, without aggregations, which do not heed it, its post filter.
fn excluding(
    view: &View,
    query: &ShardQuery,
    control: &Control,
) -> Result<Option<Extent>, EngineError> {
    let known = extent::extent(view, &query.query, control)?;
    if known.excludes(&query.query) {
        return Ok(Some(known));
    }
    match &query.post_filter {
        Some(filter) if query.aggregations.is_empty() => {
            let known = extent::extent(view, filter, control)?;
            Ok(known.excludes(filter).then_some(known))
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests;
