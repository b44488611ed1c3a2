//! One round of calls: every shard asked of a copy, late copies of a second, failed ones elsewhere.
//!
//! Shards of one index whose chosen copies are on one leaf are one call, with one threshold for all.
//! The first usable answer for a shard counts. Everything ends with the deadline: what is out then is
//! dropped, which cancels it on its leaf, and its shards are reported as late. Nothing is spawned.
//! Read [`Race`](race::Race) first; [`crate::health`] knows the leaves.

mod hedges;
mod last_resort;
mod moved;
mod notes;
mod race;
mod run;
mod slot;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::time::Duration;

use gleaner_model::{NodeId, ShardKey};
use gleaner_proto::LeafFault;
use gleaner_proto::search::ShardView;
use gleaner_query::canonical::clause_fingerprint;
use gleaner_telemetry::{Span, SpanKind};
use tokio::time::Instant;

use crate::SharedParts;
use crate::cluster::ClusterView;
use crate::deadline::Deadline;
use crate::deadline::MAX_RESTARTS;
use crate::health::Book;
use crate::health::Phase;
use crate::leaves::LeafHandle;
use crate::plan::IndexPlan;
use crate::response::ShardFailure;
use crate::waterfall::{self, Step, Waterfall};
pub(crate) use race::begin_counting;
use race::{Race, Rules};
use std::sync::Arc;

pub(crate) use slot::{Answer, Dated, Slot};

/// How shards are called in a round, and where each answer goes as it comes.
pub(crate) struct Calls<F, T> {
    /// Makes a call; it answers once per shard, in order.
    pub(crate) ask: F,
    /// Takes the position of a plan, its shard and its answer, and may take out of that what it needs.
    pub(crate) taken: T,
}

impl<A, F> Calls<F, fn(usize, ShardKey, &mut A)> {
    /// Returns calls whose answers are only gathered.
    pub(crate) fn of(ask: F) -> Self {
        Self {
            ask,
            taken: |_, _, _| (),
        }
    }
}

/// A search on its way through the rounds.
pub(crate) struct Trip {
    /// By when all of it must be over.
    pub(crate) deadline: Deadline,
    /// Leaves that lost what this search had from them: asked last.
    pub(crate) shunned: Vec<NodeId>,
    /// Whether each shard is asked for hits by a call of its own. Shards of one call share a threshold,
    /// and their copies showed different moments.
    pub(crate) is_apart: bool,
    /// Whether it can begin again at all, with another moment of each shard.
    pub(crate) may_restart: bool,
    /// Whether what shards said before may stand for what they show now, until it turns out wrong.
    pub(crate) trusts_memory: bool,
    /// Times that it was begun again, for its moments.
    pub(crate) num_restarts: usize,
    /// Where the time went, when asked for.
    pub(crate) waterfall: Option<Waterfall>,
    /// The processor time that leaves say they took, all calls together.
    pub(crate) cpu: Duration,
    /// How long fetching the documents of the page took.
    pub(crate) fetch_took: Duration,
}

impl Trip {
    /// Returns a trip that ends by `deadline`.
    pub(crate) fn new(deadline: Deadline) -> Self {
        Self {
            deadline,
            shunned: Vec::new(),
            is_apart: false,
            may_restart: false,
            trusts_memory: true,
            num_restarts: 0,
            waterfall: None,
            cpu: Duration::ZERO,
            fetch_took: Duration::ZERO,
        }
    }

    /// Returns whether all can be begun again, and there is time for it.
    pub(crate) fn may_begin_again(&self) -> bool {
        self.has_restarts() && self.deadline.allows_another()
    }

    /// Returns whether what shards said before is taken for what they show now.
    pub(crate) fn may_guess(&self) -> bool {
        self.trusts_memory && self.num_restarts == 0
    }

    /// Returns whether it has not been begun again too often.
    fn has_restarts(&self) -> bool {
        self.may_restart && self.num_restarts < MAX_RESTARTS
    }

    /// Notes what the root did itself since `started`.
    pub(crate) fn did(&mut self, name: &'static str, started: Instant) {
        if let Some(waterfall) = &mut self.waterfall {
            waterfall.steps.push(Step {
                name,
                started_after: self.deadline.at(started),
                took: started.elapsed(),
            });
        }
    }
}

/// Outcomes per plan, per shard of it.
pub(crate) type Answers<A> = Vec<Vec<Result<Answer<A>, ShardFailure>>>;

/// The answers of one round, in the order of the plans and their shards.
pub(crate) struct RoundAnswers<A> {
    /// What each shard gave.
    pub(crate) answers: Answers<A>,
    /// Whether answers stand side by side that do not fit: the round should be repeated.
    pub(crate) is_mixed: bool,
}

/// What is asked in one round.
pub(crate) struct Round<'a, A> {
    pub(crate) phase: Phase,
    pub(crate) slots: Vec<Slot<'a, A>>,
    /// Until when answers are waited for.
    pub(crate) gather_by: Instant,
    /// Whether slots of one index and leaf are one call.
    pub(crate) is_grouped: bool,
}

/// What a leaf is asked in one call.
pub(crate) struct LeafCall {
    /// The leaf.
    pub(crate) located: LeafHandle,
    /// Position of the plan.
    pub(crate) plan: usize,
    /// The shards, of one index.
    pub(crate) shards: Vec<ShardView>,
    /// Time left.
    pub(crate) remaining: Duration,
}

/// Calls leaves: every shard of a round, late copies of a second, failed ones elsewhere.
pub(crate) struct Scatterer {
    pub(crate) cluster: Arc<ClusterView>,
    pub(crate) health: Arc<Book>,
}

impl Scatterer {
    pub(crate) fn new(shared: &SharedParts) -> Self {
        Self {
            cluster: Arc::clone(&shared.cluster),
            health: Arc::clone(&shared.health),
        }
    }
}

impl Scatterer {
    /// Asks every shard of `plans`; `ask` makes a call and returns one answer per shard, in order.
    pub(crate) async fn scatter<A, F, Fut>(
        &self,
        plans: &[IndexPlan],
        trip: &mut Trip,
        phase: Phase,
        ask: F,
    ) -> RoundAnswers<A>
    where
        A: Dated,
        F: Fn(LeafCall) -> Fut,
        Fut: Future<Output = Vec<Result<A, LeafFault>>>,
    {
        self.scatter_to(plans, trip, phase, Calls::of(ask)).await
    }

    /// Asks every shard of `plans` and hands each answer on as it comes: the position of its plan, its
    /// shard, the answer. It may take out what it needs.
    pub(crate) async fn scatter_to<A, F, Fut, T>(
        &self,
        plans: &[IndexPlan],
        trip: &mut Trip,
        phase: Phase,
        calls: Calls<F, T>,
    ) -> RoundAnswers<A>
    where
        A: Dated,
        F: Fn(LeafCall) -> Fut,
        Fut: Future<Output = Vec<Result<A, LeafFault>>>,
        T: FnMut(usize, ShardKey, &mut A),
    {
        let round = Round {
            phase,
            slots: self.slots(plans, trip),
            gather_by: match phase {
                Phase::Statistics | Phase::Expand => trip.deadline.prepare_by(),
                _ => trip.deadline.gather_by(),
            },
            is_grouped: !(trip.is_apart && phase == Phase::Query),
        };
        let (outcomes, is_mixed) = self.race(plans, round, trip, calls).await;
        let mut outcomes = outcomes.into_iter();
        let of_plan = |plan: &IndexPlan| outcomes.by_ref().take(plan.shards.len()).collect();
        RoundAnswers {
            answers: plans.iter().map(of_plan).collect(),
            is_mixed,
        }
    }

    /// Runs a round; answers are handed on as they come. Returns the outcomes of its slots in order, and
    /// whether they do not fit each other.
    pub(crate) async fn race<A, F, Fut, T>(
        &self,
        plans: &[IndexPlan],
        round: Round<'_, A>,
        trip: &mut Trip,
        calls: Calls<F, T>,
    ) -> (Vec<Result<Answer<A>, ShardFailure>>, bool)
    where
        A: Dated,
        F: Fn(LeafCall) -> Fut,
        Fut: Future<Output = Vec<Result<A, LeafFault>>>,
        T: FnMut(usize, ShardKey, &mut A),
    {
        let Round {
            phase,
            slots,
            gather_by,
            is_grouped,
        } = round;
        let has_choice = slots.iter().any(|slot| slot.copies.len() > 1);
        let rules = Rules {
            plans,
            phase,
            deadline: trip.deadline,
            gather_by,
            book: has_choice.then_some(&self.health),
            is_grouped,
            is_profiled: trip.waterfall.is_some(),
            may_restart: trip.has_restarts(),
        };
        let mut race = Race::new(rules, slots);
        let span = Span::begin(phase.span_name(), SpanKind::Internal);
        let span = span.with("gleaner.shards", race.slots.len());
        span.around(run::run(&mut race, calls.ask, calls.taken))
            .await;
        trip.shunned.append(&mut race.shunned);
        trip.cpu += race.cpu;
        if let Some(waterfall) = &mut trip.waterfall {
            waterfall::mark_stragglers(&mut race.profile);
            waterfall.attempts.append(&mut race.profile);
        }
        let settled = "a race that has ended has settled every slot";
        let outcomes = race.slots.into_iter();
        let outcomes = outcomes.map(|slot| slot.outcome.expect(settled)).collect();
        (outcomes, race.is_mixed)
    }

    /// Returns a slot for each shard of `plans`, its copies in the order in which to try them.
    fn slots<'a, A>(&self, plans: &'a [IndexPlan], trip: &Trip) -> Vec<Slot<'a, A>> {
        let of_plan = |(at, plan): (usize, &'a IndexPlan)| {
            let slot = move |asked| Slot::new(at, asked, self.cluster.leaves.copies(asked.shard));
            plan.shards.iter().map(slot)
        };
        let mut slots: Vec<Slot<'a, A>> = plans.iter().enumerate().flat_map(of_plan).collect();
        let is_open = |slot: &Slot<'_, A>| slot.copies.len() > 1 && slot.asked.node.is_none();
        if !slots.iter().any(is_open) {
            slots.iter_mut().for_each(keep_order);
            return slots;
        }
        let fingerprint = |plan: &IndexPlan| clause_fingerprint(&plan.resolved.query);
        let fingerprints: Vec<u128> = plans.iter().map(fingerprint).collect();
        let mut book = self.health.open();
        for slot in &mut slots {
            if is_open(slot) {
                let (shard, fingerprint) = (slot.asked.shard, fingerprints[slot.plan]);
                slot.untried = book.order(shard, &slot.copies, fingerprint, &trip.shunned);
            } else {
                keep_order(slot);
            }
        }
        slots
    }
}

impl IndexPlan {
    /// Takes the answers of a phase, one per shard: shards that failed are lost to this search,
    /// since an answer without their numbers must not pass for one with them.
    pub(crate) fn settle<A>(
        &mut self,
        answers: Vec<Result<Answer<A>, ShardFailure>>,
        deadline: Deadline,
    ) -> Vec<Answer<A>> {
        let mut settled = Vec::with_capacity(answers.len());
        let mut shards = Vec::with_capacity(answers.len());
        for (shard, answer) in self.shards.drain(..).zip(answers) {
            match answer {
                Ok(answer) => {
                    shards.push(shard);
                    settled.push(answer);
                }
                Err(mut failure) => {
                    failure.fault = shard.reported(failure.fault, deadline);
                    self.lost.push(failure);
                }
            }
        }
        self.shards = shards;
        settled
    }
}

/// Leaves the copies of a slot in their order, but for the one that it is bound to: that comes first,
/// and alone if no other can have its view.
pub(crate) fn keep_order<A>(slot: &mut Slot<'_, A>) {
    let (copies, asked) = (&slot.copies, slot.asked);
    let held = asked.node.as_ref().and_then(|bound| {
        let mut nodes = copies.iter().map(|copy| &copy.node);
        nodes.position(|node| node == bound)
    });
    slot.untried.extend(held);
    if asked.node.is_none() || !asked.is_pinned {
        let others = (0..copies.len()).filter(|at| Some(*at) != held);
        slot.untried.extend(others);
    }
}

pub(crate) fn failure(
    plan: &IndexPlan,
    shard: ShardKey,
    node: Option<&NodeId>,
    fault: LeafFault,
) -> ShardFailure {
    ShardFailure {
        index: plan.index.name.to_string(),
        shard,
        node: node.cloned(),
        fault,
    }
}
