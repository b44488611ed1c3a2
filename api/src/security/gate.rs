//! Whether a principal may do what a request asks for: held against the right of its route, before the route is asked.

use gleaner_model::ClusterState;
use gleaner_model::security::ANONYMOUS;
use gleaner_query::names::expand_date_math;

use super::rights::{Needs, Right};
use super::{Action, KeyHolder, Principal, access, check_name, denial};
use crate::error::ApiError;
use crate::parameters::Parameters;
use crate::request::ALLOWED;
use crate::route::Route;

/// Name of the part that says how the index of a path was given, where dates were put into it.
pub(crate) const GIVEN: &str = "index as given";

/// Name of the part that says whose tasks the sender may reach, by the id of the key: none reaches all.
pub(crate) const OWNER: &str = "owner of tasks";

/// A request whose sender is known.
pub(crate) struct Entry<'a> {
    pub(crate) principal: &'a Principal,
    pub(crate) route: &'static Route,
    pub(crate) parameters: &'a Parameters,
    pub(crate) state: &'a ClusterState,
    /// Milliseconds since the epoch.
    pub(crate) now_ms: i64,
}

/// Refuses a request without the right that its route needs. Where its path names indices by wildcards, or none, `parts`
/// name those afterwards that its sender may reach, and [`OWNER`] whose tasks: what comes later cannot reach others.
///
/// # Errors
/// 403 with the action and the names; 404 where nothing is left of the names and something has to be; 400 for parameters
/// that say which names there may be and cannot be read.
pub(crate) fn authorize(
    entry: &Entry<'_>,
    parts: &mut Vec<(&'static str, String)>,
) -> Result<(), ApiError> {
    let Principal::Key(holder) = entry.principal else {
        return Ok(());
    };
    let right = Right::of(entry.route);
    match right.needs {
        Needs::Nothing | Needs::Key | Needs::Context | Needs::Items(_) => Ok(()),
        Needs::Cluster(privilege) if holder.key.rights.allow_cluster(privilege) => Ok(()),
        Needs::Cluster(privilege) => Err(denial::of_cluster(holder, right.action, privilege)),
        Needs::Tasks(privilege) if holder.key.rights.allow_cluster(privilege) => Ok(()),
        // Those without a key do not know one another.
        Needs::Tasks(privilege) if *holder.id == *ANONYMOUS => {
            Err(denial::of_cluster(holder, right.action, privilege))
        }
        Needs::Tasks(_) => {
            parts.push((OWNER, holder.id.to_string()));
            Ok(())
        }
        Needs::Indices(..) | Needs::Named(..) => narrow(entry, holder, right, parts),
        Needs::DocumentOrCluster(_, privilege) if index_of(parts).is_none() => {
            holder.check_cluster(entry.route, privilege)
        }
        Needs::Document(_) | Needs::DocumentOrCluster(..) => check_index(entry, right, parts),
    }
}

/// Checks the one index that a path names, where it does, and puts dates into its name.
fn check_index(
    entry: &Entry<'_>,
    right: &Right,
    parts: &mut Vec<(&'static str, String)>,
) -> Result<(), ApiError> {
    let (Some(action), Some(at)) = (right.on_indices(), index_of(parts)) else {
        return Ok(());
    };
    let name = expand_date_math(&parts[at].1, entry.now_ms)?;
    check_name(entry.principal, &action, &name, entry.state)?;
    if name != parts[at].1 {
        let given = std::mem::replace(&mut parts[at].1, name);
        parts.push((GIVEN, given));
    }
    Ok(())
}

fn index_of(parts: &[(&'static str, String)]) -> Option<usize> {
    parts.iter().position(|(name, _)| *name == "index")
}

fn narrow(
    entry: &Entry<'_>,
    holder: &KeyHolder,
    right: &Right,
    parts: &mut Vec<(&'static str, String)>,
) -> Result<(), ApiError> {
    let (Needs::Indices(_, reach) | Needs::Named(_, reach), Some(action)) =
        (right.needs, right.on_indices())
    else {
        return Err(denial::unknown(holder, right));
    };
    let at = index_of(parts);
    if at.is_none() && matches!(right.needs, Needs::Named(..)) {
        return Ok(());
    }
    let given = at.map(|at| expand_date_math(&parts[at].1, entry.now_ms));
    let given = given.transpose()?;
    let options = entry.parameters.resolve_options(reach())?;
    let action: Action = action;
    let narrowed = access(holder, &action, entry.state).narrow(given.as_deref(), &options);
    let narrowed = narrowed.map_err(|denied| denial::of_names(holder, &action, denied))?;
    match (at, narrowed) {
        (Some(at), Some(names)) => parts[at].1 = names,
        (None, Some(names)) => parts.push((ALLOWED, names)),
        (_, None) => {}
    }
    Ok(())
}
