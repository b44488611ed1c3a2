//! What is counted of a run.

use std::{collections::BTreeMap, time::Instant};

use super::{latency::Latencies, load::EndedRequest, request::Outcome};

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BenchEnd {
    /// Every request was sent and answered.
    Whole,
    /// Some requests failed or were dropped.
    SomeFailed,
    /// No request was answered.
    Unanswered,
    /// It was interrupted.
    Interrupted,
}

/// Everything that came of the requests past the warm-up.
pub(super) struct Tally {
    /// Different queries.
    pub(super) num_queries: usize,
    /// When the first request that counts was due.
    pub(super) measured_from: Instant,
    /// When the latest answer or failure came.
    pub(super) last_done: Instant,
    /// Requests that were begun, whatever became of them.
    pub(super) num_begun: u64,
    /// Requests that were due while too many were outstanding.
    pub(super) num_dropped: u64,
    pub(super) num_answered: u64,
    /// Answers that say they ran out of time.
    pub(super) num_timed_out: u64,
    /// Answers that lack shards.
    pub(super) num_partial: u64,
    /// Requests without an answer or refused, by kind.
    pub(super) errors: BTreeMap<String, u64>,
    /// Of answered requests, from when they were due.
    pub(super) from_intended: Latencies,
    /// Of answered requests, from when they were sent.
    pub(super) from_send: Latencies,
    /// How late requests were begun: the generator's own fault.
    pub(super) generator_delay: Latencies,
    /// The user stopped the run.
    pub(super) is_interrupted: bool,
}

impl Tally {
    /// Returns a tally of nothing yet.
    pub(super) fn new(num_queries: usize, measured_from: Instant) -> Self {
        Self {
            num_queries,
            measured_from,
            last_done: measured_from,
            num_begun: 0,
            num_dropped: 0,
            num_answered: 0,
            num_timed_out: 0,
            num_partial: 0,
            errors: BTreeMap::new(),
            from_intended: Latencies::new(),
            from_send: Latencies::new(),
            generator_delay: Latencies::new(),
            is_interrupted: false,
        }
    }

    /// Counts a request that has ended.
    pub(super) fn add(&mut self, ending: &EndedRequest) {
        self.last_done = self.last_done.max(ending.done);
        let delay = ending.begun.saturating_duration_since(ending.intended);
        self.generator_delay.add(delay);
        match &ending.outcome {
            Outcome::Answered {
                timed_out,
                is_partial,
            } => {
                self.num_answered += 1;
                self.num_timed_out += u64::from(*timed_out);
                self.num_partial += u64::from(*is_partial);
                self.from_intended.add(ending.done - ending.intended);
                self.from_send.add(ending.done - ending.sent);
            }
            Outcome::Failed(kind) => *self.errors.entry(kind.clone()).or_default() += 1,
        }
    }

    /// Returns how many requests failed.
    pub(super) fn num_failed(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Returns how many requests were under way when the run was stopped.
    pub(super) fn num_unfinished(&self) -> u64 {
        self.num_begun
            .saturating_sub(self.num_answered + self.num_failed())
    }

    /// Returns the curves of the picture with their names.
    pub(super) fn curves(&self) -> [(&'static str, &Latencies); 2] {
        [
            ("from intended send", &self.from_intended),
            ("from actual send", &self.from_send),
        ]
    }

    /// Returns how the run ended.
    pub(super) fn end(&self) -> BenchEnd {
        match self {
            _ if self.is_interrupted => BenchEnd::Interrupted,
            _ if self.num_answered == 0 => BenchEnd::Unanswered,
            _ if self.num_failed() + self.num_dropped > 0 => BenchEnd::SomeFailed,
            _ => BenchEnd::Whole,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn ending(intended: Instant, outcome: Outcome) -> EndedRequest {
        EndedRequest {
            intended,
            begun: intended + Duration::from_millis(1),
            sent: intended + Duration::from_millis(300),
            done: intended + Duration::from_millis(310),
            outcome,
        }
    }

    #[test]
    fn waiting_for_a_connection_counts_from_the_intended_time_only() {
        let start = Instant::now();
        let mut tally = Tally::new(1, start);
        let outcome = Outcome::Answered {
            timed_out: true,
            is_partial: true,
        };
        tally.add(&ending(start, outcome));
        let p50 = |latencies: &Latencies| latencies.at_quantile(0.5).round();
        let seen = [
            &tally.from_intended,
            &tally.from_send,
            &tally.generator_delay,
        ]
        .map(p50);
        assert_eq!(seen, [310.0, 10.0, 1.0]);
        assert_eq!(
            (tally.num_answered, tally.num_timed_out, tally.num_partial),
            (1, 1, 1)
        );
        assert_eq!(tally.end(), BenchEnd::Whole);
    }

    #[test]
    fn failures_are_counted_by_kind_and_decide_the_end() {
        let start = Instant::now();
        let mut tally = Tally::new(1, start);
        for kind in ["http_429", "timeout", "http_429"] {
            tally.add(&ending(start, Outcome::Failed(kind.to_owned())));
        }
        tally.num_begun = 5;
        assert_eq!((tally.num_failed(), tally.num_unfinished()), (3, 2));
        assert_eq!(tally.errors["http_429"], 2);
        assert_eq!(tally.from_intended.number(), 0);
        assert_eq!(tally.end(), BenchEnd::Unanswered);
        tally.num_answered = 1;
        assert_eq!(tally.end(), BenchEnd::SomeFailed);
        tally.is_interrupted = true;
        assert_eq!(tally.end(), BenchEnd::Interrupted);
    }
}
