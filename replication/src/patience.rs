//! How long a primary waits for something: for positions to be confirmed, and for slow copies.

use std::time::Duration;

use gleaner_model::SeqNo;

use crate::time::Moment;

/// How long confirmations may be slow before a copy is called slow.
const SLOW_FOR: Duration = Duration::from_secs(10);
/// Confirmations faster than this are never slow.
const NEVER_SLOW: Duration = Duration::from_millis(50);
/// How much slower than the median of the others is slow.
const SLOW_FACTOR: u32 = 10;

/// A position that is waited for, and since when. Looked at one position at a time: the next one is the
/// end at the moment when this one is reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Watermark {
    awaited: Option<Awaited>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Awaited {
    position: SeqNo,
    since: Moment,
}

/// How far something has come, and how far it should.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    pub(crate) reached: SeqNo,
    pub(crate) target: SeqNo,
}

impl Watermark {
    /// Takes the progress made. Returns how long the awaited position took when it is reached now.
    pub(crate) fn update(&mut self, progress: Progress, now: Moment) -> Option<Duration> {
        let reached = self
            .awaited
            .filter(|awaited| awaited.position <= progress.reached);
        if reached.is_some() {
            self.awaited = None;
        }
        if self.awaited.is_none() && progress.reached < progress.target {
            let (position, since) = (progress.target, now);
            self.awaited = Some(Awaited { position, since });
        }
        reached.map(|awaited| now.0.saturating_sub(awaited.since.0))
    }

    /// Returns whether a position has been awaited for longer than `patience`.
    pub(crate) fn is_late(&self, patience: Duration, now: Moment) -> bool {
        self.awaited
            .is_some_and(|awaited| now > awaited.since.after(patience))
    }
}

/// How fast a copy confirms, beside the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Pace {
    /// How long the last confirmation took.
    pub(crate) last: Option<Duration>,
    slow_since: Option<Moment>,
}

impl Pace {
    /// Takes how long a confirmation took, and the last ones of the others.
    pub(crate) fn confirmed(&mut self, took: Duration, others: &mut [Duration], now: Moment) {
        self.last = Some(took);
        let is_slow = median(others)
            .is_some_and(|median| took > NEVER_SLOW && took > median.saturating_mul(SLOW_FACTOR));
        self.slow_since = is_slow.then(|| self.slow_since.unwrap_or(now));
    }

    /// Returns whether the copy has been slow for 10 s.
    pub(crate) fn is_slow(&self, now: Moment) -> bool {
        self.slow_since
            .is_some_and(|since| now.is_past(since, SLOW_FOR))
    }
}

/// The upper median; `None` of nothing.
fn median(values: &mut [Duration]) -> Option<Duration> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}
