//! Ways that were left, kept in a file: a front that starts again sends nobody there either.
//!
//! Does: lock the file for this front (by `FILE.lock` beside it, which stays), read it, and replace it whole. Does not:
//! decide what is left (`canary` does), or touch a file that holds anything else. Called by [`super::Split`]. Read first:
//! [`StopFile`].

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use gleaner_machine::durable;
use gleaner_machine::lock::{self, Lock, LockError};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::canary::Stop;
use super::rules::Rule;

/// A rule whose way was left, as it was then, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Stopped {
    pub(super) rule: Rule,
    pub(super) stop: Stop,
}

/// The file: `{"stopped": [{"rule": …, "stop": …}]}`. There is none where no way was left.
#[derive(Debug)]
pub(super) struct StopFile {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Nothing is written without it.
    lock: Option<Lock>,
    /// What the file holds, where that is known.
    kept: Option<Vec<Stopped>>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    stopped: Vec<Stopped>,
}

/// The file that keeps which ways were left cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StopFileError {
    /// Another front has it.
    #[error(
        "`{}` keeps which ways another front (process {process}) has left: name each front with `--node-name`, or give \
         each a file of its own with `--rules-state`",
        .path.display()
    )]
    Held {
        /// Where it is.
        path: PathBuf,
        /// Number of the process, or `unknown`.
        process: String,
    },
    /// The file beside it cannot be written or locked.
    #[error(
        "cannot lock `{}.lock`: give `--rules-state` a file in a folder that the front may write to",
        .path.display()
    )]
    Unlocked {
        /// Where the file is that the lock is for.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It is there, and cannot be read or holds something else.
    #[error(
        "cannot read from `{}` which ways were left: give `--rules-state` another file",
        .path.display()
    )]
    Unread {
        /// Where it is.
        path: PathBuf,
        /// What the system says, or what is wrong with the content.
        #[source]
        source: io::Error,
    },
    /// It cannot be written.
    #[error("cannot write `{}`", .path.display())]
    Unwritten {
        /// Where it is.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

impl StopFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            state: Mutex::default(),
        }
    }

    /// Returns where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps other fronts from the file until this is dropped.
    ///
    /// # Errors
    /// Another front has it, or the lock cannot be written.
    pub(super) fn lock(&self) -> Result<(), StopFileError> {
        self.ensure_locked(&mut self.state.lock())
    }

    /// Takes it that nothing of this front is in it: it is left as it is until there is something to keep.
    pub(super) fn pass_over(&self) {
        self.state.lock().kept = Some(Vec::new());
    }

    /// Returns what it holds: nothing where there is no file.
    ///
    /// # Errors
    /// It cannot be read, or holds something else.
    pub(super) fn read(&self) -> Result<Vec<Stopped>, StopFileError> {
        let mut state = self.state.lock();
        let content = self.content().map_err(|source| StopFileError::Unread {
            path: self.path.clone(),
            source,
        })?;
        state.kept = Some(content.stopped.clone());
        Ok(content.stopped)
    }

    /// Replaces what it holds, on the disk when it returns; without anything to hold the file is removed. Nothing is
    /// written where it holds that already.
    ///
    /// # Errors
    /// Another front has it, or what the disk says; the file holds then what it held before.
    pub(super) fn write(&self, stopped: Vec<Stopped>) -> Result<(), StopFileError> {
        let mut state = self.state.lock();
        if state.kept.as_ref() == Some(&stopped) {
            return Ok(());
        }
        self.ensure_locked(&mut state)?;
        // A fault may come after the file was exchanged.
        state.kept = None;
        let content = Content { stopped };
        let written = self.replace(&content);
        written.map_err(|source| StopFileError::Unwritten {
            path: self.path.clone(),
            source,
        })?;
        state.kept = Some(content.stopped);
        Ok(())
    }

    fn ensure_locked(&self, state: &mut State) -> Result<(), StopFileError> {
        if state.lock.is_some() {
            return Ok(());
        }
        let path = self.path.clone();
        let lock = Lock::take(&lock::beside(&path)).map_err(|error| match error {
            LockError::Held(process) => StopFileError::Held { path, process },
            LockError::Io(source) => StopFileError::Unlocked { path, source },
        })?;
        state.lock = Some(lock);
        Ok(())
    }

    fn content(&self) -> io::Result<Content> {
        match fs::read(&self.path) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Content::default()),
            Err(error) => Err(error),
        }
    }

    fn replace(&self, content: &Content) -> io::Result<()> {
        if content.stopped.is_empty() {
            return durable::remove(&self.path);
        }
        durable::replace(&self.path, &serde_json::to_vec_pretty(content)?)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use serde_json::json;

    use super::super::canary::Symptom;
    use super::*;

    fn stopped() -> Vec<Stopped> {
        let rule = json!({"name": "new", "to": "http://new:9200", "share": "10%", "canary": true});
        vec![Stopped {
            rule: serde_json::from_value(rule).expect("a rule"),
            stop: Stop {
                test: Symptom::Slow,
                log_likelihood_ratio: 6.25,
                threshold: 5.5,
                main_rate: 0.01,
                other_rate: 0.3,
                main_requests: 900,
                other_requests: 100,
            },
        }]
    }

    #[test]
    fn what_was_left_is_read_as_it_was_written_and_nothing_leaves_no_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = StopFile::new(folder.path().join("rules.json.stopped"));
        assert!(file.read().expect("nothing").is_empty());
        file.write(Vec::new()).expect("nothing to remove");
        file.write(stopped()).expect("written");
        assert_eq!(file.read().expect("read"), stopped());
        let num_files = || fs::read_dir(folder.path()).expect("a folder").count();
        assert_eq!(num_files(), 2, "the lock alone stays beside it");
        file.write(Vec::new()).expect("removed");
        assert!(!file.path().exists());
        assert_eq!(num_files(), 1);
    }

    #[test]
    fn a_file_that_holds_it_already_is_not_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rules.json.stopped");
        let first = StopFile::new(path.clone());
        first.write(stopped()).expect("written");
        drop(first);
        let inode = || fs::metadata(&path).expect("it is there").ino();
        let written = inode();
        let file = StopFile::new(path.clone());
        file.lock().expect("free again");
        file.write(file.read().expect("read")).expect("it is there");
        assert_eq!(inode(), written);
    }

    #[test]
    fn one_has_the_file_and_others_do_not_write_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rules.json.stopped");
        let (one, other) = (StopFile::new(path.clone()), StopFile::new(path.clone()));
        one.write(stopped()).expect("written");
        let refused = other.lock().expect_err("it is held").to_string();
        assert!(refused.contains("rules.json.stopped`"), "{refused}");
        assert!(refused.contains("`--rules-state`"), "{refused}");
        assert!(other.write(Vec::new()).is_err());
        assert!(path.exists());
        drop(one);
        other.write(Vec::new()).expect("it is free");
        assert!(!path.exists());
    }
}
