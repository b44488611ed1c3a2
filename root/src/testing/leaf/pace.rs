//! The time that calls of a fake leaf take.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use gleaner_model::ShardKey;
use gleaner_proto::LeafFault;
use gleaner_proto::search::ShardView;
use parking_lot::Mutex;

use super::FakeLeaf;

/// Counts a call as dropped unless it is done.
struct Call<'a> {
    leaf: &'a FakeLeaf,
    is_done: bool,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            self.leaf.num_dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl FakeLeaf {
    /// Takes its time; fails for all when nobody is there.
    pub(super) async fn take_time(&self, shards: &[ShardView]) -> Result<(), LeafFault> {
        self.num_calls.fetch_add(1, Ordering::Relaxed);
        let mut call = Call {
            leaf: self,
            is_done: false,
        };
        self.hang(shards).await;
        let drawn = self.draw.lock().0.as_mut().map(|draw| draw());
        let delay = drawn.unwrap_or_else(|| *self.delay.lock());
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        call.is_done = true;
        if *self.is_gone.lock() {
            let (shard, reason) = (shards[0].shard, "nobody is there".to_owned());
            return Err(LeafFault::Unreachable { shard, reason });
        }
        Ok(())
    }

    pub(super) async fn hang(&self, shards: &[ShardView]) {
        let is_in = |set: &Mutex<BTreeSet<ShardKey>>| {
            let set = set.lock();
            shards.iter().any(|asked| set.contains(&asked.shard))
        };
        if is_in(&self.hanging) || (shards.len() == 1 && is_in(&self.hanging_alone)) {
            futures::future::pending::<()>().await;
        }
    }
}
