//! `filter`, `filters`, `missing`, `global`: buckets by set of documents.

use std::sync::Arc;

use gleaner_query::aggregation::Aggregation;
use roaring::RoaringBitmap;
use tantivy::DocId;

use super::node::{Block, Buckets, Children, Node, SegmentContext};
use super::source::Source;
use super::{BLOCK, needs_scores};
use crate::control::Control;
use crate::doc_values::DocValues;
use crate::error::EngineError;
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

/// `missing`: documents without a value.
pub(super) fn build_missing<'a>(
    field: &'a str,
    sub: &'a [Aggregation],
    context: &mut SegmentContext<'a>,
) -> Result<Box<dyn Node + 'a>, EngineError> {
    let source = Source::of_segment(field, None, (context.view, context.segment))?;
    single(Membership::Without(source.values), sub, context)
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
    let mut filters = Vec::with_capacity(num_filters);
    for _ in 0..num_filters {
        let clause = context.next_filter()?;
        filters.push(
            context
                .documents
                .documents(context.view, context.segment, clause)?,
        );
    }
    let buckets = Buckets::new(Children::build_many(sub, context)?, context);
    Ok(Box::new(FiltersNode {
        filters,
        has_other,
        buckets,
    }))
}

/// `global`: all live documents that may be seen, whatever matches.
pub(super) fn build_global<'a>(
    sub: &'a [Aggregation],
    context: &mut SegmentContext<'a>,
) -> Result<Box<dyn Node + 'a>, EngineError> {
    let kept_to = context.global.map(|clause| {
        let documents = context.documents;
        documents.documents(context.view, context.segment, clause)
    });
    Ok(Box::new(GlobalNode {
        segment: context.segment,
        kept_to: kept_to.transpose()?,
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
