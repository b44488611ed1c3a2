//! `indices_boost`: the names in it, held against what there is and against the rights of the sender.
//!
//! A factor for an index that is not there is an error, so a name must be one that the sender may search: else the error
//! would tell which indices there are. Called by all routes that take the body of a search.

use gleaner_model::{ClusterState, IndexPrivilege};
use gleaner_query::names::{IndexBoosts, ResolveOptions, expand_date_math};
use gleaner_query::search::SearchRequest;
use gleaner_root::plan::Target;

use crate::error::ApiError;
use crate::request::Request;
use crate::security::Action;

/// What names of factors are needed for.
const READ: Action = Action {
    name: "indices:data/read/search",
    privilege: IndexPrivilege::Read,
    ignores_filters: false,
};

impl Request {
    /// Puts those names in the place of the ones with factors that the sender may search, as wildcards reach them under
    /// `options`.
    ///
    /// # Errors
    /// 403 for names without a right, whether there are such indices or not.
    pub(crate) fn narrow_boosts(
        &self,
        search: &mut SearchRequest,
        options: &ResolveOptions,
    ) -> Result<(), ApiError> {
        if self.sender.principal.holder().is_none() {
            return Ok(());
        }
        let now_ms = self.root().cluster().now_ms();
        for (name, _) in &mut search.indices_boost {
            let names = expand_date_math(name, now_ms)?;
            if let Some(reached) = self.narrowed_for(&READ, Some(&names), options)? {
                *name = reached;
            }
        }
        Ok(())
    }
}

/// Refuses a boost for an index that is not there.
pub(crate) fn check_boosts(
    search: &SearchRequest,
    target: &Target,
    state: &ClusterState,
    now_ms: i64,
) -> Result<(), ApiError> {
    let boosts = IndexBoosts::resolve(&search.indices_boost, state, &target.options, now_ms);
    Ok(boosts.map(drop)?)
}
