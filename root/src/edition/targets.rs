//! What a search's names stand for, without a root: the indices, how each was reached, which shards are asked.

use std::collections::BTreeSet;

use gleaner_model::{ClusterState, ShardKey};
use gleaner_query::canonical::edition::{TargetIndex, Targets};
use gleaner_query::names;
use gleaner_query::search::SearchRequest;

use crate::RootError;
use crate::blocks::{self, Level};
use crate::plan::Target;
use crate::planner::routed_shards;
use crate::search::boost_of;

/// Returns the indices and shards that a search of `target` would read under `state`.
///
/// # Errors
/// Why the search would be refused: a name that is missing, an index that is closed or blocked, a factor for an index
/// that is not there.
pub fn targets_of(
    target: &Target,
    request: &SearchRequest,
    state: &ClusterState,
) -> Result<Targets, RootError> {
    for (name, _) in &request.indices_boost {
        names::resolve(name, state, &target.options)?;
    }
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
            boost: boost_of(&index, request),
            shards: shards.into_iter().map(|key| key.shard).collect(),
        });
    }
    indices.sort_by_key(|index| index.uuid);
    Ok(Targets { indices })
}
