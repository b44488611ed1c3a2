//! The slow commands of a Redis server as lines of JSON on standard output, each once.
//!
//! Does: ask again and again, write what is new, remember in a file how far that came. Does not: read `SLOWLOG` itself
//! ([`SlowLog`] does). Called by `adapter redis`. Read [`SlowLines::follow`] first.

use std::fs;
use std::io::{ErrorKind, Write, stdout};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gleaner_ambassador::{News, SlowLog, SlowLogPosition};
use gleaner_machine::durable;
use serde_json::json;

/// The file that remembers the last slow command that was written.
#[derive(Debug)]
pub(super) struct SlowState {
    path: PathBuf,
    /// What the file says.
    position: Option<SlowLogPosition>,
}

impl SlowState {
    /// Reads the file; one that is not there is made with the first slow command.
    ///
    /// # Errors
    /// A folder that is not there, a file that cannot be read or is something else.
    pub(super) fn open(path: PathBuf) -> Result<Self> {
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        let folder = folder.unwrap_or_else(|| Path::new("."));
        ensure!(
            folder.is_dir(),
            "`--slowlog-state`: the folder `{}` is not there",
            folder.display()
        );
        let named = || format!("`--slowlog-state {}`", path.display());
        let position = match fs::read(&path) {
            Ok(text) => {
                let read = serde_json::from_slice(&text);
                let read = read.context("the file does not say how far a slow log was read");
                Some(read.with_context(named)?)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(named),
        };
        Ok(Self { path, position })
    }

    /// Replaces the file as a whole where the position has changed. The lines are out already: a fault is logged, and an
    /// adapter that starts again may repeat them.
    fn keep(&mut self, position: Option<&SlowLogPosition>) {
        let Some(position) = position.filter(|position| self.position.as_ref() != Some(*position))
        else {
            return;
        };
        let text = json!(position).to_string();
        match durable::replace(&self.path, text.as_bytes()) {
            Ok(()) => self.position = Some(position.clone()),
            Err(error) => tracing::error!(
                file = %self.path.display(),
                %error,
                "cannot remember how far the slow log was read"
            ),
        }
    }
}

/// Slow commands as they are written.
pub(super) struct SlowLines {
    log: SlowLog,
    /// The server, as the lines name it.
    server: String,
    state: Option<SlowState>,
}

impl SlowLines {
    /// Makes lines of what `log` finds, from where `state` has come to.
    pub(super) fn new(log: SlowLog, server: String, state: Option<SlowState>) -> Self {
        let position = state.as_ref().and_then(|state| state.position.clone());
        Self {
            log: log.after(position),
            server,
            state,
        }
    }

    /// Writes slow commands every `period`, until `stop` completes or standard output is closed. What is being written
    /// when `stop` completes is written and remembered first; a process that is killed in between repeats the lines of
    /// its last look.
    pub(super) async fn follow(mut self, period: Duration, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut failed = None;
        loop {
            let news = tokio::select! {
                news = self.log.news() => news,
                () = &mut stop => return,
            };
            match news {
                Ok(news) => {
                    failed = None;
                    if self.write(&news).is_err() {
                        return;
                    }
                    if let Some(state) = &mut self.state {
                        state.keep(self.log.position());
                    }
                }
                Err(error) => {
                    let why = error.to_string();
                    if failed.as_ref() != Some(&why) {
                        tracing::warn!(server = self.server, why, "slow commands are not known");
                    }
                    failed = Some(why);
                }
            }
            tokio::select! {
                () = tokio::time::sleep(period) => {}
                () = &mut stop => return,
            }
        }
    }

    fn write(&self, news: &News) -> std::io::Result<()> {
        if news.missed > 0 {
            tracing::warn!(
                missed = news.missed,
                "slow commands were dropped by the server before they were read"
            );
        }
        let mut out = stdout().lock();
        for entry in &news.entries {
            let time = chrono::DateTime::from_timestamp(entry.timestamp, 0);
            let line = json!({
                "@timestamp": time.map(|time| time.to_rfc3339()),
                "message": format!("{} took {} µs", entry.command, entry.duration_us),
                "log": {"level": "warn"},
                "event": {"module": "redis", "dataset": "redis.slowlog", "duration": entry.duration_us * 1_000},
                "redis": {"slowlog": entry, "run_id": news.run_id},
                "server": {"address": self.server},
            });
            writeln!(out, "{line}")?;
        }
        out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_found_again_and_another_file_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state");
        let mut state = SlowState::open(path.clone()).expect("none is there yet");
        assert_eq!(state.position, None);
        let position = SlowLogPosition {
            run_id: "a".to_owned(),
            last: 7,
        };
        state.keep(Some(&position));
        let again = SlowState::open(path.clone()).expect("it is there");
        assert_eq!(again.position, Some(position));
        fs::write(&path, "[1]").expect("written");
        let error = format!("{:#}", SlowState::open(path).expect_err("another file"));
        assert!(error.contains("--slowlog-state"), "{error}");
        let error = SlowState::open("/no/such/folder/state".into()).expect_err("no folder");
        assert!(error.to_string().contains("/no/such/folder"), "{error}");
    }
}
