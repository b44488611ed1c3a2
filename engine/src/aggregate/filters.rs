//! `filter`, `filters`, `adjacency_matrix`, `missing`, `global`: buckets by set of documents.

use std::sync::Arc;

use gleaner_partial::control::{Control, Meter};
use gleaner_partial::key::Key;
use gleaner_partial::request::formats::EncodedValues;
use gleaner_partial::tuples::Tuples;
use gleaner_partial::{Aggregations, Bucket, Partial};
use gleaner_query::aggregation::{AdjacencyAggregation, Aggregation, ValueSource, Words};
use gleaner_query::resolved::Clause;
use roaring::RoaringBitmap;
use tantivy::DocId;

use super::node::{Block, Buckets, Children, Node, SegmentContext};
use super::slots::{KeyedSlots, ListedSlots};
use super::source::Source;
use super::spans;
use super::texts::WordCounter;
use super::whole::WholeSegment;
use super::{BLOCK, needs_scores};
use crate::doc_values::DocValues;
use crate::error::EngineError;
use crate::view::{SegmentView, View};

/// `filter`: the next resolved query.
pub(super) fn build_one<'a>(
    sub: &'a [Aggregation],
    context: &mut SegmentContext<'a>,
) -> Result<Box<dyn Node + 'a>, EngineError> {
    let clause = context.next_filter()?;
    let documents = context
        .documents
        .documents(context.view, context.segment, clause)?;
    single(Membership::Of(documents), sub, context)
}

/// `missing`: documents without a value; none where something stands for it.
pub(super) fn build_missing<'a>(
    field: &'a str,
    is_filled: bool,
    sub: &'a [Aggregation],
    context: &mut SegmentContext<'a>,
) -> Result<Box<dyn Node + 'a>, EngineError> {
    let membership = match is_filled {
        true => Membership::Of(Arc::new(RoaringBitmap::new())),
        false => Membership::Without(values_of(field, context)?),
    };
    single(membership, sub, context)
}

/// Opens what a field holds, of any type; `None` where no document of the segment has a value.
fn values_of(field: &str, context: &SegmentContext<'_>) -> Result<Option<DocValues>, EngineError> {
    const NAME: &str = "missing";
    let encoded = EncodedValues::of(context.view.mapping(), &ValueSource::of(field), NAME)?;
    match encoded {
        Some(_) => Ok(spans::open_terms(field, NAME, context)?.map(DocValues::Terms)),
        None => Ok(Source::of_segment(field, None, context.view, context.segment)?.values),
    }
}

fn single<'a>(
    membership: Membership,
    sub: &'a [Aggregation],
    context: &mut SegmentContext<'a>,
) -> Result<Box<dyn Node + 'a>, EngineError> {
    let buckets = Buckets::new(Children::build(sub, context)?, context);
    Ok(Box::new(SingleNode {
        membership,
        slots: ListedSlots::new(1, buckets),
    }))
}

/// `filters`: the next `num_filters` resolved queries.
pub(super) fn build_many<'a>(
    num_filters: usize,
    has_other: bool,
    sub: &'a [Aggregation],
    context: &mut SegmentContext<'a>,
) -> Result<Box<dyn Node + 'a>, EngineError> {
    let filters = next_documents(num_filters, context)?;
    let num_buckets = num_filters + usize::from(has_other);
    Ok(Box::new(FiltersNode {
        filters,
        has_other,
        slots: ListedSlots::new(num_buckets, Buckets::build(sub, context)?),
    }))
}

/// Returns what matches each of the next `num_filters` resolved queries.
fn next_documents(
    num_filters: usize,
    context: &mut SegmentContext<'_>,
) -> Result<Vec<Arc<RoaringBitmap>>, EngineError> {
    let mut found = Vec::with_capacity(num_filters);
    for _ in 0..num_filters {
        let clause = context.next_filter()?;
        let documents = context.documents;
        found.push(documents.documents(context.view, context.segment, clause)?);
    }
    Ok(found)
}

/// `adjacency_matrix`: the next resolved queries, one for each name.
pub(super) fn build_adjacency<'a>(
    request: &'a AdjacencyAggregation,
    sub: &'a [Aggregation],
    context: &mut SegmentContext<'a>,
) -> Result<Box<dyn Node + 'a>, EngineError> {
    Ok(Box::new(AdjacencyNode {
        filters: next_documents(request.filters.len(), context)?,
        only_pairs: request.only_pairs,
        slots: KeyedSlots::new(Buckets::build(sub, context)?),
    }))
}

/// `global`: all live documents that may be seen, whatever matches.
pub(super) fn build_global<'a>(
    sub: &'a [Aggregation],
    context: &mut SegmentContext<'a>,
) -> Result<Box<dyn Node + 'a>, EngineError> {
    all_documents(None, None, context, sub)
}

/// What `significant_terms` compares with: as `global`, but of what matches a query.
pub(super) fn build_background<'a>(
    filter: Option<usize>,
    words: Option<&'a Words>,
    context: &mut SegmentContext<'a>,
    sub: &'a [Aggregation],
) -> Result<Box<dyn Node + 'a>, EngineError> {
    let clause = match filter {
        None => None,
        Some(at) => Some(
            context
                .all_filters
                .get(at)
                .ok_or_else(|| EngineError::internal("a background has no resolved form"))?,
        ),
    };
    all_documents(clause, words, context, sub)
}

fn all_documents<'a>(
    clause: Option<&'a Clause>,
    words: Option<&'a Words>,
    context: &mut SegmentContext<'a>,
    sub: &'a [Aggregation],
) -> Result<Box<dyn Node + 'a>, EngineError> {
    let mut kept_to: Option<Arc<RoaringBitmap>> = None;
    for clause in context.global.into_iter().chain(clause) {
        let documents = context.documents;
        let found = documents.documents(context.view, context.segment, clause)?;
        kept_to = Some(match kept_to {
            Some(others) => Arc::new(&*others & &*found),
            None => found,
        });
    }
    Ok(Box::new(GlobalNode {
        view: context.view,
        segment: context.segment,
        words,
        kept_to,
        control: context.control,
        meter: context.ledger.meter(),
        needs_scores: needs_scores(sub),
        children: Children::build(sub, context)?,
    }))
}

/// Which documents a bucket takes.
enum Membership {
    Of(Arc<RoaringBitmap>),
    /// Documents without a value in the column; all where there is no column.
    Without(Option<DocValues>),
}

impl Membership {
    fn holds(&self, doc: DocId) -> bool {
        match self {
            Self::Of(documents) => documents.contains(doc),
            Self::Without(None) => true,
            Self::Without(Some(values)) => values.num_values(doc) == 0,
        }
    }
}

/// One bucket per owner.
struct SingleNode<'a> {
    membership: Membership,
    slots: ListedSlots<'a>,
}

impl Node for SingleNode<'_> {
    fn collect(&mut self, block: &Block<'_>) -> Result<(), EngineError> {
        self.slots.begin(block)?;
        for (i, doc) in block.docs.iter().enumerate() {
            if self.membership.holds(*doc) {
                self.slots.put(block, i, 0)?;
            }
        }
        self.slots.hand_on()
    }

    fn collect_all(&mut self, whole: &WholeSegment<'_>) -> Result<bool, EngineError> {
        let Membership::Of(documents) = &self.membership else {
            return Ok(false);
        };
        if !whole.is_all() || !self.slots.only_count() {
            return Ok(false);
        }
        self.slots.add(&[documents.len()])?;
        Ok(true)
    }

    fn finish(self: Box<Self>, num_owners: usize) -> Result<Vec<Partial>, EngineError> {
        let buckets = self.slots.finish(num_owners)?.flatten();
        Ok(buckets.map(Partial::Single).collect())
    }
}

/// One bucket per filter; the bucket of the others is last.
struct FiltersNode<'a> {
    filters: Vec<Arc<RoaringBitmap>>,
    has_other: bool,
    slots: ListedSlots<'a>,
}

impl Node for FiltersNode<'_> {
    fn collect(&mut self, block: &Block<'_>) -> Result<(), EngineError> {
        self.slots.begin(block)?;
        for (i, doc) in block.docs.iter().enumerate() {
            let mut is_other = true;
            for (entry, documents) in self.filters.iter().enumerate() {
                if documents.contains(*doc) {
                    is_other = false;
                    self.slots.put(block, i, entry)?;
                }
            }
            if is_other && self.has_other {
                self.slots.put(block, i, self.filters.len())?;
            }
        }
        self.slots.hand_on()
    }

    fn collect_all(&mut self, whole: &WholeSegment<'_>) -> Result<bool, EngineError> {
        if self.has_other || !whole.is_all() || !self.slots.only_count() {
            return Ok(false);
        }
        let counts: Vec<u64> = self.filters.iter().map(|filter| filter.len()).collect();
        self.slots.add(&counts)?;
        Ok(true)
    }

    fn finish(self: Box<Self>, num_owners: usize) -> Result<Vec<Partial>, EngineError> {
        let owners = self.slots.finish(num_owners)?;
        Ok(owners.map(Partial::Filters).collect())
    }
}

/// One bucket per filter and per pair of filters that a document is in.
struct AdjacencyNode<'a> {
    filters: Vec<Arc<RoaringBitmap>>,
    only_pairs: bool,
    /// By filter and other filter; a filter by itself is its own other.
    slots: KeyedSlots<'a, (usize, usize)>,
}

impl Node for AdjacencyNode<'_> {
    fn collect(&mut self, block: &Block<'_>) -> Result<(), EngineError> {
        let mut holding = Vec::with_capacity(self.filters.len());
        for (i, doc) in block.docs.iter().enumerate() {
            holding.clear();
            let filters = self.filters.iter().enumerate();
            holding.extend(filters.filter_map(|(at, found)| found.contains(*doc).then_some(at)));
            for (nth, one) in holding.iter().enumerate() {
                // Pairs begin behind the filter itself.
                let first = nth + usize::from(self.only_pairs);
                for other in holding.iter().skip(first) {
                    self.slots.put(block, i, (*one, *other))?;
                }
            }
        }
        self.slots.hand_on()
    }

    fn finish(self: Box<Self>, num_owners: usize) -> Result<Vec<Partial>, EngineError> {
        let mut owners = vec![Tuples::default(); num_owners];
        for (owner, (one, other), bucket) in self.slots.finish()? {
            let number = |at: usize| Some(Key::I64(at as i64));
            let key = match one == other {
                true => vec![number(one)],
                false => vec![number(one), number(other)],
            };
            owners[owner].buckets.insert(key, bucket);
        }
        Ok(owners.into_iter().map(Partial::Tuples).collect())
    }
}

struct GlobalNode<'a> {
    view: &'a View,
    segment: &'a SegmentView,
    /// Terms that are counted beside.
    words: Option<&'a Words>,
    kept_to: Option<Arc<RoaringBitmap>>,
    control: &'a Control,
    meter: Meter<'a>,
    needs_scores: bool,
    children: Children<'a>,
}

impl Node for GlobalNode<'_> {
    fn collect(&mut self, _: &Block<'_>) -> Result<(), EngineError> {
        Ok(())
    }

    fn finish(self: Box<Self>, _: usize) -> Result<Vec<Partial>, EngineError> {
        let Self {
            view,
            segment,
            words,
            kept_to,
            control,
            mut meter,
            needs_scores,
            mut children,
        } = *self;
        let owners = [0; BLOCK];
        // Without a query all documents score 1.
        let scores = [1.0; BLOCK];
        let mut docs = Vec::with_capacity(BLOCK);
        let mut doc_count = 0;
        let live = segment.reader().doc_ids_alive();
        let mut live = live.filter(|doc| kept_to.as_ref().is_none_or(|kept| kept.contains(*doc)));
        loop {
            docs.clear();
            docs.extend(live.by_ref().take(BLOCK));
            if docs.is_empty() {
                break;
            }
            control.check()?;
            doc_count += docs.len() as u64;
            children.collect(&Block {
                docs: &docs,
                owners: &owners[..docs.len()],
                scores: needs_scores.then_some(&scores[..docs.len()]),
            })?;
        }
        let mut sub: Aggregations = children.finish(1)?.pop().unwrap_or_default();
        if let Some(words) = words {
            let counter = WordCounter {
                view,
                segment,
                kept_to: kept_to.as_deref(),
                control,
            };
            sub.0.push(counter.count(words, &mut meter)?);
        }
        Ok(vec![Partial::Single(Bucket { doc_count, sub })])
    }
}
