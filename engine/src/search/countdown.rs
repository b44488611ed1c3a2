//! When an evaluation that passes postings looks at the clock.

/// Postings passed between two looks at the clock.
const POSTINGS_PER_CHECK: u32 = 4_096;

/// The postings left until the next look at the clock.
pub(super) struct Countdown(u32);

impl Countdown {
    pub(super) fn new() -> Self {
        Self(POSTINGS_PER_CHECK)
    }

    /// Returns whether the clock is to be looked at, now that postings were decoded or skipped; then it begins anew.
    #[inline]
    pub(super) fn ends_with(&mut self, num_postings: u32) -> bool {
        let ends = num_postings > self.0;
        self.0 = if ends {
            POSTINGS_PER_CHECK
        } else {
            self.0 - num_postings
        };
        ends
    }
}
