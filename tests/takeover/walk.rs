//! A walk of faults by a seed, while clients write.

mod struck;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context, Result};
use gleaner_datasets::Random;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use super::clients::Clients;
use super::cluster::{Cluster, LEAVES};
use super::faults::{Bag, Fault};
use super::links::Links;
use struck::Struck;

/// Longer than writes wait for another primary.
const LONG: Duration = Duration::from_secs(20);

/// Of so many faults one comes before the leaf of the last one is back in sync.
const OVERLAPS: u64 = 3;

/// What faults strike.
pub(crate) struct Walk<'a> {
    pub(crate) cluster: &'a mut Cluster,
    /// `None` where no fault is one of a link, or each process has a network of its own.
    pub(crate) links: Option<&'a Links>,
    pub(crate) clients: &'a Clients,
    pub(crate) random: &'a mut Random,
    /// Faults to come, in their order: each kind once before any comes again.
    pub(crate) bag: Bag,
    pub(crate) noted: Noted,
}

/// What is noted on the way.
#[derive(Default)]
pub(crate) struct Noted {
    /// How often a leaf was lost whose copy of a shard alone was in sync.
    num_alone: usize,
    /// How often a folder stayed as it was, as its copy of a shard alone was in sync.
    num_spared: usize,
    /// How long it took, each time, from the end of a fault until all copies were in sync, by kind.
    until_green: BTreeMap<Fault, Vec<Duration>>,
}

impl Walk<'_> {
    /// Strikes so many times, each while the clients write; at the end all copies are in sync. Returns how many faults of
    /// each kind there were.
    pub(crate) async fn go(mut self, num_faults: usize) -> Result<Value> {
        let mut num_struck = 0;
        while num_struck < num_faults {
            let first = self.random.below(LEAVES.len() as u64) as usize;
            let fault = self.bag.draw(self.random, |_| true);
            let struck = Struck::strike(&mut self, first, fault).await;
            let struck = struck.with_context(|| format!("{fault:?} of {}", LEAVES[first]))?;
            num_struck += 1;
            let told = format!("{fault:?} of {}, fault {num_struck}", LEAVES[first]);
            // Another copy of each shard is in sync and takes over, or was taken out in this moment.
            if !struck.is_passing() {
                let go_on = self.until_writes_go_on(&struck).await;
                go_on.with_context(|| told.clone())?;
            }
            if num_struck < num_faults && self.random.below(OVERLAPS) == 0 {
                // One folder at a time: another copy is whole.
                let fault = self.bag.draw(self.random, |fault| !fault.forgets());
                let other = (first + 1) % LEAVES.len();
                let other = Struck::strike(&mut self, other, fault).await?;
                num_struck += 1;
                other.mend(&mut self).await?;
            }
            let mended = struck.mend(&mut self).await;
            mended.with_context(|| told.clone())?;
            let began = Instant::now();
            let after = || format!("after {told}");
            self.cluster.until_green().await.with_context(after)?;
            let took = self.noted.until_green.entry(fault).or_default();
            took.push(began.elapsed());
            let go_on = self.clients.until_all_acknowledge().await;
            go_on.with_context(after)?;
            self.note(&format!("{told}: green after {:?}", began.elapsed()))?;
        }
        Ok(self.figures())
    }

    /// Notes in the cluster's folder what has happened, for who looks into it.
    fn note(&self, told: &str) -> Result<()> {
        let notes = self.cluster.data().join("faults.log");
        let mut notes = File::options().create(true).append(true).open(notes)?;
        let (acknowledged, unknown) = (self.clients.num_acknowledged(), self.clients.num_unknown());
        writeln!(
            notes,
            "{told}; {acknowledged} acknowledged, {unknown} unknown"
        )?;
        Ok(())
    }

    fn figures(self) -> Value {
        let noted = &self.noted.until_green;
        let longest = |fault: &Fault| {
            let took = noted.get(fault).into_iter().flatten();
            took.max().map(Duration::as_millis)
        };
        let drawn = self.bag.drawn().into_iter();
        let kinds = drawn.map(|(fault, num)| {
            let figures = json!({"num": num, "longest_until_green_ms": longest(&fault)});
            (format!("{fault:?}"), figures)
        });
        json!({
            "kinds": kinds.collect::<BTreeMap<_, _>>(),
            "lost while alone in sync": self.noted.num_alone,
            "folders spared while alone in sync": self.noted.num_spared,
        })
    }

    /// Waits until writes go on beside a fault. Those of a shard whose only copy in sync is on the leaf that is lost wait
    /// for that leaf: it was lost just after the leaf of the other copy, whose lease ran out.
    async fn until_writes_go_on(&mut self, struck: &Struck) -> Result<()> {
        let go_on = timeout(LONG, self.clients.until_all_acknowledge()).await;
        let is_of_leaf = struck.fault != Fault::EtcdLeaderLost;
        if go_on.is_err() && is_of_leaf && self.cluster.is_alone_in_sync(struck.leaf).await? {
            self.noted.num_alone += 1;
            return Ok(());
        }
        self.clients.until_all_acknowledge().await
    }
}
