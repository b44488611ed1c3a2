//! How a log is set up: every knob with its unit, range and default.

use std::sync::Arc;
use std::time::Duration;

use crate::files::{Files, RealFiles};
use crate::ledger::Limits;

/// The settings of a log.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// Most payload bytes of one batch, ≥ 1 and < 4 GiB; 128 MiB, so that a bulk body of the dialect's
    /// 100 MiB fits in one append.
    pub max_batch_bytes: usize,
    /// Producers remembered per shard, ≥ 1; 4,096 (some 300 KiB when full).
    pub num_producers: usize,
    /// A segment that has reached this size is closed and a new one begun, in bytes, ≥ 1; 64 MiB,
    /// the unit in which `trim` gives room back.
    pub segment_bytes: u64,
    /// Commit threads, ≥ 1; 1: what waits for all shards then shares a sync (see decision 0023).
    pub num_lanes: usize,
    /// Most bytes of the journal of a commit thread, which makes small rounds durable; 8 MiB. 0 for none:
    /// each round then syncs every segment it touches.
    pub journal_bytes: u64,
    /// Requests that may wait per commit thread, ≥ 1; 1,024, then [`crate::LogError::Busy`].
    pub queue_len: usize,
    /// Payload bytes that may wait in all queues together; 256 MiB, then
    /// [`crate::LogError::Busy`]. One append is always let in.
    pub queue_bytes: usize,
    /// The longest an acknowledged record may go without its durable floor, 0 or more; 100 ms.
    /// Until then the floor survives the process but not the machine, and small rounds stand in the journal.
    /// 0 syncs floor and segments each round.
    pub floor_interval: Duration,
    /// Where files live: the machine's file system, or a simulated one in crash tests.
    pub files: Arc<dyn Files>,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            max_batch_bytes: 128 << 20,
            num_producers: 4096,
            segment_bytes: 64 << 20,
            num_lanes: 1,
            journal_bytes: 8 << 20,
            queue_len: 1024,
            queue_bytes: 256 << 20,
            floor_interval: Duration::from_millis(100),
            files: Arc::new(RealFiles),
        }
    }
}

impl LogOptions {
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            max_batch_bytes: self.max_batch_bytes.min(u32::MAX as usize),
            num_producers: self.num_producers,
        }
    }
}
