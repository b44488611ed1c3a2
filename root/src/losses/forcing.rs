//! An operator has a copy lead a shard that may lack what was acknowledged, or an empty one.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat};
use gleaner_coordinator::CoordinatorError;
use gleaner_coordinator::entries::{EntryChange, EntryOutcome};
use gleaner_model::{CopyId, Entry, HistoryId, SeqNo};
use gleaner_replication::Change;

use super::{CopyTold, Losses, ShardCopies, refused};
use crate::RootError;

/// Which copy is to lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForcedCopy {
    /// The one on the node, with what it holds.
    Stale,
    /// A new one on the node, which holds nothing.
    Empty,
}

impl ForcedCopy {
    /// Returns the name of the command in the dialect.
    pub fn command(self) -> &'static str {
        match self {
            Self::Stale => "allocate_stale_primary",
            Self::Empty => "allocate_empty_primary",
        }
    }
}

/// What an operator asks for.
#[derive(Debug, Clone)]
pub struct Forcing {
    /// Which copy.
    pub copy: ForcedCopy,
    /// The index.
    pub index: String,
    /// The number of the shard.
    pub shard: u32,
    /// The name of the node.
    pub node: String,
    /// Whether he accepts that what was acknowledged may be lost.
    pub accepts_loss: bool,
}

/// What becomes of a shard, checked and not made yet.
#[derive(Debug, Clone)]
pub struct Forced {
    /// What was asked for.
    pub asked: Forcing,
    /// The copies as they are.
    pub copies: ShardCopies,
    /// The entry that is to be in force.
    pub entry: Entry,
    /// What is lost, in words.
    pub loss: Loss,
}

/// What is lost: operations from a position on, as far as anybody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// Position of the first one.
    pub from: SeqNo,
    /// Position after the last one that is known of.
    pub until: SeqNo,
    /// When the last one was noted, in milliseconds since the epoch.
    pub noted_ms: Option<i64>,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, until, .. } = self;
        let Some(last) = until.0.checked_sub(1).filter(|last| *last >= from.0) else {
            return write!(
                f,
                "nothing that is known of; what was acknowledged from operation {from} on"
            );
        };
        let number = until.0 - from.0;
        write!(f, "operations {from} to {last}, {number} in all")?;
        let noted = self.noted_ms.and_then(DateTime::from_timestamp_millis);
        match noted.map(|noted| noted.to_rfc3339_opts(SecondsFormat::Secs, true)) {
            Some(noted) => write!(f, ", acknowledged until {noted}, and what came after"),
            None => write!(f, ", and what came after"),
        }
    }
}

impl Losses<'_> {
    /// Checks what an operator asks for, and returns what would become of the shard.
    ///
    /// # Errors
    /// [`RootError::IndexNotFound`], an `illegal_argument_exception` that says why not, [`RootError::Coordinator`].
    pub async fn check(&self, asked: Forcing) -> Result<Forced, RootError> {
        let Forcing { index, shard, .. } = &asked;
        let state = self.cluster.coordinator.latest().await?;
        let meta = state.index_named(index);
        let meta = meta.ok_or_else(|| RootError::IndexNotFound(index.clone()))?;
        let key = meta.shards().find(|key| key.shard.0 == *shard);
        let key = key.ok_or_else(|| {
            let number = meta.settings.number_of_shards;
            refused(format!(
                "no shard [{shard}] in [{index}], which has [{number}]"
            ))
        })?;
        let copies = self.copies(key).await?.ok_or_else(|| {
            refused(format!(
                "[{index}][{shard}] is in one process, which has its only copy: there is none to choose"
            ))
        })?;
        let copy = chosen(&asked, &copies)?;
        require_loss(&asked, &copies)?;
        require_consent(&asked)?;
        let change = change_of(asked.copy, copy)?;
        let applied = change.apply(Some(copies.entry()), 1);
        let entry = applied.map_err(|refusal| refused(refusal.to_string()))?;
        let entry = entry.ok_or_else(|| refused("the shard is deleted".to_owned()))?;
        let (until, noted_ms) = copies.known();
        let from = match asked.copy {
            ForcedCopy::Stale => copy.next(),
            ForcedCopy::Empty => SeqNo(0),
        };
        let loss = Loss {
            from,
            until,
            noted_ms,
        };
        Ok(Forced {
            asked,
            copies,
            entry,
            loss,
        })
    }

    /// Has the copy lead, and says so in the log.
    ///
    /// # Errors
    /// [`RootError::Coordinator`]: the entry has changed meanwhile, or nobody knows whether it was changed.
    pub async fn carry_out(&self, forced: &Forced) -> Result<(), RootError> {
        let unavailable = |reason: String| CoordinatorError::Unavailable { reason };
        let entries = self.cluster.coordinator.entries();
        let entries = entries.ok_or_else(|| unavailable("there are no entries".to_owned()))?;
        let Forced {
            asked,
            copies,
            entry,
            loss,
        } = forced;
        tracing::warn!(
            index = asked.index,
            shard = asked.shard,
            node = asked.node,
            command = asked.copy.command(),
            history = %entry.history,
            %loss,
            "an operator accepts that acknowledged operations are lost, and has another history begin"
        );
        let change = EntryChange {
            shard: copies.shard,
            expected: copies.stored.revision,
            entry: Arc::new(entry.clone()),
            guard: None,
        };
        let reason = match entries.change(change).await {
            EntryOutcome::Made { .. } => return Ok(()),
            EntryOutcome::Refused(_) => "the shard's entry has changed meanwhile".to_owned(),
            EntryOutcome::Gone => "the shard was deleted meanwhile".to_owned(),
            EntryOutcome::Unknown { reason } => {
                format!("it is not known whether the shard's entry was changed: {reason}")
            }
        };
        Err(unavailable(format!("{reason}; look again")).into())
    }
}

fn change_of(kind: ForcedCopy, told: &CopyTold) -> Result<Change, RootError> {
    let history = HistoryId(rand::random());
    match (kind, told.copy) {
        (ForcedCopy::Stale, Some(copy)) => Ok(Change::Force { copy, history }),
        (ForcedCopy::Stale, None) => Err(refused(format!(
            "what [{}] holds is of no copy of the shard that there still is: [allocate_empty_primary] begins with nothing",
            told.called()
        ))),
        (ForcedCopy::Empty, _) => Ok(Change::ForceEmpty {
            copy: CopyId(rand::random()),
            node: told.node,
            history,
        }),
    }
}

/// Returns the copy on the node that is named, which must be able to begin.
fn chosen<'a>(asked: &Forcing, copies: &'a ShardCopies) -> Result<&'a CopyTold, RootError> {
    let Forcing {
        copy: kind,
        index,
        shard,
        node,
        ..
    } = asked;
    let is_named = |copy: &&CopyTold| copy.name.as_ref().is_some_and(|name| *name.0 == **node);
    let copy = copies.copies.iter().find(is_named).ok_or_else(|| {
        let held = copies.copies.iter().map(CopyTold::called);
        let held = held.collect::<Vec<_>>().join("], [");
        refused(format!(
            "[{node}] holds no copy of [{index}][{shard}]: its copies are on [{held}]"
        ))
    })?;
    if !copy.is_alive {
        let reason = format!("[{node}] is not alive: start it first, or name another node");
        return Err(refused(reason));
    }
    if let Some(silence) = &copy.silence {
        return Err(refused(format!(
            "[{node}] does not tell what it holds of [{index}][{shard}]: {silence}"
        )));
    }
    if *kind == ForcedCopy::Stale && copy.disk.is_none() {
        return Err(refused(format!(
            "No data for shard [{shard}] of index [{index}] found on node [{node}]: [allocate_empty_primary] begins with \
             nothing"
        )));
    }
    Ok(copy)
}

/// Refuses while nothing is lost: a copy in sync is whole, or nobody can tell yet.
fn require_loss(asked: &Forcing, copies: &ShardCopies) -> Result<(), RootError> {
    let Forcing { index, shard, .. } = asked;
    for copy in copies.copies.iter().filter(|copy| copy.is_in_sync) {
        let node = copy.called();
        if let Some(silence) = copy.silence.as_ref().filter(|_| copy.is_alive) {
            return Err(refused(format!(
                "the copy of [{index}][{shard}] on [{node}] is in sync, and the node is alive but does not tell what it \
                 holds: {silence}; stop the node where it is beyond help"
            )));
        }
        if copy.lack(copies.entry()).is_none() {
            return Err(refused(format!(
                "primary [{index}][{shard}] is not lost: the copy on [{node}] is in sync, its node is alive, and it holds \
                 all that was acknowledged"
            )));
        }
    }
    Ok(())
}

fn require_consent(asked: &Forcing) -> Result<(), RootError> {
    let Forcing { index, shard, .. } = asked;
    if asked.accepts_loss {
        return Ok(());
    }
    let what = match asked.copy {
        ForcedCopy::Stale => "allocating an existing copy as primary",
        ForcedCopy::Empty => "allocating an empty primary",
    };
    Err(refused(format!(
        "{what} for [{index}][{shard}] can result in data loss. Please confirm by setting the accept_data_loss parameter to \
         true"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_told_by_its_operations_and_until_when_they_were_acknowledged() {
        let loss = |from, until, noted_ms| {
            let (from, until) = (SeqNo(from), SeqNo(until));
            let loss = Loss {
                from,
                until,
                noted_ms,
            };
            loss.to_string()
        };
        let told = loss(500, 1000, Some(0));
        assert_eq!(
            told,
            "operations 500 to 999, 500 in all, acknowledged until 1970-01-01T00:00:00Z, and what came after"
        );
        assert_eq!(
            loss(0, 1, None),
            "operations 0 to 0, 1 in all, and what came after"
        );
        assert!(loss(7, 7, None).starts_with("nothing that is known of"));
    }
}
