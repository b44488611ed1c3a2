//! `auto_date_histogram`: buckets of the finest unit that is fine enough.
//!
//! A segment begins with the least unit and goes on to a coarser one when it has more buckets than the answer can
//! have of it; which unit the answer is in, all of them decide together ([`gleaner_partial::dates`]). A document
//! counts once for each of its dates, to the least unit: so buckets of fine units add up to those of coarse ones,
//! in any layout.

use gleaner_partial::Partial;
use gleaner_partial::dates::{Dates, NUM_UNITS, most_buckets, rounding};
use gleaner_partial::key::ValueFormat;
use gleaner_partial::request::rounding::Rounding;
use gleaner_query::aggregation::{Aggregation, AutoDateAggregation};
use hashbrown::HashMap;

use super::node::{Block, Buckets, Node, SegmentContext};
use super::source::Numbers;
use crate::error::EngineError;

pub(super) fn build<'a>(
    request: &'a AutoDateAggregation,
    sub: &'a [Aggregation],
    context: &mut SegmentContext<'a>,
) -> Result<Box<dyn Node + 'a>, EngineError> {
    let zone = request.time_zone.as_deref();
    let (numbers, mut format) = Numbers::open_in(zone, &request.source, "date_histogram", context)?;
    format.time_zone.clone_from(&request.time_zone);
    let units = (0..NUM_UNITS).map(|unit| rounding(unit, zone));
    Ok(Box::new(AutoDateNode {
        numbers,
        format,
        request,
        units: units.collect::<Result<_, _>>()?,
        owners: Vec::new(),
        buckets: Buckets::build(sub, context)?,
    }))
}

struct AutoDateNode<'a> {
    numbers: Numbers,
    format: ValueFormat,
    request: &'a AutoDateAggregation,
    units: Vec<Rounding>,
    owners: Vec<Owner>,
    buckets: Buckets<'a>,
}

/// The buckets of an owner.
#[derive(Clone)]
struct Owner {
    unit: u8,
    /// Bucket of each start of the unit.
    slots: HashMap<i64, u32>,
    /// Buckets of finer units, which belong to those that they are in.
    finer: Vec<(i64, u32)>,
    extent: Option<(i64, i64)>,
}

impl Owner {
    fn new(unit: u8) -> Self {
        Self {
            unit,
            slots: HashMap::new(),
            finer: Vec::new(),
            extent: None,
        }
    }

    /// Goes on to the next unit.
    fn coarsen(&mut self, units: &[Rounding]) {
        self.unit += 1;
        let unit = &units[usize::from(self.unit)];
        for (start, slot) in std::mem::take(&mut self.slots) {
            if let Some(other) = self.slots.insert(unit.round(start), slot) {
                self.finer.push((start, other));
            }
        }
    }

    fn note(&mut self, ms: i64) {
        let (min, max) = self.extent.unwrap_or((ms, ms));
        self.extent = Some((min.min(ms), max.max(ms)));
    }
}

impl AutoDateNode<'_> {
    fn slot(&mut self, owner: usize, ms: i64) -> Result<u32, EngineError> {
        let owner = &mut self.owners[owner];
        owner.note(ms);
        loop {
            let start = self.units[usize::from(owner.unit)].round(ms);
            if let Some(slot) = owner.slots.get(&start) {
                return Ok(*slot);
            }
            let is_last = owner.unit + 1 == NUM_UNITS;
            if is_last || owner.slots.len() < most_buckets(owner.unit, self.request.buckets) {
                let slot = self.buckets.open()?;
                owner.slots.insert(start, slot);
                return Ok(slot);
            }
            owner.coarsen(&self.units);
        }
    }
}

impl Node for AutoDateNode<'_> {
    fn collect(&mut self, block: &Block<'_>) -> Result<(), EngineError> {
        let num_owners = block.num_owners();
        if self.owners.len() < num_owners {
            let new = Owner::new(self.request.minimum_unit);
            self.owners.resize(num_owners, new);
        }
        let least = &self.units[usize::from(self.request.minimum_unit)];
        let mut found: Vec<(usize, i64)> = Vec::with_capacity(block.docs.len());
        let mut last = None;
        self.numbers.visit(block.docs, |i, value| {
            let ms = value as i64;
            // Values ascend per document: those of one bucket of the least unit follow one another.
            let is_again = matches!(last, Some((at, before)) if at == i && least.round(before) == least.round(ms));
            if !is_again {
                found.push((i, ms));
            }
            last = Some((i, ms));
        });
        for (i, ms) in found {
            let slot = self.slot(block.owners[i] as usize, ms)?;
            self.buckets.put(block, i, slot)?;
        }
        self.buckets.hand_on()
    }

    fn finish(mut self: Box<Self>, num_owners: usize) -> Result<Vec<Partial>, EngineError> {
        let new = Owner::new(self.request.minimum_unit);
        self.owners.resize(num_owners, new);
        let mut buckets = self.buckets.finish()?;
        let mut partials = Vec::with_capacity(num_owners);
        for owner in self.owners {
            let mut dates = Dates {
                format: self.format.clone(),
                unit: owner.unit,
                extent: owner.extent,
                ..Dates::default()
            };
            let unit = &self.units[usize::from(owner.unit)];
            for (start, slot) in owner.slots.into_iter().chain(owner.finer) {
                let bucket = std::mem::take(&mut buckets[slot as usize]);
                let bucket_of_unit = dates.buckets.entry(unit.round(start)).or_default();
                bucket_of_unit.merge(bucket)?;
            }
            partials.push(Partial::Dates(dates));
        }
        Ok(partials)
    }
}
