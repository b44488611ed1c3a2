//! Whether a copy in sync holds what it was known to hold, and what becomes of one that does not.
//!
//! ```text
//! its log reaches its mark                              it is opened
//! its log does not, and its last commit does            it is the last one: the log begins again from the commit, and it is
//!                                                       opened; else as below
//! neither does, or its whole folder is an older one     it is not in sync, whatever the entry says:
//!     another copy in sync is on a node that is alive   it leaves the in-sync set and is made anew
//!     it is the last one                                it stays closed, and the shard is red, until its folder is brought
//!                                                       back or an operator accepts the loss
//! ```
//!
//! [`super::marking`] writes the marks. Read first: [`CopyHolder::check_memory`].

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat};
use gleaner_coordinator::entries::{EntryChange, EntryOutcome, EntryTable, StoredEntry};
use gleaner_coordinator::marks::CopyMark;
use gleaner_engine::copy::Checkpoint;
use gleaner_log::{Agreement, LogBase, LogError, LogStart, ShardLog};
use gleaner_model::{CopyId, CopyMeta, Entry, NodeUuid, Revision, SeqNo, ShardKey};
use gleaner_replication::Change;

use super::holding::{CopyHolder, blocking};
use super::identity::{HeldCopy, note_copy};
use super::rules::Rule;
use crate::copy::applier::with_causes;
use crate::lifecycle::folders::Folders;
use crate::replicate::halt::Halt;

/// What can be done for the last copy.
const ADVICE: &str = "bring the shard's folders back and restart the node, or accept the loss with \
     `gleaner cluster accept-loss`";

/// How long a copy that stays closed waits for a change before it looks again.
const LOOK_AGAIN: Duration = Duration::from_secs(300);

impl CopyHolder {
    /// Compares what a copy in sync holds with its mark. Where a log is gone that its commit does not need, it is begun
    /// again.
    pub(super) async fn check_memory(
        &self,
        stored: &StoredEntry,
        checkpoint: Checkpoint,
    ) -> Result<(), Halt> {
        let Some(mark) = self.own_mark(stored).await? else {
            self.accept_end(stored, checkpoint.next_seq_no).await?;
            return self.count_start(stored).await;
        };
        let (log, at) = (&self.leaf.node.log, checkpoint.next_seq_no);
        let tail = log.tail(self.key).await;
        let tail = tail.map_err(|error| Halt::Broken(with_causes(&error)))?;
        match Memory::of(&mark, tail, at) {
            Memory::Whole => self.count_start(stored).await,
            Memory::InCommit if self.may_leave(stored) => {
                // What was acknowledged behind the mark may lie behind the commit too: another copy in sync holds it.
                let reason = format!("its log does not reach its last commit, which ends at {at}");
                Err(self.forgotten(stored, reason).await)
            }
            Memory::InCommit => {
                let begun = begin_log_again(&**log, self.key, &stored.entry, Some(&mark), at).await;
                begun.map_err(|error| Halt::later(&error))?;
                tracing::warn!(
                    shard = %self.key,
                    %at,
                    "the log of a copy was gone, and begins again from the copy's last commit: nothing that was \
                     acknowledged is lost; writes sent again from before are not recognised"
                );
                self.count_start(stored).await
            }
            Memory::Forgotten(reason) => Err(self.forgotten(stored, reason).await),
        }
    }

    /// Returns whether another copy in sync is on a node that is alive.
    fn may_leave(&self, stored: &StoredEntry) -> bool {
        let own = self.hub.own_copy(&stored.entry);
        own.is_some_and(|own| leaving(&stored.entry, own, &self.hub.table()).is_some())
    }

    /// Counts the start of this process with the first copy in sync that is opened: it may acknowledge.
    async fn count_start(&self, stored: &StoredEntry) -> Result<(), Halt> {
        let own = self.hub.own_copy(&stored.entry);
        if own.is_none_or(|own| !stored.entry.in_sync.contains(&own)) {
            return Ok(());
        }
        let starts = &self.leaf.node.starts;
        starts.count(&*self.hub.marks, self.hub.identity.node).await
    }

    /// Returns what follows where nothing is here of a copy that counts as in sync.
    pub(super) async fn lost(&self, stored: &StoredEntry) -> Halt {
        let acknowledged = match self.own_mark(stored).await {
            Ok(Some(mark)) => format!("; {}", acknowledged(&mark)),
            Ok(None) => String::new(),
            Err(halt) => return halt,
        };
        let reason = format!("its files and its log are gone{acknowledged}");
        self.forgotten(stored, reason).await
    }

    /// Refuses the files of a folder that an older one has taken the place of, while the copy counts as in sync.
    pub(super) async fn check_age(&self, stored: &StoredEntry) -> Result<(), Halt> {
        let folders = self.leaf.node.folders(self.key);
        if folders.incoming.exists() || self.hub.omits(Rule::StartsAreCounted) {
            return Ok(());
        }
        let Some(reason) = blocking(move || suspicion(&folders)).await? else {
            return Ok(());
        };
        Err(self.forgotten(stored, reason).await)
    }

    /// Returns the mark of the copy here, where it counts as in sync and the mark is of its history.
    async fn own_mark(&self, stored: &StoredEntry) -> Result<Option<CopyMark>, Halt> {
        let Some(copy) = self.hub.own_copy(&stored.entry) else {
            return Ok(None);
        };
        if !stored.entry.in_sync.contains(&copy) || self.hub.omits(Rule::MarkIsCompared) {
            return Ok(None);
        }
        let mark = self.hub.mark_of(self.key);
        let mark = self.until_closed(mark).await?;
        let mark = mark.map_err(|error| Halt::Later(error.to_string()))?;
        Ok(mark.filter(|mark| is_compared(&stored.entry, copy, mark)))
    }

    /// Returns what follows where a copy has forgotten what was acknowledged: one that has left the in-sync set is made
    /// anew, the last one waits for a change.
    pub(super) async fn forgotten(&self, stored: &StoredEntry, reason: String) -> Halt {
        let Some(own) = self.hub.own_copy(&stored.entry) else {
            return Halt::Later(reason);
        };
        if !stored.entry.in_sync.contains(&own) {
            return self.begin_anew(stored, own, reason).await;
        }
        let mut table = self.hub.watch();
        let known = Arc::clone(&table.borrow());
        if let Some(change) = leaving(&stored.entry, own, &known) {
            return match self.changed(stored, &change).await {
                Some(left) if !left.entry.in_sync.contains(&own) => {
                    self.begin_anew(&left, own, reason).await
                }
                _ => Halt::Later(reason),
            };
        }
        self.tell_forgotten(&reason);
        let known = outlook(&known, self.key);
        let changed = table.wait_for(|table| outlook(table, self.key) != known);
        let wait = tokio::time::timeout(LOOK_AGAIN, changed);
        match self.until_closed(wait).await {
            Ok(_) => Halt::Later(format!("{reason}; {ADVICE}")),
            Err(halt) => halt,
        }
    }

    fn tell_forgotten(&self, reason: &str) {
        let told = format!("{reason}; {ADVICE}");
        if self.opening.progress() != told {
            tracing::error!(shard = %self.key, reason, "the last copy of a shard lacks what was acknowledged and is not opened");
            metrics::counter!(gleaner_model::metric::COPIES_FORGOTTEN.name).increment(1);
        }
        self.opening.tell(told);
    }

    /// Has a copy that is not in sync made anew, under another name in the entry. A change that was asked for before, and
    /// would take it into the in-sync set, can be made no longer: it meets another revision, and a copy that is not there.
    /// What is here stays until the files of the primary are.
    pub(super) async fn begin_anew(
        &self,
        stored: &StoredEntry,
        own: CopyId,
        reason: String,
    ) -> Halt {
        if let Err(halt) = self.until_closed(self.hub.earlier_rights_over()).await {
            return halt;
        }
        let copy = CopyId(rand::random());
        let change = Change::Place {
            add: [(copy, CopyMeta::on(self.hub.identity.node))].into(),
            remove: [own].into(),
        };
        let Some(changed) = self.changed(stored, &change).await else {
            return Halt::Later(reason);
        };
        let folders = self.leaf.node.folders(self.key);
        let history = changed.entry.history;
        match blocking(move || note_copy(&folders, HeldCopy { copy, history })).await {
            Ok(()) => Halt::Files(reason),
            Err(halt) => halt,
        }
    }

    /// Makes a change of the entry; returns that after it, where it is known to have been made.
    pub(super) async fn changed(
        &self,
        stored: &StoredEntry,
        change: &Change,
    ) -> Option<StoredEntry> {
        let entry = &stored.entry;
        let min_in_sync = self.hub.min_in_sync(self.key, entry.copies.len());
        let next = change.apply(Some(entry), min_in_sync).ok().flatten()?;
        let entry = Arc::new(next);
        tracing::warn!(shard = %self.key, ?change, "a copy that cannot be opened changes the entry");
        let change = EntryChange {
            shard: self.key,
            expected: stored.revision,
            entry: Arc::clone(&entry),
            guard: None,
        };
        match self.hub.entries.change(change).await {
            EntryOutcome::Made { revision } => Some(StoredEntry { entry, revision }),
            _ => None,
        }
    }
}

/// What a copy in sync holds, beside what it was known to hold.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Memory {
    /// It holds that.
    Whole,
    /// Its commit does, and its log does not: that begins again behind the commit.
    InCommit,
    /// It does not, and why.
    Forgotten(String),
}

impl Memory {
    /// Compares what a copy holds with its mark: its log ends after `tail`, its commit before `committed`.
    pub(super) fn of(mark: &CopyMark, tail: Option<SeqNo>, committed: SeqNo) -> Self {
        let end = tail.map_or(SeqNo(0), SeqNo::next);
        if end >= mark.position {
            return Self::Whole;
        }
        if committed >= mark.position {
            return Self::InCommit;
        }
        let what = match tail {
            None => "its log is gone".to_owned(),
            Some(_) => format!("its log ends at {end}"),
        };
        Self::Forgotten(format!("{what}; {}", acknowledged(mark)))
    }
}

/// Returns whether a mark is to be compared: the copy counts as in sync, and the mark is of its history.
pub(super) fn is_compared(entry: &Entry, copy: CopyId, mark: &CopyMark) -> bool {
    entry.in_sync.contains(&copy) && mark.copy == copy && mark.history == entry.history
}

/// Returns how a copy that has forgotten leaves the in-sync set to another one whose node is alive; `None` where there is
/// none. Any member may leave by itself: the set that the primary requires contains the entry's, also when that has become smaller.
pub(super) fn leaving(entry: &Entry, own: CopyId, table: &EntryTable) -> Option<Change> {
    let is_fit = |copy: &&CopyId| {
        let node = entry.node_of(**copy);
        **copy != own && node.is_some_and(|node| table.alive.contains_key(&node))
    };
    let to = *entry.in_sync.iter().find(is_fit)?;
    Some(match entry.primary == own {
        true => Change::Resign { to },
        false => Change::Shrink { copy: own },
    })
}

/// Begins a log that is gone behind the last commit, which holds all before `at` and so all that was acknowledged.
pub(super) async fn begin_log_again(
    log: &dyn ShardLog,
    shard: ShardKey,
    entry: &Entry,
    mark: Option<&CopyMark>,
    at: SeqNo,
) -> Result<(), LogError> {
    // What was agreed behind the mark is of the entry's term, or one before: logs that part there tell by files.
    let mark = mark.filter(|mark| at == mark.position && mark.term.0 > 0);
    let term = mark.map_or(entry.term, |mark| mark.term);
    let begin = LogStart {
        at,
        fence: entry.term,
        base: LogBase {
            term: Some(term),
            chain: 0,
            producers: Vec::new(),
        },
    };
    log.begin_at(shard, begin).await?;
    let agreement = Agreement {
        point: at,
        entry_version: entry.version,
    };
    log.note_agreement(shard, agreement);
    Ok(())
}

/// Returns what may make a copy that waits be opened: its entry, and who is alive.
fn outlook(table: &EntryTable, shard: ShardKey) -> Option<(Revision, Vec<NodeUuid>)> {
    let stored = table.shards.get(&shard)?;
    let nodes = stored.entry.copies_by_rank().into_iter();
    let alive = nodes.filter(|node| table.alive.contains_key(node));
    Some((stored.revision, alive.collect()))
}

/// Returns what a mark says, for people.
fn acknowledged(mark: &CopyMark) -> String {
    let noted = DateTime::from_timestamp_millis(mark.noted_ms).unwrap_or_default();
    let noted = noted.to_rfc3339_opts(SecondsFormat::Secs, true);
    format!("{} operations were acknowledged at {noted}", mark.position)
}

/// Returns why the folder's copy is not to be trusted, as noted at the start.
pub(crate) fn suspicion(folders: &Folders) -> std::io::Result<Option<String>> {
    match fs::read_to_string(&folders.suspect) {
        Ok(reason) => Ok(Some(reason)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
