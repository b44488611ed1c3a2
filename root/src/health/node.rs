//! What is known of one leaf.

use std::collections::HashMap;
use std::time::Duration;

use gleaner_model::{IndexUuid, NodeId, ShardKey};
use gleaner_query::answer::LeafTimes;
use gleaner_shard_router::NodeHash;
use tokio::time::Instant;

use super::Phase;
use super::ejection::{self, Ejection, EjectionState};
use super::sketch::Sketch;

/// Weight of a new sample in a running mean: the last ten or so count.
const WEIGHT: f64 = 0.1;

/// Time constant by which the mean of a leaf that is not asked comes closer to the fastest one's, so
/// that it is asked again one day.
const FADING: f64 = 10.0;

/// How long a leaf that is new, or back, gets less than its share.
const SLOW_START: Duration = Duration::from_secs(10);

/// The share it begins with.
const COLDEST: f64 = 0.1;

/// Mean wait from which a leaf can count as queueing at all.
const WORTH_MENTION: f64 = 1e-3;

/// Pairs of index and phase whose times are kept per leaf, 160 bytes each; beyond it all are
/// forgotten, which costs a few calls that are hedged late.
const MAX_SKETCHES: usize = 1_024;

/// Copies that are out, kept per leaf; beyond it all are tried again.
const MAX_UNFIT: usize = 4_096;

/// A leaf as its calls show it.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) hash: NodeHash,
    /// Calls under way.
    pub(super) num_open: u32,
    /// Running mean of the time of query calls in seconds, and when it was last added to.
    mean: Option<(f64, Instant)>,
    /// Running means of the seconds that searches waited and ran there, as the leaf tells.
    queue: f64,
    evaluate: f64,
    /// Since when it has been warming up; `None` when it has settled.
    since: Option<Instant>,
    failures: Ejection,
    unfit: HashMap<ShardKey, Ejection>,
    sketches: HashMap<(IndexUuid, Phase), Sketch>,
}

impl Node {
    /// Returns a leaf of which nothing is known; one that joined `since` warms up.
    pub(super) fn new(name: &NodeId, since: Option<Instant>) -> Self {
        Self {
            hash: NodeHash::of(name),
            num_open: 0,
            mean: None,
            queue: 0.0,
            evaluate: 0.0,
            since,
            failures: Ejection::new(ejection::OF_NODE),
            unfit: HashMap::new(),
            sketches: HashMap::new(),
        }
    }

    /// Returns the mean time of its query calls, in seconds.
    pub(super) fn mean(&self) -> Option<f64> {
        self.mean.map(|(mean, _)| mean)
    }

    /// Returns how busy it is: the mean time of its calls × (those under way + 1). `fastest` is the
    /// least mean among the leaves that compete.
    pub(super) fn load(&self, fastest: f64, now: Instant) -> f64 {
        let mean = self.mean.map_or(fastest, |(mean, seen)| {
            let idle = now.saturating_duration_since(seen).as_secs_f64();
            fastest + (mean - fastest) * (-idle / FADING).exp()
        });
        mean * f64::from(self.num_open + 1)
    }

    /// Returns the share of its rank that it gets: 1 when it has settled.
    pub(super) fn warmth(&self, now: Instant) -> f64 {
        self.since.map_or(1.0, |since| {
            let age = now.saturating_duration_since(since).as_secs_f64();
            (age / SLOW_START.as_secs_f64()).clamp(COLDEST, 1.0)
        })
    }

    pub(super) fn is_silent(&self, now: Instant) -> bool {
        self.failures.standing(now) == EjectionState::Out
    }

    pub(super) fn is_out(&self, shard: ShardKey, now: Instant) -> bool {
        let is_unfit = || {
            let known = self.unfit.get(&shard);
            known.is_some_and(|known| known.standing(now) == EjectionState::Out)
        };
        self.is_silent(now) || is_unfit()
    }

    /// Notes that `shard` is about to be asked for there.
    pub(super) fn sent(&mut self, shard: ShardKey, now: Instant) {
        self.failures.sent(now);
        if let Some(known) = self.unfit.get_mut(&shard) {
            known.sent(now);
        }
    }

    /// Notes a call that was answered, whatever the answer.
    pub(super) fn answered(&mut self, now: Instant) {
        if self.failures.answered() {
            self.since = Some(now);
        }
    }

    /// Notes a call that found nobody, or was not answered in a time that others need.
    pub(super) fn strike(&mut self, now: Instant) {
        self.failures.strike(now);
    }

    /// Counts the time of a call. That of one given up counts for what it is: at least so long.
    pub(super) fn took(
        &mut self,
        (index, phase): (IndexUuid, Phase),
        took: Duration,
        now: Instant,
    ) {
        if phase == Phase::Query {
            let seconds = took.as_secs_f64();
            let mean = self.mean.map_or(seconds, |(mean, _)| mixed(mean, seconds));
            self.mean = Some((mean, now));
        }
        if self.sketches.len() >= MAX_SKETCHES && !self.sketches.contains_key(&(index, phase)) {
            self.sketches.clear();
        }
        self.sketches
            .entry((index, phase))
            .or_default()
            .record(took);
    }

    /// Counts what the leaf says of its own time.
    pub(super) fn told(&mut self, times: LeafTimes) {
        self.queue = mixed(self.queue, times.queue.as_secs_f64());
        self.evaluate = mixed(self.evaluate, times.evaluate.as_secs_f64());
    }

    /// Returns whether searches have lately waited there longer than they ran.
    pub(super) fn is_queueing(&self) -> bool {
        self.queue > WORTH_MENTION && self.queue > self.evaluate
    }

    /// Returns the time within which 95 of 100 calls are answered there, if enough were.
    pub(super) fn p95(&self, key: (IndexUuid, Phase)) -> Option<Duration> {
        self.sketches.get(&key)?.quantile(0.95)
    }

    /// Notes that it answered for `shard`.
    pub(super) fn serves(&mut self, shard: ShardKey) {
        if !self.unfit.is_empty() {
            self.unfit.remove(&shard);
        }
    }

    /// Notes that it said it cannot serve `shard` now.
    pub(super) fn fails(&mut self, shard: ShardKey, now: Instant) {
        if self.unfit.len() >= MAX_UNFIT {
            self.unfit.clear();
        }
        let known = self.unfit.entry(shard);
        let known = known.or_insert_with(|| Ejection::new(ejection::OF_COPY));
        known.strike(now);
    }
}

fn mixed(mean: f64, sample: f64) -> f64 {
    mean + WEIGHT * (sample - mean)
}
