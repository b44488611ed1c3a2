//! Values of a field in one segment, block by block.

use std::fmt::Debug;
use std::net::Ipv6Addr;

use gleaner_partial::key::{ValueFormat, ValueKind};
use gleaner_partial::request::bounds;
use gleaner_partial::request::formats::{check_numeric, format, typed};
use gleaner_query::aggregation::ValueSource;
use tantivy::DocId;
use tantivy::columnar::{Cardinality, Column};

use super::node::SegmentContext;
use super::whole::{Ordered, WholeSegment};
use crate::doc_values::DocValues;
use crate::error::EngineError;
use crate::view::{SegmentView, View};

/// A field as an aggregation reads it.
pub(crate) struct Source {
    /// Type and format of its values.
    pub(crate) format: ValueFormat,
    /// The column; `None` where no document of the segment has a value.
    pub(crate) values: Option<DocValues>,
}

impl Source {
    /// Opens the field of a request.
    pub(super) fn open(
        source: &ValueSource,
        context: &SegmentContext<'_>,
    ) -> Result<Self, EngineError> {
        let pattern = source.format.as_deref();
        let opened = Self::of_segment(&source.field, pattern, context.view, context.segment)?;
        Ok(Self {
            format: typed(opened.format, source)?,
            ..opened
        })
    }

    /// Opens a field; `pattern` is the request's format.
    pub(crate) fn of_segment(
        path: &str,
        pattern: Option<&str>,
        view: &View,
        segment: &SegmentView,
    ) -> Result<Self, EngineError> {
        let format = format(view.mapping(), path, pattern)?;
        let values = DocValues::of_path(view, segment, path)?;
        // Aggregations count milliseconds of all dates, as in Elasticsearch (`NanoSecondFieldData`).
        let values = values.map(DocValues::in_millis);
        Ok(Self { format, values })
    }
}

/// Numbers of a field: dates as milliseconds, booleans as 0 and 1.
pub(super) struct Numbers {
    field: String,
    values: Option<DocValues>,
    missing: Option<f64>,
}

impl Numbers {
    /// Opens the numbers of a request's field; `what` names the aggregation in refusals.
    pub(super) fn open(
        source: &ValueSource,
        what: &str,
        context: &SegmentContext<'_>,
    ) -> Result<(Self, ValueFormat), EngineError> {
        Self::open_in(None, source, what, context)
    }

    /// As [`Numbers::open`], where a date that stands for missing values is one of `zone`.
    pub(super) fn open_in(
        zone: Option<&str>,
        source: &ValueSource,
        what: &str,
        context: &SegmentContext<'_>,
    ) -> Result<(Self, ValueFormat), EngineError> {
        let opened = Source::open(source, context)?;
        check_numeric(&opened.format, &source.field, what)?;
        let is_unmapped = opened.format.kind == ValueKind::Unmapped;
        let is_date = is_unmapped && what.starts_with("date_");
        let described = ValueFormat {
            kind: if is_date {
                ValueKind::Date
            } else {
                opened.format.kind
            },
            time_zone: zone.map(str::to_owned),
            ..opened.format.clone()
        };
        let read = |value| bounds::missing(value, &described, context.now_ms);
        let missing = match source.missing.as_ref().map(read).transpose() {
            // It may need the format of a field that is unknown here.
            Err(_) if is_unmapped && !is_date => None,
            read => read?,
        };
        Ok((
            Self {
                field: source.field.clone(),
                values: opened.values,
                missing,
            },
            opened.format,
        ))
    }

    /// Calls `f` with the place in `docs` and each value, ascending per document.
    pub(super) fn visit(&self, docs: &[DocId], mut f: impl FnMut(usize, f64)) {
        let missing = self.missing;
        match &self.values {
            None => {
                if let Some(value) = missing {
                    (0..docs.len()).for_each(|i| f(i, value));
                }
            }
            Some(
                DocValues::I64(column) | DocValues::Date(column) | DocValues::DateNanos(column),
            ) => {
                visit(column, docs, missing, |i, value: Either<i64>| {
                    f(i, value.number(|v| v as f64));
                });
            }
            Some(DocValues::U64(column)) => {
                visit(column, docs, missing, |i, value: Either<u64>| {
                    f(i, value.number(|v| v as f64));
                });
            }
            Some(DocValues::F64(column)) => {
                visit(column, docs, missing, |i, value: Either<f64>| {
                    f(i, value.number(|v| v));
                });
            }
            Some(DocValues::Bool(column)) => {
                visit(column, docs, missing, |i, value: Either<bool>| {
                    f(i, value.number(|v| f64::from(u8::from(v))));
                });
            }
            Some(DocValues::Ip(_) | DocValues::Terms(_)) => {}
        }
    }

    /// Returns the documents of a segment in the order of these numbers; `None` where there is no such order.
    ///
    /// # Errors
    /// When the column cannot be read.
    pub(super) fn ordered<'a>(
        &self,
        whole: &WholeSegment<'a>,
    ) -> Result<Option<Ordered<'a>>, EngineError> {
        match &self.values {
            Some(DocValues::Terms(_)) | None => Ok(None),
            Some(values) => whole.ordered(&self.field, values),
        }
    }

    /// Returns whether each document of the segment has a number.
    pub(super) fn is_given(&self) -> bool {
        match &self.values {
            Some(DocValues::I64(c) | DocValues::Date(c) | DocValues::DateNanos(c)) => {
                c.get_cardinality() == Cardinality::Full
            }
            Some(DocValues::U64(c)) => c.get_cardinality() == Cardinality::Full,
            Some(DocValues::F64(c)) => c.get_cardinality() == Cardinality::Full,
            _ => false,
        }
    }

    /// Returns the number of a document, where it has one.
    pub(super) fn of(&self, doc: DocId) -> f64 {
        let mut number = f64::NAN;
        self.visit(&[doc], |_, value| number = value);
        number
    }

    /// Returns the smallest and the largest value there may be.
    pub(super) fn extent(&self) -> Option<(f64, f64)> {
        let (min, max) = match self.values.as_ref()? {
            DocValues::I64(c) | DocValues::Date(c) | DocValues::DateNanos(c) => {
                (c.min_value() as f64, c.max_value() as f64)
            }
            DocValues::U64(c) => (c.min_value() as f64, c.max_value() as f64),
            DocValues::F64(c) => (c.min_value(), c.max_value()),
            _ => return None,
        };
        Some((min, max))
    }
}

/// A value of the column, or the one that stands for none.
enum Either<T> {
    Value(T),
    Missing(f64),
}

impl<T> Either<T> {
    fn number(self, convert: impl FnOnce(T) -> f64) -> f64 {
        match self {
            Self::Value(value) => convert(value),
            Self::Missing(number) => number,
        }
    }
}

fn visit<T>(
    column: &Column<T>,
    docs: &[DocId],
    missing: Option<f64>,
    mut f: impl FnMut(usize, Either<T>),
) where
    T: PartialOrd + Copy + Debug + Send + Sync + 'static,
{
    visit_column(column, docs, |i, value| match (value, missing) {
        (Some(value), _) => f(i, Either::Value(value)),
        (None, Some(number)) => f(i, Either::Missing(number)),
        (None, None) => {}
    });
}

/// Calls `f` with the place in `docs` and each value of the document, or once with `None` where it
/// has no value.
pub(super) fn visit_column<T>(
    column: &Column<T>,
    docs: &[DocId],
    mut f: impl FnMut(usize, Option<T>),
) where
    T: PartialOrd + Copy + Debug + Send + Sync + 'static,
{
    if column.get_cardinality() == Cardinality::Multivalued {
        for (i, doc) in docs.iter().enumerate() {
            let mut values = column.values_for_doc(*doc);
            f(i, values.next());
            values.for_each(|value| f(i, Some(value)));
        }
        return;
    }
    let mut values = vec![None; docs.len()];
    column.first_vals(docs, &mut values);
    values
        .into_iter()
        .enumerate()
        .for_each(|(i, value)| f(i, value));
}

/// Returns an address as a number, in the order of addresses.
pub(crate) fn ip_number(address: Ipv6Addr) -> u128 {
    u128::from(address)
}
