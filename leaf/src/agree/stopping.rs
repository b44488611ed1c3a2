//! A leaf that is about to stop gives its primaries to others, and says that nobody has to wait for its followers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use gleaner_model::CopyId;
use gleaner_replication::Event;

use super::driver::CopyDriver;
use super::hub::Agreeing;
use crate::Leaf;

/// How long a hand-over is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long until it is asked for again: longer than one holds writes back.
const AGAIN_AFTER: Duration = Duration::from_millis(300);

impl Leaf {
    /// Hands the shards that this leaf leads over to copies in sync on leaves that are alive. Call it while other
    /// nodes are still answered; [`Leaf::stop`] comes next.
    pub async fn hand_over(&self) {
        let Some(hub) = &self.node.agreeing else {
            return;
        };
        let drivers = hub.drivers();
        join_all(drivers.iter().map(|driver| driver.hand_over(hub))).await;
        for driver in drivers {
            driver.leave();
        }
    }
}

impl CopyDriver {
    async fn hand_over(&self, hub: &Arc<Agreeing>) {
        let mut status = self.status();
        let until = Instant::now() + PATIENCE;
        // Again where it was given up, the heir is gone, or another came in sync.
        while status.borrow_and_update().reign.is_some() && self.has_others() {
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

    /// Returns whether the shard has other copies that are in sync.
    fn has_others(&self) -> bool {
        let entry = self.entry();
        entry.is_some_and(|(entry, _)| entry.in_sync.iter().any(|copy| *copy != self.copy))
    }

    /// Returns a copy in sync on another leaf that is alive.
    fn heir(&self, hub: &Agreeing) -> Option<CopyId> {
        let (entry, _) = self.entry()?;
        let table = hub.table();
        let is_fit = |copy: &&CopyId| {
            let node = entry.node_of(**copy);
            **copy != self.copy && node.is_some_and(|node| table.alive.contains_key(&node))
        };
        entry.in_sync.iter().find(is_fit).copied()
    }
}
