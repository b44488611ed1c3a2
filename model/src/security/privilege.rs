//! The privileges of the dialect, and which of them imply which.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A privilege on the cluster as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClusterPrivilege {
    /// Everything.
    All,
    /// To see and to change settings of the cluster, tasks and contexts.
    Manage,
    /// To see the state of the cluster, its nodes and tasks.
    Monitor,
    /// To make, see and invalidate all API keys.
    ManageSecurity,
    /// The same.
    ManageApiKey,
    /// To make API keys, and to see and invalidate those that one has made.
    ManageOwnApiKey,
}

/// A privilege on indices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IndexPrivilege {
    /// Everything.
    All,
    /// To search, count and get documents.
    Read,
    /// To see mappings, settings and aliases.
    ViewIndexMetadata,
    /// To index, create and update documents.
    Index,
    /// To create documents that are not there yet.
    CreateDoc,
    /// To delete documents.
    Delete,
    /// To index, create, update and delete documents.
    Write,
    /// To create indices, also by writing to one that is not there.
    CreateIndex,
    /// To delete indices.
    DeleteIndex,
    /// To see sizes, counts and shards.
    Monitor,
    /// To refresh, flush and merge.
    Maintenance,
    /// All but to read and write documents.
    Manage,
}

/// The text names no privilege that is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {kind} privilege [{name}], known are [{known}]")]
pub struct UnknownPrivilege {
    kind: &'static str,
    name: String,
    known: String,
}

impl ClusterPrivilege {
    /// All of them.
    const ALL: [Self; 6] = [
        Self::All,
        Self::Manage,
        Self::Monitor,
        Self::ManageSecurity,
        Self::ManageApiKey,
        Self::ManageOwnApiKey,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Manage => "manage",
            Self::Monitor => "monitor",
            Self::ManageSecurity => "manage_security",
            Self::ManageApiKey => "manage_api_key",
            Self::ManageOwnApiKey => "manage_own_api_key",
        }
    }

    /// May who has this one do what needs `other`?
    pub fn implies(self, other: Self) -> bool {
        let implied: &[Self] = match self {
            Self::All => return true,
            Self::Manage => &[Self::Monitor],
            Self::ManageSecurity | Self::ManageApiKey => &[
                Self::ManageSecurity,
                Self::ManageApiKey,
                Self::ManageOwnApiKey,
            ],
            Self::Monitor | Self::ManageOwnApiKey => &[],
        };
        self == other || implied.contains(&other)
    }
}

impl IndexPrivilege {
    /// All of them.
    const ALL: [Self; 12] = [
        Self::All,
        Self::Read,
        Self::ViewIndexMetadata,
        Self::Index,
        Self::CreateDoc,
        Self::Delete,
        Self::Write,
        Self::CreateIndex,
        Self::DeleteIndex,
        Self::Monitor,
        Self::Maintenance,
        Self::Manage,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Read => "read",
            Self::ViewIndexMetadata => "view_index_metadata",
            Self::Index => "index",
            Self::CreateDoc => "create_doc",
            Self::Delete => "delete",
            Self::Write => "write",
            Self::CreateIndex => "create_index",
            Self::DeleteIndex => "delete_index",
            Self::Monitor => "monitor",
            Self::Maintenance => "maintenance",
            Self::Manage => "manage",
        }
    }

    /// May who has this one do what needs `other`?
    pub fn implies(self, other: Self) -> bool {
        let implied: &[Self] = match self {
            Self::All => return true,
            Self::Index => &[Self::CreateDoc],
            Self::Write => &[Self::Index, Self::CreateDoc, Self::Delete],
            Self::Manage => &[
                Self::ViewIndexMetadata,
                Self::CreateIndex,
                Self::DeleteIndex,
                Self::Monitor,
                Self::Maintenance,
            ],
            _ => &[],
        };
        self == other || implied.contains(&other)
    }

    /// Returns the names of the privileges that allow what needs this one.
    pub fn granted_by(self) -> String {
        let granting = Self::ALL.into_iter().filter(|held| held.implies(self));
        joined(granting.map(Self::name))
    }
}

impl ClusterPrivilege {
    /// Returns the names of the privileges that allow what needs this one.
    pub fn granted_by(self) -> String {
        let granting = Self::ALL.into_iter().filter(|held| held.implies(self));
        joined(granting.map(Self::name))
    }
}

fn joined<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(",")
}

impl fmt::Display for ClusterPrivilege {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for IndexPrivilege {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ClusterPrivilege {
    type Err = UnknownPrivilege;

    fn from_str(name: &str) -> Result<Self, UnknownPrivilege> {
        let known = Self::ALL.into_iter().find(|known| known.name() == name);
        known.ok_or_else(|| UnknownPrivilege {
            kind: "cluster",
            name: name.to_owned(),
            known: joined(Self::ALL.into_iter().map(Self::name)),
        })
    }
}

impl FromStr for IndexPrivilege {
    type Err = UnknownPrivilege;

    fn from_str(name: &str) -> Result<Self, UnknownPrivilege> {
        // The dialect has two words for it: one for data streams.
        let name = if name == "create" { "create_doc" } else { name };
        let known = Self::ALL.into_iter().find(|known| known.name() == name);
        known.ok_or_else(|| UnknownPrivilege {
            kind: "index",
            name: name.to_owned(),
            known: joined(Self::ALL.into_iter().map(Self::name)),
        })
    }
}
