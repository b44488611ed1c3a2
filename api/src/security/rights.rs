//! The right that each route needs, by the table of all of them.
//!
//! Does: name action and privilege of every route. Does not: check them. A route that is not here is for those alone
//! who may do everything; a test names it. Read first: [`table`].

mod right;
mod table;

use std::collections::HashMap;
use std::sync::LazyLock;

use gleaner_model::ClusterPrivilege as OnCluster;
use gleaner_model::IndexPrivilege as OnIndex;

use crate::route::Route;
use table::rights;

pub(crate) use right::{Action, Needs, Right};

/// What writes to an index that is not there do first.
pub(crate) const AUTO_CREATE: Action = Action {
    name: "indices:admin/auto_create",
    privilege: OnIndex::AutoConfigure,
    ignores_filters: false,
};

const NOBODY: Right = Right {
    action: "internal:unknown",
    needs: Needs::Cluster(OnCluster::All),
};

impl Right {
    /// Returns that of a route.
    pub(crate) fn of(route: &Route) -> &'static Self {
        static BY_NAME: LazyLock<HashMap<&str, &Right>> =
            LazyLock::new(|| rights().map(|(name, right)| (*name, right)).collect());
        if route.is_refused {
            return &REFUSED;
        }
        BY_NAME.get(route.name).copied().unwrap_or(&NOBODY)
    }
}

/// The right to be told that something is not there.
static REFUSED: Right = Right {
    action: "cluster:monitor/main",
    needs: Needs::Key,
};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::routes::parameter_tables;

    #[test]
    fn every_route_has_a_right_and_every_right_a_route() {
        let routes = parameter_tables().filter(|route| !route.is_refused);
        let routes: BTreeSet<&str> = routes.map(|route| route.name).collect();
        let num_rights = rights().count();
        let rights: BTreeSet<&str> = rights().map(|(name, _)| *name).collect();
        assert_eq!(rights.len(), num_rights, "a route stands here twice");
        let missing: Vec<_> = routes.difference(&rights).collect();
        assert!(missing.is_empty(), "without a right: {missing:?}");
        let unknown: Vec<_> = rights.difference(&routes).collect();
        assert!(unknown.is_empty(), "rights of no route: {unknown:?}");
    }

    #[test]
    fn what_names_an_index_in_its_path_needs_a_right_to_it() {
        for route in parameter_tables().filter(|route| !route.is_refused) {
            if route.paths.iter().any(|path| path.contains("{index}")) {
                let is_of_cluster = matches!(Right::of(route).needs, Needs::Cluster(_));
                let has_right = Right::of(route).on_indices().is_some();
                assert!(has_right || is_of_cluster, "{}", route.name);
            }
        }
    }
}
