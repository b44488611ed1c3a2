//! Three copies, their disks, their streams, and a store: the state that the explorer explores.
//!
//! Copies are the real machines. A disk loses on a crash what it has not synced. A stream keeps order and
//! drops what is under way when it is cut. The store makes a change at any time after it was asked for,
//! and its answer may be lost, late or doubled. Faults are bounded by a [`Budget`].

mod action;
mod beginning;
mod driver;
mod perform;
mod store;
mod violation;

use std::sync::Arc;

use gleaner_model::{CopyId, HistoryId, Incarnation, NodeUuid, PrimaryTerm, Revision, SeqNo};

use crate::machine::Role;
use crate::message::{FromFollower, FromPrimary};
use crate::settings::{Rule, Settings};
use crate::{Event, HeldRecords, Identity, LogState, Moment, ShardCopy, TermTable};

pub(super) use action::Action;
pub(super) use beginning::{Beginning, Past, timeless};
pub(super) use store::{Store, StoreRequest};
pub(super) use violation::{Ghost, Violation};

/// Copies of the shard.
pub(super) const NUM_COPIES: usize = 3;

/// A record: the term that ordered it, and what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Record {
    pub(super) term: PrimaryTerm,
    pub(super) value: u8,
}

/// What a log was asked to do and has not made durable.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum DiskWrite {
    Append(Record),
    Fence(PrimaryTerm),
    Truncate(SeqNo),
}

/// A copy's disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Disk {
    pub(super) history: HistoryId,
    pub(super) log: Vec<Record>,
    pub(super) fence: PrimaryTerm,
    pub(super) agreed: SeqNo,
    pub(super) queued: Vec<DiskWrite>,
}

/// A leaf with its copy.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Site {
    pub(super) disk: Disk,
    /// `None` while the process is down.
    pub(super) copy: Option<ShardCopy>,
    pub(super) has_failed: bool,
    /// Which process runs, or ran last.
    pub(super) incarnation: u8,
    /// Whom the copy wants to follow.
    pub(super) follows: Option<usize>,
    /// What the process has heard of the store.
    pub(super) heard: Revision,
    pub(super) heard_alive: [bool; NUM_COPIES],
}

/// The stream from a follower to a primary.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Link {
    pub(super) to: usize,
    pub(super) up: Vec<FromFollower>,
    pub(super) down: Vec<FromPrimary>,
}

/// What may still go wrong, and how much may still be written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct Budget {
    pub(super) writes: u8,
    /// Processes that end; the last [`Budget::losses`] of them may lose what is not synced.
    pub(super) crashes: u8,
    pub(super) losses: u8,
    /// Answers of the store that are lost or late.
    pub(super) unknowns: u8,
    /// Answers that come twice.
    pub(super) doubles: u8,
    /// Leases of living nodes that end.
    pub(super) suspicions: u8,
    /// Streams that end.
    pub(super) cuts: u8,
    pub(super) hand_overs: u8,
    /// Logs that cannot make anything durable any more, until their process starts again.
    pub(super) log_failures: u8,
    /// Pauses that pass: an unknown outcome is touched, a refused take-over is tried again.
    pub(super) retries: u8,
    /// Reads of the store that bring an entry which is not the newest.
    pub(super) stale_reads: u8,
    /// Histories that an operator begins.
    pub(super) forces: u8,
}

/// One state of everything.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) sites: [Arc<Site>; NUM_COPIES],
    /// By follower.
    pub(super) links: [Arc<Option<Link>>; NUM_COPIES],
    pub(super) store: Arc<Store>,
    pub(super) ghost: Arc<Ghost>,
    pub(super) budget: Budget,
    pub(super) settings: Settings,
}

pub(crate) fn copy_id(copy: usize) -> CopyId {
    CopyId([copy as u8; 16])
}

pub(crate) fn node(copy: usize) -> NodeUuid {
    NodeUuid([copy as u8; 16])
}

pub(super) fn index_of(copy: CopyId) -> usize {
    usize::from(copy.0[0])
}

impl World {
    /// Starts a process on what the disk holds.
    pub(super) fn open(&mut self, copy: usize) {
        if !self.settings.omits(Rule::HistoryIsCompared) {
            self.claim(copy);
        }
        let settings = self.settings;
        let site = Arc::make_mut(&mut self.sites[copy]);
        site.incarnation += 1;
        site.has_failed = false;
        let incarnation = incarnation(site.incarnation);
        let mut terms = TermTable::default();
        for (next, record) in (1..).zip(&site.disk.log) {
            terms
                .append(record.term, SeqNo(next))
                .expect("a log is in order");
        }
        let identity = Identity {
            copy: copy_id(copy),
            node: node(copy),
            incarnation,
        };
        let log = LogState {
            history: site.disk.history,
            fence: site.disk.fence,
            terms,
            agreed: site.disk.agreed,
            seen_version: 0,
        };
        site.copy = Some(ShardCopy::open(identity, settings, log, Moment::default()));
        site.heard = Revision(0);
        site.heard_alive = [true; NUM_COPIES];
        Arc::make_mut(&mut self.store).alive[copy] = Some(incarnation);
    }

    /// Sees to it that what the disk holds is of the history that the store names.
    fn claim(&mut self, copy: usize) {
        let (id, held) = (copy_id(copy), self.sites[copy].disk.history);
        let history = self.store.entry.history;
        match HeldRecords::of(&self.store.entry, id, held) {
            HeldRecords::Kept => {}
            HeldRecords::Adopted => self.begin_history(copy),
            HeldRecords::GivenUp => {
                let empty = Disk {
                    history,
                    ..Disk::default()
                };
                Arc::make_mut(&mut self.sites[copy]).disk = empty;
            }
        }
    }

    /// The history of the store begins with what this copy holds.
    pub(super) fn begin_history(&mut self, copy: usize) {
        let history = self.store.entry.history;
        let disk = &mut Arc::make_mut(&mut self.sites[copy]).disk;
        disk.history = history;
        let agreed = disk.log[..disk.agreed.0 as usize].to_vec();
        Arc::make_mut(&mut self.ghost).begin_history(agreed);
    }

    pub(super) fn is_up(&self, copy: usize) -> bool {
        self.sites[copy].copy.is_some()
    }
}

fn incarnation(number: u8) -> Incarnation {
    Incarnation([number; 16])
}

/// What tests look at.
impl ShardCopy {
    /// Returns the required set of a primary.
    pub(crate) fn required(&self) -> Option<&std::collections::BTreeSet<CopyId>> {
        match &self.role {
            Role::Primary(primary) => Some(primary.required()),
            Role::Follower(_) => None,
        }
    }

    /// Returns whether time alone changes nothing until `now`.
    pub(crate) fn is_idle_at(&self, now: Moment) -> bool {
        let mut later = self.clone();
        later.handle(now, Event::Tick).is_empty() && later == *self
    }
}
