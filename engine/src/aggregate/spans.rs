//! Ranges of a field in one segment, as their least and greatest values.

use gleaner_model::mapping::Codec;
use gleaner_model::{FieldKind, Mapping};
use gleaner_query::aggregation::ValueSource;
use gleaner_query::encoded::numbers_of;
use tantivy::DocId;
use tantivy::columnar::StrColumn;

use super::bounds;
use super::node::SegmentContext;
use super::source::visit_column;
use crate::error::EngineError;
use crate::partial::key::{ValueFormat, ValueKind};

/// Ranges read between two looks at the request's control.
const RANGES_A_CHECK: usize = 4_096;

/// Returns how keys over a field of ranges are shown; `None` where the field is of something else.
///
/// # Errors
/// [`EngineError::Query`] for ranges that `what` cannot count, and for `missing`.
pub(super) fn format(
    mapping: &Mapping,
    source: &ValueSource,
    what: &str,
) -> Result<Option<ValueFormat>, EngineError> {
    let codec = match mapping.field(&source.field).map(|field| &field.kind) {
        Some(FieldKind::Encoded { codec, .. }) if *codec != Codec::GeoPoint => codec,
        _ => return Ok(None),
    };
    let is_date = matches!(codec, Codec::DateRange(_));
    if *codec == Codec::IpRange || is_date != (what == "date_histogram") {
        return Err(EngineError::Query(format!(
            "Field [{}] of type [{}] is not supported for aggregation [{what}]",
            source.field,
            codec.type_name()
        )));
    }
    if source.missing.is_some() {
        return Err(EngineError::Query(format!(
            "[{what}] [missing] is not supported over the ranges of field [{}]",
            source.field
        )));
    }
    let pattern = source.format.clone();
    let (kind, pattern) = match codec {
        Codec::DateRange(format) => (ValueKind::Date, pattern.or_else(|| Some(format.0.clone()))),
        _ => (ValueKind::Double, pattern),
    };
    if is_date {
        bounds::formatter(pattern.as_deref())?;
    }
    Ok(Some(ValueFormat {
        kind,
        pattern,
        time_zone: None,
    }))
}

/// The ranges of a field in a segment.
pub(super) struct Spans {
    column: Option<StrColumn>,
    /// By ordinal of their terms.
    spans: Vec<(f64, f64)>,
}

impl Spans {
    /// Opens the ranges of a field that [`format`] knows.
    ///
    /// # Errors
    /// When they cannot be read, take too much memory, or the request must stop.
    pub(super) fn open(field: &str, context: &SegmentContext<'_>) -> Result<Self, EngineError> {
        let (mut column, mut spans) = (None, Vec::new());
        if let Some(handle) = context.view.field(field)
            && let FieldKind::Encoded { codec, .. } = &handle.kind
        {
            let reader = context.segment.reader();
            column = reader.fast_fields().str(handle.name.as_str())?;
            if let Some(column) = &column {
                spans = decoded(codec, column, context)?;
            }
        }
        Ok(Self { column, spans })
    }

    /// Calls `f` with the place in `docs` and the least and the greatest value of each range.
    pub(super) fn visit(&self, docs: &[DocId], mut f: impl FnMut(usize, (f64, f64))) {
        let Some(column) = &self.column else {
            return;
        };
        visit_column(column.ords(), docs, |i, ord: Option<u64>| {
            let span = ord.and_then(|ord| self.spans.get(ord as usize));
            span.into_iter().for_each(|span| f(i, *span));
        });
    }
}

fn decoded(
    codec: &Codec,
    column: &StrColumn,
    context: &SegmentContext<'_>,
) -> Result<Vec<(f64, f64)>, EngineError> {
    let dictionary = column.dictionary();
    let num_terms = dictionary.num_terms();
    let mut meter = context.ledger.meter();
    meter.charge(num_terms * size_of::<(f64, f64)>())?;
    let mut spans = Vec::with_capacity(num_terms);
    let mut terms = dictionary
        .stream()
        .map_err(EngineError::io("reading ranges"))?;
    while terms.advance() {
        if spans.len().is_multiple_of(RANGES_A_CHECK) {
            context.control.check()?;
        }
        let term = std::str::from_utf8(terms.key()).ok();
        let span = term.and_then(|term| numbers_of(codec, term));
        spans.push(span.ok_or_else(|| {
            EngineError::Corrupt("a column of ranges has a term that is none".to_owned())
        })?);
    }
    Ok(spans)
}
