//! What becomes of indices as they age, as agreed in the cluster state.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::IndexUuid;
use crate::mapping::matches_pattern;
use crate::security::{ClusterPrivilege, IndexPrivilege, Rights};

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
    /// What it may act on; `None`: on every index that names it. Earlier versions kept none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<PolicyScope>,
}

impl LifecyclePolicy {
    /// May it act on an index, a data stream or an alias of that name?
    pub fn may_manage(&self, name: &str) -> bool {
        self.scope.as_ref().is_none_or(|scope| scope.covers(name))
    }
}

/// What the last author of a policy may manage: patterns of names. The policy acts on nothing else.
///
/// It is what the author's rights allowed when the policy was put. Rights that end later do not change it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyScope(BTreeSet<String>);

impl PolicyScope {
    /// Returns the scope of a policy whose author has these rights: the names on which they have
    /// [`IndexPrivilege::Manage`]. `None` where they have [`ClusterPrivilege::Manage`]: such an author sets no bounds.
    pub fn of(rights: &Rights) -> Option<Self> {
        if rights.allow_cluster(ClusterPrivilege::Manage) {
            return None;
        }
        let patterns = rights.patterns_with(IndexPrivilege::Manage);
        Some(Self(patterns.map(str::to_owned).collect()))
    }

    /// Does it hold the index, data stream or alias of that name?
    pub fn covers(&self, name: &str) -> bool {
        let mut patterns = self.0.iter();
        patterns.any(|pattern| matches_pattern(pattern, name))
    }
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
    use crate::security::IndexGrant;

    #[test]
    fn a_policy_of_an_earlier_version_acts_on_all_that_name_it_and_is_written_as_before() {
        let earlier = json!({"version": 1, "modified_ms": 0, "declared": {"phases": {}}});
        let policy: LifecyclePolicy = serde_json::from_value(earlier.clone()).expect("it is read");
        assert!(policy.scope.is_none() && policy.may_manage("anything"));
        assert_eq!(serde_json::to_value(&policy).expect("JSON"), earlier);
        let mut scoped = earlier;
        scoped["scope"] = json!(["logs-*"]);
        let policy: LifecyclePolicy = serde_json::from_value(scoped.clone()).expect("it is read");
        assert!(policy.may_manage("logs-1") && !policy.may_manage("other-1"));
        assert_eq!(serde_json::to_value(&policy).expect("JSON"), scoped);
    }

    #[test]
    fn the_scope_of_a_policy_is_what_its_author_may_manage() {
        use IndexPrivilege::{All, DeleteIndex, Manage, ManageIlm};
        let grant = |name: &str, privileges: &[IndexPrivilege]| IndexGrant {
            names: vec![name.to_owned()],
            privileges: privileges.to_vec(),
        };
        let mut rights = Rights {
            cluster: vec![ClusterPrivilege::ManageIlm, ClusterPrivilege::Monitor],
            indices: Vec::new(),
        };
        let nothing = PolicyScope::of(&rights).expect("a narrow author");
        assert_eq!(nothing, PolicyScope::default());
        assert!(!nothing.covers("logs-1"));
        rights.indices = vec![
            grant("all-*", &[All]),
            grant("managed", &[Manage]),
            grant("deleted-*", &[DeleteIndex, ManageIlm]),
        ];
        let scope = PolicyScope::of(&rights).expect("a narrow author");
        assert!(scope.covers("all-1") && scope.covers("managed"));
        assert!(!scope.covers("managed-1") && !scope.covers("deleted-1"));
        for wide in [ClusterPrivilege::Manage, ClusterPrivilege::All] {
            rights.cluster = vec![wide];
            assert_eq!(PolicyScope::of(&rights), None, "{wide}");
        }
    }

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
