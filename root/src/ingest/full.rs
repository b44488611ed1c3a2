//! That a cluster has no room for another index, as a request has found out.
//!
//! Does: refuse further names of the request that nothing bears, as long as the cluster stays what it was. Does not: look
//! whether there is room. Called by: [`super`]. A bulk may name hundreds of thousands of indices: each would be composed of
//! its templates, only to be refused as the one before it.

use std::collections::HashSet;
use std::sync::Arc;

use gleaner_model::{ClusterState, IndexName};
use gleaner_query::QueryError;
use gleaner_query::error::ErrorType;

use crate::RootError;

/// A refusal, and when it holds.
pub(super) struct Full {
    state: Arc<ClusterState>,
    /// What is borne by something.
    names: HashSet<IndexName>,
    error: QueryError,
}

impl Full {
    /// Returns what there is to remember of a creation that failed under `state`.
    pub(super) fn of(state: &Arc<ClusterState>, error: &RootError) -> Option<Self> {
        let RootError::Query(error) = error else {
            return None;
        };
        (error.kind == ErrorType::ShardLimit).then(|| {
            let indices = state.indices.values();
            let names =
                indices.flat_map(|index| std::iter::once(&index.name).chain(index.aliases.keys()));
            Self {
                state: Arc::clone(state),
                names: names.cloned().collect(),
                error: error.clone(),
            }
        })
    }

    /// Returns why no index `name` can be made; `None` where that is not known.
    pub(super) fn refusal(&self, state: &Arc<ClusterState>, name: &str) -> Option<QueryError> {
        let is_known = Arc::ptr_eq(&self.state, state) && !self.names.contains(name);
        // What cannot be a name is refused as such.
        (is_known && IndexName::parse(name).is_ok()).then(|| self.error.clone())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_refusal_holds_for_names_that_nothing_bears_until_the_cluster_changes() {
        let state = || {
            Arc::new(crate::testing::state([crate::testing::index(
                1,
                &json!({}),
            )]))
        };
        let (before, later) = (state(), state());
        let limit = QueryError::new(ErrorType::ShardLimit, "there is no room");
        let full = Full::of(&before, &limit.clone().into()).expect("it is remembered");
        assert_eq!(full.refusal(&before, "another"), Some(limit));
        assert_eq!(full.refusal(&later, "another"), None, "there may be room");
        let there = before.indices.values().next().expect("an index");
        assert_eq!(full.refusal(&before, there.name.as_str()), None);
        assert_eq!(full.refusal(&before, "Not,A,Name"), None);
        let other = QueryError::illegal("a template is wrong");
        assert!(Full::of(&before, &other.into()).is_none());
    }
}
