//! The first key of a cluster: from when it is there on, every request needs one.

use std::fmt;
use std::sync::Arc;

use gleaner_coordinator::{Coordinator, CoordinatorError, update};
use gleaner_model::Rights;
use gleaner_model::security::{ApiKey, KeyHash, KeyLimits, Security};
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
    let key = Arc::new(key);
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
    let keys = state.security.as_ref().map(|security| &security.api_keys);
    let is_ours = keys.is_some_and(|keys| keys.contains_key(&secret.id));
    Ok(is_ours.then_some(Secured(secret)))
}

/// Returns the role descriptor of a key that may do everything.
fn all() -> Value {
    let indices = json!([{"names": ["*"], "privileges": ["all"]}]);
    json!({"superuser": {"cluster": ["all"], "indices": indices}})
}
