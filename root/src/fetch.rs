//! The second trip: content of the winners, from the copies that ranked them.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::join_all;
use gleaner_model::ShardKey;
use gleaner_proto::LeafFault;
use gleaner_proto::search::{FetchCall, FetchWhat, HighlightWhat};
use gleaner_query::answer::{FetchedHit, Hit, SortValue, ViewId};
use gleaner_query::dsl::Query;
use gleaner_query::resolved::Clause;
use gleaner_query::search::{Highlight, SearchRequest, SortKey, SortTarget};
use gleaner_query::source::filter_source;
use serde_json::Value;

use crate::deadline::Deadline;
use crate::merge::Ranked;
use crate::plan::IndexPlan;
use crate::resolve::{Expansions, Resolver};
use crate::response::{CallProfile, SearchResponse, ShardFailure};
use crate::scatter::failure;
use crate::search::{Asked, Winners, shard_query};
use crate::{Root, RootError};

impl Root {
    /// Fetches the winners into `response.hits`, in order. A shard that fails now is reported and
    /// its hits are left out.
    pub(crate) async fn fetch(
        &self,
        plans: &[IndexPlan],
        winners: Winners<'_>,
        (asked, deadline): (&Asked<'_>, Deadline),
        (response, calls): (&mut SearchResponse, &mut Vec<CallProfile>),
    ) -> Result<(), RootError> {
        let what = self.fetch_what(plans, asked)?;
        let groups = by_shard(winners);
        let fetched = join_all(groups.iter().map(|((plan, shard, view), positions)| {
            let places = positions.iter().map(|at| winners[*at].hit.place).collect();
            let what = Arc::clone(&what[*plan]);
            let call = FetchCall {
                shard: *shard,
                view: *view,
                places,
                what,
                remaining: deadline.remaining(),
            };
            self.fetch_shard(&plans[*plan], call, deadline)
        }))
        .await;
        let mut contents: Vec<Option<FetchedHit>> = winners.iter().map(|_| None).collect();
        for ((_, positions), outcome) in groups.iter().zip(fetched) {
            match outcome {
                Ok((hits, profile)) => {
                    calls.push(profile);
                    positions
                        .iter()
                        .zip(hits)
                        .for_each(|(at, hit)| contents[*at] = Some(hit));
                }
                Err(failure) => {
                    response.timed_out |= matches!(failure.fault, LeafFault::DeadlinePassed { .. });
                    response.shards.successful = response.shards.successful.saturating_sub(1);
                    response.shards.failures.push(failure);
                }
            }
        }
        let all_failed = !winners.is_empty() && contents.iter().all(Option::is_none);
        if all_failed || (asked.options.refuse_partial && !response.shards.failures.is_empty()) {
            let failures = response.shards.failures.clone();
            return Err(RootError::AllShardsFailed {
                phase: "fetch",
                failures,
            });
        }
        for (ranked, content) in winners.iter().zip(contents) {
            if let Some(content) = content {
                response.hits.push(joined(plans, ranked, content, asked)?);
            }
        }
        Ok(())
    }

    async fn fetch_shard(
        &self,
        plan: &IndexPlan,
        call: FetchCall,
        deadline: Deadline,
    ) -> Result<(Vec<FetchedHit>, CallProfile), ShardFailure> {
        let (shard, expected) = (call.shard, call.places.len());
        let Some(located) = self.leaves.searcher(shard) else {
            return Err(failure(plan, shard, None, LeafFault::NotHere { shard }));
        };
        let started_after = deadline.elapsed();
        // What was ranked in time may be late by a little; half a second is not a hang.
        let patience = deadline.remaining() + std::time::Duration::from_millis(500);
        let outcome = tokio::time::timeout(patience, located.client.fetch(call)).await;
        let took = deadline.elapsed().saturating_sub(started_after);
        let node = located.node;
        match outcome {
            Err(_) => Err(failure(
                plan,
                shard,
                Some(&node),
                LeafFault::DeadlinePassed { shard },
            )),
            Ok(Err(fault)) => Err(failure(plan, shard, Some(&node), fault)),
            Ok(Ok(hits)) if hits.len() != expected => {
                let reason = "the leaf fetched another number of hits than asked".to_owned();
                let fault = LeafFault::Internal { shard, reason };
                Err(failure(plan, shard, Some(&node), fault))
            }
            Ok(Ok(hits)) => {
                let shards = vec![shard];
                Ok((
                    hits,
                    CallProfile {
                        phase: "fetch",
                        node,
                        shards,
                        started_after,
                        took,
                    },
                ))
            }
        }
    }

    /// Makes what is fetched of each hit, per plan.
    fn fetch_what(
        &self,
        plans: &[IndexPlan],
        asked: &Asked<'_>,
    ) -> Result<Vec<Arc<FetchWhat>>, RootError> {
        let request = asked.request;
        plans
            .iter()
            .enumerate()
            .map(|(at, plan)| {
                let highlight = match &request.highlight {
                    Some(highlight) => Some(self.highlight_what(plan, highlight, asked.now_ms)?),
                    None => None,
                };
                let explain = request
                    .explain
                    .then(|| Arc::new(shard_query((at, plan), asked)));
                Ok(Arc::new(FetchWhat {
                    docvalue_fields: request.docvalue_fields.clone(),
                    fields: request.fields.clone(),
                    highlight,
                    explain,
                }))
            })
            .collect()
    }

    fn highlight_what(
        &self,
        plan: &IndexPlan,
        highlight: &Highlight,
        now_ms: i64,
    ) -> Result<HighlightWhat, RootError> {
        let analyzers = self.analyzers.of(&plan.index)?;
        let mut expansions = Expansions::default();
        let mut resolver = Resolver {
            index: &plan.index,
            analyzers: &analyzers,
            limits: &self.options.limits,
            now_ms,
            expansions: &mut expansions,
        };
        let mut resolve = |query: &Option<Box<Query>>| -> Result<Option<Clause>, RootError> {
            Ok(query
                .as_ref()
                .map(|query| resolver.resolve(query))
                .transpose()?)
        };
        let query = resolve(&highlight.query)?.unwrap_or_else(|| plan.resolved.query.clone());
        let field_queries = highlight
            .fields
            .iter()
            .map(|(_, options)| resolve(&options.query))
            .collect::<Result<_, _>>()?;
        Ok(HighlightWhat {
            highlight: highlight.clone(),
            query,
            field_queries,
        })
    }
}

type ShardOfPlan = (usize, ShardKey, ViewId);

fn by_shard(winners: Winners<'_>) -> Vec<(ShardOfPlan, Vec<usize>)> {
    let mut groups: BTreeMap<ShardOfPlan, Vec<usize>> = BTreeMap::new();
    for (at, ranked) in winners.iter().enumerate() {
        groups
            .entry((ranked.plan, ranked.shard, ranked.view))
            .or_default()
            .push(at);
    }
    groups.into_iter().collect()
}

/// Joins a ranked hit with its content.
fn joined(
    plans: &[IndexPlan],
    ranked: &Ranked,
    content: FetchedHit,
    asked: &Asked<'_>,
) -> Result<Hit, RootError> {
    let request = asked.request;
    let source = if request.source.enabled {
        let filtered = filter_source(&content.source, &request.source);
        Some(filtered.map_err(|error| RootError::Internal(error.to_string()))?)
    } else {
        None
    };
    let score = if request.sort.is_empty() || request.track_scores {
        ranked.hit.score
    } else {
        None
    };
    let by_score = |key: &SortKey| key.target == SortTarget::Score;
    let score = if request.sort.iter().any(by_score) {
        ranked.hit.score
    } else {
        score
    };
    Ok(Hit {
        index: plans[ranked.plan].index.name.to_string(),
        score,
        sort: sort_values(request, ranked, plans.len()),
        content,
        source,
        shard: ranked.shard.shard.0,
    })
}

/// Returns the values that a client gives back as `search_after`: the keys, then the tie-break, so
/// that documents with equal keys are neither repeated nor skipped. The tie-break is text: it has
/// more digits than a JSON reader's double keeps. Where several indices are searched, the index
/// follows it: documents of one id in two of them tie in everything else.
fn sort_values(request: &SearchRequest, ranked: &Ranked, num_plans: usize) -> Vec<Value> {
    let mut values: Vec<Value> = ranked.hit.keys.iter().map(sort_json).collect();
    let is_total = |key: &SortKey| matches!(key.target, SortTarget::Doc | SortTarget::ShardDoc);
    if !values.is_empty() && !request.sort.iter().any(is_total) {
        let hash = ranked.hit.tie.hash;
        values.push(Value::from(if num_plans > 1 {
            format!("{hash}:{}", ranked.plan)
        } else {
            hash.to_string()
        }));
    }
    values
}

/// Returns a sort value as it is rendered and as `search_after` takes it back.
pub(crate) fn sort_json(value: &SortValue) -> Value {
    match value {
        SortValue::I64(n) => Value::from(*n),
        SortValue::U64(n) => Value::from(*n),
        SortValue::F64(n) => serde_json::Number::from_f64(*n).map_or(Value::Null, Value::Number),
        SortValue::Text(text) => Value::from(text.as_str()),
        SortValue::Missing => Value::Null,
    }
}
