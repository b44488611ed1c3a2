//! What clients, operators and the etcd say of an index.

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gleaner_coordinator::CopyMarks as _;
use gleaner_model::{IndexUuid, NodeUuid};
use gleaner_testkit::http::{Request, Response};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{PATIENCE, POLL, Place, Site};

impl Site {
    pub(super) async fn until_green(&self) -> Result<()> {
        let health = Request::new("GET", "/_cluster/health?wait_for_status=green&timeout=60s");
        let answer = self.cluster.send(&health).await?;
        let health: Value = serde_json::from_slice(&answer.body)?;
        if health["status"] != "green" {
            let shards = self.shards().await?;
            anyhow::bail!("{health} {shards}");
        }
        Ok(())
    }

    pub(super) async fn until_served(&self, index: &str) -> Result<()> {
        let began = Instant::now();
        while self.count(index).await?.is_none() {
            ensure!(began.elapsed() < PATIENCE, "nobody serves");
            sleep(POLL).await;
        }
        Ok(())
    }

    pub(super) async fn shards(&self) -> Result<Value> {
        let columns = "index,shard,prirep,state,node,unassigned.reason,unassigned.details";
        let shards = Request::new("GET", &format!("/_cat/shards?format=json&h={columns}"));
        let answer = self.cluster.send(&shards).await?;
        Ok(serde_json::from_slice(&answer.body)?)
    }

    /// Returns the leaf that holds the copy which is to be harmed.
    pub(super) async fn holder(&self, index: &str, place: Place) -> Result<String> {
        let wanted = match place {
            Place::Follower | Place::FollowerOfThree => "r",
            _ => "p",
        };
        let shards = self.shards().await?;
        let rows = shards.as_array().context("rows")?;
        let mut held = rows
            .iter()
            .filter(|row| row["index"] == index && row["prirep"] == wanted);
        let row = held
            .next()
            .with_context(|| format!("no such copy: {shards}"))?;
        Ok(row["node"].as_str().context("a node")?.to_owned())
    }

    pub(super) async fn until_led_by(&self, index: &str, leaf: &str) -> Result<()> {
        let began = Instant::now();
        while self.holder(index, Place::Primary).await.ok().as_deref() != Some(leaf) {
            ensure!(began.elapsed() < PATIENCE, "nobody has taken over");
            sleep(POLL).await;
        }
        Ok(())
    }

    pub(super) async fn uuid(&self, index: &str) -> Result<IndexUuid> {
        let settings = Request::new("GET", &format!("/{index}/_settings"));
        let settings = self.cluster.send(&settings).await?.ok()?;
        let uuid = &settings[index]["settings"]["index"]["uuid"];
        let uuid = URL_SAFE_NO_PAD.decode(uuid.as_str().context("a uuid")?)?;
        let uuid = <[u8; 16]>::try_from(uuid).map(IndexUuid);
        uuid.map_err(|found| anyhow!("{} bytes", found.len()))
    }

    /// Waits until the mark of a leaf's copy says that it holds so many operations.
    pub(super) async fn marked(&self, index: IndexUuid, leaf: &str, operations: u64) -> Result<()> {
        let owner = fs::read(self.cluster.data(leaf).join("node.json"))?;
        let owner: Value = serde_json::from_slice(&owner)?;
        let node = NodeUuid::parse(owner["uuid"].as_str().context("a uuid")?)?;
        let began = Instant::now();
        loop {
            let marks = self.marks.of_node(node).await?;
            let mut of_index = marks.iter().filter(|(shard, _)| shard.index == index);
            if of_index.any(|(_, mark)| mark.position.0 >= operations) {
                return Ok(());
            }
            ensure!(began.elapsed() < PATIENCE, "no mark in time: {marks:?}");
            sleep(POLL).await;
        }
    }

    /// Writes and searches are refused while the shard is red.
    pub(super) async fn refuses(&self, index: &str) -> Result<()> {
        let put = Request::json(
            "PUT",
            &format!("/{index}/_doc/x?timeout=1s"),
            &json!({"n": 1}),
        );
        let answer = self.cluster.send(&put).await?;
        ensure!(
            answer.status == 503,
            "a write is acknowledged on top: {}",
            answer.shown()
        );
        ensure!(self.count(index).await?.is_none(), "a search is answered");
        Ok(())
    }

    /// Returns why the primary of the index stays closed, where it does for good.
    pub(super) async fn reason(&self, index: &str) -> Result<Option<String>> {
        let shards = self.shards().await?;
        let rows = shards.as_array().context("rows")?;
        let mut rows = rows.iter().filter(|row| row["index"] == index);
        let told = rows.find_map(|row| {
            let told = row["unassigned.details"]
                .as_str()
                .or(row["unassigned.reason"].as_str())?;
            let is_final = told.contains("accept-loss") || told.contains("damaged");
            is_final.then(|| told.to_owned())
        });
        Ok(told)
    }

    pub(super) async fn health(&self) -> Result<String> {
        let answer = self
            .cluster
            .send(&Request::new("GET", "/_cluster/health"))
            .await?;
        let health: Value = serde_json::from_slice(&answer.body)?;
        Ok(health["status"].as_str().unwrap_or_default().to_owned())
    }

    /// Returns how many documents a search finds; `None` where it says that some may be missing, or fails.
    pub(super) async fn count(&self, index: &str) -> Result<Option<u64>> {
        let body = json!({"size": 0, "track_total_hits": true});
        let search = Request::json(
            "POST",
            &format!("/{index}/_search?allow_partial_search_results=true"),
            &body,
        );
        let answer: Response = self.cluster.send(&search).await?;
        if answer.status != 200 {
            return Ok(None);
        }
        let answer: Value = serde_json::from_slice(&answer.body)?;
        let is_whole = answer["_shards"]["failed"] == 0 && answer["_shards"].get("stale").is_none();
        Ok(answer["hits"]["total"]["value"]
            .as_u64()
            .filter(|_| is_whole))
    }
}
