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
    /// To see policies, and whether they are carried out.
    ReadIlm,
    /// To see and change policies.
    ManageIlm,
    /// To see, change and try out templates of indices.
    ManageIndexTemplates,
    /// To see templates of indices and to try them out. No key is given this one: others imply it.
    #[serde(skip)]
    ViewIndexTemplates,
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
    /// To create indices by writing to one that is not there, and in no other way.
    AutoConfigure,
    /// To delete indices.
    DeleteIndex,
    /// To see sizes, counts and shards.
    Monitor,
    /// To refresh, flush and merge.
    Maintenance,
    /// All but to read and write documents.
    Manage,
    /// To see what policies do to indices, to try a step again, and to take policies off.
    ManageIlm,
    /// To see what policies do to indices. No key is given this one: others imply it.
    #[serde(skip)]
    ExplainIlm,
    /// To have text analysed as the index does. No key is given this one: others imply it.
    #[serde(skip)]
    Analyze,
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
    /// All that keys are given.
    const ALL: [Self; 9] = [
        Self::All,
        Self::Manage,
        Self::Monitor,
        Self::ManageSecurity,
        Self::ManageApiKey,
        Self::ManageOwnApiKey,
        Self::ReadIlm,
        Self::ManageIlm,
        Self::ManageIndexTemplates,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Manage => "manage",
            Self::Monitor => "monitor",
            Self::ManageSecurity => "manage_security",
            Self::ManageApiKey => "manage_api_key",
            Self::ManageOwnApiKey => "manage_own_api_key",
            Self::ReadIlm => "read_ilm",
            Self::ManageIlm => "manage_ilm",
            Self::ManageIndexTemplates => "manage_index_templates",
            Self::ViewIndexTemplates => "view_index_templates",
        }
    }

    /// May who has this one do what needs `other`?
    pub fn implies(self, other: Self) -> bool {
        let implied: &[Self] = match self {
            Self::All => return true,
            Self::Manage => &[
                Self::Monitor,
                Self::ReadIlm,
                Self::ManageIlm,
                Self::ManageIndexTemplates,
                Self::ViewIndexTemplates,
            ],
            Self::Monitor => &[Self::ReadIlm, Self::ViewIndexTemplates],
            Self::ManageIlm => &[Self::ReadIlm],
            Self::ManageIndexTemplates => &[Self::ViewIndexTemplates],
            Self::ManageSecurity | Self::ManageApiKey => &[
                Self::ManageSecurity,
                Self::ManageApiKey,
                Self::ManageOwnApiKey,
            ],
            Self::ManageOwnApiKey | Self::ReadIlm | Self::ViewIndexTemplates => &[],
        };
        self == other || implied.contains(&other)
    }
}

impl IndexPrivilege {
    /// All that keys are given.
    const ALL: [Self; 14] = [
        Self::All,
        Self::Read,
        Self::ViewIndexMetadata,
        Self::Index,
        Self::CreateDoc,
        Self::Delete,
        Self::Write,
        Self::CreateIndex,
        Self::AutoConfigure,
        Self::DeleteIndex,
        Self::Monitor,
        Self::Maintenance,
        Self::Manage,
        Self::ManageIlm,
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
            Self::AutoConfigure => "auto_configure",
            Self::DeleteIndex => "delete_index",
            Self::Monitor => "monitor",
            Self::Maintenance => "maintenance",
            Self::Manage => "manage",
            Self::ManageIlm => "manage_ilm",
            Self::ExplainIlm => "explain_ilm",
            Self::Analyze => "analyze",
        }
    }

    /// May who has this one do what needs `other`?
    pub fn implies(self, other: Self) -> bool {
        let implied: &[Self] = match self {
            Self::All => return true,
            Self::CreateIndex => &[Self::AutoConfigure],
            Self::ViewIndexMetadata => &[Self::ExplainIlm, Self::Analyze],
            Self::ManageIlm => &[Self::ExplainIlm],
            Self::Monitor => &[Self::Analyze],
            Self::Index => &[Self::CreateDoc],
            Self::Write => &[Self::Index, Self::CreateDoc, Self::Delete],
            Self::Manage => &[
                Self::ViewIndexMetadata,
                Self::CreateIndex,
                Self::AutoConfigure,
                Self::DeleteIndex,
                Self::Monitor,
                Self::Maintenance,
                Self::ManageIlm,
                Self::ExplainIlm,
                Self::Analyze,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_implied_is_implied_all_the_way() {
        let cluster = [ClusterPrivilege::ViewIndexTemplates];
        let cluster: Vec<_> = ClusterPrivilege::ALL.into_iter().chain(cluster).collect();
        for held in &cluster {
            for needed in cluster.iter().filter(|needed| held.implies(**needed)) {
                for implied in cluster.iter().filter(|implied| needed.implies(**implied)) {
                    assert!(held.implies(*implied), "{held} → {needed} → {implied}");
                }
            }
        }
        let indices = [IndexPrivilege::ExplainIlm, IndexPrivilege::Analyze];
        let indices: Vec<_> = IndexPrivilege::ALL.into_iter().chain(indices).collect();
        for held in &indices {
            for needed in indices.iter().filter(|needed| held.implies(**needed)) {
                for implied in indices.iter().filter(|implied| needed.implies(**implied)) {
                    assert!(held.implies(*implied), "{held} → {needed} → {implied}");
                }
            }
        }
    }

    #[test]
    fn narrow_privileges_imply_no_wide_ones() {
        use ClusterPrivilege::{ManageIlm as Policies, ManageIndexTemplates, Monitor, ReadIlm};
        use IndexPrivilege::{AutoConfigure, CreateIndex, Manage, ManageIlm, ViewIndexMetadata};
        assert!(!AutoConfigure.implies(CreateIndex) && !ManageIlm.implies(Manage));
        assert!(!ManageIlm.implies(ViewIndexMetadata));
        assert!(!ReadIlm.implies(Monitor) && !ManageIndexTemplates.implies(Monitor));
        assert!(!ManageIndexTemplates.implies(ClusterPrivilege::Manage));
        assert!(!Monitor.implies(ManageIndexTemplates));
        assert!(!Policies.implies(Monitor) && !Policies.implies(ClusterPrivilege::Manage));
        assert!(!Monitor.implies(Policies) && !ReadIlm.implies(Policies));
    }

    #[test]
    fn what_only_others_imply_cannot_be_given() {
        assert!("view_index_templates".parse::<ClusterPrivilege>().is_err());
        assert!("explain_ilm".parse::<IndexPrivilege>().is_err());
        let read = "read_ilm".parse::<ClusterPrivilege>();
        assert_eq!(read, Ok(ClusterPrivilege::ReadIlm));
        let manage = "manage_ilm".parse::<ClusterPrivilege>();
        assert_eq!(manage, Ok(ClusterPrivilege::ManageIlm));
        let configure = "auto_configure".parse::<IndexPrivilege>();
        assert_eq!(configure, Ok(IndexPrivilege::AutoConfigure));
    }
}
