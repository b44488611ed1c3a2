//! Values of a field by document, for sorting, aggregating and fetching.

mod constant;
mod decoded;
mod scaled;

use std::net::Ipv6Addr;

use gleaner_model::{FieldKind, NumberKind};
use tantivy::SegmentReader;
use tantivy::columnar::{Cardinality, Column, StrColumn};

pub(crate) use self::constant::ConstantColumns;
pub(crate) use self::decoded::{DecodedColumns, PointColumn, RangeColumn};
use crate::{EngineError, SegmentView, View, schema::FieldHandle, schema::names};

/// The column of a field in one segment.
///
/// Several values of a document stand in ascending order; numbers as often as they were given, equal
/// terms once. Ordinals of terms follow the order of their bytes, within the segment.
#[derive(Clone)]
pub enum DocValues {
    /// `long`, `integer`, `short`, `byte`.
    I64(Column<i64>),
    /// `unsigned_long`.
    U64(Column<u64>),
    /// `double`, `float`, `half_float`, `scaled_float`.
    F64(Column<f64>),
    /// `boolean`.
    Bool(Column<bool>),
    /// `date`: milliseconds since the epoch.
    Date(Column<i64>),
    /// `date_nanos`: nanoseconds since the epoch.
    DateNanos(Column<i64>),
    /// `ip`, as IPv6.
    Ip(Column<Ipv6Addr>),
    /// `keyword`.
    Terms(StrColumn),
}

impl DocValues {
    /// Opens the values at `path` in a segment of `view`; `None` when no document of the segment has a value. Of a
    /// constant every document has its value, whatever the segment holds. Of `_id` there are hashes, one of each
    /// document, which tell ids apart but not what they are.
    ///
    /// # Errors
    /// When the column cannot be read.
    pub(crate) fn of_path(
        view: &View,
        segment: &SegmentView,
        path: &str,
    ) -> Result<Option<Self>, EngineError> {
        if let Some(column) = view.constant(path)? {
            return Ok(Some(Self::Terms(column)));
        }
        if path == names::ID {
            let hashes = segment.reader().fast_fields().column_opt(names::ID_HASH)?;
            return Ok(hashes.map(Self::U64));
        }
        match view.values(path) {
            Some(handle) => Self::open(segment, &handle),
            None => Ok(None),
        }
    }

    /// Opens the terms that stand for the values of the field at `path`, points or ranges; `None` when no document of
    /// the segment has a value.
    ///
    /// # Errors
    /// When the column cannot be read.
    pub(crate) fn of_terms(
        view: &View,
        segment: &SegmentView,
        path: &str,
    ) -> Result<Option<Self>, EngineError> {
        let Some(handle) = view.field(path) else {
            return Ok(None);
        };
        let column = segment.reader().fast_fields().str(handle.name.as_str())?;
        Ok(column.map(Self::Terms))
    }

    /// Opens the column of `handle` in `segment`; `None` when no document of the segment has a
    /// value or the field keeps no doc values.
    ///
    /// # Errors
    /// When the column cannot be read.
    pub fn open(segment: &SegmentView, handle: &FieldHandle) -> Result<Option<Self>, EngineError> {
        Self::open_in(segment.reader(), handle)
    }

    /// As [`DocValues::open`], of a segment that is open.
    pub(crate) fn open_in(
        reader: &SegmentReader,
        handle: &FieldHandle,
    ) -> Result<Option<Self>, EngineError> {
        let fast = reader.fast_fields();
        let name = handle.name.as_str();
        Ok(match &handle.kind {
            kind if !kind.has_doc_values() => None,
            FieldKind::Keyword { .. } => fast.str(name)?.map(Self::Terms),
            FieldKind::Boolean { .. } => fast.column_opt(name)?.map(Self::Bool),
            FieldKind::Date { resolution, .. } => {
                let column = fast.column_opt(name)?;
                match resolution.is_nanos() {
                    true => column.map(Self::DateNanos),
                    false => column.map(Self::Date),
                }
            }
            FieldKind::Ip { .. } => fast.column_opt(name)?.map(Self::Ip),
            FieldKind::Number { number, .. } => match number {
                NumberKind::UnsignedLong => fast.column_opt(name)?.map(Self::U64),
                number if number.is_integral() => fast.column_opt(name)?.map(Self::I64),
                _ => fast.column_opt(name)?.map(Self::F64),
            },
            FieldKind::Text { .. }
            | FieldKind::Object { .. }
            | FieldKind::Encoded { .. }
            | FieldKind::Alias { .. }
            | FieldKind::Completion
            | FieldKind::Binary { .. } => None,
        })
    }

    /// Returns the values as they are, but all instants in milliseconds.
    pub(crate) fn in_millis(self) -> Self {
        match self {
            Self::DateNanos(column) => Self::Date(scaled::in_millis(column)),
            other => other,
        }
    }

    /// Returns the values as they are, but all instants in nanoseconds; what 64 bits do not hold, before 1677 and after
    /// 2262, as the first or the last.
    pub(crate) fn in_nanos(self) -> Self {
        match self {
            Self::Date(column) => Self::DateNanos(scaled::in_nanos(column)),
            other => other,
        }
    }

    /// Returns how many values a document of the segment may have.
    pub(crate) fn cardinality(&self) -> Cardinality {
        match self {
            Self::I64(column) | Self::Date(column) | Self::DateNanos(column) => {
                column.get_cardinality()
            }
            Self::U64(column) => column.get_cardinality(),
            Self::F64(column) => column.get_cardinality(),
            Self::Bool(column) => column.get_cardinality(),
            Self::Ip(column) => column.get_cardinality(),
            Self::Terms(column) => column.ords().get_cardinality(),
        }
    }

    /// Returns the number of values of `doc`.
    pub fn num_values(&self, doc: u32) -> usize {
        match self {
            Self::I64(column) | Self::Date(column) | Self::DateNanos(column) => {
                column.index.value_row_ids(doc).len()
            }
            Self::U64(column) => column.index.value_row_ids(doc).len(),
            Self::F64(column) => column.index.value_row_ids(doc).len(),
            Self::Bool(column) => column.index.value_row_ids(doc).len(),
            Self::Ip(column) => column.index.value_row_ids(doc).len(),
            Self::Terms(column) => column.ords().index.value_row_ids(doc).len(),
        }
    }
}
