//! Room for writes: how many bytes of documents may be under way, on the leaf and for each shard.
//!
//! A write that finds no room waits a little for it, so a writer that is somewhat too fast is slowed down
//! and not refused. What waits, for room or for its shard to be opened, is bounded as what is under way. A
//! shard has half of the leaf's room
//! at most: one that is slow does not keep writes from the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gleaner_model::metric;
use gleaner_model::node_stats::WriteStats;
use gleaner_proto::LeafFault;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::counts::Counts;

/// Bytes that a permit stands for: semaphores count to 2^29 at least.
const GRAIN: usize = 64;

/// The part of the leaf's room that one shard may take.
const SHARD_SHARE: usize = 2;

/// The room of a leaf.
pub(crate) struct WriteQueue {
    room: Arc<Semaphore>,
    /// Room for those that wait.
    waiting: Semaphore,
    capacity: usize,
    patience: Duration,
    counts: Arc<WriteCounts>,
}

/// The room of one shard.
pub(crate) struct ShardRoom(Arc<Semaphore>);

/// Room that a write takes.
struct Permits {
    _of_shard: OwnedSemaphorePermit,
    _of_leaf: OwnedSemaphorePermit,
}

/// What a write takes, of its shard's room and of the leaf's; dropping it gives it back.
pub(crate) struct Room {
    _permits: Permits,
    bytes: u64,
    counts: Arc<WriteCounts>,
}

/// What a write takes while it waits; dropping it gives it back.
pub(crate) struct Waiting<'a> {
    _permit: SemaphorePermit<'a>,
    bytes: u64,
    counts: &'a WriteCounts,
}

/// Calls, and the bytes of their documents.
#[derive(Default)]
struct WriteCounts {
    calls: Counts,
    held_bytes: AtomicU64,
    waiting_bytes: AtomicU64,
    total_bytes: AtomicU64,
}

impl Drop for Room {
    fn drop(&mut self) {
        let counts = &self.counts;
        counts.held_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        counts.calls.leave();
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let counts = self.counts;
        counts
            .waiting_bytes
            .fetch_sub(self.bytes, Ordering::Relaxed);
        counts.calls.stop_waiting();
    }
}

impl WriteQueue {
    /// Returns room for `capacity` bytes; `patience` is how long a write waits for some.
    pub(crate) fn new(capacity: usize, patience: Duration) -> Self {
        let num_permits = (capacity / GRAIN).max(1);
        Self {
            room: Arc::new(Semaphore::new(num_permits)),
            waiting: Semaphore::new(num_permits),
            capacity,
            patience,
            counts: Arc::default(),
        }
    }

    /// Returns what is under way, waits and was refused.
    pub(crate) fn stats(&self) -> WriteStats {
        let read = |bytes: &AtomicU64| bytes.load(Ordering::Relaxed);
        WriteStats {
            calls: self.counts.calls.stats(),
            held_bytes: read(&self.counts.held_bytes),
            waiting_bytes: read(&self.counts.waiting_bytes),
            limit_bytes: self.capacity as u64,
            total_bytes: read(&self.counts.total_bytes),
        }
    }

    /// Counts a write that found room.
    fn entered(&self, permits: Permits, bytes: usize) -> Room {
        let (bytes, counts) = (bytes as u64, &self.counts);
        counts.held_bytes.fetch_add(bytes, Ordering::Relaxed);
        counts.total_bytes.fetch_add(bytes, Ordering::Relaxed);
        counts.calls.enter();
        Room {
            _permits: permits,
            bytes,
            counts: Arc::clone(counts),
        }
    }

    /// Returns the room of a shard.
    pub(crate) fn for_shard(&self) -> ShardRoom {
        ShardRoom(Arc::new(Semaphore::new(self.permits_of_shard())))
    }

    fn permits_of_shard(&self) -> usize {
        (self.capacity / GRAIN / SHARD_SHARE).max(1)
    }

    /// Takes room for `bytes` of documents; waits for it for at most half of `remaining`. A write that
    /// is larger than its shard's room takes all of that, and goes in when none other of the shard does.
    ///
    /// # Errors
    /// [`LeafFault::Rejected`] when there is none in time, or too much waits already.
    pub(crate) async fn enter(
        &self,
        shard: &ShardRoom,
        bytes: usize,
        remaining: Duration,
    ) -> Result<Room, LeafFault> {
        let permits = self.permits_for(bytes);
        let at_once = || {
            let of_shard = Arc::clone(&shard.0).try_acquire_many_owned(permits).ok()?;
            let of_leaf = Arc::clone(&self.room)
                .try_acquire_many_owned(permits)
                .ok()?;
            Some(Permits {
                _of_shard: of_shard,
                _of_leaf: of_leaf,
            })
        };
        if let Some(taken) = at_once() {
            return Ok(self.entered(taken, bytes));
        }
        let _waiting = self.wait(bytes)?;
        metrics::counter!(metric::WRITE_PACED.name).increment(1);
        let in_turn = async {
            let of_shard = Arc::clone(&shard.0)
                .acquire_many_owned(permits)
                .await
                .ok()?;
            let of_leaf = Arc::clone(&self.room)
                .acquire_many_owned(permits)
                .await
                .ok()?;
            Some(Permits {
                _of_shard: of_shard,
                _of_leaf: of_leaf,
            })
        };
        let taken = timeout(self.patience.min(remaining / 2), in_turn).await;
        let taken = taken.ok().flatten().ok_or_else(|| self.rejected())?;
        Ok(self.entered(taken, bytes))
    }

    /// Takes room to wait with `bytes` of documents, until it is dropped.
    ///
    /// # Errors
    /// [`LeafFault::Rejected`] when too much waits already.
    pub(crate) fn wait(&self, bytes: usize) -> Result<Waiting<'_>, LeafFault> {
        let waiting = self.waiting.try_acquire_many(self.permits_for(bytes));
        let permit = waiting.map_err(|_| self.rejected())?;
        let (bytes, counts) = (bytes as u64, &*self.counts);
        counts.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        counts.calls.wait();
        Ok(Waiting {
            _permit: permit,
            bytes,
            counts,
        })
    }

    fn permits_for(&self, bytes: usize) -> u32 {
        (bytes / GRAIN).clamp(1, self.permits_of_shard()) as u32
    }

    fn rejected(&self) -> LeafFault {
        metrics::counter!(metric::WRITE_REJECTED.name).increment(1);
        self.counts.calls.reject();
        LeafFault::Rejected {
            queue: "write".into(),
            capacity: self.capacity,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::poll;

    use super::*;

    const LONG: Duration = Duration::from_secs(3_600);

    fn queue(patience: Duration) -> WriteQueue {
        WriteQueue::new(8 * GRAIN, patience)
    }

    #[tokio::test]
    async fn a_shard_that_is_full_leaves_room_for_others() {
        let queue = queue(Duration::ZERO);
        let (slow, other) = (queue.for_shard(), queue.for_shard());
        let _held = queue.enter(&slow, 100 * GRAIN, LONG).await.expect("room");
        let refused = queue.enter(&slow, GRAIN, LONG).await;
        let capacity = 8 * GRAIN;
        let queue_name = "write".into();
        let full = LeafFault::Rejected {
            queue: queue_name,
            capacity,
        };
        assert_eq!(refused.err(), Some(full));
        assert!(queue.enter(&other, 4 * GRAIN, LONG).await.is_ok());
    }

    #[tokio::test]
    async fn a_write_waits_for_room_and_gets_it_in_turn() {
        let queue = queue(LONG);
        let shard = queue.for_shard();
        let held = queue.enter(&shard, 4 * GRAIN, LONG).await.expect("room");
        let mut first = Box::pin(queue.enter(&shard, 3 * GRAIN, LONG));
        assert!(poll!(&mut first).is_pending());
        let mut second = Box::pin(queue.enter(&shard, 3 * GRAIN, LONG));
        assert!(poll!(&mut second).is_pending());
        drop(held);
        let first = first.await.expect("room");
        assert!(poll!(&mut second).is_pending());
        drop(first);
        assert!(second.await.is_ok());
    }

    #[tokio::test]
    async fn what_waits_is_bounded_too() {
        let queue = queue(LONG);
        let shard = queue.for_shard();
        let held = queue.enter(&shard, 4 * GRAIN, LONG).await.expect("room");
        let mut waiting: Vec<_> = (0..2)
            .map(|_| Box::pin(queue.enter(&shard, 4 * GRAIN, LONG)))
            .collect();
        for write in &mut waiting {
            assert!(poll!(write).is_pending());
        }
        assert!(queue.enter(&shard, GRAIN, LONG).await.is_err());
        let stats = queue.stats();
        let grains = |bytes: u64| bytes / GRAIN as u64;
        assert_eq!((stats.calls.num_active, grains(stats.held_bytes)), (1, 4));
        assert_eq!(
            (stats.calls.num_queued, grains(stats.waiting_bytes)),
            (2, 8)
        );
        assert_eq!(
            (stats.calls.num_rejected, stats.calls.num_completed),
            (1, 0)
        );
        drop(waiting);
        let mut again = Box::pin(queue.enter(&shard, GRAIN, LONG));
        assert!(
            poll!(&mut again).is_pending(),
            "there is room to wait again"
        );
        drop((again, held));
        let stats = queue.stats();
        assert_eq!((stats.held_bytes, stats.waiting_bytes), (0, 0));
        assert_eq!(
            (stats.calls.num_completed, grains(stats.total_bytes)),
            (1, 4)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_than_half_of_the_time_left() {
        let queue = queue(LONG);
        let shard = queue.for_shard();
        let _held = queue.enter(&shard, 4 * GRAIN, LONG).await.expect("room");
        let began = tokio::time::Instant::now();
        let remaining = Duration::from_secs(10);
        assert!(queue.enter(&shard, GRAIN, remaining).await.is_err());
        assert_eq!(began.elapsed(), remaining / 2);
    }
}
