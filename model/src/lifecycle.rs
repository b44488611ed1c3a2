//! What becomes of indices as they age, as agreed in the cluster state.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::IndexUuid;

/// The policies of the cluster, and whether they are carried out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Lifecycles {
    /// Policies by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub policies: BTreeMap<String, LifecyclePolicy>,
    /// Whether nothing is carried out until that is started again; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_stopped: bool,
    /// Phases that indices were moved to: they stand there, or in a later one. Earlier versions kept them
    /// under `moved`, without the policy; those are forgotten.
    #[serde(
        default,
        rename = "phase_moves",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub moved: BTreeMap<IndexUuid, PhaseMove>,
}

/// To which phase an index was moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseMove {
    /// The policy that it followed then: under another one the move means nothing.
    pub policy: String,
    /// The phase of that policy.
    pub phase: String,
}

impl Lifecycles {
    /// Returns whether there is no policy, and nothing was stopped or moved.
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty() && !self.is_stopped && self.moved.is_empty()
    }
}

/// What becomes of the indices that name it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LifecyclePolicy {
    /// Grows by one with each change, from 1.
    pub version: u64,
    /// When it was changed last, milliseconds since the epoch.
    pub modified_ms: i64,
    /// The phases with their actions, in the dialect's JSON.
    pub declared: Value,
}

/// How long a data stream keeps what was written to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamLifecycle {
    /// Whether it is carried out.
    pub is_enabled: bool,
    /// Age of an index, since it was replaced, at which it is deleted, as given (`7d`); `None` keeps all.
    pub retention: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn moves_of_an_earlier_version_are_forgotten() {
        let earlier = json!({
            "is_stopped": true,
            "moved": { "01010101010101010101010101010101": "warm" },
        });
        let lifecycles: Lifecycles = serde_json::from_value(earlier).expect("it is read");
        assert!(lifecycles.is_stopped);
        assert!(lifecycles.moved.is_empty());
    }
}
