//! From which time on searches and writes of an index are logged.
//!
//! Does: hold the thresholds. Does not: measure or log; `root::slow_log` does.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Which threshold an action has passed, the highest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlowLevel {
    /// That of `warn`.
    Warn,
    /// That of `info`.
    Info,
    /// That of `debug`.
    Debug,
    /// That of `trace`.
    Trace,
}

impl SlowLevel {
    /// All of them, the highest first.
    pub const ALL: [Self; 4] = [Self::Warn, Self::Info, Self::Debug, Self::Trace];

    /// Returns its name, as it ends the key of its setting.
    pub fn name(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// A threshold for each level, in milliseconds; `None` is none (`-1`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thresholds([Option<u64>; SlowLevel::ALL.len()]);

impl Thresholds {
    /// Sets the threshold of a level.
    pub fn set(&mut self, level: SlowLevel, threshold_ms: Option<u64>) {
        self.0[level as usize] = threshold_ms;
    }

    /// Returns the highest level whose threshold `took` has reached.
    pub fn passed_by(&self, took: Duration) -> Option<SlowLevel> {
        let is_passed = |level: &SlowLevel| {
            let threshold = self.0[*level as usize];
            threshold.is_some_and(|threshold| took >= Duration::from_millis(threshold))
        };
        SlowLevel::ALL.into_iter().find(is_passed)
    }
}

/// The slow log of an index (`index.search.slowlog.*`, `index.indexing.slowlog.*`); off by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlowLog {
    /// Time until the hits of a search are known.
    pub query: Thresholds,
    /// Time until the documents of its page are fetched, from then on.
    pub fetch: Thresholds,
    /// Time of what a request writes to one shard.
    pub index: Thresholds,
}

impl SlowLog {
    /// Returns whether nothing is ever logged.
    pub fn is_off(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_threshold_that_is_passed_counts() {
        let ms = Duration::from_millis;
        let mut thresholds = Thresholds::default();
        assert_eq!(thresholds.passed_by(ms(1 << 40)), None);
        thresholds.set(SlowLevel::Warn, Some(100));
        thresholds.set(SlowLevel::Debug, Some(10));
        let cases = [
            (9, None),
            (10, Some(SlowLevel::Debug)),
            (100, Some(SlowLevel::Warn)),
        ];
        for (took, level) in cases {
            assert_eq!(thresholds.passed_by(ms(took)), level, "{took} ms");
        }
        thresholds.set(SlowLevel::Warn, None);
        thresholds.set(SlowLevel::Trace, Some(0));
        assert_eq!(thresholds.passed_by(ms(100)), Some(SlowLevel::Debug));
        assert_eq!(thresholds.passed_by(ms(0)), Some(SlowLevel::Trace));
    }
}
