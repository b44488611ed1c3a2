//! The coordinator of a single process: one JSON file, replaced atomically.
//!
//! ```text
//! cluster.json
//!   {"magic": "gleaner-cluster-state", "format": 1, "crc32c": "…", "state": "<ClusterState as JSON>"}
//! ```
//!
//! The file is written beside the old one, synced, renamed over it, and the folder is synced, so a
//! crash leaves one whole state. The checksum tells a damaged file from a newer one.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use gleaner_model::{ClusterState, names};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::{Coordinator, CoordinatorError, size};

const MAGIC: &str = "gleaner-cluster-state";
const FORMAT: u32 = 1;

/// Keeps the state in one file; see the module's head.
pub struct Embedded {
    path: Option<PathBuf>,
    writing: Mutex<()>,
    state: watch::Sender<Arc<ClusterState>>,
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    magic: String,
    format: u32,
    crc32c: String,
    state: String,
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

    fn new(path: Option<PathBuf>, state: ClusterState) -> Self {
        names::learn(&state);
        Self {
            path,
            writing: Mutex::new(()),
            state: watch::Sender::new(Arc::new(state)),
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
    let unreadable = |reason: String| CoordinatorError::Unreadable {
        path: path.display().to_string(),
        reason,
    };
    let envelope: Envelope =
        serde_json::from_slice(bytes).map_err(|error| unreadable(error.to_string()))?;
    if envelope.magic != MAGIC {
        return Err(unreadable("it is not a cluster state".to_owned()));
    }
    if envelope.format > FORMAT {
        let found = envelope.format;
        return Err(unreadable(format!(
            "it has format {found}, this version reads up to {FORMAT}"
        )));
    }
    if envelope.crc32c != checksum(&envelope.state) {
        return Err(unreadable(
            "its checksum does not match: the file is damaged".to_owned(),
        ));
    }
    serde_json::from_str(&envelope.state).map_err(|error| unreadable(error.to_string()))
}

fn checksum(state: &str) -> String {
    format!("{:08x}", crc32c::crc32c(state.as_bytes()))
}

fn encode(path: &Path, state: &ClusterState) -> Result<String, CoordinatorError> {
    serde_json::to_string(state).map_err(|error| store_error(path, error.into()))
}

/// Puts an encoded state in place; `Some` when it is there and could not be made durable.
fn store(path: &Path, state: String) -> Result<Option<io::Error>, CoordinatorError> {
    let envelope = Envelope {
        magic: MAGIC.to_owned(),
        format: FORMAT,
        crc32c: checksum(&state),
        state,
    };
    let stored = match write_atomically(path, &envelope) {
        Err(error) if error.kind() == io::ErrorKind::StorageFull => {
            // An index can be deleted on a full disk, which is what makes room there.
            drop(fs::remove_file(reserved(path)));
            let stored = write_atomically(path, &envelope);
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

fn store_error(path: &Path, source: io::Error) -> CoordinatorError {
    CoordinatorError::Store {
        path: path.display().to_string(),
        source,
    }
}

fn write_atomically(path: &Path, envelope: &Envelope) -> io::Result<Option<io::Error>> {
    // Opened before anything is done: no descriptor may be left afterwards.
    let folder = path.parent().map(fs::File::open).transpose()?;
    let temporary = path.with_extension("json.new");
    let mut file = fs::File::create(&temporary)?;
    file.write_all(&serde_json::to_vec(envelope)?)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    Ok(folder.and_then(|folder| folder.sync_all().err()))
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
