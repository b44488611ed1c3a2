//! Types and formats of what aggregations read, and which fields they cannot read.

use gleaner_model::mapping::Codec;
use gleaner_model::{FieldKind, Mapping, NumberKind};
use gleaner_query::aggregation::{Metric, ValueSource, ValueType, WeightedAverage};
use gleaner_query::decimal;
use gleaner_query::encoded::{GeoPoint, parse_point};
use serde_json::Value;

use super::bounds;
use crate::error::EvaluationError;
use crate::key::{ValueFormat, ValueKind};

/// Returns how values of a field are shown; `pattern` is the request's format.
///
/// # Errors
/// [`EvaluationError::Query`] for fields without doc values and for patterns that their values are not written by.
pub fn format(
    mapping: &Mapping,
    path: &str,
    pattern: Option<&str>,
) -> Result<ValueFormat, EvaluationError> {
    match mapping.field(path) {
        None => Ok(ValueFormat {
            pattern: pattern.map(str::to_owned),
            ..ValueFormat::default()
        }),
        Some(field) => {
            check_aggregatable(path, &field.kind)?;
            let format = format_of(&field.kind, pattern);
            check_pattern(format.kind, pattern)?;
            Ok(format)
        }
    }
}

/// Returns how values of a request's field are shown.
///
/// # Errors
/// Those of [`format()`].
pub fn format_of_source(
    mapping: &Mapping,
    source: &ValueSource,
) -> Result<ValueFormat, EvaluationError> {
    let format = format(mapping, &source.field, source.format.as_deref())?;
    typed(format, source)
}

/// Gives the values of a field that is unknown here the type that the request names: they are what
/// stands for missing ones. Without that there are none, and they keep no type.
///
/// # Errors
/// [`EvaluationError::Query`] for a pattern that no such values are written by.
pub fn typed(format: ValueFormat, source: &ValueSource) -> Result<ValueFormat, EvaluationError> {
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
    check_pattern(kind, format.pattern.as_deref())?;
    Ok(ValueFormat { kind, ..format })
}

/// Refuses a pattern that values of `kind` are not written by. Of a field that is unknown it may be one of dates.
fn check_pattern(kind: ValueKind, pattern: Option<&str>) -> Result<(), EvaluationError> {
    let Some(pattern) = pattern else {
        return Ok(());
    };
    match kind {
        ValueKind::Date => bounds::formatter(Some(pattern)).map(drop),
        ValueKind::Long | ValueKind::UnsignedLong | ValueKind::Double => {
            decimal::check(pattern).map_err(|error| EvaluationError::Query(error.reason))
        }
        ValueKind::Unmapped | ValueKind::Keyword | ValueKind::Ip | ValueKind::Boolean => Ok(()),
    }
}

/// Refuses fields without numbers; `what` names the aggregation.
///
/// # Errors
/// [`EvaluationError::Query`].
pub fn check_numeric(format: &ValueFormat, path: &str, what: &str) -> Result<(), EvaluationError> {
    let name = match format.kind {
        ValueKind::Keyword => "keyword",
        ValueKind::Ip => "ip",
        _ => return Ok(()),
    };
    Err(EvaluationError::Query(format!(
        "Field [{path}] of type [{name}] is not supported for aggregation [{what}]"
    )))
}

/// Refuses fields without points; `what` names the aggregation.
///
/// # Errors
/// [`EvaluationError::Query`].
pub fn check_points(mapping: &Mapping, field: &str, what: &str) -> Result<(), EvaluationError> {
    match mapping.field(field).map(|field| &field.kind) {
        None
        | Some(FieldKind::Encoded {
            codec: Codec::GeoPoint,
            ..
        }) => Ok(()),
        Some(kind) => Err(EvaluationError::Query(format!(
            "Field [{field}] of type [{}] is not supported for aggregation [{what}]",
            kind.type_name()
        ))),
    }
}

/// Refuses fields without addresses; `what` names the aggregation.
///
/// # Errors
/// [`EvaluationError::Query`].
pub fn check_addresses(
    format: &ValueFormat,
    field: &str,
    what: &str,
) -> Result<(), EvaluationError> {
    if matches!(format.kind, ValueKind::Ip | ValueKind::Unmapped) {
        return Ok(());
    }
    let name = match format.kind {
        ValueKind::Keyword => "keyword",
        ValueKind::Boolean => "boolean",
        ValueKind::Date => "date",
        ValueKind::Double => "double",
        _ => "long",
    };
    Err(EvaluationError::Query(format!(
        "Field [{field}] of type [{name}] is not supported for aggregation [{what}]"
    )))
}

/// Returns how keys over a field of ranges are shown; `None` where the field is of something else.
///
/// # Errors
/// [`EvaluationError::Query`] for ranges that `what` cannot count, and for `missing`.
pub fn of_ranges(
    mapping: &Mapping,
    source: &ValueSource,
    what: &str,
) -> Result<Option<ValueFormat>, EvaluationError> {
    let Some(codec) = ranges_of(mapping, &source.field) else {
        return Ok(None);
    };
    let is_date = matches!(codec, Codec::DateRange(_));
    if *codec == Codec::IpRange || is_date != (what == "date_histogram") {
        return Err(EvaluationError::Query(format!(
            "Field [{}] of type [{}] is not supported for aggregation [{what}]",
            source.field,
            codec.type_name()
        )));
    }
    check_none_is_missing(source, what)?;
    let pattern = source.format.clone();
    let (kind, pattern) = match codec {
        Codec::DateRange(format) => (ValueKind::Date, pattern.or_else(|| Some(format.0.clone()))),
        _ => (ValueKind::Double, pattern),
    };
    check_pattern(kind, pattern.as_deref())?;
    Ok(Some(ValueFormat {
        kind,
        pattern,
        time_zone: None,
    }))
}

/// Returns the type of a field's ranges; `None` where the field is of something else.
fn ranges_of<'m>(mapping: &'m Mapping, field: &str) -> Option<&'m Codec> {
    match mapping.field(field).map(|field| &field.kind) {
        Some(FieldKind::Encoded { codec, .. }) if *codec != Codec::GeoPoint => Some(codec),
        _ => None,
    }
}

/// Values that an index keeps as terms which stand for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EncodedValues {
    /// Ranges: those of a document count as one value, as in Elasticsearch.
    Ranges,
    /// Points; with the one that stands for documents without any.
    Points(Option<GeoPoint>),
}

impl EncodedValues {
    /// Returns what a field has of them, for `what` to count; `None` where it is of something else.
    ///
    /// # Errors
    /// [`EvaluationError::Query`] for `missing` over ranges, and for one that is no point.
    pub fn of(
        mapping: &Mapping,
        source: &ValueSource,
        what: &str,
    ) -> Result<Option<Self>, EvaluationError> {
        match mapping.field(&source.field).map(|field| &field.kind) {
            Some(FieldKind::Encoded {
                codec: Codec::GeoPoint,
                ..
            }) => {
                let missing = source.missing.as_ref().map(parse_point).transpose();
                missing
                    .map(|point| Some(Self::Points(point)))
                    .map_err(EvaluationError::Query)
            }
            Some(FieldKind::Encoded { .. }) => {
                check_none_is_missing(source, what)?;
                Ok(Some(Self::Ranges))
            }
            _ => Ok(None),
        }
    }
}

/// Checks that it can be said which documents have no value of a field: `missing` counts them.
///
/// # Errors
/// As [`EncodedValues::of`] and [`format()`].
pub fn check_missing(
    mapping: &Mapping,
    field: &str,
    missing: Option<&Value>,
) -> Result<(), EvaluationError> {
    let source = ValueSource {
        missing: missing.cloned(),
        ..ValueSource::of(field)
    };
    match EncodedValues::of(mapping, &source, "missing")? {
        Some(_) => Ok(()),
        None => format(mapping, field, None).map(drop),
    }
}

fn check_none_is_missing(source: &ValueSource, what: &str) -> Result<(), EvaluationError> {
    if source.missing.is_none() {
        return Ok(());
    }
    Err(EvaluationError::Query(format!(
        "[{what}] [missing] is not supported over the ranges of field [{}]",
        source.field
    )))
}

/// Returns how the number of values of a request's field is shown.
///
/// # Errors
/// Those of [`format()`] and of [`EncodedValues::of`].
pub fn of_value_count(
    mapping: &Mapping,
    source: &ValueSource,
) -> Result<ValueFormat, EvaluationError> {
    match EncodedValues::of(mapping, source, metric_name(Metric::ValueCount))? {
        Some(_) => Ok(ValueFormat {
            kind: ValueKind::Long,
            ..ValueFormat::default()
        }),
        None => Ok(of_count(&format_of_source(mapping, source)?)),
    }
}

/// Returns the metric's name in requests, and its prefix for `typed_keys`.
pub fn metric_name(metric: Metric) -> &'static str {
    match metric {
        Metric::Avg => "avg",
        Metric::Min => "min",
        Metric::Max => "max",
        Metric::Sum => "sum",
        Metric::ValueCount => "value_count",
        Metric::Stats => "stats",
        Metric::ExtendedStats { .. } => "extended_stats",
    }
}

/// Returns how the number of values is shown: a count is no date, whatever it counts.
fn of_count(counted: &ValueFormat) -> ValueFormat {
    let kind = match counted.kind {
        ValueKind::Unmapped => ValueKind::Unmapped,
        _ => ValueKind::Long,
    };
    ValueFormat {
        kind,
        ..ValueFormat::default()
    }
}

/// Returns how a `weighted_avg` is shown: the request's format goes before that of the values.
///
/// # Errors
/// [`EvaluationError::Query`] for a pattern that the values are not written by.
pub fn of_weighted(
    format: ValueFormat,
    request: &WeightedAverage,
) -> Result<ValueFormat, EvaluationError> {
    check_pattern(format.kind, request.format.as_deref())?;
    Ok(ValueFormat {
        pattern: request.format.clone().or(format.pattern),
        ..format
    })
}

/// Returns how terms of a text are shown, or that no document has any, where the index does not know the field.
///
/// # Errors
/// [`EvaluationError::Query`] where the field is no text, or its texts are not indexed.
pub fn of_words(mapping: &Mapping, field: &str) -> Result<ValueFormat, EvaluationError> {
    let kind = match mapping.resolved(field).map(|(_, field)| &field.kind) {
        None => ValueKind::Unmapped,
        Some(FieldKind::Text { index: true, .. }) => ValueKind::Keyword,
        Some(other) => {
            let reason = format!(
                "[significant_text] needs an indexed field of type [text], [{field}] is of type [{}]",
                other.type_name()
            );
            return Err(EvaluationError::Query(reason));
        }
    };
    Ok(ValueFormat {
        kind,
        ..ValueFormat::default()
    })
}

/// Returns a format of fractions, whatever the numbers were.
pub fn of_fractions(format: ValueFormat) -> ValueFormat {
    let kind = match format.kind {
        ValueKind::Unmapped => ValueKind::Unmapped,
        _ => ValueKind::Double,
    };
    ValueFormat { kind, ..format }
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
            NumberKind::UnsignedLong => (ValueKind::UnsignedLong, pattern),
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

/// Says why the text field `path` has no column, in Elasticsearch's words.
pub fn no_fielddata(path: &str) -> String {
    format!(
        "Fielddata is disabled on [{path}]. Text fields are not optimised for operations that require per-document field \
         data like aggregations and sorting, so these operations are disabled by default. Please use a keyword field \
         instead. Alternatively, set fielddata=true on [{path}] in order to load field data by uninverting the inverted \
         index. Note that this can use significant memory."
    )
}

fn check_aggregatable(path: &str, kind: &FieldKind) -> Result<(), EvaluationError> {
    if is_rank_feature(kind) {
        return Err(EvaluationError::Query(format!(
            "[{}] fields do not support sorting, scripting or aggregating: [{path}] is one",
            kind.type_name()
        )));
    }
    if kind.has_column() {
        return Ok(());
    }
    Err(EvaluationError::Query(match kind {
        FieldKind::Text { .. } => no_fielddata(path),
        FieldKind::Object { .. } | FieldKind::Encoded { .. } => format!(
            "Field [{path}] of type [{}] is not supported for this aggregation",
            kind.type_name()
        ),
        _ => no_doc_values(path, kind),
    }))
}

/// Says that a field of a type that has doc values is without.
pub fn no_doc_values(path: &str, kind: &FieldKind) -> String {
    let type_name = kind.type_name();
    format!(
        "Can't load fielddata on [{path}] because fielddata is unsupported on fields of type [{type_name}]. Use doc \
         values instead."
    )
}

/// Returns whether only `rank_feature` queries read the field.
pub fn is_rank_feature(kind: &FieldKind) -> bool {
    matches!(kind, FieldKind::Number { number, .. } if number.positive_score_impact().is_some())
}
