//! Failed shards are opened again: a full disk or a failed merge must not need a restart.
//!
//! A copy whose engine failed serves what it shows and takes no writes. Once the disk has room it
//! is closed and opened at its last durable commit, and its log is replayed: what was acknowledged
//! is in the log. Attempts come after 1 s, 2 s, 4 s and so on, at most 10 min apart.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use gleaner_model::ShardKey;

use crate::shard::{Shard, Slot};
use crate::watermark::Disk;
use crate::{Leaf, Retry};

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// How long calls under way may hold a copy that is to be opened again.
const RELEASE_PATIENCE: Duration = Duration::from_secs(30);

impl Leaf {
    /// Opens again the failed shards whose time has come, unless the disk is full.
    pub(crate) fn reopen_failed(self: &Arc<Self>) {
        let failed = self.failed_shards();
        let is_full = Disk::of(&self.options).is_some_and(|disk| disk.is_flooded(&self.options));
        if is_full {
            return;
        }
        for key in self.due(&failed, Instant::now()) {
            self.reopen(key);
        }
    }

    fn failed_shards(&self) -> BTreeSet<ShardKey> {
        let shards = self.shards.lock();
        let has_failed = |slot: &Slot| match slot {
            Slot::Open(shard) => {
                shard.applier.failure().is_some() && !shard.pipeline.state().is_lost
            }
            Slot::Failed(_) => true,
            Slot::Opening(_) | Slot::Closing => false,
        };
        let failed = shards.iter().filter(|(_, slot)| has_failed(slot));
        failed.map(|(key, _)| *key).collect()
    }

    /// Returns which of `failed` are due; shards that went well for a while are forgotten.
    fn due(&self, failed: &BTreeSet<ShardKey>, now: Instant) -> Vec<ShardKey> {
        let mut retries = self.retries.lock();
        retries.retain(|key, retry| failed.contains(key) || now < retry.at + retry.pause);
        let mut due = Vec::new();
        for key in failed {
            let retry = retries.entry(*key).or_insert(Retry {
                at: now + FIRST_PAUSE,
                pause: FIRST_PAUSE,
            });
            if now >= retry.at {
                retry.pause = (retry.pause * 2).min(LONGEST_PAUSE);
                retry.at = now + retry.pause;
                due.push(*key);
            }
        }
        due
    }

    /// Closes a copy and opens it again, unless that is under way.
    pub(crate) fn reopen(self: &Arc<Self>, key: ShardKey) {
        let state = self.coordinator.state();
        let Some(index) = state.indices.get(&key.index).cloned() else {
            return;
        };
        let Some((slot, opening)) = self.begin_opening(key) else {
            return;
        };
        let leaf = Arc::clone(self);
        self.spawn(async move {
            let released = match slot {
                Slot::Open(shard) => leaf.release(shard).await,
                Slot::Opening(_) | Slot::Failed(_) | Slot::Closing => leaf.freed(key).await,
            };
            match released {
                Ok(()) => leaf.open(key, index, opening).await,
                Err(reason) => drop(leaf.opened(key, Err(reason))),
            }
        });
    }
}

impl Leaf {
    /// Closes a copy and waits until nobody uses it: two engines must not share its folder, and one
    /// that lives on would write into it after it was removed. What it has leased out runs out first.
    ///
    /// # Errors
    /// Why it is not free yet; [`Leaf::freed`] tells when it is.
    pub(crate) async fn release(&self, shard: Arc<Shard>) -> Result<(), String> {
        shard.refuse_writes().await;
        shard.applier.leases.show().wait().await;
        let key = shard.key;
        let presence = shard.engine().presence();
        self.lingering.lock().insert(key, presence);
        let dropped = tokio::task::spawn_blocking(move || drop(shard)).await;
        dropped.map_err(|error| error.to_string())?;
        self.freed(key).await
    }

    /// Waits until nobody uses the copy of `key` that was released last.
    ///
    /// # Errors
    /// When somebody still does after some time.
    pub(crate) async fn freed(&self, key: ShardKey) -> Result<(), String> {
        let patience = Instant::now() + RELEASE_PATIENCE;
        while self.is_lingering(key) {
            if Instant::now() >= patience {
                return Err("its old copy is still in use".to_owned());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    fn is_lingering(&self, key: ShardKey) -> bool {
        let mut lingering = self.lingering.lock();
        let is_used = |presence: &Weak<()>| presence.strong_count() > 0;
        let is_lingering = lingering.get(&key).is_some_and(is_used);
        if !is_lingering {
            lingering.remove(&key);
        }
        is_lingering
    }
}
