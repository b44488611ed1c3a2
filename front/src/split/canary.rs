//! When a way that is tried is left: two sequential tests of one kind.
//!
//! Each looks at the requests of which something is true (they *failed*; they were *slow*) and asks whose they were. If both
//! ways are alike such a request is the other way's as often as any request is: its share of the requests. If the other
//! way is worse by [`MARGINS`] it is so more often, which the main way's own rate tells. Wald's sequential probability ratio
//! (*Sequential Tests of Statistical Hypotheses*, 1945) of the two is summed up, request by request. Under the first
//! hypothesis it is a martingale whatever the rate is, so it passes `1/α` with a probability of at most α however long one
//! looks (Ville, 1939).
//!
//! Below the lower threshold the way has passed, and the test begins anew with a smaller α: those of all rounds together
//! are [`ALPHA`]. Nothing here raises a share.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::Instant;

/// How much worse the other way is, if it is: two points of a hundred or five. The mean of both ratios counts, so that what is
/// much worse is found as soon as by a test for it alone, nearly.
const MARGINS: [f64; 2] = [0.02, 0.05];

/// Largest probability to leave a way that is not worse, both tests and all their rounds together.
const ALPHA: f64 = 0.01;

/// Probability to pass a way that is worse by [`MARGINS`], in one round.
const BETA: f64 = 0.05;

/// Requests of each way before anything is concluded.
const LEAST: u64 = 50;

/// How long times of the main way are gathered for one bound of *slow*: its 95th percentile.
const WINDOW: Duration = Duration::from_secs(60);

/// Times of the main way that a bound takes at least.
const LEAST_TIMES: u64 = 200;

/// The two ways under a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arm {
    Main,
    Other,
}

/// What is known of a request that has been answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts {
    pub(super) has_failed: bool,
    pub(super) took: Duration,
}

/// What a test counts requests by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Symptom {
    Failed,
    Slow,
}

impl Symptom {
    /// Returns the name that people see.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Slow => "slow",
        }
    }
}

/// Why a way was left.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Stop {
    pub(super) test: Symptom,
    /// The sum when it passed the threshold.
    pub(super) log_likelihood_ratio: f64,
    pub(super) threshold: f64,
    /// The share of the main way's requests of which it is true, and of the other's.
    pub(super) main_rate: f64,
    pub(super) other_rate: f64,
    pub(super) main_requests: u64,
    pub(super) other_requests: u64,
}

/// What watches a way.
#[derive(Debug)]
pub(super) struct Canary {
    failed: Test,
    slow: Test,
    bound: SlowBound,
    stop: Option<Stop>,
}

impl Default for Canary {
    fn default() -> Self {
        Self {
            failed: Test::new(Symptom::Failed),
            slow: Test::new(Symptom::Slow),
            bound: SlowBound::default(),
            stop: None,
        }
    }
}

impl Canary {
    /// Returns one that was stopped before.
    pub(super) fn stopped(stop: Stop) -> Self {
        Self {
            stop: Some(stop),
            ..Self::default()
        }
    }

    /// Notes a request; returns why the way is left, when this one decided it.
    pub(super) fn note(&mut self, arm: Arm, facts: Facts, now: Instant) -> Option<Stop> {
        if self.stop.is_some() {
            return None;
        }
        let bound = self.bound.current(now);
        if arm == Arm::Main {
            self.bound.note(facts.took);
        }
        let mut stop = self.failed.note(arm, facts.has_failed);
        if let Some(bound) = bound {
            stop = stop.or(self.slow.note(arm, facts.took > bound));
        }
        self.stop = stop;
        stop
    }

    /// Returns why the way was left, where it was.
    pub(super) fn stop(&self) -> Option<Stop> {
        self.stop
    }

    /// Returns what is known, for people and programs.
    pub(super) fn shown(&self) -> Value {
        json!({
            "stopped": self.stop,
            "tests": [self.failed.shown(), self.slow.shown()],
            "margins": MARGINS,
            "alpha": ALPHA,
            "beta": BETA,
        })
    }
}

/// Requests of one way, and of how many of them it is true.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    requests: u64,
    hits: u64,
}

impl Counts {
    fn rate(self) -> f64 {
        self.hits as f64 / self.requests.max(1) as f64
    }
}

/// One test.
#[derive(Debug)]
struct Test {
    symptom: Symptom,
    main: Counts,
    other: Counts,
    /// One for each margin.
    log_ratios: [f64; MARGINS.len()],
    round: u32,
}

impl Test {
    fn new(symptom: Symptom) -> Self {
        Self {
            symptom,
            main: Counts::default(),
            other: Counts::default(),
            log_ratios: [0.0; MARGINS.len()],
            round: 1,
        }
    }

    fn note(&mut self, arm: Arm, is_hit: bool) -> Option<Stop> {
        let stop = is_hit.then(|| self.weigh(arm)).flatten();
        let counts = match arm {
            Arm::Main => &mut self.main,
            Arm::Other => &mut self.other,
        };
        counts.requests += 1;
        counts.hits += u64::from(is_hit);
        stop
    }

    /// Weighs a request of which it is true, by what was known before it.
    fn weigh(&mut self, arm: Arm) -> Option<Stop> {
        let (main, other) = (self.main.requests, self.other.requests);
        if main < LEAST || other < LEAST {
            return None;
        }
        let (main, other) = (main as f64, other as f64);
        let rate = (self.main.hits as f64 + 0.5) / (main + 1.0);
        let alike = other / (other + main);
        for (log_ratio, margin) in self.log_ratios.iter_mut().zip(MARGINS) {
            let worse = other * (rate + margin) / (other * (rate + margin) + main * rate);
            *log_ratio += match arm {
                Arm::Other => (worse / alike).ln(),
                Arm::Main => ((1.0 - worse) / (1.0 - alike)).ln(),
            };
        }
        let log_ratio = self.log_ratio();
        let alpha = self.alpha();
        let threshold = (1.0 / alpha).ln();
        if log_ratio >= threshold {
            return Some(Stop {
                test: self.symptom,
                log_likelihood_ratio: log_ratio,
                threshold,
                main_rate: self.main.rate(),
                other_rate: self.other.rate(),
                main_requests: self.main.requests,
                other_requests: self.other.requests,
            });
        }
        if log_ratio <= (BETA / (1.0 - alpha)).ln() {
            self.log_ratios = [0.0; MARGINS.len()];
            self.round = self.round.saturating_add(1);
        }
        None
    }

    /// Returns the logarithm of the mean of the ratios, of which each is a martingale, and so is that.
    fn log_ratio(&self) -> f64 {
        let largest = self.log_ratios.iter().copied().fold(f64::MIN, f64::max);
        let sum: f64 = self
            .log_ratios
            .iter()
            .map(|ratio| (ratio - largest).exp())
            .sum();
        largest + (sum / MARGINS.len() as f64).ln()
    }

    /// Returns the probability that this round may err with: half of all is each test's, and 6/π²k² of that the k-th
    /// round's.
    fn alpha(&self) -> f64 {
        let round = f64::from(self.round);
        ALPHA / 2.0 * 6.0 / (std::f64::consts::PI.powi(2) * round * round)
    }

    fn shown(&self) -> Value {
        json!({
            "test": self.symptom,
            "log_likelihood_ratio": self.log_ratio(),
            "threshold": (1.0 / self.alpha()).ln(),
            "round": self.round,
            "main": {"requests": self.main.requests, "rate": self.main.rate()},
            "other": {"requests": self.other.requests, "rate": self.other.rate()},
        })
    }
}

/// From which time on a request is slow: the main way's 95th percentile of the window before.
#[derive(Debug)]
struct SlowBound {
    begun: Option<Instant>,
    times: Histogram<u64>,
    bound: Option<Duration>,
}

impl Default for SlowBound {
    fn default() -> Self {
        Self {
            begun: None,
            times: times(),
            bound: None,
        }
    }
}

/// Returns a histogram of microseconds, up to an hour, to two digits.
pub(super) fn times() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 3_600_000_000, 2).expect("these are bounds")
}

impl SlowBound {
    fn current(&mut self, now: Instant) -> Option<Duration> {
        let begun = *self.begun.get_or_insert(now);
        if now.duration_since(begun) >= WINDOW {
            let is_enough = self.times.len() >= LEAST_TIMES;
            let slow = self.times.value_at_quantile(0.95);
            self.bound = is_enough.then(|| Duration::from_micros(slow));
            self.times.reset();
            self.begun = Some(now);
        }
        self.bound
    }

    fn note(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.times.saturating_record(micros.max(1));
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng as _, SeedableRng as _};

    use super::*;

    /// How requests of one way go.
    #[derive(Clone, Copy)]
    struct Ways {
        failing: f64,
        factor: f64,
    }

    const WELL: Ways = Ways {
        failing: 0.01,
        factor: 1.0,
    };

    /// Runs a canary with a tenth of the requests, 20 a millisecond apart; returns after how many of its own it stopped.
    fn run(seed: u64, main: Ways, other: Ways, num_requests: u64) -> Option<u64> {
        let mut random = StdRng::seed_from_u64(seed);
        let (mut canary, start) = (Canary::default(), Instant::now());
        let mut num_other = 0;
        for n in 0..num_requests {
            let arm = if random.random_bool(0.1) {
                Arm::Other
            } else {
                Arm::Main
            };
            let way = if arm == Arm::Other { other } else { main };
            num_other += u64::from(arm == Arm::Other);
            // Most take some 10 ms, some ten times as long.
            let tail: f64 = random.random();
            let facts = Facts {
                has_failed: random.random_bool(way.failing),
                took: Duration::from_secs_f64(0.01 * way.factor / (1.01 - tail).sqrt()),
            };
            let now = start + Duration::from_millis(20 * n);
            if canary.note(arm, facts, now).is_some() {
                return Some(num_other);
            }
        }
        None
    }

    #[test]
    fn logs_and_files_name_a_symptom_alike() {
        for symptom in [Symptom::Failed, Symptom::Slow] {
            let written = serde_json::to_value(symptom).expect("a symptom");
            assert_eq!(written, symptom.name());
        }
    }

    #[tokio::test]
    async fn of_1_000_canaries_that_are_as_good_few_are_stopped() {
        for failing in [0.0, 0.01, 0.2] {
            let well = Ways { failing, ..WELL };
            let stopped = (0..1_000).filter(|seed| run(*seed, well, well, 6_000).is_some());
            let num_stopped = stopped.count();
            assert!(num_stopped <= 15, "{num_stopped} of 1,000 at {failing}");
        }
    }

    #[tokio::test]
    async fn one_that_fails_more_is_stopped_soon() {
        for failing in [0.0, 0.01, 0.05] {
            let main = Ways { failing, ..WELL };
            let worse = Ways {
                failing: failing + 0.05,
                ..WELL
            };
            let runs = (0..201).map(|seed| run(seed, main, worse, 100_000).unwrap_or(u64::MAX));
            let mut runs: Vec<u64> = runs.collect();
            runs.sort_unstable();
            assert!(
                runs[100] <= 400,
                "{} of its requests at the median, at {failing}",
                runs[100]
            );
            assert!(runs[200] < u64::MAX, "each is stopped");
        }
    }

    #[tokio::test]
    async fn one_that_is_slower_is_stopped() {
        let slower = Ways {
            factor: 2.0,
            ..WELL
        };
        let stopped = (0..50).filter(|seed| run(*seed, WELL, slower, 50_000).is_some());
        assert_eq!(stopped.count(), 50);
        let faster = Ways {
            factor: 0.5,
            failing: 0.0,
        };
        assert_eq!(run(1, WELL, faster, 50_000), None);
    }

    #[tokio::test]
    async fn an_outage_of_both_ways_stops_nobody() {
        let mut random = StdRng::seed_from_u64(7);
        let mut stopped = 0;
        for _ in 0..200 {
            let mut canary = Canary::default();
            let start = Instant::now();
            for n in 0..10_000_u64 {
                let is_out = (4_000..4_500).contains(&n);
                let facts = Facts {
                    has_failed: random.random_bool(if is_out { 0.9 } else { 0.001 }),
                    took: Duration::from_millis(10),
                };
                let arm = if random.random_bool(0.1) {
                    Arm::Other
                } else {
                    Arm::Main
                };
                canary.note(arm, facts, start);
            }
            stopped += u32::from(canary.stop().is_some());
        }
        assert!(stopped <= 3, "{stopped} of 200");
    }
}
