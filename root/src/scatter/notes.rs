//! What a round notes of its calls: in the book of the leaves' health, and in the profile.

use std::time::Duration;

use gleaner_model::{IndexUuid, SeqNo};
use gleaner_proto::LeafFault;

use super::race::Race;
use super::slot::Dated;
use crate::health::Phase;
use crate::waterfall::{AttemptKind, AttemptOutcome, LeafAttempt};

/// A call that no other copy overtook counts against its leaf when it was given this many times the
/// leaf's own 95th percentile, or [`HOPELESS`] where that is not known: a client that gives a search
/// a millisecond says nothing about leaves.
const FAR_BEYOND: u32 = 4;
const HOPELESS: Duration = Duration::from_secs(1);

impl<A: Dated> Race<'_, A> {
    /// Makes the answers as many as the shards asked.
    pub(super) fn complete(
        &self,
        id: usize,
        mut results: Vec<Result<A, LeafFault>>,
    ) -> Vec<Result<A, LeafFault>> {
        let slots = &self.attempts[id].slots;
        results.truncate(slots.len());
        for at in &slots[results.len()..] {
            let reason = "the leaf answered for fewer shards than it was asked".to_owned();
            let shard = self.slots[*at].asked.shard;
            results.push(Err(LeafFault::Internal { shard, reason }));
        }
        results
    }

    /// Notes a call that ended by itself.
    pub(super) fn note_answer(&mut self, id: usize, results: &[Result<A, LeafFault>]) {
        let attempt = &self.attempts[id];
        let took = attempt.started.elapsed();
        let is_behind = |result: &Result<A, LeafFault>| {
            matches!(result, Err(LeafFault::Behind { .. })) && attempt.slots.len() > 1
        };
        // What is waited for is another leaf's doing.
        let has_waited = attempt.kind == AttemptKind::Wait || results.iter().any(is_behind);
        let times = results.iter().flatten().find_map(Dated::times);
        self.cpu += results
            .iter()
            .flatten()
            .next()
            .map_or(Duration::ZERO, Dated::cpu);
        let has_answer = results.iter().any(Result::is_ok);
        if let Some(book) = self.rules.book {
            let mut book = book.open();
            let faults = || results.iter().filter_map(|result| result.as_ref().err());
            let is_nobody = |fault: &LeafFault| matches!(fault, LeafFault::Unreachable { .. });
            if !has_answer && faults().any(is_nobody) {
                book.unreachable(&attempt.node);
            } else if !results.iter().all(is_unheard) {
                // Another copy than the one that ranked looks up first: not how long a fetch takes.
                let is_usual =
                    attempt.kind == AttemptKind::First || self.rules.phase != Phase::Fetch;
                let took = (has_answer && is_usual && !has_waited).then_some(took);
                let times = times.filter(|_| !has_waited);
                book.answered(&attempt.node, self.key_of(id), took, times);
            }
            if faults().any(|fault| matches!(fault, LeafFault::Rejected { .. })) {
                book.rejected();
            }
            for (at, result) in attempt.slots.iter().zip(results) {
                let shard = self.slots[*at].asked.shard;
                match result {
                    Ok(_) => book.served(&attempt.node, shard, true),
                    _ if is_behind(result) => {}
                    Err(fault) if is_of_copy(fault) => book.served(&attempt.node, shard, false),
                    Err(_) => {}
                }
            }
        }
        if self.rules.is_profiled {
            let is_used = |(at, result): (&usize, &Result<A, LeafFault>)| {
                result.is_ok() && self.slots[*at].is_waiting()
            };
            let outcome = match results.iter().find_map(|result| result.as_ref().err()) {
                _ if attempt.slots.iter().zip(results).any(is_used) => AttemptOutcome::Won,
                Some(fault) if !has_answer => AttemptOutcome::Failed(fault.clone()),
                _ => AttemptOutcome::Lost,
            };
            let profile = LeafAttempt {
                times,
                ..self.profile_of(id, outcome)
            };
            self.profile.push(profile);
        }
    }

    /// Cancels the calls whose shards have all been answered by others.
    pub(super) fn cancel_losers(&mut self) {
        for id in 0..self.attempts.len() {
            let attempt = &self.attempts[id];
            let is_wanted = |at: &usize| self.slots[*at].is_waiting();
            if attempt.open.is_none() || attempt.slots.iter().any(is_wanted) {
                continue;
            }
            // A second request that lost says nothing: it had less time. A first one lost to a copy that
            // was asked later and answered sooner.
            let is_telling = matches!(attempt.kind, AttemptKind::First | AttemptKind::Retry);
            if let Some(book) = self.rules.book.filter(|_| is_telling) {
                let took = attempt.started.elapsed();
                let key = self.key_of(id);
                book.open().given_up(&attempt.node, key, took, true);
            }
            self.close_attempt(id, AttemptOutcome::Lost);
        }
    }

    /// Ends the round: what has no answer is late, and cancelled when the calls are dropped.
    pub(super) fn end(&mut self) {
        for id in 0..self.attempts.len() {
            let attempt = &self.attempts[id];
            if attempt.open.is_none() {
                continue;
            }
            let is_telling = attempt.kind != AttemptKind::Wait;
            if let Some(book) = self.rules.book.filter(|_| is_telling) {
                let (took, key) = (attempt.started.elapsed(), self.key_of(id));
                let mut book = book.open();
                let usual = book.p95(&attempt.node, key);
                let limit = usual.map_or(HOPELESS, |usual| usual * FAR_BEYOND);
                book.given_up(&attempt.node, key, took, took >= limit);
            }
            let node = attempt.node.clone();
            for n in 0..self.attempts[id].slots.len() {
                let at = self.attempts[id].slots[n];
                if self.slots[at].is_waiting() {
                    let shard = self.slots[at].asked.shard;
                    self.fail(at, Some(&node), LeafFault::DeadlinePassed { shard });
                }
            }
            self.close_attempt(id, AttemptOutcome::Late);
        }
    }

    fn close_attempt(&mut self, id: usize, outcome: AttemptOutcome) {
        let open = self.attempts[id].open.take();
        if let Some(cancel) = open.and_then(|open| open.cancel) {
            cancel.abort();
        }
        if self.rules.is_profiled {
            let profile = LeafAttempt {
                is_cancelled: true,
                ..self.profile_of(id, outcome)
            };
            self.profile.push(profile);
        }
    }

    fn key_of(&self, id: usize) -> (IndexUuid, Phase) {
        let plan = self.slots[self.attempts[id].slots[0]].plan;
        (self.rules.plans[plan].index.uuid, self.rules.phase)
    }

    fn profile_of(&self, id: usize, outcome: AttemptOutcome) -> LeafAttempt {
        let attempt = &self.attempts[id];
        let shards = attempt.slots.iter().map(|at| self.slots[*at].asked.shard);
        let plan = self.slots[attempt.slots[0]].plan;
        LeafAttempt {
            phase: self.rules.phase.name(),
            node: attempt.node.clone(),
            index: self.rules.plans[plan].index.name.to_string(),
            shards: shards.collect(),
            kind: attempt.kind,
            started_after: self.rules.deadline.at(attempt.started),
            took: attempt.started.elapsed(),
            times: None,
            outcome,
            is_cancelled: false,
            is_straggler: false,
        }
    }
}

/// Returns whether a copy said nothing, as far as can be told: of one that was not heard of in time a
/// view is as far behind as can be.
fn is_unheard<A>(result: &Result<A, LeafFault>) -> bool {
    matches!(
        result,
        Err(LeafFault::Behind {
            visible: SeqNo(0),
            ..
        })
    )
}

/// Returns whether a fault is of one copy and will last a while.
fn is_of_copy(fault: &LeafFault) -> bool {
    matches!(
        fault,
        LeafFault::NotHere { .. }
            | LeafFault::Recovering { .. }
            | LeafFault::Stopped { .. }
            | LeafFault::Behind { .. }
            | LeafFault::Internal { .. }
    )
}
