//! What a request needs to be carried out.

use gleaner_model::ClusterPrivilege as OnCluster;
use gleaner_model::IndexPrivilege as OnIndex;
use gleaner_query::names::ResolveOptions;

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
pub(super) type Reach = fn() -> ResolveOptions;

impl Right {
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

/// What is done to an index: what a right allows, and what a denial names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Action {
    /// The dialect's name, such as `indices:data/read/search`.
    pub(crate) name: &'static str,
    pub(crate) privilege: OnIndex,
    /// As [`gleaner_query::names::Access::ignores_filters`].
    pub(crate) ignores_filters: bool,
}
