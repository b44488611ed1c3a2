//! All documents of a segment at once, by the order of a column instead of one by one.
//!
//! Does: say where the documents of one bucket begin and end in such an order ([`Ordered`]). Does not: know buckets. Called by
//! aggregations of a query that matches everything, where nothing of the segment is deleted and nothing is below the bucket.

use std::convert::Infallible;
use std::sync::Arc;

use gleaner_model::FieldKind;
use gleaner_partial::control::Control;
use gleaner_partial::sorting::Kind;
use tantivy::columnar::Cardinality;
use tantivy::{DocId, f64_to_u64, i64_to_u64};

use crate::EngineError;
use crate::doc_order::{DocOrder, FEW_DOCUMENTS, OrderKey};
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
        let num_documents = self.segment.reader().max_doc();
        let is_constant = self.view.constant(path)?.is_some();
        let handle = self.view.values(path).filter(|_| !is_constant);
        let (Some(handle), Some((kind, Cardinality::Full))) = (handle, described(values)) else {
            return Ok(None);
        };
        let is_nanos = match handle.kind {
            FieldKind::Date { resolution, .. } => resolution.is_nanos(),
            _ => false,
        };
        // Those are read as milliseconds.
        if is_nanos || num_documents < FEW_DOCUMENTS {
            return Ok(None);
        }
        let key = OrderKey::Column {
            name: handle.name.clone(),
            kind,
            is_narrow: false,
            is_nanos: false,
            mode: None,
            missing: None,
        };
        let keys = || {
            let keys = (0..num_documents).map(|doc| number(values, doc));
            Ok::<_, EngineError>(Some(keys.collect()))
        };
        let (orders, hashes) = (self.segment.orders(), &**self.segment.id_hashes());
        let order = orders.get(&key, hashes, self.control.memory(), keys)?;
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

/// Returns what a column holds, and how many values a document has; `None` where no order is made of it.
fn described(values: &DocValues) -> Option<(Kind, Cardinality)> {
    Some(match values {
        DocValues::I64(column) | DocValues::Date(column) => (Kind::Whole, column.get_cardinality()),
        DocValues::U64(column) => (Kind::Unsigned, column.get_cardinality()),
        DocValues::F64(column) => (Kind::Fraction, column.get_cardinality()),
        DocValues::Terms(column) => (Kind::Text, column.ords().get_cardinality()),
        DocValues::Bool(_) | DocValues::DateNanos(_) | DocValues::Ip(_) => return None,
    })
}

/// Returns a number that orders like the value of a document, of which it has one.
fn number(values: &DocValues, doc: DocId) -> u64 {
    match values {
        DocValues::I64(column) | DocValues::Date(column) | DocValues::DateNanos(column) => {
            i64_to_u64(column.values.get_val(doc))
        }
        DocValues::U64(column) => column.values.get_val(doc),
        DocValues::F64(column) => f64_to_u64(column.values.get_val(doc)),
        DocValues::Bool(column) => column.values.get_val(doc).into(),
        DocValues::Terms(column) => column.ords().values.get_val(doc),
        DocValues::Ip(_) => 0,
    }
}
