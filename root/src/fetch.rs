//! The second trip: content of the winners, from the copies that ranked them.
//!
//! A view belongs to one copy. Where that copy is late or lost, another looks the winners up by their
//! numbers, which are the same on every copy and stand for one version of a document each. Where one
//! has been replaced meanwhile, the search begins again.

mod hit;
mod of_leaf;
mod sources;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use gleaner_model::{NodeId, ShardKey};
use gleaner_proto::LeafFault;
use gleaner_proto::search::{FetchWhat, ShardView};
use gleaner_query::answer::{FetchedHit, FetchedHits, Hit, SortValue};
use gleaner_query::mapping::stored_fields;
use gleaner_query::resolved::{Clause, ShardQuery};
use gleaner_query::search::{FieldFormat, SearchRequest};
use gleaner_query::source::SourceFault;

use crate::RootError;
use crate::health::Phase;
use crate::memory::HeldMemory;
use crate::merge::RankedHit;
use crate::plan::IndexPlan;
use crate::response::ShardFailure;
use crate::scatter::{Calls, LeafCall, Round, Slot, Trip, keep_order};
use crate::search::Searcher;
use crate::search::phase::CommonRequest;
use crate::search::shard_query;
use hit::Joiner;
use of_leaf::{ShardWinners, fetch_from};

/// Winners whose shards on one leaf are fetched by one call. More are a call for each shard: what a
/// call costs matters less than that one long answer is not waited for by all.
const MAX_GROUPED: usize = 100;

/// What was fetched.
#[derive(Default)]
pub(crate) struct PageContents {
    /// The winners, in order, without those whose shard failed now.
    pub(crate) hits: Vec<Hit>,
    /// The leaf that ranked each of them.
    pub(crate) nodes: Vec<NodeId>,
    /// The shards that failed now.
    pub(crate) failures: Vec<ShardFailure>,
    /// Bytes of the fetched hits, estimated.
    pub(crate) num_bytes: usize,
    /// The memory that it holds.
    pub(crate) held: Option<HeldMemory>,
}

/// What leaves returned of hits.
pub(crate) struct Contents {
    /// Beside the hits asked for; `None` where the shard failed.
    pub(crate) hits: Vec<Option<FetchedHit>>,
    /// The shards that failed.
    pub(crate) failures: Vec<ShardFailure>,
    /// Bytes of all, estimated.
    pub(crate) num_bytes: usize,
}

impl PageContents {
    fn add(&mut self, hit: Hit) {
        let source = hit.source.as_ref().map_or(0, Bytes::len);
        self.num_bytes += hit.content.num_bytes() + source;
        self.hits.push(hit);
    }
}

impl Searcher {
    /// Fetches the content of the winners.
    pub(crate) async fn fetch(
        &self,
        plans: &[IndexPlan],
        winners: &[RankedHit],
        asked: &CommonRequest<'_>,
        trip: &mut Trip,
    ) -> Result<PageContents, RootError> {
        if winners.is_empty() {
            return Ok(PageContents::default());
        }
        let what = fetch_what(plans, asked);
        let Contents {
            hits: contents,
            failures,
            num_bytes: num_bytes_fetched,
        } = Box::pin(self.contents(plans, winners, &what, trip)).await?;
        let mut fetched = PageContents {
            failures,
            ..PageContents::default()
        };
        let memory = &asked.options.memory;
        let memory = memory
            .clone()
            .unwrap_or_else(|| self.accounts.answer_memory());
        // Sort values stand beside the content, and once more as they are shown.
        let keys = winners.iter().flat_map(|ranked| &ranked.hit.keys);
        let num_bytes_of_keys = 2 * keys.map(SortValue::num_text_bytes).sum::<usize>();
        let num_bytes_in_all = num_bytes_fetched.saturating_add(num_bytes_of_keys);
        fetched.held = Some(memory.reserve(num_bytes_in_all)?);
        let joiner = Joiner::new(plans, asked)?;
        let by = trip.deadline.fetch_by();
        let sources = self.shown_sources(&joiner, winners, &contents, by).await?;
        for ((ranked, content), source) in winners.iter().zip(contents).zip(sources) {
            let Some(content) = content else {
                continue;
            };
            match source {
                Ok(source) => fetched.add(joiner.joined(ranked, content, source)),
                Err(SourceFault::CalledOff) => {
                    fetched.failures.push(late(plans, ranked));
                    continue;
                }
                Err(fault) => return Err(RootError::Internal(fault.to_string())),
            }
            if asked.request.explain {
                let mut shards = plans[ranked.plan].shards.iter();
                let planned = shards.find(|planned| planned.shard == ranked.shard);
                let node = planned.and_then(|planned| planned.node.clone());
                fetched.nodes.extend(node);
            }
        }
        if let Some(held) = &mut fetched.held {
            held.shrink_to(fetched.num_bytes.saturating_add(num_bytes_of_keys));
        }
        Ok(fetched)
    }

    /// Fetches of each winner what `what` says for its index.
    pub(crate) async fn contents(
        &self,
        plans: &[IndexPlan],
        winners: &[RankedHit],
        what: &[Arc<FetchWhat>],
        trip: &mut Trip,
    ) -> Result<Contents, RootError> {
        let wanted = by_shard(plans, winners)?;
        let slots = wanted.iter().map(|wanted| self.fetch_slot(wanted));
        let round = Round {
            phase: Phase::Fetch,
            slots: slots.collect(),
            gather_by: trip.deadline.fetch_by(),
            is_grouped: winners.len() <= MAX_GROUPED,
        };
        let fetch = |call: LeafCall| {
            let what = Arc::clone(&what[call.plan]);
            let wanted = wanted_by(&wanted, &call);
            async move { fetch_from(&wanted, call, what).await }
        };
        let (outcomes, _) = self
            .scatterer
            .race(plans, round, trip, Calls::of(fetch))
            .await;
        let mut contents = Contents {
            hits: winners.iter().map(|_| None).collect(),
            failures: Vec::new(),
            num_bytes: 0,
        };
        for (wanted, outcome) in wanted.iter().zip(outcomes) {
            match outcome {
                Ok(answer) => {
                    let hits = answer.value.hits.iter();
                    contents.num_bytes += hits.map(FetchedHit::num_bytes).sum::<usize>();
                    let both = wanted.positions.iter().zip(answer.value.hits);
                    both.for_each(|(at, hit)| contents.hits[*at] = Some(hit));
                }
                Err(failure) => contents.failures.push(failure),
            }
        }
        Ok(contents)
    }

    /// Returns the slot of a shard: the copy that ranked it first, then the others.
    fn fetch_slot<'a>(&self, wanted: &ShardWinners<'a>) -> Slot<'a, FetchedHits> {
        let shard = wanted.shard;
        let mut slot = Slot::new(wanted.plan, shard, self.cluster.leaves.copies(shard.shard));
        keep_order(&mut slot);
        slot
    }
}

/// Returns the failure of a shard whose hit there was no time left to show.
fn late(plans: &[IndexPlan], ranked: &RankedHit) -> ShardFailure {
    let plan = &plans[ranked.plan];
    let mut shards = plan.shards.iter();
    let planned = shards.find(|planned| planned.shard == ranked.shard);
    let shard = ranked.shard;
    ShardFailure {
        index: plan.index.name.to_string(),
        shard,
        node: planned.and_then(|planned| planned.node.clone()),
        fault: LeafFault::DeadlinePassed { shard },
    }
}

/// Makes what is fetched of each hit, per plan.
fn fetch_what(plans: &[IndexPlan], asked: &CommonRequest<'_>) -> Vec<Arc<FetchWhat>> {
    let request = asked.request;
    let what = |(at, plan): (usize, &IndexPlan)| {
        let explain = request
            .explain
            .then(|| Arc::new(shard_query(at, plan, asked)));
        let collapsed = request.collapse.iter().map(|collapse| FieldFormat {
            field: collapse.field.clone(),
            format: None,
            include_unmapped: false,
        });
        let docvalue_fields = request.docvalue_fields.iter().cloned();
        let scores_names = request.named_scores && !plan.resolved.named.is_empty();
        Arc::new(FetchWhat {
            docvalue_fields: docvalue_fields.chain(collapsed).collect(),
            fields: shown_fields(plan, request),
            highlight: plan.resolved.highlight.clone(),
            explain,
            named: plan.resolved.named.clone(),
            named_by: scores_names.then(|| Arc::new(numbers_of(shard_query(at, plan, asked)))),
            is_without_source: false,
        })
    };
    plans.iter().enumerate().map(what).collect()
}

/// Returns what scores are made of alone, without what is asked for.
fn numbers_of(query: ShardQuery) -> ShardQuery {
    ShardQuery {
        query: Clause::MatchAll,
        post_filter: None,
        aggregations: Arc::default(),
        aggregation_filters: Arc::default(),
        named: Arc::default(),
        ..query
    }
}

/// Returns the fields to show of an index's hits: those asked for, and those that it stores. Both stand
/// in `_source`; a field that is asked for both ways has the format that was asked for.
fn shown_fields(plan: &IndexPlan, request: &SearchRequest) -> Vec<FieldFormat> {
    let wanted = request.stored_fields.as_deref().unwrap_or_default();
    let stored = stored_fields(&plan.index.mapping, wanted).map(|path| FieldFormat {
        field: path.as_str().to_owned(),
        format: None,
        include_unmapped: false,
    });
    stored.chain(request.fields.iter().cloned()).collect()
}

/// Returns what a call is to fetch, in the order of its shards.
fn wanted_by<'a, 'b>(wanted: &'b [ShardWinners<'a>], call: &LeafCall) -> Vec<&'b ShardWinners<'a>> {
    let of_shard = |asked: &ShardView| {
        let of_plan = wanted.iter().filter(|wanted| wanted.plan == call.plan);
        let mut of_shard = of_plan.filter(|wanted| wanted.shard.shard == asked.shard);
        of_shard.next()
    };
    let all: Option<Vec<_>> = call.shards.iter().map(of_shard).collect();
    all.expect("what is asked of a leaf has a slot")
}

/// Groups the winners by their shards.
fn by_shard<'a>(
    plans: &'a [IndexPlan],
    winners: &'a [RankedHit],
) -> Result<Vec<ShardWinners<'a>>, RootError> {
    let mut groups: BTreeMap<(usize, ShardKey), Vec<usize>> = BTreeMap::new();
    for (at, ranked) in winners.iter().enumerate() {
        let group = groups.entry((ranked.plan, ranked.shard));
        group.or_default().push(at);
    }
    let wanted = |((plan, shard), positions): ((usize, ShardKey), Vec<usize>)| {
        let mut planned = plans[plan].shards.iter();
        let planned = planned.find(|planned| planned.shard == shard);
        let missing = || RootError::Internal(format!("a hit of shard {shard} has no plan"));
        Ok(ShardWinners {
            plan,
            shard: planned.ok_or_else(missing)?,
            ranked: positions.iter().map(|at| &winners[*at]).collect(),
            positions,
        })
    };
    groups.into_iter().map(wanted).collect()
}
