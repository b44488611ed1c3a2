//! The state of a round: which shard waits for which copy, and what is to be done next.
//!
//! ```text
//! a slot (one shard)   waiting ── the first usable answer ──▶ settled
//!                      waiting ── its attempt failed, copies are left ──▶ waiting, on the next copy
//!                      waiting ── the copy is behind, and had company ──▶ waiting, on it alone too
//!                      waiting ── late, and the budget allows it ──▶ waiting, on two copies
//!                      waiting ── no attempt and no copy left ──▶ settled, as failed
//!                      waiting ── a copy shows another moment, the rest are silent ──▶ settled, as failed
//!                      waiting ── the round ends ──▶ settled, as late
//! an attempt (a call)  open ── answered, or failed ──▶ over
//!                      open ── all its slots are settled ──▶ over, cancelled
//! ```
//!
//! Nothing here waits or calls: [`super::run`] does, and tells what happened.

use std::slice::from_ref;
use std::time::Duration;

use futures::future::{AbortHandle, AbortRegistration};
use gleaner_model::{NodeId, ShardKey, metric};
use gleaner_proto::LeafFault;
use tokio::time::Instant;

use super::slot::{Answer, Dated, Slot};
use super::{LeafCall, failure};
use crate::deadline::Deadline;
use crate::health::{Book, Phase, Ticket};
use crate::plan::IndexPlan;
use crate::waterfall::{AttemptKind, LeafAttempt};

/// What holds for a whole round.
pub(super) struct Rules<'a> {
    pub(super) plans: &'a [IndexPlan],
    pub(super) phase: Phase,
    pub(super) deadline: Deadline,
    /// Until when answers are waited for.
    pub(super) gather_by: Instant,
    /// What is known of the leaves; `None` where no shard has a second copy.
    pub(super) book: Option<&'a std::sync::Arc<Book>>,
    /// Whether the shards of one index on one leaf are one call.
    pub(super) is_grouped: bool,
    /// Whether attempts are written down.
    pub(super) is_profiled: bool,
    /// Whether all can be begun again, with another moment of each shard.
    pub(super) may_restart: bool,
}

/// A call to be made.
pub(super) struct Start {
    pub(super) id: usize,
    pub(super) kind: AttemptKind,
    pub(super) call: LeafCall,
    /// By which it can be cancelled.
    pub(super) guard: Option<AbortRegistration>,
}

/// A call that was made.
pub(super) struct Attempt {
    pub(super) node: NodeId,
    pub(super) slots: Vec<usize>,
    pub(super) kind: AttemptKind,
    pub(super) started: Instant,
    pub(super) open: Option<Open>,
}

/// What a call under way holds.
pub(super) struct Open {
    pub(super) cancel: Option<AbortHandle>,
    /// Counts it as load of its leaf.
    _ticket: Option<Ticket>,
}

/// A slot and the copy to ask for it.
pub(super) type Pick = (usize, usize);

pub(super) struct Race<'a, A> {
    pub(super) rules: Rules<'a>,
    pub(super) slots: Vec<Slot<'a, A>>,
    pub(super) attempts: Vec<Attempt>,
    pub(super) profile: Vec<LeafAttempt>,
    /// The processor time that leaves say they took, all calls together.
    pub(super) cpu: Duration,
    /// Whether answers were taken that left out hits for the sake of others which were not taken.
    pub(super) is_mixed: bool,
    /// Leaves for whose sake all is begun again.
    pub(super) shunned: Vec<NodeId>,
    num_waiting: usize,
    /// Slots that were settled with an answer which was not handed on yet.
    fresh: Vec<usize>,
}

impl<'a, A: Dated> Race<'a, A> {
    pub(super) fn new(rules: Rules<'a>, slots: Vec<Slot<'a, A>>) -> Self {
        Self {
            num_waiting: slots.len(),
            rules,
            slots,
            attempts: Vec::new(),
            profile: Vec::new(),
            cpu: Duration::ZERO,
            is_mixed: false,
            shunned: Vec::new(),
            fresh: Vec::new(),
        }
    }

    /// Returns whether every slot is settled.
    pub(super) fn is_settled(&self) -> bool {
        self.num_waiting == 0
    }

    /// Returns the calls that begin the round. Shards without a copy fail at once.
    pub(super) fn begin(&mut self) -> Vec<Start> {
        let mut picks = Vec::with_capacity(self.slots.len());
        for at in 0..self.slots.len() {
            match self.slots[at].untried.first() {
                Some(copy) => picks.push((at, *copy)),
                None => {
                    let bound = self.slots[at].asked.node.clone();
                    let fault = self.slots[at].without_copy();
                    self.fail(at, bound.as_ref(), fault);
                }
            }
        }
        if let Some(book) = self.rules.book {
            book.open().asked(picks.len());
        }
        self.launch(&picks, AttemptKind::First)
    }

    /// Hands the answers on that have come since the last time: the plan's position, the shard, the
    /// answer.
    pub(super) fn hand_on(&mut self, mut to: impl FnMut(usize, ShardKey, &mut A)) {
        for at in self.fresh.drain(..) {
            let slot = &mut self.slots[at];
            if let Some(Ok(answer)) = &mut slot.outcome {
                to(slot.plan, slot.asked.shard, &mut answer.value);
            }
        }
    }

    /// Takes what a call gave; `None` is one that was cancelled. Returns the calls to make instead.
    pub(super) fn answered(
        &mut self,
        id: usize,
        results: Option<Vec<Result<A, LeafFault>>>,
    ) -> Vec<Start> {
        let Some(results) = results else {
            return Vec::new();
        };
        self.attempts[id].open = None;
        let results = self.complete(id, results);
        self.note_answer(id, &results);
        let node = self.attempts[id].node.clone();
        let slots = std::mem::take(&mut self.attempts[id].slots);
        let has_company = slots.len() > 1;
        let (mut picks, mut waits) = (Vec::new(), Vec::new());
        let (mut won, mut has_other) = (Vec::new(), false);
        for (at, result) in slots.iter().zip(results) {
            let slot = &mut self.slots[*at];
            slot.num_open -= 1;
            let is_answer = result.is_ok();
            match slot.checked(&node, result) {
                Ok(value) if slot.is_waiting() && value.is_last_resort() => {
                    let node = node.clone();
                    picks.extend(self.keep_last_resort(*at, Answer { node, value }));
                }
                Ok(value) if slot.is_waiting() => {
                    won.push(*at);
                    let node = node.clone();
                    self.settle(*at, Ok(Answer { node, value }));
                }
                Ok(value) => has_other |= !slot.has_seen(value.generation()),
                Err(fault) => {
                    // Of another moment than is wanted, it was in the threshold all the same.
                    has_other |= is_answer;
                    slot.failed_on(&node);
                    let is_behind = has_company && matches!(fault, LeafFault::Behind { .. });
                    let wait = is_behind.then(|| slot.behind_on(&node)).flatten();
                    match wait {
                        Some(copy) => {
                            waits.push((*at, copy));
                            picks.extend(self.next_copy(*at));
                        }
                        None => picks.extend(self.missed(*at, &node, fault)),
                    }
                }
            }
        }
        self.attempts[id].slots = slots;
        // Shards of one call share a threshold: an answer beside another moment's may lack hits.
        if has_other {
            self.is_mixed |= !won.is_empty();
            won.iter().for_each(|at| self.slots[*at].cut_short());
        }
        self.cancel_losers();
        let mut starts = self.launch(&picks, AttemptKind::Retry);
        starts.extend(self.launch(&waits, AttemptKind::Wait));
        starts
    }

    /// Takes a slot's failure; returns the copy to ask next, if one is to be asked now.
    fn missed(&mut self, at: usize, node: &NodeId, fault: LeafFault) -> Option<Pick> {
        let slot = &self.slots[at];
        let is_over = matches!(fault, LeafFault::BadQuery { .. });
        if !slot.is_waiting() {
            return None;
        }
        if slot.num_open > 0 && !is_over {
            if slot.is_elsewhere(&fault) {
                self.note_moved(at, node, fault);
            }
            return None;
        }
        let is_worth_it = slot.asked.is_worth_another_copy(&fault);
        let next = self.next_copy(at).filter(|_| is_worth_it);
        let is_done = next.is_some() || (!is_over && self.fail_moved(at, from_ref(node)));
        if !is_done {
            self.fail(at, Some(node), fault);
        }
        next
    }

    /// Returns the copy to ask of a slot that has nothing under way, if there is one and time.
    pub(super) fn next_copy(&self, at: usize) -> Option<Pick> {
        let slot = &self.slots[at];
        let is_due = slot.num_open == 0 && Instant::now() < self.rules.gather_by;
        let next = slot.untried.first().filter(|_| is_due);
        next.map(|copy| (at, *copy))
    }

    /// Returns the calls under way that a slot is part of.
    pub(super) fn open_on(&self, at: usize) -> impl Iterator<Item = &Attempt> {
        let is_of = move |attempt: &&Attempt| attempt.open.is_some() && attempt.slots.contains(&at);
        self.attempts.iter().filter(is_of)
    }

    /// Groups picks by plan and leaf and writes their calls down as begun; waits are a call each.
    pub(super) fn launch(&mut self, picks: &[Pick], kind: AttemptKind) -> Vec<Start> {
        if picks.is_empty() {
            return Vec::new();
        }
        if self.rules.book.is_some() {
            count_requests(self.rules.phase, kind, picks.len());
        }
        let mut starts: Vec<Start> = Vec::new();
        let first_id = self.attempts.len();
        let is_grouped = self.rules.is_grouped && kind != AttemptKind::Wait;
        for (at, copy) in picks {
            let slot = &mut self.slots[*at];
            match kind {
                AttemptKind::Wait => slot.num_open += 1,
                _ => slot.ask_of(*copy),
            }
            let located = &slot.copies[*copy];
            let view = slot.asked.view_on(&located.node);
            let of_call = |start: &&mut Start| {
                start.call.plan == slot.plan && start.call.located.node == located.node
            };
            let known = starts.iter_mut().find(of_call);
            if let Some(start) = known.filter(|_| is_grouped) {
                start.call.shards.push(view);
                self.attempts[start.id].slots.push(*at);
                continue;
            }
            let id = first_id + starts.len();
            let ticket = self.rules.book.map(|book| book.begin(&located.node));
            let (cancel, guard) = match self.rules.book.map(|_| AbortHandle::new_pair()) {
                Some((cancel, guard)) => (Some(cancel), Some(guard)),
                None => (None, None),
            };
            let call = LeafCall {
                located: located.clone(),
                plan: slot.plan,
                shards: vec![view],
                remaining: self.rules.deadline.for_leaf(),
            };
            starts.push(Start {
                id,
                kind,
                call,
                guard,
            });
            self.attempts.push(Attempt {
                node: located.node.clone(),
                slots: vec![*at],
                kind,
                started: Instant::now(),
                open: Some(Open {
                    cancel,
                    _ticket: ticket,
                }),
            });
        }
        if kind != AttemptKind::Wait {
            self.plan_hedges(picks);
        }
        starts
    }

    pub(super) fn settle(&mut self, at: usize, outcome: Result<Answer<A>, crate::ShardFailure>) {
        let slot = &mut self.slots[at];
        debug_assert!(slot.is_waiting(), "a slot is settled once");
        if outcome.is_ok() {
            self.fresh.push(at);
        }
        slot.outcome = Some(outcome);
        slot.hedge = None;
        self.num_waiting -= 1;
    }

    /// Settles a slot that gets no answer any more: with one that was kept as a last resort, else with `fault`.
    pub(super) fn fail(&mut self, at: usize, node: Option<&NodeId>, fault: LeafFault) {
        if self.take_last_resort(at) {
            return;
        }
        let slot = &self.slots[at];
        let plan = &self.rules.plans[slot.plan];
        let failure = failure(plan, slot.asked.shard, node, fault);
        self.settle(at, Err(failure));
    }
}

/// Counts shards asked of leaves.
fn count_requests(phase: Phase, kind: AttemptKind, num_shards: usize) {
    let labels = [("phase", phase.name()), ("kind", kind.name())];
    metrics::counter!(metric::SHARD_REQUESTS.name, &labels).increment(num_shards as u64);
}

/// Makes the counters of requests that searches make, so that they are there before the first.
pub(crate) fn begin_counting() {
    for phase in [Phase::Statistics, Phase::Query, Phase::Fetch] {
        for kind in AttemptKind::ALL {
            count_requests(phase, kind, 0);
        }
    }
}
