//! Which traces are recorded, and the queue of their spans.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use gleaner_model::metric;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::span::FinishedSpan;

/// Spans that wait to be exported, at most; those beyond are dropped and counted.
const MAX_WAITING_SPANS: usize = 8_192;

/// Traces beyond the share that are recorded in a second because their callers ask for it. Each is some ten spans, and
/// anybody may ask.
const MAX_ASKED: u32 = 100;

static RECORDER: OnceLock<Recorder> = OnceLock::new();

/// What takes finished spans.
struct Recorder {
    /// Traces are recorded whose lower half is below this.
    below: u64,
    asked: Mutex<Asked>,
    spans: mpsc::Sender<FinishedSpan>,
}

/// What callers may still ask for within a second.
struct Asked {
    since: Instant,
    left: u32,
}

impl Asked {
    fn new(now: Instant) -> Self {
        Self {
            since: now,
            left: MAX_ASKED,
        }
    }

    /// May one more trace be recorded?
    fn take(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.since) >= Duration::from_secs(1) {
            *self = Self::new(now);
        }
        let is_left = self.left > 0;
        self.left -= u32::from(is_left);
        is_left
    }
}

/// Has this process record traces from now on: `share` of them, 0 to 1, and of the others [`MAX_ASKED`] a second whose callers
/// record them. Returns where the spans come, and `None` where it does so already.
pub fn record_spans(share: f64) -> Option<mpsc::Receiver<FinishedSpan>> {
    let (spans, waiting) = mpsc::channel(MAX_WAITING_SPANS);
    let recorder = Recorder {
        below: bound(share),
        asked: Mutex::new(Asked::new(Instant::now())),
        spans,
    };
    RECORDER.set(recorder).is_ok().then_some(waiting)
}

/// Returns below which numbers a `share` of all lies.
fn bound(share: f64) -> u64 {
    // A cast of a float ends at the bounds of the type.
    (share * u64::MAX as f64) as u64
}

/// Is a trace recorded that its caller records, or not?
pub(crate) fn is_recorded(trace_id: u128, is_asked_for: bool) -> bool {
    match RECORDER.get() {
        // What comes behind may record it.
        None => is_asked_for,
        Some(recorder) => {
            let is_in_share = (trace_id as u64) < recorder.below;
            is_in_share || (is_asked_for && recorder.asked.lock().take(Instant::now()))
        }
    }
}

/// Does this process record traces at all?
pub(crate) fn is_recording() -> bool {
    RECORDER.get().is_some()
}

/// Queues a span; it never waits.
pub(crate) fn record(span: FinishedSpan) {
    let Some(recorder) = RECORDER.get() else {
        return;
    };
    if recorder.spans.try_send(span).is_err() {
        metrics::counter!(metric::SPANS_DROPPED.name, "reason" => "queue").increment(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_that_part_of_all_traces() {
        assert_eq!(bound(0.0), 0);
        assert_eq!(bound(1.0), u64::MAX);
        let half = bound(0.5);
        let num_within = (0..10_000).filter(|_| rand::random::<u64>() < half).count();
        assert!((4_500..5_500).contains(&num_within), "{num_within}");
    }

    #[test]
    fn callers_are_granted_so_many_traces_a_second() {
        let begun = Instant::now();
        let mut asked = Asked::new(begun);
        let mut num_granted = |now| (0..2 * MAX_ASKED).filter(|_| asked.take(now)).count() as u32;
        assert_eq!(num_granted(begun), MAX_ASKED);
        assert_eq!(num_granted(begun + Duration::from_millis(999)), 0);
        assert_eq!(num_granted(begun + Duration::from_secs(1)), MAX_ASKED);
    }
}
