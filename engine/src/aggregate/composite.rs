//! `composite`: the first buckets after a key, in the order of keys.
//!
//! A segment keeps the keys of one page and drops what comes later: the first keys of all segments hold the
//! first keys of the whole. Sub-aggregations see the documents some tens of thousands later, so that most keys that
//! were pushed out leave nothing behind.

use std::collections::BTreeMap;

use gleaner_partial::EvaluationError;
use gleaner_partial::control::{Control, Meter, Pace};
use gleaner_partial::key::{ValueFormat, ValueKind};
use gleaner_partial::request::keys::after_key;
use gleaner_partial::tuples::Tuples;
use gleaner_partial::{Aggregations, Bucket, Partial};
use gleaner_query::aggregation::{
    Aggregation, CompositeAggregation, CompositeSource, MissingOrder,
};
use serde_json::Value;
use tantivy::DocId;

use super::BLOCK;
use super::metrics::grow;
use super::node::{Block, Buckets, Node, SegmentContext};
use super::tuples::{Column, FIRST, Gathered, LAST, Part, Side, each_combination};
use super::whole::{Directed, WholeSegment};
use crate::error::EngineError;

/// What a key takes for each of its values, roughly, in bytes.
const PART_BYTES: usize = 96;
/// Documents of the first block that is read along an order; later ones are twice as long.
const LEAST_BLOCK: usize = 64;
/// Documents that may wait for the sub-aggregations when a block begins.
const MOST_WAITING: usize = 65_536;

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
        request,
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
    /// Its bucket, once it has one.
    slot: Option<u32>,
}

impl Kept {
    /// Returns its bucket, which is opened the first time.
    fn open(&mut self, buckets: &mut Buckets<'_>) -> Result<u32, EngineError> {
        if let Some(slot) = self.slot {
            return Ok(slot);
        }
        let slot = buckets.open()?;
        self.slot = Some(slot);
        Ok(slot)
    }
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
            slot: None,
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
    /// Documents that were charged: the most that have waited at once.
    num_charged: usize,
}

impl Waiting {
    fn push(
        &mut self,
        block: &Block<'_>,
        i: usize,
        meter: &mut Meter<'_>,
    ) -> Result<(), EngineError> {
        if self.docs.len() == self.num_charged {
            meter.charge(size_of::<(DocId, u32, f32)>())?;
            self.num_charged += 1;
        }
        self.docs.push(block.docs[i]);
        self.owners.push(block.owners[i]);
        self.scores.extend(block.score(i));
        Ok(())
    }

    fn clear(&mut self) {
        self.docs.clear();
        self.owners.clear();
        self.scores.clear();
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
    request: &'a CompositeAggregation,
    sides: Vec<Side>,
    formats: Vec<ValueFormat>,
    pages: Pages,
    /// `None` without sub-aggregations.
    waiting: Option<Waiting>,
    /// Of keys that were on a page when documents were handed on; those that left it since stay, and stay charged.
    buckets: Buckets<'a>,
    meter: Meter<'a>,
    pace: Pace<&'a Control>,
}

impl CompositeNode<'_> {
    /// Returns the documents of a segment in the direction of the first source; `None` where they are to be read in blocks.
    fn directed<'a>(&self, whole: &WholeSegment<'a>) -> Result<Option<Directed<'a>>, EngineError> {
        let (Some(side), Some(source), None) = (
            self.sides.first(),
            self.request.sources.first(),
            &self.waiting,
        ) else {
            return Ok(None);
        };
        let ordered = side.column.ordered(&source.source.field, whole)?;
        Ok(ordered.map(|ordered| Directed {
            ordered,
            is_descending: side.descending,
        }))
    }

    /// Returns the first part of the key of a document, which has one value there.
    fn first_part(&mut self, doc: DocId) -> Option<Part> {
        let gathered = self.sides.first_mut()?.gather(&[doc]);
        gathered.of(0).first().copied()
    }

    /// Returns whether all keys with such a first part come after a full page.
    fn is_beyond(&self, first: Option<Part>) -> bool {
        let page = self.pages.owners.first();
        let last = page
            .filter(|page| page.len() >= self.pages.size)
            .and_then(BTreeMap::last_key_value);
        last.is_some_and(|(last, _)| first > last.first().copied())
    }

    /// Hands the documents that wait to the sub-aggregations.
    fn hand_on(&mut self) -> Result<(), EngineError> {
        let Some(mut waiting) = self.waiting.take() else {
            return Ok(());
        };
        let replayed = self.replay(&waiting);
        waiting.clear();
        self.waiting = Some(waiting);
        replayed
    }

    /// Hands documents whose keys are still on a page to the sub-aggregations.
    fn replay(&mut self, waiting: &Waiting) -> Result<(), EngineError> {
        let Self {
            sides,
            pages,
            buckets,
            pace,
            ..
        } = self;
        for block in waiting.blocks() {
            let sides = sides.iter_mut();
            let gathered: Vec<Gathered> = sides.map(|side| side.gather(block.docs)).collect();
            for i in 0..block.docs.len() {
                let page = &mut pages.owners[block.owners[i] as usize];
                each_combination(&gathered, i, pace, |parts| {
                    let Some(kept) = page.get_mut(parts) else {
                        return Ok(());
                    };
                    let slot = kept.open(buckets)?;
                    buckets.put(&block, i, slot)
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
        let num_waiting = waiting.as_ref().map_or(0, |waiting| waiting.docs.len());
        match num_waiting >= MOST_WAITING {
            true => self.hand_on(),
            false => Ok(()),
        }
    }

    fn collect_all(&mut self, whole: &WholeSegment<'_>) -> Result<bool, EngineError> {
        let Some(directed) = self.directed(whole)? else {
            return Ok(false);
        };
        let after = self.pages.after.as_ref();
        let after = after.and_then(|after| after.first().copied());
        let mut rank = match after {
            None => 0,
            after => directed.first_rank(|doc| self.first_part(doc) < after),
        };
        let owners = [0; BLOCK];
        let mut most = LEAST_BLOCK.min(BLOCK);
        while rank < directed.len() {
            let first = self.first_part(directed.doc(rank));
            if self.is_beyond(first) {
                break;
            }
            let docs = directed.block(rank, most)?;
            self.collect(&Block {
                docs: &docs,
                owners: &owners[..docs.len()],
                scores: None,
            })?;
            rank += docs.len();
            most = (most * 2).min(BLOCK);
        }
        Ok(true)
    }

    fn finish(mut self: Box<Self>, num_owners: usize) -> Result<Vec<Partial>, EngineError> {
        self.pages.owners.resize_with(num_owners, BTreeMap::new);
        let mut keys = Vec::with_capacity(self.sides.len());
        for (at, side) in self.sides.iter().enumerate() {
            let all = self.pages.owners.iter().flat_map(BTreeMap::keys);
            keys.push(side.keys(all.map(|parts| parts[at]))?);
        }
        if self.waiting.is_some() {
            for kept in self.pages.all_mut() {
                kept.open(&mut self.buckets)?;
            }
            match self.hand_on() {
                // The counts are part of the answer, and what the sub-aggregations have seen in time: it says that it
                // is not whole.
                Err(EngineError::Evaluation(EvaluationError::DeadlineExceeded)) => {
                    self.pace.control().cut_short();
                }
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
                let mut take = |slot: u32| buckets.get_mut(slot as usize).map(std::mem::take);
                let bucket = kept.slot.and_then(&mut take);
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
