//! One shard of a round: which copies are left, and what was answered.

use std::time::Duration;

use gleaner_model::{Generation, NodeId};
use gleaner_proto::LeafFault;
use gleaner_proto::search::{ExpandAnswer, ExplainAnswer, PinnedView, StatisticsAnswer};
use gleaner_query::answer::{FetchedHits, LeafTimes, ShardHits, ViewId};
use gleaner_shard_router::Order;
use tokio::time::Instant;

use super::last_resort::LastResort;
use crate::health::Phase;
use crate::leaves::Copies;
use crate::plan::PlannedShard;
use crate::response::ShardFailure;

/// What a leaf answered for a shard, and which leaf.
#[derive(Debug, Clone)]
pub(crate) struct Answer<A> {
    pub(crate) node: NodeId,
    pub(crate) value: A,
}

/// An answer that says what it saw.
pub(crate) trait Dated {
    /// What was searched; `None` for calls that do not say.
    fn generation(&self) -> Option<Generation> {
        None
    }

    /// Says that it may lack something that matches.
    fn cut_short(&mut self) {}

    /// What the leaf says of its own time.
    fn times(&self) -> Option<LeafTimes> {
        None
    }

    /// The processor time that the leaf took for the whole call. One of a version that does not tell says how long the
    /// evaluation took.
    fn cpu(&self) -> Duration {
        let taken = |times: LeafTimes| match times.cpu.is_zero() {
            true => times.evaluate,
            false => times.cpu,
        };
        self.times().map_or(Duration::ZERO, taken)
    }

    /// Whether it counts only where no other copy gives a better answer within a moment.
    fn is_last_resort(&self) -> bool {
        false
    }
}

impl Dated for ShardHits {
    fn generation(&self) -> Option<Generation> {
        Some(self.generation)
    }

    fn cut_short(&mut self) {
        self.timed_out = true;
    }

    fn times(&self) -> Option<LeafTimes> {
        self.times
    }
}

impl Dated for StatisticsAnswer {
    fn generation(&self) -> Option<Generation> {
        Some(self.generation)
    }
}

impl Dated for ExpandAnswer {
    fn generation(&self) -> Option<Generation> {
        Some(self.generation)
    }
}

impl Dated for PinnedView {
    fn is_last_resort(&self) -> bool {
        self.may_be_stale
    }
}

impl Dated for FetchedHits {
    fn cpu(&self) -> Duration {
        self.cpu
    }
}

impl Dated for ExplainAnswer {}

/// A second request that is planned for a shard.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hedge {
    /// When the request before was sent.
    pub(super) since: Instant,
    /// How long it may take until it is late.
    pub(super) delay: Duration,
    /// When to look again.
    pub(super) due: Instant,
}

/// What another copy said of a shard: that it shows another moment than the one wanted.
#[derive(Debug, Clone)]
pub(super) struct MovedShard {
    pub(super) node: NodeId,
    pub(super) fault: LeafFault,
    /// Until when those asked before are waited for.
    pub(super) patience: Instant,
}

/// Attempts for one shard of which the last is a repetition on a copy that was asked before. Two late
/// copies of a hundred each are one in ten thousand calls: with ten calls a search, one in a thousand.
const MAX_ATTEMPTS: u32 = 3;

/// One shard of a round.
pub(crate) struct Slot<'a, A> {
    /// Position of its plan.
    pub(crate) plan: usize,
    pub(crate) asked: &'a PlannedShard,
    pub(crate) copies: Copies,
    /// Positions in `copies` of those not tried yet, the next first.
    pub(crate) untried: Order,
    /// Positions of those that were asked and have not failed, in the order asked.
    pub(super) asked_of: Order,
    /// Attempts under way.
    pub(super) num_open: u32,
    /// Attempts made.
    pub(super) num_attempts: u32,
    /// Positions of those that were behind and are waited for by themselves.
    waited_for: Order,
    pub(super) hedge: Option<Hedge>,
    /// A copy that shows another moment than the one that the shard is bound to.
    pub(super) moved: Option<MovedShard>,
    /// An answer for want of a better one.
    pub(super) last_resort: Option<LastResort<A>>,
    pub(super) outcome: Option<Result<Answer<A>, ShardFailure>>,
}

impl<'a, A> Slot<'a, A> {
    pub(crate) fn new(plan: usize, asked: &'a PlannedShard, copies: Copies) -> Self {
        Self {
            plan,
            asked,
            copies,
            untried: Order::new(),
            asked_of: Order::new(),
            num_open: 0,
            num_attempts: 0,
            waited_for: Order::new(),
            hedge: None,
            moved: None,
            last_resort: None,
            outcome: None,
        }
    }

    /// Returns what is wrong where there is no copy to ask.
    pub(super) fn without_copy(&self) -> LeafFault {
        let shard = self.asked.shard;
        match self.asked.view {
            // The copy that held the view was taken away, and the view with it.
            Some(ViewId(view)) if self.asked.is_pinned && !self.copies.is_empty() => {
                LeafFault::ViewMissing { shard, view }
            }
            _ => LeafFault::NotHere { shard },
        }
    }

    /// Notes that a copy is asked.
    pub(super) fn ask_of(&mut self, copy: usize) {
        self.num_open += 1;
        self.num_attempts += 1;
        self.untried.retain(|other| *other != copy);
        self.asked_of.retain(|other| *other != copy);
        self.asked_of.push(copy);
    }

    /// Notes that the copy on `node` failed.
    pub(super) fn failed_on(&mut self, node: &NodeId) {
        let copies = &self.copies;
        self.asked_of.retain(|copy| copies[*copy].node != *node);
    }

    /// Notes that the copy on `node` is behind; returns it if it is to be waited for by itself, which
    /// happens once.
    pub(super) fn behind_on(&mut self, node: &NodeId) -> Option<usize> {
        let copy = self.copies.iter().position(|copy| copy.node == *node)?;
        if !self.is_waiting() || self.waited_for.contains(&copy) {
            return None;
        }
        self.waited_for.push(copy);
        Some(copy)
    }

    /// Returns the copies that may be asked beside the one asked last: those not tried yet; then, up
    /// to a third attempt, those that are late too, if `phase` allows it. A leaf that is slow at times is
    /// not at once again.
    pub(super) fn others(&self, phase: Phase) -> &[usize] {
        match self.asked_of.split_last() {
            _ if !self.untried.is_empty() => &self.untried,
            Some((_, before)) if self.num_attempts < MAX_ATTEMPTS && phase.can_repeat() => before,
            _ => &[],
        }
    }

    /// Returns whether `fault` says that a moment is gone which the search itself chose: it may begin again
    /// with another one.
    pub(super) fn is_elsewhere(&self, fault: &LeafFault) -> bool {
        matches!(fault, LeafFault::ViewMissing { .. }) && !self.asked.is_pinned
    }

    /// Returns whether it has no answer yet.
    pub(super) fn is_waiting(&self) -> bool {
        self.outcome.is_none()
    }
}

impl<A: Dated> Slot<'_, A> {
    /// Returns whether its answer is of `generation`.
    pub(super) fn has_seen(&self, generation: Option<Generation>) -> bool {
        let answer = self
            .outcome
            .as_ref()
            .and_then(|outcome| outcome.as_ref().ok());
        answer.is_none_or(|answer| answer.value.generation() == generation)
    }

    /// Says of its answer that it may lack something that matches.
    pub(super) fn cut_short(&mut self) {
        if let Some(Ok(answer)) = &mut self.outcome {
            answer.value.cut_short();
        }
    }
}

impl<A: Dated> Slot<'_, A> {
    /// Returns the answer, or why it is of no use: another copy must show the moment that the shard
    /// is bound to.
    pub(super) fn checked(
        &self,
        node: &NodeId,
        result: Result<A, LeafFault>,
    ) -> Result<A, LeafFault> {
        let value = result?;
        let asked = self.asked;
        let is_bound_to_another = asked.node.as_ref().is_some_and(|bound| bound != node);
        match (asked.generation, value.generation()) {
            (Some(wanted), Some(seen)) if is_bound_to_another && wanted != seen => {
                let view = asked.view.map_or(0, |view| view.0);
                Err(LeafFault::ViewMissing {
                    shard: asked.shard,
                    view,
                })
            }
            _ => Ok(value),
        }
    }
}
