//! `PUT _security/api_key/{id}`: changes roles, metadata and expiration of one API key.
//!
//! Does: change a key of the sender's own, or any key for those who manage all. Does not: give a key more than the
//! sender has, or change a name, limits or a secret.

use std::sync::Arc;

use gleaner_model::ClusterPrivilege;
use gleaner_model::security::{ANONYMOUS, ApiKey};
use gleaner_query::QueryError;
use gleaner_query::security::ApiKeyUpdate;
use http::StatusCode;
use serde_json::json;

use super::change::{Changer, change_security};
use super::last::{Ending, check_last};
use super::{KeyHolder, is_of, no_roles};
use crate::error::ApiError;
use crate::request::{Answer, Request};
use crate::response::Reply;

/// What became of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// The sender reaches no key of that id.
    NotFound,
    /// The key is as it should be already.
    Unchanged,
    /// The key was changed.
    Updated,
}

pub(super) async fn update(mut request: Request) -> Answer {
    let body = request.json().await?.unwrap_or_else(|| json!({}));
    let update = ApiKeyUpdate::parse(&body)?;
    let id = request.required_part("id")?.to_owned();
    let mut outcome = Outcome::NotFound;
    let changed = change_security(&request, |security, changer| {
        check_allowed(&update, &id, changer)?;
        let known = security.api_keys.get(&id);
        let Some(known) = known.filter(|key| changer.reaches(&id, key)) else {
            outcome = Outcome::NotFound;
            return Ok(None);
        };
        check_usable(&id, known, changer.now_ms)?;
        check_roles(&update, &id, known, &changer.holder)?;
        let key = updated(known, &update, changer);
        if key == **known {
            outcome = Outcome::Unchanged;
            return Ok(None);
        }
        let mut next = security.clone();
        next.api_keys.insert(id.clone(), Arc::new(key));
        check_last(security, &next, changer, Ending::Later)?;
        outcome = Outcome::Updated;
        Ok(Some(next))
    });
    changed.await?;
    match outcome {
        Outcome::NotFound => Err(not_found(&id)),
        Outcome::Unchanged => Ok(Reply::json(&json!({"updated": false}))),
        Outcome::Updated => Ok(Reply::json(&json!({"updated": true}))),
    }
}

/// Refuses an update that its sender may make of no key with this id.
fn check_allowed(update: &ApiKeyUpdate, id: &str, changer: &Changer) -> Result<(), ApiError> {
    let roles = update.roles.as_ref();
    if let Some(rights) = roles.and_then(|roles| roles.rights.as_ref()) {
        changer.check_given(rights)?;
    }
    match id == ANONYMOUS {
        true => changer.check_cluster(ClusterPrivilege::ManageSecurity),
        false => Ok(()),
    }
}

/// Refuses to give a key that is not the sender's own all that he may do: without roles it has his.
fn check_roles(
    update: &ApiKeyUpdate,
    id: &str,
    known: &ApiKey,
    holder: &KeyHolder,
) -> Result<(), ApiError> {
    let roles = update.roles.as_ref();
    let has_none = roles.is_some_and(|roles| roles.rights.is_none());
    match has_none && (id == ANONYMOUS || !is_of(holder, id, known)) {
        true => Err(no_roles()),
        false => Ok(()),
    }
}

/// Refuses to change a key that has ended.
fn check_usable(id: &str, key: &ApiKey, now_ms: i64) -> Result<(), QueryError> {
    let ended = match key.invalidated_ms {
        Some(_) => "invalidated",
        None if !key.is_valid(now_ms) => "expired",
        None => return Ok(()),
    };
    let reason = format!("cannot update {ended} API key [{id}]");
    Err(QueryError::illegal(reason))
}

/// Returns the key as it is to be.
fn updated(key: &ApiKey, update: &ApiKeyUpdate, changer: &Changer) -> ApiKey {
    let holder = &changer.holder;
    let mut next = key.clone();
    if let Some(roles) = &update.roles {
        let rights = roles.rights.as_ref().unwrap_or(&holder.key.rights);
        next.rights = rights.clone();
        next.role_descriptors = roles.descriptors.clone();
    }
    if let Some(metadata) = &update.metadata {
        next.metadata = metadata.clone();
    }
    if let Some(expiration) = update.expiration {
        next.expires_ms = changer.ends_ms(expiration);
    }
    next
}

fn not_found(id: &str) -> ApiError {
    let reason = format!("no API key owned by requesting user found for ID [{id}]");
    let status = StatusCode::NOT_FOUND;
    ApiError::new(status, "resource_not_found_exception", reason)
}
