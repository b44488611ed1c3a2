//! How a world begins, and how it comes to rest.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gleaner_model::{CopyMeta, Entry, PrimaryTerm, Revision};

use super::driver::PAUSE;
use super::{Action, Budget, Disk, Ghost, NUM_COPIES, Site, Store, World, copy_id, node};
use crate::settings::Settings;

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
    forces: 9,
};

/// How a world begins.
#[derive(Debug, Clone)]
pub(crate) struct Beginning {
    pub(crate) settings: Settings,
    /// What has happened before faults are explored.
    pub(crate) prelude: Vec<Past>,
    pub(crate) budget: Budget,
}

/// A part of what has happened.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Past {
    Did(Action),
    /// All that needs no fault was done, in a fixed order, until nothing was left to do.
    Settled,
}

/// Returns settings under which time decides nothing: whatever is late is late at once or never, as the
/// explorer says.
pub(crate) fn timeless() -> Settings {
    let never = Duration::from_secs(1 << 30);
    Settings {
        min_in_sync: 1,
        reconnect_patience: Duration::ZERO,
        join_patience: never,
        beat_patience: never,
        sync_patience: never,
        catch_up: never,
        copy_right: Duration::ZERO,
        search_lease: Duration::ZERO,
        rank_delay: Duration::ZERO,
        hand_over_patience: never,
        retry_pause: PAUSE,
        ..Settings::default()
    }
}

impl World {
    /// Returns a world in which the first copy leads term 1, all are in sync, and what the prelude says
    /// has happened.
    pub(crate) fn begin(beginning: &Beginning) -> Self {
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
            history: gleaner_model::HistoryId::FIRST,
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
    pub(crate) fn settle(&mut self) {
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
    pub(crate) fn converge(&mut self) -> Result<(), String> {
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
}
