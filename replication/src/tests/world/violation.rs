//! What must hold in every state: the invariants I1 to I6, and I19 where a primary's node is alive.

use std::sync::Arc;

use gleaner_model::{Entry, HistoryId, PrimaryTerm, SeqNo};

use super::{NUM_COPIES, Record, World, copy_id, index_of};
use crate::{Change, Proposal, Report};

/// What has happened, for the invariants. No copy knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Ghost {
    /// All records ever ordered, with their histories and positions.
    ordered: Vec<(HistoryId, usize, Record)>,
    /// Who has led each term of each history.
    leaders: Vec<(HistoryId, PrimaryTerm, usize)>,
    /// What any copy of the newest history has known to be agreed.
    agreed: Vec<Record>,
    /// How much of it was acknowledged.
    acknowledged: usize,
}

impl Ghost {
    /// Another history begins: what counts is what the copy that begins it knows to be agreed.
    pub(super) fn begin_history(&mut self, agreed: Vec<Record>) {
        self.agreed = agreed;
        self.acknowledged = 0;
    }
}

/// A broken invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Violation {
    /// I1: two copies lead one term of a history, or two records have one position and term.
    TwoWriters(PrimaryTerm),
    /// I2: two logs have one term at a position and differ before it.
    LogsDiffer(usize, usize),
    /// I3: what was agreed is another record on this copy.
    AgreedChanged(usize),
    /// I4: this copy is in sync and lacks what was acknowledged.
    AcknowledgedLost(usize),
    /// I5: this primary does not require all of the in-sync set.
    NotRequired(usize),
    /// I6: the in-sync set fell below its bound.
    TooFewInSync,
    /// I19: a copy took over from a node that is alive.
    TakenFromTheLiving(usize),
    /// A copy says that its log is not what it should be, and no disk had a fault.
    Reported(usize, Report),
    /// I18: a copy needs files, and no log was trimmed.
    FilesNeeded(usize),
}

impl World {
    /// Returns how many writes were acknowledged.
    pub(crate) fn num_acknowledged(&self) -> usize {
        self.ghost.acknowledged
    }

    /// Returns how many terms were led.
    pub(crate) fn num_terms(&self) -> usize {
        self.ghost.leaders.len()
    }

    /// Notes that a record is ordered at a position, and returns it.
    pub(super) fn note_ordered(
        &mut self,
        history: HistoryId,
        at: usize,
        term: PrimaryTerm,
    ) -> Result<Record, Violation> {
        let ghost = Arc::make_mut(&mut self.ghost);
        let is_same = |(other, place, record): &(HistoryId, usize, Record)| {
            (*other, *place, record.term) == (history, at, term)
        };
        if ghost.ordered.iter().any(is_same) {
            return Err(Violation::TwoWriters(term));
        }
        let value = ghost.ordered.len() as u8;
        let record = Record { term, value };
        ghost.ordered.push((history, at, record));
        Ok(record)
    }

    pub(super) fn note_lead(&mut self, copy: usize, term: PrimaryTerm) -> Result<(), Violation> {
        let history = self.sites[copy].disk.history;
        let ghost = Arc::make_mut(&mut self.ghost);
        let is_same =
            |(other, led, _): &(HistoryId, PrimaryTerm, usize)| (*other, *led) == (history, term);
        if ghost.leaders.iter().any(is_same) {
            return Err(Violation::TwoWriters(term));
        }
        ghost.leaders.push((history, term, copy));
        Ok(())
    }

    /// A copy knows more to be agreed: it is what others know. A primary acknowledges it.
    pub(super) fn note_agreed(&mut self, copy: usize, to: SeqNo) -> Result<(), Violation> {
        let to = to.0 as usize;
        let Some(own) = self.sites[copy].disk.log.get(..to).map(<[Record]>::to_vec) else {
            return Err(Violation::AgreedChanged(copy));
        };
        if !self.is_of_newest_history(copy) {
            return Ok(());
        }
        let leads = self.sites[copy]
            .copy
            .as_ref()
            .is_some_and(|copy| copy.leads().is_some());
        let ghost = Arc::make_mut(&mut self.ghost);
        let shared = to.min(ghost.agreed.len());
        if own[..shared] != ghost.agreed[..shared] {
            return Err(Violation::AgreedChanged(copy));
        }
        ghost.agreed.extend_from_slice(&own[shared..]);
        if leads {
            ghost.acknowledged = ghost.acknowledged.max(to);
        }
        Ok(())
    }

    /// Looks at a state.
    pub(super) fn check(&self) -> Result<(), Violation> {
        for copy in 0..NUM_COPIES {
            self.check_agreed(copy)?;
            self.check_acknowledged(copy)?;
            self.check_required(copy)?;
            for other in 0..copy {
                self.check_alike(copy, other)?;
            }
        }
        Ok(())
    }

    /// Returns whether what a copy holds is of the history that the store names. What becomes of others is accepted.
    fn is_of_newest_history(&self, copy: usize) -> bool {
        self.sites[copy].disk.history == self.store.entry.history
    }

    /// Looks at a change that the store has just made of the entry `before`.
    pub(super) fn check_change(
        &self,
        proposal: &Proposal,
        before: &Entry,
    ) -> Result<(), Violation> {
        let (num_before, num) = (before.in_sync.len(), self.store.entry.in_sync.len());
        if num < self.settings.min_in_sync.min(num_before) {
            return Err(Violation::TooFewInSync);
        }
        match proposal.change {
            Change::TakeOver { copy, .. }
                if self.store.alive[index_of(before.primary)].is_some() =>
            {
                Err(Violation::TakenFromTheLiving(index_of(copy)))
            }
            _ => Ok(()),
        }
    }

    fn check_agreed(&self, copy: usize) -> Result<(), Violation> {
        let site = &self.sites[copy];
        let Some(machine) = site
            .copy
            .as_ref()
            .filter(|_| self.is_of_newest_history(copy))
        else {
            return Ok(());
        };
        let agreed = machine.agreed().0 as usize;
        let (own, all) = (site.disk.log.get(..agreed), self.ghost.agreed.get(..agreed));
        if own.is_some() && own == all {
            Ok(())
        } else {
            Err(Violation::AgreedChanged(copy))
        }
    }

    fn check_acknowledged(&self, copy: usize) -> Result<(), Violation> {
        let is_member = self.store.entry.in_sync.contains(&copy_id(copy));
        let acknowledged = self.ghost.acknowledged;
        let own = self.sites[copy].disk.log.get(..acknowledged);
        let has_all = own == Some(&self.ghost.agreed[..acknowledged]);
        if is_member && !has_all {
            Err(Violation::AcknowledgedLost(copy))
        } else {
            Ok(())
        }
    }

    fn check_required(&self, copy: usize) -> Result<(), Violation> {
        let entry = &self.store.entry;
        let Some(required) = self.sites[copy]
            .copy
            .as_ref()
            .and_then(|copy| copy.required())
        else {
            return Ok(());
        };
        let leads = self.sites[copy]
            .copy
            .as_ref()
            .and_then(crate::ShardCopy::leads);
        let is_current = entry.primary == copy_id(copy) && leads == Some(entry.term);
        let is_covered = entry.in_sync.is_subset(required);
        if is_current && !is_covered {
            Err(Violation::NotRequired(copy))
        } else {
            Ok(())
        }
    }

    fn check_alike(&self, one: usize, other: usize) -> Result<(), Violation> {
        let (disk, other_disk) = (&self.sites[one].disk, &self.sites[other].disk);
        if disk.history != other_disk.history {
            return Ok(());
        }
        let (log, other_log) = (&disk.log, &other_disk.log);
        let mut pairs = log.iter().zip(other_log);
        let last = pairs.rposition(|(record, other)| record.term == other.term);
        let shared = last.map_or(0, |last| last + 1);
        if log[..shared] == other_log[..shared] {
            Ok(())
        } else {
            Err(Violation::LogsDiffer(one, other))
        }
    }
}
