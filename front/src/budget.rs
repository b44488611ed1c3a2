//! How many requests may be sent twice: a share of all, so that a backend in trouble is not asked twice as much.

use parking_lot::Mutex;

/// Share of the requests that may be sent again.
const SHARE: f64 = 0.1;

/// How many may be at once, after a time without any.
const BURST: f64 = 20.0;

/// What is left for retries.
#[derive(Debug)]
pub(crate) struct Budget(Mutex<f64>);

impl Default for Budget {
    fn default() -> Self {
        Self(Mutex::new(BURST))
    }
}

impl Budget {
    /// Notes a request.
    pub(crate) fn note_request(&self) {
        let mut left = self.0.lock();
        *left = (*left + SHARE).min(BURST);
    }

    /// Takes one retry, where there is one left.
    pub(crate) fn take(&self) -> bool {
        let mut left = self.0.lock();
        let has_one = *left >= 1.0;
        if has_one {
            *left -= 1.0;
        }
        has_one
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_a_burst_and_then_a_share() {
        let budget = Budget::default();
        let taken = (0..100).filter(|_| budget.take()).count();
        assert_eq!(taken, 20);
        let mut taken = 0;
        for _ in 0..1_000 {
            budget.note_request();
            taken += usize::from(budget.take());
        }
        assert!((99..=101).contains(&taken), "{taken}");
    }
}
