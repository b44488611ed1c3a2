//! Which indices a holder wants leases on: those that it was asked about lately.

use std::collections::HashMap;
use std::time::Duration;

use gleaner_model::IndexUuid;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::MAX_INDICES;

/// How long an index is of interest after it was last asked about.
const LASTS: Duration = Duration::from_secs(30);

/// The indices of interest of one process. All who follow for it share it.
#[derive(Debug)]
pub struct Interest {
    indices: Mutex<HashMap<IndexUuid, Use>>,
    added: watch::Sender<()>,
}

#[derive(Debug, Clone, Copy)]
struct Use {
    /// When it was last asked about.
    last: Instant,
    /// When an answer from it was last served.
    read: Option<Instant>,
}

impl Default for Interest {
    fn default() -> Self {
        Self {
            indices: Mutex::default(),
            added: watch::Sender::new(()),
        }
    }
}

impl Interest {
    /// Notes that `indices` are asked about, and whether they were read by that. Beyond [`MAX_INDICES`] no more are
    /// taken.
    pub fn note(&self, indices: impl Iterator<Item = IndexUuid>, is_read: bool) {
        let now = Instant::now();
        let mut has_grown = false;
        let mut known = self.indices.lock();
        for index in indices {
            if known.len() >= MAX_INDICES && !known.contains_key(&index) {
                continue;
            }
            let entry = known.entry(index).or_insert_with(|| {
                has_grown = true;
                Use {
                    last: now,
                    read: None,
                }
            });
            entry.last = now;
            if is_read {
                entry.read = Some(now);
            }
        }
        drop(known);
        if has_grown {
            self.added.send_replace(());
        }
    }

    /// Returns what tells of each index that is added from now on.
    pub(crate) fn additions(&self) -> watch::Receiver<()> {
        self.added.subscribe()
    }

    /// Returns the indices of interest in order; those that were not asked about for long are so no more.
    pub(crate) fn current(&self) -> Vec<IndexUuid> {
        let mut known = self.indices.lock();
        known.retain(|_, used| used.last.elapsed() <= LASTS);
        let mut indices: Vec<IndexUuid> = known.keys().copied().collect();
        drop(known);
        indices.sort_unstable();
        indices
    }

    /// Returns the indices read since `since`.
    pub(crate) fn read_since(&self, since: Instant) -> Vec<IndexUuid> {
        let indices = self.indices.lock();
        let read = indices
            .iter()
            .filter(|(_, used)| used.read.is_some_and(|read| read >= since));
        read.map(|(index, _)| *index).collect()
    }
}
