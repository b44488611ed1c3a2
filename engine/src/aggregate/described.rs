//! Results of no documents, with the types and formats of a mapping: what an answer over an empty
//! shard starts from, the check of a request before any segment is read, and what is inside buckets
//! that no shard has.

use gleaner_model::Mapping;
use gleaner_query::aggregation::{Aggregation, AggregationKind, Metric, ValueSource};

use super::source::{check_numeric, format, format_of_source};
use super::{bounds, histogram, metrics, range, terms};
use crate::control::Control;
use crate::error::EngineError;
use crate::partial::key::{ValueFormat, ValueKind};
use crate::partial::terms::Terms;
use crate::partial::{Aggregations, Bucket, Histogram, Partial, Ranges};

/// Describes a list of aggregations and all below. Patterns of keys are built under `control`, as that
/// takes time; without one they are left alone.
///
/// # Errors
/// [`EngineError::Query`] for fields and values that do not fit; when `control` stops.
pub(crate) fn all(
    aggregations: &[Aggregation],
    mapping: &Mapping,
    now_ms: i64,
    control: Option<&Control>,
) -> Result<Aggregations, EngineError> {
    let describer = Describer {
        mapping,
        now_ms,
        control,
    };
    let partials = aggregations
        .iter()
        .map(|aggregation| describer.one(aggregation));
    partials.collect::<Result<_, _>>().map(Aggregations)
}

struct Describer<'a> {
    mapping: &'a Mapping,
    now_ms: i64,
    control: Option<&'a Control>,
}

impl Describer<'_> {
    fn one(&self, aggregation: &Aggregation) -> Result<Partial, EngineError> {
        let kind = &aggregation.kind;
        let sub = all(&aggregation.sub, self.mapping, self.now_ms, self.control)?;
        Ok(match kind {
            AggregationKind::Terms(request) => {
                let format = self.format(&request.source)?;
                let asked = terms::Asked::read(request, format, self.now_ms, self.control)?;
                Partial::Terms(Terms {
                    format: asked.format,
                    ..Terms::default()
                })
            }
            AggregationKind::Range(request) => {
                let what = if request.is_date {
                    "date_range"
                } else {
                    "range"
                };
                let mut format = self.numeric(&request.source, what)?;
                format.time_zone.clone_from(&request.time_zone);
                Partial::Ranges(Ranges {
                    ranges: range::read_bounds(request, &format, self.now_ms)?,
                    format,
                })
            }
            AggregationKind::Histogram(request) => Partial::Histogram(Histogram {
                format: self.numeric(&request.source, "histogram")?,
                ..Histogram::default()
            }),
            AggregationKind::DateHistogram(request) => {
                let mut format = self.numeric(&request.source, "date_histogram")?;
                format.time_zone.clone_from(&request.time_zone);
                bounds::zone(request.time_zone.as_deref())?;
                Partial::Histogram(Histogram {
                    extended: histogram::date_bounds(request, &format, self.now_ms)?.extended,
                    format,
                    ..Histogram::default()
                })
            }
            AggregationKind::MissingValue { field } => {
                format(self.mapping, field, None)?;
                Partial::Single(Bucket { doc_count: 0, sub })
            }
            AggregationKind::Filter(_) | AggregationKind::Global => {
                Partial::Single(Bucket { doc_count: 0, sub })
            }
            _ => self.metric(kind)?,
        })
    }

    /// Describes what has no buckets of its own, or fixed ones.
    fn metric(&self, kind: &AggregationKind) -> Result<Partial, EngineError> {
        let described = match kind {
            AggregationKind::Metric(Metric::ValueCount, source) => {
                metrics::count_format(&self.format(source)?)
            }
            AggregationKind::Metric(metric, source) => {
                self.numeric(source, metrics::name(*metric))?
            }
            AggregationKind::Percentiles { source, .. } => self.numeric(source, "percentiles")?,
            AggregationKind::Cardinality { source, .. } => self.format(source)?,
            _ => ValueFormat::default(),
        };
        let mut partial = Partial::empty(kind);
        if let Partial::Numbers { format, .. } | Partial::Percentiles { format, .. } = &mut partial
        {
            *format = described;
        }
        Ok(partial)
    }

    fn format(&self, source: &ValueSource) -> Result<ValueFormat, EngineError> {
        format_of_source(self.mapping, source)
    }

    fn numeric(&self, source: &ValueSource, what: &str) -> Result<ValueFormat, EngineError> {
        let format = self.format(source)?;
        check_numeric(&format, &source.field, what)?;
        // Its values are dates wherever the field is known.
        if format.kind == ValueKind::Unmapped && what.starts_with("date_") {
            bounds::formatter(format.pattern.as_deref())?;
        }
        Ok(format)
    }
}
