//! From document numbers to hits: their places, and the order among those of equal scores.
//!
//! Shards of which every list was remembered are asked too, even where they have nothing among the
//! best: they must confirm that they still show the generation that was ranked.

use std::collections::HashMap;

use gleaner_model::ShardKey;
use gleaner_proto::LeafFault;
use gleaner_proto::postings::{LocateAnswer, LocateCall, LocateIn, LocateSet, LocatedDocument};
use gleaner_query::answer::{ShardHit, ShardHits, SortValue};
use gleaner_query::resolved::Clause;
use gleaner_query::search::SearchRequest;

use super::asking;
use super::best::{BestHits, OfShard};
use super::lists::ShardLists;
use crate::by_term::TermScatter;
use crate::health::Phase;
use crate::plan::{IndexPlan, PlannedShard};
use crate::response::ShardFailure;
use crate::scatter::{Answer, Dated, LeafCall, Trip, failure};

impl Dated for LocateAnswer {
    fn generation(&self) -> Option<gleaner_model::Generation> {
        Some(self.generation)
    }

    fn times(&self) -> Option<gleaner_query::answer::LeafTimes> {
        self.times
    }
}

/// A shard that was ranked.
pub(super) struct RankedShard {
    /// Position of its plan.
    pub(super) plan: usize,
    pub(super) shard: ShardKey,
    pub(super) lists: ShardLists,
    pub(super) total: u64,
    /// What it has among the best.
    pub(super) best: OfShard,
}

impl RankedShard {
    /// Returns whether its copy must be asked: where hits stand, or whether it still shows them.
    fn is_open(&self) -> bool {
        let is_empty = self.best.above.is_empty() && self.best.tied.is_empty();
        !is_empty || self.lists.moment.is_none()
    }

    fn sets(&self, num_tied: usize) -> Vec<LocateSet> {
        let numbers = self.best.above.iter().map(|(seq_no, _)| *seq_no);
        let above = LocateSet {
            documents: numbers.collect(),
            top: self.best.above.len(),
        };
        let tied = LocateSet {
            documents: self.best.tied.clone(),
            top: num_tied,
        };
        let sets = [above, tied].into_iter();
        sets.filter(|set| !set.documents.is_empty()).collect()
    }
}

/// The best hits of all shards, and the request that they answer.
#[derive(Clone, Copy)]
pub(super) struct Best<'a> {
    pub(super) hits: &'a BestHits,
    pub(super) request: &'a SearchRequest,
}

impl TermScatter {
    /// Returns the answer of each ranked shard, as if it had ranked itself.
    pub(super) async fn located(
        &self,
        plans: &[IndexPlan],
        ranked: &[RankedShard],
        best: Best<'_>,
        trip: &mut Trip,
    ) -> Vec<Result<Answer<ShardHits>, ShardFailure>> {
        let empty = |plan| asking(plan, Clause::MatchAll, Vec::new());
        let mut asked: Vec<IndexPlan> = plans.iter().map(empty).collect();
        for shard in ranked.iter().filter(|shard| shard.is_open()) {
            let mut planned = plans[shard.plan].shards.iter();
            let planned = planned.find(|planned| planned.shard == shard.shard);
            let at_least = planned.and_then(|planned| planned.at_least);
            let mut bound = PlannedShard::newest(shard.shard, at_least);
            match &shard.lists.moment {
                Some(moment) => bound.bind(&moment.node, moment.view, moment.generation),
                None => bound.at_least = at_least.max(shard.lists.generation.map(|g| g.visible)),
            }
            asked[shard.plan].shards.push(bound);
        }
        let sets: HashMap<ShardKey, Vec<LocateSet>> = ranked
            .iter()
            .map(|shard| (shard.shard, shard.sets(best.hits.num_tied)))
            .collect();
        let gathered = self
            .scatterer
            .scatter(&asked, trip, Phase::Locate, |call| locate(&sets, call))
            .await;
        let mut answers: HashMap<ShardKey, Result<Answer<LocateAnswer>, ShardFailure>> =
            HashMap::new();
        for (plan, own) in asked.iter().zip(gathered.answers) {
            let shards = plan.shards.iter().map(|shard| shard.shard);
            answers.extend(shards.zip(own));
        }
        let answered = ranked.iter().map(|shard| {
            let plan = &plans[shard.plan];
            let answer = answers.remove(&shard.shard).transpose()?;
            self.as_answer(plan, shard, answer, best)
        });
        answered.collect()
    }

    fn as_answer(
        &self,
        plan: &IndexPlan,
        shard: &RankedShard,
        answer: Option<Answer<LocateAnswer>>,
        best: Best<'_>,
    ) -> Result<Answer<ShardHits>, ShardFailure> {
        let key = shard.shard;
        let lost =
            |node, view| failure(plan, key, node, LeafFault::ViewMissing { shard: key, view });
        let Some(Answer { node, value }) = answer else {
            let Some(moment) = &shard.lists.moment else {
                return Err(lost(None, 0));
            };
            let num_documents = shard
                .lists
                .lists
                .first()
                .map_or(0, |list| list.num_documents);
            let mut hits = empty(moment.generation, moment.view, num_documents);
            hits.total = shard.total;
            hits.may_be_stale = moment.may_be_stale;
            let node = moment.node.clone();
            return Ok(Answer { node, value: hits });
        };
        if shard.lists.moment.is_none() {
            let num_documents = Some(value.num_documents);
            self.statistics
                .newest
                .saw(key, value.generation, num_documents);
        }
        // The shard has moved on: what was ranked is of another moment.
        let is_same = shard
            .lists
            .generation
            .is_none_or(|of| of == value.generation);
        let hits = hits_of(&shard.best, &value, best.hits, best.request);
        let Some(found) = hits.filter(|_| is_same) else {
            return Err(lost(Some(&node), value.view.0));
        };
        let mut hits = empty(value.generation, value.view, value.num_documents);
        hits.total = shard.total;
        hits.max_score = found.iter().filter_map(|hit| hit.score).reduce(f32::max);
        hits.times = value.times;
        let moment = shard.lists.moment.as_ref();
        hits.may_be_stale = value.may_be_stale || moment.is_some_and(|moment| moment.may_be_stale);
        hits.hits = found;
        Ok(Answer { node, value: hits })
    }
}

async fn locate(
    sets: &HashMap<ShardKey, Vec<LocateSet>>,
    call: LeafCall,
) -> Vec<Result<LocateAnswer, LeafFault>> {
    let of_shard = |shard: &gleaner_proto::search::ShardView| LocateIn {
        shard: *shard,
        sets: sets.get(&shard.shard).cloned().unwrap_or_default(),
    };
    let shards = call.shards.iter().map(of_shard).collect();
    let remaining = call.remaining;
    call.located
        .client
        .locate(LocateCall { shards, remaining })
        .await
}

fn empty(
    generation: gleaner_model::Generation,
    view: gleaner_query::answer::ViewId,
    num_documents: u64,
) -> ShardHits {
    ShardHits {
        generation,
        view,
        num_documents,
        total: 0,
        hits: Vec::new(),
        max_score: None,
        aggregations: None,
        timed_out: false,
        terminated_early: false,
        times: None,
        unmatched: None,
        may_be_stale: false,
    }
}

/// Returns a shard's hits in order; `None` where the copy did not find what it was asked.
fn hits_of(
    best: &OfShard,
    answer: &LocateAnswer,
    chosen: &BestHits,
    request: &SearchRequest,
) -> Option<Vec<ShardHit>> {
    let mut sets = answer.sets.iter();
    let mut hits = Vec::new();
    let hit = |located: &LocatedDocument, score: f32| ShardHit {
        group: None,
        score: Some(score),
        keys: match request.sort.is_empty() {
            true => Vec::new(),
            false => vec![SortValue::F64(f64::from(score))],
        },
        tie: located.tie.clone(),
        seq_no: located.seq_no,
        place: located.place,
    };
    if !best.above.is_empty() {
        let scores: HashMap<u64, f32> = best.above.iter().copied().collect();
        let located = sets.next().filter(|set| set.len() == scores.len())?;
        for document in located {
            hits.push(hit(document, *scores.get(&document.seq_no.0)?));
        }
    }
    if !best.tied.is_empty() {
        let wanted = chosen.num_tied.min(best.tied.len() as usize);
        let located = sets.next().filter(|set| set.len() == wanted)?;
        hits.extend(
            located
                .iter()
                .map(|document| hit(document, chosen.tied_score)),
        );
    }
    hits.sort_by(|a, b| {
        let (one, other) = (a.score.unwrap_or(0.0), b.score.unwrap_or(0.0));
        other.total_cmp(&one).then_with(|| a.tie.cmp(&b.tie))
    });
    Some(hits)
}
