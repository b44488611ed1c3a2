//! Names of indices for people, by UUID: what [`ShardKey`](crate::ShardKey) is displayed with.
//!
//! Does: remember the names that cluster states hold, for the whole process. Does not: say whether an
//! index exists. An index is never renamed and a UUID is never given again, so a name that was learned once
//! stays true; one of a deleted index is kept for the last words about it. Called by whatever publishes a
//! cluster state ([`learn`]) and by `Display` of shard keys ([`of`]).

use std::collections::HashMap;
use std::sync::{LazyLock, PoisonError, RwLock};

use crate::{ClusterState, IndexName, IndexUuid};

/// Names of deleted indices that are kept at most, next to those that exist.
const NUM_DELETED: usize = 4_096;

static NAMES: LazyLock<RwLock<HashMap<IndexUuid, IndexName>>> = LazyLock::new(RwLock::default);

/// Remembers the names of all indices of `state`.
pub fn learn(state: &ClusterState) {
    let indices = || state.indices.values();
    let known = NAMES.read().unwrap_or_else(PoisonError::into_inner);
    let is_new = indices().any(|index| !known.contains_key(&index.uuid));
    drop(known);
    if !is_new {
        return;
    }
    let mut known = NAMES.write().unwrap_or_else(PoisonError::into_inner);
    if known.len() > state.indices.len() + NUM_DELETED {
        known.clear();
    }
    known.extend(indices().map(|index| (index.uuid, index.name.clone())));
}

/// Returns what people call the index: its name, or its UUID where no cluster state has told it.
pub fn shown(uuid: &IndexUuid) -> String {
    of(uuid).map_or_else(|| uuid.to_string(), |name| name.to_string())
}

/// Returns the name of the index, if a cluster state has told it.
pub fn of(uuid: &IndexUuid) -> Option<IndexName> {
    let known = NAMES.read().unwrap_or_else(PoisonError::into_inner);
    known.get(uuid).cloned()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{IndexMeta, ShardKey, ShardNumber};

    fn state(indices: &[(u128, &str)]) -> ClusterState {
        let meta = |uuid: u128, name: &str| {
            IndexMeta::new(
                IndexUuid(uuid.to_be_bytes()),
                IndexName::parse(name).expect("a name"),
            )
        };
        let indices = indices.iter().map(|(uuid, name)| meta(*uuid, name));
        ClusterState {
            indices: indices.map(|index| (index.uuid, Arc::new(index))).collect(),
            ..ClusterState::default()
        }
    }

    #[test]
    fn a_shard_is_shown_by_the_name_of_its_index_also_after_that_is_deleted() {
        let uuid = 0xa11c_e5ee_d000_0000_0000_0000_0000_0001;
        let key = ShardKey {
            index: IndexUuid(u128::to_be_bytes(uuid)),
            shard: ShardNumber(3),
        };
        assert_eq!(key.to_string(), format!("[{uuid:032x}][3]"));
        learn(&state(&[(uuid, "articles")]));
        assert_eq!(key.to_string(), "[articles][3]");
        learn(&state(&[(uuid + 1, "others")]));
        assert_eq!(key.to_string(), "[articles][3]");
    }
}
