//! Room for one more key: how many keys there may be, in all and of those who make keys for themselves alone.
//!
//! Does: forget keys that ended, count the others. Does not: make keys. Called by the route that makes them.
//! Read first: [`make_room`].

use gleaner_model::security::{ApiKey, MAX_API_KEYS, Security};
use gleaner_query::QueryError;

use super::change::Changer;
use super::{KeyHolder, manages_all};

/// How long keys are shown that have ended, in milliseconds: as long as the dialect does.
const KEPT_FOR_MS: i64 = 7 * 86_400_000;

/// Most valid keys that come from one key with `manage_own_api_key` alone: those that it made, those that these made, and
/// so on.
const MAX_OWN: usize = 100;

/// Places in the list that only keys with `manage_api_key` can take, so that other keys cannot lock them out.
const RESERVED: usize = 100;

/// Forgets keys that ended long ago, and those that ended first where there would be too many.
///
/// # Errors
/// When there are too many that can still be used: of those that come from `changer`, or in all.
pub(super) fn make_room(security: &mut Security, changer: &Changer) -> Result<(), QueryError> {
    let (holder, now_ms) = (&changer.holder, changer.now_ms);
    let most = match manages_all(holder) {
        true => MAX_API_KEYS,
        false => {
            check_own(security, holder, now_ms)?;
            MAX_API_KEYS - RESERVED
        }
    };
    let ended_ms = |key: &ApiKey| match key.is_valid(now_ms) {
        true => None,
        false => key.invalidated_ms.or(key.expires_ms),
    };
    security.api_keys.retain(|_, key| {
        ended_ms(key).is_none_or(|ended_ms| now_ms.saturating_sub(ended_ms) < KEPT_FOR_MS)
    });
    while security.api_keys.len() >= most {
        let keys = security.api_keys.iter();
        let ended = keys.filter_map(|(id, key)| Some((ended_ms(key)?, id.clone())));
        let Some((_, oldest)) = ended.min() else {
            let limit = match most == MAX_API_KEYS {
                true => "which is the limit",
                false => "which is the limit for those without [manage_api_key]",
            };
            return Err(QueryError::illegal(format!(
                "this cluster has [{most}] API keys already, {limit}: invalidate some that are not needed"
            )));
        };
        security.api_keys.remove(&oldest);
    }
    Ok(())
}

/// Refuses one more key of a holder that makes keys for himself alone, where too many come from him already.
fn check_own(security: &Security, holder: &KeyHolder, now_ms: i64) -> Result<(), QueryError> {
    let first = first_of(security, &holder.id);
    let keys = security.api_keys.iter();
    let valid = keys.filter(|(_, key)| key.is_valid(now_ms));
    let num_own = valid.filter(|(id, _)| *id != first && first_of(security, id) == first);
    match num_own.count() < MAX_OWN {
        true => Ok(()),
        false => Err(QueryError::illegal(format!(
            "[{MAX_OWN}] valid API keys come from the key [{first}] already, which is the limit without \
             [manage_api_key]: invalidate some that are not needed"
        ))),
    }
}

/// Returns the id of the key that the one called `id` comes from: its maker, the maker of that, and so on, up to one that
/// was made by somebody who manages all.
fn first_of<'a>(security: &'a Security, id: &'a str) -> &'a str {
    let mut first = id;
    // A key is made by one that was there before, so this ends; the bound is for a state that somebody wrote by hand.
    for _ in 0..MAX_API_KEYS {
        let key = security.api_keys.get(first);
        let creator = key.and_then(|key| key.creator.as_deref());
        let known = creator.and_then(|creator| security.api_keys.get_key_value(creator));
        match known {
            Some((creator, key)) if !makes_for_all(key) => first = creator,
            _ => break,
        }
    }
    first
}

fn makes_for_all(key: &ApiKey) -> bool {
    use gleaner_model::ClusterPrivilege::ManageApiKey;
    key.rights.allow_cluster(ManageApiKey)
}
