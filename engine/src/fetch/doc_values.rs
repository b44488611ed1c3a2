//! `docvalue_fields`: values as the columns hold them, ascending.

use std::net::Ipv6Addr;

use gleaner_model::mapping::Codec;
use gleaner_model::{FieldKind, FieldPath};
use gleaner_partial::request::bounds;
use gleaner_partial::request::formats::{no_doc_values, no_fielddata};
use gleaner_query::address::ip_text;
use gleaner_query::date::{DateFormatter, Instant};
use gleaner_query::decimal;
use gleaner_query::double::java_text;
use gleaner_query::encoded::GeoPoint;
use gleaner_query::search::FieldFormat;
use indexmap::IndexMap;
use serde_json::Value;
use tantivy::columnar::StrColumn;

use super::ShownFields;
use crate::doc_values::DocValues;
use crate::error::EngineError;
use crate::view::{View, split_place};

/// Fields to read, with their formats.
pub(super) struct Plan<'v> {
    view: &'v View,
    fields: Vec<(FieldPath, Format)>,
    /// The columns of the segment that was read last, beside `fields`.
    opened: Option<(u32, Vec<Option<DocValues>>)>,
}

/// How values of a field are shown.
pub(super) enum Format {
    /// As they are.
    Raw,
    /// Numbers by a pattern.
    Decimal(String),
    /// Dates, and those that bound ranges.
    Date(DateFormatter),
    /// Points of terms, as `"lat, lon"`.
    Point,
}

impl Format {
    /// Reads the format of a field.
    pub(super) fn new(kind: &FieldKind, asked: Option<&str>) -> Result<Self, EngineError> {
        // `use_field_mapping` was the name of the default once.
        let asked = asked.filter(|format| is_formatted(Some(*format)));
        Ok(match (kind, asked) {
            (
                FieldKind::Date { format, .. }
                | FieldKind::Encoded {
                    codec: Codec::DateRange(format),
                    ..
                },
                asked,
            ) => Self::Date(bounds::formatter(Some(asked.unwrap_or(&format.0)))?),
            (FieldKind::Number { .. }, Some(pattern)) => Self::Decimal(pattern.to_owned()),
            (kind, _) if is_point(kind) => Self::Point,
            _ => Self::Raw,
        })
    }

    /// Shows a date.
    pub(super) fn date(&self, instant: Instant) -> Value {
        match self {
            Self::Date(formatter) => Value::from(formatter.write(instant)),
            _ => Value::from(instant.millis()),
        }
    }

    fn fraction(&self, value: f64) -> Value {
        match self {
            Self::Decimal(pattern) => Value::from(decimal::format(pattern, value)),
            _ => Value::from(value),
        }
    }

    /// Shows a whole number, exactly: many have no double of their own.
    fn whole(&self, value: i128, raw: impl Into<Value>) -> Value {
        match self {
            Self::Decimal(pattern) => Value::from(decimal::format_whole(pattern, value)),
            _ => raw.into(),
        }
    }
}

impl<'v> Plan<'v> {
    pub(super) fn new(view: &'v View, asked: &[FieldFormat]) -> Result<Self, EngineError> {
        // Each once, however many patterns name it: the last of them says how.
        let mut fields = IndexMap::new();
        for FieldFormat {
            field: pattern,
            format,
            ..
        } in asked
        {
            for path in wanted(view, pattern) {
                let Some(field) = view.mapping().field(path.as_str()) else {
                    continue;
                };
                let is_named = pattern == path.as_str();
                if !field.kind.has_column() && !is_point(&field.kind) {
                    if is_named {
                        check_missing(&path, &field.kind)?;
                    }
                    continue;
                }
                let has_format = matches!(
                    field.kind,
                    FieldKind::Number { .. } | FieldKind::Date { .. }
                );
                if is_named && !has_format && is_formatted(format.as_deref()) {
                    return Err(no_format(
                        &path,
                        &field.kind,
                        "does not support custom formats",
                    ));
                }
                if is_named && let (FieldKind::Number { .. }, Some(pattern)) = (&field.kind, format)
                {
                    decimal::check(pattern).map_err(|error| EngineError::query(error.reason))?;
                }
                let format = Format::new(&field.kind, format.as_deref())?;
                fields.insert(path, format);
            }
        }
        Ok(Self {
            view,
            fields: fields.into_iter().collect(),
            opened: None,
        })
    }

    /// Adds the values of a document; fields without any are left out.
    pub(super) fn read(
        &mut self,
        place: u64,
        shown: &mut ShownFields<'_, '_>,
    ) -> Result<(), EngineError> {
        let (ord, doc) = split_place(place);
        let columns = match self.opened.take() {
            Some((opened, columns)) if opened == ord => columns,
            _ => self.open(ord)?,
        };
        for ((path, format), column) in self.fields.iter().zip(&columns) {
            let Some(column) = column else { continue };
            let mut values = shown_values(column, doc, format)?;
            values.shrink_to_fit();
            shown.add(path.as_str(), values)?;
        }
        self.opened = Some((ord, columns));
        Ok(())
    }

    fn open(&self, ord: u32) -> Result<Vec<Option<DocValues>>, EngineError> {
        let Some(segment) = self.view.segments().get(ord as usize) else {
            return Ok(Vec::new());
        };
        let columns = self.fields.iter().map(|(path, format)| match format {
            Format::Point => DocValues::of_terms(self.view, segment, path.as_str()),
            _ => DocValues::of_path(self.view, segment, path.as_str()),
        });
        columns.collect()
    }
}

/// Returns the fields that a pattern names, or the key of a `flattened` field that it is.
fn wanted(view: &View, pattern: &str) -> Vec<FieldPath> {
    match view.mapping().flattened(pattern) {
        Some(_) if !pattern.contains('*') => vec![FieldPath::new(pattern)],
        _ => {
            let matching = view.mapping().matching(pattern);
            matching.map(|(path, _)| path.clone()).collect()
        }
    }
}

fn shown_values(values: &DocValues, doc: u32, format: &Format) -> Result<Vec<Value>, EngineError> {
    Ok(match values {
        DocValues::I64(c) => c
            .values_for_doc(doc)
            .map(|v| format.whole(v.into(), v))
            .collect(),
        DocValues::U64(c) => c
            .values_for_doc(doc)
            .map(|v| format.whole(v.into(), v))
            .collect(),
        DocValues::F64(c) => c.values_for_doc(doc).map(|v| format.fraction(v)).collect(),
        DocValues::Bool(c) => c.values_for_doc(doc).map(Value::from).collect(),
        DocValues::Date(c) => {
            let instants = c.values_for_doc(doc).map(Instant::from_millis);
            instants.map(|instant| format.date(instant)).collect()
        }
        DocValues::DateNanos(c) => {
            let instants = c.values_for_doc(doc).map(Instant::from_nanos);
            instants.map(|instant| format.date(instant)).collect()
        }
        DocValues::Ip(c) => c.values_for_doc(doc).map(ip_value).collect(),
        DocValues::Terms(column) if matches!(format, Format::Point) => points(column, doc)?,
        DocValues::Terms(column) => {
            let mut texts = Vec::new();
            let mut last = None;
            for ord in column.ords().values_for_doc(doc) {
                // A term that was given twice is one doc value.
                if last.replace(ord) != Some(ord) {
                    let mut text = String::new();
                    column
                        .ord_to_str(ord, &mut text)
                        .map_err(EngineError::io("reading terms"))?;
                    texts.push(Value::from(text));
                }
            }
            texts
        }
    })
}

/// Returns the points of a document in Lucene's order: by latitude, then those of the east before those of the west.
/// One that was given twice is shown once, as the index keeps them.
fn points(column: &StrColumn, doc: u32) -> Result<Vec<Value>, EngineError> {
    let mut points = Vec::new();
    let mut term = String::new();
    for ord in column.ords().values_for_doc(doc) {
        term.clear();
        column
            .ord_to_str(ord, &mut term)
            .map_err(EngineError::io("reading terms"))?;
        points.extend(GeoPoint::of_term(&term));
    }
    points.sort_unstable_by_key(|point| (point.latitude, point.longitude.cast_unsigned()));
    let text = |point: GeoPoint| {
        let (latitude, longitude) = point.degrees();
        Value::from(format!("{}, {}", java_text(latitude), java_text(longitude)))
    };
    Ok(points.into_iter().map(text).collect())
}

fn is_point(kind: &FieldKind) -> bool {
    matches!(
        kind,
        FieldKind::Encoded {
            codec: Codec::GeoPoint,
            ..
        }
    )
}

fn ip_value(address: Ipv6Addr) -> Value {
    Value::from(ip_text(u128::from(address)))
}

/// Returns whether a format other than the field's own is asked for.
pub(super) fn is_formatted(asked: Option<&str>) -> bool {
    asked.is_some_and(|format| format != "use_field_mapping")
}

/// Says that values of a field have no formats.
pub(super) fn no_format(path: &FieldPath, kind: &FieldKind, what: &str) -> EngineError {
    let type_name = kind.type_name();
    EngineError::query(format!("Field [{path}] of type [{type_name}] {what}"))
}

/// Refuses a field that was named and has no column; what has none under any mapping is passed over.
fn check_missing(path: &FieldPath, kind: &FieldKind) -> Result<(), EngineError> {
    let reason = match kind {
        FieldKind::Text { .. } => no_fielddata(path.as_str()),
        FieldKind::Encoded { .. } => format!(
            "[docvalue_fields] of [{path}] of type [{}] are not supported: [fields] shows it",
            kind.type_name()
        ),
        FieldKind::Object { .. } | FieldKind::Alias { .. } | FieldKind::Completion => return Ok(()),
        kind if kind.is_of_features() => return Ok(()),
        kind => no_doc_values(path.as_str(), kind),
    };
    Err(EngineError::query(reason))
}
