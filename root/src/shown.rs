//! What this root has acknowledged as visible, per shard: no search through it may show less.
//!
//! `refresh=true`, `wait_for` and `_refresh` are acknowledged when the primary and the other live
//! copies show the writes. A copy that did not make it in time is named in the answer, and from then
//! on every search asks copies for at least what was acknowledged: the late one catches up first, or
//! another answers. Where another history of a shard has begun, what was acknowledged before is given up.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use gleaner_model::{ClusterState, Generation, HistoryId, SeqNo, ShardKey};
use parking_lot::Mutex;

/// Shards above which those of deleted indices are forgotten.
const TIDIED_AT: usize = 8_192;

/// Operations below which all are shown, by shard; it only grows within a history of the shard.
#[derive(Debug, Default)]
pub(crate) struct VisibleFloor {
    by_shard: Mutex<HashMap<ShardKey, (HistoryId, SeqNo)>>,
    /// Whether anything is known: shards of one copy never come here.
    is_used: AtomicBool,
}

impl VisibleFloor {
    /// Returns what a search of `shard` must show, which is at the history that is given.
    pub(crate) fn of(&self, shard: ShardKey, history: impl FnOnce() -> HistoryId) -> Option<SeqNo> {
        if !self.is_used.load(Ordering::Acquire) {
            return None;
        }
        let (known, visible) = self.by_shard.lock().get(&shard).copied()?;
        (known == history()).then_some(visible)
    }

    /// Notes that all operations of `shard` that `shown` covers were acknowledged as visible.
    pub(crate) fn acknowledge(&self, shard: ShardKey, shown: Generation, state: &ClusterState) {
        let mut by_shard = self.by_shard.lock();
        if by_shard.len() >= TIDIED_AT {
            by_shard.retain(|shard, _| state.indices.contains_key(&shard.index));
        }
        let known = by_shard.entry(shard).or_default();
        let Generation {
            history, visible, ..
        } = shown;
        *known = match known.0 == history {
            true => (history, visible.max(known.1)),
            false => (history, visible),
        };
        self.is_used.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{shard, shows};

    #[test]
    fn what_was_acknowledged_never_shrinks_within_a_history() {
        let (shown, state) = (VisibleFloor::default(), ClusterState::default());
        let of = |number, history| shown.of(shard(1, number), || history);
        let (first, other) = (HistoryId::FIRST, HistoryId([9; 16]));
        assert_eq!(of(0, first), None);
        shown.acknowledge(shard(1, 0), shows(7), &state);
        shown.acknowledge(shard(1, 0), shows(5), &state);
        assert_eq!(of(0, first), Some(SeqNo(7)));
        assert_eq!(of(1, first), None);
        assert_eq!(of(0, other), None);
        let begun = Generation {
            history: other,
            ..shows(2)
        };
        shown.acknowledge(shard(1, 0), begun, &state);
        assert_eq!(of(0, other), Some(SeqNo(2)));
    }
}
