//! A leaf that is about to stop gives its primaries to others, and says that nobody has to wait for its followers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use gleaner_model::{CopyId, Entry};
use gleaner_replication::Event;

use super::driver::CopyDriver;
use super::hub::Agreeing;
use crate::Leaf;

/// How long a hand-over is waited for, and how long another copy to come in sync: some seconds where its leaf was away.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long until it is asked for again: longer than one holds writes back.
const AGAIN_AFTER: Duration = Duration::from_millis(300);

impl Leaf {
    /// Hands the shards that this leaf leads over to copies on leaves that are alive, once they are in sync. Call it while
    /// other nodes are still answered; [`Leaf::stop`] comes next.
    pub async fn hand_over(&self) {
        let Some(hub) = &self.node.agreeing else {
            return;
        };
        let until = Instant::now() + PATIENCE;
        loop {
            let drivers = hub.drivers();
            join_all(drivers.iter().map(|driver| driver.hand_over(hub, until))).await;
            // Another leaf that stops may have handed a shard to this one meanwhile.
            let may_hand = |driver: &Arc<CopyDriver>| driver.leads() && driver.has_others(hub);
            if Instant::now() >= until || !drivers.iter().any(may_hand) {
                drivers.iter().for_each(|driver| driver.leave());
                return;
            }
        }
    }
}

impl CopyDriver {
    async fn hand_over(&self, hub: &Arc<Agreeing>, until: Instant) {
        let mut status = self.status();
        // Again where it was given up, the heir is gone, or another came in sync.
        while status.borrow_and_update().reign.is_some() && self.has_others(hub) {
            if Instant::now() >= until {
                tracing::warn!(shard = %self.shard, "the shard was not handed over in time");
                return;
            }
            if let Some(to) = self.heir(hub) {
                self.handle(Event::HandOver { to });
            }
            let gone = status.wait_for(|status| status.reign.is_none());
            // Otherwise it is looked again.
            drop(tokio::time::timeout(AGAIN_AFTER, gone).await);
        }
    }

    fn leads(&self) -> bool {
        self.status_now().reign.is_some()
    }

    /// Returns whether another copy of the shard is in sync, or its leaf is alive: then it may come in sync.
    fn has_others(&self, hub: &Agreeing) -> bool {
        let Some((entry, _)) = self.entry() else {
            return false;
        };
        let is_other = |copy: &CopyId| *copy != self.copy;
        let mut alive = alive_copies(&entry, hub);
        entry.in_sync.iter().any(is_other) || alive.any(|copy| is_other(&copy))
    }

    /// Returns a copy in sync on another leaf that is alive.
    fn heir(&self, hub: &Agreeing) -> Option<CopyId> {
        let (entry, _) = self.entry()?;
        let is_fit = |copy: &CopyId| *copy != self.copy && entry.in_sync.contains(copy);
        alive_copies(&entry, hub).find(is_fit)
    }
}

/// Returns the copies on leaves that are alive.
fn alive_copies(entry: &Entry, hub: &Agreeing) -> impl Iterator<Item = CopyId> {
    let table = hub.table();
    let copies = entry.copies.keys().copied();
    copies.filter(move |copy| {
        let node = entry.node_of(*copy);
        node.is_some_and(|node| table.alive.contains_key(&node))
    })
}
