//! All documents of a segment at once, by the order of a column instead of one by one.
//!
//! Does: say where the documents of one bucket begin and end in such an order ([`Ordered`]). Does not: know buckets. Called by
//! aggregations of a query that matches everything, where nothing of the segment is deleted and nothing is below the bucket.

use std::convert::Infallible;
use std::sync::Arc;

use gleaner_partial::control::Control;
use tantivy::DocId;

use crate::EngineError;
use crate::doc_order::DocOrder;
use crate::doc_order::column::OfView;
use crate::doc_values::DocValues;
use crate::view::{SegmentView, View};

/// Runs between two looks at whether the request must stop.
const RUNS_PER_CHECK: usize = 4_096;

/// A segment all of whose documents are collected.
pub(super) struct WholeSegment<'a> {
    pub(super) view: &'a View,
    pub(super) segment: &'a SegmentView,
    pub(super) control: &'a Control,
}

/// The documents of a segment, ascending by a column that has one value for each.
pub(super) struct Ordered<'a> {
    order: Arc<DocOrder>,
    control: &'a Control,
}

/// The documents of a segment, from one end of a column to the other.
pub(super) struct Directed<'a> {
    pub(super) ordered: Ordered<'a>,
    pub(super) is_descending: bool,
}

impl Directed<'_> {
    /// Returns the number of documents.
    pub(super) fn len(&self) -> usize {
        self.ordered.order.len()
    }

    /// Returns the document at `rank`, below [`Self::len`].
    pub(super) fn doc(&self, rank: usize) -> DocId {
        let order = &self.ordered.order;
        order.doc(match self.is_descending {
            true => order.len() - 1 - rank,
            false => rank,
        })
    }

    /// Returns the first rank whose document `is_before` does not hold of; it holds of all before and of none behind.
    pub(super) fn first_rank(&self, mut is_before: impl FnMut(DocId) -> bool) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match is_before(self.doc(middle)) {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        low
    }

    /// Returns up to `most` documents from `rank` on, ascending by number.
    ///
    /// # Errors
    /// When the request must stop.
    pub(super) fn block(&self, rank: usize, most: usize) -> Result<Vec<DocId>, EngineError> {
        self.ordered.control.check()?;
        let ranks = rank..self.len().min(rank + most);
        let mut docs: Vec<DocId> = ranks.map(|rank| self.doc(rank)).collect();
        docs.sort_unstable();
        Ok(docs)
    }
}

impl<'a> WholeSegment<'a> {
    /// Returns the documents in the order of `values`, those of `path`; `None` where there is no such order.
    ///
    /// # Errors
    /// When the column cannot be read.
    pub(super) fn ordered(
        &self,
        path: &str,
        values: &DocValues,
    ) -> Result<Option<Ordered<'a>>, EngineError> {
        let segment = OfView {
            view: self.view,
            segment: self.segment,
        };
        let order = segment.by_column(path, values, self.control.memory())?;
        Ok(order.map(|order| Ordered {
            order,
            control: self.control,
        }))
    }
}

impl Ordered<'_> {
    /// Calls `f` with each key and the first and last document of its run; `key` never falls along the order.
    ///
    /// # Errors
    /// Those of `f`; when the request must stop.
    pub(super) fn runs<K: PartialEq>(
        &self,
        mut key: impl FnMut(DocId) -> K,
        mut f: impl FnMut(K, Run) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let (mut start, mut num_runs) = (0, 0_usize);
        while start < self.order.len() {
            let own = key(self.order.doc(start));
            let mut is_own = |doc| key(doc) == own;
            // In steps that double, as most runs are short.
            let (mut known, mut step) = (start, 1);
            while known + step < self.order.len() && is_own(self.order.doc(known + step)) {
                known += step;
                step *= 2;
            }
            let beyond = self.order.len().min(known + step);
            let is_own = |doc| Ok::<_, Infallible>(is_own(doc));
            let Ok(end) = self.order.partition_point(known + 1..beyond, is_own);
            let run = Run {
                first: self.order.doc(start),
                last: self.order.doc(end - 1),
                len: (end - start) as u64,
            };
            f(own, run)?;
            start = end;
            num_runs += 1;
            if num_runs.is_multiple_of(RUNS_PER_CHECK) {
                self.control.check()?;
            }
        }
        Ok(())
    }

    /// Returns the number of documents for which `is_before` holds: those at the beginning.
    pub(super) fn count_before(&self, is_before: impl Fn(DocId) -> bool) -> u64 {
        let is_before = |doc| Ok::<_, Infallible>(is_before(doc));
        let Ok(end) = self.order.partition_point(0..self.order.len(), is_before);
        end as u64
    }

    /// Returns the number of documents.
    pub(super) fn len(&self) -> u64 {
        self.order.len() as u64
    }
}

/// Documents of one key.
pub(super) struct Run {
    pub(super) first: DocId,
    pub(super) last: DocId,
    /// How many there are, ≥ 1.
    pub(super) len: u64,
}
