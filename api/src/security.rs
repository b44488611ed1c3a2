//! Who sends a request, and whether he may: the same way at a root and in a process ahead of it.
//!
//! Does: check credentials against the keys of the cluster state, as long as that is heard of; hold each request against the right that its route
//! needs, narrow the names in its path to those that its sender may reach, sign ids of scrolls and points in time, note
//! denials. Does not: keep keys (the cluster state does), say what rights cover (`gleaner-model` does).
//! Called by: [`crate::service`] before anything else is done for a request, and by [`crate::KeyMaker`] before an answer is
//! taken from those that are kept.
//! Read first: [`credentials::authenticate`], [`gate::authorize`], then the table in [`rights`].
//!
//! A cluster state without [`Security`] has no keys: every request may do everything, and none of this costs anything.

mod audit;
mod bootstrap;
mod credentials;
mod denial;
mod door;
mod gate;
mod max_age;
mod renewed;
mod rights;
mod seal;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use gleaner_model::security::{ANONYMOUS, ApiKey, KeyLimits};
use gleaner_model::{ClusterPrivilege, ClusterState, IndexPrivilege};
use gleaner_query::names::{Access, ResolveOptions};

use http::HeaderMap;

use crate::error::ApiError;
use crate::request::Request;
use crate::route::Route;
use crate::service::App;

pub use audit::Audit;
pub use bootstrap::{Secured, reset, secure};
pub(crate) use credentials::Secret;
pub(crate) use credentials::{BadCredentials, authenticate};
pub(crate) use denial::{ended, forbidden_rights, unauthenticated, unheard};
pub use door::MetricsDoor;
pub(crate) use gate::{Entry, GIVEN, OWNER, authorize};
pub use max_age::{MaxAge, Unheard};
pub(crate) use rights::{AUTO_CREATE, Action, Needs, Right};
use seal::{sealed, unsealed};

#[cfg(doc)]
use gleaner_model::Security;

/// Who sends a request, and from where.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sender {
    pub(crate) principal: Principal,
    /// The other end of the connection, or what a trusted proxy said there.
    pub(crate) address: Option<SocketAddr>,
}

/// Who sends a request.
#[derive(Debug, Clone, Default)]
pub(crate) enum Principal {
    /// Anybody: the cluster has no keys.
    #[default]
    Anybody,
    /// The owner of a key that was checked, or those without one.
    Key(KeyHolder),
}

/// The owner of an API key.
#[derive(Debug, Clone)]
pub(crate) struct KeyHolder {
    /// Id of the key.
    pub(crate) id: Arc<str>,
    pub(crate) key: Arc<ApiKey>,
}

impl Principal {
    /// Returns the owner of the key that was shown.
    pub(crate) fn holder(&self) -> Option<&KeyHolder> {
        match self {
            Self::Anybody => None,
            Self::Key(holder) => Some(holder),
        }
    }
}

impl KeyHolder {
    /// Refuses what `route` does where the owner has no such privilege on the cluster.
    ///
    /// # Errors
    /// 403.
    pub(crate) fn check_cluster(
        &self,
        route: &'static Route,
        privilege: ClusterPrivilege,
    ) -> Result<(), ApiError> {
        match self.key.rights.allow_cluster(privilege) {
            true => Ok(()),
            false => {
                let action = Right::of(route).action;
                Err(denial::of_cluster(self, action, privilege))
            }
        }
    }
}

/// Who shows credentials, for limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Somebody without a key.
    Stranger,
    /// The owner of a valid key.
    Key(Arc<str>, KeyLimits),
    /// Somebody with a key that is not one, as far as is known here.
    Refused,
}

/// Returns who sends a request with these headers to a cluster in this state, at this time in milliseconds since the
/// epoch.
pub fn caller(headers: &HeaderMap, state: &ClusterState, now_ms: i64) -> Caller {
    match authenticate(headers, state.security.as_deref(), now_ms) {
        Ok(Principal::Key(holder)) if *holder.id != *ANONYMOUS => {
            Caller::Key(holder.id, holder.key.limits)
        }
        Ok(_) | Err(BadCredentials::Missing) => Caller::Stranger,
        Err(BadCredentials::Unknown | BadCredentials::Wrong) => Caller::Refused,
    }
}

/// Returns `expression`, which the body of a request names, narrowed to what the sender may reach by the right of `route`.
///
/// # Errors
/// 403 for names without a right.
pub(crate) fn narrowed(
    principal: &Principal,
    route: &'static Route,
    state: &ClusterState,
    expression: Option<&str>,
    options: &ResolveOptions,
) -> Result<Option<String>, ApiError> {
    let Principal::Key(holder) = principal else {
        return Ok(expression.map(str::to_owned));
    };
    let right = Right::of(route);
    let action = right.on_indices();
    let action = action.ok_or_else(|| denial::unknown(holder, right))?;
    narrowed_for(principal, &action, state, expression, options)
}

/// As [`narrowed`], by what `action` needs.
fn narrowed_for(
    principal: &Principal,
    action: &Action,
    state: &ClusterState,
    expression: Option<&str>,
    options: &ResolveOptions,
) -> Result<Option<String>, ApiError> {
    let Principal::Key(holder) = principal else {
        return Ok(expression.map(str::to_owned));
    };
    let narrowed = access(holder, action, state).narrow(expression, options);
    narrowed.map_err(|denied| denial::of_names(holder, action, denied))
}

impl App {
    /// Refuses an index or alias, which a body names, where the sender has no right to do there what `action` does.
    ///
    /// # Errors
    /// 403.
    pub(crate) fn check_name(
        &self,
        sender: &Sender,
        action: &Action,
        name: &str,
    ) -> Result<(), ApiError> {
        if matches!(sender.principal, Principal::Anybody) {
            return Ok(());
        }
        let state = self.root.cluster().state();
        let checked = check_name(&sender.principal, action, name, &state);
        checked.inspect_err(|error| self.note_denial(sender, None, error))
    }

    /// Counts a denial and writes it down.
    pub(crate) fn note_denial(&self, sender: &Sender, path: Option<&str>, error: &ApiError) {
        if !matches!(error.status.as_u16(), 401 | 403) {
            return;
        }
        audit::count(error);
        if let Some(audit) = &self.options.audit {
            audit.note(sender, path, error);
        }
    }
}

impl Request {
    /// As [`App::check_name`].
    ///
    /// # Errors
    /// 403.
    pub(crate) fn check_name(&self, action: &Action, name: &str) -> Result<(), ApiError> {
        self.app.check_name(&self.sender, action, name)
    }

    /// Returns whether the sender has a right to do what `action` does to an index or alias of that name.
    pub(crate) fn may_name(&self, action: &Action, name: &str) -> bool {
        let principal = &self.sender.principal;
        let state = self.root().cluster().state();
        let is_anybody = matches!(principal, Principal::Anybody);
        is_anybody || check_name(principal, action, name, &state).is_ok()
    }

    /// Returns `expression`, which the body names, narrowed to what the sender may reach by the route's right.
    ///
    /// # Errors
    /// 403 for names without a right.
    pub(crate) fn narrowed(
        &self,
        expression: Option<&str>,
        options: &ResolveOptions,
    ) -> Result<Option<String>, ApiError> {
        let state = self.root().cluster().state();
        let narrowed = narrowed(
            &self.sender.principal,
            self.route,
            &state,
            expression,
            options,
        );
        narrowed.inspect_err(|error| self.app.note_denial(&self.sender, None, error))
    }

    /// As [`Request::narrowed`], by what `action` needs.
    ///
    /// # Errors
    /// 403 for names without a right.
    pub(crate) fn narrowed_for(
        &self,
        action: &Action,
        expression: Option<&str>,
        options: &ResolveOptions,
    ) -> Result<Option<String>, ApiError> {
        let state = self.root().cluster().state();
        let principal = &self.sender.principal;
        let narrowed = narrowed_for(principal, action, &state, expression, options);
        narrowed.inspect_err(|error| self.app.note_denial(&self.sender, None, error))
    }

    /// Returns whether the sender has the route's right to an index or alias; one that has not is not told of it.
    pub(crate) fn may_see(&self, name: &str) -> bool {
        let Principal::Key(holder) = &self.sender.principal else {
            return true;
        };
        let state = self.root().cluster().state();
        let action = Right::of(self.route).on_indices();
        action.is_none_or(|action| access(holder, &action, &state).check(name).is_ok())
    }

    /// Refuses the request where its sender has no such privilege on the cluster.
    ///
    /// # Errors
    /// 403.
    pub(crate) fn check_cluster(&self, privilege: ClusterPrivilege) -> Result<(), ApiError> {
        let Principal::Key(holder) = &self.sender.principal else {
            return Ok(());
        };
        let checked = holder.check_cluster(self.route, privilege);
        checked.inspect_err(|error| self.app.note_denial(&self.sender, None, error))
    }

    /// Returns an id for the sender to keep.
    pub(crate) fn sealed(&self, id: String) -> String {
        let state = self.root().cluster().state();
        sealed(&self.sender.principal, &state, id)
    }

    /// Returns the id that was sealed for the sender.
    ///
    /// # Errors
    /// 403 when it was sealed for another, or not at all.
    pub(crate) fn unsealed(&self, id: &str) -> Result<String, ApiError> {
        let state = self.root().cluster().state();
        let unsealed = unsealed(
            &self.sender.principal,
            &state,
            id,
            Right::of(self.route).action,
        );
        let unsealed =
            unsealed.inspect_err(|error| self.app.note_denial(&self.sender, None, error));
        Ok(unsealed?.into_owned())
    }
}

/// As [`Request::check_name`], where there is no request any more. What writes to an index that is not there makes it,
/// which takes a right of its own.
pub(crate) fn check_name(
    principal: &Principal,
    action: &Action,
    name: &str,
    state: &ClusterState,
) -> Result<(), ApiError> {
    let Principal::Key(holder) = principal else {
        return Ok(());
    };
    let checked = access(holder, action, state).check(name);
    checked.map_err(|denied| denial::of_names(holder, action, denied))?;
    let writes = matches!(
        action.privilege,
        IndexPrivilege::Index | IndexPrivilege::CreateDoc | IndexPrivilege::Delete
    );
    let is_there = || state.index_named(name).is_some() || state.aliased(name).next().is_some();
    match writes && !is_there() {
        true => check_name(principal, &AUTO_CREATE, name, state),
        false => Ok(()),
    }
}

fn access<'a>(holder: &'a KeyHolder, action: &Action, state: &'a ClusterState) -> Access<'a> {
    Access {
        rights: &holder.key.rights,
        privilege: action.privilege,
        ignores_filters: action.ignores_filters,
        state,
    }
}
