//! A cluster with one index, whose copies come back with less than they had.

mod told;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use gleaner_etcd::{Client, EtcdMarks, Keys};
use gleaner_proto::Connect;
use gleaner_testkit::folder::{FolderFault, Folders, copied, replace};
use gleaner_testkit::http::Request;
use gleaner_testkit::processes::Processes;
use gleaner_testkit::run;
use serde_json::json;
use tempfile::TempDir;
use tokio::time::sleep;

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
    FollowerOfThree,
    PrimaryOfThree,
}

impl Place {
    /// Returns the faults that are tried: all in full, else those of which each goes another way.
    pub(crate) fn faults(self) -> &'static [FolderFault] {
        if run::is_full() {
            return &FolderFault::ALL;
        }
        match self {
            Self::Only => &[FolderFault::LogGone, FolderFault::IndexGone],
            Self::Last => &[
                FolderFault::Older,
                FolderFault::OlderOverRestart,
                FolderFault::LogFlipped,
            ],
            Self::Follower => &[FolderFault::LogTruncated, FolderFault::OtherLeaf],
            Self::Primary => &[FolderFault::LogGone, FolderFault::Older],
            Self::Deposed => &[FolderFault::BothGone],
            Self::FollowerOfThree => &[FolderFault::LogFlipped],
            Self::PrimaryOfThree => &[FolderFault::IndexGone],
        }
    }

    fn num_copies(self) -> usize {
        match self {
            Self::Only => 1,
            Self::Last | Self::Follower | Self::Primary | Self::Deposed => 2,
            Self::FollowerOfThree | Self::PrimaryOfThree => 3,
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
    /// Starts a cluster with room for the copies that a place needs, and two leaves at least.
    pub(crate) async fn start(place: Place) -> Result<Self> {
        let cluster = Processes::start(place.num_copies().max(2)).await?;
        let client = Client::new(&Connect::default(), &[cluster.etcd()])?;
        Ok(Self {
            cluster,
            marks: EtcdMarks::new(client, Keys::of("gleaner")?),
            kept: tempfile::tempdir()?,
            num_tried: 0,
        })
    }

    /// Makes an index, writes to it, harms a copy, and looks. The cluster is whole again then, and the index gone.
    pub(crate) async fn try_fault(&mut self, place: Place, fault: FolderFault) -> Result<Found> {
        self.num_tried += 1;
        let index = format!("things-{}", self.num_tried);
        self.create(&index, place.num_copies() - 1).await?;
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
        if fault == FolderFault::OlderOverRestart {
            self.cluster.kill(&harmed)?;
            self.cluster.start_again(&harmed).await?;
            self.until_green().await?;
        }
        if place == Place::Last {
            self.cluster.kill(&other)?;
        }
        let clone = self.kept.path().join("clone");
        if fault == FolderFault::CloneBeside {
            self.keep(&harmed, &clone)?;
            self.cluster.start_clone(&harmed, &clone).await?;
            match place.has_another() {
                true => self.until_green().await?,
                false => self.until_served(&index).await?,
            }
        }
        self.write(&index, BATCH).await?;
        let written = 2 * BATCH as u64;
        let is_bound = fault.is_older() || fault == FolderFault::CloneBeside;
        let harmed = match place.has_another() && !is_bound {
            // The role may have moved with the restart.
            true => self.holder(&index, place).await?,
            false => harmed,
        };
        self.marked(uuid, &harmed, written).await?;
        if fault == FolderFault::OtherLeaf {
            self.keep_other(&harmed, &foreign, place)?;
        }
        self.cluster.kill(&harmed)?;
        let data = self.cluster.data(&harmed);
        remove(&whole)?;
        match fault {
            FolderFault::CloneBeside => fs::rename(&clone, &whole)?,
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
        if fault == FolderFault::LogFlipped && matches!(found, Found::Whole { .. }) {
            self.names_what_was_put_aside(&index, &harmed).await?;
        }
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
        let others = match place.has_another() {
            true => self.others(harmed, place),
            false => Vec::new(),
        };
        for other in &others {
            self.cluster.kill(other)?;
        }
        if !others.is_empty() {
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
        for other in &others {
            self.cluster.start_again(other).await?;
        }
        self.until_green().await
    }

    /// Looks whether health names the damaged log of a copy until somebody removes it.
    async fn names_what_was_put_aside(&self, index: &str, leaf: &str) -> Result<()> {
        let ask = Request::new("GET", "/_cluster/health");
        let named = || async {
            let health = self.cluster.send(&ask).await?.ok()?;
            let folders = health["put_aside"].as_array().cloned().unwrap_or_default();
            anyhow::Ok(folders.into_iter().find(|named| named["index"] == index))
        };
        let found = named().await?.context("no folder was put aside")?;
        ensure!(found["shard"] == 0 && found["node"] == leaf, "{found}");
        let folder = Path::new(found["folder"].as_str().context("a folder")?);
        ensure!(folder.starts_with(self.cluster.data(leaf)), "{found}");
        fs::remove_dir_all(folder).with_context(|| found.to_string())?;
        let left = named().await?;
        ensure!(left.is_none(), "it was removed: {left:?}");
        Ok(())
    }

    async fn create(&self, index: &str, num_replicas: usize) -> Result<()> {
        // One of three is to serve alone, too: by itself the set of three keeps two, and the last one's answers are flagged then.
        let settings = json!({
            "number_of_shards": 1, "number_of_replicas": num_replicas, "replication.min_in_sync": 1,
        });
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

    /// Returns another leaf.
    fn other(&self, leaf: &str) -> String {
        let other = if leaf == "leaf-1" { "leaf-2" } else { "leaf-1" };
        other.to_owned()
    }

    /// Returns all other leaves that hold copies.
    fn others(&self, leaf: &str, place: Place) -> Vec<String> {
        let leaves = (1..=place.num_copies()).map(|number| format!("leaf-{number}"));
        leaves.filter(|other| other != leaf).collect()
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

    /// Puts a leaf's folder back as it was, and starts it. `node.json` stays where the folder itself was the right one: the
    /// start on what was left of it has been counted.
    async fn bring_back(&mut self, leaf: &str, whole: &Path, fault: FolderFault) -> Result<()> {
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
