//! An etcd of one member or three on free ports, with folders that go away.
//!
//! Does: start the program `etcd`, kill it, start it again, have it stand still, tidy up its database. Does not: call it
//! otherwise.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use gleaner_machine::ports;
use serde_json::Value;
use tempfile::TempDir;

/// Why a test is skipped that needs an etcd.
pub const NO_ETCD: &str = "no `etcd` is installed here (`apt-get install etcd-server`)";

/// The names of members.
const NAMES: [&str; 3] = ["one", "two", "three"];

/// A member of an etcd that runs, by default the only one; killed when it is dropped.
pub struct Etcd {
    folder: TempDir,
    launch: Launch,
    child: Child,
}

/// What a member is started with.
struct Launch {
    name: String,
    certificates: Option<EtcdCertificates>,
    client_port: u16,
    peer_port: u16,
    /// All members, as `--initial-cluster` names them.
    members: String,
    flags: Vec<String>,
}

/// What an etcd shows that is called over TLS, and whose certificates it wants.
#[derive(Debug, Clone)]
pub struct EtcdCertificates {
    /// Its certificate, in PEM.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The authority of those who call it.
    pub ca: PathBuf,
}

/// Returns whether there is a program `etcd`.
pub fn is_installed() -> bool {
    let version = Command::new("etcd").arg("--version").output();
    version.is_ok_and(|version| version.status.success())
}

impl Etcd {
    /// Starts an empty one.
    ///
    /// # Errors
    /// That there is no program, folder or port.
    pub fn start() -> Result<Self> {
        Self::start_alone(None, &[])
    }

    /// Starts an empty one that is called over TLS.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_over_tls(certificates: EtcdCertificates) -> Result<Self> {
        Self::start_alone(Some(certificates), &[])
    }

    /// Starts an empty one with more flags.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_with_flags(flags: &[&str]) -> Result<Self> {
        Self::start_alone(None, flags)
    }

    /// Starts an empty etcd of three members.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_three() -> Result<[Self; 3]> {
        let ports = free_ports::<6>()?;
        let [one, two, three] = [0, 1, 2].map(|number| (NAMES[number], ports[2 * number + 1]));
        let members = [one, two, three].map(|(name, port)| format!("{name}={}", peer_url(port)));
        let members = members.join(",");
        let member = |number: usize| {
            Self::run_first(Launch {
                name: NAMES[number].to_owned(),
                certificates: None,
                client_port: ports[2 * number],
                peer_port: ports[2 * number + 1],
                members: members.clone(),
                flags: Vec::new(),
            })
        };
        Ok([member(0)?, member(1)?, member(2)?])
    }

    fn start_alone(certificates: Option<EtcdCertificates>, flags: &[&str]) -> Result<Self> {
        let [client_port, peer_port] = free_ports()?;
        Self::run_first(Launch {
            name: NAMES[0].to_owned(),
            certificates,
            client_port,
            peer_port,
            members: format!("{}={}", NAMES[0], peer_url(peer_port)),
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
        })
    }

    fn run_first(launch: Launch) -> Result<Self> {
        ensure!(is_installed(), NO_ETCD);
        let folder = tempfile::tempdir()?;
        let child = launch.run(&folder)?;
        Ok(Self {
            folder,
            launch,
            child,
        })
    }

    /// Kills it and starts it again on what it has kept.
    ///
    /// # Errors
    /// When it does not run.
    pub fn restart(&mut self) -> Result<()> {
        self.kill()?;
        self.run()
    }

    /// Kills it and starts it again without what it has kept.
    ///
    /// # Errors
    /// When it does not run.
    pub fn restart_empty(&mut self) -> Result<()> {
        self.kill()?;
        std::fs::remove_dir_all(self.folder.path().join("data"))?;
        self.run()
    }

    /// Saves what it holds, in its own folder.
    ///
    /// # Errors
    /// That there is no program `etcdctl`, or it fails.
    pub fn save_snapshot(&self) -> Result<()> {
        let saved = self.folder.path().join("snapshot");
        let mut command = Command::new("etcdctl");
        command
            .args(["--endpoints", &self.address(), "snapshot", "save"])
            .arg(saved);
        succeed(command)
    }

    /// Kills it and starts it again with what [`Self::save_snapshot`] has saved.
    ///
    /// # Errors
    /// As [`Self::save_snapshot`] and [`Self::restart`].
    pub fn restore_snapshot(&mut self) -> Result<()> {
        self.kill()?;
        let data = self.folder.path().join("data");
        std::fs::remove_dir_all(&data)?;
        let Launch { name, members, .. } = &self.launch;
        let peer = peer_url(self.launch.peer_port);
        let mut command = Command::new("etcdctl");
        command
            .args(["snapshot", "restore"])
            .arg(self.folder.path().join("snapshot"))
            .args(["--name", name, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", members, "--data-dir"])
            .arg(data);
        succeed(command)?;
        self.run()
    }

    fn run(&mut self) -> Result<()> {
        self.child = self.launch.run(&self.folder)?;
        Ok(())
    }

    /// Has it stand still, until it is told to go on.
    ///
    /// # Errors
    /// When it does not run.
    pub fn stand_still(&self) -> Result<()> {
        self.signal("-STOP")
    }

    /// Has it go on.
    ///
    /// # Errors
    /// When it does not run.
    pub fn go_on(&self) -> Result<()> {
        self.signal("-CONT")
    }

    fn signal(&self, signal: &str) -> Result<()> {
        let sent = Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status()?;
        ensure!(sent.success(), "the member does not run");
        Ok(())
    }

    /// Kills it.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Returns its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns `HOST:PORT` at which it is called.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.launch.client_port)
    }

    /// Throws the history before `revision` away.
    ///
    /// # Errors
    /// When it does not answer, or refuses.
    pub fn compact(&self, revision: i64) -> Result<()> {
        let body = format!("{{\"revision\": \"{revision}\", \"physical\": true}}");
        self.call("kv/compaction", &body)?;
        Ok(())
    }

    /// Gives the room in its database back that nothing takes.
    ///
    /// # Errors
    /// As [`Self::compact`].
    pub fn defragment(&self) -> Result<()> {
        self.call("maintenance/defragment", "{}")?;
        Ok(())
    }

    /// Ends all alarms.
    ///
    /// # Errors
    /// As [`Self::compact`].
    pub fn disarm(&self) -> Result<()> {
        let told = self.call("maintenance/alarm", "{}")?;
        // Each is of the member that raised it.
        for alarm in told["alarms"].as_array().into_iter().flatten() {
            let mut ending = alarm.clone();
            ending["action"] = "DEACTIVATE".into();
            self.call("maintenance/alarm", &ending.to_string())?;
        }
        Ok(())
    }

    /// Makes a call through etcd's gateway for JSON.
    fn call(&self, path: &str, body: &str) -> Result<Value> {
        let call = format!(
            "POST /v3/{path} HTTP/1.1\r\nHost: etcd\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(self.address())?;
        stream.write_all(call.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let (_, body) = answer.split_once("\r\n\r\n").context("a body")?;
        serde_json::from_str(body).with_context(|| answer.clone())
    }
}

fn succeed(mut command: Command) -> Result<()> {
    let done = command.env("ETCDCTL_API", "3").output();
    let done = done.context("`etcdctl` does not run")?;
    let told = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "{told}");
    Ok(())
}

impl Drop for Etcd {
    fn drop(&mut self) {
        // It may have been killed by the test.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Launch {
    fn run(&self, folder: &TempDir) -> Result<Child> {
        let scheme = match self.certificates {
            Some(_) => "https",
            None => "http",
        };
        let client = format!("{scheme}://127.0.0.1:{}", self.client_port);
        let peer = peer_url(self.peer_port);
        let mut command = Command::new("etcd");
        if let Some(EtcdCertificates {
            certificate,
            key,
            ca,
        }) = &self.certificates
        {
            command.arg("--cert-file").arg(certificate);
            command.arg("--key-file").arg(key);
            command.arg("--trusted-ca-file").arg(ca);
            command.arg("--client-cert-auth");
        }
        command
            .arg("--data-dir")
            .arg(folder.path().join("data"))
            .args(["--name", &self.name, "--log-level", "error"])
            .args(["--listen-client-urls", &client])
            .args(["--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer])
            .args(["--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &self.members])
            .args(&self.flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("`etcd` does not run")
    }
}

/// Returns ports that nobody listens on, all at once, so that they differ.
fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let held = (0..N).map(|_| Ok(ports::held()?));
    let held = held.collect::<Result<Vec<_>>>()?;
    let mut free = [0; N];
    for (port, held) in free.iter_mut().zip(&held) {
        *port = held.local_addr()?.port();
    }
    Ok(free)
}

fn peer_url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}
