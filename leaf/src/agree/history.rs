//! What becomes of the files of a copy when the entry of its shard names another history.

use std::time::Duration;

use gleaner_coordinator::entries::StoredEntry;
use gleaner_model::{CopyId, Entry, SeqNo};
use gleaner_replication::HeldRecords;

use super::holding::{CopyHolder, blocking};
use super::identity::{HeldCopy, note_copy};
use super::remembering::begin_log_again;
use crate::copy::applier::with_causes;
use crate::lifecycle::folders::{remove_dir, remove_file};
use crate::replicate::halt::Halt;

/// How long a copy whose entry is too old waits for another one before it looks again.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

impl CopyHolder {
    /// Returns what the folder is of: what was `held`, or the entry's history, where that begins with these files. That is
    /// noted before the copy is opened.
    pub(super) async fn claim_history(
        &self,
        copy: CopyId,
        entry: &Entry,
        held: Option<HeldCopy>,
    ) -> Result<Option<HeldCopy>, Halt> {
        let Some(own) = held.filter(|held| held.copy == copy) else {
            return Ok(held);
        };
        if HeldRecords::of(entry, copy, own.history) != HeldRecords::Adopted {
            return Ok(held);
        }
        let (shard, history) = (self.key, entry.history);
        tracing::warn!(
            %shard, %copy, from = %own.history, to = %history,
            "an operator has another history begin with the files of this copy: what others hold beyond them is lost"
        );
        let (folders, adopted) = (self.leaf.node.folders(shard), HeldCopy { copy, history });
        blocking(move || {
            // It was about to be made anew from a copy that is given up.
            remove_dir(&folders.incoming)?;
            remove_file(&folders.suspect)?;
            note_copy(&folders, adopted)
        })
        .await?;
        Ok(Some(adopted))
    }

    /// Refuses an entry that is older than one that the copy has seen. Its files stay as they are, whatever that entry says of
    /// them.
    pub(super) async fn check_version(&self, entry: &Entry) -> Result<(), Halt> {
        let agreement = self.leaf.node.log.agreement(self.key);
        // A log that cannot be read tells nothing.
        let seen = agreement.map_or(0, |agreement| agreement.entry_version);
        if entry.version >= seen {
            return Ok(());
        }
        let version = entry.version;
        let told = format!(
            "the shard's entry is at version {version}, and this copy has seen {seen}: was a backup of etcd restored? \
             `gleaner cluster recover` writes entries by what nodes hold"
        );
        if self.opening.progress() != told {
            tracing::error!(shard = %self.key, seen, version, "the shard's entry is older than what this copy has seen; it is not opened");
            self.opening.tell(told.clone());
        }
        let mut table = self.hub.watch();
        table.mark_unchanged();
        let changed = tokio::time::timeout(LOOK_AGAIN, table.changed());
        self.until_closed(changed).await.map(drop)?;
        Err(Halt::Later(told))
    }

    /// Takes the commit, which holds all before `committed`, for all there is, where an operator has accepted that the log is
    /// gone or ends before it.
    pub(super) async fn accept_end(
        &self,
        stored: &StoredEntry,
        committed: SeqNo,
    ) -> Result<(), Halt> {
        let (entry, log) = (&stored.entry, &self.leaf.node.log);
        let own = self.hub.own_copy(entry);
        if !own.is_some_and(|own| awaits(entry, own)) {
            return Ok(());
        }
        let tail = log.tail(self.key).await;
        let tail = tail.map_err(|error| Halt::Broken(with_causes(&error)))?;
        if tail.map_or(SeqNo(0), SeqNo::next) >= committed {
            return Ok(());
        }
        let begun = begin_log_again(&**log, self.key, entry, None, committed).await;
        begun.map_err(|error| Halt::later(&error))
    }
}

/// Returns whether an operator has named the copy, and it has not been opened since: what it lacks is accepted.
pub(super) fn awaits(entry: &Entry, copy: CopyId) -> bool {
    entry.primary == copy && entry.awaits_opening()
}
