//! Changes of API keys, made with the rights that their sender has when they are made.
//!
//! The head of a request says who sends it, and its body may come long after: by then the key may have ended, or may do
//! less. Does: find the sender's key in the state that is changed, refuse one that has ended, repeat the check of the
//! route's right. Does not: read bodies, or say what changes.
//! Called by the routes that make, change and invalidate keys. Read first: [`change_security`].

use std::sync::Arc;

use gleaner_model::security::{ApiKey, Security};
use gleaner_model::{ClusterPrivilege, Rights};
use gleaner_query::security::Expiration;

use super::{holder, is_of, manages_all};
use crate::error::ApiError;
use crate::request::Request;
use crate::route::Route;
use crate::security::{KeyHolder, Needs, Right, ended, forbidden_rights};

/// The sender of a change, as the state that is changed has its key.
pub(super) struct Changer {
    pub(super) holder: KeyHolder,
    /// Milliseconds since the epoch.
    pub(super) now_ms: i64,
    route: &'static Route,
}

/// Changes the keys; `None` from `change` leaves them. `change` is called again where somebody else was faster.
///
/// # Errors
/// What `change` fails with; 401 where the key of the request has ended, 403 where it may no longer do what the route
/// does.
pub(super) async fn change_security<F>(request: &Request, mut change: F) -> Result<(), ApiError>
where
    F: FnMut(&Security, &Changer) -> Result<Option<Security>, ApiError>,
{
    let sender = holder(request)?;
    let mut refused = None;
    let admin = request.root().admin();
    let changed = admin.change_security(|security| {
        let now_ms = request.root().cluster().now_ms();
        let changer = Changer::find(security, sender, request.route, now_ms);
        let (next, error) = match changer.and_then(|changer| change(security, &changer)) {
            Ok(next) => (next, None),
            Err(error) => (None, Some(error)),
        };
        refused = error;
        Ok(next)
    });
    changed.await?;
    let Some(error) = refused else {
        return Ok(());
    };
    request.app.note_denial(&request.sender, None, &error);
    Err(error)
}

/// Returns the owner of a key as `security` has it.
///
/// # Errors
/// 401 where the key has ended.
fn current(security: &Security, holder: &KeyHolder, now_ms: i64) -> Result<KeyHolder, ApiError> {
    let key = security.api_keys.get(&*holder.id);
    let key = key.filter(|key| key.is_valid(now_ms)).ok_or_else(ended)?;
    Ok(KeyHolder {
        id: Arc::clone(&holder.id),
        key: Arc::clone(key),
    })
}

impl Changer {
    fn find(
        security: &Security,
        sender: &KeyHolder,
        route: &'static Route,
        now_ms: i64,
    ) -> Result<Self, ApiError> {
        let changer = Self {
            holder: current(security, sender, now_ms)?,
            now_ms,
            route,
        };
        if let Needs::Cluster(privilege) = Right::of(route).needs {
            changer.check_cluster(privilege)?;
        }
        Ok(changer)
    }

    /// Refuses who has no such privilege on the cluster.
    ///
    /// # Errors
    /// 403.
    pub(super) fn check_cluster(&self, privilege: ClusterPrivilege) -> Result<(), ApiError> {
        self.holder.check_cluster(self.route, privilege)
    }

    /// Refuses to give a key rights that its sender does not have: it would be a way to more.
    ///
    /// # Errors
    /// 403.
    pub(super) fn check_given(&self, given: &Rights) -> Result<(), ApiError> {
        match self.holder.key.rights.lack(given) {
            None => Ok(()),
            Some(lacking) => {
                let action = Right::of(self.route).action;
                Err(forbidden_rights(&self.holder, action, &lacking))
            }
        }
    }

    /// Returns when a key that it makes or changes ends, in milliseconds since the epoch; `None`: never. A sender that
    /// manages only its own keys makes none last longer than the one that it has.
    pub(super) fn ends_ms(&self, expiration: Expiration) -> Option<i64> {
        let ends_ms = match expiration {
            Expiration::Never => None,
            Expiration::After(lifetime) => {
                let ms = i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX);
                Some(self.now_ms.saturating_add(ms))
            }
        };
        let own_ms = self.holder.key.expires_ms;
        let most_ms = own_ms.filter(|_| !manages_all(&self.holder));
        [ends_ms, most_ms].into_iter().flatten().min()
    }

    /// May it change the key?
    pub(super) fn reaches(&self, id: &str, key: &ApiKey) -> bool {
        manages_all(&self.holder) || is_of(&self.holder, id, key)
    }
}
