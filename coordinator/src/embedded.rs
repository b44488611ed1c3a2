//! The coordinator of a single process: one file of JSON lines.
//!
//! ```text
//! cluster.json
//!   {"magic": "gleaner-cluster-state", "format": 2, "crc32c": "…", "state": "<ClusterState as JSON>"}
//!   {"magic": "gleaner-cluster-change", "format": 2, "crc32c": "…", "state": "<what the next one has that it had not>"}
//!   …
//! ```
//!
//! A change is appended and synced. Now and then the file is written beside the old one, synced, renamed over it, and the
//! folder is synced, so a crash leaves one whole state. Checksums tell a damaged file from a newer one. Entries of shards,
//! where there are several leaves in the process, lie beside it ([`EmbeddedEntries`]).

mod entries;
mod envelope;
mod file;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use gleaner_model::{ClusterState, names};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::{Coordinator, CoordinatorError, CopyMarks, ShardEntries, size};
pub use entries::EmbeddedEntries;
use file::{Change, StateFile};

/// Keeps the state in one file; see the module's head.
pub struct Embedded {
    kept: Mutex<Kept>,
    state: watch::Sender<Arc<ClusterState>>,
    /// `None` where shards have one copy.
    entries: Option<Arc<EmbeddedEntries>>,
}

/// What changes with each state.
struct Kept {
    /// `None`: it is kept in memory alone.
    file: Option<StateFile>,
    /// Bytes of the state as JSON, within some an index.
    bytes: usize,
}

impl Embedded {
    /// Opens the state kept in `folder`, or starts with `initial` when there is none.
    ///
    /// # Errors
    /// [`CoordinatorError::Unreadable`] for a damaged or newer file,
    /// [`CoordinatorError::Store`] when the first state cannot be written.
    pub fn open(folder: &Path, initial: ClusterState) -> Result<Self, CoordinatorError> {
        let path = folder.join("cluster.json");
        let (file, state) = match StateFile::open(&path)? {
            Some(kept) => kept,
            None => (StateFile::create(&path, &initial)?, initial),
        };
        Ok(Self::new(Some(file), state))
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
        let entries = {
            let kept = self.kept.lock();
            let folder = kept.file.as_ref().and_then(StateFile::folder);
            folder.map_or_else(|| Ok(EmbeddedEntries::default()), EmbeddedEntries::open)?
        };
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

    fn new(file: Option<StateFile>, state: ClusterState) -> Self {
        names::learn(&state);
        Self {
            kept: Mutex::new(Kept {
                file,
                bytes: size::bytes_of(&state),
            }),
            state: watch::Sender::new(Arc::new(state)),
            entries: None,
        }
    }

    fn swap(
        &self,
        expected: u64,
        mut next: ClusterState,
    ) -> Result<Arc<ClusterState>, CoordinatorError> {
        let mut kept = self.kept.lock();
        let current = self.state();
        if current.version != expected {
            return Err(CoordinatorError::Conflict {
                expected,
                current: current.version,
            });
        }
        next.version = expected + 1;
        let entries = self.entries.as_ref();
        if let Some(entries) = entries {
            entries.make(&current, &next)?;
        }
        let change = Change::between(&current, &next);
        let bytes = change.bytes_after(&current, kept.bytes);
        size::check(&current, &next, bytes)?;
        let file = kept.file.as_mut();
        let late = file.map(|file| file.put(&change, &next)).transpose()?;
        kept.bytes = bytes;
        if let Some(entries) = entries {
            entries.remove_others(&next);
        }
        // What a restart would find is in force, even where it may not outlive a power cut.
        names::learn(&next);
        let next = Arc::new(next);
        self.state.send_replace(Arc::clone(&next));
        late.flatten().map_or(Ok(next), Err)
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
        // Changes are rare, but a disk may stall: leave the runtime free.
        tokio::task::block_in_place(|| self.swap(expected, next))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use gleaner_model::{IndexMeta, IndexName, IndexUuid, Mapping};
    use serde_json::json;

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

    fn open(folder: &Path) -> Result<Embedded, CoordinatorError> {
        Embedded::open(folder, ClusterState::default())
    }

    fn refusal(folder: &Path) -> String {
        open(folder).err().expect("refused").to_string()
    }

    /// Returns `state` with an index, which is made or made anew with another mapping.
    fn with_index(state: &ClusterState, number: u32, field: &str) -> ClusterState {
        let mut uuid = [0; 16];
        uuid[..4].copy_from_slice(&number.to_be_bytes());
        let name = IndexName::parse(&format!("index-{number}")).expect("a good name");
        let mut mapping = Mapping::default();
        mapping.declared.insert(field.to_owned(), json!({}));
        let index = IndexMeta {
            mapping: Arc::new(mapping),
            ..IndexMeta::new(IndexUuid(uuid), name)
        };
        let mut next = state.clone();
        next.indices.insert(index.uuid, Arc::new(index));
        next
    }

    fn put(embedded: &Embedded, next: ClusterState) -> Arc<ClusterState> {
        let version = embedded.state().version;
        embedded.swap(version, next).expect("it is kept")
    }

    /// Makes indices, changes, deletes and names some; returns the file after each change, and the state.
    fn history(folder: &Path) -> Vec<(Vec<u8>, Arc<ClusterState>)> {
        let embedded = open(folder).expect("opens");
        let read = || fs::read(folder.join("cluster.json")).expect("reads");
        let mut history = vec![(read(), embedded.state())];
        let mut change = |change: &dyn Fn(&ClusterState) -> ClusterState| {
            let state = put(&embedded, change(&embedded.state()));
            history.push((read(), state));
        };
        change(&|state| with_index(state, 1, "a"));
        change(&|state| with_index(state, 2, "a"));
        change(&|state| with_index(state, 1, "b"));
        change(&|state| {
            let mut next = with_index(state, 3, "a");
            let (first, _) = next.indices.pop_first().expect("an index");
            next.deleted.push(first);
            next
        });
        change(&|state| ClusterState {
            cluster_name: "ünamed\n".to_owned(),
            ..state.clone()
        });
        change(&ClusterState::clone);
        history
    }

    #[test]
    fn a_change_is_appended_and_read_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let history = history(folder.path());
        for pair in history.windows(2) {
            assert!(
                pair[1].0.starts_with(&pair[0].0),
                "nothing is written twice"
            );
        }
        for (file, state) in &history {
            fs::write(folder.path().join("cluster.json"), file).expect("writes");
            assert_eq!(open(folder.path()).expect("opens").state(), *state);
        }
    }

    #[test]
    fn a_last_line_that_a_crash_cut_was_never_acknowledged() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("cluster.json");
        let history = history(folder.path());
        let [.., (before, state), (whole, last)] = &history[..] else {
            panic!("changes were made");
        };
        for end in before.len()..whole.len() {
            fs::write(&path, &whole[..end]).expect("writes");
            let again = open(folder.path()).expect("opens");
            // Without its end a line is whole, and the change is in force.
            let expected = if end + 1 == whole.len() { last } else { state };
            let found = again.state();
            assert_eq!(found, *expected, "{end}");
            let next = put(&again, with_index(&found, 9, "a"));
            assert_eq!(open(folder.path()).expect("opens").state(), next, "{end}");
        }
        let mut torn = whole.clone();
        torn[before.len() + 30..before.len() + 60].fill(0);
        fs::write(&path, &torn).expect("writes");
        let again = open(folder.path()).expect("opens");
        assert_eq!(again.state(), *state);
        // The next change does not come after what cannot be read.
        let next = put(&again, with_index(state, 9, "a"));
        assert_eq!(open(folder.path()).expect("opens").state(), next);
    }

    #[test]
    fn damage_and_newer_files_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("cluster.json");
        let history = history(folder.path());
        let (whole, _) = history.last().expect("changes were made");
        let told = String::from_utf8(whole.clone()).expect("text");
        fs::write(&path, told.replacen("index-2", "index-7", 1)).expect("writes");
        assert!(refusal(folder.path()).contains("damaged"));
        fs::write(&path, told.replacen("cluster_uuid", "cluster_uuie", 1)).expect("writes");
        assert!(refusal(folder.path()).contains("damaged"));
        // The last one too: no crash leaves all of a line with other bytes.
        let at = told
            .rfind("head")
            .or(told.rfind("version"))
            .expect("a word");
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        fs::write(&path, &flipped).expect("writes");
        assert!(refusal(folder.path()).contains("damaged"));
        let lines: Vec<&str> = told.lines().collect();
        let without = [&lines[..2], &lines[3..]].concat().join("\n");
        fs::write(&path, without).expect("writes");
        assert!(refusal(folder.path()).contains("follows version 1"));
        fs::write(&path, told.replacen("\"format\":2", "\"format\":3", 1)).expect("writes");
        assert!(refusal(folder.path()).contains("format 3"));
    }

    #[test]
    fn a_file_of_the_format_before_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("cluster.json");
        let first = open(folder.path()).expect("opens").state();
        let told = fs::read_to_string(&path).expect("reads");
        let before = told.trim_end().replacen("\"format\":2", "\"format\":1", 1);
        fs::write(&path, before).expect("writes");
        let embedded = open(folder.path()).expect("opens");
        assert_eq!(embedded.state(), first);
        let next = put(&embedded, with_index(&first, 1, "a"));
        assert_eq!(open(folder.path()).expect("opens").state(), next);
    }

    #[test]
    fn the_file_is_replaced_once_it_has_more_changes_than_state() {
        let folder = tempfile::tempdir().expect("a folder");
        let embedded = open(folder.path()).expect("opens");
        let field = "f".repeat(2_000);
        let mut state = embedded.state();
        let (mut longest, mut num_shrunk, mut before) = (0, 0, 0);
        for number in 0..2_000 {
            let field = format!("{number}{field}");
            state = put(&embedded, with_index(&state, number % 10, &field));
            let file = fs::metadata(folder.path().join("cluster.json")).expect("it is there");
            num_shrunk += usize::from(file.len() < before);
            before = file.len();
            longest = longest.max(before);
        }
        assert!(longest < 400_000, "{longest}");
        assert!((5..100).contains(&num_shrunk), "{num_shrunk}");
        assert_eq!(open(folder.path()).expect("opens").state(), state);
        let exact = size::bytes_of(&*state);
        let counted = embedded.kept.lock().bytes;
        assert!(counted.abs_diff(exact) < 1_000, "{counted}, {exact}");
    }
}
