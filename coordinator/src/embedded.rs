//! The coordinator of a single process: one JSON file, replaced atomically.
//!
//! ```text
//! cluster.json
//!   {"magic": "gleaner-cluster-state", "format": 1, "crc32c": "…", "state": "<ClusterState as JSON>"}
//! ```
//!
//! The file is written beside the old one, synced, renamed over it, and the folder is synced, so a
//! crash leaves one whole state. The checksum tells a damaged file from a newer one. Entries of shards, where there are
//! several leaves in the process, lie beside it ([`EmbeddedEntries`]).

mod entries;
mod envelope;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use gleaner_model::{ClusterState, names};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::{Coordinator, CoordinatorError, CopyMarks, ShardEntries, size};
pub use entries::EmbeddedEntries;
use envelope::{Kind, store_error, unreadable};

const STATE: Kind = Kind {
    magic: "gleaner-cluster-state",
    format: 1,
    name: "a cluster state",
};

/// Keeps the state in one file; see the module's head.
pub struct Embedded {
    path: Option<PathBuf>,
    writing: Mutex<()>,
    state: watch::Sender<Arc<ClusterState>>,
    /// `None` where shards have one copy.
    entries: Option<Arc<EmbeddedEntries>>,
}

impl Embedded {
    /// Opens the state kept in `folder`, or starts with `initial` when there is none.
    ///
    /// # Errors
    /// [`CoordinatorError::Unreadable`] for a damaged or newer file,
    /// [`CoordinatorError::Store`] when the first state cannot be written.
    pub fn open(folder: &Path, initial: ClusterState) -> Result<Self, CoordinatorError> {
        let path = folder.join("cluster.json");
        let state = match fs::read(&path) {
            Ok(bytes) => decode(&path, &bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match store(&path, encode(&path, &initial)?)? {
                    None => initial,
                    Some(source) => return Err(store_error(&path, source)),
                }
            }
            Err(source) => return Err(store_error(&path, source)),
        };
        reserve(&path);
        Ok(Self::new(Some(path), state))
    }

    /// Keeps the state in memory only: for tests and simulations.
    pub fn in_memory(initial: ClusterState) -> Self {
        Self::new(None, initial)
    }

    /// Keeps entries too, for leaves of one process, beside the state: what is placed from now on has them.
    ///
    /// # Errors
    /// [`CoordinatorError::Unreadable`] where those that were kept cannot be read.
    pub fn with_entries(self) -> Result<Self, CoordinatorError> {
        let folder = self.path.as_deref().and_then(Path::parent);
        let entries =
            folder.map_or_else(|| Ok(EmbeddedEntries::default()), EmbeddedEntries::open)?;
        Ok(Self {
            entries: Some(Arc::new(entries)),
            ..self
        })
    }

    /// As [`Self::with_entries`], with marks of copies in a store of their own.
    ///
    /// # Errors
    /// As for [`Self::with_entries`].
    pub fn with_entries_and_marks(
        self,
        marks: Arc<dyn CopyMarks>,
    ) -> Result<Self, CoordinatorError> {
        let mut with_entries = self.with_entries()?;
        if let Some(entries) = with_entries.entries.as_mut().and_then(Arc::get_mut) {
            entries.set_marks(marks);
        }
        Ok(with_entries)
    }

    /// Returns the entries and who is alive; `None` where no entries are kept.
    pub fn embedded_entries(&self) -> Option<&Arc<EmbeddedEntries>> {
        self.entries.as_ref()
    }

    fn new(path: Option<PathBuf>, state: ClusterState) -> Self {
        names::learn(&state);
        Self {
            path,
            writing: Mutex::new(()),
            state: watch::Sender::new(Arc::new(state)),
            entries: None,
        }
    }

    fn swap(
        &self,
        expected: u64,
        mut next: ClusterState,
    ) -> Result<Arc<ClusterState>, CoordinatorError> {
        let _writing = self.writing.lock();
        let current = self.state.borrow().version;
        if current != expected {
            return Err(CoordinatorError::Conflict { expected, current });
        }
        next.version = expected + 1;
        let entries = self.entries.as_ref();
        if let Some(entries) = entries {
            entries.make(&self.state.borrow(), &next)?;
        }
        let stored = match &self.path {
            None => {
                size::check(&self.state.borrow(), &next, size::bytes_of(&next))?;
                None
            }
            Some(path) => {
                let encoded = encode(path, &next)?;
                size::check(&self.state.borrow(), &next, encoded.len())?;
                Some((path, store(path, encoded)))
            }
        };
        let late = match stored {
            Some((_, Err(error))) => return Err(error),
            Some((path, Ok(Some(source)))) => Some(store_error(path, source)),
            Some((_, Ok(None))) | None => None,
        };
        if let Some(entries) = entries {
            entries.remove_others(&next);
        }
        // What a restart would find is in force, even where it may not outlive a power cut.
        names::learn(&next);
        let next = Arc::new(next);
        self.state.send_replace(Arc::clone(&next));
        late.map_or(Ok(next), Err)
    }
}

#[async_trait]
impl Coordinator for Embedded {
    fn state(&self) -> Arc<ClusterState> {
        Arc::clone(&self.state.borrow())
    }

    async fn latest(&self) -> Result<Arc<ClusterState>, CoordinatorError> {
        Ok(self.state())
    }

    fn watch(&self) -> watch::Receiver<Arc<ClusterState>> {
        self.state.subscribe()
    }

    fn entries(&self) -> Option<Arc<dyn ShardEntries>> {
        let entries = self.entries.as_ref()?;
        Some(Arc::clone(entries) as _)
    }

    async fn compare_and_swap(
        &self,
        expected: u64,
        next: ClusterState,
    ) -> Result<Arc<ClusterState>, CoordinatorError> {
        // The file is small and changes are rare, but a disk may stall: leave the runtime free.
        tokio::task::block_in_place(|| self.swap(expected, next))
    }
}

fn decode(path: &Path, bytes: &[u8]) -> Result<ClusterState, CoordinatorError> {
    let state = STATE.open(path, bytes)?;
    serde_json::from_str(&state).map_err(|error| unreadable(path, error.to_string()))
}

fn encode(path: &Path, state: &ClusterState) -> Result<String, CoordinatorError> {
    serde_json::to_string(state).map_err(|error| store_error(path, error.into()))
}

/// Puts an encoded state in place; `Some` when it is there and could not be made durable.
fn store(path: &Path, state: String) -> Result<Option<io::Error>, CoordinatorError> {
    let stored = match STATE.write(path, state.clone()) {
        Err(error) if error.kind() == io::ErrorKind::StorageFull => {
            // An index can be deleted on a full disk, which is what makes room there.
            drop(fs::remove_file(reserved(path)));
            let stored = STATE.write(path, state);
            reserve(path);
            stored
        }
        stored => stored,
    };
    stored.map_err(|source| store_error(path, source))
}

/// Bytes that are kept back for a change of the state on a full disk.
const RESERVED_BYTES: usize = 1 << 20;

fn reserved(path: &Path) -> PathBuf {
    path.with_extension("reserve")
}

/// Keeps room on the disk, if there is some.
fn reserve(path: &Path) {
    let reserved = reserved(path);
    let is_there = fs::metadata(&reserved).is_ok_and(|file| file.len() == RESERVED_BYTES as u64);
    if !is_there && fs::write(&reserved, vec![0; RESERVED_BYTES]).is_err() {
        drop(fs::remove_file(&reserved));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance;

    #[tokio::test(flavor = "multi_thread")]
    async fn memory_conforms() {
        conformance::suite(|| Embedded::in_memory(ClusterState::default())).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn file_conforms_and_survives_reopening() {
        let folders: Vec<_> = (0..8)
            .map(|_| tempfile::tempdir().expect("a folder"))
            .collect();
        let mut next = folders.iter();
        conformance::suite(|| {
            let folder = next.next().expect("fewer than eight");
            Embedded::open(folder.path(), ClusterState::default()).expect("opens")
        })
        .await;

        let folder = tempfile::tempdir().expect("a folder");
        let first = Embedded::open(folder.path(), ClusterState::default()).expect("opens");
        let named = ClusterState {
            cluster_name: "kept".to_owned(),
            ..ClusterState::default()
        };
        first.compare_and_swap(0, named).await.expect("swaps");
        let again = Embedded::open(folder.path(), ClusterState::default()).expect("opens again");
        assert_eq!(again.state().cluster_name, "kept");
        assert_eq!(again.state().version, 1);
    }

    #[test]
    fn damaged_and_newer_files_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        drop(Embedded::open(folder.path(), ClusterState::default()).expect("opens"));
        let path = folder.path().join("cluster.json");
        let whole = fs::read_to_string(&path).expect("reads");

        fs::write(&path, whole.replace("cluster_uuid", "cluster_uuie")).expect("writes");
        let damaged = Embedded::open(folder.path(), ClusterState::default()).err();
        assert!(damaged.expect("refused").to_string().contains("damaged"));

        fs::write(&path, whole.replace("\"format\":1", "\"format\":2")).expect("writes");
        let newer = Embedded::open(folder.path(), ClusterState::default()).err();
        assert!(newer.expect("refused").to_string().contains("format 2"));
    }
}
