//! What goes wrong, when, for how long, and what that means for the leaf it happens to.

use std::time::Duration;

use gleaner_datasets::Random;
use turmoil::Sim;

use crate::cluster::Cluster;
use crate::schedule::{MIN_FAULTS, host, millis, within};

/// The host that asks.
pub(crate) const ROOT: &str = "root";

/// How long a connection that lost bytes may seem alive: two of the client's pings and some.
///
/// The simulated network never sends a lost segment again, so such a connection is dead until a ping
/// tells.
pub(crate) const DEAD_CONNECTION: Duration = Duration::from_millis(16_500);

/// How long after a fault its leaf may still be missed: a pause after a failed connection, a new one.
const AFTERMATH: Duration = Duration::from_millis(500);

/// Something that happens to a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The process dies, and what it had not synced is gone. At the end it starts again.
    Crash,
    /// It stops and later goes on: nothing is lost, connections stay.
    Freeze,
    /// What travels between it and the root stays on the way, and arrives at the end.
    Hold,
    /// What travels between it and the root is lost.
    Cut,
    /// What it sends to the root is lost; what the root sends arrives.
    CutAnswers,
    /// What the root sends to it is lost; what it sends arrives.
    CutCalls,
    /// What travels between it and the other leaves is lost.
    CutPeers,
    /// What is on its way between it and the root at that moment is lost.
    Loss,
    /// Messages between it and the root take up to this many milliseconds.
    Lag(u64),
    /// It takes this many milliseconds more for each call.
    Slow(u64),
    /// It takes calls and does not answer them.
    Stuck,
    /// It refuses searches: its queue is full.
    Refuse,
}

/// A fault of a schedule.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Planned {
    pub(crate) leaf: usize,
    pub(crate) fault: Fault,
    pub(crate) from: Duration,
    pub(crate) until: Duration,
}

/// Draws the faults of a run, and when it ends: one at a time on each leaf.
pub(crate) fn draw(random: &mut Random, num_leaves: usize) -> (Vec<Planned>, Duration) {
    let mut faults: Vec<Planned> = Vec::new();
    let (is_lossy, longest_pause) = (
        random.chance(1, 3),
        [300, 900, 1_800][random.below(3) as usize],
    );
    let mut free_from: Vec<Duration> = vec![Duration::from_millis(100); num_leaves];
    while faults.len() < MIN_FAULTS {
        let (leaf, free) = (0..num_leaves)
            .map(|leaf| (leaf, free_from[leaf]))
            .min_by_key(|(_, free)| *free)
            .expect("there are leaves");
        let from = free + millis(random, 20..longest_pause);
        let fault = draw_one(random, is_lossy);
        let length = match fault {
            Fault::Loss => Duration::from_millis(1),
            _ if random.chance(1, 8) => millis(random, 800..2_000),
            _ => millis(random, 30..500),
        };
        let until = from + length;
        free_from[leaf] = until;
        faults.push(Planned {
            leaf,
            fault,
            from,
            until,
        });
    }
    faults.sort_by_key(|planned| planned.from);
    let end = free_from.into_iter().max().expect("there are leaves");
    (faults, end + Duration::from_millis(200))
}

/// Draws a fault. What loses messages leaves dead connections for a long time, so it is drawn for some
/// schedules only.
fn draw_one(random: &mut Random, is_lossy: bool) -> Fault {
    let fault = match random.below(24) {
        0..4 => Fault::Crash,
        4..6 => Fault::Freeze,
        6..9 => Fault::Hold,
        9 => Fault::Cut,
        10 => Fault::CutAnswers,
        11 => Fault::CutCalls,
        12..14 => Fault::CutPeers,
        14 => Fault::Loss,
        15..18 => Fault::Lag(within(random, 15..120)),
        18..21 => Fault::Slow(within(random, 10..400)),
        21..23 => Fault::Stuck,
        _ => Fault::Refuse,
    };
    match fault.is_lossy() && !is_lossy {
        true => Fault::Hold,
        false => fault,
    }
}

impl Fault {
    /// Returns whether it keeps messages between its leaf and the root back.
    pub(crate) fn is_of_network(self) -> bool {
        let is_held = matches!(self, Self::Freeze | Self::Hold | Self::Lag(_));
        is_held || self.is_lossy()
    }

    /// Returns whether messages are lost by it.
    pub(crate) fn is_lossy(self) -> bool {
        matches!(
            self,
            Self::Cut | Self::CutAnswers | Self::CutCalls | Self::CutPeers | Self::Loss
        )
    }
}

impl Planned {
    /// Returns until when the leaf may be missed by the root because of it.
    pub(crate) fn felt_until(&self) -> Duration {
        match self.fault {
            Fault::Cut | Fault::CutAnswers | Fault::CutCalls | Fault::Loss => {
                self.until + DEAD_CONNECTION
            }
            _ => self.until + AFTERMATH,
        }
    }

    /// Returns whether the root can miss the leaf because of it.
    pub(crate) fn is_felt(&self) -> bool {
        self.fault != Fault::CutPeers
    }

    /// Makes it happen.
    pub(crate) fn begin(&self, sim: &mut Sim<'_>, cluster: &Cluster) {
        let leaf = host(self.leaf);
        match self.fault {
            Fault::Crash => {
                cluster.forget(self.leaf, sim.elapsed());
                self.crash(sim, cluster);
            }
            Fault::Freeze => {
                sim.hold(leaf.as_str(), ROOT);
                self.others(cluster, |other| sim.hold(leaf.as_str(), other));
            }
            Fault::Hold => sim.hold(leaf.as_str(), ROOT),
            Fault::Cut | Fault::Loss => sim.partition(leaf.as_str(), ROOT),
            Fault::CutAnswers => sim.partition_oneway(leaf.as_str(), ROOT),
            Fault::CutCalls => sim.partition_oneway(ROOT, leaf.as_str()),
            Fault::CutPeers => {
                self.others(cluster, |other| sim.partition(leaf.as_str(), other));
            }
            Fault::Lag(ms) => {
                let most = Duration::from_millis(ms);
                sim.set_link_max_message_latency(leaf.as_str(), ROOT, most);
            }
            Fault::Slow(ms) => cluster.conduct(self.leaf, |conduct| conduct.slow_ms = ms),
            Fault::Stuck => cluster.conduct(self.leaf, |conduct| conduct.is_stuck = true),
            Fault::Refuse => cluster.conduct(self.leaf, |conduct| conduct.is_refusing = true),
        }
    }

    /// Ends it.
    pub(crate) fn end(&self, sim: &mut Sim<'_>, cluster: &Cluster) {
        let leaf = host(self.leaf);
        match self.fault {
            Fault::Crash => sim.bounce(leaf.as_str()),
            Fault::Freeze => {
                sim.release(leaf.as_str(), ROOT);
                self.others(cluster, |other| sim.release(leaf.as_str(), other));
            }
            Fault::Hold => sim.release(leaf.as_str(), ROOT),
            Fault::Cut | Fault::Loss => sim.repair(leaf.as_str(), ROOT),
            Fault::CutAnswers => sim.repair_oneway(leaf.as_str(), ROOT),
            Fault::CutCalls => sim.repair_oneway(ROOT, leaf.as_str()),
            Fault::CutPeers => {
                self.others(cluster, |other| sim.repair(leaf.as_str(), other));
            }
            Fault::Lag(_) => {
                let most = cluster.schedule.max_latency;
                sim.set_link_max_message_latency(leaf.as_str(), ROOT, most);
            }
            Fault::Slow(_) => cluster.conduct(self.leaf, |conduct| conduct.slow_ms = 0),
            Fault::Stuck => cluster.conduct(self.leaf, |conduct| conduct.is_stuck = false),
            Fault::Refuse => cluster.conduct(self.leaf, |conduct| conduct.is_refusing = false),
        }
    }

    /// Kills the process. Its connections are closed in an order that depends on numbers which the
    /// runtime gives to tasks in the whole test process, so all ends of them take the same time.
    fn crash(&self, sim: &mut Sim<'_>, cluster: &Cluster) {
        let leaf = host(self.leaf);
        self.take_at_most(sim, cluster, Duration::ZERO);
        sim.crash(leaf.as_str());
        self.take_at_most(sim, cluster, cluster.schedule.max_latency);
    }

    /// Sets the longest time of messages from and to the leaf.
    fn take_at_most(&self, sim: &Sim<'_>, cluster: &Cluster, most: Duration) {
        let leaf = host(self.leaf);
        let set = |other: &str| {
            sim.set_link_latency(leaf.as_str(), other, Duration::ZERO);
            sim.set_link_max_message_latency(leaf.as_str(), other, most);
        };
        set(ROOT);
        self.others(cluster, set);
    }

    fn others(&self, cluster: &Cluster, mut each: impl FnMut(&str)) {
        let others = (0..cluster.schedule.num_leaves).filter(|other| *other != self.leaf);
        others.for_each(|other| each(&host(other)));
    }
}
