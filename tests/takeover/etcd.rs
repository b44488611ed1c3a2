//! The members of a cluster's etcd.

use std::fs;
use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gleaner_etcd::Keys;
use gleaner_model::{Entry, NodeUuid};
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

/// Returns whether a leaf's copy of some shard is the only one in sync, as the etcd has it now. The leaf is down: only another copy in
/// sync could change that.
pub(crate) async fn is_alone_in_sync(cluster: &Cluster, leaf: &str) -> Result<bool> {
    let owner = fs::read(cluster.data().join(leaf).join("node.json"))?;
    let owner: Value = serde_json::from_slice(&owner)?;
    let node = NodeUuid::parse(owner["uuid"].as_str().context("a uuid")?)?;
    let shards = format!("{}shard/", Keys::of("gleaner")?.prefix());
    let last = format!("{}0", shards.trim_end_matches('/'));
    let range = json!({"key": STANDARD.encode(shards), "range_end": STANDARD.encode(last)});
    for (_, address) in members(cluster)? {
        // One may be away.
        let Ok(found) = call(address, "kv/range", &range).await else {
            continue;
        };
        let entries = found["kvs"].as_array().context("no shard has an entry")?;
        for entry in entries {
            let entry = STANDARD.decode(entry["value"].as_str().context("a value")?)?;
            let entry = Entry::from_json(&entry)?;
            if entry.in_sync_by_rank() == [node] {
                return Ok(true);
            }
        }
        return Ok(false);
    }
    bail!("no member of the etcd answers")
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
