//! `composite`: the first buckets after a key, in the order of keys.
//!
//! A segment keeps the buckets of one page and drops what comes later: the first keys of all segments hold the
//! first keys of the whole.

use std::collections::BTreeMap;

use gleaner_query::aggregation::{
    Aggregation, CompositeAggregation, CompositeSource, MissingOrder,
};
use serde_json::Value;

use super::node::{Block, Buckets, Children, Node, SegmentContext};
use super::tuples::{Column, FIRST, Gathered, LAST, Part, Side, after_key, each_combination};
use crate::error::EngineError;
use crate::partial::key::{ValueFormat, ValueKind};
use crate::partial::tuples::Tuples;
use crate::partial::{Bucket, Partial};

/// What a key takes beside its bucket, for each of its values, roughly, in bytes.
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
    let after = after.map(|after| start(request, after, (&sides, &formats, context.now_ms)));
    Ok(Box::new(CompositeNode {
        size: request.size,
        after: after.transpose()?,
        sides,
        formats,
        owners: Vec::new(),
        buckets: Buckets::new(Children::build_many(sub, context)?, context),
    }))
}

/// Where documents without a value stand: as if they had the smallest, unless it is said.
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
    (sides, formats, now_ms): (&[Side], &[ValueFormat], i64),
) -> Result<Vec<Part>, EngineError> {
    let mut parts = Vec::with_capacity(sides.len());
    for (at, (source, value)) in request.sources.iter().zip(after).enumerate() {
        if value.is_null() {
            parts.push(missing_part(source));
            continue;
        }
        let (side, format) = (&sides[at], &formats[at]);
        let number = match after_key(source, value, (format, now_ms)) {
            // The segment has no values that could stand before or after it.
            Err(_) if format.kind == ValueKind::Unmapped => 0,
            key => side.column.number(&key?)?,
        };
        parts.push(side.part(number));
    }
    Ok(parts)
}

struct CompositeNode<'a> {
    size: usize,
    after: Option<Vec<Part>>,
    sides: Vec<Side>,
    formats: Vec<ValueFormat>,
    /// Per owner, the buckets of the first keys.
    owners: Vec<BTreeMap<Vec<Part>, u32>>,
    buckets: Buckets<'a>,
}

impl CompositeNode<'_> {
    /// Returns the bucket of a key; `None` where it is not of the page.
    fn slot(&mut self, owner: usize, parts: &[Part]) -> Result<Option<u32>, EngineError> {
        if self.after.as_deref().is_some_and(|after| parts <= after) {
            return Ok(None);
        }
        let page = &mut self.owners[owner];
        if let Some(slot) = page.get(parts) {
            return Ok(Some(*slot));
        }
        let is_full = page.len() >= self.size;
        let is_later = page
            .last_key_value()
            .is_some_and(|(last, _)| *parts > last[..]);
        if is_full && is_later {
            return Ok(None);
        }
        self.buckets.meter().charge(parts.len() * PART_BYTES)?;
        let slot = self.buckets.open()?;
        page.insert(parts.to_vec(), slot);
        if page.len() > self.size {
            page.pop_last();
        }
        Ok(Some(slot))
    }
}

impl Node for CompositeNode<'_> {
    fn collect(&mut self, block: &Block<'_>) -> Result<(), EngineError> {
        let num_owners = block
            .owners
            .iter()
            .max()
            .map_or(0, |owner| *owner as usize + 1);
        if self.owners.len() < num_owners {
            self.owners.resize_with(num_owners, BTreeMap::new);
        }
        let sides = self.sides.iter_mut();
        let gathered: Vec<Gathered> = sides.map(|side| side.gather(block.docs)).collect();
        for i in 0..block.docs.len() {
            each_combination(&gathered, i, |parts| {
                if let Some(slot) = self.slot(block.owners[i] as usize, parts)? {
                    self.buckets.put(block, i, slot);
                }
                Ok(())
            })?;
        }
        self.buckets.hand_on()
    }

    fn finish(mut self: Box<Self>, num_owners: usize) -> Result<Vec<Partial>, EngineError> {
        self.owners.resize_with(num_owners, BTreeMap::new);
        let mut keys = Vec::with_capacity(self.sides.len());
        for (at, side) in self.sides.iter().enumerate() {
            let all = self.owners.iter().flat_map(BTreeMap::keys);
            keys.push(side.keys(all.map(|parts| parts[at]))?);
        }
        let mut buckets = self.buckets.finish()?;
        let mut partials = Vec::with_capacity(num_owners);
        for page in self.owners {
            let mut tuples = Tuples::new(self.formats.clone());
            for (parts, slot) in page {
                let pairs = parts.iter().zip(&keys);
                let key = pairs.map(|(part, keys)| keys.get(part).cloned().flatten());
                let bucket: Bucket = std::mem::take(&mut buckets[slot as usize]);
                tuples.buckets.insert(key.collect(), bucket);
            }
            partials.push(Partial::Tuples(tuples));
        }
        Ok(partials)
    }
}
