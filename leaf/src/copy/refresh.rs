//! When a copy is refreshed: the signals that its refresh loop hears, and rests while nobody reads.
//!
//! Does: remembers when a copy was last read, and whether refreshes were left out since. Does not:
//! refresh ([`crate::write::refresh`]). As Elasticsearch's *search idle* shards
//! (`index.search.idle.after`). Read first: [`RefreshSignals`].

use std::time::{Duration, Instant};

use gleaner_model::IndexSettings;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// What the refresh loop of one copy waits for.
#[derive(Debug)]
pub(crate) struct RefreshSignals {
    rest: Mutex<Rest>,
    rest_ended: Notify,
    /// The version map is full, or somebody reads after a rest.
    pub(crate) wanted: Notify,
    /// The index has another refresh interval.
    pub(crate) interval_changed: Notify,
}

#[derive(Debug)]
struct Rest {
    /// When somebody last asked for what searches see.
    read: Instant,
    /// A refresh was left out, and none was made since.
    is_resting: bool,
}

impl RefreshSignals {
    /// Returns those of a copy that was read just now.
    pub(crate) fn new() -> Self {
        Self {
            rest: Mutex::new(Rest {
                read: Instant::now(),
                is_resting: false,
            }),
            rest_ended: Notify::new(),
            wanted: Notify::new(),
            interval_changed: Notify::new(),
        }
    }

    /// Notes that the copy is read; returns whether it must be refreshed for that.
    pub(crate) fn read(&self) -> bool {
        let mut rest = self.rest.lock();
        rest.read = Instant::now();
        rest.is_resting
    }

    /// Returns whether a refresh was left out, and none was made since.
    pub(crate) fn is_resting(&self) -> bool {
        self.rest.lock().is_resting
    }

    /// Returns whether a refresh that is due may be left out, and remembers it.
    pub(crate) fn rests(&self, settings: &IndexSettings) -> bool {
        let after = Duration::from_millis(settings.search_idle_after_ms);
        let mut rest = self.rest.lock();
        rest.is_resting = !settings.has_own_refresh_interval() && rest.read.elapsed() >= after;
        rest.is_resting
    }

    /// Notes that a refresh was made, or could not be.
    pub(crate) fn end_rest(&self) {
        self.rest.lock().is_resting = false;
        self.rest_ended.notify_waiters();
    }

    /// Waits for the next end of a rest after this call.
    pub(crate) fn rest_ended(&self) -> Notified<'_> {
        self.rest_ended.notified()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(after_ms: u64) -> IndexSettings {
        IndexSettings {
            search_idle_after_ms: after_ms,
            ..IndexSettings::default()
        }
    }

    #[test]
    fn a_copy_rests_when_it_was_not_read_for_long() {
        let resting = RefreshSignals::new();
        assert!(!resting.rests(&settings(60_000)), "it was read just now");
        assert!(!resting.read(), "nothing was left out");
        assert!(resting.rests(&settings(0)));
        assert!(resting.read() && resting.read(), "each reader waits");
        resting.end_rest();
        assert!(!resting.read());
    }

    #[test]
    fn a_declared_interval_is_kept() {
        let mut settings = settings(0);
        let declared = &mut settings.declared;
        declared.insert("index.refresh_interval".into(), json!("1s"));
        assert!(!RefreshSignals::new().rests(&settings));
    }
}
