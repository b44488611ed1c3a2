//! Disks that are put back as they were some time ago, and copies that find out.
//!
//! Marks, starts and what follows from them are the real ones. A copy that is made anew has another name, and its log from
//! the beginning: in these runs no log is trimmed, and the model copies no files.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::FutureExt;
use gleaner_coordinator::ShardEntries as _;
use gleaner_coordinator::entries::{EntryChange, EntryOutcome, StoredEntry};
use gleaner_log::files::{SimulatedFiles, Survival};
use gleaner_model::{CopyId, CopyMeta, SeqNo};
use gleaner_replication::Change;
use parking_lot::Mutex;

use super::engine::Commit;
use super::process::{Disk, Life, Process, copy_of, node_of};
use super::store::Store;
use super::world::World;
use crate::agree::Agreeing;
use crate::agree::remembering::{Memory, begin_log_again, is_compared, leaving};
use crate::agree::rules::Rule;
use crate::lifecycle::starts::{Start, Starts};
use crate::replicate::halt::Halt;

/// How often marks are noted.
const MARKS_EVERY: Duration = Duration::from_millis(500);

/// What a folder says of its node's starts, and of its copy.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FolderAge {
    /// The name of the copy that it holds; `None` before one was opened.
    held: Option<CopyId>,
    starts: u64,
    suspected_at: Option<u64>,
    is_suspect: bool,
    /// Whether its copy stays closed, as the last one in sync.
    is_closed: bool,
    /// Whether it was put back, and its copy was not opened or made anew since.
    is_put_back: bool,
    /// Whether the process has counted its start.
    is_counted: bool,
}

/// A disk as it was.
#[derive(Clone)]
pub(super) struct KeptDisk {
    files: SimulatedFiles,
    commit: Commit,
    age: FolderAge,
    /// Where the log ended.
    end: u64,
}

/// Looks at a folder when a process starts on it: its copy is a suspect where it is an older one.
pub(super) fn look(age: &Mutex<FolderAge>, store: &Store, leaf: usize) {
    age.lock().is_counted = false;
    let (starts, counted) = starts_of(age, store, leaf);
    if starts.next(age.lock().is_suspect) == Start::Suspects {
        let mut age = age.lock();
        age.is_suspect = true;
        age.suspected_at = Some(counted);
    }
}

/// Counts a start in a folder and in the store.
fn count_start(age: &Mutex<FolderAge>, store: &Store, leaf: usize) {
    let (starts, _) = starts_of(age, store, leaf);
    let mut age = age.lock();
    if let Start::Counted(number) = starts.next(age.is_suspect) {
        age.starts = number;
        age.suspected_at = None;
        let noted = store
            .entries
            .marks()
            .note_starts(node_of(leaf), number)
            .now_or_never();
        noted.expect("it is in memory").expect("it answers");
    }
}

fn starts_of(age: &Mutex<FolderAge>, store: &Store, leaf: usize) -> (Starts, u64) {
    let counted = store
        .entries
        .marks()
        .num_starts(node_of(leaf))
        .now_or_never();
    let counted = counted.expect("it is in memory").expect("it answers");
    let age = age.lock();
    let starts = Starts {
        noted: age.starts,
        counted,
        suspected_at: age.suspected_at,
    };
    (starts, counted)
}

/// Notes what the copies of a process hold, while it lives.
pub(super) async fn keep_marks(hub: Weak<Agreeing>) {
    loop {
        tokio::time::sleep(MARKS_EVERY).await;
        let Some(hub) = hub.upgrade() else {
            return;
        };
        let noted = hub.note_marks(&hub.drivers(), 0).await;
        noted.expect("it is in memory");
    }
}

impl Life {
    /// Does with a copy that has forgotten what the leaf does.
    pub(super) async fn check_memory(&self, stored: &StoredEntry, own: CopyId) -> Result<(), Halt> {
        let (entry, shard) = (&stored.entry, self.around.shard);
        let age = *self.age.lock();
        let is_other = age.held.is_some_and(|held| held != own);
        if is_other || (age.is_suspect && !self.hub.omits(Rule::StartsAreCounted)) {
            return self.forgotten(stored, own).await;
        }
        let mark = self
            .hub
            .mark_of(shard)
            .await
            .map_err(|error| Halt::later(&error))?;
        let Some(mark) = mark.filter(|mark| is_compared(entry, own, mark)) else {
            return self.open(stored, own);
        };
        let tail = self
            .log
            .tail(shard)
            .await
            .map_err(|error| Halt::broken(&error))?;
        let committed = SeqNo(self.commit.lock().next);
        match Memory::of(&mark, tail, committed) {
            _ if self.hub.omits(Rule::MarkIsCompared) => self.open(stored, own),
            Memory::Whole => self.open(stored, own),
            Memory::InCommit if leaving(entry, own, &self.hub.table()).is_some() => {
                self.forgotten(stored, own).await
            }
            Memory::InCommit => {
                let begun = begin_log_again(&*self.log, shard, entry, Some(&mark), committed).await;
                begun.map_err(|error| Halt::broken(&error))?;
                self.open(stored, own)
            }
            Memory::Forgotten(_) => self.forgotten(stored, own).await,
        }
    }

    /// Opens the copy: it may acknowledge from now on, where it is in sync.
    fn open(&self, stored: &StoredEntry, own: CopyId) -> Result<(), Halt> {
        self.age.lock().held = Some(own);
        if stored.entry.in_sync.contains(&own) && !self.age.lock().is_counted {
            count_start(&self.age, &self.around.store, self.leaf);
            self.age.lock().is_counted = true;
        }
        self.age.lock().settle();
        Ok(())
    }

    async fn forgotten(&self, stored: &StoredEntry, own: CopyId) -> Result<(), Halt> {
        let shard = self.around.shard;
        if !stored.entry.in_sync.contains(&own) {
            self.hub.earlier_rights_over().await;
            let copy = named(self.leaf, stored.entry.version);
            let change = Change::Place {
                add: [(copy, CopyMeta::on(node_of(self.leaf)))].into(),
                remove: [own].into(),
            };
            if self.changed(stored, &change).await.is_none() {
                return Err(Halt::Later("it is not given up yet".to_owned()));
            }
            let removed = self.log.remove(shard).await;
            removed.map_err(|error| Halt::broken(&error))?;
            *self.commit.lock() = Commit::default();
            let mut age = self.age.lock();
            age.held = Some(copy);
            age.is_suspect = false;
            age.settle();
            let mut history = self.around.history.lock();
            history.tally.num_made_anew += 1;
            return Err(Halt::Later("it is made anew".to_owned()));
        }
        let Some(change) = leaving(&stored.entry, own, &self.hub.table()) else {
            let mut age = self.age.lock();
            if !std::mem::replace(&mut age.is_closed, true) {
                self.around.history.lock().tally.num_closed += 1;
            }
            return Err(Halt::Later("the last copy has forgotten".to_owned()));
        };
        let left = self.changed(stored, &change).await.is_some();
        Err(Halt::Later(format!(
            "it has forgotten; has it left: {left}"
        )))
    }

    /// Makes a change of the entry.
    async fn changed(&self, stored: &StoredEntry, change: &Change) -> Option<()> {
        let next = change.apply(Some(&stored.entry), 1).ok().flatten()?;
        let change = EntryChange {
            shard: self.around.shard,
            expected: stored.revision,
            entry: Arc::new(next),
            guard: None,
        };
        let outcome = self.hub.entries.change(change).await;
        matches!(outcome, EntryOutcome::Made { .. }).then_some(())
    }
}

/// Returns the name of a leaf's copy that is made after an entry of that version.
fn named(leaf: usize, version: u64) -> CopyId {
    let mut name = copy_of(leaf).0;
    name[8..].copy_from_slice(&version.to_be_bytes());
    CopyId(name)
}

impl FolderAge {
    fn settle(&mut self) {
        self.is_closed = false;
        self.is_put_back = false;
    }
}

impl Disk {
    fn keep(&self, end: u64) -> KeptDisk {
        let files = self.files.fork();
        files.reboot(Survival::All);
        KeptDisk {
            files,
            commit: self.commit.lock().clone(),
            age: *self.age.lock(),
            end,
        }
    }

    fn put_back(&mut self, kept: KeptDisk) {
        self.files = kept.files;
        *self.commit.lock() = kept.commit;
        *self.age.lock() = kept.age;
    }
}

impl World {
    /// Keeps a leaf's disk as it is.
    pub(super) fn keep_disk(&mut self, leaf: usize) {
        let place = &mut self.places[leaf];
        let copy = place.process.as_ref().and_then(Process::copy);
        if let Some(copy) = copy {
            let end = super::ending::end_of(&copy, self.around.shard);
            place.kept = Some(place.disk.keep(end));
        }
    }

    /// Ends a leaf's process and puts its disk back as it was kept; it starts again some time later. Where what came after
    /// is neither marked nor in another start, nobody could tell, and the disk is left as it is.
    pub(super) fn put_disk_back(&mut self, leaf: usize, start_ms: u64) {
        self.kill(leaf, Survival::All, start_ms);
        let place = &mut self.places[leaf];
        let Some(kept) = place
            .kept
            .clone()
            .filter(|_| !place.disk.age.lock().is_put_back)
        else {
            return;
        };
        let marks = self.around.store.entries.marks();
        let mark = marks
            .of_copy(node_of(leaf), self.around.shard)
            .now_or_never();
        let mark = mark.expect("it is in memory").expect("it answers");
        let is_marked = mark.is_some_and(|mark| mark.position.0 > kept.end);
        if is_marked || kept.age.starts < place.disk.age.lock().starts {
            place.newest = Some(place.disk.keep(0));
            place.disk.put_back(kept);
            place.disk.age.lock().is_put_back = true;
            let mut history = self.around.history.lock();
            history.tally.num_put_back += 1;
            history.note(|| format!("the disk of copy {} is put back", leaf + 1));
        }
    }

    /// Has the operator bring the disks of copies back that stay closed.
    pub(super) fn bring_disks_back(&mut self) {
        for leaf in 0..self.places.len() {
            let is_closed = self.places[leaf].disk.age.lock().is_closed;
            if self.places[leaf].newest.is_none() || !is_closed {
                continue;
            }
            self.kill(leaf, Survival::All, self.now_ms + 5);
            let place = &mut self.places[leaf];
            if let Some(newest) = place.newest.take() {
                place.disk.put_back(newest);
            }
            let mut history = self.around.history.lock();
            history.note(|| format!("the disk of copy {} is brought back", leaf + 1));
        }
    }
}
