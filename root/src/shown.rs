//! What this root has acknowledged as visible, per shard: no search through it may show less.
//!
//! `refresh=true`, `wait_for` and `_refresh` are acknowledged when the primary and the other live
//! copies show the writes. A copy that did not make it in time is named in the answer, and from then
//! on every search asks copies for at least what was acknowledged: the late one catches up first, or
//! another answers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use gleaner_model::{ClusterState, SeqNo, ShardKey};
use parking_lot::Mutex;

/// Shards above which those of deleted indices are forgotten.
const TIDIED_AT: usize = 8_192;

/// Operations below which all are shown, by shard; it only grows.
#[derive(Debug, Default)]
pub(crate) struct VisibleFloor {
    by_shard: Mutex<HashMap<ShardKey, SeqNo>>,
    /// Whether anything is known: shards of one copy never come here.
    is_used: AtomicBool,
}

impl VisibleFloor {
    /// Returns what a search of `shard` must show.
    pub(crate) fn of(&self, shard: ShardKey) -> Option<SeqNo> {
        if !self.is_used.load(Ordering::Acquire) {
            return None;
        }
        self.by_shard.lock().get(&shard).copied()
    }

    /// Notes that all operations of `shard` below `visible` were acknowledged as visible.
    pub(crate) fn acknowledge(&self, shard: ShardKey, visible: SeqNo, state: &ClusterState) {
        let mut by_shard = self.by_shard.lock();
        if by_shard.len() >= TIDIED_AT {
            by_shard.retain(|shard, _| state.indices.contains_key(&shard.index));
        }
        let known = by_shard.entry(shard).or_default();
        *known = visible.max(*known);
        self.is_used.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::shard;

    #[test]
    fn what_was_acknowledged_never_shrinks() {
        let (shown, state) = (VisibleFloor::default(), ClusterState::default());
        assert_eq!(shown.of(shard(1, 0)), None);
        shown.acknowledge(shard(1, 0), SeqNo(7), &state);
        shown.acknowledge(shard(1, 0), SeqNo(5), &state);
        assert_eq!(shown.of(shard(1, 0)), Some(SeqNo(7)));
        assert_eq!(shown.of(shard(1, 1)), None);
    }
}
