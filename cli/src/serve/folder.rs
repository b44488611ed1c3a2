//! The data folder: one process at a time, and what lies in it.
//!
//! ```text
//! DIR/gleaner.lock   held while a process works here; its content names that process
//! DIR/cluster.json   the cluster state
//! DIR/node.json      whose folder it is, where it is that of a node of a cluster
//! DIR/log/           the log: the truth
//! DIR/indices/       shard copies: views of the log
//! ```

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};

/// A data folder that belongs to this process until it is dropped.
#[derive(Debug)]
pub(crate) struct DataFolder {
    path: PathBuf,
    /// Has nobody worked here before?
    is_new: bool,
    /// The lock ends with the file, however the process ends.
    _lock: File,
}

impl DataFolder {
    /// Makes the folder if need be, and takes it.
    ///
    /// # Errors
    /// When it cannot be written to, or another process has it.
    pub(crate) fn take(path: &Path) -> Result<Self> {
        let shown = path.display();
        fs::create_dir_all(path).with_context(|| format!("cannot make data folder `{shown}`"))?;
        let mut lock = open(&path.join("gleaner.lock"))
            .with_context(|| format!("cannot write to data folder `{shown}`"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!(
                "data folder `{shown}` is in use by another gleaner (process {}): stop it, or give \
                 this one a folder of its own with --data",
                holder(&mut lock)
            ),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock data folder `{shown}`"));
            }
        }
        sign(&mut lock).with_context(|| format!("cannot write to data folder `{shown}`"))?;
        let is_new = !path.join("cluster.json").exists();
        Ok(Self {
            path: path.to_path_buf(),
            is_new,
            _lock: lock,
        })
    }

    /// Returns whether nobody has worked here before.
    pub(crate) fn is_new(&self) -> bool {
        self.is_new
    }

    /// Refuses a folder that holds shards without the cluster state that names their indices: they
    /// would be passed over, as if there were nothing.
    ///
    /// # Errors
    /// What is missing, and what to do.
    pub(crate) fn check_whole(&self) -> Result<()> {
        let holds_shards = holds_any(&self.log()) || holds_any(&self.indices());
        ensure!(
            !self.is_new || !holds_shards,
            "data folder `{}` holds shards, but not the file `cluster.json` that names their indices: \
             put it back, or move `log` and `indices` away to begin anew",
            self.path.display()
        );
        Ok(())
    }

    /// Returns the folder itself, which holds the cluster state.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the folder of the log.
    pub(crate) fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    /// Returns the folder of the shard copies.
    pub(crate) fn indices(&self) -> PathBuf {
        self.path.join("indices")
    }
}

/// Returns whether a folder is there and holds anything.
fn holds_any(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
}

fn open(path: &Path) -> io::Result<File> {
    File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path)
}

fn sign(lock: &mut File) -> io::Result<()> {
    lock.set_len(0)?;
    lock.rewind()?;
    writeln!(lock, "{}", std::process::id())
}

fn holder(lock: &mut File) -> String {
    let mut text = String::new();
    // A name is a courtesy: without one the message still says what to do.
    match lock.read_to_string(&mut text) {
        Ok(_) if !text.trim().is_empty() => text.trim().to_owned(),
        _ => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_taken_by_one_and_free_again_afterwards() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("deep/er");
        let first = DataFolder::take(&path).expect("free");
        assert!(first.is_new());
        let error = DataFolder::take(&path).expect_err("taken").to_string();
        assert!(
            error.contains(&format!("process {}", std::process::id())),
            "{error}"
        );
        drop(first);
        fs::write(path.join("cluster.json"), "{}").expect("written");
        assert!(!DataFolder::take(&path).expect("free again").is_new());
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let error = DataFolder::take(file.path())
            .expect_err("no folder")
            .to_string();
        assert!(
            error.contains(&file.path().display().to_string()),
            "{error}"
        );
    }
}
