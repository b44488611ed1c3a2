//! Calls and answers of the query phase and of what precedes it.

use std::sync::Arc;
use std::time::Duration;

use gleaner_model::{DocumentId, SeqNo};
use gleaner_query::answer::{LeafTimes, ShardHit, ShardHits, ViewId};
use gleaner_query::resolved::TieBreak;

use super::field::{all, maybe, maybe_message, messages, micros, millis, one};
use super::{DecodeError, Wire, v1};
use crate::search::{
    ExpandAnswer, ExpandCall, SearchCall, ShardView, StatisticsAnswer, StatisticsCall,
};

impl Wire for ShardView {
    type Message = v1::ShardView;

    fn to_message(&self) -> v1::ShardView {
        let Self {
            shard,
            view,
            at_least,
        } = self;
        v1::ShardView {
            shard: Some(shard.to_message()),
            view: view.map(|view| view.0),
            at_least: at_least.map(|seq_no| seq_no.0),
        }
    }

    fn from_message(message: v1::ShardView) -> Result<Self, DecodeError> {
        let v1::ShardView {
            shard,
            view,
            at_least,
        } = message;
        Ok(Self {
            shard: one(shard, "ShardView.shard")?,
            view: view.map(ViewId),
            at_least: at_least.map(SeqNo),
        })
    }
}

impl Wire for StatisticsCall {
    type Message = v1::StatisticsCall;

    fn to_message(&self) -> v1::StatisticsCall {
        let Self {
            shards,
            request,
            remaining,
        } = self;
        v1::StatisticsCall {
            shards: messages(shards),
            request: Some(request.to_message()),
            remaining_ms: millis(*remaining),
        }
    }

    fn from_message(message: v1::StatisticsCall) -> Result<Self, DecodeError> {
        let v1::StatisticsCall {
            shards,
            request,
            remaining_ms,
        } = message;
        Ok(Self {
            shards: all(shards)?,
            request: Arc::new(one(request, "StatisticsCall.request")?),
            remaining: Duration::from_millis(remaining_ms),
        })
    }
}

impl Wire for StatisticsAnswer {
    type Message = v1::ShardStatistics;

    fn to_message(&self) -> v1::ShardStatistics {
        let Self {
            view,
            generation,
            statistics,
            num_documents,
            may_be_stale,
        } = self;
        v1::ShardStatistics {
            view: view.0,
            generation: Some(generation.to_message()),
            statistics: Some(statistics.to_message()),
            num_documents: *num_documents,
            may_be_stale: *may_be_stale,
        }
    }

    fn from_message(message: v1::ShardStatistics) -> Result<Self, DecodeError> {
        let v1::ShardStatistics {
            view,
            generation,
            statistics,
            num_documents,
            may_be_stale,
        } = message;
        Ok(Self {
            view: ViewId(view),
            generation: one(generation, "ShardStatistics.generation")?,
            statistics: one(statistics, "ShardStatistics.statistics")?,
            num_documents,
            may_be_stale,
        })
    }
}

impl Wire for ExpandCall {
    type Message = v1::ExpandCall;

    fn to_message(&self) -> v1::ExpandCall {
        let Self {
            shards,
            requests,
            remaining,
        } = self;
        v1::ExpandCall {
            shards: messages(shards),
            requests: messages(requests),
            remaining_ms: millis(*remaining),
        }
    }

    fn from_message(message: v1::ExpandCall) -> Result<Self, DecodeError> {
        let v1::ExpandCall {
            shards,
            requests,
            remaining_ms,
        } = message;
        Ok(Self {
            shards: all(shards)?,
            requests: Arc::new(all(requests)?),
            remaining: Duration::from_millis(remaining_ms),
        })
    }
}

impl Wire for ExpandAnswer {
    type Message = v1::ShardExpansions;

    fn to_message(&self) -> v1::ShardExpansions {
        let Self {
            view,
            generation,
            candidates,
            may_be_stale,
        } = self;
        let candidates = candidates.iter().map(|candidates| v1::ExpansionCandidates {
            candidates: messages(candidates),
        });
        v1::ShardExpansions {
            view: view.0,
            generation: Some(generation.to_message()),
            candidates: candidates.collect(),
            may_be_stale: *may_be_stale,
        }
    }

    fn from_message(message: v1::ShardExpansions) -> Result<Self, DecodeError> {
        let v1::ShardExpansions {
            view,
            generation,
            candidates,
            may_be_stale,
        } = message;
        let candidates = candidates.into_iter().map(|list| all(list.candidates));
        Ok(Self {
            view: ViewId(view),
            generation: one(generation, "ShardExpansions.generation")?,
            candidates: candidates.collect::<Result<_, _>>()?,
            may_be_stale,
        })
    }
}

impl Wire for SearchCall {
    type Message = v1::SearchCall;

    fn to_message(&self) -> v1::SearchCall {
        let Self {
            shards,
            query,
            remaining,
        } = self;
        v1::SearchCall {
            shards: messages(shards),
            query: Some(query.to_message()),
            remaining_ms: millis(*remaining),
        }
    }

    fn from_message(message: v1::SearchCall) -> Result<Self, DecodeError> {
        let v1::SearchCall {
            shards,
            query,
            remaining_ms,
        } = message;
        Ok(Self {
            shards: all(shards)?,
            query: Arc::new(one(query, "SearchCall.query")?),
            remaining: Duration::from_millis(remaining_ms),
        })
    }
}

impl Wire for ShardHits {
    type Message = v1::ShardHits;

    fn to_message(&self) -> v1::ShardHits {
        let Self {
            generation,
            view,
            num_documents,
            total,
            hits,
            max_score,
            aggregations,
            timed_out,
            terminated_early,
            times,
            unmatched,
            may_be_stale,
        } = self;
        v1::ShardHits {
            generation: Some(generation.to_message()),
            view: view.0,
            num_documents: *num_documents,
            total: *total,
            hits: messages(hits),
            max_score: *max_score,
            aggregations: aggregations.clone(),
            timed_out: *timed_out,
            terminated_early: *terminated_early,
            times: maybe_message(times.as_ref()),
            unmatched: maybe_message(unmatched.as_deref()),
            may_be_stale: *may_be_stale,
        }
    }

    fn from_message(message: v1::ShardHits) -> Result<Self, DecodeError> {
        let v1::ShardHits {
            generation,
            view,
            num_documents,
            total,
            hits,
            max_score,
            aggregations,
            timed_out,
            terminated_early,
            times,
            unmatched,
            may_be_stale,
        } = message;
        Ok(Self {
            generation: one(generation, "ShardHits.generation")?,
            view: ViewId(view),
            num_documents,
            total,
            hits: all(hits)?,
            max_score,
            aggregations,
            timed_out,
            terminated_early,
            times: maybe(times)?,
            // Only a hint: what another version knows more of is worth nothing, not an error.
            unmatched: maybe(unmatched).ok().flatten().map(Box::new),
            may_be_stale,
        })
    }
}

impl Wire for LeafTimes {
    type Message = v1::LeafTimes;

    fn to_message(&self) -> v1::LeafTimes {
        let Self {
            queue,
            evaluate,
            cpu,
        } = self;
        v1::LeafTimes {
            queue_us: micros(*queue),
            evaluate_us: micros(*evaluate),
            cpu_us: micros(*cpu),
        }
    }

    fn from_message(message: v1::LeafTimes) -> Result<Self, DecodeError> {
        let v1::LeafTimes {
            queue_us,
            evaluate_us,
            cpu_us,
        } = message;
        Ok(Self {
            queue: Duration::from_micros(queue_us),
            evaluate: Duration::from_micros(evaluate_us),
            cpu: Duration::from_micros(cpu_us),
        })
    }
}

impl Wire for ShardHit {
    type Message = v1::ShardHit;

    fn to_message(&self) -> v1::ShardHit {
        let Self {
            score,
            keys,
            group,
            tie,
            seq_no,
            place,
        } = self;
        let TieBreak { hash, id } = tie;
        v1::ShardHit {
            score: *score,
            keys: messages(keys),
            tie_hash: *hash,
            tie_id: id.as_ref().map(|id| id.as_str().to_owned()),
            seq_no: seq_no.0,
            place: *place,
            group: maybe_message(group.as_ref()),
        }
    }

    fn from_message(message: v1::ShardHit) -> Result<Self, DecodeError> {
        let v1::ShardHit {
            score,
            keys,
            tie_hash,
            tie_id,
            seq_no,
            place,
            group,
        } = message;
        let id = tie_id.map(|id| DocumentId::parse(&id)).transpose()?;
        Ok(Self {
            score,
            keys: all(keys)?,
            group: maybe(group)?,
            tie: TieBreak { hash: tie_hash, id },
            seq_no: SeqNo(seq_no),
            place,
        })
    }
}
