//! A cluster of two leaves with one index, whose copies come back with less than they had.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gleaner_coordinator::CopyMarks as _;
use gleaner_etcd::{Client, EtcdMarks, Keys};
use gleaner_model::{IndexUuid, NodeUuid};
use gleaner_proto::Connect;
use gleaner_testkit::http::{Request, Response};
use gleaner_testkit::processes::Processes;
use gleaner_testkit::run;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::fault::{Fault, Folders, copied, replace};

/// Documents written in one go.
const BATCH: usize = 300;

/// How long a shard has until it is green again by itself, or says why not. Debug builds on few cores take their time.
const PATIENCE: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_millis(100);

/// What a copy is among those of its shard when the fault comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Only,
    /// The other one was away for the last writes, and stays away.
    Last,
    Follower,
    Primary,
    /// A primary that comes back when the other copy has taken over.
    Deposed,
}

impl Place {
    /// Returns the faults that are tried: all in full, else those of which each goes another way.
    pub(crate) fn faults(self) -> &'static [Fault] {
        if run::is_full() {
            return &Fault::ALL;
        }
        match self {
            Self::Only => &[Fault::LogGone, Fault::IndexGone],
            Self::Last => &[Fault::Older, Fault::OlderOverRestart, Fault::LogFlipped],
            Self::Follower => &[Fault::LogTruncated, Fault::OtherLeaf],
            Self::Primary => &[Fault::LogGone, Fault::Older],
            Self::Deposed => &[Fault::BothGone],
        }
    }

    /// Returns whether another whole copy is there.
    pub(crate) fn has_another(self) -> bool {
        !matches!(self, Self::Only | Self::Last)
    }
}

/// What was found after a fault.
pub(crate) enum Found {
    /// Everything that was acknowledged, so long after the leaf was started.
    Whole { after: Duration },
    /// Red, with the reason; what was acknowledged is there once the folder is brought back.
    Refused { reason: String },
    /// The leaf did not start at all, and said why.
    NotStarted { reason: String },
    /// Fewer documents than acknowledged, without a word.
    LostInSilence { found: u64, written: u64 },
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole { after } => write!(f, "whole after {:.1} s", after.as_secs_f32()),
            Self::Refused { reason } => write!(f, "red: {reason}"),
            Self::NotStarted { reason } => write!(f, "the leaf does not start: {reason}"),
            Self::LostInSilence { found, written } => {
                write!(f, "LOST: {found} of {written} documents")
            }
        }
    }
}

pub(crate) struct Site {
    cluster: Processes,
    marks: EtcdMarks,
    kept: TempDir,
    num_tried: usize,
}

impl Site {
    pub(crate) async fn start() -> Result<Self> {
        let cluster = Processes::start(2).await?;
        let client = Client::new(&Connect::default(), &[cluster.etcd()])?;
        Ok(Self {
            cluster,
            marks: EtcdMarks::new(client, Keys::of("gleaner")?),
            kept: tempfile::tempdir()?,
            num_tried: 0,
        })
    }

    /// Makes an index, writes to it, harms a copy, and looks. The cluster is whole again then, and the index gone.
    pub(crate) async fn try_fault(&mut self, place: Place, fault: Fault) -> Result<Found> {
        self.num_tried += 1;
        let index = format!("things-{}", self.num_tried);
        let num_replicas = usize::from(place != Place::Only);
        self.create(&index, num_replicas).await?;
        self.write(&index, 0).await?;
        let harmed = self.holder(&index, place).await?;
        let other = self.other(&harmed);
        let uuid = self.uuid(&index).await?;
        self.marked(uuid, &harmed, BATCH as u64).await?;
        let [whole, older, foreign] =
            ["whole", "older", "other"].map(|name| self.kept.path().join(name));
        if fault.is_older() {
            self.keep(&harmed, &older)?;
        }
        if fault == Fault::OlderOverRestart {
            self.cluster.kill(&harmed)?;
            self.cluster.start_again(&harmed).await?;
            self.until_green().await?;
        }
        if place == Place::Last {
            self.cluster.kill(&other)?;
        }
        let clone = self.kept.path().join("clone");
        if fault == Fault::CloneBeside {
            self.keep(&harmed, &clone)?;
            self.cluster.start_clone(&harmed, &clone).await?;
            match place.has_another() {
                true => self.until_green().await?,
                false => self.until_served(&index).await?,
            }
        }
        self.write(&index, BATCH).await?;
        let written = 2 * BATCH as u64;
        let harmed = match place {
            // The role may have moved with the restart.
            Place::Follower | Place::Primary | Place::Deposed
                if !fault.is_older() && fault != Fault::CloneBeside =>
            {
                self.holder(&index, place).await?
            }
            _ => harmed,
        };
        self.marked(uuid, &harmed, written).await?;
        if fault == Fault::OtherLeaf {
            self.keep_other(&harmed, &foreign, place)?;
        }
        self.cluster.kill(&harmed)?;
        let data = self.cluster.data(&harmed);
        remove(&whole)?;
        match fault {
            Fault::CloneBeside => fs::rename(&clone, &whole)?,
            _ => copied(&data, &whole)?,
        }
        let folders = Folders {
            data: &data,
            older: &older,
            other: &foreign,
            index: uuid,
        };
        folders.harm(fault)?;
        if place == Place::Deposed {
            self.until_led_by(&index, &other).await?;
        }
        self.cluster.spawn_again(&harmed)?;
        let found = self.look(&index, &harmed, written).await?;
        if !matches!(found, Found::Whole { .. }) {
            self.bring_back(&harmed, &whole, fault).await?;
        }
        if place == Place::Last {
            self.cluster.spawn_again(&other)?;
        }
        self.until_green().await?;
        self.holds_all(&index, &harmed, place, written).await?;
        let gone = Request::new("DELETE", &format!("/{index}"));
        self.cluster.send(&gone).await?.ok()?;
        for kept in [whole, older, foreign] {
            remove(&kept)?;
        }
        Ok(found)
    }

    /// Looks whether the harmed copy holds everything, also without the others.
    async fn holds_all(
        &mut self,
        index: &str,
        harmed: &str,
        place: Place,
        written: u64,
    ) -> Result<()> {
        let other = self.other(harmed);
        let is_alone = matches!(place, Place::Follower | Place::Primary | Place::Deposed);
        if is_alone {
            self.cluster.kill(&other)?;
            self.until_led_by(index, harmed).await?;
        }
        let began = Instant::now();
        loop {
            // A search says that it may lack something until the new primary leads.
            let count = self.count(index).await?;
            if count == Some(written) {
                break;
            }
            ensure!(
                count.is_none() && began.elapsed() < PATIENCE,
                "{count:?} of {written} once it is whole again"
            );
            sleep(POLL).await;
        }
        if is_alone {
            self.cluster.start_again(&other).await?;
            self.until_green().await?;
        }
        Ok(())
    }

    async fn create(&self, index: &str, num_replicas: usize) -> Result<()> {
        let settings = json!({"number_of_shards": 1, "number_of_replicas": num_replicas});
        let create = Request::json("PUT", &format!("/{index}"), &json!({"settings": settings}));
        self.cluster.send(&create).await?.ok()?;
        self.until_green().await
    }

    async fn write(&self, index: &str, from: usize) -> Result<()> {
        let mut lines = String::new();
        for n in from..from + BATCH {
            lines.push_str(&format!(
                "{{\"index\":{{\"_id\":\"{n}\"}}}}\n{{\"n\":{n}}}\n"
            ));
        }
        let bulk = Request::ndjson(
            "POST",
            &format!("/{index}/_bulk?refresh=true&timeout=60s"),
            lines,
        );
        let answer = self.cluster.send(&bulk).await?.ok()?;
        ensure!(answer["errors"] == false, "{answer}");
        Ok(())
    }

    async fn until_green(&self) -> Result<()> {
        let health = Request::new("GET", "/_cluster/health?wait_for_status=green&timeout=60s");
        let answer = self.cluster.send(&health).await?;
        let health: Value = serde_json::from_slice(&answer.body)?;
        if health["status"] != "green" {
            let shards = self.shards().await?;
            anyhow::bail!("{health} {shards}");
        }
        Ok(())
    }

    async fn until_served(&self, index: &str) -> Result<()> {
        let began = Instant::now();
        while self.count(index).await?.is_none() {
            ensure!(began.elapsed() < PATIENCE, "nobody serves");
            sleep(POLL).await;
        }
        Ok(())
    }

    async fn shards(&self) -> Result<Value> {
        let columns = "index,shard,prirep,state,node,unassigned.reason,unassigned.details";
        let shards = Request::new("GET", &format!("/_cat/shards?format=json&h={columns}"));
        let answer = self.cluster.send(&shards).await?;
        Ok(serde_json::from_slice(&answer.body)?)
    }

    /// Returns the leaf that holds the copy which is to be harmed.
    async fn holder(&self, index: &str, place: Place) -> Result<String> {
        let wanted = if place == Place::Follower { "r" } else { "p" };
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

    async fn until_led_by(&self, index: &str, leaf: &str) -> Result<()> {
        let began = Instant::now();
        while self.holder(index, Place::Primary).await.ok().as_deref() != Some(leaf) {
            ensure!(began.elapsed() < PATIENCE, "nobody has taken over");
            sleep(POLL).await;
        }
        Ok(())
    }

    fn other(&self, leaf: &str) -> String {
        let other = if leaf == "leaf-1" { "leaf-2" } else { "leaf-1" };
        other.to_owned()
    }

    async fn uuid(&self, index: &str) -> Result<IndexUuid> {
        let settings = Request::new("GET", &format!("/{index}/_settings"));
        let settings = self.cluster.send(&settings).await?.ok()?;
        let uuid = &settings[index]["settings"]["index"]["uuid"];
        let uuid = URL_SAFE_NO_PAD.decode(uuid.as_str().context("a uuid")?)?;
        let uuid = <[u8; 16]>::try_from(uuid).map(IndexUuid);
        uuid.map_err(|found| anyhow!("{} bytes", found.len()))
    }

    /// Waits until the mark of a leaf's copy says that it holds so many operations.
    async fn marked(&self, index: IndexUuid, leaf: &str, operations: u64) -> Result<()> {
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

    /// Keeps a leaf's folder as it is at one instant.
    fn keep(&self, leaf: &str, to: &PathBuf) -> Result<()> {
        remove(to)?;
        self.cluster.freeze(leaf)?;
        let kept = copied(&self.cluster.data(leaf), to);
        self.cluster.thaw(leaf)?;
        kept
    }

    fn keep_other(&self, leaf: &str, to: &PathBuf, place: Place) -> Result<()> {
        let other = self.other(leaf);
        match place {
            // It is down.
            Place::Last => copied(&self.cluster.data(&other), to),
            _ => self.keep(&other, to),
        }
    }

    /// Returns what clients and the operator find, once that does not change any more.
    async fn look(&mut self, index: &str, leaf: &str, written: u64) -> Result<Found> {
        let began = Instant::now();
        loop {
            if let Some(reason) = self.cluster.ended(leaf)? {
                return Ok(Found::NotStarted { reason });
            }
            let health = self.health().await?;
            let is_settled =
                health == "green" || (health == "yellow" && self.count(index).await?.is_some());
            if is_settled && self.cluster.is_ready(leaf).await {
                let found = self.count(index).await?;
                return Ok(match found {
                    Some(found) if found == written => Found::Whole {
                        after: began.elapsed(),
                    },
                    found => Found::LostInSilence {
                        found: found.unwrap_or(0),
                        written,
                    },
                });
            }
            if health == "red"
                && let Some(reason) = self.reason(index).await?
            {
                self.refuses(index).await?;
                return Ok(Found::Refused { reason });
            }
            ensure!(
                began.elapsed() < PATIENCE,
                "neither served nor refused: {health} {}",
                self.shards().await?
            );
            sleep(POLL).await;
        }
    }

    /// Writes and searches are refused while the shard is red.
    async fn refuses(&self, index: &str) -> Result<()> {
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
    async fn reason(&self, index: &str) -> Result<Option<String>> {
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

    async fn health(&self) -> Result<String> {
        let answer = self
            .cluster
            .send(&Request::new("GET", "/_cluster/health"))
            .await?;
        let health: Value = serde_json::from_slice(&answer.body)?;
        Ok(health["status"].as_str().unwrap_or_default().to_owned())
    }

    /// Returns how many documents a search finds; `None` where it says that some may be missing, or fails.
    async fn count(&self, index: &str) -> Result<Option<u64>> {
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

    /// Puts a leaf's folder back as it was, and starts it. `node.json` stays where the folder itself was the right one: the
    /// start on what was left of it has been counted.
    async fn bring_back(&mut self, leaf: &str, whole: &Path, fault: Fault) -> Result<()> {
        self.cluster.end(leaf)?;
        let data = self.cluster.data(leaf);
        match fault.replaces_all() {
            true => replace(&data, whole)?,
            false => {
                for part in ["log", "indices"] {
                    replace(&data.join(part), &whole.join(part))?;
                }
            }
        }
        self.cluster.start_again(leaf).await
    }
}

fn remove(folder: &PathBuf) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
