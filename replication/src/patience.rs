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
    awaited: Option<Target>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Target {
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
            self.awaited = Some(Target { position, since });
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Moment {
        Moment(Duration::from_millis(ms))
    }

    fn progress(reached: u64, target: u64) -> Progress {
        let (reached, target) = (SeqNo(reached), SeqNo(target));
        Progress { reached, target }
    }

    #[test]
    fn a_position_is_late_when_it_is_not_reached_in_time_however_much_follows() {
        let mut watermark = Watermark::default();
        let patience = Duration::from_millis(100);
        assert_eq!(watermark.update(progress(0, 5), at(0)), None);
        assert_eq!(
            watermark.update(progress(4, 90), at(50)),
            None,
            "5 is awaited"
        );
        assert!(!watermark.is_late(patience, at(100)));
        assert!(watermark.is_late(patience, at(101)));
        let took = watermark.update(progress(6, 90), at(120));
        assert_eq!(took, Some(Duration::from_millis(120)));
        assert!(
            !watermark.is_late(patience, at(220)),
            "90 is awaited from then on"
        );
        watermark.update(progress(90, 90), at(230));
        assert!(
            !watermark.is_late(Duration::ZERO, at(9_999)),
            "nothing is awaited"
        );
    }

    #[test]
    fn a_copy_is_slow_when_it_takes_ten_times_as_long_as_the_others_for_ten_seconds() {
        let millis = Duration::from_millis;
        let slow_at = |took: u64, others: &[u64], moments: &[u64]| {
            let mut pace = Pace::default();
            for ms in moments {
                let mut others: Vec<_> = others.iter().copied().map(millis).collect();
                pace.confirmed(millis(took), &mut others, at(*ms));
            }
            pace.is_slow(at(*moments.last().expect("a moment")))
        };
        assert!(slow_at(101, &[10, 10, 900], &[0, 5_000, 10_000]));
        assert!(!slow_at(101, &[10], &[0, 9_999]), "not for long enough");
        assert!(!slow_at(99, &[10], &[0, 10_000]), "not ten times as long");
        assert!(!slow_at(50, &[1], &[0, 10_000]), "50 ms are never slow");
        assert!(!slow_at(900, &[], &[0, 10_000]), "there are no others");
    }

    #[test]
    fn one_fast_confirmation_ends_slowness() {
        let mut pace = Pace::default();
        let mut others = [Duration::from_millis(1)];
        for (ms, took) in [(0, 400), (9_000, 400), (9_500, 2), (10_500, 400)] {
            pace.confirmed(Duration::from_millis(took), &mut others, at(ms));
        }
        assert!(!pace.is_slow(at(11_000)));
        assert!(pace.is_slow(at(20_500)));
    }
}
