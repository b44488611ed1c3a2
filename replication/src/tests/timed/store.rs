//! The store in time: late requests, lost answers, leases that end.

use std::collections::BTreeSet;

use gleaner_model::{CopyMeta, Entry, Incarnation, PrimaryTerm};
use rand::Rng;

use super::super::world::{NUM_COPIES, Store, StoreRequest, copy_id, node};
use super::Run;
use crate::{Answer, Event, Outcome, Proposal};

/// Milliseconds after which a lease that is not renewed ends.
const LEASE_MS: u64 = 3_000;
/// Milliseconds after which an asker gives an answer up.
const ANSWER_MS: u64 = 500;

/// The store, with when things happen.
pub(super) struct TimedStore {
    pub(super) inner: Store,
    /// When each request of the store arrives, and when its answer does.
    times: Vec<Times>,
    renewed_ms: [u64; NUM_COPIES],
    cut: BTreeSet<usize>,
}

#[derive(Debug, Clone, Copy)]
struct Times {
    asked_ms: u64,
    lands_ms: u64,
    answered_ms: u64,
    is_lost: bool,
}

impl TimedStore {
    pub(super) fn new() -> Self {
        let copies = (0..NUM_COPIES).map(|copy| (copy_id(copy), CopyMeta::on(node(copy))));
        let inner = Store::new(Entry {
            version: 1,
            term: PrimaryTerm(0),
            forced: Vec::new(),
            history: gleaner_model::HistoryId::FIRST,
            primary: copy_id(0),
            in_sync: (0..NUM_COPIES).map(copy_id).collect(),
            copies: copies.collect(),
            other: serde_json::Map::new(),
        });
        Self {
            inner,
            times: Vec::new(),
            renewed_ms: [0; NUM_COPIES],
            cut: BTreeSet::new(),
        }
    }

    pub(super) fn heal(&mut self) {
        self.cut.clear();
    }

    /// Cuts a node from the store.
    pub(super) fn cut(&mut self, copy: usize) {
        self.cut.insert(copy);
    }

    pub(super) fn is_cut(&self, copy: usize) -> bool {
        self.cut.contains(&copy)
    }
}

impl Run {
    pub(super) fn propose(&mut self, by: usize, proposal: Proposal) {
        let incarnation = self.leaves[by].incarnation;
        let delay = [5, 10, 20, 300, 1_500][self.random.random_range(0..5)];
        let lands_ms = self.now_ms + delay;
        let back = if self.random.random_bool(0.7) { 5 } else { 300 };
        let times = Times {
            asked_ms: self.now_ms,
            lands_ms,
            answered_ms: lands_ms + back,
            is_lost: self.random.random_bool(0.2),
        };
        let (answer, is_given_up) = (None, false);
        let request = StoreRequest {
            by,
            incarnation,
            proposal,
            answer,
            is_given_up,
        };
        self.store.inner.requests.push(request);
        self.store.times.push(times);
    }

    /// Runs transactions, brings answers, ends leases.
    pub(super) fn move_store(&mut self) {
        for copy in 0..NUM_COPIES {
            self.renew(copy);
        }
        let mut place = 0;
        while place < self.store.times.len() {
            if self.move_request(place) {
                self.store.inner.requests.remove(place);
                self.store.times.remove(place);
            } else {
                place += 1;
            }
        }
        self.store.inner.past.clear();
    }

    /// Renews the lease of a node that can, and ends those that are not renewed; some end too early.
    fn renew(&mut self, copy: usize) {
        let leaf = &self.leaves[copy];
        let runs = leaf.copy.is_some() && !leaf.is_paused(self.now_ms);
        let ends_early = self.random.random_bool(0.0003);
        if runs && !self.store.is_cut(copy) && !ends_early {
            self.store.renewed_ms[copy] = self.now_ms;
            self.store.inner.alive[copy] = Some(Incarnation([leaf.incarnation; 16]));
        } else if ends_early || self.now_ms > self.store.renewed_ms[copy] + LEASE_MS {
            self.store.inner.alive[copy] = None;
        }
    }

    /// Moves one request on. Returns whether it is done with.
    fn move_request(&mut self, place: usize) -> bool {
        let (now_ms, times) = (self.now_ms, self.store.times[place]);
        if self.store.inner.requests[place].answer.is_none() && now_ms >= times.lands_ms {
            self.store.inner.execute(place);
        }
        let request = self.store.inner.requests[place].clone();
        let leaf = &self.leaves[request.by];
        let awaits = leaf.copy.is_some() && leaf.incarnation == request.incarnation;
        if !awaits {
            return request.answer.is_some();
        }
        if leaf.is_paused(now_ms) {
            return false;
        }
        let proposal = request.proposal;
        if let Some(outcome) = request.answer.filter(|_| now_ms >= times.answered_ms) {
            if !times.is_lost && !self.store.is_cut(request.by) {
                self.handle(request.by, Event::Answer(Answer { proposal, outcome }));
                return true;
            }
            if request.is_given_up {
                return true;
            }
        }
        if !request.is_given_up && now_ms > times.asked_ms + ANSWER_MS {
            self.store.inner.requests[place].is_given_up = true;
            let outcome = Outcome::Unknown;
            let proposal = self.store.inner.requests[place].proposal.clone();
            self.handle(request.by, Event::Answer(Answer { proposal, outcome }));
        }
        false
    }

    /// Brings a process what the store holds.
    pub(super) fn watch(&mut self, copy: usize) {
        let store = &self.store.inner;
        let (entry, revision, alive) = (store.entry.clone(), store.revision, store.alive);
        for (other, incarnation) in alive.into_iter().enumerate() {
            let (node, is_alive) = (node(other), incarnation.is_some());
            self.handle(copy, Event::Alive { node, is_alive });
        }
        self.handle(copy, Event::Entry { entry, revision });
    }
}
