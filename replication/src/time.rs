//! Time as the machines see it: a value that comes in with each event. They read no clock.

use std::time::Duration;

/// A moment on this process's monotonic clock: the time since an origin that the driver chose once.
///
/// Moments of two processes cannot be compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub Duration);

impl Moment {
    /// Returns the moment that is `span` later; the greatest there is where that is beyond it.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span))
    }

    /// Returns whether at least `span` has passed from `earlier` to this moment.
    pub fn is_past(self, earlier: Self, span: Duration) -> bool {
        self >= earlier.after(span)
    }
}
