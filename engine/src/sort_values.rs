//! Values of sort keys by document.

use gleaner_query::answer::SortValue;
use gleaner_query::search::{Missing, SortKey, SortMode, SortTarget};
use serde_json::Value;
use tantivy::columnar::Column;

use crate::aggregate::bounds;
use crate::aggregate::source::{Source, ip_number};
use crate::doc_values::DocValues;
use crate::error::EngineError;
use crate::partial::key::{ValueKind, ip_text};
use crate::view::{SegmentView, View};

/// Reads one sort key in one segment.
pub(crate) struct SortReader<'a> {
    segment: &'a SegmentView,
    target: Target,
}

enum Target {
    Score,
    /// Number of the document's latest write.
    SeqNo,
    /// Tie-break hash of the id.
    Hash,
    /// A field without a value in the segment.
    Absent(SortValue),
    Field {
        values: DocValues,
        mode: SortMode,
        missing: SortValue,
    },
}

impl<'a> SortReader<'a> {
    /// Opens `key` in `segment`.
    ///
    /// # Errors
    /// [`EngineError::Query`] for a field that cannot be sorted by.
    pub(crate) fn open(
        view: &View,
        segment: &'a SegmentView,
        key: &SortKey,
        now_ms: i64,
    ) -> Result<Self, EngineError> {
        let target = match &key.target {
            SortTarget::Score => Target::Score,
            SortTarget::Doc => Target::SeqNo,
            SortTarget::ShardDoc => Target::Hash,
            SortTarget::Field(path) if path == "_seq_no" => Target::SeqNo,
            SortTarget::Field(path) => Target::open(view, segment, (path, key), now_ms)?,
        };
        Ok(Self { segment, target })
    }

    /// Returns the key's value of a document.
    ///
    /// # Errors
    /// When a term cannot be read.
    pub(crate) fn value(&self, doc: u32, score: Option<f32>) -> Result<SortValue, EngineError> {
        match &self.target {
            Target::Score => Ok(SortValue::F64(f64::from(score.unwrap_or(1.0)))),
            Target::SeqNo => Ok(SortValue::U64(self.segment.seq_nos().get_val(doc))),
            Target::Hash => Ok(SortValue::U64(self.segment.id_hashes().get_val(doc))),
            Target::Absent(missing) => Ok(missing.clone()),
            Target::Field {
                values,
                mode,
                missing,
            } => Ok(one_of(values, doc, *mode)?.unwrap_or_else(|| missing.clone())),
        }
    }
}

impl Target {
    fn open(
        view: &View,
        segment: &SegmentView,
        (path, key): (&str, &SortKey),
        now_ms: i64,
    ) -> Result<Self, EngineError> {
        if view.mapping().field(path).is_none() && key.unmapped_type.is_none() {
            let reason = format!("No mapping found for [{path}] in order to sort on");
            return Err(EngineError::Query(reason));
        }
        let source = Source::of_segment(path, None, (view, segment))?;
        let missing = match &key.missing {
            Missing::Value(value) => missing_value(value, &source, now_ms)?,
            Missing::Last | Missing::First => SortValue::Missing,
        };
        let by_direction = if key.descending {
            SortMode::Max
        } else {
            SortMode::Min
        };
        Ok(match source.values {
            None => Self::Absent(missing),
            Some(values) => Self::Field {
                values,
                mode: key.mode.unwrap_or(by_direction),
                missing,
            },
        })
    }
}

fn missing_value(value: &Value, source: &Source, now_ms: i64) -> Result<SortValue, EngineError> {
    let format = &source.format;
    Ok(match format.kind {
        ValueKind::Keyword | ValueKind::Ip | ValueKind::Unmapped => SortValue::Text(
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned),
        ),
        ValueKind::Double => SortValue::F64(bounds::number(value, format, now_ms)?),
        ValueKind::Date => SortValue::I64(bounds::date(value, format, now_ms)?),
        ValueKind::Long | ValueKind::Boolean | ValueKind::UnsignedLong => match value.as_u64() {
            Some(value) if format.kind == ValueKind::UnsignedLong => SortValue::U64(value),
            _ => SortValue::I64(bounds::number(value, format, now_ms)? as i64),
        },
    })
}

fn one_of(values: &DocValues, doc: u32, mode: SortMode) -> Result<Option<SortValue>, EngineError> {
    Ok(match values {
        DocValues::I64(column) | DocValues::Date(column) => number(
            column,
            doc,
            mode,
            (SortValue::I64, |v| v as f64, |v| SortValue::I64(v as i64)),
        ),
        DocValues::U64(column) => number(
            column,
            doc,
            mode,
            (SortValue::U64, |v| v as f64, |v| SortValue::U64(v as u64)),
        ),
        DocValues::F64(column) => {
            number(column, doc, mode, (SortValue::F64, |v| v, SortValue::F64))
        }
        DocValues::Bool(column) => {
            extreme(column, doc, mode).map(|value| SortValue::I64(value.into()))
        }
        DocValues::Ip(column) => {
            extreme(column, doc, mode).map(|value| SortValue::Text(ip_text(ip_number(value))))
        }
        DocValues::Terms(column) => match extreme(column.ords(), doc, mode) {
            None => None,
            Some(ord) => {
                let mut text = String::new();
                column
                    .ord_to_str(ord, &mut text)
                    .map_err(EngineError::io("reading terms"))?;
                Some(SortValue::Text(text))
            }
        },
    })
}

/// The smallest or largest value; columns keep a document's values ascending.
fn extreme<T>(column: &Column<T>, doc: u32, mode: SortMode) -> Option<T>
where
    T: PartialOrd + Copy + std::fmt::Debug + Send + Sync + 'static,
{
    let mut values = column.values_for_doc(doc);
    if mode == SortMode::Max {
        values.last()
    } else {
        values.next()
    }
}

/// How a value becomes a key, becomes a fraction, and a fraction becomes a key.
type Conversions<T> = (fn(T) -> SortValue, fn(T) -> f64, fn(f64) -> SortValue);

fn number<T>(
    column: &Column<T>,
    doc: u32,
    mode: SortMode,
    (exact, wide, made): Conversions<T>,
) -> Option<SortValue>
where
    T: PartialOrd + Copy + std::fmt::Debug + Send + Sync + 'static,
{
    if matches!(mode, SortMode::Min | SortMode::Max) {
        return extreme(column, doc, mode).map(exact);
    }
    let values: Vec<f64> = column.values_for_doc(doc).map(wide).collect();
    let last = values.len().checked_sub(1)?;
    let sum: f64 = values.iter().sum();
    Some(made(match mode {
        SortMode::Avg => sum / values.len() as f64,
        SortMode::Median => f64::midpoint(values[last / 2], values[last.div_ceil(2)]),
        SortMode::Sum | SortMode::Min | SortMode::Max => sum,
    }))
}
