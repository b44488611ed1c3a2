//! Which faults there are, and a walk of them by a seed.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use gleaner_datasets::Random;
use gleaner_testkit::proxy::Fault as LinkFault;
use tokio::time::{sleep, timeout};

use super::clients::Clients;
use super::cluster::{Cluster, LEAVES};
use super::disk::{SickDisk, Sickness};
use super::etcd::LostMember;
use super::links::Links;

/// The longest that a leaf stands still, or is cut off, milliseconds: longer than its lease.
const MAX_STILL_MS: u64 = 8_000;

/// Longer than writes wait for another primary.
const LONG: Duration = Duration::from_secs(20);

/// Of so many faults one comes before the leaf of the last one is back in sync.
const OVERLAPS: u64 = 3;

/// What is done to a leaf, or to what is around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// It ends as `kill -9` does.
    Killed,
    /// It is stopped in its tracks for a while.
    Still,
    /// It stops in order.
    Stopped,
    /// Nobody reaches it, and it does not reach the etcd, for a while.
    CutOff,
    /// Nobody reaches it for a while, and it reaches everybody.
    OutOfReach,
    /// It does not reach the etcd.
    EtcdCut,
    /// The member that leads the etcd ends as `kill -9` does, or stands still.
    EtcdLeaderLost,
    /// Its disk is sick.
    DiskSick(Sickness),
}

/// Those of processes and links.
pub(crate) const LOSSES: [Fault; 7] = [
    Fault::Killed,
    Fault::Still,
    Fault::Stopped,
    Fault::CutOff,
    Fault::OutOfReach,
    Fault::EtcdCut,
    Fault::EtcdLeaderLost,
];

/// Those of disks.
pub(crate) const SICK_DISKS: [Fault; 4] = [
    Fault::DiskSick(Sickness::Slow),
    Fault::DiskSick(Sickness::Stuck),
    Fault::DiskSick(Sickness::Full),
    Fault::DiskSick(Sickness::Failing),
];

/// A fault as it goes on.
struct Struck {
    fault: Fault,
    leaf: &'static str,
    lasts: Duration,
    member: Option<LostMember>,
    disk: Option<SickDisk>,
}

/// What faults strike.
pub(crate) struct Walk<'a> {
    pub(crate) cluster: &'a mut Cluster,
    /// `None` where no fault is one of a link.
    pub(crate) links: Option<&'a Links>,
    pub(crate) clients: &'a Clients,
    pub(crate) random: &'a mut Random,
    /// Faults to come, in their order: each kind once before any comes again.
    pub(crate) bag: Bag,
    /// How often a leaf was lost whose copy of a shard alone was in sync.
    pub(crate) num_alone: usize,
}

/// Faults to come, and how many of each kind there were.
pub(crate) struct Bag {
    kinds: &'static [Fault],
    next: Vec<Fault>,
    drawn: BTreeMap<Fault, usize>,
}

impl Bag {
    pub(crate) fn of(kinds: &'static [Fault]) -> Self {
        Self {
            kinds,
            next: Vec::new(),
            drawn: BTreeMap::new(),
        }
    }

    fn draw(&mut self, random: &mut Random) -> Fault {
        if self.next.is_empty() {
            self.next = self.kinds.to_vec();
        }
        let at = random.below(self.next.len() as u64) as usize;
        let fault = self.next.swap_remove(at);
        *self.drawn.entry(fault).or_default() += 1;
        fault
    }
}

impl Walk<'_> {
    /// Strikes so many times, each while the clients write; at the end all copies are in sync. Returns how many faults of
    /// each kind there were.
    pub(crate) async fn go(mut self, num_faults: usize) -> Result<BTreeMap<String, usize>> {
        let mut num_struck = 0;
        while num_struck < num_faults {
            let first = self.random.below(LEAVES.len() as u64) as usize;
            let struck = self.strike(first).await?;
            num_struck += 1;
            let told = format!("{:?} of {}, fault {num_struck}", struck.fault, struck.leaf);
            // Another copy of each shard is in sync and takes over, or was taken out in this moment.
            if !struck.is_passing() {
                let go_on = self.until_writes_go_on(&struck).await;
                go_on.with_context(|| told.clone())?;
            }
            if num_struck < num_faults && self.random.below(OVERLAPS) == 0 {
                let other = self.strike((first + 1) % LEAVES.len()).await?;
                num_struck += 1;
                self.mend(other).await?;
            }
            self.mend(struck).await?;
            let after = || format!("after {told}");
            self.cluster.until_green().await.with_context(after)?;
            let go_on = self.clients.until_all_acknowledge().await;
            go_on.with_context(after)?;
        }
        let drawn = self.bag.drawn.into_iter();
        let drawn = drawn.map(|(fault, num)| (format!("{fault:?}"), num));
        let alone = ("lost while alone in sync".to_owned(), self.num_alone);
        Ok(drawn.chain([alone]).collect())
    }

    /// Waits until writes go on beside a fault. Those of a shard whose only copy in sync is on the leaf that is lost wait
    /// for that leaf: it was lost just after the leaf of the other copy, whose lease ran out.
    async fn until_writes_go_on(&mut self, struck: &Struck) -> Result<()> {
        let go_on = timeout(LONG, self.clients.until_all_acknowledge()).await;
        let is_of_leaf = struck.fault != Fault::EtcdLeaderLost;
        if go_on.is_err() && is_of_leaf && self.cluster.is_alone_in_sync(struck.leaf).await? {
            self.num_alone += 1;
            return Ok(());
        }
        self.clients.until_all_acknowledge().await
    }

    async fn strike(&mut self, leaf: usize) -> Result<Struck> {
        let mut struck = Struck {
            fault: self.bag.draw(self.random),
            leaf: LEAVES[leaf],
            lasts: Duration::from_millis(200 + self.random.below(MAX_STILL_MS)),
            member: None,
            disk: None,
        };
        match struck.fault {
            Fault::Killed => self.cluster.kill(struck.leaf).await?,
            Fault::Still => self.cluster.signal(struck.leaf, "-STOP")?,
            Fault::Stopped => self.cluster.stop(struck.leaf).await?,
            Fault::CutOff | Fault::OutOfReach | Fault::EtcdCut => {
                // Not bytes that are lost: a connection that goes on brings all that it was given.
                let kinds = [LinkFault::Stall, LinkFault::Reset];
                let kind = kinds[self.random.below(kinds.len() as u64) as usize];
                let links = self.links.context("no link can be cut")?;
                links.set(kind, |from, to| struck.cuts(from, to));
            }
            Fault::DiskSick(sickness) => {
                let pid = self.cluster.pid(struck.leaf)?;
                struck.disk = Some(SickDisk::of(pid, sickness).await?);
            }
            Fault::EtcdLeaderLost => {
                struck.member = Some(LostMember::leader(self.cluster).await?);
            }
        }
        Ok(struck)
    }

    async fn mend(&mut self, mut struck: Struck) -> Result<()> {
        if struck.is_passing() {
            // How long it lasts is the fault.
            sleep(struck.lasts).await;
        }
        match struck.fault {
            Fault::Killed | Fault::Stopped => self.cluster.start_again(struck.leaf),
            Fault::Still => self.cluster.signal(struck.leaf, "-CONT"),
            Fault::CutOff | Fault::OutOfReach | Fault::EtcdCut => {
                let cuts = |from: &str, to: &str| struck.cuts(from, to);
                let links = self.links.context("no link was cut")?;
                links.set(LinkFault::None, cuts);
                Ok(())
            }
            Fault::EtcdLeaderLost => match struck.member {
                Some(member) => member.bring_back(self.cluster),
                None => Ok(()),
            },
            Fault::DiskSick(sickness) => {
                struck.disk.take().context("no disk is sick")?.heal()?;
                // A sync that failed is not repeated: the log is opened again by a process of its own.
                if sickness == Sickness::Failing {
                    self.cluster.kill(struck.leaf).await?;
                    self.cluster.start_again(struck.leaf)?;
                }
                Ok(())
            }
        }
    }
}

impl Struck {
    /// Ends by itself: what it holds up goes on then, if not before.
    fn is_passing(&self) -> bool {
        !matches!(
            self.fault,
            Fault::Killed
                | Fault::Stopped
                | Fault::EtcdLeaderLost
                | Fault::DiskSick(Sickness::Stuck | Sickness::Full | Sickness::Failing)
        )
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
