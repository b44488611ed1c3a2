//! Values of a field in one segment, block by block.

use std::fmt::Debug;
use std::net::Ipv6Addr;

use gleaner_model::{FieldKind, Mapping};
use gleaner_query::aggregation::{ValueSource, ValueType};
use tantivy::DocId;
use tantivy::columnar::{Cardinality, Column};

use super::bounds;
use super::node::SegmentContext;
use crate::doc_values::DocValues;
use crate::error::EngineError;
use crate::partial::key::{ValueFormat, ValueKind};
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
        let values = match view.values(path) {
            Some(handle) => DocValues::open(segment, &handle)?,
            None => None,
        };
        Ok(Self { format, values })
    }
}

/// Returns how values of a field are shown; `pattern` is the request's format.
///
/// # Errors
/// [`EngineError::Query`] for fields without doc values and for patterns that no dates are written by.
pub(super) fn format(
    mapping: &Mapping,
    path: &str,
    pattern: Option<&str>,
) -> Result<ValueFormat, EngineError> {
    match mapping.field(path) {
        None => Ok(ValueFormat {
            pattern: pattern.map(str::to_owned),
            ..ValueFormat::default()
        }),
        Some(field) => {
            check_aggregatable(path, &field.kind)?;
            let format = format_of(&field.kind, pattern);
            if format.kind == ValueKind::Date && pattern.is_some() {
                bounds::formatter(pattern)?;
            }
            Ok(format)
        }
    }
}

/// Returns how values of a request's field are shown.
///
/// # Errors
/// Those of [`format`].
pub(super) fn format_of_source(
    mapping: &Mapping,
    source: &ValueSource,
) -> Result<ValueFormat, EngineError> {
    let format = format(mapping, &source.field, source.format.as_deref())?;
    typed(format, source)
}

/// Gives the values of a field that is unknown here the type that the request names: they are what
/// stands for missing ones. Without that there are none, and they keep no type.
fn typed(format: ValueFormat, source: &ValueSource) -> Result<ValueFormat, EngineError> {
    let (ValueKind::Unmapped, Some(_), Some(named)) =
        (format.kind, &source.missing, source.value_type)
    else {
        return Ok(format);
    };
    let kind = match named {
        ValueType::Text => ValueKind::Keyword,
        ValueType::Long => ValueKind::Long,
        ValueType::Double => ValueKind::Double,
        ValueType::Boolean => ValueKind::Boolean,
        ValueType::Date => ValueKind::Date,
        ValueType::Ip => ValueKind::Ip,
    };
    if kind == ValueKind::Date {
        bounds::formatter(format.pattern.as_deref())?;
    }
    Ok(ValueFormat { kind, ..format })
}

/// Refuses fields without numbers; `what` names the aggregation.
pub(super) fn check_numeric(
    format: &ValueFormat,
    path: &str,
    what: &str,
) -> Result<(), EngineError> {
    let name = match format.kind {
        ValueKind::Keyword => "keyword",
        ValueKind::Ip => "ip",
        _ => return Ok(()),
    };
    Err(EngineError::Query(format!(
        "Field [{path}] of type [{name}] is not supported for aggregation [{what}]"
    )))
}

/// Numbers of a field: dates as milliseconds, booleans as 0 and 1.
pub(super) struct Numbers {
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
            Some(DocValues::I64(column) | DocValues::Date(column)) => {
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

    /// Returns the smallest and the largest value there may be.
    pub(super) fn extent(&self) -> Option<(f64, f64)> {
        let (min, max) = match self.values.as_ref()? {
            DocValues::I64(c) | DocValues::Date(c) => (c.min_value() as f64, c.max_value() as f64),
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

fn format_of(kind: &FieldKind, pattern: Option<&str>) -> ValueFormat {
    let pattern = pattern.map(str::to_owned);
    let (kind, pattern) = match kind {
        FieldKind::Keyword { .. }
        | FieldKind::Text { .. }
        | FieldKind::Object { .. }
        | FieldKind::Encoded { .. }
        | FieldKind::Alias { .. }
        | FieldKind::Completion
        | FieldKind::Binary { .. } => (ValueKind::Keyword, pattern),
        FieldKind::Ip { .. } => (ValueKind::Ip, pattern),
        FieldKind::Boolean { .. } => (ValueKind::Boolean, None),
        FieldKind::Date { format, .. } => {
            (ValueKind::Date, pattern.or_else(|| Some(format.0.clone())))
        }
        FieldKind::Number { number, .. } => match number {
            gleaner_model::NumberKind::UnsignedLong => (ValueKind::UnsignedLong, pattern),
            number if number.is_integral() => (ValueKind::Long, pattern),
            _ => (ValueKind::Double, pattern),
        },
    };
    ValueFormat {
        kind,
        pattern,
        time_zone: None,
    }
}

/// Why text has no column, in Elasticsearch's words.
pub(crate) const NO_FIELDDATA: &str = "Text fields are not optimised for operations that require per-document field \
     data like aggregations and sorting, so these operations are disabled by default. Please use a keyword field \
     instead.";

fn check_aggregatable(path: &str, kind: &FieldKind) -> Result<(), EngineError> {
    if is_rank_feature(kind) {
        return Err(EngineError::Query(format!(
            "[{}] fields do not support sorting, scripting or aggregating: [{path}] is one",
            kind.type_name()
        )));
    }
    if kind.has_column() {
        return Ok(());
    }
    Err(EngineError::Query(match kind {
        FieldKind::Text { .. } => format!(
            "Fielddata is disabled on [{path}] in [text] fields. {NO_FIELDDATA} Alternatively, set fielddata=true on \
             [{path}] in the mapping of a new index."
        ),
        FieldKind::Object { .. } => {
            format!("Field [{path}] of type [object] is not supported for aggregations")
        }
        _ => format!(
            "Can't load fielddata on [{path}] because fielddata is unsupported on fields of type \
             [{}]. Use doc values instead.",
            kind.type_name()
        ),
    }))
}

/// Returns whether only `rank_feature` queries read the field.
pub(crate) fn is_rank_feature(kind: &FieldKind) -> bool {
    matches!(kind, FieldKind::Number { number, .. } if number.positive_score_impact().is_some())
}
