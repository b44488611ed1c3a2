//! Leaving out what keeps failing, and trying it again by single requests.
//!
//! ```text
//! fit ── strikes in a row reach the limit ──▶ out for a pause
//! out ── the pause is over ──▶ due: the next request that would choose it is let through, alone
//! due ── it answers ──▶ fit            due ── it fails ──▶ out, the pause twice as long
//! ```
//!
//! As Envoy's outlier detection (envoyproxy.io, *Outlier detection*), with the exponential pause of
//! its `base_ejection_time` and a probe in place of a full return.

use std::time::Duration;

use tokio::time::Instant;

/// When something is left out, and for how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    /// Failures in a row that lead to it, ≥ 1.
    pub(super) limit: u32,
    /// The first pause.
    pub(super) pause: Duration,
    /// The longest pause.
    pub(super) longest: Duration,
}

/// Leaves that do not answer: three in a row are no accident of one connection.
pub(super) const OF_NODE: Rule = Rule {
    limit: 3,
    pause: Duration::from_secs(1),
    longest: Duration::from_secs(30),
};

/// Copies whose leaf answers that it cannot serve them now: it knows.
pub(super) const OF_COPY: Rule = Rule {
    limit: 1,
    pause: Duration::from_millis(250),
    longest: Duration::from_secs(10),
};

/// Where something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EjectionState {
    /// Asked as any other.
    Fit,
    /// Asked last.
    Out,
    /// To be tried by one request.
    Due,
}

/// The failures of one leaf or one copy.
#[derive(Debug, Clone)]
pub(super) struct Ejection {
    rule: Rule,
    strikes: u32,
    out: Option<Pause>,
}

#[derive(Debug, Clone)]
struct Pause {
    until: Instant,
    length: Duration,
    /// Whether a request was let through since the pause ended.
    is_probed: bool,
}

impl Ejection {
    pub(super) fn new(rule: Rule) -> Self {
        Self {
            rule,
            strikes: 0,
            out: None,
        }
    }

    pub(super) fn standing(&self, now: Instant) -> EjectionState {
        match &self.out {
            None => EjectionState::Fit,
            Some(pause) if pause.until > now => EjectionState::Out,
            Some(_) => EjectionState::Due,
        }
    }

    /// Notes that a request was sent: one that is due is left out again until that one has ended, or
    /// for another pause if nothing is heard of it.
    pub(super) fn sent(&mut self, now: Instant) {
        if self.standing(now) == EjectionState::Due
            && let Some(pause) = &mut self.out
        {
            pause.until = now + pause.length;
            pause.is_probed = true;
        }
    }

    /// Notes a failure. Those of requests that were under way when it was left out change nothing.
    pub(super) fn strike(&mut self, now: Instant) {
        self.strikes += 1;
        let length = match &self.out {
            None if self.strikes < self.rule.limit => return,
            None => self.rule.pause,
            Some(pause) if pause.is_probed => (pause.length * 2).min(self.rule.longest),
            Some(_) => return,
        };
        self.out = Some(Pause {
            until: now + length,
            length,
            is_probed: false,
        });
    }

    /// Notes an answer; returns whether it had been left out.
    pub(super) fn answered(&mut self) -> bool {
        self.strikes = 0;
        self.out.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Rule = Rule {
        limit: 2,
        pause: Duration::from_secs(1),
        longest: Duration::from_secs(3),
    };

    fn after(now: Instant, ms: u64) -> Instant {
        now + Duration::from_millis(ms)
    }

    #[test]
    fn failures_in_a_row_lead_out_and_an_answer_between_them_does_not() {
        let (mut ejection, now) = (Ejection::new(RULE), Instant::now());
        ejection.strike(now);
        assert!(!ejection.answered());
        ejection.strike(now);
        assert_eq!(ejection.standing(now), EjectionState::Fit);
        ejection.strike(now);
        assert_eq!(ejection.standing(after(now, 999)), EjectionState::Out);
        assert_eq!(ejection.standing(after(now, 1_000)), EjectionState::Due);
    }

    #[test]
    fn one_request_is_let_through_and_its_failure_doubles_the_pause() {
        let (mut ejection, mut now) = (Ejection::new(RULE), Instant::now());
        ejection.strike(now);
        ejection.strike(now);
        // A second failure of the same moment is no failed probe.
        ejection.strike(now);
        for pause in [1_000, 2_000, 3_000, 3_000] {
            now = after(now, pause);
            assert_eq!(ejection.standing(now), EjectionState::Due);
            ejection.sent(now);
            assert_eq!(ejection.standing(now), EjectionState::Out, "one at a time");
            ejection.strike(now);
        }
        assert!(ejection.answered());
        assert_eq!(ejection.standing(now), EjectionState::Fit);
    }

    #[test]
    fn a_probe_that_nothing_is_heard_of_is_followed_by_another() {
        let (mut ejection, now) = (Ejection::new(RULE), Instant::now());
        ejection.strike(now);
        ejection.strike(now);
        let due = after(now, 1_000);
        ejection.sent(due);
        assert_eq!(ejection.standing(after(due, 1_000)), EjectionState::Due);
    }
}
