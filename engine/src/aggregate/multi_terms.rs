//! `multi_terms`: one bucket per combination of values.

use gleaner_partial::Partial;
use gleaner_partial::control::{Control, Pace};
use gleaner_partial::key::{Key, ValueFormat};
use gleaner_partial::request::keys::missing_key;
use gleaner_partial::tuples::Tuples;
use gleaner_query::aggregation::{Aggregation, MultiTermsAggregation};

use super::node::{Block, Buckets, Node, SegmentContext};
use super::slots::KeyedSlots;
use super::source::Source;
use super::tuples::{Column, FIRST, Gathered, Part, Side, each_combination};
use crate::error::EngineError;

/// What a key takes beside its bucket, for each of its values, roughly, in bytes.
const PART_BYTES: usize = 64;

pub(super) fn build<'a>(
    request: &'a MultiTermsAggregation,
    sub: &'a [Aggregation],
    context: &mut SegmentContext<'a>,
) -> Result<Box<dyn Node + 'a>, EngineError> {
    let key_bytes = request.sources.len() * PART_BYTES;
    let mut node = MultiTermsNode {
        sides: Vec::new(),
        missing: Vec::new(),
        formats: Vec::new(),
        slots: KeyedSlots::with_key_bytes(key_bytes, Buckets::build(sub, context)?),
        pace: Pace::new(context.control),
    };
    for source in &request.sources {
        let opened = Source::open(source, context)?;
        let missing = source.missing.as_ref();
        let missing = missing.map(|value| missing_key(value, &opened.format, context.now_ms));
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
    /// By values.
    slots: KeyedSlots<'a, Vec<Part>>,
    pace: Pace<&'a Control>,
}

impl Node for MultiTermsNode<'_> {
    fn collect(&mut self, block: &Block<'_>) -> Result<(), EngineError> {
        let Self {
            sides, slots, pace, ..
        } = self;
        let sides = sides.iter_mut();
        let gathered: Vec<Gathered> = sides.map(|side| side.gather(block.docs)).collect();
        for i in 0..block.docs.len() {
            each_combination(&gathered, i, pace, |parts| {
                slots.put(block, i, parts.to_vec())
            })?;
        }
        slots.hand_on()
    }

    fn finish(self: Box<Self>, num_owners: usize) -> Result<Vec<Partial>, EngineError> {
        let mut keys = Vec::with_capacity(self.sides.len());
        for (at, side) in self.sides.iter().enumerate() {
            keys.push(side.keys(self.slots.keys().map(|parts| parts[at]))?);
        }
        let mut owners = vec![Tuples::new(self.formats); num_owners];
        for (owner, parts, bucket) in self.slots.finish()? {
            let key = parts.iter().enumerate().map(|(at, part)| {
                let known = keys[at].get(part).cloned().flatten();
                known.or_else(|| self.missing[at].clone())
            });
            // The value that stands for none may also be the value of another document.
            let buckets = &mut owners[owner].buckets;
            buckets.entry(key.collect()).or_default().merge(bucket)?;
        }
        Ok(owners.into_iter().map(Partial::Tuples).collect())
    }
}
