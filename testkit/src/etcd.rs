//! An etcd of one member on free ports, with a folder that goes away.
//!
//! Does: start the program `etcd`, kill it, start it again. Does not: call it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use gleaner_machine::ports;
use tempfile::TempDir;

/// Why a test is skipped that needs an etcd.
pub const NO_ETCD: &str = "no `etcd` is installed here (`apt-get install etcd-server`)";

/// An etcd that runs; killed when it is dropped.
pub struct Etcd {
    folder: TempDir,
    certificates: Option<EtcdCertificates>,
    client_port: u16,
    peer_port: u16,
    child: Child,
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
        Self::start_with(None)
    }

    /// Starts an empty one that is called over TLS.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_over_tls(certificates: EtcdCertificates) -> Result<Self> {
        Self::start_with(Some(certificates))
    }

    fn start_with(certificates: Option<EtcdCertificates>) -> Result<Self> {
        ensure!(is_installed(), NO_ETCD);
        let folder = tempfile::tempdir()?;
        // Both at once, so that they differ.
        let free = [ports::held()?, ports::held()?];
        let client_port = free[0].local_addr()?.port();
        let peer_port = free[1].local_addr()?.port();
        drop(free);
        let child = run(&folder, client_port, peer_port, certificates.as_ref())?;
        Ok(Self {
            folder,
            certificates,
            client_port,
            peer_port,
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

    fn run(&mut self) -> Result<()> {
        let certificates = self.certificates.as_ref();
        self.child = run(&self.folder, self.client_port, self.peer_port, certificates)?;
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

    /// Returns `HOST:PORT` at which it is called.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.client_port)
    }

    /// Throws the history before `revision` away, through etcd's gateway for JSON.
    ///
    /// # Errors
    /// When it does not answer, or refuses.
    pub fn compact(&self, revision: i64) -> Result<()> {
        let body = format!("{{\"revision\": \"{revision}\", \"physical\": true}}");
        let call = format!(
            "POST /v3/kv/compaction HTTP/1.1\r\nHost: etcd\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(self.address())?;
        stream.write_all(call.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        Ok(())
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        // It may have been killed by the test.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn run(
    folder: &TempDir,
    client_port: u16,
    peer_port: u16,
    certificates: Option<&EtcdCertificates>,
) -> Result<Child> {
    let scheme = if certificates.is_some() {
        "https"
    } else {
        "http"
    };
    let client = format!("{scheme}://127.0.0.1:{client_port}");
    let peer = format!("http://127.0.0.1:{peer_port}");
    let mut command = Command::new("etcd");
    if let Some(EtcdCertificates {
        certificate,
        key,
        ca,
    }) = certificates
    {
        command.arg("--cert-file").arg(certificate);
        command.arg("--key-file").arg(key);
        command.arg("--trusted-ca-file").arg(ca);
        command.arg("--client-cert-auth");
    }
    command
        .arg("--data-dir")
        .arg(folder.path().join("data"))
        .args(["--name", "one", "--log-level", "error"])
        .args(["--listen-client-urls", &client])
        .args(["--advertise-client-urls", &client])
        .args(["--listen-peer-urls", &peer])
        .args(["--initial-advertise-peer-urls", &peer])
        .args(["--initial-cluster", &format!("one={peer}")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("`etcd` does not run")
}
