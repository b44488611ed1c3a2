//! Three copies, their disks, their streams, and a store: the state that the explorer explores.
//!
//! Copies are the real machines. A disk loses on a crash what it has not synced. A stream keeps order and
//! drops what is under way when it is cut. The store makes a change at any time after it was asked for,
//! and its answer may be lost, late or doubled. Faults are bounded by a [`Budget`].

mod action;
mod driver;
mod perform;
mod store;
mod violation;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gleaner_model::{CopyId, CopyMeta, Entry, Incarnation, NodeUuid, PrimaryTerm, Revision, SeqNo};

use crate::machine::Role;
use crate::message::{FromFollower, FromPrimary};
use crate::settings::Settings;
use crate::{Event, Identity, LogState, Moment, ShardCopy, TermTable};

pub(super) use action::Action;
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
}

/// A budget for preludes.
const ANYTHING: Budget = Budget {
    writes: 9,
    crashes: 9,
    losses: 9,
    unknowns: 9,
    doubles: 9,
    suspicions: 9,
    cuts: 9,
    hand_overs: 9,
    log_failures: 9,
    retries: 9,
    stale_reads: 9,
};

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

/// How a world begins.
#[derive(Debug, Clone)]
pub(super) struct Beginning {
    pub(super) settings: Settings,
    /// What has happened before faults are explored.
    pub(super) prelude: Vec<Past>,
    pub(super) budget: Budget,
}

/// A part of what has happened.
#[derive(Debug, Clone, Copy)]
pub(super) enum Past {
    Did(Action),
    /// All that needs no fault was done, in a fixed order, until nothing was left to do.
    Settled,
}

/// Returns settings under which time decides nothing: whatever is late is late at once or never, as the
/// explorer says.
pub(super) fn timeless() -> Settings {
    let never = Duration::from_secs(1 << 30);
    Settings {
        min_in_sync: 1,
        reconnect_patience: Duration::ZERO,
        join_patience: never,
        beat_patience: never,
        sync_patience: never,
        catch_up: never,
        copy_right: Duration::ZERO,
        rank_delay: Duration::ZERO,
        hand_over_patience: never,
        retry_pause: driver::PAUSE,
        ..Settings::default()
    }
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
    /// Returns a world in which the first copy leads term 1, all are in sync, and what the prelude says
    /// has happened.
    pub(super) fn begin(beginning: &Beginning) -> Self {
        let mut world = Self::new(Settings {
            omitted: None,
            ..beginning.settings
        });
        (0..NUM_COPIES).for_each(|copy| world.open(copy));
        world.settle();
        world.set(beginning.settings);
        for past in &beginning.prelude {
            world.budget = ANYTHING;
            match past {
                Past::Settled => world.settle(),
                Past::Did(action) => {
                    // A planted error may leave an action of the prelude out.
                    let is_possible = world.actions().contains(action);
                    assert!(
                        is_possible || world.settings.omitted.is_some(),
                        "{action:?}"
                    );
                    if is_possible {
                        world.perform(*action).expect("a prelude breaks nothing");
                    }
                }
            }
        }
        world.budget = beginning.budget;
        world
    }

    fn new(settings: Settings) -> Self {
        let copies: BTreeMap<_, _> = (0..NUM_COPIES)
            .map(|copy| (copy_id(copy), CopyMeta::on(node(copy))))
            .collect();
        let entry = Entry {
            version: 1,
            term: PrimaryTerm(0),
            forced: Vec::new(),
            primary: copy_id(0),
            in_sync: copies.keys().copied().collect(),
            copies,
            other: serde_json::Map::new(),
        };
        let site = Site {
            disk: Disk::default(),
            copy: None,
            has_failed: false,
            incarnation: 0,
            follows: None,
            heard: Revision(0),
            heard_alive: [true; NUM_COPIES],
        };
        Self {
            sites: std::array::from_fn(|_| Arc::new(site.clone())),
            links: std::array::from_fn(|_| Arc::new(None)),
            store: Arc::new(Store::new(entry)),
            ghost: Arc::new(Ghost::default()),
            budget: Budget::default(),
            settings,
        }
    }

    fn set(&mut self, settings: Settings) {
        self.settings = settings;
        for site in &mut self.sites {
            if let Some(copy) = &mut Arc::make_mut(site).copy {
                copy.configure(settings);
            }
        }
    }

    /// Does all that needs no fault, in a fixed order, until nothing is left to do.
    pub(super) fn settle(&mut self) {
        self.budget = Budget::default();
        // Streams come last: a copy that does not lead yet would refuse them for ever.
        let is_stream = |action: &Action| matches!(action, Action::Connect(_));
        while let Some(action) = self.actions().into_iter().min_by_key(is_stream) {
            self.perform(action)
                .expect("nothing goes wrong without a fault");
        }
    }

    /// Heals everything and waits for what is under way.
    ///
    /// # Errors
    /// What is still wrong then: after the last fault all copies are in sync, with the same log, all of
    /// which is agreed everywhere.
    pub(super) fn converge(&mut self) -> Result<(), String> {
        for copy in (0..NUM_COPIES)
            .filter(|copy| self.sites[*copy].has_failed)
            .collect::<Vec<_>>()
        {
            self.crash(copy, true)
                .expect("nothing is violated by an end");
        }
        // Each pause settles one unknown outcome, or lets one refused copy ask again.
        for _ in 0..20 {
            self.settle();
            for copy in 0..NUM_COPIES {
                self.pause(copy)
                    .expect("nothing goes wrong without a fault");
            }
        }
        self.settle();
        let num_in_sync = self.store.entry.in_sync.len();
        if num_in_sync < NUM_COPIES {
            return Err(format!("{num_in_sync} copies are in sync"));
        }
        let log = &self.sites[0].disk.log;
        for site in &self.sites {
            let agreed = site.copy.as_ref().map(|copy| copy.agreed().0 as usize);
            if site.disk.log != *log || agreed != Some(log.len()) {
                return Err(format!("not all is agreed: {:#?}", self.sites));
            }
        }
        Ok(())
    }

    /// Starts a process on what the disk holds.
    pub(super) fn open(&mut self, copy: usize) {
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
            fence: site.disk.fence,
            terms,
            agreed: site.disk.agreed,
            seen_version: 0,
        };
        site.copy = Some(ShardCopy::open(
            identity,
            settings,
            log,
            Moment::default(),
        ));
        site.heard = Revision(0);
        site.heard_alive = [true; NUM_COPIES];
        Arc::make_mut(&mut self.store).alive[copy] = Some(incarnation);
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
