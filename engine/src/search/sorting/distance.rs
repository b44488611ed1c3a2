//! How far the points of a segment's documents are from those that a key names.

use std::sync::Arc;

use gleaner_query::search::{PointDistance, SortKey};
use tantivy::DocId;

use super::field::check_points;
use crate::EngineError;
use crate::control::Control;
use crate::doc_values::PointColumn;
use crate::view::{SegmentView, View};

/// Points of a field in one segment, and what their distances are measured from.
pub(super) struct Distances {
    points: Arc<PointColumn>,
    asked: PointDistance,
}

impl Distances {
    /// Opens the points; `None` where no document of the segment has one.
    ///
    /// # Errors
    /// [`EngineError::Query`] for fields that have no points; read errors.
    pub(super) fn open(
        key: &SortKey,
        asked: &PointDistance,
        view: &View,
        segment: &SegmentView,
    ) -> Result<Option<Self>, EngineError> {
        check_points(key, &asked.field, view.mapping())
            .map_err(|error| EngineError::Query(error.reason))?;
        let Some(handle) = view.field(&asked.field) else {
            return Ok(None);
        };
        // They are decoded once for a segment, so nobody calls that off: others profit.
        let control = Control::unlimited();
        let decoded = segment.decoded();
        let points = decoded.points(segment.reader(), handle, &control)?;
        Ok(points.map(|points| Self {
            points,
            asked: asked.clone(),
        }))
    }

    /// Returns the distances of each point of `doc` from each that the key names, ascending.
    pub(super) fn of(&self, doc: DocId) -> Vec<f64> {
        let mut distances = Vec::new();
        for point in self.points.of_document(doc) {
            let origins = self.asked.origins.iter();
            distances.extend(origins.map(|origin| self.asked.between(origin, &point)));
        }
        distances.sort_by(f64::total_cmp);
        distances
    }
}
