//! A leaf that is about to stop gives its primaries to others, and says that nobody has to wait for its followers.
//!
//! A primary hands over to a copy that is in sync. Where there is none it goes on, and waits until its machine has taken one
//! into the in-sync set. The machine does not change that set while a hand-over holds writes back: attempts leave it time.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use gleaner_coordinator::entries::EntryTable;
use gleaner_model::{CopyId, Entry, Revision, ShardKey};
use gleaner_replication::{Event, Settings};
use tokio::time::Instant;

use super::driver::CopyDriver;
use super::hub::{Agreeing, TICK};
use crate::Leaf;

/// How long a hand-over is waited for, and how long another copy to come in sync: some seconds where its leaf was away.
const PATIENCE: Duration = Duration::from_secs(10);

/// Returns how long after an attempt to hand over there is another one. The first tick after `hand_over_patience` gives an
/// attempt up, the second one changes the in-sync set where that is due, and one is to spare.
pub(super) fn again_after(settings: &Settings) -> Duration {
    settings.hand_over_patience + 3 * TICK
}

impl Leaf {
    /// Hands the shards that this leaf leads over to copies on leaves that are alive, once they are in sync. Call it while
    /// other nodes are still answered; [`Leaf::stop`] comes next.
    pub async fn hand_over(&self) {
        if let Some(hub) = &self.node.agreeing {
            hub.hand_over().await;
        }
    }
}

impl Agreeing {
    pub(super) async fn hand_over(&self) {
        let until = Instant::now() + PATIENCE;
        loop {
            let drivers = self.drivers();
            join_all(drivers.iter().map(|driver| driver.hand_over(self, until))).await;
            let table = self.table();
            // Another leaf that stops may have handed a shard to this one meanwhile.
            let may_hand = |driver: &Arc<CopyDriver>| driver.leads() && driver.has_others(&table);
            if Instant::now() >= until || !drivers.iter().any(may_hand) {
                drivers.iter().for_each(|driver| driver.leave());
                return;
            }
        }
    }
}

impl CopyDriver {
    async fn hand_over(&self, hub: &Agreeing, until: Instant) {
        let (mut status, mut tables) = (self.status(), hub.watch());
        loop {
            let table = Arc::clone(&tables.borrow_and_update());
            // The machine hands over only to a copy that it knows to be in sync, and may not have heard of the newest yet.
            self.feed(&table, table.shards.get(&self.shard));
            if !self.leads() || !self.has_others(&table) {
                return;
            }
            if Instant::now() >= until {
                tracing::warn!(shard = %self.shard, "the shard was not handed over in time");
                return;
            }
            // The machine takes the first that follows it, and no other while that attempt lasts.
            for to in self.heirs(&table) {
                self.handle(Event::HandOver { to });
            }
            let known = outlook(&table, self.shard);
            let pause = again_after(&hub.settings(self.min_in_sync()));
            let gone = status.wait_for(|status| status.reign.is_none());
            let changed = tables.wait_for(|newer| outlook(newer, self.shard) != known);
            tokio::select! {
                biased;
                _ = gone => {}
                Ok(_) = changed => {}
                // The attempt was given up, or an heir follows only now.
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn leads(&self) -> bool {
        self.status_now().reign.is_some()
    }

    /// Returns whether another copy of the shard is in sync, or its leaf is alive: then it may come in sync.
    fn has_others(&self, table: &EntryTable) -> bool {
        let Some((entry, _)) = self.entry() else {
            return false;
        };
        let is_other = |copy: &CopyId| *copy != self.copy;
        let mut alive = alive_copies(&entry, table);
        entry.in_sync.iter().any(is_other) || alive.any(|copy| is_other(&copy))
    }

    /// Returns the copies in sync on other leaves that are alive.
    fn heirs(&self, table: &EntryTable) -> Vec<CopyId> {
        let Some((entry, _)) = self.entry() else {
            return Vec::new();
        };
        let is_fit = |copy: &CopyId| *copy != self.copy && entry.in_sync.contains(copy);
        alive_copies(&entry, table).filter(is_fit).collect()
    }
}

/// Returns what decides whether a shard can be handed over: its entry, by the revision, and the copies on leaves that are
/// alive.
fn outlook(table: &EntryTable, shard: ShardKey) -> Option<(Revision, Vec<CopyId>)> {
    let stored = table.shards.get(&shard)?;
    let alive = alive_copies(&stored.entry, table);
    Some((stored.revision, alive.collect()))
}

/// Returns the copies on leaves that are alive.
fn alive_copies(entry: &Entry, table: &EntryTable) -> impl Iterator<Item = CopyId> {
    let copies = entry.copies.keys().copied();
    copies.filter(move |copy| {
        let node = entry.node_of(*copy);
        node.is_some_and(|node| table.alive.contains_key(&node))
    })
}
