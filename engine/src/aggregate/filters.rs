//! `filter`, `filters`, `adjacency_matrix`, `missing`, `global`: buckets by set of documents.

use std::sync::Arc;

use gleaner_query::aggregation::{AdjacencyAggregation, Aggregation};
use gleaner_query::resolved::Clause;
use hashbrown::HashMap;
use roaring::RoaringBitmap;
use tantivy::DocId;

use super::node::{Block, Buckets, Children, Node, SegmentContext};
use super::source::Source;
use super::{BLOCK, needs_scores};
use crate::control::Control;
use crate::doc_values::DocValues;
use crate::error::EngineError;
use crate::partial::key::Key;
use crate::partial::tuples::Tuples;
use crate::partial::{Aggregations, Bucket, Partial};
use crate::view::SegmentView;

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
    (field, is_filled): (&'a str, bool),
    sub: &'a [Aggregation],
    context: &mut SegmentContext<'a>,
) -> Result<Box<dyn Node + 'a>, EngineError> {
    let source = Source::of_segment(field, None, (context.view, context.segment))?;
    let membership = match is_filled {
        true => Membership::Of(Arc::new(RoaringBitmap::new())),
        false => Membership::Without(source.values),
    };
    single(membership, sub, context)
}

fn single<'a>(
    membership: Membership,
    sub: &'a [Aggregation],
    context: &mut SegmentContext<'a>,
) -> Result<Box<dyn Node + 'a>, EngineError> {
    let buckets = Buckets::new(Children::build(sub, context)?, context);
    Ok(Box::new(SingleNode {
        membership,
        buckets,
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
    let buckets = Buckets::new(Children::build_many(sub, context)?, context);
    Ok(Box::new(FiltersNode {
        filters,
        has_other,
        buckets,
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
        slots: HashMap::new(),
        buckets: Buckets::new(Children::build_many(sub, context)?, context),
    }))
}

/// `global`: all live documents that may be seen, whatever matches.
pub(super) fn build_global<'a>(
    sub: &'a [Aggregation],
    context: &mut SegmentContext<'a>,
) -> Result<Box<dyn Node + 'a>, EngineError> {
    all_documents(None, sub, context)
}

/// What `significant_terms` compares with: as `global`, but of what matches a query.
pub(super) fn build_background<'a>(
    filter: Option<usize>,
    sub: &'a [Aggregation],
    context: &mut SegmentContext<'a>,
) -> Result<Box<dyn Node + 'a>, EngineError> {
    let clause = match filter {
        None => None,
        Some(at) => Some(context.all_filters.get(at).ok_or_else(|| {
            EngineError::Internal("a background has no resolved form".to_owned())
        })?),
    };
    all_documents(clause, sub, context)
}

fn all_documents<'a>(
    clause: Option<&'a Clause>,
    sub: &'a [Aggregation],
    context: &mut SegmentContext<'a>,
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
        segment: context.segment,
        kept_to,
        control: context.control,
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

/// One bucket per owner, with the owner's number.
struct SingleNode<'a> {
    membership: Membership,
    buckets: Buckets<'a>,
}

impl Node for SingleNode<'_> {
    fn collect(&mut self, block: &Block<'_>) -> Result<(), EngineError> {
        let num_owners = block
            .owners
            .iter()
            .max()
            .map_or(0, |owner| *owner as usize + 1);
        self.buckets.open_up_to(num_owners)?;
        for (i, doc) in block.docs.iter().enumerate() {
            if self.membership.holds(*doc) {
                self.buckets.put(block, i, block.owners[i]);
            }
        }
        self.buckets.hand_on()
    }

    fn finish(mut self: Box<Self>, num_owners: usize) -> Result<Vec<Partial>, EngineError> {
        self.buckets.open_up_to(num_owners)?;
        Ok(self
            .buckets
            .finish()?
            .into_iter()
            .map(Partial::Single)
            .collect())
    }
}

/// Bucket `owner × filters + filter`; the bucket of the others is the last of its owner.
struct FiltersNode<'a> {
    filters: Vec<Arc<RoaringBitmap>>,
    has_other: bool,
    buckets: Buckets<'a>,
}

impl FiltersNode<'_> {
    fn num_buckets(&self) -> usize {
        self.filters.len() + usize::from(self.has_other)
    }
}

impl Node for FiltersNode<'_> {
    fn collect(&mut self, block: &Block<'_>) -> Result<(), EngineError> {
        let num_buckets = self.num_buckets();
        let num_owners = block
            .owners
            .iter()
            .max()
            .map_or(0, |owner| *owner as usize + 1);
        self.buckets.open_up_to(num_owners * num_buckets)?;
        for (i, doc) in block.docs.iter().enumerate() {
            let first = block.owners[i] as usize * num_buckets;
            let mut is_other = true;
            for (number, documents) in self.filters.iter().enumerate() {
                if documents.contains(*doc) {
                    is_other = false;
                    self.buckets.put(block, i, (first + number) as u32);
                }
            }
            if is_other && self.has_other {
                self.buckets.put(block, i, (first + num_buckets - 1) as u32);
            }
        }
        self.buckets.hand_on()
    }

    fn finish(mut self: Box<Self>, num_owners: usize) -> Result<Vec<Partial>, EngineError> {
        let num_buckets = self.num_buckets();
        self.buckets.open_up_to(num_owners * num_buckets)?;
        let mut buckets = self.buckets.finish()?.into_iter();
        let partial = |_| Partial::Filters(buckets.by_ref().take(num_buckets).collect());
        Ok((0..num_owners).map(partial).collect())
    }
}

/// One bucket per filter and per pair of filters that a document is in.
struct AdjacencyNode<'a> {
    filters: Vec<Arc<RoaringBitmap>>,
    only_pairs: bool,
    /// Bucket of each (owner, filter, other filter); a filter by itself is its own other.
    slots: HashMap<(u32, usize, usize), u32>,
    buckets: Buckets<'a>,
}

impl AdjacencyNode<'_> {
    fn put(
        &mut self,
        block: &Block<'_>,
        i: usize,
        (one, other): (usize, usize),
    ) -> Result<(), EngineError> {
        let place = (block.owners[i], one, other);
        let slot = match self.slots.get(&place) {
            Some(slot) => *slot,
            None => {
                let slot = self.buckets.open()?;
                *self.slots.entry(place).or_insert(slot)
            }
        };
        self.buckets.put(block, i, slot);
        Ok(())
    }
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
                    self.put(block, i, (*one, *other))?;
                }
            }
        }
        self.buckets.hand_on()
    }

    fn finish(self: Box<Self>, num_owners: usize) -> Result<Vec<Partial>, EngineError> {
        let mut owners = vec![Tuples::default(); num_owners];
        let mut buckets = self.buckets.finish()?;
        for ((owner, one, other), slot) in self.slots {
            let number = |at: usize| Some(Key::I64(at as i64));
            let key = match one == other {
                true => vec![number(one)],
                false => vec![number(one), number(other)],
            };
            let bucket = std::mem::take(&mut buckets[slot as usize]);
            owners[owner as usize].buckets.insert(key, bucket);
        }
        Ok(owners.into_iter().map(Partial::Tuples).collect())
    }
}

struct GlobalNode<'a> {
    segment: &'a SegmentView,
    kept_to: Option<Arc<RoaringBitmap>>,
    control: &'a Control,
    needs_scores: bool,
    children: Children<'a>,
}

impl Node for GlobalNode<'_> {
    fn collect(&mut self, _: &Block<'_>) -> Result<(), EngineError> {
        Ok(())
    }

    fn finish(self: Box<Self>, _: usize) -> Result<Vec<Partial>, EngineError> {
        let Self {
            segment,
            kept_to,
            control,
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
        let sub: Aggregations = children.finish(1)?.pop().unwrap_or_default();
        Ok(vec![Partial::Single(Bucket { doc_count, sub })])
    }
}
