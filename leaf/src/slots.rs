//! What this leaf has of each shard: who asks for a shard finds it here, or waits for it.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use gleaner_model::ShardKey;
use gleaner_proto::LeafFault;

use crate::Leaf;
use crate::opening::Opening;
use crate::shard::{Shard, Slot};

/// How long a call for an index that this node has not heard of waits for the cluster state: who
/// calls may have heard of a new index first.
const NEWS_PATIENCE: Duration = Duration::from_secs(1);

impl Leaf {
    /// Marks a copy as being opened again; returns what its slot held. `None` when it is being
    /// opened already, or removed.
    pub(crate) fn begin_opening(&self, key: ShardKey) -> Option<(Slot, Arc<Opening>)> {
        let opening = Arc::new(Opening::default());
        let slot = match self.shards.lock().get_mut(&key)? {
            Slot::Opening(_) | Slot::Closing => return None,
            slot => std::mem::replace(slot, Slot::Opening(Arc::clone(&opening))),
        };
        self.changes.send_modify(|changes| *changes += 1);
        Some((slot, opening))
    }

    /// Puts what opening came to into the copy's slot; returns whether it is still wanted. One that
    /// is not is removed.
    pub(crate) fn opened(
        self: &Arc<Self>,
        key: ShardKey,
        opened: Result<Arc<Shard>, String>,
    ) -> bool {
        let slot = match opened {
            Ok(shard) => Slot::Open(shard),
            Err(reason) => Slot::Failed(reason.into()),
        };
        let is_wanted = match self.shards.lock().get_mut(&key) {
            Some(known @ Slot::Opening(_)) => {
                *known = slot.clone();
                true
            }
            _ => false,
        };
        if !is_wanted {
            self.wipe(key, slot);
        } else if let Slot::Failed(reason) = slot {
            tracing::error!(shard = %key, %reason, "shard cannot be opened; others go on");
        }
        self.changes.send_modify(|changes| *changes += 1);
        is_wanted
    }

    /// Returns the open shard, waiting up to `patience` while it is being opened.
    pub(crate) async fn shard(
        &self,
        key: ShardKey,
        patience: Duration,
    ) -> Result<Arc<Shard>, LeafFault> {
        let begun = Instant::now();
        let mut changes = self.changes.subscribe();
        loop {
            changes.borrow_and_update();
            let slot = self.shards.lock().get(&key).cloned();
            let (patience, late) = match slot {
                Some(Slot::Open(shard)) => return Ok(shard),
                Some(Slot::Failed(reason)) => {
                    return Err(LeafFault::Stopped {
                        shard: key,
                        reason: reason.to_string(),
                    });
                }
                Some(Slot::Opening(opening)) => (patience, recovering(key, opening.progress())),
                slot @ (Some(Slot::Closing) | None) => {
                    let is_closing = slot.is_some();
                    self.missing(key, is_closing, patience)?
                }
            };
            let left = patience.saturating_sub(begun.elapsed());
            if !matches!(
                tokio::time::timeout(left, changes.changed()).await,
                Ok(Ok(()))
            ) {
                return Err(late);
            }
        }
    }

    /// Says that a replica's own files are open, before it serves.
    pub(crate) fn show_unserved(&self, shard: &Arc<Shard>) {
        let mut unserved = self.unserved.lock();
        unserved.retain(|_, shard| shard.strong_count() > 0);
        unserved.insert(shard.key, Arc::downgrade(shard));
        drop(unserved);
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// Returns a copy whose own files are open, whether it serves or not.
    pub(crate) async fn copy_with_files(
        &self,
        key: ShardKey,
        patience: Duration,
    ) -> Result<Arc<Shard>, LeafFault> {
        let begun = Instant::now();
        let mut changes = self.changes.subscribe();
        loop {
            changes.borrow_and_update();
            let unserved = || self.unserved.lock().get(&key).and_then(Weak::upgrade);
            if let Some(shard) = self.open_now(key).or_else(unserved) {
                return Ok(shard);
            }
            let left = patience.saturating_sub(begun.elapsed());
            if !matches!(
                tokio::time::timeout(left, changes.changed()).await,
                Ok(Ok(()))
            ) {
                return Err(recovering(key, "its files are not open".to_owned()));
            }
        }
    }

    /// Returns how long to wait for a shard that is not here, and what to answer then.
    fn missing(
        &self,
        key: ShardKey,
        is_closing: bool,
        patience: Duration,
    ) -> Result<(Duration, LeafFault), LeafFault> {
        let state = self.coordinator.state();
        let not_here = LeafFault::NotHere { shard: key };
        if self.role(&state, key).is_some() {
            return Ok((
                patience,
                recovering(key, "it is about to be opened".to_owned()),
            ));
        }
        let is_known = is_closing
            || state.indices.contains_key(&key.index)
            || state.deleted.contains(&key.index);
        if is_known || self.options.node.is_none() {
            return Err(not_here);
        }
        Ok((patience.min(NEWS_PATIENCE), not_here))
    }

    /// Returns the shard if it is open now.
    pub(crate) fn open_now(&self, key: ShardKey) -> Option<Arc<Shard>> {
        match self.shards.lock().get(&key) {
            Some(Slot::Open(shard)) => Some(Arc::clone(shard)),
            _ => None,
        }
    }

    pub(crate) fn open_shards(&self) -> Vec<Arc<Shard>> {
        let shards = self.shards.lock();
        let open = |slot: &Slot| match slot {
            Slot::Open(shard) => Some(Arc::clone(shard)),
            Slot::Opening(_) | Slot::Failed(_) | Slot::Closing => None,
        };
        shards.values().filter_map(open).collect()
    }
}

fn recovering(shard: ShardKey, progress: String) -> LeafFault {
    LeafFault::Recovering { shard, progress }
}

#[cfg(test)]
mod tests {
    use gleaner_model::NodeId;

    use super::*;
    use crate::testing::{Fixture, PATIENCE, index, key};

    #[tokio::test(flavor = "multi_thread")]
    async fn news_are_waited_for_where_an_index_is_unknown_and_not_where_it_was_deleted() {
        let fixture = Fixture::with(|options| options.node = Some(NodeId("a".into())));
        let unknown = fixture.leaf.missing(key(1), false, PATIENCE);
        let (patience, _) = unknown.expect("it may be new");
        assert_eq!(patience, NEWS_PATIENCE);
        fixture
            .change(|state| {
                let mut elsewhere = index(1);
                elsewhere.copies = vec![vec![NodeId("b".into())]];
                state.indices.insert(elsewhere.uuid, Arc::new(elsewhere));
            })
            .await;
        fixture
            .change(|state| state.delete_index(&key(1).index))
            .await;
        let deleted = fixture.leaf.missing(key(1), false, PATIENCE);
        let fault = deleted.expect_err("nothing will come");
        assert_eq!(fault, LeafFault::NotHere { shard: key(1) });
    }
}
