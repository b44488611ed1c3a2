//! Whether the folder that a node has is that of the copy which the entry names, and what becomes of one that is not.
//!
//! A copy that lacks what its entry says it has is not opened while it counts as in sync: it could become primary.

use gleaner_coordinator::entries::StoredEntry;
use gleaner_log::{LogError, LogStart};
use gleaner_model::CopyId;

use super::history::awaits;
use super::holding::{CopyHolder, blocking};
use super::identity::{HeldCopy, held_copy, note_copy};
use super::remembering::leaving;
use crate::copy::applier::with_causes;
use crate::replicate::halt::Halt;
use crate::rules::Rule;

impl CopyHolder {
    /// Sees to it that the folder is that of the copy, and of the entry's history. One of another copy or history is given
    /// up: the entry does not name it any more.
    pub(super) async fn claim_folder(
        &self,
        copy: CopyId,
        stored: &StoredEntry,
    ) -> Result<HeldCopy, Halt> {
        let (entry, history) = (&stored.entry, stored.entry.history);
        let named = HeldCopy { copy, history };
        self.check_version(entry).await?;
        let folders = self.leaf.node.folders(self.key);
        let found = folders.clone();
        let is_new = entry.begins_empty(copy)
            || !entry.in_sync.contains(&copy)
            || self.leaf.node.omits(Rule::LostIsNotInSync);
        let held = blocking(move || held_copy(&found)).await?;
        let held = self.claim_history(copy, entry, held).await?;
        if held.is_some_and(|held| held != named) {
            if !entry.begins_empty(copy) {
                let reason = "its folder is of another copy of the shard, or of another history";
                return Err(self.forgotten(stored, reason.to_owned()).await);
            }
            tracing::warn!(shard = %self.key, %copy, %history, "the files of an earlier copy or history are removed");
            self.remove_log().await?;
            let removing = folders.clone();
            blocking(move || removing.remove()).await?;
        }
        let tail = match self.leaf.node.log.tail(self.key).await {
            Ok(tail) => tail,
            Err(LogError::Corrupt { .. }) if awaits(entry, copy) => {
                self.remove_log().await?;
                None
            }
            Err(damage @ LogError::Corrupt { .. }) => {
                return self.take_damaged_log(stored, named, &damage).await;
            }
            Err(error) => return Err(Halt::Broken(with_causes(&error))),
        };
        let found = folders.clone();
        let has_files = blocking(move || Ok(found.copy.exists())).await?;
        if held == Some(named) && (has_files || entry.begins_empty(copy)) {
            return Ok(named);
        }
        // Where it was not noted what a folder is of, it is of the first history.
        let is_empty = (!has_files && tail.is_none()) || (held.is_none() && !history.is_first());
        if (is_empty || held.is_some()) && !is_new {
            // It would pass for one that has all that was acknowledged.
            return Err(self.lost(stored).await);
        }
        blocking(move || note_copy(&folders, named)).await?;
        Ok(named)
    }

    /// Removes the log; what is damaged is put aside.
    async fn remove_log(&self) -> Result<(), Halt> {
        let log = &self.leaf.node.log;
        let removed = match log.tail(self.key).await {
            Err(LogError::Corrupt { .. }) => log.begin_at(self.key, LogStart::FIRST).await,
            _ => log.remove(self.key).await,
        };
        removed.map_err(|error| Halt::Broken(with_causes(&error)))
    }

    /// A damaged log is of no use to its copy: one that is not in sync is made anew, and its log is put aside then.
    async fn take_damaged_log(
        &self,
        stored: &StoredEntry,
        named: HeldCopy,
        damage: &LogError,
    ) -> Result<HeldCopy, Halt> {
        let folders = self.leaf.node.folders(self.key);
        if folders.incoming.exists() && !stored.entry.in_sync.contains(&named.copy) {
            blocking(move || note_copy(&folders, named)).await?;
            return Ok(named);
        }
        let reason = with_causes(damage);
        self.leaf.note_damage(self.key, &reason);
        Err(self.forgotten(stored, reason).await)
    }

    /// Waits until a copy that lacks what it should hold is not in sync any more: it gives its role away, and the
    /// primary takes out who does not join.
    pub(super) async fn wait_for_leave(
        &self,
        stored: &StoredEntry,
        copy: CopyId,
    ) -> Result<(), Halt> {
        if !stored.entry.in_sync.contains(&copy) {
            return Ok(());
        }
        self.leave_to_others().await;
        Err(Halt::Later(
            "its files are lost or damaged, and it waits until the shard's entry does not count it as in sync; \
             where no other copy is, put its folder back"
                .to_owned(),
        ))
    }

    /// Returns what follows `damage` that does not mend itself: the copy is made anew once its entry does not count it as in
    /// sync. Until then it keeps what it has, and is opened again later: the others may be damaged too.
    pub(super) async fn damaged(&self, damage: String) -> Halt {
        let Ok(stored) = self.stored().await else {
            return Halt::Broken(damage);
        };
        match self.hub.own_copy(&stored.entry) {
            Some(own) if !stored.entry.in_sync.contains(&own) => {
                self.begin_anew(&stored, own, damage).await
            }
            _ => Halt::Broken(damage),
        }
    }

    /// Gives the role of a primary that cannot be opened to a copy in sync whose node is alive.
    pub(super) async fn leave_to_others(&self) {
        let Ok(stored) = self.stored().await else {
            return;
        };
        let primary = stored.entry.primary;
        if self.hub.own_copy(&stored.entry) != Some(primary) {
            return;
        }
        if let Some(change) = leaving(&stored.entry, primary, &self.hub.table()) {
            // Whatever becomes of it, the next attempt to open the copy reads the entry.
            drop(self.changed(&stored, &change).await);
        }
    }
}
