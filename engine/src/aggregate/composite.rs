//! `composite`: the first buckets after a key, in the order of keys.
//!
//! A segment keeps the keys of one page and drops what comes later: the first keys of all segments hold the
//! first keys of the whole. Sub-aggregations see the documents once the page is known, so that a key that was
//! pushed out leaves nothing behind.

use std::collections::BTreeMap;

use gleaner_query::aggregation::{
    Aggregation, CompositeAggregation, CompositeSource, MissingOrder,
};
use serde_json::Value;
use tantivy::DocId;

use super::BLOCK;
use super::metrics::grow;
use super::node::{Block, Buckets, Node, SegmentContext};
use super::tuples::{Column, FIRST, Gathered, LAST, Part, Side, after_key, each_combination};
use crate::control::{Control, Meter, Pace};
use crate::error::EngineError;
use crate::partial::key::{ValueFormat, ValueKind};
use crate::partial::tuples::Tuples;
use crate::partial::{Aggregations, Bucket, Partial};

/// What a key takes for each of its values, roughly, in bytes.
const PART_BYTES: usize = 96;

pub(super) fn build<'a>(
    request: &'a CompositeAggregation,
    sub: &'a [Aggregation],
    context: &mut SegmentContext<'a>,
) -> Result<Box<dyn Node + 'a>, EngineError> {
    let mut sides = Vec::with_capacity(request.sources.len());
    let mut formats = Vec::with_capacity(request.sources.len());
    for source in &request.sources {
        let (column, format) = Column::of_source(source, context)?;
        sides.push(Side {
            column,
            missing: source.missing_bucket.then(|| missing_part(source)),
            descending: source.descending,
        });
        formats.push(format);
    }
    let after = request.after.as_deref();
    let after = after.map(|after| start(request, after, &sides, &formats, context.now_ms));
    Ok(Box::new(CompositeNode {
        pages: Pages {
            size: request.size,
            after: after.transpose()?,
            owners: Vec::new(),
        },
        sides,
        formats,
        waiting: (!sub.is_empty()).then(Waiting::default),
        buckets: Buckets::build(sub, context)?,
        meter: context.ledger.meter(),
        pace: Pace::new(context.control),
    }))
}

/// Returns the place of documents without a value: that of the smallest value, unless the source names another.
fn missing_part(source: &CompositeSource) -> Part {
    match (source.missing_order, source.descending) {
        (MissingOrder::First, _) | (MissingOrder::Default, false) => FIRST,
        (MissingOrder::Last, _) | (MissingOrder::Default, true) => LAST,
    }
}

/// Reads the key after which a page begins.
fn start(
    request: &CompositeAggregation,
    after: &[Value],
    sides: &[Side],
    formats: &[ValueFormat],
    now_ms: i64,
) -> Result<Vec<Part>, EngineError> {
    let mut parts = Vec::with_capacity(sides.len());
    for (at, (source, value)) in request.sources.iter().zip(after).enumerate() {
        if value.is_null() {
            parts.push(missing_part(source));
            continue;
        }
        let (side, format) = (&sides[at], &formats[at]);
        let number = match after_key(source, value, format, now_ms) {
            // The segment has no values that could stand before or after it.
            Err(_) if format.kind == ValueKind::Unmapped => 0,
            key => side.column.number(&key?)?,
        };
        parts.push(side.part(number));
    }
    Ok(parts)
}

/// The first keys of each owner.
struct Pages {
    /// Keys of a page.
    size: usize,
    after: Option<Vec<Part>>,
    owners: Vec<BTreeMap<Vec<Part>, Kept>>,
}

/// A key on a page.
struct Kept {
    doc_count: u64,
    /// Its bucket, once the page is known.
    slot: u32,
}

impl Pages {
    /// Counts a document of a key; returns whether the key is on the page so far. A key that was pushed out does
    /// not come back, as the last key of a page only becomes smaller.
    fn count(
        &mut self,
        owner: usize,
        parts: &[Part],
        meter: &mut Meter<'_>,
    ) -> Result<bool, EngineError> {
        if self.after.as_deref().is_some_and(|after| parts <= after) {
            return Ok(false);
        }
        let page = &mut self.owners[owner];
        if let Some(kept) = page.get_mut(parts) {
            kept.doc_count += 1;
            return Ok(true);
        }
        if page.len() < self.size {
            meter.charge(parts.len() * PART_BYTES)?;
        } else {
            let last = page.last_key_value();
            if last.is_none_or(|(last, _)| *parts > last[..]) {
                return Ok(false);
            }
            page.pop_last();
        }
        let kept = Kept {
            doc_count: 1,
            slot: 0,
        };
        page.insert(parts.to_vec(), kept);
        Ok(true)
    }

    fn all_mut(&mut self) -> impl Iterator<Item = &mut Kept> {
        self.owners.iter_mut().flat_map(BTreeMap::values_mut)
    }
}

/// Documents that were on a page when they came, for the sub-aggregations.
#[derive(Default)]
struct Waiting {
    docs: Vec<DocId>,
    owners: Vec<u32>,
    scores: Vec<f32>,
}

impl Waiting {
    fn push(
        &mut self,
        block: &Block<'_>,
        i: usize,
        meter: &mut Meter<'_>,
    ) -> Result<(), EngineError> {
        meter.charge(size_of::<(DocId, u32, f32)>())?;
        self.docs.push(block.docs[i]);
        self.owners.push(block.owners[i]);
        self.scores.extend(block.score(i));
        Ok(())
    }

    fn blocks(&self) -> impl Iterator<Item = Block<'_>> {
        let starts = (0..self.docs.len()).step_by(BLOCK);
        starts.map(|start| {
            let places = start..self.docs.len().min(start + BLOCK);
            Block {
                docs: &self.docs[places.clone()],
                owners: &self.owners[places.clone()],
                scores: self.scores.get(places),
            }
        })
    }
}

struct CompositeNode<'a> {
    sides: Vec<Side>,
    formats: Vec<ValueFormat>,
    pages: Pages,
    /// `None` without sub-aggregations.
    waiting: Option<Waiting>,
    /// Opened once the pages are known.
    buckets: Buckets<'a>,
    meter: Meter<'a>,
    pace: Pace<&'a Control>,
}

impl CompositeNode<'_> {
    /// Hands the documents of the pages to the sub-aggregations.
    fn replay(&mut self, waiting: &Waiting) -> Result<(), EngineError> {
        let Self {
            sides,
            pages,
            buckets,
            pace,
            ..
        } = self;
        for kept in pages.all_mut() {
            kept.slot = buckets.open()?;
        }
        for block in waiting.blocks() {
            let sides = sides.iter_mut();
            let gathered: Vec<Gathered> = sides.map(|side| side.gather(block.docs)).collect();
            for i in 0..block.docs.len() {
                let page = &pages.owners[block.owners[i] as usize];
                each_combination(&gathered, i, pace, |parts| match page.get(parts) {
                    Some(kept) => buckets.put(&block, i, kept.slot),
                    None => Ok(()),
                })?;
            }
            buckets.hand_on()?;
        }
        Ok(())
    }
}

impl Node for CompositeNode<'_> {
    fn collect(&mut self, block: &Block<'_>) -> Result<(), EngineError> {
        let Self {
            sides,
            pages,
            waiting,
            meter,
            pace,
            ..
        } = self;
        grow(&mut pages.owners, block, meter, BTreeMap::new)?;
        let sides = sides.iter_mut();
        let gathered: Vec<Gathered> = sides.map(|side| side.gather(block.docs)).collect();
        for i in 0..block.docs.len() {
            let owner = block.owners[i] as usize;
            let mut is_on_page = false;
            each_combination(&gathered, i, pace, |parts| {
                is_on_page |= pages.count(owner, parts, meter)?;
                Ok(())
            })?;
            if let Some(waiting) = waiting.as_mut().filter(|_| is_on_page) {
                waiting.push(block, i, meter)?;
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>, num_owners: usize) -> Result<Vec<Partial>, EngineError> {
        self.pages.owners.resize_with(num_owners, BTreeMap::new);
        let mut keys = Vec::with_capacity(self.sides.len());
        for (at, side) in self.sides.iter().enumerate() {
            let all = self.pages.owners.iter().flat_map(BTreeMap::keys);
            keys.push(side.keys(all.map(|parts| parts[at]))?);
        }
        if let Some(waiting) = self.waiting.take() {
            match self.replay(&waiting) {
                // The counts are part of the answer, and what the sub-aggregations have seen in time.
                Err(EngineError::DeadlineExceeded) => {}
                replayed => replayed?,
            }
        }
        let mut buckets = self.buckets.finish()?;
        let mut partials = Vec::with_capacity(num_owners);
        for page in self.pages.owners {
            let mut tuples = Tuples::new(self.formats.clone());
            for (parts, kept) in page {
                let pairs = parts.iter().zip(&keys);
                let key = pairs.map(|(part, keys)| keys.get(part).cloned().flatten());
                let bucket = buckets.get_mut(kept.slot as usize).map(std::mem::take);
                let sub: Aggregations = bucket.unwrap_or_default().sub;
                let doc_count = kept.doc_count;
                tuples
                    .buckets
                    .insert(key.collect(), Bucket { doc_count, sub });
            }
            partials.push(Partial::Tuples(tuples));
        }
        Ok(partials)
    }
}
