//! The nodes of a local cluster: who they are, where they listen, what each is started with.

use std::{
    ffi::OsString,
    net::TcpListener,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use gleaner_etcd::Users;
use gleaner_machine::ports;
use gleaner_model::{PeerRole, Role};
use gleaner_tls::CertificateFiles;
use toml::Table;

use super::{
    UpArguments,
    etcd::{EtcdCertificates, EtcdMember, LocalEtcd},
    map::{Entry, Map},
    process::{self, Launch, Part, Process},
};
use crate::{
    certs::{self, ClusterCertificates, OPERATOR},
    config::Config,
    node::{
        membership::{ClusterFile, FrontMember, Member, Membership, host_of},
        state::{Calls, StateSource},
    },
    tls::NodeTls,
};

/// Where the certificates of a secure cluster lie in its folder.
const CERTIFICATES: &str = "certs";

/// The nodes that are to be, with their addresses.
pub(super) struct Plan {
    membership: Membership,
    /// What has the cluster state.
    etcd: LocalEtcd,
    /// Leaves whose folders are not there: they do not start.
    missing: Vec<String>,
    listen: String,
    copies: u32,
    is_secure: bool,
    /// Other machines may reach `listen` although connections are not encrypted. All other addresses are of the loopback.
    is_insecure: bool,
    requires_keys: bool,
    access_logs: bool,
    /// Where the spans of all requests are sent.
    otlp_endpoint: Option<String>,
    data: PathBuf,
}

impl Plan {
    /// Names the nodes and finds free ports for those that clients do not call. Clients call `listen`; the leaves
    /// `missing` do not start.
    pub(super) fn of(
        arguments: &UpArguments,
        listen: String,
        missing: Vec<String>,
    ) -> Result<Self> {
        let mut ports = FreePorts::default();
        let mut at_listen = Some(listen.clone());
        let mut fronts = Vec::new();
        for number in 1..=arguments.fronts {
            fronts.push(FrontMember {
                name: format!("front-{number}"),
                http_address: at_listen.take().map_or_else(|| ports.next(), Ok)?,
                probe_address: Some(ports.next()?),
            });
        }
        let mut nodes = Vec::new();
        let members = [
            (Role::Root, arguments.roots),
            (Role::Leaf, arguments.leaves),
        ];
        for (role, number) in members {
            for number in 1..=number {
                let taken = at_listen.take_if(|_| role == Role::Root);
                nodes.push(Member {
                    name: format!("{}-{number}", PeerRole::from(role)),
                    role,
                    address: ports.next()?,
                    http_address: Some(taken.map_or_else(|| ports.next(), Ok)?),
                    weight: 1.0,
                    zone: None,
                });
            }
        }
        let data = std::path::absolute(&arguments.data)?;
        let etcd = LocalEtcd::of(&data, &mut ports)?;
        Ok(Self {
            membership: Membership {
                etcd: etcd.urls(arguments.secure),
                lease: None,
                etcd_quota: None,
                nodes,
                fronts,
            },
            etcd,
            missing,
            listen,
            copies: arguments.copies,
            is_secure: arguments.secure,
            is_insecure: arguments.insecure && !arguments.secure,
            requires_keys: arguments.secure && !arguments.no_keys,
            access_logs: arguments.access_logs,
            otlp_endpoint: arguments.otlp_endpoint.clone(),
            data,
        })
    }

    /// Returns how many nodes have a role.
    pub(super) fn num_of(&self, role: PeerRole) -> usize {
        let nodes = self.membership.nodes.iter();
        match role {
            PeerRole::Front => self.membership.fronts.len(),
            role => nodes
                .filter(|node| PeerRole::from(node.role) == role)
                .count(),
        }
    }

    /// Returns how many copies a shard has.
    pub(super) fn copies(&self) -> u32 {
        self.copies
    }

    /// Returns where clients go.
    pub(super) fn url(&self) -> String {
        self.url_of(&self.listen)
    }

    /// Returns the authority that clients trust, where connections are encrypted.
    pub(super) fn ca(&self) -> Option<PathBuf> {
        self.is_secure.then(|| self.data.join("ca.pem"))
    }

    /// Returns where the cluster state lies, for who operates the nodes.
    pub(super) fn state_source(&self) -> Result<StateSource> {
        let file = ClusterFile {
            cluster_name: Config::default().cluster_name,
            membership: self.membership.clone(),
        };
        StateSource::of(&file, &self.calls()?)
    }

    fn calls(&self) -> Result<Calls> {
        if !self.is_secure {
            return Ok(Calls::default());
        }
        let files = CertificateFiles {
            certificate: self.certificate(&format!("{OPERATOR}.pem")),
            key: self.certificate(&format!("{OPERATOR}.key")),
        };
        let tls = NodeTls::of_files(files, Some(&self.certificate("ca.pem")))?;
        let between = tls.between_nodes()?;
        Ok(between.map_or_else(Calls::default, |nodes| Calls {
            dialling: nodes.dialling,
            is_encrypted: true,
        }))
    }

    /// Returns the members of the etcd. They share a certificate: all are on this machine.
    fn etcd_members(&self) -> Vec<EtcdMember> {
        let certificates = self.is_secure.then(|| EtcdCertificates {
            certificate: self.certificate("etcd/127.0.0.1.pem"),
            key: self.certificate("etcd/127.0.0.1.key"),
            ca: self.certificate("ca.pem"),
            common_name: Users::of(certs::NAME).of_members(),
        });
        self.etcd.members(&self.data, certificates.as_ref())
    }

    fn url_of(&self, address: &str) -> String {
        let scheme = if self.is_secure { "https" } else { "http" };
        format!("{scheme}://{address}")
    }

    /// Returns a file of the certificates.
    pub(super) fn certificate(&self, file: &str) -> PathBuf {
        self.data.join(CERTIFICATES).join(file)
    }

    /// Makes the certificates and starts the members of the etcd.
    pub(super) fn start_etcd(&self) -> Result<Vec<Process>> {
        if let Some(ca) = self.ca() {
            let folder = self.data.join(CERTIFICATES);
            let host = host_of(&self.listen);
            let is_any = matches!(host, "0.0.0.0" | "::");
            let hosts = if is_any {
                Vec::new()
            } else {
                vec![host.to_owned()]
            };
            let certificates = ClusterCertificates {
                membership: &self.membership,
                folder: &folder,
                cluster: certs::NAME,
                hosts: &hosts,
                days: certs::DAYS,
            };
            certificates.make()?;
            std::fs::copy(self.certificate("ca.pem"), &ca)
                .with_context(|| format!("cannot write `{}`", ca.display()))?;
        }
        let mut processes = Vec::new();
        for member in self.etcd_members() {
            let log = self.data.join(format!("{}.log", member.name));
            processes.push(Process::start_etcd(&member, log)?);
        }
        Ok(processes)
    }

    /// Waits until the etcd tells processes apart by their certificates, where they have some; else nodes may call it
    /// before it serves.
    pub(super) async fn guard_etcd(&self, processes: &mut [Process]) -> Result<()> {
        if !self.is_secure {
            return Ok(());
        }
        let source = self.state_source()?;
        let users = Users::of(certs::NAME);
        let required = source.require_users(&users);
        tokio::select! {
            required = required => required,
            ended = process::first_end(processes) => Err(ended),
        }
    }

    /// Writes what the nodes read and starts them.
    pub(super) fn start_nodes(&self) -> Result<Vec<Process>> {
        let mut processes = Vec::new();
        for member in &self.membership.nodes {
            if !self.missing.contains(&member.name) {
                processes.push(self.start_node(member)?);
            }
        }
        let members = self.members_file();
        write(&members, &self.with_members(Table::new())?)?;
        for front in &self.membership.fronts {
            processes.push(Process::start(self.front(front, &members))?);
        }
        Ok(processes)
    }

    fn start_node(&self, member: &Member) -> Result<Process> {
        let config = self.data.join(format!("{}.toml", member.name));
        write(&config, &self.config(member)?)?;
        let mut process = Process::start(Launch {
            name: member.name.clone(),
            role: member.role.into(),
            arguments: vec!["--config".into(), config.into()],
            log: self.data.join(format!("{}.log", member.name)),
            url: self.url_of(member.http_address.as_deref().unwrap_or_default()),
        })?;
        process.is_degraded = member.role == Role::Root && !self.missing.is_empty();
        Ok(process)
    }

    /// Do clients need keys?
    pub(super) fn requires_keys(&self) -> bool {
        self.requires_keys
    }

    /// Returns the folder of everything that is kept.
    pub(super) fn data(&self) -> &Path {
        &self.data
    }

    /// Returns the file of the members, as fronts and `gleaner top` read it.
    pub(super) fn members_file(&self) -> PathBuf {
        self.data.join("cluster.toml")
    }

    fn front(&self, front: &FrontMember, members: &Path) -> Launch {
        let mut arguments: Vec<OsString> = Vec::new();
        let mut add = |flag: &str, value: OsString| arguments.extend([flag.into(), value]);
        add("--cluster", members.into());
        add("--node-name", (&front.name).into());
        if let Some(address) = &front.probe_address {
            add("--probe-listen", address.into());
        }
        if self.is_secure {
            let file = |ending| self.certificate(&format!("{}.{ending}", front.name));
            add("--cert", file("pem").into());
            add("--key", file("key").into());
            add("--ca", self.certificate("ca.pem").into());
        }
        if self.access_logs {
            add("--access-log", self.access_log(&front.name).into());
        }
        if let Some(endpoint) = &self.otlp_endpoint {
            add("--otlp-endpoint", endpoint.into());
            add("--trace-share", "1".into());
        }
        if self.is_insecure {
            arguments.push("--insecure".into());
        }
        Launch {
            name: front.name.clone(),
            role: PeerRole::Front,
            arguments,
            log: self.data.join(format!("{}.log", front.name)),
            url: self.url_of(&front.http_address),
        }
    }

    fn access_log(&self, name: &str) -> PathBuf {
        self.data.join(format!("{name}.access.jsonl"))
    }

    fn config(&self, member: &Member) -> Result<String> {
        let mut table = Table::new();
        let mut set = |name: &str, value: &str| table.insert(name.to_owned(), value.into());
        set("node_name", &member.name);
        set("data", &self.data.join(&member.name).to_string_lossy());
        set("listen", member.http_address.as_deref().unwrap_or_default());
        if self.is_secure {
            let file = |ending| self.certificate(&format!("{}.{ending}", member.name));
            set("tls_certificate", &file("pem").to_string_lossy());
            set("tls_key", &file("key").to_string_lossy());
            set("tls_ca", &self.certificate("ca.pem").to_string_lossy());
        }
        if self.is_insecure {
            table.insert("insecure".to_owned(), true.into());
        }
        // Clients ask roots; a leaf answers probes alone over HTTP.
        if self.access_logs && member.role == Role::Root {
            let log = self.access_log(&member.name).to_string_lossy().into_owned();
            table.insert("access_log".to_owned(), log.into());
        }
        if let Some(endpoint) = &self.otlp_endpoint {
            table.insert("otlp_endpoint".to_owned(), endpoint.as_str().into());
            table.insert("trace_share".to_owned(), 1.0.into());
        }
        if self.requires_keys && member.role == Role::Root {
            table.insert("secure".to_owned(), true.into());
        }
        let replicas = i64::from(self.copies) - 1;
        table.insert("default_replicas".to_owned(), replicas.into());
        self.with_members(table)
    }

    fn with_members(&self, mut table: Table) -> Result<String> {
        let cluster = Table::try_from(&self.membership)?;
        table.insert("cluster".to_owned(), cluster.into());
        Ok(toml::to_string(&table)?)
    }

    /// Returns which process is what.
    pub(super) fn map(&self, processes: &[Process]) -> Map {
        let pid = |name: &str| {
            let mut processes = processes.iter();
            let found = processes.find(|process| process.name == name);
            found.map_or(0, Process::pid)
        };
        let node = |member: &Member| {
            let http_address = member.http_address.clone().unwrap_or_default();
            Entry {
                name: member.name.clone(),
                role: Part::Node(member.role.into()),
                pid: pid(&member.name),
                address: match member.role {
                    Role::Root => http_address.clone(),
                    Role::Leaf => member.address.clone(),
                },
                http_address,
                probe_address: None,
                shards: Vec::new(),
            }
        };
        let front = |front: &FrontMember| Entry {
            name: front.name.clone(),
            role: Part::Node(PeerRole::Front),
            pid: pid(&front.name),
            address: front.http_address.clone(),
            http_address: front.http_address.clone(),
            probe_address: front.probe_address.clone(),
            shards: Vec::new(),
        };
        let etcd = |member: EtcdMember| Entry {
            role: Part::Etcd,
            pid: pid(&member.name),
            name: member.name,
            address: member.clients,
            http_address: member.probes,
            probe_address: None,
            shards: Vec::new(),
        };
        let nodes = self.membership.nodes.iter().map(node);
        let fronts = self.membership.fronts.iter().map(front);
        let etcd = self.etcd_members().into_iter().map(etcd);
        Map {
            url: self.url(),
            nodes: nodes.chain(fronts).chain(etcd).collect(),
        }
    }
}

/// Refuses to start a cluster without encryption whose etcd asks for certificates, as it was secure before.
///
/// # Errors
/// How to start it.
pub(super) fn check_encryption(arguments: &UpArguments) -> Result<()> {
    let data = &arguments.data;
    let was_secure = data.join(CERTIFICATES).join("ca.key").exists();
    ensure!(
        arguments.secure || !was_secure,
        "the cluster in `{}` was started with `--secure`, and its etcd asks for certificates: start it with `--secure` \
         again",
        data.display()
    );
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write `{}`", path.display()))
}

/// Ports of this machine that nobody listens at, all held until the last is found, so that none is found twice.
#[derive(Default)]
pub(super) struct FreePorts(Vec<TcpListener>);

impl FreePorts {
    pub(super) fn next(&mut self) -> Result<String> {
        let listener = ports::held().context("cannot find free ports")?;
        let address = listener.local_addr()?.to_string();
        self.0.push(listener);
        Ok(address)
    }
}
