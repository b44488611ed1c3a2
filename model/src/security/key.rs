//! API keys as the cluster state keeps them: without their secrets.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Rights;

/// Most API keys of a cluster that are not invalidated: the cluster state travels whole.
pub const MAX_API_KEYS: usize = 1_000;

/// Name and id of the key whose rights are those of requests without credentials. It has no secret.
pub const ANONYMOUS: &str = "_anonymous";

/// The security of a cluster. A cluster state that has it requires a key for every request of a client.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Security {
    /// The keys by id.
    pub api_keys: BTreeMap<String, Arc<ApiKey>>,
    /// What ids of scrolls and points in time are signed with, so that they serve the key alone that opened them.
    pub seal: KeyHash,
}

/// An API key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Name for people; several keys may have the same.
    pub name: String,
    /// Digest of the secret.
    pub hash: KeyHash,
    /// Id of the key that made it; `None` for the first one of a cluster.
    #[serde(default)]
    pub creator: Option<String>,
    /// When it was made, milliseconds since the epoch.
    pub created_ms: i64,
    /// When it ends, milliseconds since the epoch; `None`: never.
    #[serde(default)]
    pub expires_ms: Option<i64>,
    /// When it was invalidated, milliseconds since the epoch; `None`: it was not.
    #[serde(default)]
    pub invalidated_ms: Option<i64>,
    /// What it may do.
    pub rights: Rights,
    /// How often, and at what cost.
    #[serde(default)]
    pub limits: KeyLimits,
    /// The role descriptors that it was made with, as they were given.
    #[serde(default)]
    pub role_descriptors: Value,
    /// What its maker wrote down beside it.
    #[serde(default)]
    pub metadata: Value,
}

/// How often a key may be used, and at what cost; `None` is what the settings of a front say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyLimits {
    /// Requests a second, ≥ 1.
    #[serde(default)]
    pub requests_per_second: Option<u32>,
    /// Milliseconds of search CPU a second, ≥ 1.
    #[serde(default)]
    pub cost_ms_per_second: Option<u32>,
    /// Requests at once, ≥ 1.
    #[serde(default)]
    pub concurrent: Option<u32>,
}

impl KeyLimits {
    /// Returns these limits where they are no wider than `others`, and those of `others` elsewhere.
    #[must_use]
    pub fn within(self, others: Self) -> Self {
        let least = |own: Option<u32>, other: Option<u32>| match (own, other) {
            (Some(own), Some(other)) => Some(own.min(other)),
            (own, other) => own.or(other),
        };
        Self {
            requests_per_second: least(self.requests_per_second, others.requests_per_second),
            cost_ms_per_second: least(self.cost_ms_per_second, others.cost_ms_per_second),
            concurrent: least(self.concurrent, others.concurrent),
        }
    }
}

impl ApiKey {
    /// Can it be used at `now_ms`?
    pub fn is_valid(&self, now_ms: i64) -> bool {
        self.invalidated_ms.is_none() && self.expires_ms.is_none_or(|ends| now_ms < ends)
    }
}

/// 32 bytes of a digest, in JSON as hexadecimal digits. Its `Debug` does not show them.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct KeyHash(pub [u8; 32]);

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(…)")
    }
}

impl Serialize for KeyHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digits: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        serializer.serialize_str(&digits)
    }
}

impl<'de> Deserialize<'de> for KeyHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digits = String::deserialize(deserializer)?;
        let wrong = || serde::de::Error::custom("a digest has 64 hexadecimal digits");
        if digits.len() != 64 || !digits.is_ascii() {
            return Err(wrong());
        }
        let mut bytes = [0; 32];
        for (at, byte) in bytes.iter_mut().enumerate() {
            let pair = &digits[2 * at..2 * at + 2];
            *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_survives_its_json_and_is_not_printed() {
        let hash = KeyHash(std::array::from_fn(|at| at as u8 * 7));
        let json = serde_json::to_string(&hash).expect("JSON");
        assert_eq!(serde_json::from_str::<KeyHash>(&json).expect("read"), hash);
        assert!(serde_json::from_str::<KeyHash>("\"00\"").is_err());
        assert!(!format!("{hash:?}").contains('7'));
    }
}
