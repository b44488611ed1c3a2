//! Entries of shards, and the nodes that are alive, for clusters in one process.
//!
//! ```text
//! entries.json   beside `cluster.json`, in the same envelope: entries with their revisions, and names of nodes
//! ```
//!
//! Does: change an entry by compare-and-swap, make and remove entries with their index, list the nodes that its caller
//! has declared alive. Does not: watch nodes, keep that list. Called by [`super::Embedded`], and by the starter of such a
//! cluster. Read first: [`EmbeddedEntries`].

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use gleaner_model::{ClusterState, Entry, Incarnation, NodeId, NodeUuid, Revision, ShardKey};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::envelope::{Kind, replace_file, store_error, unreadable};
use crate::entries::{
    EntryChange, EntryOutcome, EntryTable, ShardEntries, StoredEntry, first_entries,
};
use crate::marks::MarksInMemory;
use crate::{CoordinatorError, CopyMarks};

const ENTRIES: Kind = Kind {
    magic: "gleaner-shard-entries",
    format: 1,
    name: "a list of shard entries",
};

/// Entries and nodes of a cluster in one process.
pub struct EmbeddedEntries {
    /// `None`: they end with the process.
    path: Option<PathBuf>,
    writing: Mutex<()>,
    table: watch::Sender<Arc<EntryTable>>,
    /// By default they end with the process, as its nodes do.
    marks: Arc<dyn CopyMarks>,
}

/// What the file holds.
#[derive(Default, Serialize, Deserialize)]
struct Kept {
    revision: u64,
    nodes: BTreeMap<NodeId, NodeUuid>,
    shards: Vec<KeptEntry>,
}

#[derive(Serialize, Deserialize)]
struct KeptEntry {
    shard: ShardKey,
    revision: u64,
    entry: Entry,
}

impl Default for EmbeddedEntries {
    fn default() -> Self {
        Self::new(None, EntryTable::default())
    }
}

impl EmbeddedEntries {
    fn new(path: Option<PathBuf>, table: EntryTable) -> Self {
        Self {
            path,
            writing: Mutex::new(()),
            table: watch::Sender::new(Arc::new(table)),
            marks: Arc::<MarksInMemory>::default(),
        }
    }

    /// Opens those that are kept in a folder; none where there is no file.
    pub(super) fn open(folder: &Path) -> Result<Self, CoordinatorError> {
        let path = folder.join("entries.json");
        let kept = match fs::read(&path) {
            Ok(bytes) => read(&path, &bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Kept::default(),
            Err(source) => return Err(store_error(&path, source)),
        };
        Ok(Self::new(Some(path), kept.into_table()))
    }

    /// Keeps marks of copies elsewhere.
    pub(super) fn set_marks(&mut self, marks: Arc<dyn CopyMarks>) {
        self.marks = marks;
    }

    /// Returns all entries and nodes.
    pub fn table(&self) -> Arc<EntryTable> {
        Arc::clone(&self.table.borrow())
    }

    /// Says that a node is alive under a name, with the process that runs on it, or that it is not any more.
    pub fn set_alive(&self, name: &NodeId, node: NodeUuid, process: Option<Incarnation>) {
        let _writing = self.writing.lock();
        self.show(self.next(|table| {
            table.nodes.insert(name.clone(), node);
            match process {
                Some(process) => table.alive.insert(node, process),
                None => table.alive.remove(&node),
            };
        }));
    }

    /// Puts an entry in place, whatever is there; it ends with the process.
    pub fn put(&self, shard: ShardKey, entry: Entry) {
        let _writing = self.writing.lock();
        self.show(self.next(|table| insert(table, shard, Arc::new(entry))));
    }

    /// Makes a change of an entry: [`ShardEntries::change`], at once.
    pub fn swap(&self, change: EntryChange) -> EntryOutcome {
        let _writing = self.writing.lock();
        let table = self.table();
        let Some(stored) = table.shards.get(&change.shard).cloned() else {
            return EntryOutcome::Gone;
        };
        let is_held = change.guard.is_none_or(|guard| {
            !table.alive.contains_key(&guard.absent)
                && table.alive.get(&guard.node) == Some(&guard.incarnation)
        });
        if stored.revision != change.expected || !is_held {
            return EntryOutcome::Refused(stored);
        }
        let next = self.next(|table| insert(table, change.shard, change.entry));
        let revision = next.revision;
        match self.keep(next) {
            Ok(()) => EntryOutcome::Made { revision },
            Err(error) => EntryOutcome::Unknown {
                reason: error.to_string(),
            },
        }
    }

    /// Makes the entries of indices that `next` has and `current` has not.
    ///
    /// # Errors
    /// Those of [`first_entries`], and [`CoordinatorError::Store`].
    pub(super) fn make(
        &self,
        current: &ClusterState,
        next: &ClusterState,
    ) -> Result<(), CoordinatorError> {
        let _writing = self.writing.lock();
        let table = self.table();
        let mut made = Vec::new();
        for (uuid, index) in &next.indices {
            if !current.indices.contains_key(uuid) {
                made.extend(first_entries(&table, index)?);
            }
        }
        if made.is_empty() {
            return Ok(());
        }
        self.keep(self.next(|table| {
            for (shard, entry) in made {
                insert(table, shard, Arc::new(entry));
            }
        }))
    }

    /// Removes the entries of indices that `state` does not have. What stays on a disk that refuses goes with a later
    /// change: nothing reads it.
    pub(super) fn remove_others(&self, state: &ClusterState) {
        let _writing = self.writing.lock();
        let is_wanted = |shard: &ShardKey| state.indices.contains_key(&shard.index);
        if !self.table().shards.keys().all(is_wanted) {
            let next = self.next(|table| table.shards.retain(|shard, _| is_wanted(shard)));
            if self.keep(Arc::clone(&next)).is_err() {
                self.show(next);
            }
        }
    }

    /// Returns the table after a change, at its next revision.
    fn next(&self, change: impl FnOnce(&mut EntryTable)) -> Arc<EntryTable> {
        let mut table = EntryTable::clone(&self.table.borrow());
        table.revision = Revision(table.revision.0 + 1);
        change(&mut table);
        Arc::new(table)
    }

    /// Makes a table durable, where it is kept, and shows it.
    fn keep(&self, table: Arc<EntryTable>) -> Result<(), CoordinatorError> {
        let late = match &self.path {
            None => None,
            Some(path) => {
                let failed = |source| store_error(path, source);
                let content = serde_json::to_string(&Kept::of(&table));
                let content = content.map_err(|error| failed(error.into()))?;
                let line = ENTRIES.line(content).map_err(failed)?;
                replace_file(path, &line).map_err(failed)?.map(failed)
            }
        };
        // What a restart would find is in force, even where it may not outlive a power cut.
        self.show(table);
        late.map_or(Ok(()), Err)
    }

    fn show(&self, table: Arc<EntryTable>) {
        self.table.send_replace(table);
    }
}

fn read(path: &Path, bytes: &[u8]) -> Result<Kept, CoordinatorError> {
    let content = ENTRIES.open(path, bytes)?;
    let kept: Kept =
        serde_json::from_str(&content).map_err(|error| unreadable(path, error.to_string()))?;
    for KeptEntry { entry, .. } in &kept.shards {
        let checked = entry.check();
        checked.map_err(|error| unreadable(path, error.to_string()))?;
    }
    Ok(kept)
}

impl Kept {
    fn of(table: &EntryTable) -> Self {
        let shards = table.shards.iter();
        Self {
            revision: table.revision.0,
            nodes: table.nodes.clone(),
            shards: shards
                .map(|(shard, stored)| KeptEntry {
                    shard: *shard,
                    revision: stored.revision.0,
                    entry: Entry::clone(&stored.entry),
                })
                .collect(),
        }
    }

    /// Returns the table as it is before any node is alive.
    fn into_table(self) -> EntryTable {
        let shards = self.shards.into_iter().map(|kept| {
            let stored = StoredEntry {
                entry: Arc::new(kept.entry),
                revision: Revision(kept.revision),
            };
            (kept.shard, stored)
        });
        EntryTable {
            revision: Revision(self.revision),
            shards: shards.collect(),
            nodes: self.nodes,
            ..EntryTable::default()
        }
    }
}

fn insert(table: &mut EntryTable, shard: ShardKey, entry: Arc<Entry>) {
    let revision = table.revision;
    table.shards.insert(shard, StoredEntry { entry, revision });
}

#[async_trait]
impl ShardEntries for EmbeddedEntries {
    fn watch(&self) -> watch::Receiver<Arc<EntryTable>> {
        self.table.subscribe()
    }

    async fn read(&self, shard: ShardKey) -> Result<Option<StoredEntry>, CoordinatorError> {
        Ok(self.table().shards.get(&shard).cloned())
    }

    async fn change(&self, change: EntryChange) -> EntryOutcome {
        match self.path {
            None => self.swap(change),
            // The file is small and changes are rare, but a disk may stall: leave the runtime free.
            Some(_) => tokio::task::block_in_place(|| self.swap(change)),
        }
    }

    fn marks(&self) -> Arc<dyn CopyMarks> {
        Arc::clone(&self.marks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::entries::{Site, suite};
    use crate::{Coordinator, Embedded};

    /// A coordinator, and the folder that it keeps everything in.
    struct InProcess {
        state: Embedded,
        _folder: Option<tempfile::TempDir>,
    }

    impl InProcess {
        fn in_memory() -> Self {
            let state = Embedded::in_memory(ClusterState::default()).with_entries();
            Self {
                state: state.expect("nothing is kept"),
                _folder: None,
            }
        }

        fn on_disk() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            Self {
                state: opened(folder.path()),
                _folder: Some(folder),
            }
        }

        fn set_alive(&self, name: &NodeId, node: NodeUuid, process: Option<Incarnation>) {
            let entries = self.state.embedded_entries().expect("it keeps entries");
            entries.set_alive(name, node, process);
        }
    }

    fn opened(folder: &Path) -> Embedded {
        let state = Embedded::open(folder, ClusterState::default()).expect("opens");
        state.with_entries().expect("opens")
    }

    #[async_trait]
    impl Site for InProcess {
        fn coordinator(&self) -> &dyn Coordinator {
            &self.state
        }

        async fn join(&mut self, name: &NodeId, node: NodeUuid) -> Incarnation {
            let incarnation = Incarnation([7; 16]);
            self.set_alive(name, node, Some(incarnation));
            incarnation
        }

        async fn leave(&mut self, name: &NodeId, node: NodeUuid) {
            self.set_alive(name, node, None);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn entries_in_memory_and_on_disk_conform() {
        suite(InProcess::in_memory).await;
        suite(InProcess::on_disk).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn entries_outlive_the_process_and_who_was_alive_does_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let (name, node) = (NodeId("a".into()), NodeUuid([1; 16]));
        let shard = crate::conformance::entries::shard();
        let kept = {
            let site = InProcess {
                state: opened(folder.path()),
                _folder: None,
            };
            site.set_alive(&name, node, Some(Incarnation([7; 16])));
            let placed = crate::conformance::entries::place(&site, &["a"]).await;
            placed.expect("placed");
            let entries = site.state.embedded_entries().expect("it keeps entries");
            entries.table().shards[&shard].clone()
        };
        let again = opened(folder.path());
        let table = again.embedded_entries().expect("it keeps entries").table();
        assert_eq!(table.shards[&shard], kept);
        assert!(table.revision >= kept.revision && table.alive.is_empty());
        assert_eq!(table.nodes[&name], node);

        let path = folder.path().join("entries.json");
        let whole = fs::read_to_string(&path).expect("reads");
        fs::write(&path, whole.replace("in_sync", "in_zync")).expect("writes");
        let state = Embedded::open(folder.path(), ClusterState::default()).expect("opens");
        let damaged = state.with_entries().err().expect("refused").to_string();
        assert!(damaged.contains("damaged"), "{damaged}");
    }
}
