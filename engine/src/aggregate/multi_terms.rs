//! `multi_terms`: one bucket per combination of values.

use gleaner_query::aggregation::{Aggregation, MultiTermsAggregation};
use hashbrown::HashMap;

use super::node::{Block, Buckets, Children, Node, SegmentContext};
use super::source::Source;
use super::term_keys::parse_key;
use super::tuples::{Column, FIRST, Gathered, Part, Side, each_combination};
use crate::error::EngineError;
use crate::partial::Partial;
use crate::partial::key::{Key, ValueFormat};
use crate::partial::tuples::Tuples;

/// What a key takes beside its bucket, for each of its values, roughly, in bytes.
const PART_BYTES: usize = 64;

pub(super) fn build<'a>(
    request: &'a MultiTermsAggregation,
    sub: &'a [Aggregation],
    context: &mut SegmentContext<'a>,
) -> Result<Box<dyn Node + 'a>, EngineError> {
    let mut node = MultiTermsNode {
        sides: Vec::new(),
        missing: Vec::new(),
        formats: Vec::new(),
        slots: HashMap::new(),
        buckets: Buckets::new(Children::build_many(sub, context)?, context),
    };
    for source in &request.sources {
        let opened = Source::open(source, context)?;
        let missing = source.missing.as_ref();
        let missing = missing.map(|value| parse_key(value, &opened.format, context.now_ms));
        node.missing.push(missing.transpose()?);
        node.sides.push(Side {
            column: Column::of_values(opened.values),
            missing: source.missing.is_some().then_some(FIRST),
            descending: false,
        });
        node.formats.push(opened.format);
    }
    Ok(Box::new(node))
}

struct MultiTermsNode<'a> {
    sides: Vec<Side>,
    /// Per source, the key of documents without a value.
    missing: Vec<Option<Key>>,
    formats: Vec<ValueFormat>,
    /// Bucket of each (owner, values).
    slots: HashMap<(u32, Vec<Part>), u32>,
    buckets: Buckets<'a>,
}

impl MultiTermsNode<'_> {
    fn slot(&mut self, owner: u32, parts: &[Part]) -> Result<u32, EngineError> {
        let place = (owner, parts.to_vec());
        if let Some(slot) = self.slots.get(&place) {
            return Ok(*slot);
        }
        self.buckets.meter().charge(parts.len() * PART_BYTES)?;
        let slot = self.buckets.open()?;
        self.slots.insert(place, slot);
        Ok(slot)
    }
}

impl Node for MultiTermsNode<'_> {
    fn collect(&mut self, block: &Block<'_>) -> Result<(), EngineError> {
        let sides = self.sides.iter_mut();
        let gathered: Vec<Gathered> = sides.map(|side| side.gather(block.docs)).collect();
        for i in 0..block.docs.len() {
            each_combination(&gathered, i, |parts| {
                let slot = self.slot(block.owners[i], parts)?;
                self.buckets.put(block, i, slot);
                Ok(())
            })?;
        }
        self.buckets.hand_on()
    }

    fn finish(self: Box<Self>, num_owners: usize) -> Result<Vec<Partial>, EngineError> {
        let mut keys = Vec::with_capacity(self.sides.len());
        for (at, side) in self.sides.iter().enumerate() {
            keys.push(side.keys(self.slots.keys().map(|(_, parts)| parts[at]))?);
        }
        let mut owners = vec![Tuples::new(self.formats); num_owners];
        let mut buckets = self.buckets.finish()?;
        for ((owner, parts), slot) in self.slots {
            let key = parts.iter().enumerate().map(|(at, part)| {
                let known = keys[at].get(part).cloned().flatten();
                known.or_else(|| self.missing[at].clone())
            });
            // The value that stands for none may also be the value of another document.
            let bucket = std::mem::take(&mut buckets[slot as usize]);
            let buckets = &mut owners[owner as usize].buckets;
            buckets.entry(key.collect()).or_default().merge(bucket)?;
        }
        Ok(owners.into_iter().map(Partial::Tuples).collect())
    }
}
