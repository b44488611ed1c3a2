//! A cluster of processes with keys, as `gleaner cluster up --secure` starts it.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use gleaner_testkit::http::{Request, Response};
use gleaner_testkit::server::binary;
use gleaner_tls::{Alpn, Connector, TlsStream, Trust};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// How long the cluster may take until it serves.
const STARTS_WITHIN: Duration = Duration::from_secs(120);

/// The cluster; it is stopped when this is dropped.
pub(crate) struct Processes {
    up: Child,
    connector: Connector,
    pub(crate) fronts: Vec<SocketAddr>,
    pub(crate) roots: Vec<SocketAddr>,
    /// The first key.
    pub(crate) admin: String,
    folder: tempfile::TempDir,
}

impl Processes {
    /// Starts a leaf, two roots and two fronts.
    pub(crate) async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data");
        let up = Command::new(binary()?)
            .args(["cluster", "up", "--secure", "--listen", "127.0.0.1:0"])
            .args(["--leaves", "1", "--roots", "2", "--fronts", "2", "--data"])
            .arg(&data)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("the cluster does not start")?;
        let map = read_soon(&data.join("processes.json")).await;
        let keys = ["root-1", "root-2"].map(|root| data.join(root).join("admin.key"));
        let admin = keys
            .iter()
            .find_map(|key| std::fs::read_to_string(key).ok());
        let map: Value = serde_json::from_str(&map.context("the cluster is not up")?)?;
        let of_role = |role: &str| -> Result<Vec<SocketAddr>> {
            let nodes = map["nodes"].as_array().context("nodes")?.iter();
            let nodes = nodes.filter(|node| node["role"] == role);
            let addresses = nodes.map(|node| {
                Ok(node["http_address"]
                    .as_str()
                    .context("an address")?
                    .parse()?)
            });
            addresses.collect()
        };
        Ok(Self {
            up,
            connector: Connector::new(&Trust::Authorities(data.join("ca.pem")), None, Alpn::Http1)?,
            fronts: of_role("front")?,
            roots: of_role("root")?,
            admin: admin.context("the first key")?.trim().to_owned(),
            folder,
        })
    }

    /// Returns the folder of everything that is kept.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Sends a request with a key, or without where that is empty.
    pub(crate) async fn send(
        &self,
        to: SocketAddr,
        key: &str,
        request: &Request,
    ) -> Result<Response> {
        let request = match key {
            "" => request.clone(),
            key => request
                .clone()
                .with_header("authorization", &format!("ApiKey {key}")),
        };
        request.send_over(self.connect(to).await?, to).await
    }

    /// Makes an encrypted connection.
    pub(crate) async fn connect(&self, to: SocketAddr) -> Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(self.connector.connect("127.0.0.1", stream).await?)
    }

    /// Makes a key with these rights, and returns what is sent of it.
    pub(crate) async fn make_key(&self, name: &str, rights: &Value) -> Result<String> {
        let body = json!({"name": name, "role_descriptors": {"role": rights}});
        let request = Request::json("POST", "/_security/api_key", &body);
        let made = self
            .send(self.roots[0], &self.admin, &request)
            .await?
            .ok()?;
        let encoded = made["encoded"].as_str().context("a key")?;
        Ok(encoded.to_owned())
    }
}

async fn read_soon(path: &Path) -> Option<String> {
    let read = timeout(STARTS_WITHIN, async {
        loop {
            if let Ok(text) = std::fs::read_to_string(path) {
                return text;
            }
            sleep(Duration::from_millis(50)).await;
        }
    });
    read.await.ok()
}

impl Drop for Processes {
    fn drop(&mut self) {
        let asked = Command::new("kill").arg(self.up.id().to_string()).status();
        if asked.is_ok() {
            drop(self.up.wait());
        }
    }
}
