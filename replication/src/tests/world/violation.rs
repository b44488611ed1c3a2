//! What must hold in every state: the invariants I1 to I6, and I19 where a primary's node is alive.

use std::sync::Arc;

use gleaner_model::{PrimaryTerm, SeqNo};

use super::{NUM_COPIES, Record, World, copy_id, index_of};
use crate::{Change, Proposal, Report};

/// What has happened, for the invariants. No copy knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Ghost {
    /// All records ever ordered, with their positions.
    ordered: Vec<(usize, Record)>,
    /// Who has led each term.
    leaders: Vec<(PrimaryTerm, usize)>,
    /// What any copy has known to be agreed.
    agreed: Vec<Record>,
    /// How much of it was acknowledged.
    acknowledged: usize,
}

/// A broken invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Violation {
    /// I1: two copies lead one term, or two records have one position and term.
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
        at: usize,
        term: PrimaryTerm,
    ) -> Result<Record, Violation> {
        let ghost = Arc::make_mut(&mut self.ghost);
        if ghost
            .ordered
            .iter()
            .any(|(place, record)| *place == at && record.term == term)
        {
            return Err(Violation::TwoWriters(term));
        }
        let value = ghost.ordered.len() as u8;
        let record = Record { term, value };
        ghost.ordered.push((at, record));
        Ok(record)
    }

    pub(super) fn note_lead(&mut self, copy: usize, term: PrimaryTerm) -> Result<(), Violation> {
        let ghost = Arc::make_mut(&mut self.ghost);
        if ghost.leaders.iter().any(|(led, _)| *led == term) {
            return Err(Violation::TwoWriters(term));
        }
        ghost.leaders.push((term, copy));
        Ok(())
    }

    /// A copy knows more to be agreed: it is what others know. A primary acknowledges it.
    pub(super) fn note_agreed(&mut self, copy: usize, to: SeqNo) -> Result<(), Violation> {
        let to = to.0 as usize;
        let Some(own) = self.sites[copy].disk.log.get(..to).map(<[Record]>::to_vec) else {
            return Err(Violation::AgreedChanged(copy));
        };
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

    /// Looks at a change that the store has just made. `primary` was the primary before.
    pub(super) fn check_change(
        &self,
        proposal: &Proposal,
        primary: usize,
    ) -> Result<(), Violation> {
        if self.store.entry.in_sync.len() < self.settings.min_in_sync {
            return Err(Violation::TooFewInSync);
        }
        match proposal.change {
            Change::TakeOver { copy, .. } if self.store.alive[primary].is_some() => {
                Err(Violation::TakenFromTheLiving(index_of(copy)))
            }
            _ => Ok(()),
        }
    }

    fn check_agreed(&self, copy: usize) -> Result<(), Violation> {
        let site = &self.sites[copy];
        let Some(machine) = &site.copy else {
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
        let (log, other_log) = (&self.sites[one].disk.log, &self.sites[other].disk.log);
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
