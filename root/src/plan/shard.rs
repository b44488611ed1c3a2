//! A shard of a plan, and the moment it is bound to.

use gleaner_model::{Generation, NodeId, SeqNo, ShardKey};
use gleaner_proto::LeafFault;
use gleaner_proto::search::ShardView;
use gleaner_query::answer::ViewId;

use crate::deadline::Deadline;
use crate::deadline::MAX_RESTARTS;

/// A shard to ask, and the moment it is bound to.
///
/// A phase that took numbers from a shard binds it to what it saw, for the phases after it: the same
/// view on the same copy, or another copy at the same generation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PlannedShard {
    pub(crate) shard: ShardKey,
    /// The copy that holds `view`; `None` while it is not bound, or where an id does not say.
    pub(crate) node: Option<NodeId>,
    /// The view; it belongs to one copy.
    pub(crate) view: Option<ViewId>,
    /// What the view shows; `None` where that is not known yet.
    pub(crate) generation: Option<Generation>,
    /// Whether the request names the view: no other will do.
    pub(crate) is_pinned: bool,
    /// What a newest view must show at least.
    pub(crate) at_least: Option<SeqNo>,
    /// What the query was resolved by, where that was remembered: the shard's answer must be of it.
    pub(crate) expected: Option<Generation>,
    /// Whether a copy that the query was resolved by may lack acknowledged writes: then the shard is asked for hits
    /// whatever it lacks, and its answer says so.
    pub(crate) may_be_stale: bool,
}

impl PlannedShard {
    /// Returns a shard of which the newest view is asked.
    pub(crate) fn newest(shard: ShardKey, at_least: Option<SeqNo>) -> Self {
        Self {
            shard,
            node: None,
            view: None,
            generation: None,
            is_pinned: false,
            at_least,
            expected: None,
            may_be_stale: false,
        }
    }

    /// Returns a shard of which a pinned view is asked.
    pub(crate) fn pinned(shard: ShardKey, node: Option<NodeId>, view: ViewId) -> Self {
        Self {
            node,
            view: Some(view),
            is_pinned: true,
            ..Self::newest(shard, None)
        }
    }

    /// Binds it to what a copy has shown.
    pub(crate) fn bind(&mut self, node: &NodeId, view: ViewId, generation: Generation) {
        self.node = Some(node.clone());
        self.view = Some(view);
        self.generation = Some(generation);
    }

    /// Returns whether an answer of `generation` is one that the query was resolved for.
    pub(crate) fn expects(&self, generation: Generation) -> bool {
        self.expected.is_none_or(|expected| expected == generation)
    }

    /// Returns `fault` as the client is to see it. A view that the request did not name is none of its
    /// contexts: where it is gone, the search has run out of time, or of tries.
    pub(crate) fn reported(&self, fault: LeafFault, deadline: Deadline) -> LeafFault {
        match fault {
            LeafFault::ViewMissing { .. } if self.is_pinned => fault,
            LeafFault::ViewMissing { shard, .. } if !deadline.allows_another() => {
                LeafFault::DeadlinePassed { shard }
            }
            LeafFault::ViewMissing { .. } => LeafFault::Rejected {
                queue: LeafFault::RESTARTS.into(),
                capacity: MAX_RESTARTS,
            },
            fault => fault,
        }
    }

    /// Makes it ask for the newest again, unless it is pinned.
    pub(crate) fn unbind(&mut self) {
        if !self.is_pinned {
            *self = Self::newest(self.shard, self.at_least);
        }
    }
}

impl PlannedShard {
    /// Returns what to ask `node`: the view that the shard is bound to where that leaf holds it, else
    /// its newest, which must be at least as new.
    pub(crate) fn view_on(&self, node: &NodeId) -> ShardView {
        let is_there = self.node.as_ref().is_none_or(|bound| bound == node);
        let (view, at_least) = match (is_there, self.generation) {
            (true, _) => (self.view, self.at_least),
            (false, bound) => (None, self.at_least.max(bound.map(|bound| bound.visible))),
        };
        ShardView {
            shard: self.shard,
            view,
            at_least: if view.is_some() { None } else { at_least },
        }
    }

    /// Returns whether a copy that answers `fault` is no reason to give the shard up.
    pub(crate) fn is_worth_another_copy(&self, fault: &LeafFault) -> bool {
        let is_of_copy = matches!(
            fault,
            LeafFault::NotHere { .. }
                | LeafFault::Unreachable { .. }
                | LeafFault::Behind { .. }
                | LeafFault::Recovering { .. }
                | LeafFault::Stopped { .. }
                | LeafFault::Unsupported { .. }
                | LeafFault::Rejected { .. }
                | LeafFault::Internal { .. }
        );
        // Ids of older versions do not say which copy holds the view.
        let is_elsewhere =
            self.is_pinned && self.node.is_none() && matches!(fault, LeafFault::ViewMissing { .. });
        is_of_copy || is_elsewhere
    }
}
