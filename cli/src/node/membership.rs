//! Who the members of a cluster are: the `[cluster]` table of a node's configuration.
//!
//! ```toml
//! [cluster]
//! keeper = "root-1"            # keeps the cluster state in its data folder; or, instead,
//! # etcd = ["http://10.0.0.7:2379", "http://10.0.0.8:2379", "http://10.0.0.9:2379"]
//! # lease = "3s"               # on etcd: a leaf that is silent for so long has its shards taken over
//!
//! [[cluster.nodes]]
//! name = "root-1"
//! role = "root"
//! address = "10.0.0.1:9300"    # where other nodes call it
//! http_address = "10.0.0.1:9200"
//!
//! [[cluster.nodes]]
//! name = "leaf-1"
//! role = "leaf"
//! address = "10.0.0.2:9300"
//! weight = 2.0                 # takes twice the shards of one with 1
//! zone = "a"                   # copies of a shard are spread over zones
//!
//! [[cluster.fronts]]           # processes of `gleaner front`, which hold nothing
//! name = "front-1"
//! http_address = "10.0.0.3:443"
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gleaner_model::{NodeId, NodeMeta, Role};
use serde::{Deserialize, Serialize};

use crate::config::{Config, Span};

/// The members, and who keeps what they agree on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Membership {
    /// Name of the node that keeps the cluster state; absent where an etcd does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) keeper: Option<String>,
    /// Where the members of the etcd are called that keeps the cluster state: `http://HOST:PORT` or
    /// `https://HOST:PORT`; empty where a node does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) etcd: Vec<String>,
    /// How long a leaf counts as alive after etcd last heard of it, 2 to 60 whole seconds; absent: [`LEASE`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lease: Option<Span>,
    /// All members, the same in every node's file.
    pub(crate) nodes: Vec<Member>,
    /// Processes that stand ahead of the roots.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) fronts: Vec<FrontMember>,
}

/// A process that stands ahead of the roots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FrontMember {
    /// Unique among all members.
    pub(crate) name: String,
    /// `HOST:PORT` at which clients call it.
    pub(crate) http_address: String,
}

/// One member.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Member {
    /// Unique; the `node_name` of its process.
    pub(crate) name: String,
    /// What it does.
    pub(crate) role: Role,
    /// `HOST:PORT` at which other nodes call it.
    pub(crate) address: String,
    /// `HOST:PORT` at which clients call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) http_address: Option<String>,
    /// Share of the shards relative to others, 0.001 to 1000.
    #[serde(default = "one")]
    pub(crate) weight: f64,
    /// Failure domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) zone: Option<String>,
}

/// Where the members of an etcd are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EtcdAddresses {
    /// `HOST:PORT` of each.
    pub(crate) addresses: Vec<String>,
    /// Whether over TLS.
    pub(crate) is_encrypted: bool,
}

/// Where one member of an etcd is called.
struct EtcdUrl<'a> {
    address: &'a str,
    is_encrypted: bool,
}

impl<'a> EtcdUrl<'a> {
    fn read(url: &'a str) -> Option<Self> {
        let (scheme, address) = url.split_once("://")?;
        let is_encrypted = match scheme {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        Some(Self {
            address: address.trim_end_matches('/'),
            is_encrypted,
        })
    }
}

fn has_port(address: &str) -> bool {
    let parts = address.rsplit_once(':');
    parts.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

/// Returns the host of a `HOST:PORT`, without the brackets of an address of version 6.
pub(crate) fn host_of(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

/// How long a leaf counts as alive after etcd last heard of it.
const LEASE: Duration = Duration::from_secs(3);

/// What it may be; etcd counts in seconds and grants two at least.
const LEASES: std::ops::RangeInclusive<Duration> = Duration::from_secs(2)..=Duration::from_secs(60);

/// Weights with which shards can be shared out.
const WEIGHTS: std::ops::RangeInclusive<f64> = 0.001..=1000.0;

fn one() -> f64 {
    1.0
}

/// What fronts and tools read of a node's file, whatever else stands there.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct ClusterFile {
    /// The name of the cluster, as nodes have it.
    #[serde(default = "default_name")]
    pub(crate) cluster_name: String,
    /// The table `[cluster]`.
    #[serde(rename = "cluster")]
    pub(crate) membership: Membership,
}

fn default_name() -> String {
    Config::default().cluster_name
}

impl ClusterFile {
    /// Reads a file.
    ///
    /// # Errors
    /// One that cannot be read or has no such table, and what [`Membership::check`] finds.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let in_file = || format!("in `{}`", path.display());
        let text = std::fs::read_to_string(path).context("cannot read the members of the cluster");
        let file: Self = toml::from_str(&text.with_context(in_file)?).with_context(in_file)?;
        file.membership.check().with_context(in_file)?;
        Ok(file)
    }
}

impl Membership {
    /// Checks what a file can get wrong.
    ///
    /// # Errors
    /// A name twice, a keeper that is no member, none at all or two, a weight that is no share, no address.
    pub(crate) fn check(&self) -> Result<()> {
        let mut names = BTreeSet::new();
        for member in &self.nodes {
            let name = &member.name;
            ensure!(!name.is_empty(), "a member of the cluster has no name");
            ensure!(
                names.insert(name),
                "two members of the cluster are named `{name}`"
            );
            ensure!(
                WEIGHTS.contains(&member.weight),
                "the weight of `{name}` is {}, wanted 0.001 to 1000",
                member.weight
            );
            ensure!(
                has_port(&member.address),
                "the address of `{name}` is `{}`, wanted HOST:PORT",
                member.address
            );
        }
        for FrontMember { name, http_address } in &self.fronts {
            ensure!(
                !name.is_empty() && names.insert(name),
                "two members of the cluster are named `{name}`, or one has no name"
            );
            ensure!(
                has_port(http_address),
                "the address of `{name}` is `{http_address}`, wanted HOST:PORT"
            );
        }
        self.check_keeping()
    }

    /// Checks that either a member or an etcd keeps the cluster state.
    fn check_keeping(&self) -> Result<()> {
        ensure!(
            self.keeper.is_some() == self.etcd.is_empty(),
            "one thing keeps the cluster state: write either `keeper = \"NAME\"`, a node that keeps it in its data \
             folder, or `etcd = [\"http://HOST:2379\", …]`, the members of an etcd, into `[cluster]`"
        );
        if let Some(keeper) = &self.keeper {
            ensure!(
                self.nodes.iter().any(|member| member.name == *keeper),
                "`{keeper}` is to keep the cluster state, but is no member"
            );
        }
        for url in &self.etcd {
            ensure!(
                EtcdUrl::read(url).is_some_and(|url| has_port(url.address)),
                "`{url}` is no member of an etcd, wanted http://HOST:PORT or https://HOST:PORT"
            );
        }
        ensure!(
            self.etcd.is_empty() || self.etcd_addresses().is_some(),
            "some members of the etcd are called by `http` and some by `https`, wanted one of them"
        );
        if let Some(Span(lease)) = self.lease {
            ensure!(
                !self.etcd.is_empty(),
                "`lease` has no effect without `etcd`: remove it"
            );
            ensure!(
                LEASES.contains(&lease) && lease.subsec_nanos() == 0,
                "`lease` is {}, wanted whole seconds from 2s to 60s",
                Span(lease)
            );
        }
        Ok(())
    }

    /// Returns how long a leaf counts as alive after etcd last heard of it.
    pub(crate) fn lease(&self) -> Duration {
        self.lease.map_or(LEASE, |Span(lease)| lease)
    }

    /// Returns where the members of the etcd are called that keeps the cluster state; `None` where a node does, or
    /// they are not all called in one way.
    pub(crate) fn etcd_addresses(&self) -> Option<EtcdAddresses> {
        let urls = self.etcd.iter().map(|url| EtcdUrl::read(url));
        let urls: Vec<EtcdUrl> = urls.collect::<Option<_>>()?;
        let is_encrypted = urls.first()?.is_encrypted;
        let is_one = urls.iter().all(|url| url.is_encrypted == is_encrypted);
        is_one.then(|| EtcdAddresses {
            addresses: urls.iter().map(|url| url.address.to_owned()).collect(),
            is_encrypted,
        })
    }

    /// Returns the member `name`, which must have `role`.
    ///
    /// # Errors
    /// When there is none, or it is something else.
    pub(crate) fn member(&self, name: &str, role: Role) -> Result<&Member> {
        let found = self.nodes.iter().find(|member| member.name == name);
        let member = found.with_context(|| {
            let names: Vec<&str> = self
                .nodes
                .iter()
                .map(|member| member.name.as_str())
                .collect();
            format!(
                "`node_name` is `{name}`, which is no member of the cluster; members are {}",
                names.join(", ")
            )
        })?;
        ensure!(
            member.role == role,
            "`{name}` is a {:?} in the file and was started as a {role:?}",
            member.role
        );
        Ok(member)
    }

    /// Returns the address of the keeper; `None` where an etcd keeps the cluster state.
    pub(crate) fn keeper_address(&self) -> Option<&str> {
        let keeper = self.keeper.as_ref()?;
        let keeper = self.nodes.iter().find(|member| member.name == *keeper);
        keeper.map(|keeper| keeper.address.as_str())
    }

    /// Returns the members as the cluster state holds them.
    pub(crate) fn nodes(&self) -> BTreeMap<NodeId, NodeMeta> {
        let meta = |member: &Member| NodeMeta {
            role: member.role,
            address: member.address.clone(),
            http_address: member.http_address.clone(),
            weight: member.weight,
            zone: member.zone.clone(),
        };
        let nodes = self.nodes.iter();
        nodes
            .map(|member| (NodeId(member.name.as_str().into()), meta(member)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Membership> {
        let membership: Membership = toml::from_str(text)?;
        membership.check()?;
        Ok(membership)
    }

    const ROOT: &str = "[[nodes]]\nname = 'r'\nrole = 'root'\naddress = 'h:1'\n";

    #[test]
    fn members_become_nodes_of_the_state() {
        let text = format!(
            "keeper = 'r'\n{ROOT}[[nodes]]\nname = 'l'\nrole = 'leaf'\naddress = 'h:2'\nzone = 'a'\n"
        );
        let membership = read(&text).expect("it is right");
        let nodes = membership.nodes();
        let leaf = &nodes[&NodeId("l".into())];
        assert_eq!((leaf.role, leaf.weight), (Role::Leaf, 1.0));
        assert_eq!(leaf.zone.as_deref(), Some("a"));
        assert_eq!(membership.keeper_address(), Some("h:1"));
        let error = membership
            .member("l", Role::Root)
            .expect_err("another role");
        assert!(error.to_string().contains("is a Leaf"), "{error}");
        assert!(membership.member("x", Role::Leaf).is_err());
    }

    #[test]
    fn an_etcd_takes_the_place_of_the_keeper() {
        let text = format!("etcd = ['https://a:2379', 'https://b:2379/']\n{ROOT}");
        let membership = read(&text).expect("it is right");
        assert_eq!(membership.keeper_address(), None);
        let wanted = EtcdAddresses {
            addresses: vec!["a:2379".to_owned(), "b:2379".to_owned()],
            is_encrypted: true,
        };
        assert_eq!(membership.etcd_addresses(), Some(wanted));
        assert_eq!(membership.lease(), LEASE);
        let longer = read(&format!("etcd = ['http://a:1']\nlease = '10s'\n{ROOT}"));
        assert_eq!(
            longer.expect("it is right").lease(),
            Duration::from_secs(10)
        );
        let keeper = read(&format!("keeper = 'r'\n{ROOT}")).expect("it is right");
        assert_eq!(keeper.etcd_addresses(), None);
    }

    #[test]
    fn what_a_file_gets_wrong_is_named() {
        let cases = [
            (format!("keeper = 'x'\n{ROOT}"), "`x`"),
            (format!("keeper = 'r'\n{ROOT}{ROOT}"), "two members"),
            (
                format!("keeper = 'r'\n{ROOT}weight = 0.0\n"),
                "weight of `r`",
            ),
            (format!("keeper = 'r'\n{ROOT}weight = 1001\n"), "1001"),
            (format!("keeper = 'r'\n{ROOT}weight = nan\n"), "NaN"),
            (
                "keeper = 'r'\n[[nodes]]\nname = 'r'\nrole = 'root'\naddress = 'h'\n".to_owned(),
                "HOST:PORT",
            ),
            (format!("keeper = 'r'\n{ROOT}wieght = 2\n"), "wieght"),
            (ROOT.to_owned(), "`etcd = [\"http://HOST:2379\", …]`"),
            (
                format!("keeper = 'r'\netcd = ['http://h:1']\n{ROOT}"),
                "either `keeper",
            ),
            (format!("etcd = ['h:2379']\n{ROOT}"), "`h:2379`"),
            (format!("etcd = ['http://h']\n{ROOT}"), "`http://h`"),
            (
                format!("etcd = ['http://h:1', 'https://h:2']\n{ROOT}"),
                "wanted one of them",
            ),
            (
                format!("keeper = 'r'\nlease = '5s'\n{ROOT}"),
                "without `etcd`",
            ),
            (
                format!("etcd = ['http://h:1']\nlease = '2500ms'\n{ROOT}"),
                "whole seconds",
            ),
            (
                format!("etcd = ['http://h:1']\nlease = '61s'\n{ROOT}"),
                "to 60s",
            ),
        ];
        for (text, expected) in cases {
            let error = read(&text).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
