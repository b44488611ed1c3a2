//! One call per leaf and index, all at once, under one deadline.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use gleaner_model::{NodeId, ShardKey};
use gleaner_proto::search::ShardView;
use gleaner_proto::{LeafClient, LeafFault};

use crate::deadline::Deadline;
use crate::leaves::{Leaves, Located};
use crate::plan::IndexPlan;
use crate::response::{CallProfile, ShardFailure};

/// The answers of one phase, in the order of the plans and their shards.
pub(crate) struct Gathered<A> {
    /// Per plan, per shard.
    pub(crate) answers: Vec<Vec<Result<A, ShardFailure>>>,
    /// Time of each call.
    pub(crate) calls: Vec<CallProfile>,
}

/// What a leaf is asked in one call.
pub(crate) struct LeafCall {
    /// The leaf.
    pub(crate) client: Arc<dyn LeafClient>,
    /// Position of the plan.
    pub(crate) plan: usize,
    /// The shards.
    pub(crate) shards: Vec<ShardView>,
    /// Time left.
    pub(crate) remaining: Duration,
}

/// Asks every shard of `plans` by one call per leaf and index; `ask` makes the call and returns one
/// answer per shard, in order.
///
/// A call that is still out when the deadline passes is dropped, which cancels it on its leaf, and
/// its shards are reported as late.
pub(crate) async fn scatter<A, F, Fut>(
    leaves: &dyn Leaves,
    plans: &[IndexPlan],
    deadline: Deadline,
    phase: &'static str,
    ask: F,
) -> Gathered<A>
where
    F: Fn(LeafCall) -> Fut,
    Fut: Future<Output = Vec<Result<A, LeafFault>>>,
{
    let mut answers: Vec<Vec<Option<Result<A, ShardFailure>>>> = plans
        .iter()
        .map(|plan| plan.shards.iter().map(|_| None).collect())
        .collect();
    let mut calls = Vec::new();
    for (plan_at, plan) in plans.iter().enumerate() {
        for (located, positions) in by_leaf(leaves, plan) {
            let Some(located) = located else {
                for at in positions {
                    let shard = plan.shards[at].shard;
                    let fault = LeafFault::NotHere { shard };
                    answers[plan_at][at] = Some(Err(failure(plan, shard, None, fault)));
                }
                continue;
            };
            let shards = positions.iter().map(|at| plan.shards[*at]).collect();
            let call = LeafCall {
                client: Arc::clone(&located.client),
                plan: plan_at,
                shards,
                remaining: deadline.for_leaf(),
            };
            let future = timed(ask(call), deadline);
            calls.push(async move { (plan_at, located.node, positions, future.await) });
        }
    }
    let mut profiles = Vec::with_capacity(calls.len());
    for (plan_at, node, positions, timed) in join_all(calls).await {
        let plan = &plans[plan_at];
        let shards = positions.iter().map(|at| plan.shards[*at].shard).collect();
        let (started_after, took) = (timed.started_after, timed.took);
        profiles.push(CallProfile {
            phase,
            node: node.clone(),
            shards,
            started_after,
            took,
        });
        let mut outcomes = timed.outcomes.map(Vec::into_iter);
        for at in positions {
            let shard = plan.shards[at].shard;
            let outcome = match &mut outcomes {
                Some(outcomes) => outcomes.next().unwrap_or_else(|| {
                    let reason = "the leaf answered for fewer shards than it was asked".to_owned();
                    Err(LeafFault::Internal { shard, reason })
                }),
                None => Err(LeafFault::DeadlinePassed { shard }),
            };
            let outcome = outcome.map_err(|fault| failure(plan, shard, Some(&node), fault));
            answers[plan_at][at] = Some(outcome);
        }
    }
    Gathered {
        answers: complete(answers),
        calls: profiles,
    }
}

fn complete<A>(
    answers: Vec<Vec<Option<Result<A, ShardFailure>>>>,
) -> Vec<Vec<Result<A, ShardFailure>>> {
    let answered = "every shard is in exactly one call, and every call was gathered";
    answers
        .into_iter()
        .map(|shards| {
            shards
                .into_iter()
                .map(|answer| answer.expect(answered))
                .collect()
        })
        .collect()
}

struct Timed<A> {
    started_after: Duration,
    took: Duration,
    /// `None` when the deadline passed first.
    outcomes: Option<Vec<Result<A, LeafFault>>>,
}

/// Time after the deadline in which a leaf that stopped by itself may still hand over what it has.
const GRACE: Duration = Duration::from_millis(5);

async fn timed<A>(
    call: impl Future<Output = Vec<Result<A, LeafFault>>>,
    deadline: Deadline,
) -> Timed<A> {
    let (started_after, started) = (deadline.elapsed(), Instant::now());
    let outcomes = tokio::time::timeout(deadline.remaining() + GRACE, call)
        .await
        .ok();
    Timed {
        started_after,
        took: started.elapsed(),
        outcomes,
    }
}

/// Groups positions of a plan's shards by the leaf to ask.
fn by_leaf(leaves: &dyn Leaves, plan: &IndexPlan) -> Vec<(Option<Located>, Vec<usize>)> {
    let mut groups: BTreeMap<Option<NodeId>, (Option<Located>, Vec<usize>)> = BTreeMap::new();
    for (at, asked) in plan.shards.iter().enumerate() {
        let located = leaves.searcher(asked.shard);
        let node = located.as_ref().map(|located| located.node.clone());
        groups
            .entry(node)
            .or_insert_with(|| (located, Vec::new()))
            .1
            .push(at);
    }
    groups.into_values().collect()
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

#[cfg(test)]
mod tests;
