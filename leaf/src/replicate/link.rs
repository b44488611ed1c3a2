//! What a replica knows of its primary: when it last heard of it, and why it does not follow it.
//!
//! Does: remembers both, and says what is wrong. Does not: follow. Called by: [`crate::replicate::replica`], and whoever answers
//! from a copy or describes it. Read first: [`Link`].

use std::time::{Duration, Instant};

use gleaner_model::ShardKey;
use parking_lot::Mutex;

/// Longest silence of a primary that is not worth a word: half as long again as an answer takes to come while
/// nothing is written.
pub(crate) const SILENT_AFTER: Duration = Duration::from_secs(15);

/// The link of one replica to its primary.
#[derive(Debug)]
pub(crate) struct Link {
    shard: ShardKey,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// When the primary was last heard of.
    heard: Instant,
    /// Its silence since then was reported.
    is_reported: bool,
    /// Why the replica serves what it has without following.
    apart: Option<String>,
}

impl Link {
    /// Returns the link of a replica of `shard` that heard of its primary just now.
    pub(crate) fn new(shard: ShardKey) -> Self {
        let state = State {
            heard: Instant::now(),
            is_reported: false,
            apart: None,
        };
        Self {
            shard,
            state: Mutex::new(state),
        }
    }

    /// Notes that the primary was heard of at `now`.
    pub(crate) fn hear(&self, now: Instant) {
        let mut state = self.state.lock();
        state.heard = now;
        if std::mem::take(&mut state.is_reported) {
            tracing::info!(shard = %self.shard, "primary is heard of again");
        }
    }

    /// Logs that the primary has not been heard of for long, once each time; `reason` is why it could not be asked.
    pub(crate) fn report_silence(&self, reason: &str) {
        let mut state = self.state.lock();
        let Some(silent) = state.silent_for() else {
            return;
        };
        if !std::mem::replace(&mut state.is_reported, true) {
            let silent_s = silent.as_secs();
            tracing::warn!(shard = %self.shard, silent_s, reason, "primary is not heard of");
        }
    }

    /// Notes why the replica does not follow its primary and goes on as it is.
    pub(crate) fn part(&self, reason: String) {
        let mut state = self.state.lock();
        if state.apart.as_ref() != Some(&reason) {
            tracing::warn!(shard = %self.shard, reason, "replica serves what it has");
            state.apart = Some(reason);
        }
    }

    /// Notes that the replica follows its primary.
    pub(crate) fn rejoin(&self) {
        if self.state.lock().apart.take().is_some() {
            tracing::info!(shard = %self.shard, "replica follows its primary again");
        }
    }

    /// Returns whether the replica may lack acknowledged writes.
    pub(crate) fn is_cut_off(&self) -> bool {
        let state = self.state.lock();
        state.apart.is_some() || state.silent_for().is_some()
    }

    /// Returns why what the replica serves may be old.
    pub(crate) fn cut_off(&self) -> Option<String> {
        let state = self.state.lock();
        let silence = || {
            let silent_s = state.silent_for()?.as_secs();
            Some(format!(
                "its primary has not been heard of for {silent_s} s"
            ))
        };
        state.apart.clone().or_else(silence)
    }
}

impl State {
    /// Returns for how long the primary has not been heard of, once that is long.
    fn silent_for(&self) -> Option<Duration> {
        let silent = self.heard.elapsed();
        (silent >= SILENT_AFTER).then_some(silent)
    }
}
