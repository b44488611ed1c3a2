//! Who the members of a cluster are: the `[cluster]` table of a node's configuration.
//!
//! ```toml
//! [cluster]
//! etcd = ["http://10.0.0.7:2379", "http://10.0.0.8:2379", "http://10.0.0.9:2379"]   # has the cluster state
//! # lease = "3s"               # a leaf that is silent for so long has its shards taken over
//! # etcd_quota = "2gb"         # what its members were started with, where they do not tell
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
//! # probe_address = "10.0.0.3:9210"   # its `--probe-listen`, for `gleaner top --cluster`
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gleaner_etcd::DEFAULT_QUOTA;
use gleaner_model::{NodeId, NodeMeta, Role};
use serde::{Deserialize, Serialize};

use crate::config::{ByteSize, Config, Span};

/// The members, and the etcd that has what they agree on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Membership {
    /// Where the members of the etcd are called that has the cluster state: `http://HOST:PORT` or `https://HOST:PORT`.
    pub(crate) etcd: Vec<String>,
    /// How long a leaf counts as alive after etcd last heard of it, 2 to 60 whole seconds; absent: [`LEASE`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lease: Option<Span>,
    /// How many bytes the database of each member of the etcd may have, where they do not tell: those before etcd 3.6.
    /// Absent: etcd's own default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) etcd_quota: Option<ByteSize>,
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
    /// `HOST:PORT` at which it answers probes: what its `--probe-listen` names. The front does not read it;
    /// `gleaner top --cluster` asks there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) probe_address: Option<String>,
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

/// What is wrong with a file that names no etcd, as those of clusters whose state lay with one of their nodes.
const NO_ETCD: &str = "`[cluster]` names no etcd: write `etcd = [\"http://HOST:2379\", …]`, the members of the etcd \
     that has the cluster state. A cluster that was begun without one does not go on in this version: start it with \
     the version before, and write its documents to a new cluster (docs/cluster.md says how)";

/// Refuses a table of members that names no etcd, before anything else in it is read.
///
/// # Errors
/// What to write.
pub(crate) fn check_names_etcd(cluster: &toml::Value) -> Result<()> {
    ensure!(cluster.get("etcd").is_some(), NO_ETCD);
    Ok(())
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
        let file: toml::Table =
            toml::from_str(&text.with_context(in_file)?).with_context(in_file)?;
        if let Some(cluster) = file.get("cluster") {
            check_names_etcd(cluster).with_context(in_file)?;
        }
        let file: Self = file.try_into().with_context(in_file)?;
        file.membership.check().with_context(in_file)?;
        Ok(file)
    }
}

impl Membership {
    /// Checks what a file can get wrong.
    ///
    /// # Errors
    /// A name twice, no etcd, a weight that is no share, no address.
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
        for front in &self.fronts {
            let name = &front.name;
            ensure!(
                !name.is_empty() && names.insert(name),
                "two members of the cluster are named `{name}`, or one has no name"
            );
            let probes = front.probe_address.iter();
            for address in probes.chain([&front.http_address]) {
                ensure!(
                    has_port(address),
                    "the address of `{name}` is `{address}`, wanted HOST:PORT"
                );
            }
        }
        self.check_etcd()
    }

    /// Checks where the cluster state is.
    fn check_etcd(&self) -> Result<()> {
        ensure!(!self.etcd.is_empty(), NO_ETCD);
        for url in &self.etcd {
            ensure!(
                EtcdUrl::read(url).is_some_and(|url| has_port(url.address)),
                "`{url}` is no member of an etcd, wanted http://HOST:PORT or https://HOST:PORT"
            );
        }
        ensure!(
            self.etcd_addresses().is_some(),
            "some members of the etcd are called by `http` and some by `https`, wanted one of them"
        );
        if let Some(Span(lease)) = self.lease {
            ensure!(
                LEASES.contains(&lease) && lease.subsec_nanos() == 0,
                "`lease` is {}, wanted whole seconds from 2s to 60s",
                Span(lease)
            );
        }
        ensure!(
            self.etcd_quota != Some(ByteSize(0)),
            "`etcd_quota` is 0, wanted what the members of the etcd were started with, as `--quota-backend-bytes`"
        );
        Ok(())
    }

    /// Returns how many bytes the database of a member of the etcd may have that does not tell.
    pub(crate) fn etcd_quota(&self) -> u64 {
        self.etcd_quota
            .map_or(DEFAULT_QUOTA, |ByteSize(quota)| quota)
    }

    /// Returns how long a leaf counts as alive after etcd last heard of it.
    pub(crate) fn lease(&self) -> Duration {
        self.lease.map_or(LEASE, |Span(lease)| lease)
    }

    /// Returns where the members of the etcd are called; `None` where they are not all called in one way.
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
        let table: toml::Table = toml::from_str(text)?;
        check_names_etcd(&table.clone().into())?;
        let membership: Membership = table.try_into()?;
        membership.check()?;
        Ok(membership)
    }

    const ETCD: &str = "etcd = ['http://e:2379']\n";
    const ROOT: &str = "[[nodes]]\nname = 'r'\nrole = 'root'\naddress = 'h:1'\n";

    #[test]
    fn members_become_nodes_of_the_state() {
        let text = format!(
            "{ETCD}{ROOT}[[nodes]]\nname = 'l'\nrole = 'leaf'\naddress = 'h:2'\nzone = 'a'\n"
        );
        let membership = read(&text).expect("it is right");
        let nodes = membership.nodes();
        let leaf = &nodes[&NodeId("l".into())];
        assert_eq!((leaf.role, leaf.weight), (Role::Leaf, 1.0));
        assert_eq!(leaf.zone.as_deref(), Some("a"));
        let error = membership
            .member("l", Role::Root)
            .expect_err("another role");
        assert!(error.to_string().contains("is a Leaf"), "{error}");
        assert!(membership.member("x", Role::Leaf).is_err());
    }

    #[test]
    fn the_etcd_is_called_in_one_way() {
        let text = format!("etcd = ['https://a:2379', 'https://b:2379/']\n{ROOT}");
        let membership = read(&text).expect("it is right");
        let wanted = EtcdAddresses {
            addresses: vec!["a:2379".to_owned(), "b:2379".to_owned()],
            is_encrypted: true,
        };
        assert_eq!(membership.etcd_addresses(), Some(wanted));
        assert_eq!(membership.lease(), LEASE);
        assert_eq!(membership.etcd_quota(), 2 << 30);
        let larger = read(&format!(
            "etcd = ['http://a:1']\netcd_quota = '8gb'\n{ROOT}"
        ));
        assert_eq!(larger.expect("it is right").etcd_quota(), 8 << 30);
        let longer = read(&format!("etcd = ['http://a:1']\nlease = '10s'\n{ROOT}"));
        assert_eq!(
            longer.expect("it is right").lease(),
            Duration::from_secs(10)
        );
    }

    #[test]
    fn what_a_file_gets_wrong_is_named() {
        let cases = [
            (format!("{ETCD}{ROOT}{ROOT}"), "two members"),
            (format!("{ETCD}{ROOT}weight = 0.0\n"), "weight of `r`"),
            (format!("{ETCD}{ROOT}weight = 1001\n"), "1001"),
            (format!("{ETCD}{ROOT}weight = nan\n"), "NaN"),
            (
                "etcd = ['http://h:1']\n[[nodes]]\nname = 'r'\nrole = 'root'\naddress = 'h'\n"
                    .to_owned(),
                "HOST:PORT",
            ),
            (format!("{ETCD}{ROOT}wieght = 2\n"), "wieght"),
            (
                format!(
                    "{ETCD}{ROOT}[[fronts]]\nname = 'f'\nhttp_address = 'h:1'\nprobe_address = 'h'\n"
                ),
                "the address of `f` is `h`",
            ),
            (ROOT.to_owned(), "`etcd = [\"http://HOST:2379\", …]`"),
            // What a node was to keep is not read, but how to go on is said.
            (format!("kept_by = 'r'\n{ROOT}"), "the version before"),
            (format!("etcd = []\n{ROOT}"), "the version before"),
            (format!("etcd = ['h:2379']\n{ROOT}"), "`h:2379`"),
            (format!("etcd = ['http://h']\n{ROOT}"), "`http://h`"),
            (
                format!("etcd = ['http://h:1', 'https://h:2']\n{ROOT}"),
                "wanted one of them",
            ),
            (
                format!("etcd = ['http://h:1']\nlease = '2500ms'\n{ROOT}"),
                "whole seconds",
            ),
            (
                format!("etcd = ['http://h:1']\nlease = '61s'\n{ROOT}"),
                "to 60s",
            ),
            (
                format!("etcd = ['http://h:1']\netcd_quota = '0b'\n{ROOT}"),
                "`--quota-backend-bytes`",
            ),
        ];
        for (text, expected) in cases {
            let error = read(&text).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
