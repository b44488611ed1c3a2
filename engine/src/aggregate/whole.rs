//! All matches of a segment at once, by the order of a column instead of one by one.
//!
//! Does: say where the documents of one bucket begin and end in such an order ([`Ordered`]). Does not: know buckets. Called by
//! aggregations of a query that matches everything, or a range of the same column, where nothing of the segment is deleted and nothing
//! is below the bucket.

use std::convert::Infallible;
use std::ops::Range;
use std::sync::Arc;

use gleaner_partial::control::Control;
use tantivy::DocId;

use crate::EngineError;
use crate::doc_order::DocOrder;
use crate::doc_order::column::{OfView, Ranked};
use crate::doc_values::DocValues;
use crate::view::{SegmentView, View};

/// Runs between two looks at whether the request must stop.
const RUNS_PER_CHECK: usize = 4_096;

/// A segment whose matches are collected at once.
pub(super) struct WholeSegment<'a> {
    pub(super) view: &'a View,
    pub(super) segment: &'a SegmentView,
    pub(super) control: &'a Control,
    /// What matches; `None` where all documents do.
    pub(super) within: Option<Ranked>,
}

/// The matches of a segment, ascending by a column that has one value for each document.
pub(super) struct Ordered<'a> {
    order: Arc<DocOrder>,
    /// Where they stand.
    ranks: Range<usize>,
    control: &'a Control,
}

/// The matches of a segment, from one end of a column to the other.
pub(super) struct Directed<'a> {
    pub(super) ordered: Ordered<'a>,
    pub(super) is_descending: bool,
}

impl Directed<'_> {
    /// Returns the number of documents.
    pub(super) fn len(&self) -> usize {
        self.ordered.ranks.len()
    }

    /// Returns the document at `rank`, below [`Self::len`].
    pub(super) fn doc(&self, rank: usize) -> DocId {
        let Ordered { order, ranks, .. } = &self.ordered;
        order.doc(if self.is_descending {
            ranks.end - 1 - rank
        } else {
            ranks.start + rank
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
    /// Returns how many documents match.
    pub(super) fn num_matches(&self) -> u64 {
        match &self.within {
            None => u64::from(self.segment.reader().max_doc()),
            Some(within) => within.len() as u64,
        }
    }

    /// Returns whether all documents match.
    pub(super) fn is_all(&self) -> bool {
        self.within.is_none()
    }

    /// Returns the matches in the order of `values`, those of `path`; `None` where there is no such order, and where they do not
    /// stand side by side in it.
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
        let Some(order) = segment.by_column(path, values, self.control.memory())? else {
            return Ok(None);
        };
        let ranks = match &self.within {
            None => Some(0..order.len()),
            Some(within) => within.ranks_in(&order),
        };
        Ok(ranks.map(|ranks| Ordered {
            order,
            ranks,
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
        let (mut start, mut num_runs) = (self.ranks.start, 0_usize);
        while start < self.ranks.end {
            let own = key(self.order.doc(start));
            let mut is_own = |doc| key(doc) == own;
            // In steps that double, as most runs are short.
            let (mut known, mut step) = (start, 1);
            while known + step < self.ranks.end && is_own(self.order.doc(known + step)) {
                known += step;
                step *= 2;
            }
            let beyond = self.ranks.end.min(known + step);
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
        let Ok(end) = self.order.partition_point(self.ranks.clone(), is_before);
        (end - self.ranks.start) as u64
    }

    /// Returns the number of documents.
    pub(super) fn len(&self) -> u64 {
        self.ranks.len() as u64
    }
}

/// Documents of one key.
pub(super) struct Run {
    pub(super) first: DocId,
    pub(super) last: DocId,
    /// How many there are, ≥ 1.
    pub(super) len: u64,
}
