//! Failed shards are opened again: a full disk or a failed merge must not need a restart.
//!
//! A copy whose engine failed serves what it shows and takes no writes. Once the disk has room it
//! is closed and opened at its last durable commit, and its log is replayed: what was acknowledged
//! is in the log. Attempts come after 1 s, 2 s, 4 s and so on, at most 10 min apart.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use gleaner_model::ShardKey;
use gleaner_proto::LeafFault;
use parking_lot::Mutex;

use crate::Leaf;
use crate::copy::registry::{CopyState, OpenCopy};
use crate::lifecycle::watermark::Disk;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// How long calls under way may hold a copy that is to be opened again.
const RELEASE_PATIENCE: Duration = Duration::from_secs(30);

/// When copies that failed are tried again.
#[derive(Debug, Default)]
pub(crate) struct Retries(Mutex<BTreeMap<ShardKey, Retry>>);

#[derive(Debug, Clone, Copy)]
struct Retry {
    at: Instant,
    pause: Duration,
}

impl Retries {
    /// Returns which of `failed` are due; copies that went well for a while are forgotten.
    fn due(&self, failed: &BTreeSet<ShardKey>, now: Instant) -> Vec<ShardKey> {
        let mut retries = self.0.lock();
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

    /// Has a copy tried at the next look, if it has failed.
    fn make_due(&self, key: ShardKey, now: Instant) {
        let pause = FIRST_PAUSE;
        self.0.lock().insert(key, Retry { at: now, pause });
    }
}

/// Presence of the engines of copies that were closed and may be in use for a while.
#[derive(Debug, Default)]
pub(crate) struct ReleasedCopies(Mutex<BTreeMap<ShardKey, Weak<()>>>);

impl ReleasedCopies {
    fn add(&self, key: ShardKey, presence: Weak<()>) {
        self.0.lock().insert(key, presence);
    }

    /// Waits until nobody uses the copy of `key` that was released last.
    ///
    /// # Errors
    /// When somebody still does after some time.
    async fn freed(&self, key: ShardKey) -> Result<(), String> {
        let patience = Instant::now() + RELEASE_PATIENCE;
        while self.is_in_use(key) {
            if Instant::now() >= patience {
                return Err("its old copy is still in use".to_owned());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    fn is_in_use(&self, key: ShardKey) -> bool {
        let mut released = self.0.lock();
        let is_used = |presence: &Weak<()>| presence.strong_count() > 0;
        let is_in_use = released.get(&key).is_some_and(is_used);
        if !is_in_use {
            released.remove(&key);
        }
        is_in_use
    }
}

impl Leaf {
    /// Opens again the failed copies whose time has come, unless the disk is full.
    pub(crate) fn reopen_failed(self: &Arc<Self>) {
        let options = &self.node.options;
        if Disk::of(options).is_some_and(|disk| disk.is_flooded(options)) {
            return;
        }
        for key in self.retries.due(&self.failed_copies(), Instant::now()) {
            self.reopen(key);
        }
    }

    pub(super) fn failed_copies(&self) -> BTreeSet<ShardKey> {
        let copies = self.copies.lock();
        let may_help = self.node.agreeing.is_some();
        let has_failed = |key: &ShardKey, state: &CopyState| match state {
            CopyState::Open(copy) => {
                let shard = copy.shard();
                shard.applier.failure().is_some() && !shard.pipeline.state().is_lost
            }
            // One that is set aside is opened when somebody asks for it, or another copy can give its files.
            CopyState::Failed(_) => may_help || self.node.set_aside.operation(*key).is_none(),
            CopyState::Opening(_) | CopyState::Closing => false,
        };
        let failed = copies.iter().filter(|(key, state)| has_failed(key, state));
        failed.map(|(key, _)| *key).collect()
    }

    /// Has a copy that has failed opened again within a second, also one that is set aside.
    ///
    /// # Errors
    /// That the disk does not take it.
    pub(crate) async fn open_again_soon(&self, key: ShardKey) -> Result<(), LeafFault> {
        let node = Arc::clone(&self.node);
        let forgotten = tokio::task::spawn_blocking(move || node.set_aside.forget(key)).await;
        let forgotten = forgotten.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        let was_set_aside = forgotten.map_err(|error| LeafFault::Internal {
            shard: key,
            reason: format!("that it was set aside stays noted: {error}"),
        })?;
        if was_set_aside {
            tracing::warn!(shard = %key, "a shard that was set aside is tried again");
        }
        self.retries.make_due(key, Instant::now());
        Ok(())
    }

    /// Closes a copy and opens it again, unless that is under way.
    pub(crate) fn reopen(self: &Arc<Self>, key: ShardKey) {
        let state = self.node.coordinator.state();
        let Some(index) = state.indices.get(&key.index).cloned() else {
            return;
        };
        let Some((before, opening)) = self.copies.begin_opening(key) else {
            return;
        };
        let leaf = Arc::clone(self);
        let was_cut = is_cut(&before);
        self.node.spawn(async move {
            let released = leaf.release_state(key, before).await;
            if was_cut {
                // Segments of another copy may have the same names, and what is kept of them is by name.
                leaf.searcher.filters.clear();
                leaf.opener.documents.clear();
            }
            match released {
                Ok(()) => leaf.open(key, index, opening).await,
                Err(reason) => drop(leaf.end_opening(key, CopyState::Failed(reason.into()))),
            }
        });
    }

    /// Closes what a state holds, and waits until nobody uses the copy of `key` any more.
    ///
    /// # Errors
    /// Why it is not free yet.
    pub(crate) async fn release_state(
        &self,
        key: ShardKey,
        state: CopyState,
    ) -> Result<(), String> {
        match state {
            CopyState::Open(copy) => self.release(copy).await,
            CopyState::Opening(_) | CopyState::Failed(_) | CopyState::Closing => {
                self.released.freed(key).await
            }
        }
    }

    /// Closes a copy and waits until nobody uses it: two engines must not share its folder, and one
    /// that lives on would write into it after it was removed. What it has leased out runs out first.
    ///
    /// # Errors
    /// Why it is not free yet.
    pub(crate) async fn release(&self, copy: OpenCopy) -> Result<(), String> {
        copy.close().await;
        let shard = copy.shard();
        shard.applier.leases.show().wait().await;
        let key = shard.key;
        self.released.add(key, shard.engine().presence());
        let dropped = tokio::task::spawn_blocking(move || drop(copy)).await;
        dropped.map_err(|error| error.to_string())?;
        self.released.freed(key).await
    }
}

/// Returns whether zeros were read in place of what is gone of a copy's files.
fn is_cut(state: &CopyState) -> bool {
    match state {
        CopyState::Open(copy) => copy.shard().engine().check_uncut().is_err(),
        CopyState::Opening(_) | CopyState::Failed(_) | CopyState::Closing => false,
    }
}
