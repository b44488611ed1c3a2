//! Who may do what: API keys as the cluster state keeps them, and the rights that they carry.
//!
//! Does: name privileges, say whether rights cover an action on a name, and whether they cover other rights.
//! Does not: read role descriptors (`query` does), check secrets or read requests (`api` does). Rights are lists of
//! what is allowed; there is no way to write down what is forbidden.
//! Called by `query`, `root` and `api`. Read [`Rights`] first.

mod key;
mod privilege;

use serde::{Deserialize, Serialize};

pub use key::{ANONYMOUS, ApiKey, KeyHash, KeyLimits, MAX_API_KEYS, Security};
pub use privilege::{ClusterPrivilege, IndexPrivilege, UnknownPrivilege};

use crate::mapping::matches_pattern;

/// What somebody may do. Everything else is denied.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rights {
    /// Privileges on the cluster as a whole.
    #[serde(default)]
    pub cluster: Vec<ClusterPrivilege>,
    /// Privileges on names of indices and aliases.
    #[serde(default)]
    pub indices: Vec<IndexGrant>,
}

/// Privileges on the indices and aliases whose names match a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexGrant {
    /// Patterns, in which `*` stands for any run of characters. They are matched with names as requests use them: a
    /// grant on an alias is none on the indices behind it, and the other way round.
    pub names: Vec<String>,
    /// What is allowed there.
    pub privileges: Vec<IndexPrivilege>,
}

impl Rights {
    /// Returns the rights to everything.
    pub fn all() -> Self {
        Self {
            cluster: vec![ClusterPrivilege::All],
            indices: vec![IndexGrant {
                names: vec!["*".to_owned()],
                privileges: vec![IndexPrivilege::All],
            }],
        }
    }

    /// Do they cover an action on the cluster that needs `privilege`?
    pub fn allow_cluster(&self, privilege: ClusterPrivilege) -> bool {
        self.cluster.iter().any(|held| held.implies(privilege))
    }

    /// Do they cover an action that needs `privilege` on the index or alias called `name`? What is no single name, such
    /// as a pattern or a list, is never covered unless everything is.
    pub fn allow_index(&self, privilege: IndexPrivilege, name: &str) -> bool {
        let is_name = !name.contains(['*', ',']) && !name.starts_with(['-', '_']);
        let covers = |grant: &IndexGrant| {
            let mut names = grant.names.iter();
            grant.has(privilege)
                && names.any(|pattern| pattern == "*" || is_name && matches_pattern(pattern, name))
        };
        self.indices.iter().any(covers)
    }

    /// Do they cover `privilege` on any name?
    pub fn allow_some_index(&self, privilege: IndexPrivilege) -> bool {
        self.indices.iter().any(|grant| grant.has(privilege))
    }

    /// Returns the patterns of the names on which they cover `privilege`.
    pub fn patterns_with(&self, privilege: IndexPrivilege) -> impl Iterator<Item = &str> {
        let grants = self.indices.iter();
        let granting = grants.filter(move |grant| grant.has(privilege));
        granting.flat_map(|grant| grant.names.iter().map(String::as_str))
    }

    /// Do they cover `privilege` on every name there is or will be?
    pub fn allow_every_index(&self, privilege: IndexPrivilege) -> bool {
        let mut grants = self.indices.iter();
        grants.any(|grant| grant.has(privilege) && grant.names.iter().any(|name| name == "*"))
    }

    /// Returns what of `other` these rights do not cover, for people; `None` where they cover all of it. It errs on the
    /// side of denial: two grants together may cover a pattern that neither of them covers.
    pub fn lack(&self, other: &Self) -> Option<String> {
        let mut cluster = other.cluster.iter();
        if let Some(privilege) = cluster.find(|privilege| !self.allow_cluster(**privilege)) {
            return Some(format!("cluster privilege [{privilege}]"));
        }
        for grant in &other.indices {
            for name in &grant.names {
                let mut privileges = grant.privileges.iter();
                if let Some(privilege) = privileges.find(|it| !self.cover(**it, name)) {
                    return Some(format!("privilege [{privilege}] on indices [{name}]"));
                }
            }
        }
        None
    }

    /// Is there a grant with `privilege` on every name that matches `pattern`? A `*` of `pattern` can only be matched by
    /// a `*` of the grant, so it stands for any text.
    fn cover(&self, privilege: IndexPrivilege, pattern: &str) -> bool {
        let mut grants = self.indices.iter();
        grants.any(|grant| {
            let mut names = grant.names.iter();
            grant.has(privilege) && names.any(|held| matches_pattern(held, pattern))
        })
    }
}

impl IndexGrant {
    fn has(&self, privilege: IndexPrivilege) -> bool {
        self.privileges.iter().any(|held| held.implies(privilege))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(name: &str, privileges: &[IndexPrivilege]) -> Rights {
        Rights {
            cluster: vec![ClusterPrivilege::Monitor],
            indices: vec![IndexGrant {
                names: vec![name.to_owned()],
                privileges: privileges.to_vec(),
            }],
        }
    }

    #[test]
    fn only_what_is_granted_is_allowed() {
        use IndexPrivilege::{CreateDoc, Delete, Index, Manage, Read, Write};
        let reader = rights("logs-*", &[Read]);
        assert!(reader.allow_index(Read, "logs-1"));
        assert!(reader.allow_cluster(ClusterPrivilege::Monitor));
        assert!(!reader.allow_cluster(ClusterPrivilege::Manage));
        for denied in [
            "log",
            "xlogs-1",
            "logs-1,secret",
            "logs-*",
            "-logs-1",
            "_all",
            "*",
        ] {
            assert!(!reader.allow_index(Read, denied), "{denied}");
        }
        for privilege in [CreateDoc, Delete, Index, Manage, Write] {
            assert!(!reader.allow_index(privilege, "logs-1"), "{privilege}");
        }
        let writer = rights("logs-*", &[Write]);
        assert!(writer.allow_index(Index, "logs-1") && writer.allow_index(Delete, "logs-1"));
        assert!(!writer.allow_index(Read, "logs-1"));
        assert!(!Rights::default().allow_index(Read, "logs-1"));
        assert!(Rights::all().allow_index(Manage, "anything"));
    }

    #[test]
    fn a_key_cannot_give_what_it_does_not_have() {
        use IndexPrivilege::{Manage, Read};
        let held = rights("logs-*", &[Read]);
        assert_eq!(held.lack(&rights("logs-a*", &[Read])), None);
        assert_eq!(held.lack(&held), None);
        assert_eq!(Rights::all().lack(&held), None);
        for (name, privilege) in [
            ("*", Read),
            ("log*", Read),
            ("logs", Read),
            ("logs-1", Manage),
        ] {
            assert!(held.lack(&rights(name, &[privilege])).is_some(), "{name}");
        }
        assert!(held.lack(&Rights::all()).is_some());
    }
}
