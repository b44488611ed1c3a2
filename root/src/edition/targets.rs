//! What a search's names stand for, without a root: the indices, how each was reached, which shards are asked.

use std::collections::BTreeSet;

use gleaner_model::{ClusterState, ShardKey};
use gleaner_query::canonical::edition::{TargetIndex, Targets};
use gleaner_query::names::{self, IndexBoosts};
use gleaner_query::search::SearchRequest;

use crate::RootError;
use crate::blocks::{self, Level};
use crate::plan::Target;
use crate::planner::routed_shards;

/// Returns the indices and shards that a search of `target` would read under `state`; `now_ms` is the request's time.
///
/// # Errors
/// Why the search would be refused: a name that is missing, an index that is closed or blocked, a factor for an index
/// that is not there.
pub fn targets_of(
    target: &Target,
    request: &SearchRequest,
    state: &ClusterState,
    now_ms: i64,
) -> Result<Targets, RootError> {
    let boosts = IndexBoosts::resolve(&request.indices_boost, state, &target.options, now_ms)?;
    let mut indices = Vec::new();
    for found in names::resolve(target.name(), state, &target.options)? {
        let index = found.meta;
        if index.is_closed {
            return Err(RootError::IndexClosed(index.name.to_string()));
        }
        blocks::check(&index, Level::Read)?;
        let of_aliases = found.search_routing.as_deref();
        let routing = names::search_routing(target.routing.as_deref(), of_aliases);
        let shards: BTreeSet<ShardKey> = routed_shards(&index, routing.as_ref()).collect();
        indices.push(TargetIndex {
            uuid: index.uuid,
            filters: found.filters.iter().map(ToString::to_string).collect(),
            boost: boosts.of(&index.uuid),
            shards: shards.into_iter().map(|key| key.shard).collect(),
        });
    }
    indices.sort_by_key(|index| index.uuid);
    Ok(Targets { indices })
}
