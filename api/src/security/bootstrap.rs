//! Keys that no other key makes: the first one of a cluster, from when every request needs one, and one for who owns its
//! data.

use std::fmt;
use std::sync::Arc;

use gleaner_coordinator::{Coordinator, CoordinatorError, update};
use gleaner_model::security::{ApiKey, KeyHash, KeyLimits, Security};
use gleaner_model::{ClusterState, Rights};
use serde_json::{Value, json};

use super::Secret;

/// The first key, which may do everything. It is shown once: print what it displays, and nothing else does.
pub struct Secured(Secret);

impl fmt::Debug for Secured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Secured {
    /// Returns what stands behind `ApiKey` in the field `Authorization`.
    pub fn encoded(&self) -> String {
        self.0.encoded()
    }

    /// Returns its id, which is no secret.
    pub fn id(&self) -> &str {
        &self.0.id
    }
}

/// Sees to it that a cluster requires keys. Returns its first one where it did not before; `None` where it has keys: one
/// of several nodes that begin at once makes it.
///
/// # Errors
/// [`CoordinatorError`]: the cluster state could not be changed.
pub async fn secure(
    coordinator: &dyn Coordinator,
    now_ms: i64,
) -> Result<Option<Secured>, CoordinatorError> {
    let (secret, key) = full_key(now_ms);
    let changed = update::<CoordinatorError, _>(coordinator, |state| {
        if state.security.is_some() {
            return Ok(None);
        }
        let mut next = state.clone();
        next.security = Some(Arc::new(Security {
            api_keys: [(secret.id.clone(), Arc::clone(&key))].into(),
            seal: KeyHash(rand::random()),
        }));
        Ok(Some(next))
    });
    let state = changed.await?;
    Ok(shown(secret, &state))
}

/// Gives a cluster that requires keys another one that may do everything, however many it has: for who owns its data
/// where nobody can give all rights any more. Returns it; `None` where the cluster requires no keys.
///
/// # Errors
/// [`CoordinatorError`]: the cluster state could not be changed.
pub async fn reset(
    coordinator: &dyn Coordinator,
    now_ms: i64,
) -> Result<Option<Secured>, CoordinatorError> {
    let (secret, key) = full_key(now_ms);
    let changed = update::<CoordinatorError, _>(coordinator, |state| {
        let Some(security) = &state.security else {
            return Ok(None);
        };
        let mut security = Security::clone(security);
        security
            .api_keys
            .insert(secret.id.clone(), Arc::clone(&key));
        let mut next = state.clone();
        next.security = Some(Arc::new(security));
        Ok(Some(next))
    });
    let state = changed.await?;
    Ok(shown(secret, &state))
}

/// Returns a key where the cluster has it.
fn shown(secret: Secret, state: &ClusterState) -> Option<Secured> {
    let keys = state.security.as_ref().map(|security| &security.api_keys);
    let is_there = keys.is_some_and(|keys| keys.contains_key(&secret.id));
    is_there.then_some(Secured(secret))
}

/// Makes a key that may do everything.
fn full_key(now_ms: i64) -> (Secret, Arc<ApiKey>) {
    let secret = Secret::random();
    let key = ApiKey {
        name: "admin".to_owned(),
        hash: secret.hash(),
        creator: None,
        created_ms: now_ms,
        expires_ms: None,
        invalidated_ms: None,
        rights: Rights::all(),
        limits: KeyLimits::default(),
        role_descriptors: all(),
        metadata: Value::Object(serde_json::Map::new()),
    };
    (secret, Arc::new(key))
}

/// Returns the role descriptor of a key that may do everything.
fn all() -> Value {
    let indices = json!([{"names": ["*"], "privileges": ["all"]}]);
    json!({"superuser": {"cluster": ["all"], "indices": indices}})
}
