//! Shards that nobody searches are not refreshed: what was written shows with the next search.
//!
//! Does: remembers when a copy was last read, and whether refreshes were left out since. Does not:
//! refresh. Called by: the refresh loop, and whoever takes a view for a reader ([`crate::refresh`]). As
//! Elasticsearch's *search idle* shards (`index.search.idle.after`).

use std::time::{Duration, Instant};

use gleaner_model::IndexSettings;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// Whether the refreshes of one copy rest.
#[derive(Debug)]
pub(crate) struct Resting {
    state: Mutex<State>,
    ended: Notify,
}

#[derive(Debug)]
struct State {
    /// When somebody last asked for what searches see.
    read: Instant,
    /// A refresh was left out, and none was made since.
    is_resting: bool,
}

impl Resting {
    /// Returns a copy that was read just now.
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                read: Instant::now(),
                is_resting: false,
            }),
            ended: Notify::new(),
        }
    }

    /// Notes that the copy is read; returns whether it must be refreshed for that.
    pub(crate) fn read(&self) -> bool {
        let mut state = self.state.lock();
        state.read = Instant::now();
        state.is_resting
    }

    /// Returns whether a refresh that is due may be left out, and remembers it.
    pub(crate) fn rests(&self, settings: &IndexSettings) -> bool {
        let after = Duration::from_millis(settings.search_idle_after_ms);
        let mut state = self.state.lock();
        state.is_resting = !settings.has_own_refresh_interval() && state.read.elapsed() >= after;
        state.is_resting
    }

    /// Notes that a refresh was made, or could not be.
    pub(crate) fn end(&self) {
        self.state.lock().is_resting = false;
        self.ended.notify_waiters();
    }

    /// Waits for the next end of a rest after this call.
    pub(crate) fn ended(&self) -> Notified<'_> {
        self.ended.notified()
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
        let resting = Resting::new();
        assert!(!resting.rests(&settings(60_000)), "it was read just now");
        assert!(!resting.read(), "nothing was left out");
        assert!(resting.rests(&settings(0)));
        assert!(resting.read() && resting.read(), "each reader waits");
        resting.end();
        assert!(!resting.read());
    }

    #[test]
    fn a_declared_interval_is_kept() {
        let mut settings = settings(0);
        let declared = &mut settings.declared;
        declared.insert("index.refresh_interval".into(), json!("1s"));
        assert!(!Resting::new().rests(&settings));
    }
}
