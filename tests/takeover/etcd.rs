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
    for (name, address) in members(cluster)? {
        // One may be away.
        let Ok(status) = call(address, "maintenance/status", &json!({})).await else {
            continue;
        };
        if status["leader"] == status["header"]["member_id"] {
            return Ok(name);
        }
    }
    bail!("no member of the etcd leads")
}

/// Returns the members by name, with where they are called.
pub(crate) fn members(cluster: &Cluster) -> Result<Vec<(String, SocketAddr)>> {
    let noted = fs::read_to_string(cluster.data().join("etcd.toml"))?;
    let noted: toml::Table = noted.parse()?;
    let members = noted["members"].as_array().context("members")?.iter();
    let member = |member: &toml::Value| {
        let text = |key: &str| member.get(key).and_then(toml::Value::as_str);
        let (name, clients) = text("name").zip(text("clients")).context("a member")?;
        Ok((name.to_owned(), clients.parse()?))
    };
    members.map(member).collect()
}

/// Makes a call on a member through etcd's gateway for JSON.
pub(crate) async fn call(address: SocketAddr, path: &str, body: &Value) -> Result<Value> {
    let ask = Request::json("POST", &format!("/v3/{path}"), body);
    ask.send(address).await?.ok()
}
