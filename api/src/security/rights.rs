//! The right that each route needs, by the table of all of them.
//!
//! Does: name action and privilege of every route. Does not: check them. A route that is not here is for those alone
//! who may do everything; a test names it. Read first: [`table`].

mod table;

use std::collections::HashMap;
use std::sync::LazyLock;

use gleaner_model::ClusterPrivilege as OnCluster;
use gleaner_model::IndexPrivilege as OnIndex;
use gleaner_query::names::ResolveOptions;

use super::Action;
use crate::route::Route;
use table::rights;

/// What a request needs to be carried out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Right {
    /// The dialect's name of what it does.
    pub(crate) action: &'static str,
    pub(crate) needs: Needs,
}

/// Kinds of rights.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Needs {
    /// None: probes.
    Nothing,
    /// Any key.
    Key,
    /// A privilege on the cluster.
    Cluster(OnCluster),
    /// Any key, which reaches the tasks that it asked for itself; with a privilege on the cluster those of all.
    Tasks(OnCluster),
    /// A privilege on the indices that the path names, or on all that rights allow where it names none.
    Indices(OnIndex, Reach),
    /// The same, of a route that refuses to be asked for all.
    Named(OnIndex, Reach),
    /// A privilege on the one index or alias in the path, where there is one. The filters of aliases are not applied there.
    Document(OnIndex),
    /// The same; where the path names no index, a privilege on the cluster.
    DocumentOrCluster(OnIndex, OnCluster),
    /// A privilege on each name in the body; the route checks them one by one, and so that of the path.
    Items(OnIndex),
    /// The id of a scroll or point in time that the same key opened; the route checks it.
    Context,
}

/// What wildcards of a route reach where its parameters do not say it.
type Reach = fn() -> ResolveOptions;

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

    /// Returns what it does to indices, where it does.
    pub(crate) fn on_indices(&self) -> Option<Action> {
        let (Needs::Indices(privilege, _)
        | Needs::Named(privilege, _)
        | Needs::Document(privilege)
        | Needs::DocumentOrCluster(privilege, _)
        | Needs::Items(privilege)) = self.needs
        else {
            return None;
        };
        Some(Action {
            name: self.action,
            privilege,
            ignores_filters: self.ignores_filters(privilege),
        })
    }

    /// Searches carry the filters of aliases, and what describes indices shows no documents. All else does not.
    fn ignores_filters(&self, privilege: OnIndex) -> bool {
        use OnIndex::{CreateIndex, ExplainIlm, Maintenance, Monitor, Read, ViewIndexMetadata};
        match self.needs {
            Needs::Indices(..) | Needs::Named(..) => !matches!(
                privilege,
                Read | ViewIndexMetadata | ExplainIlm | Monitor | Maintenance | CreateIndex
            ),
            _ => !self.action.ends_with("/search"),
        }
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
    use crate::route::parameter_tables;

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
