//! A fault as it goes on, from its beginning to its end.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gleaner_testkit::folder::{FolderFault, Folders, replace};
use gleaner_testkit::proxy::Fault as LinkFault;
use tokio::time::sleep;

use super::Walk;
use crate::cluster::LEAVES;
use crate::disk::{SickDisk, Sickness};
use crate::etcd::{LostMember, is_alone_in_sync};
use crate::faults::Fault;

/// The longest that a leaf stands still, or is cut off, milliseconds: longer than its lease.
const MAX_STILL_MS: u64 = 8_000;

/// A fault as it goes on.
pub(super) struct Struck {
    pub(super) fault: Fault,
    pub(super) leaf: &'static str,
    lasts: Duration,
    member: Option<LostMember>,
    disk: Option<SickDisk>,
    /// From whom to whom packets are dropped.
    cuts: BTreeSet<(String, String)>,
    /// The leaf's own folder, where another leaf's is in its place.
    own_folder: Option<PathBuf>,
    /// The leaf is started again before another one takes over.
    is_quick: bool,
}

impl Struck {
    /// Does `fault` to a leaf.
    pub(super) async fn strike(walk: &mut Walk<'_>, leaf: usize, fault: Fault) -> Result<Self> {
        let mut struck = Self {
            fault,
            leaf: LEAVES[leaf],
            lasts: Duration::from_millis(200 + walk.random.below(MAX_STILL_MS)),
            member: None,
            disk: None,
            cuts: BTreeSet::new(),
            own_folder: None,
            is_quick: false,
        };
        match fault {
            Fault::Killed => walk.cluster.kill(struck.leaf).await?,
            Fault::Still => walk.cluster.signal(struck.leaf, "-STOP")?,
            Fault::Stopped => walk.cluster.stop(struck.leaf).await?,
            cut if cut.is_cut() => struck.cut(walk)?,
            Fault::DiskSick(sickness) => {
                let pid = walk.cluster.pid(struck.leaf)?;
                struck.disk = Some(SickDisk::of(pid, sickness).await?);
            }
            Fault::Folder(fault) => struck.forget(walk, fault).await?,
            _ => struck.member = Some(LostMember::leader(walk.cluster).await?),
        }
        Ok(struck)
    }

    fn cut(&mut self, walk: &mut Walk<'_>) -> Result<()> {
        let Some(namespaces) = walk.cluster.namespaces() else {
            // Not bytes that are lost: a connection that goes on brings all that it was given.
            let kinds = [LinkFault::Stall, LinkFault::Reset];
            let kind = kinds[walk.random.below(kinds.len() as u64) as usize];
            let links = walk.links.context("no link can be cut")?;
            links.set(kind, |from, to| self.cuts(from, to));
            return Ok(());
        };
        let nodes = namespaces.nodes();
        let others: Vec<&String> = nodes.iter().filter(|node| *node != self.leaf).collect();
        let peer = others[walk.random.below(others.len() as u64) as usize];
        let is_from_peer = walk.random.below(2) == 0;
        // Each node is on one of two sides, and the leaf on the first one.
        let sides = walk.random.below(1 << nodes.len());
        let side = |node: &String| {
            let at = nodes.iter().position(|known| known == node);
            node == self.leaf || at.is_some_and(|at| sides >> at & 1 == 1)
        };
        for from in nodes {
            for to in nodes.iter().filter(|to| *to != from) {
                let is_cut = match self.fault {
                    Fault::OneWay if is_from_peer => from == peer && to == self.leaf,
                    Fault::OneWay => from == self.leaf && to == peer,
                    Fault::Halves => side(from) != side(to),
                    Fault::AllCut => true,
                    // As a leaf reaches the etcd, so the etcd's answers arrive.
                    Fault::OutOfReach => to == self.leaf && !from.starts_with("etcd-"),
                    _ => self.cuts(from, to),
                };
                if is_cut {
                    namespaces.cut(from, to)?;
                    self.cuts.insert((from.clone(), to.clone()));
                }
            }
        }
        Ok(())
    }

    /// Kills the leaf and changes its folder. Where its copy of a shard alone is in sync the folder stays as it is.
    async fn forget(&mut self, walk: &mut Walk<'_>, fault: FolderFault) -> Result<()> {
        let (cluster, clients) = (&mut *walk.cluster, walk.clients);
        let data = cluster.data();
        let [older, other] = ["older", "other"].map(|name| data.join(name));
        if fault.is_older() {
            cluster.keep(self.leaf, &older)?;
        }
        if fault == FolderFault::OlderOverRestart {
            cluster.kill(self.leaf).await?;
            cluster.start_again(self.leaf)?;
            cluster.until_green().await?;
        }
        clients.until_all_acknowledge().await?;
        if fault == FolderFault::OtherLeaf {
            let at = LEAVES.iter().position(|leaf| *leaf == self.leaf);
            let another = LEAVES[(at.context("a leaf")? + 1) % LEAVES.len()];
            cluster.keep(another, &other)?;
        }
        self.is_quick = walk.random.below(2) == 0;
        cluster.kill(self.leaf).await?;
        if is_alone_in_sync(cluster, self.leaf).await? {
            walk.noted.num_spared += 1;
            return Ok(());
        }
        let own = data.join(self.leaf);
        if fault == FolderFault::OtherLeaf {
            let kept = data.join("own");
            fs::rename(&own, &kept)?;
            fs::create_dir(&own)?;
            self.own_folder = Some(kept);
        }
        let folders = Folders {
            data: &own,
            older: &older,
            other: &other,
            index: cluster.uuid("things").await?,
        };
        folders.harm(fault)
    }

    /// Ends it.
    pub(super) async fn mend(mut self, walk: &mut Walk<'_>) -> Result<()> {
        if self.is_passing() && !self.fault.forgets() {
            // How long it lasts is the fault.
            sleep(self.lasts).await;
        }
        match self.fault {
            Fault::Killed | Fault::Stopped => walk.cluster.start_again(self.leaf),
            Fault::Still => walk.cluster.signal(self.leaf, "-CONT"),
            cut if cut.is_cut() => self.join(walk),
            Fault::DiskSick(sickness) => {
                self.disk.take().context("no disk is sick")?.heal()?;
                // A sync that failed is not repeated: the log is opened again by a process of its own.
                if sickness == Sickness::Failing {
                    walk.cluster.kill(self.leaf).await?;
                    walk.cluster.start_again(self.leaf)?;
                }
                Ok(())
            }
            Fault::Folder(_) => self.return_with_folder(walk).await,
            _ => match self.member {
                Some(member) => member.bring_back(walk.cluster),
                None => Ok(()),
            },
        }
    }

    fn join(&self, walk: &Walk<'_>) -> Result<()> {
        let Some(namespaces) = walk.cluster.namespaces() else {
            let links = walk.links.context("no link was cut")?;
            links.set(LinkFault::None, |from, to| self.cuts(from, to));
            return Ok(());
        };
        for (from, to) in &self.cuts {
            namespaces.mend(from, to)?;
        }
        Ok(())
    }

    /// Starts the leaf. It refuses another leaf's folder, and gets its own back then.
    async fn return_with_folder(&self, walk: &mut Walk<'_>) -> Result<()> {
        let cluster = &mut *walk.cluster;
        cluster.start_again(self.leaf)?;
        let Some(own) = &self.own_folder else {
            return Ok(());
        };
        let told = cluster.until_ended(self.leaf).await?;
        ensure!(
            told.contains("is that of node"),
            "it does not refuse another leaf's folder: {told}"
        );
        replace(&cluster.data().join(self.leaf), own)?;
        fs::remove_dir_all(own)?;
        cluster.start_again(self.leaf)
    }

    /// Ends by itself: what it holds up goes on then, if not before.
    pub(super) fn is_passing(&self) -> bool {
        match self.fault {
            Fault::Killed
            | Fault::Stopped
            | Fault::EtcdLeaderLost
            | Fault::DiskSick(Sickness::Stuck | Sickness::Full | Sickness::Failing) => false,
            Fault::Folder(_) => self.is_quick,
            _ => true,
        }
    }

    /// Is the link that `from` has made to `to` cut?
    fn cuts(&self, from: &str, to: &str) -> bool {
        match self.fault {
            Fault::CutOff => from == self.leaf || to == self.leaf,
            Fault::OutOfReach => to == self.leaf,
            Fault::EtcdCut => from == self.leaf && to.starts_with("etcd-"),
            _ => false,
        }
    }
}
