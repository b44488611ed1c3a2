//! Orders by a column that has one number of each document, and the part of one that a range is.

use std::convert::Infallible;
use std::ops::{Bound, Range, RangeBounds as _};
use std::sync::Arc;

use gleaner_model::FieldKind;
use gleaner_partial::control::MemoryAccount;
use gleaner_partial::sorting::Kind;
use gleaner_query::resolved::{Clause, Scalar};
use tantivy::columnar::Cardinality;
use tantivy::{DocId, f64_to_u64, i64_to_u64};

use super::{DocOrder, FEW_DOCUMENTS, OrderKey};
use crate::EngineError;
use crate::doc_values::DocValues;
use crate::view::{SegmentView, View};

/// Numbers of an order between which values lie.
pub(crate) type Interval = (Bound<u64>, Bound<u64>);

/// Where numbers begin.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    NotBelow,
    Above,
}

/// A segment, and the view that it is of.
#[derive(Clone, Copy)]
pub(crate) struct OfView<'a> {
    pub(crate) view: &'a View,
    pub(crate) segment: &'a SegmentView,
}

impl OfView<'_> {
    /// Returns the documents in the order of `values`, those of `path`; `None` where there is no such order.
    ///
    /// # Errors
    /// When the column cannot be read.
    pub(crate) fn by_column(
        self,
        path: &str,
        values: &DocValues,
        memory: Option<&Arc<MemoryAccount>>,
    ) -> Result<Option<Arc<DocOrder>>, EngineError> {
        let Some(key) = self.key_of(path, values)? else {
            return Ok(None);
        };
        let num_documents = self.segment.reader().max_doc();
        let keys = || {
            let keys = (0..num_documents).map(|doc| number(values, doc));
            Ok::<_, EngineError>(Some(keys.collect()))
        };
        let (orders, hashes) = (self.segment.orders(), &**self.segment.id_hashes());
        orders.get(&key, hashes, memory, keys)
    }

    /// Returns the documents that a range matches, where an order has them side by side; `None` for other clauses, and where
    /// there is no such order.
    ///
    /// # Errors
    /// When the column cannot be read.
    pub(crate) fn of_range(
        self,
        clause: &Clause,
        memory: Option<&Arc<MemoryAccount>>,
    ) -> Result<Option<Ranked>, EngineError> {
        let Clause::Range {
            field,
            lower,
            upper,
        } = clause
        else {
            return Ok(None);
        };
        if self.segment.reader().max_doc() < FEW_DOCUMENTS {
            return Ok(None);
        }
        let Some(values) = DocValues::of_path(self.view, self.segment, field.as_str())? else {
            return Ok(None);
        };
        let kind = described(&values).map(|(kind, _)| kind);
        let bound = |bound: &Bound<Scalar>| kind.and_then(|kind| number_of_bound(kind, bound));
        let (Some(lower), Some(upper)) = (bound(lower), bound(upper)) else {
            return Ok(None);
        };
        let Some(key) = self.key_of(field.as_str(), &values)? else {
            return Ok(None);
        };
        let is_date = matches!(values, DocValues::Date(_));
        if !is_date && !self.segment.orders().pays_for_ranges(&key) {
            return Ok(None);
        }
        let Some(order) = self.by_column(field.as_str(), &values, memory)? else {
            return Ok(None);
        };
        let interval = (lower, upper);
        let Ok(ranks) = narrow(0..order.len(), interval, |among, border, side| {
            order.partition_point(among, |doc| {
                let own = number(&values, doc);
                Ok::<_, Infallible>(own < border || (side == Side::Above && own == border))
            })
        });
        Ok(Some(Ranked {
            order,
            ranks,
            values,
            interval,
        }))
    }

    /// Returns what names the order by `values`; `None` where none is kept.
    fn key_of(self, path: &str, values: &DocValues) -> Result<Option<OrderKey>, EngineError> {
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
        if is_nanos || self.segment.reader().max_doc() < FEW_DOCUMENTS {
            return Ok(None);
        }
        Ok(Some(OrderKey::Column {
            name: handle.name.clone(),
            kind,
            is_narrow: false,
            is_nanos: false,
            mode: None,
            missing: None,
        }))
    }
}

/// Documents that stand side by side in an order, as their values lie in an interval.
pub(crate) struct Ranked {
    order: Arc<DocOrder>,
    ranks: Range<usize>,
    values: DocValues,
    interval: Interval,
}

impl Ranked {
    /// Returns how many there are, deleted ones included.
    pub(crate) fn len(&self) -> usize {
        self.ranks.len()
    }

    /// Returns the documents, ascending by value.
    pub(crate) fn docs(&self) -> impl ExactSizeIterator<Item = DocId> {
        self.ranks.clone().map(|rank| self.order.doc(rank))
    }

    /// Returns where they stand in `order`; `None` where that is another one than theirs.
    pub(crate) fn ranks_in(&self, order: &Arc<DocOrder>) -> Option<Range<usize>> {
        Arc::ptr_eq(&self.order, order).then(|| self.ranks.clone())
    }

    /// Returns whether a document of the segment is among them.
    pub(crate) fn holds(&self, doc: DocId) -> bool {
        self.interval.contains(&number(&self.values, doc))
    }
}

/// Returns what a column holds, and how many values a document has; `None` where no order is made of it.
fn described(values: &DocValues) -> Option<(Kind, Cardinality)> {
    let kind = match values {
        DocValues::I64(_) | DocValues::Date(_) => Kind::Whole,
        DocValues::U64(_) => Kind::Unsigned,
        DocValues::F64(_) => Kind::Fraction,
        DocValues::Terms(_) => Kind::Text,
        DocValues::Bool(_) | DocValues::DateNanos(_) | DocValues::Ip(_) => return None,
    };
    Some((kind, values.cardinality()))
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

/// Returns the number at which a bound stands among those of `kind`; `None` where it is a value of another kind.
pub(crate) fn number_of_bound(kind: Kind, bound: &Bound<Scalar>) -> Option<Bound<u64>> {
    let of = |value: &Scalar| match (kind, value) {
        (Kind::Whole, Scalar::I64(value) | Scalar::Date(value)) => Some(i64_to_u64(*value)),
        (Kind::Unsigned, Scalar::U64(value)) => Some(*value),
        (Kind::Fraction, Scalar::F64(value)) => Some(f64_to_u64(*value)),
        _ => None,
    };
    Some(match bound {
        Bound::Included(value) => Bound::Included(of(value)?),
        Bound::Excluded(value) => Bound::Excluded(of(value)?),
        Bound::Unbounded => Bound::Unbounded,
    })
}

/// Narrows `ranks` to an interval; `first` returns the first of some ranks whose number is not below a value, or above it.
pub(crate) fn narrow<E>(
    ranks: Range<usize>,
    (lower, upper): Interval,
    first: impl Fn(Range<usize>, u64, Side) -> Result<usize, E>,
) -> Result<Range<usize>, E> {
    let start = match lower {
        Bound::Unbounded => ranks.start,
        Bound::Included(number) => first(ranks.clone(), number, Side::NotBelow)?,
        Bound::Excluded(number) => first(ranks.clone(), number, Side::Above)?,
    };
    let end = match upper {
        Bound::Unbounded => ranks.end,
        Bound::Included(number) => first(start..ranks.end, number, Side::Above)?,
        Bound::Excluded(number) => first(start..ranks.end, number, Side::NotBelow)?,
    };
    Ok(start..end)
}
