//! Denials in the dialect's words.

use gleaner_model::ClusterPrivilege;
use gleaner_query::names::Denial;
use http::StatusCode;
use serde_json::json;

use super::{Action, BadCredentials, KeyHolder, Right, Unheard};
use crate::error::ApiError;
use crate::headers::CHALLENGES;
use crate::route::Route;

const KIND: &str = "security_exception";

/// Returns the refusal of a request without a principal, 401.
pub(crate) fn unauthenticated(credentials: BadCredentials, path: &str) -> ApiError {
    let reason = match credentials {
        BadCredentials::Missing => {
            format!("missing authentication credentials for REST request [{path}]")
        }
        BadCredentials::Unknown | BadCredentials::Wrong => {
            format!("unable to authenticate with provided credentials for REST request [{path}]")
        }
    };
    ApiError::new(StatusCode::UNAUTHORIZED, KIND, reason)
        .with("header", json!({"WWW-Authenticate": CHALLENGES}))
}

/// Returns the refusal of a request whose key ended after its head had come, 401.
pub(crate) fn ended() -> ApiError {
    let reason = "the key of this request has ended";
    ApiError::new(StatusCode::UNAUTHORIZED, KIND, reason)
        .with("header", json!({"WWW-Authenticate": CHALLENGES}))
}

/// Returns the refusal of a request whose key got other rights after its head had come, by which it would reach something
/// else, 403.
pub(crate) fn changed(holder: &KeyHolder, route: &Route) -> ApiError {
    let action = Right::of(route).action;
    forbidden(format!(
        "action [{action}] is unauthorized for {}: its rights were changed while the request was sent, send it again",
        shown(holder)
    ))
    .with("action", action)
}

/// Returns the refusal of any request, 503: nobody knows here which keys are still valid. It has the form of Elasticsearch's
/// block of a node without a master.
pub(crate) fn unheard(unheard: Unheard) -> ApiError {
    ApiError::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "cluster_block_exception",
        format!("blocked by: [SERVICE_UNAVAILABLE/2/no master]; {unheard}"),
    )
}

/// Returns the refusal of names, 403; or 404 where nothing was denied by name.
pub(crate) fn of_names(holder: &KeyHolder, action: &Action, denial: Denial) -> ApiError {
    let (names, privilege) = match denial {
        Denial::Denied { names, privilege } => (names, privilege),
        Denial::Missing(error) => return error.into(),
    };
    let names = names.join(",");
    forbidden(format!(
        "action [{}] is unauthorized for {} on indices [{names}], this action is granted by the index privileges [{}]",
        action.name,
        shown(holder),
        privilege.granted_by(),
    ))
    .with("action", action.name)
    .with("index", names)
}

/// Returns the refusal of an action on the cluster, 403.
pub(crate) fn of_cluster(
    holder: &KeyHolder,
    action: &str,
    privilege: ClusterPrivilege,
) -> ApiError {
    forbidden(format!(
        "action [{action}] is unauthorized for {}, this action is granted by the cluster privileges [{}]",
        shown(holder),
        privilege.granted_by(),
    ))
    .with("action", action)
}

/// Returns the refusal of an action that nobody has been given a right to, 403.
pub(crate) fn unknown(holder: &KeyHolder, right: &Right) -> ApiError {
    of_cluster(holder, right.action, ClusterPrivilege::All)
}

/// Returns the refusal of an id that another key was given, 403.
pub(crate) fn of_context(holder: Option<&KeyHolder>, action: &str) -> ApiError {
    let shown = holder.map_or_else(String::new, |holder| format!(" for {}", shown(holder)));
    forbidden(format!(
        "action [{action}] is unauthorized{shown}: the id was not given to this key"
    ))
    .with("action", action)
}

/// Returns the refusal of an action that would give a key rights that the sender does not have, 403.
pub(crate) fn forbidden_rights(holder: &KeyHolder, action: &str, lacking: &str) -> ApiError {
    forbidden(format!(
        "action [{action}] is unauthorized for {}: it cannot give {lacking}, which it does not have",
        shown(holder)
    ))
    .with("action", action)
}

fn forbidden(reason: String) -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, KIND, reason)
}

fn shown(holder: &KeyHolder) -> String {
    format!("API key id [{}] of user [{}]", holder.id, holder.key.name)
}
