//! The members of a cluster's etcd.

use std::fs;
use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use gleaner_testkit::http::Request;
use serde_json::{Value, json};

use super::cluster::Cluster;

/// A member that does not answer.
pub(crate) struct LostMember {
    name: String,
    /// By which it is started again; `None`: it stands still.
    command: Option<Vec<String>>,
}

impl LostMember {
    /// Kills the member that leads; has it stand still where it is the last one that `cluster up` has started, which
    /// ends without any.
    pub(crate) async fn leader(cluster: &mut Cluster) -> Result<Self> {
        let name = leader(cluster).await?;
        if cluster.is_last_etcd(&name) {
            cluster.signal(&name, "-STOP")?;
            let command = None;
            return Ok(Self { name, command });
        }
        let command = Some(cluster.command_of(&name)?);
        cluster.kill(&name).await?;
        Ok(Self { name, command })
    }

    /// Has it go on.
    pub(crate) fn bring_back(self, cluster: &mut Cluster) -> Result<()> {
        match self.command {
            Some(command) => cluster.start_as_before(&self.name, &command),
            None => cluster.signal(&self.name, "-CONT"),
        }
    }
}

/// Returns the name of the member that leads.
async fn leader(cluster: &Cluster) -> Result<String> {
    let noted = fs::read_to_string(cluster.data().join("etcd.toml"))?;
    let noted: toml::Table = noted.parse()?;
    for member in noted["members"].as_array().context("members")? {
        let text = |key: &str| member.get(key).and_then(toml::Value::as_str);
        let (name, clients) = text("name").zip(text("clients")).context("a member")?;
        let address: SocketAddr = clients.parse()?;
        // One may be away.
        let Ok(status) = status(address).await else {
            continue;
        };
        if status["leader"] == status["header"]["member_id"] {
            return Ok(name.to_owned());
        }
    }
    bail!("no member of the etcd leads")
}

async fn status(address: SocketAddr) -> Result<Value> {
    let ask = Request::json("POST", "/v3/maintenance/status", &json!({}));
    ask.send(address).await?.ok()
}
