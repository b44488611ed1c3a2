//! Shards of which only another moment than the one wanted is there in time.
//!
//! A shard is bound to what the copy showed that was asked first. Where that copy falls silent, another may
//! show an older or a newer moment, as refreshes reach copies one after the other. Its answer cannot stand
//! beside numbers of the first, but the whole search can begin again with what it shows: that takes
//! milliseconds, and waiting for the silent one may take all the time there is.

use gleaner_model::NodeId;
use gleaner_proto::LeafFault;
use tokio::time::Instant;

use super::race::Race;
use super::slot::{Dated, MovedShard};
use crate::health::SILENCE;

impl<A: Dated> Race<'_, A> {
    /// Notes that the copy on `node` shows another moment of a slot, while others are still waited for:
    /// until each had as long as makes a leaf a silent one.
    pub(super) fn note_moved(&mut self, at: usize, node: &NodeId, fault: LeafFault) {
        let asked = self.open_on(at).map(|attempt| attempt.started).max();
        let patience = asked.unwrap_or_else(Instant::now) + SILENCE;
        let node = node.clone();
        self.slots[at].moved.get_or_insert(MovedShard {
            node,
            fault,
            patience,
        });
    }

    /// Settles slots whose patience is over: with what was kept of them, or so that all can be begun again.
    pub(super) fn give_up_silent(&mut self) {
        let now = Instant::now();
        let mut has_given_up = false;
        for at in 0..self.slots.len() {
            if self.patience_of(at).is_none_or(|patience| patience > now) {
                continue;
            }
            let silent: Vec<NodeId> = self.open_on(at).map(|open| open.node.clone()).collect();
            has_given_up |= self.take_last_resort(at) || self.fail_moved(at, &silent);
        }
        if has_given_up {
            self.cancel_losers();
        }
    }

    /// Settles a slot as one that shows another moment, if that was said of it and all can be begun again;
    /// returns whether it was. `silent` are asked last then.
    pub(super) fn fail_moved(&mut self, at: usize, silent: &[NodeId]) -> bool {
        if !self.may_restart() {
            return false;
        }
        let Some(moved) = self.slots[at].moved.take() else {
            return false;
        };
        self.shunned.extend_from_slice(silent);
        self.fail(at, Some(&moved.node), moved.fault);
        true
    }

    /// Returns when to settle a slot for want of the moment that it is bound to, or of a better answer than it has.
    pub(super) fn patience_of(&self, at: usize) -> Option<Instant> {
        let slot = &self.slots[at];
        if !slot.is_waiting() {
            return None;
        }
        if let Some(kept) = &slot.last_resort {
            return Some(kept.patience);
        }
        let moved = slot.moved.as_ref()?;
        self.may_restart().then_some(moved.patience)
    }

    fn may_restart(&self) -> bool {
        self.rules.may_restart && self.rules.deadline.allows_another()
    }
}
