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

/// How long a rest goes on when the index comes to have no refresh interval.
const AFTER_REST: Duration = Duration::from_secs(1);

/// What the refresh loop of one copy waits for.
#[derive(Debug)]
pub(crate) struct RefreshSignals {
    rest: Mutex<Rest>,
    rest_ended: Notify,
    /// Somebody reads a copy that rests, or it may have to rest no longer.
    looked_at: Notify,
    /// The version map is full, or somebody reads after a rest.
    pub(crate) wanted: Notify,
    /// What the index says of refreshes, or of its copies, may have changed.
    settings_changed: Notify,
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
            looked_at: Notify::new(),
            wanted: Notify::new(),
            settings_changed: Notify::new(),
        }
    }

    /// Notes that the copy is read; returns whether it must be refreshed for that.
    pub(crate) fn read(&self) -> bool {
        let mut rest = self.rest.lock();
        rest.read = Instant::now();
        if rest.is_resting {
            self.looked_at.notify_one();
        }
        rest.is_resting
    }

    /// Waits until it is to be seen whether a refresh is due: for `interval`, which while the copy rests begins when
    /// somebody reads it. Without an interval that is only so after a rest. A copy that nobody reads costs no timer.
    pub(crate) async fn due(&self, interval: Option<Duration>) {
        match (interval, self.is_resting()) {
            (None, false) => std::future::pending().await,
            (None, true) | (Some(_), false) => {}
            (Some(_), true) => self.looked_at.notified().await,
        }
        tokio::time::sleep(interval.unwrap_or(AFTER_REST)).await;
    }

    /// Says that what the index says of refreshes, or of its copies, may have changed.
    pub(crate) fn note_settings(&self) {
        self.looked_at.notify_one();
        self.settings_changed.notify_one();
    }

    /// Waits for the next change that [`Self::note_settings`] says.
    pub(crate) fn settings_changed(&self) -> Notified<'_> {
        self.settings_changed.notified()
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

    #[tokio::test(start_paused = true)]
    async fn a_copy_that_rests_is_due_an_interval_after_it_was_read() {
        let resting = RefreshSignals::new();
        let interval = Some(Duration::from_secs(1));
        let never = async |due: &RefreshSignals, interval| {
            let day = Duration::from_secs(86_400);
            let waited = tokio::time::timeout(day, due.due(interval)).await;
            waited.is_err()
        };
        assert!(never(&resting, None).await);
        assert!(!never(&resting, interval).await);
        assert!(resting.rests(&settings(0)));
        assert!(never(&resting, interval).await);
        assert!(resting.read());
        assert!(!never(&resting, interval).await);
    }

    #[test]
    fn a_declared_interval_is_kept() {
        let mut settings = settings(0);
        let declared = &mut settings.declared;
        declared.insert("index.refresh_interval".into(), json!("1s"));
        assert!(!RefreshSignals::new().rests(&settings));
    }
}
