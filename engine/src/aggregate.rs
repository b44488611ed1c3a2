//! Aggregations of one shard: documents in, partial results out.
//!
//! Does: read columns block by block and put documents into buckets, to any depth, one collector
//! per segment ([`Plan::segment`]); merge the segments of the shard ([`Plan::finish`]).
//! Does not: find documents (`search` hands over matching ones), merge shards or write the answer
//! ([`gleaner_partial`] does).
//! Called by `search`. Read [`Plan`] first.
//!
//! A collector sees blocks of documents with the bucket of the parent each belongs to (its
//! *owner*), assigns buckets of its own, numbered from 0 over all owners, and hands the block on to
//! its children. At the end it gives one partial result per owner.
//!
//! tantivy's own aggregations are not used: they know no calendars and time zones, cut terms per
//! segment, and give `top_hits` only doc values.

mod addresses;
mod auto_date;
mod composite;
mod distinct;
mod filters;
mod geo;
mod hdr;
mod histogram;
mod key_filter;
mod matrix;
mod metrics;
mod multi_terms;
mod node;
mod points;
mod range;
mod sampler;
mod significant;
mod slots;
pub(crate) mod source;
mod spans;
pub(crate) mod term_keys;
mod terms;
mod texts;
mod top_hits;
mod tuples;
mod weighted;
mod whole;

use std::sync::Arc;

use gleaner_model::ShardKey;
use gleaner_partial::control::{Control, Ledger, MemoryAccount};
use gleaner_partial::request::described;
use gleaner_partial::terms::{COMPLETE_KEYS, COMPLETE_KEYS_WITH_HITS};
use gleaner_partial::{Aggregations, Partial, are_compared};
use gleaner_query::aggregation::{self, Aggregation, AggregationKind, TopMetricsAggregation};
use gleaner_query::resolved::{Clause, ShardQuery};
use gleaner_query::search::SortTarget;
use roaring::RoaringBitmap;
use tantivy::DocId;

use self::node::{Block, Children, SegmentContext};
use self::whole::WholeSegment;
use crate::doc_order::column::Ranked;
use crate::error::EngineError;
use crate::view::{SegmentView, View};

/// Documents of a block handed to children or read for `global`, at most.
const BLOCK: usize = 4_096;

/// Finds the documents of a segment that match a clause, for `filter` and `filters`.
pub trait FilterDocuments: Sync {
    /// Returns the documents of `segment` that match `clause`; deleted ones may be among them.
    ///
    /// # Errors
    /// When the index cannot be read, or the request must stop.
    fn documents(
        &self,
        view: &View,
        segment: &SegmentView,
        clause: &Clause,
    ) -> Result<Arc<RoaringBitmap>, EngineError>;
}

/// What aggregating needs beside the query.
pub struct AggregationEnv<'a> {
    /// What is searched.
    pub view: &'a Arc<View>,
    /// Which shard it is: hits of `top_hits` carry it.
    pub shard: ShardKey,
    /// Answers the queries of `filter` and `filters`.
    pub documents: &'a dyn FilterDocuments,
    /// The request's memory.
    pub memory: &'a Arc<MemoryAccount>,
    /// Deadline and cancellation.
    pub control: &'a Control,
}

/// The aggregations of a request over one shard.
///
/// One [`SegmentAggregator`] per segment, on any thread; segments without a matching document need
/// one too (`global`, `min_doc_count: 0`). Memory is held until the plan is dropped.
pub struct Plan<'a> {
    aggregations: &'a [Aggregation],
    filters: &'a [Clause],
    /// What `global` is kept to; `None` is everything.
    global: Option<&'a Clause>,
    /// What was asked for, without what the request is kept to.
    asked: &'a Clause,
    /// By which hits were found, and scored.
    query: &'a ShardQuery,
    now_ms: i64,
    env: AggregationEnv<'a>,
    ledger: Ledger,
    needs_scores: bool,
    /// The result of no documents.
    described: Aggregations,
}

impl<'a> Plan<'a> {
    /// Checks the aggregations of `query` against the shard's mapping. `global` stands at the top:
    /// parsing sees to it.
    ///
    /// # Errors
    /// `EvaluationError::Query` for fields that cannot be aggregated so, for values that cannot be
    /// read; `EvaluationError::CircuitBreaking` when the request's memory is used up.
    pub fn new(query: &'a ShardQuery, env: AggregationEnv<'a>) -> Result<Self, EngineError> {
        let filters = &query.aggregation_filters;
        let num_queries = aggregation::queries(&query.aggregations).len();
        let (filters, global) = filters.split_at(num_queries.min(filters.len()));
        Ok(Self {
            aggregations: &query.aggregations,
            filters,
            global: global.first(),
            asked: asked(&query.query, !global.is_empty()),
            query,
            now_ms: query.now_ms,
            described: described::all(
                &query.aggregations,
                env.view.mapping(),
                query.now_ms,
                Some(env.control),
            )?,
            ledger: Ledger::open(env.memory)?,
            needs_scores: needs_scores(&query.aggregations),
            env,
        })
    }

    /// Returns whether [`SegmentAggregator::collect_block`] must be given scores.
    pub fn needs_scores(&self) -> bool {
        self.needs_scores
    }

    /// Returns the collector of a segment.
    ///
    /// # Errors
    /// When a column cannot be read or the request is wrong for a field.
    pub fn segment(&self, ord: u32) -> Result<SegmentAggregator<'_>, EngineError> {
        let segment = self.env.view.segments().get(ord as usize);
        let segment = segment
            .ok_or_else(|| EngineError::internal(format!("segment {ord} is not of this view")))?;
        let mut context = SegmentContext {
            view: self.env.view,
            segment,
            shard: self.env.shard,
            documents: self.env.documents,
            filters: self.filters.iter(),
            all_filters: self.filters,
            global: self.global,
            ledger: &self.ledger,
            control: self.env.control,
            now_ms: self.now_ms,
            has_one_owner: true,
        };
        let children = match are_compared(self.aggregations) {
            false => Children::build(self.aggregations, &mut context)?,
            true => Children::build_backgrounds(self.aggregations, &mut context)?,
        };
        Ok(SegmentAggregator {
            children,
            whole: WholeSegment {
                view: self.env.view,
                segment,
                control: self.env.control,
                within: None,
            },
            owners: vec![0; BLOCK],
        })
    }

    /// Merges the partial results of all segments and completes them: long lists of terms are cut,
    /// the hits of `top_hits` are read.
    ///
    /// # Errors
    /// When documents cannot be read.
    pub fn finish(&self, segments: Vec<Aggregations>) -> Result<Aggregations, EngineError> {
        let mut merged = self.described.clone();
        for segment in segments {
            merged.merge(segment)?;
        }
        merged.settle_terms()?;
        for (partial, aggregation) in merged.0.iter_mut().zip(self.aggregations) {
            match (partial, &aggregation.kind) {
                (Partial::Terms(terms), AggregationKind::Terms(request)) => {
                    let limit = if top_hits::are_in(&aggregation.sub) {
                        COMPLETE_KEYS_WITH_HITS
                    } else {
                        COMPLETE_KEYS
                    };
                    terms.truncate(request, limit);
                }
                (Partial::Tuples(tuples), AggregationKind::Composite(request)) => {
                    tuples.keep_page(request);
                }
                _ => {}
            }
        }
        let mut reading = top_hits::ContentReader {
            query: self.query,
            asked: self.asked,
            env: &self.env,
            meter: self.ledger.meter(),
        };
        top_hits::complete(&mut merged, self.aggregations, &mut reading)?;
        Ok(merged)
    }
}

/// Returns what of `query` was asked for: where a request is kept to something, filters of aliases say,
/// that stands beside it.
fn asked(query: &Clause, is_kept: bool) -> &Clause {
    match query {
        Clause::Bool { must, .. } if is_kept && must.len() == 1 => &must[0],
        whole => whole,
    }
}

/// Collects the documents of one segment.
pub struct SegmentAggregator<'a> {
    children: Children<'a>,
    whole: WholeSegment<'a>,
    owners: Vec<u32>,
}

impl SegmentAggregator<'_> {
    /// Adds matching live documents, ascending, each once, later blocks after earlier ones.
    ///
    /// `scores`, canonical ones, stand beside `docs` and are needed when [`Plan::needs_scores`].
    ///
    /// # Errors
    /// `EvaluationError::CircuitBreaking` when buckets take too much memory; read errors.
    pub fn collect_block(
        &mut self,
        docs: &[DocId],
        scores: Option<&[f32]>,
    ) -> Result<(), EngineError> {
        if self.owners.len() < docs.len() {
            self.owners.resize(docs.len(), 0);
        }
        let owners = &self.owners[..docs.len()];
        self.children.collect(&Block {
            docs,
            owners,
            scores,
        })
    }

    /// Adds all matches of the segment, none of which is deleted, where the orders and numbers of the segment tell of them: those
    /// `within` a range, or all documents. Returns how many they are, if it did for all aggregations. Where it did not, all matches are
    /// to be added in blocks: they count for the aggregations that are left.
    ///
    /// # Errors
    /// As [`Self::collect_block`].
    pub(crate) fn collect_all(
        &mut self,
        within: Option<Ranked>,
    ) -> Result<Option<u64>, EngineError> {
        self.whole.within = within;
        let is_done = self.children.collect_all(&self.whole)?;
        Ok(is_done.then(|| self.whole.num_matches()))
    }

    /// Returns the partial results of the segment.
    ///
    /// # Errors
    /// When keys cannot be read or take too much memory.
    pub fn finish(self) -> Result<Aggregations, EngineError> {
        let mut per_owner = self.children.finish(1)?;
        Ok(per_owner.pop().unwrap_or_default())
    }
}

fn needs_scores(aggregations: &[Aggregation]) -> bool {
    aggregations.iter().any(|aggregation| {
        let by_itself = match &aggregation.kind {
            AggregationKind::TopHits(request)
            | AggregationKind::TopMetrics(TopMetricsAggregation { hits: request, .. }) => {
                request.track_scores
                    || request.sort.is_empty()
                    || request
                        .sort
                        .iter()
                        .any(|key| key.target == SortTarget::Score)
            }
            AggregationKind::Sampler(_) => true,
            _ => false,
        };
        by_itself || needs_scores(&aggregation.sub)
    })
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
