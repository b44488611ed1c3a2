//! How far the points of a segment's documents are from those that a key names.

use std::sync::Arc;

use gleaner_partial::control::{Control, MemoryAccount, Pace, Reservation};
use gleaner_partial::sorting::check_points;
use gleaner_query::search::{PointDistance, SortKey, SortMode};
use tantivy::DocId;

use super::mode;
use crate::EngineError;
use crate::doc_values::PointColumn;
use crate::view::{SegmentView, View};

/// Distances of a document of which all must be kept, for a mean or a median.
const MOST_DISTANCES: usize = 1 << 20;

/// Points of a field in one segment, and what their distances are measured from.
pub(super) struct Distances {
    points: Arc<PointColumn>,
    asked: PointDistance,
    /// What the points take.
    _held: Option<Reservation>,
}

impl Distances {
    /// Opens the points; `None` where no document of the segment has one.
    ///
    /// # Errors
    /// `EvaluationError::Query` for fields that have no points; `EvaluationError::CircuitBreaking` when they take too
    /// much memory; read errors.
    pub(super) fn open(
        key: &SortKey,
        asked: &PointDistance,
        view: &View,
        segment: &SegmentView,
        memory: &Arc<MemoryAccount>,
    ) -> Result<Option<Self>, EngineError> {
        check_points(key, &asked.field, view.mapping())
            .map_err(|error| EngineError::query(error.reason))?;
        let Some(handle) = view.field(&asked.field) else {
            return Ok(None);
        };
        let mut held = None;
        let decoded = segment.decoded();
        let points = decoded.points(segment.reader(), handle, |bytes| {
            held = Some(memory.reserve(bytes as u64)?);
            Ok(())
        })?;
        Ok(points.map(|points| Self {
            points,
            asked: asked.clone(),
            _held: held,
        }))
    }

    /// Returns the one of the distances of each point of `doc` from each that the key names that counts.
    ///
    /// # Errors
    /// `EvaluationError::Query` where there are too many for a median or a sum; when the request must stop.
    pub(super) fn chosen(
        &self,
        mode: SortMode,
        doc: DocId,
        control: &Control,
    ) -> Result<Option<f64>, EngineError> {
        match mode {
            SortMode::Min => self.reduced(doc, control, f64::min),
            SortMode::Max => self.reduced(doc, control, f64::max),
            SortMode::Sum | SortMode::Avg | SortMode::Median => {
                let mut distances = Vec::new();
                self.each(doc, control, |distance| {
                    if distances.len() == MOST_DISTANCES {
                        return Err(EngineError::query(format!(
                            "[_geo_distance] of mode [avg] or [median] takes at most [{MOST_DISTANCES}] distances \
                             of a document"
                        )));
                    }
                    distances.push(distance);
                    Ok(())
                })?;
                // The same sum whatever the order of points.
                distances.sort_by(f64::total_cmp);
                Ok(mode::fraction(mode, distances.into_iter()))
            }
        }
    }

    fn reduced(
        &self,
        doc: DocId,
        control: &Control,
        of: impl Fn(f64, f64) -> f64,
    ) -> Result<Option<f64>, EngineError> {
        let mut chosen: Option<f64> = None;
        self.each(doc, control, |distance| {
            chosen = Some(chosen.map_or(distance, |other| of(other, distance)));
            Ok(())
        })?;
        Ok(chosen)
    }

    /// Calls `f` with each distance, in the order of points.
    fn each(
        &self,
        doc: DocId,
        control: &Control,
        mut f: impl FnMut(f64) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let mut pace = Pace::new(control);
        for point in self.points.of_document(doc) {
            for origin in &self.asked.origins {
                pace.step(1)?;
                f(self.asked.between(origin, &point))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use gleaner_partial::EvaluationError;
    use gleaner_query::search::SortTarget;
    use serde_json::json;

    use super::*;
    use crate::aggregate::testing::{Index, Layout, mapping};
    use crate::view::View;

    /// Returns the points of one document, half a degree apart on the equator, from `num_origins` at its start.
    fn distances(view: &View, num_origins: usize, memory: u64) -> Result<Distances, EngineError> {
        let sort = json!([{"_geo_distance": {"place": [0, 0]}}]);
        let keys = gleaner_query::search::parse_sort(&sort).expect("a good sort");
        let SortTarget::Distance(asked) = &keys[0].target else {
            panic!("not a distance: {keys:?}");
        };
        let origins = vec![asked.origins[0]; num_origins];
        let asked = PointDistance {
            origins,
            ..asked.clone()
        };
        let memory = MemoryAccount::root("request", memory);
        let opened = Distances::open(&keys[0], &asked, view, &view.segments()[0], &memory);
        Ok(opened?.expect("there are points"))
    }

    #[test]
    fn many_distances_are_refused_or_called_off_and_paid_for() {
        let layout = Layout {
            shards: 1,
            segments: 1,
            has_deletes: false,
        };
        let mapping = mapping(&json!({"place": {"type": "geo_point"}}));
        let points: Vec<_> = (0..200).map(|i| json!([f64::from(i) / 2.0, 0])).collect();
        let documents = vec![("d".to_owned(), json!({"place": points}))];
        let view = Index::new(&mapping, &documents, layout).views().remove(0);
        let control = Control::unlimited();
        let few = distances(&view, 1, 1 << 20).expect("there is memory");
        let of = |mode| few.chosen(mode, 0, &control).expect("not too many");
        let (min, max, avg) = (of(SortMode::Min), of(SortMode::Max), of(SortMode::Avg));
        assert_eq!(min, Some(0.0));
        let half = max.expect("a distance") / 2.0;
        assert!(avg.is_some_and(|avg| (avg - half).abs() < 1.0), "{avg:?}");

        let many = distances(&view, MOST_DISTANCES / 100, 1 << 20).expect("there is memory");
        let refused = many.chosen(SortMode::Median, 0, &control);
        assert!(
            matches!(
                refused,
                Err(EngineError::Evaluation(EvaluationError::Query(_)))
            ),
            "{refused:?}"
        );
        assert_eq!(many.chosen(SortMode::Max, 0, &control).ok(), Some(max));
        control.cancel();
        let stopped = many.chosen(SortMode::Max, 0, &control);
        assert!(
            matches!(
                stopped,
                Err(EngineError::Evaluation(EvaluationError::Cancelled))
            ),
            "{stopped:?}"
        );
        let refused = distances(&view, 1, 100).err();
        assert!(
            matches!(
                refused,
                Some(EngineError::Evaluation(
                    EvaluationError::CircuitBreaking { .. }
                ))
            ),
            "{refused:?}"
        );
    }
}
