//! Credentials of a request against the keys of the cluster state.
//!
//! Keys are 256 bits by chance, so one fast digest is enough: nobody can try them out, and there are no passwords. The
//! three schemes carry the same, `base64(id:secret)`: older clients know `Basic` alone.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use gleaner_model::security::{ANONYMOUS, KeyHash, Security};
use http::{HeaderMap, header};

use super::{KeyHolder, Principal};

/// Why a request has no principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadCredentials {
    /// It has none, and strangers may do nothing.
    Missing,
    /// They name a key that is not known here; another node may have just made it.
    Unknown,
    /// They are wrong, or of a key that has ended.
    Wrong,
}

/// Returns who sends a request.
///
/// # Errors
/// [`BadCredentials`], which all look the same to the sender but for the missing ones.
pub(crate) fn authenticate(
    headers: &HeaderMap,
    security: Option<&Security>,
    now_ms: i64,
) -> Result<Principal, BadCredentials> {
    let Some(security) = security else {
        return Ok(Principal::Anybody);
    };
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = given.next() else {
        return anonymous(security, now_ms);
    };
    // Two would be two principals.
    if given.next().is_some() {
        return Err(BadCredentials::Wrong);
    }
    let shown = value.to_str().ok().and_then(read);
    let (id, secret) = shown.ok_or(BadCredentials::Wrong)?;
    let known = security.api_keys.get(&id);
    // As long for an id that is not known: nobody finds out which are.
    let expected = known.map_or([0; 32], |key| key.hash.0);
    let is_equal = blake3::hash(secret.as_bytes()) == blake3::Hash::from_bytes(expected);
    match known {
        Some(key) if is_equal && id != ANONYMOUS && key.is_valid(now_ms) => {
            Ok(Principal::Key(KeyHolder {
                id: id.into(),
                key: Arc::clone(key),
            }))
        }
        Some(_) => Err(BadCredentials::Wrong),
        None => Err(BadCredentials::Unknown),
    }
}

/// Returns what those are who show nothing.
fn anonymous(security: &Security, now_ms: i64) -> Result<Principal, BadCredentials> {
    let key = security.api_keys.get(ANONYMOUS);
    let key = key.filter(|key| key.is_valid(now_ms));
    let holder = key.map(|key| KeyHolder {
        id: ANONYMOUS.into(),
        key: Arc::clone(key),
    });
    holder.map(Principal::Key).ok_or(BadCredentials::Missing)
}

/// Reads `SCHEME base64(ID:SECRET)`.
fn read(value: &str) -> Option<(String, String)> {
    let (scheme, encoded) = value.trim().split_once(' ')?;
    let schemes = ["ApiKey", "Bearer", "Basic"];
    schemes
        .iter()
        .find(|known| known.eq_ignore_ascii_case(scheme))?;
    let bytes = STANDARD.decode(encoded.trim()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}

/// A new key, which is shown once. Its `Debug` does not show it.
pub(crate) struct Secret {
    pub(crate) id: String,
    pub(crate) secret: String,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Secret {
    /// Makes one by chance.
    pub(crate) fn random() -> Self {
        Self {
            id: URL_SAFE_NO_PAD.encode(rand::random::<[u8; 15]>()),
            secret: URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()),
        }
    }

    /// Returns what is kept of it.
    pub(crate) fn hash(&self) -> KeyHash {
        KeyHash(*blake3::hash(self.secret.as_bytes()).as_bytes())
    }

    /// Returns what stands behind `ApiKey` in a request.
    pub(crate) fn encoded(&self) -> String {
        STANDARD.encode(format!("{}:{}", self.id, self.secret))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use gleaner_model::Rights;
    use gleaner_model::security::{ApiKey, KeyLimits};
    use serde_json::Value;

    use super::*;

    fn key(secret: &Secret) -> ApiKey {
        ApiKey {
            name: "reader".to_owned(),
            hash: secret.hash(),
            creator: None,
            created_ms: 0,
            expires_ms: Some(1_000),
            invalidated_ms: None,
            rights: Rights::all(),
            limits: KeyLimits::default(),
            role_descriptors: Value::Null,
            metadata: Value::Null,
        }
    }

    fn shown(security: &Security, values: &[&str], now_ms: i64) -> Result<String, BadCredentials> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, value.parse().expect("a value"));
        }
        let principal = authenticate(&headers, Some(security), now_ms)?;
        Ok(principal.holder().expect("a key").id.to_string())
    }

    #[test]
    fn a_key_is_taken_by_three_schemes_while_it_is_valid() {
        let secret = Secret::random();
        let id = secret.id.clone();
        let mut security = Security {
            api_keys: BTreeMap::from([(id.clone(), Arc::new(key(&secret)))]),
            ..Security::default()
        };
        let encoded = secret.encoded();
        for scheme in ["ApiKey", "apikey", "Bearer", "Basic", "BASIC"] {
            let value = format!("{scheme} {encoded}");
            assert_eq!(shown(&security, &[&value], 0), Ok(id.clone()), "{scheme}");
        }
        let value = format!("ApiKey {encoded}");
        use BadCredentials::{Missing, Unknown, Wrong};
        assert_eq!(
            shown(&security, &[&value], 1_000),
            Err(Wrong),
            "it has ended"
        );
        assert_eq!(shown(&security, &[&value, &value], 0), Err(Wrong));
        assert_eq!(shown(&security, &[], 0), Err(Missing));
        let other = Secret::random();
        let unknown = format!("ApiKey {}", other.encoded());
        assert_eq!(shown(&security, &[&unknown], 0), Err(Unknown));
        let guessed = Secret {
            id: id.clone(),
            ..other
        };
        let guessed = format!("ApiKey {}", guessed.encoded());
        assert_eq!(shown(&security, &[&guessed], 0), Err(Wrong));
        for odd in [
            "",
            "ApiKey",
            "ApiKey !",
            "Digest x",
            "ApiKey eA==",
            &encoded,
        ] {
            assert_eq!(shown(&security, &[odd], 0), Err(Wrong), "{odd}");
        }
        let mut ended = key(&secret);
        ended.invalidated_ms = Some(0);
        security.api_keys.insert(id, Arc::new(ended));
        assert_eq!(shown(&security, &[&value], 0), Err(Wrong));
        // Those without a key are strangers, whose rights nobody else can take by naming them.
        let nobody = Arc::new(key(&Secret::random()));
        security.api_keys.insert(ANONYMOUS.to_owned(), nobody);
        assert_eq!(shown(&security, &[], 0).as_deref(), Ok(ANONYMOUS));
        let named = format!("ApiKey {}", STANDARD.encode("_anonymous:x"));
        assert_eq!(shown(&security, &[&named], 0), Err(Wrong));
    }

    #[test]
    fn secrets_are_not_printed() {
        let secret = Secret::random();
        assert!(!format!("{secret:?}").contains(&secret.secret));
    }
}
