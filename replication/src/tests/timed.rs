//! Copies in time: who may answer, when clocks differ, processes pause and links are cut one way.
//!
//! Each process has a clock of its own rate. Messages and requests to the store are late, streams are
//! closed by each side when it hears nothing, leases end early. A client writes, reads, refreshes and
//! searches all the time; each answer is compared with what was acknowledged before, anywhere. The same
//! seed gives the same run.

mod leaf;
mod life;
mod network;
mod store;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use self::leaf::Leaf;
use self::network::Network;
use self::store::TimedStore;
use super::world::NUM_COPIES;
use crate::ShardCopy;
use crate::settings::{Rule, Settings};

/// Milliseconds of true time in a step.
const STEP_MS: u64 = 10;
/// Milliseconds of true time in a run.
const RUN_MS: u64 = 25_000;
/// How much faster the fastest clock may run than the slowest. Rights allow for 10 %.
const RATE_SPREAD: f64 = 0.08;
/// How often a root takes a promise, of the steps of a copy.
const PROMISES: f64 = 0.02;

/// What tally in runs.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) num_reads: u64,
    pub(super) num_searches: u64,
    pub(super) num_flagged: u64,
    pub(super) num_acknowledged: u64,
    pub(super) num_refreshes: u64,
    pub(super) num_terms: u64,
    pub(super) num_promises: u64,
}

impl Tally {
    pub(super) fn add(&mut self, other: Self) {
        self.num_reads += other.num_reads;
        self.num_searches += other.num_searches;
        self.num_flagged += other.num_flagged;
        self.num_acknowledged += other.num_acknowledged;
        self.num_refreshes += other.num_refreshes;
        self.num_terms += other.num_terms;
        self.num_promises += other.num_promises;
    }
}

/// A broken promise, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stale {
    /// I11: this copy could answer a real-time read and lacks an acknowledged write.
    Read { copy: usize, at_ms: u64 },
    /// I11: two copies could answer a real-time read.
    TwoReaders { copies: [usize; 2], at_ms: u64 },
    /// I12: this copy could answer a search without a flag and lacks what was acknowledged as visible.
    Search { copy: usize, at_ms: u64 },
    /// I12: a root answers by what this copy has promised to show for a while, and lacks what was acknowledged as visible.
    Promised { copy: usize, at_ms: u64 },
}

/// What a root goes by without asking the copy.
#[derive(Debug, Clone, Copy)]
struct Promise {
    copy: usize,
    visible: u64,
    until_ms: u64,
}

/// All of a run.
pub(super) struct Run {
    random: SmallRng,
    now_ms: u64,
    settings: Settings,
    leaves: Vec<Leaf>,
    promises: Vec<Promise>,
    network: Network,
    store: TimedStore,
    /// Position after the last acknowledged write, and after the last acknowledged refresh.
    acknowledged: u64,
    refreshed: u64,
    tally: Tally,
}

/// Runs 25 s.
///
/// # Errors
/// The first promise that is broken.
pub(super) fn run(seed: u64, omitted: Option<Rule>) -> Result<Tally, Stale> {
    let mut run = Run::new(seed, omitted);
    while run.now_ms < RUN_MS {
        run.step()?;
    }
    Ok(run.tally)
}

impl Run {
    fn new(seed: u64, omitted: Option<Rule>) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let min_in_sync = random.random_range(1..=2);
        let settings = Settings {
            min_in_sync,
            omitted,
            ..Settings::default()
        };
        let mut leaf = |_| {
            let rate = 1.0 + random.random_range(0.0..RATE_SPREAD);
            Leaf::new(rate, random.random_range(10.0..100.0))
        };
        let leaves = (0..NUM_COPIES).map(&mut leaf).collect();
        let mut run = Self {
            random,
            now_ms: 0,
            settings,
            leaves,
            promises: Vec::new(),
            network: Network::default(),
            store: TimedStore::new(),
            acknowledged: 0,
            refreshed: 0,
            tally: Tally::default(),
        };
        (0..NUM_COPIES).for_each(|copy| run.start(copy));
        run
    }

    fn step(&mut self) -> Result<(), Stale> {
        self.now_ms += STEP_MS;
        self.disturb();
        self.move_store();
        self.move_messages();
        for copy in 0..NUM_COPIES {
            if self.leaves[copy].is_down(self.now_ms) {
                continue;
            }
            if self.leaves[copy].copy.is_none() {
                self.start(copy);
            }
            if !self.leaves[copy].is_paused(self.now_ms) {
                self.run_leaf(copy);
            }
        }
        self.check()?;
        self.promise();
        Ok(())
    }

    /// Cuts, heals, pauses, ends processes.
    fn disturb(&mut self) {
        if self.random.random_bool(0.002) {
            self.network.heal();
            self.store.heal();
        }
        if !self.random.random_bool(0.006) {
            return;
        }
        let copy = self.random.random_range(0..NUM_COPIES);
        let other = (copy + self.random.random_range(1..NUM_COPIES)) % NUM_COPIES;
        match self.random.random_range(0..20) {
            0..7 => self.network.cut(copy, other, self.random.random_bool(0.7)),
            7..12 => self.store.cut(copy),
            12..15 => {
                let pause = self.random.random_range(200..5_000);
                self.leaves[copy].paused_until_ms = self.now_ms + pause;
            }
            _ => {
                let down = self.random.random_range(10..800);
                self.stop(copy, down);
            }
        }
    }

    /// Reads and searches everywhere.
    fn check(&mut self) -> Result<(), Stale> {
        let at_ms = self.now_ms;
        let mut reader = None;
        for (copy, leaf) in self.leaves.iter().enumerate() {
            let Some(machine) = leaf.copy.as_ref().filter(|_| !leaf.is_paused(at_ms)) else {
                continue;
            };
            let now = leaf.clock(at_ms);
            if machine.may_read(now) {
                self.tally.num_reads += 1;
                if machine.agreed().0 < self.acknowledged {
                    return Err(Stale::Read { copy, at_ms });
                }
                if let Some(other) = reader.replace(copy) {
                    let copies = [other, copy];
                    return Err(Stale::TwoReaders { copies, at_ms });
                }
            }
            if !machine.may_serve(now) {
                self.tally.num_flagged += 1;
            } else if leaf.visible < self.refreshed {
                return Err(Stale::Search { copy, at_ms });
            } else {
                self.tally.num_searches += 1;
            }
        }
        self.promises.retain(|promise| at_ms < promise.until_ms);
        let is_old = |promise: &&Promise| promise.visible < self.refreshed;
        match self.promises.iter().find(is_old) {
            Some(Promise { copy, .. }) => Err(Stale::Promised { copy: *copy, at_ms }),
            None => Ok(()),
        }
    }

    /// Roots take promises of copies whose answers are not flagged.
    fn promise(&mut self) {
        let (at_ms, length) = (self.now_ms, self.settings.search_lease);
        for (copy, leaf) in self.leaves.iter_mut().enumerate() {
            let now = leaf.clock(at_ms);
            let serves = |machine: &ShardCopy| machine.may_serve(now) && !leaf.is_paused(at_ms);
            if !leaf.copy.as_ref().is_some_and(serves) || !self.random.random_bool(PROMISES) {
                continue;
            }
            leaf.promised_until = Some(now.after(length));
            // By the clock of a root, which may be the slowest.
            let length_ms = length.as_millis() as f64 / (1.0 + RATE_SPREAD);
            self.tally.num_promises += 1;
            self.promises.push(Promise {
                copy,
                visible: leaf.visible,
                until_ms: at_ms + length_ms as u64,
            });
        }
    }
}
