//! The book of the leaves' health while it is open: what is read from it, what is noted in it.

use std::time::Duration;

use gleaner_model::{IndexUuid, NodeId, ShardKey};
use gleaner_query::answer::LeafTimes;
use gleaner_shard_router::{Candidate, Order, order_copies};
use parking_lot::MutexGuard;
use tokio::time::Instant;

use super::{Pages, Phase, SILENCE, UNKNOWN};
use crate::leaves::LeafHandle;

/// The book while it is locked.
pub(crate) struct OpenBook<'a> {
    pub(super) pages: MutexGuard<'a, Pages>,
    pub(super) now: Instant,
    pub(super) is_choosing: bool,
}

impl OpenBook<'_> {
    /// Returns the order in which to try `copies` of `shard` for a query; `shunned` leaves have
    /// failed this very request and come last. One whose turn it is to be probed is taken for it.
    pub(crate) fn order(
        &mut self,
        shard: ShardKey,
        copies: &[LeafHandle],
        fingerprint: u128,
        shunned: &[NodeId],
    ) -> Order {
        let now = self.now;
        let mean_of = |copy: &LeafHandle| self.pages.nodes.get(&copy.node)?.mean();
        let fastest = copies.iter().filter_map(mean_of).reduce(f64::min);
        let fastest = fastest.unwrap_or(UNKNOWN.as_secs_f64());
        let candidates: Vec<Candidate> = copies
            .iter()
            .map(|copy| {
                let node = self.pages.node(&copy.node, now);
                Candidate {
                    node: node.hash,
                    load: node.load(fastest, now),
                    warmth: node.warmth(now),
                    is_ejected: node.is_out(shard, now) || shunned.contains(&copy.node),
                }
            })
            .collect();
        let order = if self.is_choosing {
            order_copies(shard, fingerprint, &candidates)
        } else {
            let is_shunned = |at: &usize| shunned.contains(&copies[*at].node);
            let (last, first): (Order, Order) = (0..copies.len()).partition(is_shunned);
            first.into_iter().chain(last).collect()
        };
        if let Some(first) = order.first() {
            self.pages.node(&copies[*first].node, now).sent(shard, now);
        }
        order
    }

    /// Returns which of `others` a call for `shard` is repeated on, and after what delay: the one
    /// that answers soonest by its 95th percentile. One that is queueing or out is better than none, once
    /// the first is silent.
    pub(crate) fn backup(
        &mut self,
        (shard, phase): (ShardKey, Phase),
        copies: &[LeafHandle],
        others: &[usize],
    ) -> Option<(usize, Duration)> {
        let (now, key) = (self.now, (shard.index, phase));
        let delays = others.iter().filter_map(|at| {
            let node = self.pages.nodes.get(&copies[*at].node)?;
            let is_last = node.is_out(shard, now) || node.is_queueing();
            let usual = node.p95(key).unwrap_or(UNKNOWN);
            let delay = if is_last { usual.max(SILENCE) } else { usual };
            Some((is_last, delay, *at))
        });
        // The first of those that are alike: it is next in the order of choice.
        let soonest = delays.min_by_key(|(is_last, delay, _)| (*is_last, *delay));
        soonest.map(|(_, delay, at)| (at, delay))
    }

    /// Notes first requests.
    pub(crate) fn asked(&mut self, num_shards: usize) {
        self.pages.budget.earn(num_shards);
    }

    /// Takes the cost of a second request for a shard; returns whether it may be sent. More may be of
    /// those that are very late.
    pub(crate) fn may_repeat(&mut self, is_very_late: bool) -> bool {
        let now = self.now;
        self.pages.budget.spend(1, is_very_late, now)
    }

    /// As [`Self::may_repeat`], for a request whose first copy is silent.
    pub(crate) fn must_repeat(&mut self) -> bool {
        let now = self.now;
        self.pages.budget.overdraw(1, now)
    }

    /// Notes that `node` answered a call on `index`; `took` is its time when it counts.
    pub(crate) fn answered(
        &mut self,
        node: &NodeId,
        key: (IndexUuid, Phase),
        took: Option<Duration>,
        times: Option<LeafTimes>,
    ) {
        let now = self.now;
        let node = self.pages.node(node, now);
        node.answered(now);
        if let Some(took) = took {
            node.took(key, took, now);
        }
        if let Some(times) = times {
            node.told(times);
        }
    }

    /// Notes that `node` could not be reached.
    pub(crate) fn unreachable(&mut self, node: &NodeId) {
        let now = self.now;
        self.pages.node(node, now).strike(now);
    }

    /// Notes that a call to `node` was given up after `took`; it counts against the leaf when
    /// `is_slow`.
    pub(crate) fn given_up(
        &mut self,
        node: &NodeId,
        key: (IndexUuid, Phase),
        took: Duration,
        is_slow: bool,
    ) {
        let now = self.now;
        let node = self.pages.node(node, now);
        node.took(key, took, now);
        if is_slow {
            node.strike(now);
        }
    }

    /// Returns the time within which `node` answers 95 of 100 calls.
    pub(crate) fn p95(&self, node: &NodeId, key: (IndexUuid, Phase)) -> Option<Duration> {
        self.pages.nodes.get(node)?.p95(key)
    }

    /// Notes whether `node` could serve `shard`.
    pub(crate) fn served(&mut self, node: &NodeId, shard: ShardKey, is_served: bool) {
        let now = self.now;
        let node = self.pages.node(node, now);
        if is_served {
            node.serves(shard);
        } else {
            node.fails(shard, now);
        }
    }

    /// Notes that a leaf refused work.
    pub(crate) fn rejected(&mut self) {
        let now = self.now;
        self.pages.budget.rejected(now);
    }

    /// Returns whether `node` is left out for now because it does not answer.
    pub(crate) fn is_silent(&self, node: &NodeId) -> bool {
        let known = self.pages.nodes.get(node);
        known.is_some_and(|node| node.is_silent(self.now))
    }

    /// Returns whether a copy on `node` is left out for now.
    pub(crate) fn is_out(&self, node: &NodeId, shard: ShardKey) -> bool {
        let known = self.pages.nodes.get(node);
        known.is_some_and(|node| node.is_out(shard, self.now))
    }
}
