//! What another process is in the cluster, as its certificate says.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::state::Role;

/// Role of a process that calls a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PeerRole {
    /// Holds shard copies.
    Leaf,
    /// Plans, scatters, gathers.
    Root,
    /// Stands ahead of roots: ends TLS, caches, balances.
    Front,
    /// A person or a program that operates the cluster.
    Admin,
}

impl PeerRole {
    /// All roles.
    pub const ALL: [Self; 4] = [Self::Leaf, Self::Root, Self::Front, Self::Admin];

    /// Returns its name in certificates, files and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Leaf => "leaf",
            Self::Root => "root",
            Self::Front => "front",
            Self::Admin => "admin",
        }
    }
}

impl From<Role> for PeerRole {
    fn from(role: Role) -> Self {
        match role {
            Role::Leaf => Self::Leaf,
            Role::Root => Self::Root,
        }
    }
}

impl fmt::Display for PeerRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no role; roles are leaf, root, front and admin")]
pub struct UnknownRole(String);

impl FromStr for PeerRole {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        let found = Self::ALL.into_iter().find(|role| role.name() == text);
        found.ok_or_else(|| UnknownRole(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_survive_their_names() {
        for role in PeerRole::ALL {
            assert_eq!(role.name().parse(), Ok(role));
        }
        assert!("shard".parse::<PeerRole>().is_err());
    }
}
