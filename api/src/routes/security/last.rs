//! The last key of its kind: changes after which nobody could make keys, or give a right that is needed, are refused.
//!
//! Does: find out until when there are keys of a kind, before a change and after it. Does not: make changes. A cluster that
//! has no such key any more gets one by `gleaner keys reset`. Called by the routes that invalidate and change keys.
//! Read first: [`check_last`].

use gleaner_model::security::{ANONYMOUS, ApiKey, Security};
use gleaner_model::{ClusterPrivilege, Rights};
use gleaner_query::QueryError;

use super::change::Changer;

/// Whether rights are those of a kind of key.
type IsOfKind = fn(&Rights) -> bool;

/// Kinds of keys of which one has to be left, and what the last one of them has.
const KINDS: [(IsOfKind, &str); 2] = [
    (
        gives_everything,
        "the right to everything, and so can give it",
    ),
    (makes_keys, "the cluster privilege [manage_security]"),
];

/// How a change ends keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// At once, as those ask who name keys to be invalidated.
    Now,
    /// By other rights, or by a time.
    Later,
}

/// Refuses a change from `before` to `next` after which keys of a kind would end sooner than they did. Who may do
/// everything himself may invalidate a key for one of a shorter life; others could shorten the one and end the other.
///
/// # Errors
/// 400 with what no other key has.
pub(super) fn check_last(
    before: &Security,
    next: &Security,
    changer: &Changer,
    ending: Ending,
) -> Result<(), QueryError> {
    let now_ms = changer.now_ms;
    let may_shorten = ending == Ending::Now && gives_everything(&changer.holder.key.rights);
    for (is_of_kind, has) in KINDS {
        let Some(lasted_ms) = last_end(before, is_of_kind, now_ms) else {
            continue;
        };
        let needed_ms = if may_shorten { now_ms } else { lasted_ms };
        let lasts_ms = last_end(next, is_of_kind, now_ms);
        if lasts_ms.is_none_or(|lasts_ms| lasts_ms < needed_ms) {
            let long = if may_shorten { "" } else { " for as long" };
            let reason = format!("no other valid API key has {has}{long}: make one first");
            return Err(QueryError::illegal(reason));
        }
    }
    Ok(())
}

/// Returns when the one of the valid keys of a kind ends that ends last, in milliseconds since the epoch; `None` where
/// there is none. That of strangers is none.
fn last_end(security: &Security, is_of_kind: fn(&Rights) -> bool, now_ms: i64) -> Option<i64> {
    let keys = security.api_keys.iter();
    let keys = keys.filter(|(id, key)| *id != ANONYMOUS && key.is_valid(now_ms));
    let keys = keys.filter(|(_, key)| is_of_kind(&key.rights));
    let end_ms = |(_, key): (&String, &std::sync::Arc<ApiKey>)| key.expires_ms.unwrap_or(i64::MAX);
    keys.map(end_ms).max()
}

/// Can who has the rights give others any right there is?
fn gives_everything(rights: &Rights) -> bool {
    rights.lack(&Rights::all()).is_none()
}

/// Can who has the rights make keys for everybody?
fn makes_keys(rights: &Rights) -> bool {
    rights.allow_cluster(ClusterPrivilege::ManageSecurity)
}
