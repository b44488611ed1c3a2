//! The file of the state: a whole one, and the changes since, one a line.
//!
//! A change costs what it changes, however many indices there are. Once the changes are as long as the state, the next one
//! replaces the file. A crash may cut the last line off: that change was not acknowledged, and is left out.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gleaner_model::{ClusterState, IndexMeta, IndexUuid};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::envelope::{Kind, replace_file, store_error, unreadable};
use crate::{CoordinatorError, size};

const STATE: Kind = Kind {
    magic: "gleaner-cluster-state",
    format: 2,
    name: "a cluster state",
};

const CHANGE: Kind = Kind {
    magic: "gleaner-cluster-change",
    format: 2,
    name: "a change of a cluster state",
};

/// Bytes of changes that a file may have whatever the length of its state.
const LEAST_CHANGES: u64 = 256 << 10;

/// Bytes of an index's place among the others, beside its metadata.
const PLACE_BYTES: usize = 36;

/// What a state has that the one before had not.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Change {
    /// Of the state after it.
    version: u64,
    /// The state without its indices, where that is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    head: Option<ClusterState>,
    /// Indices that are new or different.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    put: Vec<Arc<IndexMeta>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    removed: Vec<IndexUuid>,
}

impl Change {
    /// Compares two states.
    pub(super) fn between(current: &ClusterState, next: &ClusterState) -> Self {
        let put = next.indices.values().filter(|index| {
            let before = current.indices.get(&index.uuid);
            !before.is_some_and(|before| Arc::ptr_eq(before, index) || before == *index)
        });
        let removed = current.indices.keys();
        let head = head_of(next, next.version);
        Self {
            version: next.version,
            put: put.cloned().collect(),
            removed: removed
                .filter(|uuid| !next.indices.contains_key(*uuid))
                .copied()
                .collect(),
            head: (head != head_of(current, next.version)).then_some(head),
        }
    }

    fn apply(self, state: &mut ClusterState) {
        if let Some(head) = self.head {
            let indices = std::mem::take(&mut state.indices);
            *state = ClusterState { indices, ..head };
        }
        state.version = self.version;
        for uuid in self.removed {
            state.indices.remove(&uuid);
        }
        let put = self.put.into_iter();
        state.indices.extend(put.map(|index| (index.uuid, index)));
    }

    /// Returns the bytes as JSON after this change of `current`, which has `bytes`; within some bytes an index.
    pub(super) fn bytes_after(&self, current: &ClusterState, bytes: usize) -> usize {
        let of = |index: &Arc<IndexMeta>| size::bytes_of(&**index) + PLACE_BYTES;
        let put = self.put.iter().map(|index| index.uuid);
        let gone = put.chain(self.removed.iter().copied());
        let gone = gone.filter_map(|uuid| current.indices.get(&uuid)).map(of);
        let added: usize = self.put.iter().map(of).sum();
        let head = self.head.as_ref();
        let grown = head.map_or(0, size::bytes_of);
        let shrunk = head.map_or(0, |_| size::bytes_of(&head_of(current, current.version)));
        (bytes + added + grown).saturating_sub(gone.sum::<usize>() + shrunk)
    }
}

fn head_of(state: &ClusterState, version: u64) -> ClusterState {
    ClusterState {
        version,
        indices: BTreeMap::new(),
        cluster_uuid: state.cluster_uuid.clone(),
        cluster_name: state.cluster_name.clone(),
        nodes: state.nodes.clone(),
        deleted: state.deleted.clone(),
        flooded: state.flooded.clone(),
        templates: Arc::clone(&state.templates),
        data_streams: state.data_streams.clone(),
        persistent_settings: state.persistent_settings.clone(),
        transient_settings: state.transient_settings.clone(),
        lifecycles: Arc::clone(&state.lifecycles),
        security: state.security.clone(),
    }
}

/// The file; see the module's head.
pub(super) struct StateFile {
    path: PathBuf,
    /// Where changes are appended; `None`: the next change replaces the file.
    tail: Option<Tail>,
}

/// The end of a file all of whose lines are whole.
struct Tail {
    file: fs::File,
    bytes: u64,
    /// Bytes at which the file is replaced.
    most: u64,
}

impl Tail {
    fn open(path: &Path, whole: u64, bytes: u64) -> io::Result<Self> {
        Ok(Self {
            file: fs::File::options().append(true).open(path)?,
            bytes,
            most: whole + whole.max(LEAST_CHANGES),
        })
    }

    /// Appends a line, or leaves the file as it was.
    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(line);
        match written {
            Ok(()) => self.bytes += line.len() as u64,
            Err(_) => self.file.set_len(self.bytes)?,
        }
        written
    }
}

impl StateFile {
    /// Reads the file at `path`; `None` where there is none.
    ///
    /// # Errors
    /// [`CoordinatorError::Unreadable`] for a damaged or newer file, [`CoordinatorError::Store`].
    pub(super) fn open(path: &Path) -> Result<Option<(Self, ClusterState)>, CoordinatorError> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(store_error(path, source)),
        };
        let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
        let whole = lines.next().unwrap_or_default();
        let mut state: ClusterState = STATE.read(path, whole)?;
        let mut is_cut = !bytes.ends_with(b"\n");
        let mut lines = lines.peekable();
        while let Some(line) = lines.next() {
            match CHANGE.read::<Change>(path, line) {
                Ok(change) if change.version == state.version + 1 => change.apply(&mut state),
                Ok(change) => {
                    let reason = format!(
                        "the change to version {} follows version {}",
                        change.version, state.version
                    );
                    return Err(unreadable(path, reason));
                }
                Err(_) if lines.peek().is_none() && is_torn(line) => is_cut = true,
                Err(error) => return Err(error),
            }
        }
        // Without it the next change writes the file anew.
        let tail = || Tail::open(path, whole.len() as u64, bytes.len() as u64).ok();
        let tail = if is_cut { None } else { tail() };
        let path = path.to_owned();
        reserve(&path);
        Ok(Some((Self { path, tail }, state)))
    }

    /// Returns the folder that the file lies in.
    pub(super) fn folder(&self) -> Option<&Path> {
        self.path.parent()
    }

    /// Makes the file.
    ///
    /// # Errors
    /// [`CoordinatorError::Store`].
    pub(super) fn create(path: &Path, state: &ClusterState) -> Result<Self, CoordinatorError> {
        let path = path.to_owned();
        let mut file = Self { path, tail: None };
        match file.replace(state)? {
            None => {
                reserve(&file.path);
                Ok(file)
            }
            Some(late) => Err(late),
        }
    }

    /// Puts the state `next` in place, which is `change` away; `Some` when it is there and could not be made durable.
    ///
    /// # Errors
    /// [`CoordinatorError::Store`]: the file holds what it held.
    pub(super) fn put(
        &mut self,
        change: &Change,
        next: &ClusterState,
    ) -> Result<Option<CoordinatorError>, CoordinatorError> {
        let path = &self.path;
        let line = CHANGE.line(encode(path, change)?);
        let line = line.map_err(|error| store_error(path, error))?;
        let has_room = |tail: &&mut Tail| tail.bytes + line.len() as u64 <= tail.most;
        let Some(tail) = self.tail.as_mut().filter(has_room) else {
            return self.replace(next);
        };
        let appended = with_reserve(path, || tail.write(&line));
        let synced = appended.map(|()| tail.file.sync_data().err());
        if !matches!(synced, Ok(None)) {
            // What the disk has of the line is not known: nothing is appended to it.
            self.tail = None;
        }
        let late = synced.map_err(|source| store_error(path, source))?;
        Ok(late.map(|source| store_error(path, source)))
    }

    fn replace(
        &mut self,
        state: &ClusterState,
    ) -> Result<Option<CoordinatorError>, CoordinatorError> {
        let path = &self.path;
        let line = STATE.line(encode(path, state)?);
        let line = line.map_err(|error| store_error(path, error))?;
        let stored = with_reserve(path, || replace_file(path, &line));
        let late = stored.map_err(|source| store_error(path, source))?;
        let bytes = line.len() as u64;
        self.tail = Tail::open(path, bytes, bytes).ok();
        Ok(late.map(|source| store_error(path, source)))
    }
}

impl Kind {
    fn read<T: DeserializeOwned>(self, path: &Path, line: &[u8]) -> Result<T, CoordinatorError> {
        let content = self.open(path, line)?;
        serde_json::from_str(&content).map_err(|error| unreadable(path, error.to_string()))
    }
}

/// Returns whether a crash may have left a line so: JSON has no zeros, which stand where a disk has not written.
fn is_torn(line: &[u8]) -> bool {
    !line.ends_with(b"\n") || line.contains(&0)
}

fn encode(path: &Path, content: &impl Serialize) -> Result<String, CoordinatorError> {
    serde_json::to_string(content).map_err(|error| store_error(path, error.into()))
}

/// Writes; on a full disk once more, with what is kept back there: an index can be deleted then, which is what makes room.
fn with_reserve<T>(path: &Path, mut write: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    match write() {
        Err(error) if error.kind() == io::ErrorKind::StorageFull => {
            drop(fs::remove_file(reserved(path)));
            let written = write();
            reserve(path);
            written
        }
        written => written,
    }
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
