//! The etcd of a local cluster: three members on this machine, at addresses that they keep.
//!
//! Does: find the program, choose addresses once and note them in the data folder, say what each member is started
//! with. Does not: call an etcd (`node/state.rs` does). Called by `plan`. Read first: [`LocalEtcd`].

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::plan::FreePorts;
use gleaner_etcd::DEFAULT_QUOTA;
use gleaner_machine::durable;

/// How many members there are: one may be lost.
const NUM_MEMBERS: u32 = 3;

/// The file that says at which addresses they are. A member that is started again must be found at its own.
const NOTED: &str = "etcd.toml";

/// How many revisions an etcd keeps, looked at every five minutes; nodes that were away for longer read all keys. Not hours of
/// them: each new index writes the whole of `meta` again, so that an hour of a busy loader would take the quota. A change of
/// unknown outcome is looked for 128 changes back, each with a few revisions around it.
const HISTORY: &str = "1000";

/// Runs a program until standard input ends, as nodes run, by the shell that becomes it. The watcher is of its process
/// group, so no other process can have its number while that one waits.
const UNTIL_INPUT_ENDS: &str =
    r#"exec 3<&0; (cat <&3 >/dev/null; kill -TERM $$) & exec "$@" 3<&- </dev/null"#;

/// All members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LocalEtcd {
    members: Vec<Addresses>,
}

/// A member, by `HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Addresses {
    name: String,
    /// Where nodes call it.
    clients: String,
    /// Where the other members call it.
    peers: String,
    /// Where it answers probes, never encrypted.
    probes: String,
}

/// The certificate that members show, and whom they believe.
#[derive(Debug, Clone)]
pub(super) struct EtcdCertificates {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    pub(super) ca: PathBuf,
    /// The common name in it. Members believe no other of each other: any node could be one, else.
    pub(super) common_name: String,
}

/// A member that is to be started.
#[derive(Debug, Clone)]
pub(crate) struct EtcdMember {
    pub(crate) name: String,
    /// `HOST:PORT` at which nodes call it.
    pub(crate) clients: String,
    /// `HOST:PORT` at which it answers probes.
    pub(crate) probes: String,
    arguments: Vec<String>,
}

impl LocalEtcd {
    /// Returns the members of the cluster in `data`, with addresses noted there the first time.
    ///
    /// # Errors
    /// What to install where there is no etcd, and a folder that cannot be used.
    pub(super) fn of(data: &Path, ports: &mut FreePorts) -> Result<Self> {
        check_program()?;
        let path = data.join(NOTED);
        match fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).with_context(|| format!("in `{}`", path.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut members = Vec::new();
                for number in 1..=NUM_MEMBERS {
                    members.push(Addresses {
                        name: format!("etcd-{number}"),
                        clients: ports.next()?,
                        peers: ports.next()?,
                        probes: ports.next()?,
                    });
                }
                let made = Self { members };
                durable::replace(&path, toml::to_string(&made)?.as_bytes())
                    .with_context(|| format!("cannot write `{}`", path.display()))?;
                Ok(made)
            }
            Err(error) => Err(error).with_context(|| format!("`{}`", path.display())),
        }
    }

    /// Returns where nodes call the members.
    pub(super) fn urls(&self, is_secure: bool) -> Vec<String> {
        let urls = self.members.iter();
        urls.map(|member| url(&member.clients, is_secure)).collect()
    }

    /// Returns the members as they are started, with their folders in `data`.
    pub(super) fn members(
        &self,
        data: &Path,
        certificates: Option<&EtcdCertificates>,
    ) -> Vec<EtcdMember> {
        let is_secure = certificates.is_some();
        let all = self.members.iter();
        let all = all.map(|member| format!("{}={}", member.name, url(&member.peers, is_secure)));
        let all = all.collect::<Vec<_>>().join(",");
        let member = |member: &Addresses| {
            let mut arguments = Vec::new();
            let mut set = |flag: &str, value: &str| arguments.push(format!("--{flag}={value}"));
            let (clients, peers) = (
                url(&member.clients, is_secure),
                url(&member.peers, is_secure),
            );
            set("name", &member.name);
            set("data-dir", &data.join(&member.name).to_string_lossy());
            set("listen-client-urls", &clients);
            set("advertise-client-urls", &clients);
            set("listen-peer-urls", &peers);
            set("initial-advertise-peer-urls", &peers);
            set("listen-metrics-urls", &url(&member.probes, false));
            set("initial-cluster", &all);
            set("auto-compaction-mode", "revision");
            set("auto-compaction-retention", HISTORY);
            set("quota-backend-bytes", &DEFAULT_QUOTA.to_string());
            set("log-level", "warn");
            if let Some(EtcdCertificates {
                certificate,
                key,
                ca,
                common_name,
            }) = certificates
            {
                set("peer-cert-allowed-cn", common_name);
                for whose in ["", "peer-"] {
                    set(&format!("{whose}cert-file"), &certificate.to_string_lossy());
                    set(&format!("{whose}key-file"), &key.to_string_lossy());
                    set(&format!("{whose}trusted-ca-file"), &ca.to_string_lossy());
                    set(&format!("{whose}client-cert-auth"), "true");
                }
            }
            EtcdMember {
                name: member.name.clone(),
                clients: member.clients.clone(),
                probes: member.probes.clone(),
                arguments,
            }
        };
        self.members.iter().map(member).collect()
    }
}

impl EtcdMember {
    /// Returns what starts it, until its standard input ends.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", UNTIL_INPUT_ENDS, "sh", "etcd"])
            .args(&self.arguments);
        command
    }
}

fn url(address: &str, is_secure: bool) -> String {
    let scheme = if is_secure { "https" } else { "http" };
    format!("{scheme}://{address}")
}

fn is_installed() -> bool {
    let version = Command::new("etcd").arg("--version").output();
    version.is_ok_and(|version| version.status.success())
}

fn check_program() -> Result<()> {
    ensure!(
        is_installed(),
        "there is no program `etcd` on the path: install it with `apt-get install etcd-server`, or from \
         https://etcd.io, version 3.4 or later; `gleaner serve` is one process and needs none"
    );
    Ok(())
}

/// Refuses a folder of a cluster that was begun without an etcd: its state lies with its first root.
///
/// # Errors
/// How to go on.
pub(super) fn check_folder(data: &Path) -> Result<()> {
    ensure!(
        data.join(NOTED).exists() || !data.join("root-1.toml").exists(),
        "the cluster in `{}` was begun without an etcd and does not go on in this version: start it with the version \
         before, and write its documents to a new cluster, in another folder (docs/cluster.md says how)",
        data.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn etcd() -> LocalEtcd {
        let member = |number: u32| Addresses {
            name: format!("etcd-{number}"),
            clients: format!("127.0.0.1:{number}1"),
            peers: format!("127.0.0.1:{number}2"),
            probes: format!("127.0.0.1:{number}3"),
        };
        LocalEtcd {
            members: vec![member(1), member(2)],
        }
    }

    #[test]
    fn members_know_each_other_and_show_certificates_where_there_are_some() {
        let plain = etcd().members(Path::new("/d"), None);
        let has = |member: &EtcdMember, wanted: &str| {
            let has = member.arguments.iter().any(|argument| argument == wanted);
            assert!(has, "{wanted}: {:?}", member.arguments);
        };
        let all = "etcd-1=http://127.0.0.1:12,etcd-2=http://127.0.0.1:22";
        has(&plain[1], &format!("--initial-cluster={all}"));
        has(&plain[1], "--data-dir=/d/etcd-2");
        has(&plain[1], "--auto-compaction-mode=revision");
        has(&plain[1], "--quota-backend-bytes=2147483648");
        let certificates = EtcdCertificates {
            certificate: "/c.pem".into(),
            key: "/c.key".into(),
            ca: "/ca.pem".into(),
            common_name: "c-etcd".to_owned(),
        };
        let secure = etcd().members(Path::new("/d"), Some(&certificates));
        has(&secure[0], "--listen-client-urls=https://127.0.0.1:11");
        has(&secure[0], "--listen-metrics-urls=http://127.0.0.1:13");
        has(&secure[0], "--client-cert-auth=true");
        has(&secure[0], "--peer-trusted-ca-file=/ca.pem");
        has(&secure[0], "--peer-cert-allowed-cn=c-etcd");
        assert_eq!(etcd().urls(true)[1], "https://127.0.0.1:21");
    }

    #[test]
    fn a_cluster_that_was_begun_without_an_etcd_is_refused() {
        let data = tempfile::tempdir().expect("a folder");
        check_folder(data.path()).expect("it is empty");
        fs::write(data.path().join("root-1.toml"), "").expect("written");
        let refused = check_folder(data.path()).expect_err("the root has the state");
        assert!(
            refused.to_string().contains("the version before"),
            "{refused}"
        );
        fs::write(data.path().join(NOTED), "").expect("written");
        check_folder(data.path()).expect("etcd has it");
    }

    #[test]
    fn a_member_ends_with_its_input() {
        let mut command = Command::new("sh");
        command.args(["-c", UNTIL_INPUT_ENDS, "sh", "sleep", "1000"]);
        let mut child = command
            .stdin(std::process::Stdio::piped())
            .spawn()
            .expect("a shell");
        drop(child.stdin.take());
        assert!(!child.wait().expect("it ends").success(), "by a signal");
    }
}
