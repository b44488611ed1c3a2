//! The checkpoint file: up to where each input is acknowledged, and what the load was asked to do.
//!
//! Everything before a position is acknowledged or in the dead-letter file; what comes after may be,
//! and is sent again under the same ids. The file is JSON, replaced as a whole: written beside the
//! old one, synced, renamed. So the lock that keeps a second load from it is on a file beside it,
//! `FILE.lock`, which stays.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, ensure};
use serde::{Deserialize, Serialize};

use super::{
    batch::InputPosition,
    identity::{self, Identity},
};
use gleaner_machine::{
    durable,
    lock::{self, Lock, LockError},
};

/// The version of the file's layout.
const FORMAT: u32 = 1;

/// What must be the same when a load goes on, or ids and places would not fit together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Task {
    /// Address of the server.
    pub(crate) url: String,
    pub(crate) index: String,
    /// `--format`, or `auto`.
    pub(crate) format: String,
    pub(crate) id_field: Option<String>,
    pub(crate) routing_field: Option<String>,
    /// `--batch-docs`: a request with other borders is another one to the server, and what it creates
    /// may be there. Earlier versions did not note it.
    #[serde(default)]
    pub(crate) batch_docs: Option<u64>,
    /// `--batch-bytes`, likewise.
    #[serde(default)]
    pub(crate) batch_bytes: Option<u64>,
}

/// How far one file has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileProgress {
    /// Absolute path.
    path: PathBuf,
    identity: Identity,
    /// When it was changed last, in nanoseconds since the epoch: its identity knows only its beginning.
    /// Earlier versions did not note it.
    #[serde(default)]
    modified_ns: Option<u64>,
    /// Documents from the start that are settled.
    position: u64,
    /// Is all of it settled?
    is_whole: bool,
}

/// The content of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    gleaner_checkpoint: u32,
    /// Random; part of every idempotency key of this load.
    pub(crate) load: String,
    pub(crate) task: Task,
    /// Documents acknowledged, over all runs.
    pub(crate) accepted: u64,
    /// Documents refused, over all runs.
    pub(crate) refused: u64,
    /// The dead-letter file that belongs to this checkpoint, as an absolute path. Earlier versions did
    /// not note it.
    #[serde(default)]
    dead_letter: Option<PathBuf>,
    /// Its length.
    dead_letter_bytes: u64,
    files: Vec<FileProgress>,
}

impl Checkpoint {
    /// Starts a new load; `load` is its random name.
    pub(crate) fn new(load: String, task: Task) -> Self {
        Self {
            gleaner_checkpoint: FORMAT,
            load,
            task,
            accepted: 0,
            refused: 0,
            dead_letter: None,
            dead_letter_bytes: 0,
            files: Vec::new(),
        }
    }

    /// Reads the checkpoint at `path`; `None` when there is none yet.
    ///
    /// # Errors
    /// When it is damaged or newer, or belongs to another task: going on would mix two loads.
    pub(crate) fn read(path: &Path, task: &Task) -> Result<Option<Self>> {
        let shown = path.display();
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot read `{shown}`")),
        };
        let mut read: Self = serde_json::from_slice(&bytes)
            .with_context(|| format!("`{shown}` is no checkpoint"))?;
        ensure!(
            read.gleaner_checkpoint <= FORMAT,
            "checkpoint `{shown}` has format {}, this version reads up to {FORMAT}",
            read.gleaner_checkpoint
        );
        read.task.batch_docs = read.task.batch_docs.or(task.batch_docs);
        read.task.batch_bytes = read.task.batch_bytes.or(task.batch_bytes);
        ensure!(
            read.task == *task,
            "checkpoint `{shown}` belongs to another load ({}); go on as it began, use another file, or \
             remove it",
            read.task.difference(task)
        );
        Ok(Some(read))
    }

    /// Writes the checkpoint so that a crash leaves the old one or the new one.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        serde_json::to_vec_pretty(self)
            .map_err(io::Error::from)
            .and_then(|content| durable::replace(path, &content))
            .with_context(|| format!("cannot write checkpoint `{}`", path.display()))
    }

    /// Returns how much of the dead-letter file at `path` is of this load; `None` when none of it is.
    pub(crate) fn letters_in(&self, path: &Path) -> Option<u64> {
        let is_ours = match &self.dead_letter {
            Some(ours) => ours == path,
            None => self.dead_letter_bytes > 0,
        };
        is_ours.then_some(self.dead_letter_bytes)
    }

    /// Notes how long the dead-letter file at `path` is.
    pub(crate) fn set_letters(&mut self, path: &Path, num_bytes: u64) {
        self.dead_letter = Some(path.to_path_buf());
        self.dead_letter_bytes = num_bytes;
    }

    /// Returns where reading of a file goes on: its position, or `None` when it is all settled.
    /// A file that is not known yet is taken in.
    ///
    /// # Errors
    /// When the file has changed: its positions then mean other documents.
    pub(crate) fn resume(&mut self, path: &Path, identity: &Identity) -> Result<Option<u64>> {
        let modified_ns = identity::modified_ns(path);
        match self.files.iter_mut().find(|file| file.path == path) {
            Some(file) => {
                file.modified_ns = file.modified_ns.or(modified_ns);
                ensure!(
                    file.identity == *identity && file.modified_ns == modified_ns,
                    "`{}` has changed since the checkpoint was written; remove the checkpoint to \
                     load it anew. Documents without ids of their own (`--id-field`) that are in \
                     already would then be there twice: delete them, or the index, first",
                    path.display()
                );
                Ok((!file.is_whole).then_some(file.position))
            }
            None => {
                self.files.push(FileProgress {
                    path: path.to_path_buf(),
                    identity: identity.clone(),
                    modified_ns,
                    position: 0,
                    is_whole: false,
                });
                Ok(Some(0))
            }
        }
    }

    /// Moves the file at `path` on.
    pub(crate) fn advance(&mut self, path: &Path, reached: InputPosition) {
        if let Some(file) = self.files.iter_mut().find(|file| file.path == path) {
            file.position = reached.position;
            file.is_whole = reached.is_whole;
        }
    }
}

/// Keeps other loads from the checkpoint at `path` until the lock is dropped.
///
/// # Errors
/// When another load has it, or the lock cannot be written.
pub(crate) fn lock(path: &Path) -> Result<Lock> {
    let beside = lock::beside(path);
    Lock::take(&beside).map_err(|error| match error {
        LockError::Held(process) => anyhow!(
            "checkpoint `{}` is in use by another load (process {process}): wait for its end, or give \
             this one a file of its own with --checkpoint",
            path.display()
        ),
        LockError::Io(error) => {
            anyhow::Error::from(error).context(format!("cannot write `{}`", beside.display()))
        }
    })
}

impl Task {
    /// Names the first thing that differs.
    fn difference(&self, other: &Self) -> String {
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
        let number =
            |value: Option<u64>| value.map_or("none".to_owned(), |value| value.to_string());
        let pairs = [
            ("url", self.url.clone(), other.url.clone()),
            ("index", self.index.clone(), other.index.clone()),
            ("format", self.format.clone(), other.format.clone()),
            ("id field", shown(&self.id_field), shown(&other.id_field)),
            (
                "routing field",
                shown(&self.routing_field),
                shown(&other.routing_field),
            ),
            (
                "--batch-docs",
                number(self.batch_docs),
                number(other.batch_docs),
            ),
            (
                "--batch-bytes",
                number(self.batch_bytes),
                number(other.batch_bytes),
            ),
        ];
        let different = pairs.into_iter().find(|(_, ours, theirs)| ours != theirs);
        different.map_or_else(String::new, |(name, ours, theirs)| {
            format!("{name} `{ours}`, not `{theirs}`")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(index: &str) -> Task {
        Task {
            url: "http://host/".to_owned(),
            index: index.to_owned(),
            format: "auto".to_owned(),
            id_field: None,
            routing_field: None,
            batch_docs: Some(10),
            batch_bytes: Some(1_000),
        }
    }

    struct Place {
        _folder: tempfile::TempDir,
        data: PathBuf,
        checkpoint: PathBuf,
    }

    fn place() -> Place {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data.ndjson");
        fs::write(&data, "{}\n").expect("written");
        let checkpoint = folder.path().join("load.checkpoint");
        Place {
            data,
            checkpoint,
            _folder: folder,
        }
    }

    #[test]
    fn a_checkpoint_is_read_as_it_was_written() {
        let place = place();
        let identity = Identity::of_file(&place.data).expect("a file");
        assert_eq!(
            Checkpoint::read(&place.checkpoint, &task("a")).expect("absent"),
            None
        );

        let mut checkpoint = Checkpoint::new("l".to_owned(), task("a"));
        assert_eq!(
            checkpoint.resume(&place.data, &identity).expect("new"),
            Some(0)
        );
        checkpoint.advance(
            &place.data,
            InputPosition {
                input: 0,
                position: 7,
                is_whole: false,
            },
        );
        checkpoint.write(&place.checkpoint).expect("written");

        let mut read = Checkpoint::read(&place.checkpoint, &task("a"))
            .expect("valid")
            .expect("there");
        assert_eq!(read, checkpoint);
        assert_eq!(read.resume(&place.data, &identity).expect("known"), Some(7));
        read.advance(
            &place.data,
            InputPosition {
                input: 0,
                position: 9,
                is_whole: true,
            },
        );
        assert_eq!(read.resume(&place.data, &identity).expect("known"), None);
    }

    #[test]
    fn another_task_and_a_changed_file_are_refused() {
        let place = place();
        let identity = Identity::of_file(&place.data).expect("a file");
        let mut checkpoint = Checkpoint::new("l".to_owned(), task("a"));
        checkpoint.resume(&place.data, &identity).expect("new");
        checkpoint.write(&place.checkpoint).expect("written");
        let error = Checkpoint::read(&place.checkpoint, &task("b")).expect_err("another index");
        assert!(error.to_string().contains("index `a`, not `b`"), "{error}");

        fs::write(&place.data, "{}\n{}\n").expect("written");
        let changed = Identity::of_file(&place.data).expect("a file");
        let error = checkpoint
            .resume(&place.data, &changed)
            .expect_err("another content");
        assert!(error.to_string().contains("has changed"), "{error}");
        assert!(error.to_string().contains("there twice"), "{error}");
    }

    #[test]
    fn requests_of_another_size_are_refused_unless_nobody_knows_theirs() {
        let place = place();
        let checkpoint = Checkpoint::new("l".to_owned(), task("a"));
        checkpoint.write(&place.checkpoint).expect("written");
        let other = Task {
            batch_docs: Some(20),
            ..task("a")
        };
        let error = Checkpoint::read(&place.checkpoint, &other).expect_err("another size");
        let told = error.to_string();
        assert!(told.contains("--batch-docs `10`, not `20`"), "{told}");

        let mut earlier = checkpoint;
        (earlier.task.batch_docs, earlier.task.batch_bytes) = (None, None);
        earlier.write(&place.checkpoint).expect("written");
        let read = Checkpoint::read(&place.checkpoint, &other).expect("of an earlier version");
        assert_eq!(read.expect("there").task, other);
    }

    #[test]
    fn a_file_that_changed_behind_its_beginning_is_refused() {
        let place = place();
        fs::write(&place.data, "x".repeat(100_000)).expect("written");
        let identity = Identity::of_file(&place.data).expect("a file");
        let mut checkpoint = Checkpoint::new("l".to_owned(), task("a"));
        checkpoint.resume(&place.data, &identity).expect("new");

        let file = fs::File::options().write(true).open(&place.data);
        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(7);
        let changed = file.and_then(|file| file.set_modified(later));
        changed.expect("the time is set");
        assert_eq!(Identity::of_file(&place.data).expect("a file"), identity);
        let error = checkpoint.resume(&place.data, &identity);
        let error = error.expect_err("changed").to_string();
        assert!(error.contains("has changed"), "{error}");

        let mut earlier = Checkpoint::new("l".to_owned(), task("a"));
        earlier.resume(&place.data, &identity).expect("new");
        earlier.files[0].modified_ns = None;
        let resumed = earlier.resume(&place.data, &identity);
        assert_eq!(resumed.expect("of an earlier version"), Some(0));
        assert!(earlier.files[0].modified_ns.is_some());
    }

    #[test]
    fn letters_belong_to_the_file_they_were_written_to() {
        let (ours, other) = (Path::new("/a/dead"), Path::new("/b/dead"));
        let mut checkpoint = Checkpoint::new("l".to_owned(), task("a"));
        assert_eq!(checkpoint.letters_in(ours), None, "nothing was written");
        checkpoint.set_letters(ours, 7);
        assert_eq!(checkpoint.letters_in(ours), Some(7));
        assert_eq!(checkpoint.letters_in(other), None);
        checkpoint.dead_letter = None;
        assert_eq!(checkpoint.letters_in(other), Some(7), "an earlier version");
    }

    #[test]
    fn one_load_has_a_checkpoint_though_each_write_makes_another_file() {
        let place = place();
        let first = lock(&place.checkpoint).expect("free");
        let checkpoint = Checkpoint::new("l".to_owned(), task("a"));
        for _ in 0..2 {
            checkpoint.write(&place.checkpoint).expect("written");
            let error = lock(&place.checkpoint).expect_err("taken").to_string();
            let name = place.checkpoint.display().to_string();
            assert!(error.contains(&format!("`{name}` is in use")), "{error}");
        }
        drop(first);
        drop(lock(&place.checkpoint).expect("free again"));
        let elsewhere = place.checkpoint.join("x");
        let error = lock(&elsewhere).expect_err("no folder").to_string();
        assert!(error.contains("x.lock`"), "{error}");
    }

    #[test]
    fn damaged_and_newer_files_are_refused() {
        let place = place();
        fs::write(&place.checkpoint, "{\"gleaner_checkpoint\": 1,").expect("written");
        assert!(Checkpoint::read(&place.checkpoint, &task("a")).is_err());
        let mut newer = Checkpoint::new("l".to_owned(), task("a"));
        newer.gleaner_checkpoint = FORMAT + 1;
        newer.write(&place.checkpoint).expect("written");
        let error = Checkpoint::read(&place.checkpoint, &task("a")).expect_err("newer");
        assert!(error.to_string().contains("format 2"), "{error}");
    }
}
