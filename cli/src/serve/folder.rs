//! The data folder: one process at a time, and what lies in it.
//!
//! ```text
//! DIR/gleaner.lock   held while a process works here; its content names that process
//! DIR/cluster.json   the cluster state
//! DIR/node.json      whose folder it is, where it is that of a node of a cluster
//! DIR/log/           the log: the truth
//! DIR/indices/       shard copies: views of the log
//! ```
//!
//! The folder of `gleaner cluster up` has `processes.json` instead, and a folder of this kind for each
//! of its nodes.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use gleaner_machine::lock::{Lock, LockError};
use gleaner_machine::private;
use serde_json::Value;

use crate::node::owner::Owner;

/// The file that says what the processes of `gleaner cluster up` are.
pub(crate) const PROCESSES: &str = "processes.json";

/// The cluster state; earlier versions of `gleaner cluster up` had their processes under this name.
const STATE: &str = "cluster.json";

/// A data folder that belongs to this process until it is dropped.
#[derive(Debug)]
pub(crate) struct DataFolder {
    path: PathBuf,
    /// Has nobody worked here before?
    is_new: bool,
    _lock: Lock,
}

impl DataFolder {
    /// Makes the folder if need be, and takes it.
    ///
    /// # Errors
    /// When it cannot be written to, or another process has it.
    pub(crate) fn take(path: &Path) -> Result<Self> {
        let shown = path.display();
        private::create_folder(path)
            .with_context(|| format!("cannot make data folder `{shown}`"))?;
        let lock = Lock::take(&path.join("gleaner.lock")).map_err(|error| match error {
            LockError::Held(process) => anyhow!(
                "data folder `{shown}` is in use by another gleaner (process {process}): stop it, or \
                 give this one a folder of its own with --data"
            ),
            LockError::Io(error) => anyhow::Error::from(error)
                .context(format!("cannot write to data folder `{shown}`")),
        })?;
        let is_new = !path.join(STATE).exists();
        Ok(Self {
            path: path.to_path_buf(),
            is_new,
            _lock: lock,
        })
    }

    /// Sees to it that nobody but its owner reaches what lies here: a folder from before may be open to others.
    ///
    /// The log says where the folder cannot be closed, for example because another user owns it.
    pub(crate) fn close(&self) {
        let path = self.path.display();
        match private::close_folder(&self.path) {
            Ok(None) => {}
            Ok(Some(rights)) => tracing::warn!(
                %path,
                rights = format!("{rights:03o}"),
                "the data folder was open to other users of this machine: it is its owner's alone now (700)"
            ),
            Err(error) => tracing::warn!(
                %path,
                %error,
                "the data folder holds secrets and other users of this machine may reach them: give it the rights 700"
            ),
        }
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

    /// Refuses a folder that is that of a cluster, or of one of its nodes: a server in one process that
    /// worked there would change what is theirs.
    ///
    /// # Errors
    /// Whose folder it is, and what to do.
    pub(crate) fn check_of_one_process(&self) -> Result<()> {
        let shown = self.path.display();
        ensure!(
            !self.path.join(PROCESSES).exists() && !self.holds_old_processes(),
            "data folder `{shown}` is that of `gleaner cluster up`: start that, or give this server a \
             folder of its own with --data"
        );
        if let Some(owner) = Owner::of(&self.path)? {
            bail!(
                "data folder `{shown}` is that of node `{}` of a cluster: start it with `gleaner leaf` or \
                 `gleaner root`, or give this server a folder of its own with --data",
                owner.node
            );
        }
        Ok(())
    }

    /// Refuses a folder in which documents or a cluster state lie directly: `gleaner cluster up` keeps
    /// those of each node in a folder below.
    ///
    /// # Errors
    /// What it is, and what to do.
    pub(crate) fn check_of_processes(&self) -> Result<()> {
        let holds_state = self.path.join(STATE).exists() && !self.holds_old_processes();
        let holds_shards = holds_any(&self.log()) || holds_any(&self.indices());
        let is_of_node = Owner::of(&self.path)?.is_some();
        ensure!(
            !holds_state && !holds_shards && !is_of_node,
            "data folder `{}` is that of another kind of server (`gleaner serve`, or one node of a \
             cluster), whose documents lie directly in it: give this cluster a folder of its own with \
             --data",
            self.path.display()
        );
        Ok(())
    }

    /// Removes what an earlier version of `gleaner cluster up` has left under the name of the cluster
    /// state; nothing else is touched.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(crate) fn remove_old_processes(&self) -> Result<()> {
        if !self.holds_old_processes() {
            return Ok(());
        }
        let path = self.path.join(STATE);
        fs::remove_file(&path).with_context(|| format!("cannot remove `{}`", path.display()))
    }

    /// Returns whether `cluster.json` says what processes are, as it did once, and is no state.
    fn holds_old_processes(&self) -> bool {
        let content = fs::read(self.path.join(STATE)).unwrap_or_default();
        let read = serde_json::from_slice::<Value>(&content);
        read.is_ok_and(|read| read["url"].is_string() && read["nodes"].is_array())
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

    /// What an earlier version of `gleaner cluster up` wrote.
    const OLD_PROCESSES: &str = "{\"url\": \"http://127.0.0.1:9200\", \"nodes\": []}";

    #[test]
    fn a_cluster_takes_no_folder_of_a_server_in_one_process() {
        for held in ["cluster.json", "log/x", "indices/x", "node.json"] {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join(held);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            let content = match held {
                "cluster.json" => "{\"magic\": \"gleaner-cluster-state\"}",
                _ => "{\"cluster_uuid\": \"c\", \"node\": \"leaf-1\"}",
            };
            fs::write(&path, content).expect("written");
            let taken = DataFolder::take(folder.path()).expect("free");
            let refused = taken.check_of_processes().expect_err(held).to_string();
            assert!(refused.contains("a folder of its own"), "{refused}");
            taken.remove_old_processes().expect("nothing to do");
            assert_eq!(fs::read_to_string(&path).expect("still there"), content);
        }
    }

    #[test]
    fn a_server_in_one_process_takes_no_folder_of_a_cluster() {
        for (held, content, word) in [
            (PROCESSES, "{}", "`gleaner cluster up`"),
            (STATE, OLD_PROCESSES, "`gleaner cluster up`"),
            (
                "node.json",
                "{\"cluster_uuid\": \"c\", \"node\": \"leaf-1\"}",
                "node `leaf-1`",
            ),
        ] {
            let folder = tempfile::tempdir().expect("a folder");
            fs::write(folder.path().join(held), content).expect("written");
            let taken = DataFolder::take(folder.path()).expect("free");
            let refused = taken.check_of_one_process().expect_err(held).to_string();
            assert!(refused.contains(word), "{refused}");
        }
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join(STATE), "{\"magic\": \"x\"}").expect("written");
        let taken = DataFolder::take(folder.path()).expect("free");
        taken.check_of_one_process().expect("its own");
    }

    #[test]
    fn the_folder_of_an_earlier_cluster_goes_on() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join(STATE), OLD_PROCESSES).expect("written");
        let taken = DataFolder::take(folder.path()).expect("free");
        taken.check_of_processes().expect("a cluster's");
        taken.remove_old_processes().expect("removed");
        assert!(!folder.path().join(STATE).exists());
        taken.check_of_processes().expect("still a cluster's");
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
