//! One who keeps answers and holds leases on what a leaf shows.

use gleaner_leases::{FollowCall, Grantor as _, Holdings};
use gleaner_model::{Generation, NodeId};
use tokio::time::Instant;

use super::key;
use crate::Leaf;

/// A holder that asks when a test says so, and else stands still: it never says what it has heard.
pub(crate) struct Holder {
    holdings: Holdings,
    number: u64,
}

impl Holder {
    /// Returns one that has asked `leaf` for a lease on index 1.
    pub(crate) async fn of(leaf: &Leaf) -> Self {
        let mut holder = Self {
            holdings: Holdings::default(),
            number: 0,
        };
        holder.ask(leaf).await;
        holder
    }

    /// Asks `leaf` for a lease on index 1.
    pub(crate) async fn ask(&mut self, leaf: &Leaf) {
        self.number += 1;
        let call = FollowCall {
            holder: 1,
            number: self.number,
            heard: None,
            interest: vec![key(1).index],
            read: Vec::new(),
            is_last: false,
        };
        let sent = Instant::now();
        let answer = leaf.follow(call).await.expect("there is room");
        self.holdings.take(&NodeId("leaf".into()), sent, answer);
    }

    /// Returns what it would answer from.
    pub(crate) fn shown(&self) -> Option<Generation> {
        self.holdings.newest(key(1), u64::MAX)
    }

    /// Would it answer from before `acknowledged`?
    pub(crate) fn is_behind(&self, acknowledged: Generation) -> bool {
        let shown = self.shown();
        shown.is_some_and(|shown| shown.visible < acknowledged.visible)
    }
}
