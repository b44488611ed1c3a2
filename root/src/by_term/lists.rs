//! Gathers the posting lists of a search: each term a request of its own, spread over the copies, and
//! all lists of a shard of one generation.
//!
//! ```text
//! round 1   every list that is not remembered, from the copy that the term's rendezvous prefers
//! round 2   shards whose lists are of different generations: what is missing at the newest of them,
//!           again spread, from copies that show at least that
//! round 3   what is still missing at the newest, from the very view that gave it
//! ```
//!
//! A shard that has no complete set of one generation after that is given up: two generations are
//! never combined.

use std::sync::Arc;

use gleaner_model::{Generation, NodeId, SeqNo};
use gleaner_proto::LeafFault;
use gleaner_query::answer::ViewId;
use gleaner_query::postings::PostingList;
use gleaner_query::resolved::{Clause, FieldStatistics};

use super::asking;
use super::cache::Key;
use super::paging::{Counters, Paging, TermAnswer};
use super::wanted::{TermDemand, WantedTerm};
use crate::by_term::TermScatter;
use crate::health::Phase;
use crate::plan::{IndexPlan, PlannedShard};
use crate::response::ShardFailure;
use crate::scatter::{Trip, failure};

/// Rounds of requests at most.
const MAX_ROUNDS: u32 = 3;

/// A term's list in one shard, at one generation.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TermList {
    pub(super) list: PostingList,
    /// Numbers of the term's field in the shard.
    pub(super) field: FieldStatistics,
    /// Live documents in the shard.
    pub(super) num_documents: u64,
}

/// A view that gave a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) generation: Generation,
    pub(super) node: NodeId,
    pub(super) view: ViewId,
    /// Whether its copy was without its primary.
    pub(super) may_be_stale: bool,
}

/// The lists of one shard, all of one generation.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ShardLists {
    /// Where they come from; `None` where all were remembered or none was wanted: nobody has said yet
    /// that the shard still shows this.
    pub(super) moment: Option<Moment>,
    /// `None` where no list was wanted.
    pub(super) generation: Option<Generation>,
    /// As many as the index's terms.
    pub(super) lists: Vec<Arc<TermList>>,
}

/// What has been seen of one shard so far.
struct Open<'a> {
    plan: usize,
    asked: &'a PlannedShard,
    /// Per term, what was answered or remembered, by generation.
    seen: Vec<Vec<(Generation, Arc<TermList>)>>,
    moments: Vec<Moment>,
    failure: Option<ShardFailure>,
}

/// Orders generations by what they show.
fn age(generation: &Generation) -> (SeqNo, u64) {
    (generation.visible, generation.mapping.0)
}

impl Open<'_> {
    /// Takes the list of the term at `at`.
    fn take(&mut self, at: usize, answer: crate::scatter::Answer<TermAnswer>) -> Arc<TermList> {
        let value = answer.value;
        let list = Arc::new(value.list);
        self.seen[at].push((value.generation, Arc::clone(&list)));
        self.moments.push(Moment {
            generation: value.generation,
            node: answer.node,
            view: value.view,
            may_be_stale: value.may_be_stale,
        });
        list
    }

    /// Returns the newest generation at which every list is there.
    fn complete(&self) -> Option<Generation> {
        let first = self.seen.first()?.iter().map(|(generation, _)| *generation);
        let is_complete = |generation: &Generation| {
            let has = |seen: &Vec<(Generation, _)>| seen.iter().any(|(of, _)| of == generation);
            self.seen.iter().all(has)
        };
        first.filter(is_complete).max_by_key(age)
    }

    /// Returns whether nothing more is to be asked.
    fn is_settled(&self) -> bool {
        self.failure.is_some() || self.seen.is_empty() || self.complete().is_some()
    }

    /// Returns the newest generation that any list is of.
    fn newest(&self) -> Option<Generation> {
        let all = self.seen.iter().flatten();
        all.map(|(generation, _)| *generation).max_by_key(age)
    }

    fn newest_moment(&self) -> Option<&Moment> {
        self.moments
            .iter()
            .max_by_key(|moment| age(&moment.generation))
    }

    fn has(&self, term: usize, generation: Option<Generation>) -> bool {
        let mut seen = self.seen[term].iter();
        seen.any(|(of, _)| Some(*of) == generation)
    }

    /// Returns what is to be asked of this shard in `round`, and at which generation lists count.
    fn to_ask(&self, round: u32) -> (PlannedShard, Option<Generation>) {
        let newest = self.newest();
        match (round, self.newest_moment()) {
            (1, _) => (self.asked.clone(), None),
            (MAX_ROUNDS, Some(moment)) => {
                let shard = self.asked.shard;
                let node = Some(moment.node.clone());
                let pinned = PlannedShard::pinned(shard, node, moment.view);
                (pinned, Some(moment.generation))
            }
            _ => {
                let at_least = newest.map(|newest| newest.visible);
                let at_least = self.asked.at_least.max(at_least);
                (PlannedShard::newest(self.asked.shard, at_least), newest)
            }
        }
    }

    fn into_lists(mut self, plan: &IndexPlan) -> Result<ShardLists, ShardFailure> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let generation = self.complete();
        let Some(found) = generation else {
            let moment = self.newest_moment();
            if self.seen.is_empty() {
                return Ok(ShardLists {
                    moment: None,
                    generation: None,
                    lists: Vec::new(),
                });
            }
            // Its moment has passed: another may do.
            let fault = LeafFault::ViewMissing {
                shard: self.asked.shard,
                view: moment.map_or(0, |moment| moment.view.0),
            };
            let node = moment.map(|moment| &moment.node);
            return Err(failure(plan, self.asked.shard, node, fault));
        };
        self.moments.retain(|moment| moment.generation == found);
        let of_term = |seen: Vec<(Generation, Arc<TermList>)>| {
            let mut seen = seen.into_iter();
            seen.find(|(generation, _)| *generation == found)
                .map(|(_, list)| list)
        };
        Ok(ShardLists {
            moment: self.moments.pop(),
            generation,
            lists: self.seen.into_iter().filter_map(of_term).collect(),
        })
    }
}

/// A term asked of some shards of an index, as the rounds of a search take it.
struct Ask {
    plan: usize,
    term: usize,
    /// Positions among the open shards.
    shards: Vec<usize>,
    asked: Vec<PlannedShard>,
}

impl TermScatter {
    /// Gathers the lists of all shards, per plan and shard; remembered ones are taken where the trip may guess.
    pub(super) async fn term_lists(
        &self,
        plans: &[IndexPlan],
        wanted: &TermDemand,
        paging: &Paging,
        trip: &mut Trip,
    ) -> Vec<Vec<Result<ShardLists, ShardFailure>>> {
        let mut gathering = Gathering::new(plans, wanted);
        for round in 1..=MAX_ROUNDS {
            if trip.may_guess() || round > 1 {
                self.remember(&mut gathering, round, &paging.counters);
            }
            let asks = gathering.asks(round);
            if asks.is_empty() {
                break;
            }
            paging.counters.began_round();
            self.ask_round(&mut gathering, &asks, paging, trip).await;
        }
        let mut open = gathering.open.into_iter();
        let of_plan = |plan: &IndexPlan| {
            let shards = open.by_ref().take(plan.shards.len());
            shards.map(|open| open.into_lists(plan)).collect()
        };
        plans.iter().map(of_plan).collect()
    }

    /// Takes what was asked for before: in the first round of what the shard showed a moment ago, then
    /// of the newest that it has shown in this search.
    fn remember(&self, gathering: &mut Gathering<'_>, round: u32, counters: &Counters) {
        let wanted = gathering.wanted;
        for open in gathering.open.iter_mut().filter(|open| !open.is_settled()) {
            let shard = open.asked.shard;
            let generation = match round {
                1 => self.statistics.newest.of(shard),
                _ => open.newest(),
            };
            let is_enough = |generation: &Generation| {
                open.asked
                    .at_least
                    .is_none_or(|at_least| at_least <= generation.visible)
            };
            let Some(generation) = generation.filter(is_enough) else {
                continue;
            };
            let terms = &wanted.of_plans[open.plan].terms;
            for (at, term) in terms.iter().enumerate() {
                if open.has(at, Some(generation)) {
                    continue;
                }
                if let Some(list) = self.lists.find(&key(open, generation, term)) {
                    counters.remembered();
                    open.seen[at].push((generation, list));
                }
            }
        }
    }

    async fn ask_round(
        &self,
        gathering: &mut Gathering<'_>,
        asks: &[Ask],
        paging: &Paging,
        trip: &mut Trip,
    ) {
        let (plans, wanted) = (gathering.plans, gathering.wanted);
        let term_of = |ask: &Ask| &wanted.of_plans[ask.plan].terms[ask.term];
        let single: Vec<IndexPlan> = asks
            .iter()
            .map(|ask| {
                let WantedTerm { field, term, .. } = term_of(ask).clone();
                let query = Clause::Term { field, term };
                // Its fingerprint, by which copies are chosen, is the term's.
                asking(&plans[ask.plan], query, ask.asked.clone())
            })
            .collect();
        let gathered = self
            .scatterer
            .scatter(&single, trip, Phase::Postings, |call| {
                let term = term_of(&asks[call.plan]);
                paging.lists(term, call)
            })
            .await;
        for (ask, answers) in asks.iter().zip(gathered.answers) {
            for ((at, asked), answer) in ask.shards.iter().zip(&ask.asked).zip(answers) {
                let open = &mut gathering.open[*at];
                match answer {
                    Ok(answer) => {
                        if !asked.is_pinned {
                            let (newest, value) = (&self.statistics.newest, &answer.value);
                            let num_documents = Some(value.list.num_documents);
                            newest.saw(asked.shard, value.generation, num_documents);
                        }
                        let key = key(open, answer.value.generation, term_of(ask));
                        let list = open.take(ask.term, answer);
                        self.lists.keep(key, list);
                    }
                    Err(failure) => {
                        // The view of the last round may be gone; the search may begin again then.
                        open.failure.get_or_insert(failure);
                    }
                }
            }
        }
    }
}

fn key(open: &Open<'_>, generation: Generation, term: &WantedTerm) -> Key {
    Key {
        shard: open.asked.shard,
        generation,
        field: term.field.clone(),
        term: term.term.clone(),
        is_weighted: term.is_weighted,
    }
}

/// The lists of a search while they are gathered.
struct Gathering<'a> {
    plans: &'a [IndexPlan],
    wanted: &'a TermDemand,
    /// The shards of all plans, in order.
    open: Vec<Open<'a>>,
}

impl<'a> Gathering<'a> {
    fn new(plans: &'a [IndexPlan], wanted: &'a TermDemand) -> Self {
        let mut open = Vec::new();
        for (at, (plan, terms)) in plans.iter().zip(&wanted.of_plans).enumerate() {
            open.extend(plan.shards.iter().map(|asked| Open {
                plan: at,
                asked,
                seen: vec![Vec::new(); terms.terms.len()],
                moments: Vec::new(),
                failure: None,
            }));
        }
        Self {
            plans,
            wanted,
            open,
        }
    }

    /// Returns what to ask in `round`: term by term, of the shards that lack it.
    fn asks(&self, round: u32) -> Vec<Ask> {
        let mut asks = Vec::new();
        for (plan, terms) in self.wanted.of_plans.iter().enumerate() {
            for term in 0..terms.terms.len() {
                let ask = self.ask_of(plan, term, round);
                asks.extend((!ask.shards.is_empty()).then_some(ask));
            }
        }
        asks
    }

    fn ask_of(&self, plan: usize, term: usize, round: u32) -> Ask {
        let mut ask = Ask {
            plan,
            term,
            shards: Vec::new(),
            asked: Vec::new(),
        };
        let of_plan = |(_, open): &(usize, &Open<'_>)| open.plan == plan && !open.is_settled();
        for (at, open) in self.open.iter().enumerate().filter(of_plan) {
            let (asked, counted) = open.to_ask(round);
            let is_there = match counted {
                None => !open.seen[term].is_empty(),
                counted => open.has(term, counted),
            };
            if !is_there {
                ask.shards.push(at);
                ask.asked.push(asked);
            }
        }
        ask
    }
}
