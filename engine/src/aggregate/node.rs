//! The tree of collectors over one segment.

use std::slice;

use gleaner_model::ShardKey;
use gleaner_partial::control::Control;
use gleaner_partial::control::{Ledger, Meter};
use gleaner_partial::{Aggregations, Bucket, Partial};
use gleaner_query::aggregation::{Aggregation, AggregationKind};
use gleaner_query::resolved::Clause;
use tantivy::DocId;

use super::whole::WholeSegment;
use super::{
    BLOCK, FilterDocuments, addresses, auto_date, composite, distinct, filters, geo, hdr,
    histogram, matrix, metrics, multi_terms, range, sampler, significant, terms, top_hits,
    weighted,
};
use crate::error::EngineError;
use crate::view::{SegmentView, View};

/// Documents with the parent's bucket each belongs to; a document may stand there several times,
/// under several owners.
pub(super) struct Block<'b> {
    pub(super) docs: &'b [DocId],
    pub(super) owners: &'b [u32],
    pub(super) scores: Option<&'b [f32]>,
}

impl Block<'_> {
    /// Returns how many owners there are: the greatest number among them, and one.
    pub(super) fn num_owners(&self) -> usize {
        let last = self.owners.iter().max();
        last.map_or(0, |owner| *owner as usize + 1)
    }

    pub(super) fn score(&self, i: usize) -> Option<f32> {
        self.scores.map(|scores| scores[i])
    }
}

/// Collects one aggregation over one segment.
pub(super) trait Node: Send {
    /// Adds documents.
    fn collect(&mut self, block: &Block<'_>) -> Result<(), EngineError>;

    /// Adds all matches of a segment, none of which is deleted, for owner 0; returns whether it did. Where it did not, they come
    /// in blocks.
    fn collect_all(&mut self, _: &WholeSegment<'_>) -> Result<bool, EngineError> {
        Ok(false)
    }

    /// Returns one partial result per owner, `num_owners` in all.
    fn finish(self: Box<Self>, num_owners: usize) -> Result<Vec<Partial>, EngineError>;
}

/// What building the collectors of a segment needs.
pub(super) struct SegmentContext<'a> {
    pub(super) view: &'a View,
    pub(super) segment: &'a SegmentView,
    pub(super) shard: ShardKey,
    pub(super) documents: &'a dyn FilterDocuments,
    /// Resolved queries that are not used yet, in depth-first order of appearance.
    pub(super) filters: slice::Iter<'a, Clause>,
    /// All of them.
    pub(super) all_filters: &'a [Clause],
    /// What `global` is kept to; `None` is everything.
    pub(super) global: Option<&'a Clause>,
    pub(super) ledger: &'a Ledger,
    pub(super) control: &'a Control,
    pub(super) now_ms: i64,
    /// Whether all documents will come under owner 0.
    pub(super) has_one_owner: bool,
}

impl<'a> SegmentContext<'a> {
    /// Returns the resolved form of the next query inside the aggregations.
    pub(super) fn next_filter(&mut self) -> Result<&'a Clause, EngineError> {
        self.filters
            .next()
            .ok_or_else(|| EngineError::internal("an aggregation's query has no resolved form"))
    }

    fn build(&mut self, aggregation: &'a Aggregation) -> Result<Box<dyn Node + 'a>, EngineError> {
        let sub = &aggregation.sub;
        match &aggregation.kind {
            AggregationKind::Terms(request) => terms::build(request, sub, self),
            AggregationKind::Range(request) => range::build(request, sub, self),
            AggregationKind::Histogram(request) => histogram::build(request, sub, self),
            AggregationKind::DateHistogram(request) => histogram::build_date(request, sub, self),
            AggregationKind::Filter(_) => filters::build_one(sub, self),
            AggregationKind::Filters {
                filters,
                other_bucket,
                ..
            } => filters::build_many(filters.len(), other_bucket.is_some(), sub, self),
            AggregationKind::Global => filters::build_global(sub, self),
            AggregationKind::Background { filter, words } => {
                filters::build_background(*filter, words.as_ref(), self, sub)
            }
            AggregationKind::MissingValue { field, missing } => {
                filters::build_missing(field, missing.is_some(), sub, self)
            }
            AggregationKind::Adjacency(request) => filters::build_adjacency(request, sub, self),
            AggregationKind::Composite(request) => composite::build(request, sub, self),
            AggregationKind::MultiTerms(request) => multi_terms::build(request, sub, self),
            AggregationKind::RareTerms(request) => terms::build(&request.terms(), sub, self),
            AggregationKind::SignificantTerms(request) => significant::build(request, sub, self),
            AggregationKind::Sampler(request) => sampler::build(request, sub, self),
            AggregationKind::IpRange(request) => addresses::build_ranges(request, sub, self),
            AggregationKind::IpPrefix(request) => addresses::build_prefixes(request, sub, self),
            AggregationKind::AutoDate(request) => auto_date::build(request, sub, self),
            AggregationKind::VariableWidth(request) => histogram::build_values(request, sub, self),
            AggregationKind::GeoGrid(request) => geo::build_grid(request, sub, self),
            AggregationKind::GeoDistance(request) => range::build_distances(request, sub, self),
            _ => self.build_metric(&aggregation.kind),
        }
    }

    /// Builds what has no buckets.
    fn build_metric(
        &mut self,
        kind: &'a AggregationKind,
    ) -> Result<Box<dyn Node + 'a>, EngineError> {
        match kind {
            AggregationKind::Metric(metric, source) => metrics::build(*metric, source, self),
            AggregationKind::Percentiles {
                source, hdr_digits, ..
            } => match hdr_digits {
                Some(digits) => hdr::build(source, *digits, self),
                None => metrics::build_percentiles(source, "percentiles", self),
            },
            AggregationKind::PercentileRanks {
                source, hdr_digits, ..
            } => match hdr_digits {
                Some(digits) => hdr::build(source, *digits, self),
                None => metrics::build_percentiles(source, "percentile_ranks", self),
            },
            AggregationKind::MatrixStats(request) => matrix::build(request, self),
            AggregationKind::MedianAbsoluteDeviation(source) => {
                metrics::build_percentiles(source, "median_absolute_deviation", self)
            }
            AggregationKind::WeightedAverage(request) => weighted::build(request, self),
            AggregationKind::Cardinality {
                source,
                precision_threshold,
            } => distinct::build(source, *precision_threshold, self),
            AggregationKind::TopHits(request) => top_hits::build(request, 0, self),
            AggregationKind::TopMetrics(request) => {
                top_hits::build(&request.hits, request.metrics.len(), self)
            }
            AggregationKind::GeoBounds { field, .. } | AggregationKind::GeoCentroid { field } => {
                geo::build_extent(field, self)
            }
            _ => Err(EngineError::internal("an aggregation has no collector")),
        }
    }
}

/// Collects nothing.
struct Idle<'a>(&'a AggregationKind);

impl Node for Idle<'_> {
    fn collect(&mut self, _: &Block<'_>) -> Result<(), EngineError> {
        Ok(())
    }

    fn finish(self: Box<Self>, num_owners: usize) -> Result<Vec<Partial>, EngineError> {
        Ok(vec![Partial::empty(self.0); num_owners])
    }
}

/// The collectors below a bucket (or at the top).
pub(super) struct Children<'a> {
    nodes: Vec<Box<dyn Node + 'a>>,
    /// Those that have collected the whole segment; empty where none has.
    are_done: Vec<bool>,
}

impl<'a> Children<'a> {
    pub(super) fn build(
        aggregations: &'a [Aggregation],
        context: &mut SegmentContext<'a>,
    ) -> Result<Self, EngineError> {
        let nodes = aggregations
            .iter()
            .map(|aggregation| context.build(aggregation));
        Ok(Self::of(nodes.collect::<Result<_, _>>()?))
    }

    fn of(nodes: Vec<Box<dyn Node + 'a>>) -> Self {
        Self {
            nodes,
            are_done: Vec::new(),
        }
    }

    /// As [`Self::build`], where only what others are compared with is asked for: they collect nothing.
    pub(super) fn build_backgrounds(
        aggregations: &'a [Aggregation],
        context: &mut SegmentContext<'a>,
    ) -> Result<Self, EngineError> {
        let nodes = aggregations
            .iter()
            .map(|aggregation| match &aggregation.kind {
                AggregationKind::Background { .. } => context.build(aggregation),
                kind => Ok(Box::new(Idle(kind)) as Box<dyn Node + 'a>),
            });
        Ok(Self::of(nodes.collect::<Result<_, _>>()?))
    }

    /// Builds the children of an aggregation that may have more than one bucket.
    pub(super) fn build_many(
        aggregations: &'a [Aggregation],
        context: &mut SegmentContext<'a>,
    ) -> Result<Self, EngineError> {
        let before = std::mem::replace(&mut context.has_one_owner, false);
        let children = Self::build(aggregations, context);
        context.has_one_owner = before;
        children
    }

    pub(super) fn collect(&mut self, block: &Block<'_>) -> Result<(), EngineError> {
        let mut nodes = self.nodes.iter_mut().enumerate();
        nodes.try_for_each(|(at, node)| match self.are_done.get(at) {
            Some(true) => Ok(()),
            _ => node.collect(block),
        })
    }

    /// Adds all matches of a segment to the collectors that can do so at once; returns whether none is left. Blocks are for
    /// those that are left.
    pub(super) fn collect_all(&mut self, whole: &WholeSegment<'_>) -> Result<bool, EngineError> {
        let nodes = self.nodes.iter_mut();
        let are_done = nodes.map(|node| node.collect_all(whole));
        self.are_done = are_done.collect::<Result<_, _>>()?;
        Ok(self.are_done.iter().all(|is_done| *is_done))
    }

    /// Returns the partial results of each owner.
    pub(super) fn finish(self, num_owners: usize) -> Result<Vec<Aggregations>, EngineError> {
        let num_nodes = self.nodes.len();
        let mut per_owner: Vec<Aggregations> = (0..num_owners)
            .map(|_| Aggregations(Vec::with_capacity(num_nodes)))
            .collect();
        for node in self.nodes {
            let partials = node.finish(num_owners)?;
            for (list, partial) in per_owner.iter_mut().zip(partials) {
                list.0.push(partial);
            }
        }
        Ok(per_owner)
    }
}

/// The buckets of one aggregation: counts, and what is handed on to the children.
pub(super) struct Buckets<'a> {
    counts: Vec<u64>,
    children: Children<'a>,
    docs: Vec<DocId>,
    owners: Vec<u32>,
    scores: Vec<f32>,
    meter: Meter<'a>,
    control: &'a Control,
    /// Documents put since the last look at `control`.
    unchecked: usize,
}

/// What a bucket takes beside its key, roughly, in bytes.
const BUCKET_BYTES: usize = 96;

impl<'a> Buckets<'a> {
    pub(super) fn new(children: Children<'a>, context: &SegmentContext<'a>) -> Self {
        Self {
            counts: Vec::new(),
            children,
            docs: Vec::new(),
            owners: Vec::new(),
            scores: Vec::new(),
            meter: context.ledger.meter(),
            control: context.control,
            unchecked: 0,
        }
    }

    /// Returns no buckets, with the sub-aggregations of what may have several.
    pub(super) fn build(
        sub: &'a [Aggregation],
        context: &mut SegmentContext<'a>,
    ) -> Result<Self, EngineError> {
        Ok(Self::new(Children::build_many(sub, context)?, context))
    }

    /// Opens a bucket; returns its number.
    pub(super) fn open(&mut self) -> Result<u32, EngineError> {
        let number = u32::try_from(self.counts.len())
            .map_err(|_| EngineError::internal("more than 2^32 buckets in a segment"))?;
        self.meter.charge(BUCKET_BYTES)?;
        self.counts.push(0);
        Ok(number)
    }

    /// Opens all buckets below `num_buckets`.
    pub(super) fn open_up_to(&mut self, num_buckets: usize) -> Result<(), EngineError> {
        while self.counts.len() < num_buckets {
            self.open()?;
        }
        Ok(())
    }

    /// Puts document `i` of `block` into a bucket.
    ///
    /// A block may hold every document once per bucket of the parent, and each may go into many
    /// buckets here: the children get them in parts of [`BLOCK`], so that no level multiplies what
    /// waits on the one below.
    ///
    /// # Errors
    /// Those of the sub-aggregations; when the request must stop.
    pub(super) fn put(
        &mut self,
        block: &Block<'_>,
        i: usize,
        bucket: u32,
    ) -> Result<(), EngineError> {
        self.counts[bucket as usize] += 1;
        self.unchecked += 1;
        if !self.children.nodes.is_empty() {
            self.docs.push(block.docs[i]);
            self.owners.push(bucket);
            self.scores.extend(block.score(i));
        }
        if self.unchecked < BLOCK {
            return Ok(());
        }
        self.unchecked = 0;
        self.control.check()?;
        self.hand_on()
    }

    /// Hands the documents put since the last call to the children.
    ///
    /// # Errors
    /// Those of the sub-aggregations.
    pub(super) fn hand_on(&mut self) -> Result<(), EngineError> {
        if self.docs.is_empty() {
            return Ok(());
        }
        let has_scores = self.scores.len() == self.docs.len();
        self.children.collect(&Block {
            docs: &self.docs,
            owners: &self.owners,
            scores: has_scores.then_some(&self.scores[..]),
        })?;
        self.docs.clear();
        self.owners.clear();
        self.scores.clear();
        Ok(())
    }

    /// Counts documents in a bucket that nothing is below.
    pub(super) fn add(&mut self, bucket: u32, num_documents: u64) {
        self.counts[bucket as usize] += num_documents;
    }

    /// Returns whether documents are only counted.
    pub(super) fn only_count(&self) -> bool {
        self.children.nodes.is_empty()
    }

    pub(super) fn meter(&mut self) -> &mut Meter<'a> {
        &mut self.meter
    }

    /// Returns what says whether the request must stop.
    pub(super) fn control(&self) -> &'a Control {
        self.control
    }

    /// Returns the buckets, by number.
    pub(super) fn finish(self) -> Result<Vec<Bucket>, EngineError> {
        let subs = self.children.finish(self.counts.len())?;
        let pairs = self.counts.into_iter().zip(subs);
        Ok(pairs
            .map(|(doc_count, sub)| Bucket { doc_count, sub })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use gleaner_partial::EvaluationError;
    use gleaner_partial::control::MemoryAccount;

    use super::*;

    /// Notes the largest block and how many documents came in all.
    struct Noting {
        largest: Arc<AtomicUsize>,
        num_docs: Arc<AtomicUsize>,
    }

    impl Node for Noting {
        fn collect(&mut self, block: &Block<'_>) -> Result<(), EngineError> {
            self.largest.fetch_max(block.docs.len(), Ordering::Relaxed);
            self.num_docs.fetch_add(block.docs.len(), Ordering::Relaxed);
            Ok(())
        }

        fn finish(self: Box<Self>, _: usize) -> Result<Vec<Partial>, EngineError> {
            Ok(Vec::new())
        }
    }

    fn buckets<'a>(
        nodes: Vec<Box<dyn Node + 'a>>,
        ledger: &'a Ledger,
        control: &'a Control,
    ) -> Buckets<'a> {
        Buckets {
            counts: vec![0; 50],
            children: Children::of(nodes),
            docs: Vec::new(),
            owners: Vec::new(),
            scores: Vec::new(),
            meter: ledger.meter(),
            control,
            unchecked: 0,
        }
    }

    /// Puts every document of a block into 50 buckets.
    fn put_all(buckets: &mut Buckets<'_>, docs: &[DocId]) -> Result<(), EngineError> {
        let owners = vec![0; docs.len()];
        let block = Block {
            docs,
            owners: &owners,
            scores: None,
        };
        for i in 0..docs.len() {
            (0..50).try_for_each(|bucket| buckets.put(&block, i, bucket))?;
        }
        buckets.hand_on()
    }

    #[test]
    fn children_get_no_more_at_a_time_than_a_block() {
        let largest = Arc::new(AtomicUsize::new(0));
        let num_docs = Arc::new(AtomicUsize::new(0));
        let noting = Noting {
            largest: Arc::clone(&largest),
            num_docs: Arc::clone(&num_docs),
        };
        let memory = MemoryAccount::root("request", 1 << 20);
        let ledger = Ledger::open(&memory).expect("there is memory");
        let control = Control::unlimited();
        let docs: Vec<DocId> = (0..1_000).collect();
        let mut buckets = buckets(vec![Box::new(noting)], &ledger, &control);
        put_all(&mut buckets, &docs).expect("nothing stops it");
        assert_eq!(largest.load(Ordering::Relaxed), BLOCK);
        assert_eq!(num_docs.load(Ordering::Relaxed), 50_000);
    }

    #[test]
    fn documents_are_put_into_many_buckets_until_the_request_is_cancelled() {
        let memory = MemoryAccount::root("request", 1 << 20);
        let ledger = Ledger::open(&memory).expect("there is memory");
        let control = Control::unlimited();
        control.cancel();
        let docs: Vec<DocId> = (0..1_000).collect();
        let mut buckets = buckets(Vec::new(), &ledger, &control);
        let outcome = put_all(&mut buckets, &docs);
        assert!(
            matches!(
                outcome,
                Err(EngineError::Evaluation(EvaluationError::Cancelled))
            ),
            "{outcome:?}"
        );
    }
}
