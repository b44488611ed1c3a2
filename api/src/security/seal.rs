//! Ids of scrolls and points in time, signed for the key that opened them.
//!
//! All the state of a context travels in its id. A seal behind it says for whom it was made, so that an id which got into
//! other hands is of no use there. It covers the rights of that key too: a context that was opened with others ends when
//! they change. Clusters without keys seal nothing.

use std::borrow::Cow;

use gleaner_model::ClusterState;

use super::{KeyHolder, Principal, denial};
use crate::error::ApiError;

/// Between the id and its seal; ids are base64url, which does not have it.
const SEPARATOR: char = '.';

/// Bytes of a seal.
const SEAL_BYTES: usize = 16;

/// Returns `id` for the principal to keep.
pub(crate) fn sealed(principal: &Principal, state: &ClusterState, id: String) -> String {
    match principal {
        Principal::Anybody => id,
        Principal::Key(holder) => {
            let seal = seal(holder, state, &id);
            format!("{id}{SEPARATOR}{}", seal.to_hex())
        }
    }
}

/// Returns the id that was sealed.
///
/// # Errors
/// 403 when it was not sealed for this principal.
pub(crate) fn unsealed<'a>(
    principal: &Principal,
    state: &ClusterState,
    id: &'a str,
    action: &str,
) -> Result<Cow<'a, str>, ApiError> {
    let holder = match principal {
        // A cluster that has no keys any more goes on with what it gave out when it had some.
        Principal::Anybody => return Ok(id.split(SEPARATOR).next().unwrap_or(id).into()),
        Principal::Key(holder) => holder,
    };
    let (bare, given) = id.rsplit_once(SEPARATOR).unwrap_or((id, ""));
    let is_own = Seal::from_hex(given).is_some_and(|given| given == seal(holder, state, bare));
    match is_own {
        true => Ok(bare.into()),
        false => Err(denial::of_context(Some(holder), action)),
    }
}

/// A keyed digest, cut short; compared in constant time.
struct Seal(blake3::Hash);

impl PartialEq for Seal {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Seal {
    fn of(bytes: &[u8]) -> Option<Self> {
        let mut whole = [0; 32];
        whole[..SEAL_BYTES].copy_from_slice(bytes.get(..SEAL_BYTES)?);
        Some(Self(blake3::Hash::from_bytes(whole)))
    }

    fn to_hex(&self) -> String {
        self.0.to_hex()[..2 * SEAL_BYTES].to_owned()
    }

    fn from_hex(text: &str) -> Option<Self> {
        let whole = format!("{text}{}", "0".repeat(2 * SEAL_BYTES));
        let hash = blake3::Hash::from_hex(whole).ok()?;
        Self::of(hash.as_bytes())
    }
}

fn seal(holder: &KeyHolder, state: &ClusterState, id: &str) -> Seal {
    let secret = state.security.as_ref().map_or([0; 32], |it| it.seal.0);
    let mut hash = blake3::Hasher::new_keyed(&secret);
    let rights = serde_json::to_vec(&holder.key.rights).expect("lists of names are JSON");
    // Their lengths first: no other owner, rights and id have the same bytes.
    for part in [holder.id.as_bytes(), &rights] {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.update(id.as_bytes());
    Seal::of(hash.finalize().as_bytes()).expect("a digest has 32 bytes")
}
