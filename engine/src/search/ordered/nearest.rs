//! Hits whose score falls with the distance of a value from an origin (`distance_feature`), found outwards from there.
//!
//! The order of the field's column is begun where the origin stands, and the nearer of its two neighbours is taken each
//! time. What is left is farther away than all that was taken, so it scores no more than the worst of them: once that is less than
//! the last of the best, the search is done. All scores are canonical.
//!
//! Does not: look at several values of a document, at instants of nanoseconds, or at points.

use std::convert::Infallible;
use std::ops::Range;

use tantivy::DocId;
use tantivy::columnar::Column;

use super::Probing;
use crate::EngineError;
use crate::doc_order::DocOrder;
use crate::doc_order::column::OfView;
use crate::doc_values::DocValues;
use crate::search::proximity::Proximity;
use crate::search::rank::Ranker;

/// Documents of an order on both sides of an origin, the nearest first.
struct Outwards<'a> {
    proximity: &'a Proximity<'a>,
    column: &'a Column<i64>,
    order: &'a DocOrder,
    /// Ranks that were taken.
    taken: Range<usize>,
}

impl<'a> Outwards<'a> {
    fn new(proximity: &'a Proximity<'a>, column: &'a Column<i64>, order: &'a DocOrder) -> Self {
        let is_before = |doc| {
            let value = column.first(doc).unwrap_or_default();
            Ok::<_, Infallible>((value as f64) < proximity.origin())
        };
        let Ok(at) = order.partition_point(0..order.len(), is_before);
        Self {
            proximity,
            column,
            order,
            taken: at..at,
        }
    }

    fn share_of(&self, doc: DocId) -> f64 {
        let value = self.column.first(doc).unwrap_or_default();
        self.proximity.share(value)
    }

    /// Returns the share of what comes next, and whether that stands below the origin.
    fn next(&self) -> Option<(f64, bool)> {
        let share = |rank| self.share_of(self.order.doc(rank));
        let below = self.taken.start.checked_sub(1).map(share);
        let above = Some(self.taken.end).filter(|rank| *rank < self.order.len());
        match (below, above.map(share)) {
            (Some(below), Some(above)) => Some((below.max(above), below >= above)),
            (Some(below), None) => Some((below, true)),
            (None, above) => above.map(|above| (above, false)),
        }
    }

    /// Takes up to `wanted` documents.
    fn take(&mut self, wanted: usize) -> Vec<DocId> {
        let mut docs = Vec::with_capacity(wanted);
        while docs.len() < wanted
            && let Some((_, is_below)) = self.next()
        {
            if is_below {
                self.taken.start -= 1;
                docs.push(self.order.doc(self.taken.start));
            } else {
                docs.push(self.order.doc(self.taken.end));
                self.taken.end += 1;
            }
        }
        docs
    }
}

impl Probing<'_, '_> {
    /// Finds the best by how near they are; returns whether it did.
    pub(super) fn by_proximity(&mut self, proximity: &Proximity<'_>) -> Result<bool, EngineError> {
        let (request, shard, segment) = (self.request, self.shard, self.segment);
        let view = &shard.target.view;
        let path = proximity.field().as_str();
        let values = DocValues::of_path(view, segment, path)?;
        let Some(values @ DocValues::Date(column)) = &values else {
            return Ok(false);
        };
        let of_view = OfView { view, segment };
        let Some(order) = of_view.by_column(path, values, Some(request.env.memory))? else {
            return Ok(false);
        };
        let mut outwards = Outwards::new(proximity, column, &order);
        // They enter together: where this is given up, the walk finds them again.
        let mut found: Vec<(f32, DocId)> = Vec::new();
        let mut outcome = Ok(());
        while outwards.next().is_some() && !self.is_beyond(&mut found) {
            if self.left == 0 {
                return Ok(false);
            }
            let docs = outwards.take(self.next_batch());
            if let Err(stop) = self.score_matching(docs, &mut found) {
                outcome = Err(stop);
                break;
            }
        }
        let ranker = Ranker::new(request, shard, segment);
        for (score, doc) in found {
            ranker.enter(doc, score)?;
        }
        outcome.map(|()| true)
    }

    /// Returns whether what is farther away than all that were found cannot be among the best. It scores as the worst of them at
    /// most: each step from a distance to a score keeps order, rounding too.
    fn is_beyond(&self, found: &mut [(f32, DocId)]) -> bool {
        let worst = found.iter().map(|(score, _)| *score).reduce(f32::min);
        let reach = last_of_best(found, self.request.query.top).max(self.request.top.reach());
        worst.is_some_and(|worst| worst < reach)
    }

    /// Adds the documents that match, with their scores.
    fn score_matching(
        &self,
        docs: Vec<DocId>,
        found: &mut Vec<(f32, DocId)>,
    ) -> Result<(), EngineError> {
        let mut ranker = Ranker::new(self.request, self.shard, self.segment);
        for doc in self.matching(docs)? {
            found.push((ranker.score(doc)?, doc));
        }
        Ok(())
    }
}

/// Returns the score of the last of the `top` best; −∞ while there are fewer.
fn last_of_best(found: &mut [(f32, DocId)], top: usize) -> f32 {
    if found.len() < top || top == 0 {
        return f32::NEG_INFINITY;
    }
    let (_, last, _) = found.select_nth_unstable_by(top - 1, |a, b| b.0.total_cmp(&a.0));
    last.0
}
