//! Which traces are recorded, and the queue of their spans.

use std::sync::OnceLock;

use gleaner_model::metric;
use tokio::sync::mpsc;

use crate::span::FinishedSpan;

/// Spans that wait to be exported, at most; those beyond are dropped and counted.
const MAX_WAITING_SPANS: usize = 8_192;

static RECORDER: OnceLock<Recorder> = OnceLock::new();

/// What takes finished spans.
struct Recorder {
    /// Traces are recorded whose lower half is below this.
    below: u64,
    spans: mpsc::Sender<FinishedSpan>,
}

/// Has this process record traces from now on: `share` of those whose callers do not record them, 0 to 1, and all whose
/// callers do. Returns where the spans come, and `None` where it does so already.
pub fn record_spans(share: f64) -> Option<mpsc::Receiver<FinishedSpan>> {
    let (spans, waiting) = mpsc::channel(MAX_WAITING_SPANS);
    let recorder = Recorder {
        below: bound(share),
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
        Some(recorder) => is_asked_for || (trace_id as u64) < recorder.below,
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
}
