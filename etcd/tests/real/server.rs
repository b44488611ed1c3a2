//! An etcd of one member on free ports, with a folder that goes away.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use gleaner_proto::Connect;
use gleaner_proto::etcd::Client;
use tempfile::TempDir;

/// Why a test is skipped.
pub(crate) const NO_ETCD: &str = "no `etcd` is installed here (`apt-get install etcd-server`)";

/// An etcd that runs; killed when it is dropped.
pub(crate) struct Etcd {
    folder: TempDir,
    client_port: u16,
    peer_port: u16,
    child: Child,
}

impl Etcd {
    /// Starts an empty one; `None` where no binary is found.
    pub(crate) fn start() -> Option<Self> {
        let version = Command::new("etcd").arg("--version").output();
        version.ok().filter(|version| version.status.success())?;
        let folder = tempfile::tempdir().expect("a folder");
        // Both at once, so that they differ.
        let free = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
        let [client_port, peer_port] =
            free.map(|port| port.local_addr().expect("an address").port());
        let child = run(&folder, client_port, peer_port);
        Some(Self {
            folder,
            client_port,
            peer_port,
            child,
        })
    }

    /// Kills it and starts it again on what it has kept.
    pub(crate) fn restart(&mut self) {
        self.kill();
        self.child = run(&self.folder, self.client_port, self.peer_port);
    }

    /// Kills it and starts it again without what it has kept.
    pub(crate) fn restart_empty(&mut self) {
        self.kill();
        std::fs::remove_dir_all(self.folder.path().join("data")).expect("it is there");
        self.child = run(&self.folder, self.client_port, self.peer_port);
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// `host:port` at which it is called.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.client_port)
    }

    /// Returns a client of it.
    pub(crate) fn client(&self) -> Client {
        self.client_over(&Connect::default())
    }

    /// Returns a client that reaches it as `connect` says.
    pub(crate) fn client_over(&self, connect: &Connect) -> Client {
        Client::new(connect, &[self.address()]).expect("an address")
    }

    /// Throws the history before `revision` away, through etcd's gateway for JSON.
    pub(crate) fn compact(&self, revision: i64) {
        let body = format!("{{\"revision\": \"{revision}\", \"physical\": true}}");
        let call = format!(
            "POST /v3/kv/compaction HTTP/1.1\r\nHost: etcd\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(self.address()).expect("it listens");
        stream.write_all(call.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        // It may have been killed by the test.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn run(folder: &TempDir, client_port: u16, peer_port: u16) -> Child {
    let (client, peer) = (
        format!("http://127.0.0.1:{client_port}"),
        format!("http://127.0.0.1:{peer_port}"),
    );
    Command::new("etcd")
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
        .expect("it runs")
}
