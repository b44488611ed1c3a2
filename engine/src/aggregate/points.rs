//! Points of a field in one segment.

use std::sync::Arc;

use gleaner_partial::request::formats;
use gleaner_query::encoded::GeoPoint;
use tantivy::DocId;

use super::node::SegmentContext;
use super::source::visit_column;
use crate::doc_values::PointColumn;
use crate::error::EngineError;

/// The points of a field in a segment; `None` where there are none.
pub(super) struct Points(Option<Arc<PointColumn>>);

impl Points {
    /// Opens the points of a field, which is one of points or of nothing.
    ///
    /// # Errors
    /// When they cannot be read, or take too much memory.
    pub(super) fn open(field: &str, context: &SegmentContext<'_>) -> Result<Self, EngineError> {
        formats::check_points(context.view.mapping(), field, "geo")?;
        let Some(handle) = context.view.field(field) else {
            return Ok(Self(None));
        };
        let segment = context.segment;
        let decoded = segment.decoded();
        let mut meter = context.ledger.meter();
        let points = decoded.points(segment.reader(), handle, |bytes| Ok(meter.charge(bytes)?))?;
        Ok(Self(points))
    }

    /// Calls `f` with the place in `docs` and each point.
    pub(super) fn visit(&self, docs: &[DocId], mut f: impl FnMut(usize, GeoPoint)) {
        let Some(points) = &self.0 else {
            return;
        };
        visit_column(points.ords(), docs, |i, ord: Option<u64>| {
            let point = ord.and_then(|ord| points.value(ord));
            point.into_iter().for_each(|point| f(i, point));
        });
    }
}
