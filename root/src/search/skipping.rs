//! Shards that cannot match are not asked.
//!
//! By three things: the query alone, where an index has no such field and its shards are in this
//! process; the terms that a shard has turned out to lack when the numbers of this very search were counted; and what a shard has said
//! of itself when it found nothing before, as long as its lease lasts (see the leaf's `lease`). The
//! answer is the one that asking would give, at a moment no earlier than the search.
//!
//! One shard is always asked; where shards are left out for what they hold, one of each set of indices
//! in which the fields that the request sorts by and aggregates are of the same types: those decide
//! what buckets look like, and whether a field can be sorted by. So errors and shapes do not depend
//! on what happened to be known. Views that a request names are asked too: that they are gone must
//! be told.

use gleaner_model::{FieldKind, NodeId, ShardKey, metric};
use gleaner_query::aggregation::{Aggregation, AggregationKind};
use gleaner_query::resolved::Extent;
use gleaner_query::search::{SearchRequest, SortKey, SortTarget};

use crate::plan::IndexPlan;
use crate::search::ShardScatter;
use crate::statistics::{CachedStatistics, needs_scores};

/// Leaves out the shards of indices whose query matches nothing whatever they hold. Aggregations are
/// asked of all; so are shards of which something is remembered that they have to confirm, and those whose copies may lack
/// what a pattern would have stood for.
///
/// An index whose patterns stand for nothing has documents that count in the scores of others: whether it is
/// left out must not depend on whether that was remembered.
///
/// A root that may lag behind the cluster state (`may_lag`) asks all the same where no shard was asked for patterns: a field
/// that it does not know may have come since, and a shard's answer shows that.
pub(super) fn skip_hopeless(plans: &mut [IndexPlan], request: &SearchRequest, may_lag: bool) {
    if !request.aggregations.is_empty() {
        return;
    }
    let has_scores = needs_scores(request) && !plans.iter().all(IndexPlan::is_hopeless);
    let is_left_out = |plan: &IndexPlan| {
        let mut shards = plan.shards.iter();
        shards.all(|planned| planned.expected.is_none() && !planned.may_be_stale)
            && (plan.has_patterns || !may_lag)
            && plan.is_hopeless()
            && !(plan.has_patterns && has_scores)
    };
    let mut is_asked = plans.iter().any(|plan| !is_left_out(plan));
    for plan in plans {
        if is_left_out(plan) {
            let kept = usize::from(!is_asked).min(plan.shards.len());
            plan.hopeless.extend(plan.shards.drain(kept..));
            is_asked |= kept > 0;
        }
    }
}

/// Returns the shards that are not asked for what they hold, with the names of their indices.
pub(super) fn skipped(plans: &[IndexPlan]) -> Vec<(String, ShardKey)> {
    let of_plan = |plan: &IndexPlan| {
        let name = plan.index.name.to_string();
        let shards = plan.excluded.iter().map(|planned| planned.shard);
        shards
            .map(|shard| (name.clone(), shard))
            .collect::<Vec<_>>()
    };
    plans.iter().flat_map(of_plan).collect()
}

impl ShardScatter {
    /// Leaves out the shards in which nothing can match, by what was `counted` and what they have said
    /// of themselves; `counted` is of those that are left then.
    pub(super) fn skip_excluded(
        &self,
        plans: &mut [IndexPlan],
        counted: &mut CachedStatistics,
        request: &SearchRequest,
    ) {
        let newest = self.statistics.newest.open();
        let knows_any = counted.lacks_any() || newest.has_leases();
        if !knows_any || needs_all(&request.aggregations) {
            return;
        }
        // Documents count for `terminate_after` before the post filter has seen them.
        let heeds_post_filter =
            request.aggregations.is_empty() && request.terminate_after.is_none();
        let (mut is_asked, mut shown) = (Vec::new(), Vec::new());
        for plan in plans.iter() {
            let excludes = |extent: &Extent| plan.is_excluded_by(extent, heeds_post_filter);
            for shard in &plan.shards {
                let fits = shard.generation.is_none_or(|bound| shard.expects(bound));
                let lacking = counted.lacking(is_asked.len()).filter(|_| fits);
                let counted_at = counted.shown_at(is_asked.len());
                let excluded_at = match lacking.is_some_and(excludes) && !shard.may_be_stale {
                    true => shard.generation,
                    false => newest.excluded_at(shard, |extent, node| {
                        excludes(extent) && self.holds(node, shard.shard)
                    }),
                };
                let is_excluded = excluded_at.is_some();
                is_asked.push(shard.is_pinned || shard.may_be_stale || !is_excluded);
                // Its numbers count in the scores of others: they must be of the same moment.
                shown
                    .push(excluded_at.filter(|at| counted_at.is_none_or(|counted| counted == *at)));
            }
        }
        drop(newest);
        if !is_asked.contains(&false) {
            return;
        }
        let num_documents = |shard| self.statistics.newest.num_documents(shard);
        keep_some(plans, &mut is_asked, request, num_documents);
        let num_left_out = is_asked.iter().filter(|is_asked| !**is_asked).count() as u64;
        if num_left_out == 0 {
            return;
        }
        metrics::counter!(metric::SHARDS_SKIPPED.name).increment(num_left_out);
        counted.retain(&is_asked);
        let mut all = is_asked.into_iter().zip(shown);
        for plan in plans {
            plan.retain(|planned| match all.next() {
                Some((false, shown)) => {
                    planned.generation = shown;
                    false
                }
                _ => true,
            });
        }
    }
}

impl ShardScatter {
    /// Returns whether a leaf holds a copy of the shard.
    fn holds(&self, node: &NodeId, shard: ShardKey) -> bool {
        let copies = self.cluster.leaves.copies(shard);
        copies.iter().any(|copy| copy.node == *node)
    }
}

/// Returns whether an aggregation is to see shards in which nothing matches.
fn needs_all(aggregations: &[Aggregation]) -> bool {
    aggregations.iter().any(|aggregation| {
        let is_one = match &aggregation.kind {
            AggregationKind::Global => true,
            // They are compared with documents that do not match.
            AggregationKind::SignificantTerms(_) => true,
            // Terms of documents that do not match are buckets too.
            AggregationKind::Terms(terms) => terms.min_doc_count == 0,
            _ => false,
        };
        is_one || needs_all(&aggregation.sub)
    })
}

/// Has one shard asked of each set of indices that would shape an answer alike, where none is: one that
/// holds documents, if that is known, since it is segments that cannot be sorted by a field.
pub(super) fn keep_some(
    plans: &[IndexPlan],
    is_asked: &mut [bool],
    request: &SearchRequest,
    num_documents: impl Fn(ShardKey) -> Option<u64>,
) {
    let mut sets: Vec<(Vec<Option<&FieldKind>>, CacheEntry)> = Vec::new();
    let mut at = 0;
    for plan in plans {
        let kinds = kinds(plan, request);
        for planned in &plan.shards {
            let shard = CacheEntry {
                at,
                is_filled: num_documents(planned.shard).is_some_and(|number| number > 0),
                has_asked: is_asked[at],
            };
            match sets.iter_mut().find(|(known, _)| *known == kinds) {
                Some((_, kept)) => kept.join(shard),
                None => sets.push((kinds.clone(), shard)),
            }
            at += 1;
        }
    }
    for (_, kept) in sets {
        is_asked[kept.at] |= !kept.has_asked;
    }
}

/// Of a set of indices.
#[derive(Clone, Copy)]
struct CacheEntry {
    /// Position of the shard that is asked where none is.
    at: usize,
    /// Whether it holds documents.
    is_filled: bool,
    /// Whether any is asked.
    has_asked: bool,
}

impl CacheEntry {
    fn join(&mut self, shard: Self) {
        self.has_asked |= shard.has_asked;
        if shard.is_filled && !self.is_filled {
            (self.at, self.is_filled) = (shard.at, true);
        }
    }
}

/// Returns the types, in the index, of the fields that the request sorts by and aggregates.
fn kinds<'a>(plan: &'a IndexPlan, request: &SearchRequest) -> Vec<Option<&'a FieldKind>> {
    let mut fields = Vec::new();
    sorted_by(&request.sort, &mut fields);
    fields_of(&request.aggregations, &mut fields);
    let collapsed = request.collapse.iter();
    fields.extend(collapsed.map(|collapse| collapse.field.as_str()));
    let mapping = &plan.index.mapping;
    let kind = |field: &str| mapping.field(field).map(|field| &field.kind);
    fields.into_iter().map(kind).collect()
}

fn sorted_by<'a>(keys: &'a [SortKey], fields: &mut Vec<&'a str>) {
    for key in keys {
        match &key.target {
            SortTarget::Field(field) => fields.push(field),
            SortTarget::Distance(distance) => fields.push(&distance.field),
            SortTarget::Score | SortTarget::Doc | SortTarget::ShardDoc => {}
        }
    }
}

/// Collects the fields that aggregations take values from and sort by.
fn fields_of<'a>(aggregations: &'a [Aggregation], fields: &mut Vec<&'a str>) {
    for aggregation in aggregations {
        let source = match &aggregation.kind {
            AggregationKind::Terms(terms) => Some(&terms.source.field),
            AggregationKind::RareTerms(terms) => Some(&terms.source.field),
            AggregationKind::SignificantTerms(terms) => Some(&terms.source.field),
            AggregationKind::IpRange(range) => Some(&range.source.field),
            AggregationKind::AutoDate(dates) => Some(&dates.source.field),
            AggregationKind::VariableWidth(histogram) => Some(&histogram.source.field),
            AggregationKind::IpPrefix(prefix) => Some(&prefix.field),
            AggregationKind::GeoGrid(grid) => Some(&grid.field),
            AggregationKind::GeoDistance(distance) => Some(&distance.range.source.field),
            AggregationKind::GeoBounds { field, .. } | AggregationKind::GeoCentroid { field } => {
                Some(field)
            }
            AggregationKind::Composite(composite) => {
                let sources = composite.sources.iter();
                fields.extend(sources.map(|source| source.source.field.as_str()));
                None
            }
            AggregationKind::MatrixStats(stats) => {
                fields.extend(stats.sources.iter().map(|source| source.field.as_str()));
                None
            }
            AggregationKind::MultiTerms(terms) => {
                fields.extend(terms.sources.iter().map(|source| source.field.as_str()));
                None
            }
            AggregationKind::WeightedAverage(average) => {
                fields.push(&average.weight.field);
                Some(&average.value.field)
            }
            AggregationKind::TopMetrics(metrics) => {
                sorted_by(&metrics.hits.sort, fields);
                None
            }
            AggregationKind::Range(range) => Some(&range.source.field),
            AggregationKind::Histogram(histogram) => Some(&histogram.source.field),
            AggregationKind::DateHistogram(histogram) => Some(&histogram.source.field),
            AggregationKind::MissingValue { field, .. } => Some(field),
            AggregationKind::Metric(_, source)
            | AggregationKind::Cardinality { source, .. }
            | AggregationKind::Percentiles { source, .. }
            | AggregationKind::PercentileRanks { source, .. }
            | AggregationKind::MedianAbsoluteDeviation(source) => Some(&source.field),
            AggregationKind::TopHits(hits) => {
                sorted_by(&hits.sort, fields);
                None
            }
            AggregationKind::Sampler(sampler) => {
                let diversity = sampler.diversity.as_ref();
                diversity.map(|diversity| &diversity.source.field)
            }
            AggregationKind::Filter(_)
            | AggregationKind::Filters { .. }
            | AggregationKind::Adjacency(_)
            | AggregationKind::Background { .. }
            | AggregationKind::Global => None,
        };
        fields.extend(source.map(String::as_str));
        fields_of(&aggregation.sub, fields);
    }
}
