//! The members of a cluster's etcd.

use std::fs;
use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use gleaner_testkit::http::Request;
use serde_json::{Value, json};

use super::cluster::Cluster;

/// A member that was killed.
pub(crate) struct KilledMember {
    name: String,
    command: Vec<String>,
}

impl KilledMember {
    /// Kills the member that leads.
    pub(crate) async fn leader(cluster: &mut Cluster) -> Result<Self> {
        let name = leader(cluster).await?;
        let command = cluster.command_of(&name)?;
        cluster.kill(&name)?;
        Ok(Self { name, command })
    }

    /// Starts it again.
    pub(crate) fn start_again(self, cluster: &mut Cluster) -> Result<()> {
        cluster.start_as_before(&self.name, &self.command)
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
