//! `geohash_grid`, `geotile_grid`, `geo_bounds`, `geo_centroid`.

use gleaner_partial::cells::Cells;
use gleaner_partial::control::Meter;
use gleaner_partial::extent::GeoExtent;
use gleaner_partial::key::Key;
use gleaner_partial::{Histogram, Partial};
use gleaner_query::aggregation::{Aggregation, GeoGridAggregation};

use super::metrics::grow;
use super::node::{Block, Buckets, Node, SegmentContext};
use super::points::Points;
use super::slots::KeyedSlots;
use crate::error::EngineError;

/// Grids.
pub(super) fn build_grid<'a>(
    request: &'a GeoGridAggregation,
    sub: &'a [Aggregation],
    context: &mut SegmentContext<'a>,
) -> Result<Box<dyn Node + 'a>, EngineError> {
    Ok(Box::new(GridNode {
        points: Points::open(&request.field, context)?,
        cells: Cells::new(request.grid, request.bounds.as_ref()),
        slots: KeyedSlots::new(Buckets::build(sub, context)?),
    }))
}

struct GridNode<'a> {
    points: Points,
    cells: Cells,
    /// By cell.
    slots: KeyedSlots<'a, i64>,
}

impl Node for GridNode<'_> {
    fn collect(&mut self, block: &Block<'_>) -> Result<(), EngineError> {
        let cells = &self.cells;
        let mut found = Vec::with_capacity(block.docs.len());
        self.points.visit(block.docs, |i, point| {
            found.extend(cells.of(point).map(|cell| (i, cell)));
        });
        // Cells of a document are in no order, and count once.
        found.sort_unstable();
        found.dedup();
        for (i, cell) in found {
            self.slots.put(block, i, cell)?;
        }
        self.slots.hand_on()
    }

    fn finish(self: Box<Self>, num_owners: usize) -> Result<Vec<Partial>, EngineError> {
        let mut owners = vec![Histogram::default(); num_owners];
        for (owner, cell, bucket) in self.slots.finish()? {
            owners[owner].buckets.insert(Key::I64(cell), bucket);
        }
        Ok(owners.into_iter().map(Partial::Histogram).collect())
    }
}

/// Boxes and middles.
pub(super) fn build_extent<'a>(
    field: &str,
    context: &mut SegmentContext<'a>,
) -> Result<Box<dyn Node + 'a>, EngineError> {
    Ok(Box::new(ExtentNode {
        points: Points::open(field, context)?,
        owners: Vec::new(),
        meter: context.ledger.meter(),
    }))
}

struct ExtentNode<'a> {
    points: Points,
    owners: Vec<GeoExtent>,
    meter: Meter<'a>,
}

impl Node for ExtentNode<'_> {
    fn collect(&mut self, block: &Block<'_>) -> Result<(), EngineError> {
        grow(&mut self.owners, block, &mut self.meter, GeoExtent::default)?;
        let owners = &mut self.owners;
        self.points.visit(block.docs, |i, point| {
            owners[block.owners[i] as usize].add(point);
        });
        Ok(())
    }

    fn finish(mut self: Box<Self>, num_owners: usize) -> Result<Vec<Partial>, EngineError> {
        self.owners.resize_with(num_owners, GeoExtent::default);
        Ok(self.owners.into_iter().map(Partial::Extent).collect())
    }
}
