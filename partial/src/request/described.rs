//! Results of no documents, with the types and formats of a mapping: what an answer over an empty
//! shard starts from, the check of a request before any segment is read, and what is inside buckets
//! that no shard has.

use gleaner_model::Mapping;
use gleaner_query::aggregation::{
    Aggregation, AggregationKind, CompositeAggregation, CompositeSource, CompositeValues, Metric,
    SignificantTermsAggregation, TermsAggregation, ValueSource,
};

use super::date_bounds::DateBounds;
use super::formats::{self, EncodedValues, check_numeric, format, format_of_source};
use super::keys::{TermsRequest, after_key, missing_address};
use super::{bounds, key_filter};
use crate::control::Control;
use crate::dates::Dates;
use crate::error::EvaluationError;
use crate::key::{ValueFormat, ValueKind};
use crate::sample::Sample;
use crate::terms::Terms;
use crate::tuples::Tuples;
use crate::{Aggregations, Bucket, Histogram, Partial, Ranges, Weighted};

/// Describes a list of aggregations and all below. Patterns of keys are built under `control`, as that
/// takes time; without one they are left alone.
///
/// # Errors
/// [`EvaluationError::Query`] for fields and values that do not fit; when `control` stops.
pub fn all(
    aggregations: &[Aggregation],
    mapping: &Mapping,
    now_ms: i64,
    control: Option<&Control>,
) -> Result<Aggregations, EvaluationError> {
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
    fn one(&self, aggregation: &Aggregation) -> Result<Partial, EvaluationError> {
        let kind = &aggregation.kind;
        let sub = all(&aggregation.sub, self.mapping, self.now_ms, self.control)?;
        Ok(match kind {
            AggregationKind::Terms(request) => self.terms(&aggregation.name, request)?,
            AggregationKind::RareTerms(request) => {
                let refusal = "RareTerms aggregation does not support floating point fields.";
                self.whole(&request.source, refusal)?;
                self.terms(&aggregation.name, &request.terms())?
            }
            AggregationKind::SignificantTerms(request) => Partial::Single(Bucket {
                doc_count: 0,
                sub: Aggregations(vec![self.significant(&aggregation.name, request)?]),
            }),
            AggregationKind::Range(request) => {
                let what = if request.is_date {
                    "date_range"
                } else {
                    "range"
                };
                let mut format = self.numeric(&request.source, what)?;
                format.time_zone.clone_from(&request.time_zone);
                Partial::Ranges(Ranges {
                    ranges: bounds::known_ranges(request, &format, self.now_ms)?,
                    format,
                })
            }
            AggregationKind::Histogram(request) => Partial::Histogram(Histogram {
                format: self.intervals(&request.source, "histogram")?,
                ..Histogram::default()
            }),
            AggregationKind::DateHistogram(request) => {
                let mut format = self.intervals(&request.source, "date_histogram")?;
                format.time_zone.clone_from(&request.time_zone);
                bounds::zone(request.time_zone.as_deref())?;
                Partial::Histogram(Histogram {
                    extended: DateBounds::read(request, &format, self.now_ms)?.extended,
                    format,
                    ..Histogram::default()
                })
            }
            AggregationKind::MissingValue { field, missing } => {
                formats::check_missing(self.mapping, field, missing.as_ref())?;
                Partial::Single(Bucket { doc_count: 0, sub })
            }
            AggregationKind::Filter(_)
            | AggregationKind::Global
            | AggregationKind::Background { .. } => Partial::Single(Bucket { doc_count: 0, sub }),
            AggregationKind::Sampler(request) => {
                if let Some(diversity) = &request.diversity {
                    self.format(&diversity.source)?;
                }
                Partial::Sample(Sample::new(request, sub))
            }
            AggregationKind::Composite(request) => self.composite(request)?,
            AggregationKind::MultiTerms(request) => {
                let formats = request.sources.iter().map(|source| self.format(source));
                Partial::Tuples(Tuples::new(formats.collect::<Result<_, _>>()?))
            }
            AggregationKind::VariableWidth(request) => Partial::Histogram(Histogram {
                format: self.numeric(&request.source, "variable_width_histogram")?,
                ..Histogram::default()
            }),
            _ => self.other(kind)?,
        })
    }

    fn terms(&self, name: &str, request: &TermsAggregation) -> Result<Partial, EvaluationError> {
        let format = self.format(&request.source)?;
        key_filter::check_patterns(name, [&request.include, &request.exclude], format.kind)?;
        let asked = TermsRequest::read(request, format, self.now_ms, self.control)?;
        Ok(Partial::Terms(Terms {
            format: asked.format,
            ..Terms::default()
        }))
    }

    /// Describes the terms of `significant_terms` and `significant_text`.
    fn significant(
        &self,
        name: &str,
        request: &SignificantTermsAggregation,
    ) -> Result<Partial, EvaluationError> {
        if request.text.is_some() {
            return self.words(request);
        }
        let refusal = "No support for examining floating point numerics";
        self.whole(&request.source, refusal)?;
        self.terms(name, &request.terms())
    }

    /// Describes the terms of `significant_text`.
    fn words(&self, request: &SignificantTermsAggregation) -> Result<Partial, EvaluationError> {
        let format = formats::of_words(self.mapping, &request.source.field)?;
        let asked = TermsRequest::read(&request.terms(), format, self.now_ms, self.control)?;
        Ok(Partial::Terms(Terms {
            format: asked.format,
            ..Terms::default()
        }))
    }

    /// Refuses fractions, of which nearly each is rare, in the words of `refusal`.
    fn whole(&self, source: &ValueSource, refusal: &str) -> Result<(), EvaluationError> {
        match self.format(source)?.kind {
            ValueKind::Double => Err(EvaluationError::Query(refusal.to_owned())),
            _ => Ok(()),
        }
    }

    fn composite(&self, request: &CompositeAggregation) -> Result<Partial, EvaluationError> {
        let mut formats = Vec::with_capacity(request.sources.len());
        for (at, source) in request.sources.iter().enumerate() {
            let format = self.composite_format(source)?;
            let after = request.after.as_ref().and_then(|after| after.get(at));
            // Tiles are numbers of no field.
            let is_tile = matches!(source.values, CompositeValues::GeoTile { .. });
            if let Some(value) = after.filter(|value| !value.is_null())
                && (is_tile || format.kind != ValueKind::Unmapped)
            {
                after_key(source, value, &format, self.now_ms)?;
            }
            formats.push(format);
        }
        Ok(Partial::Tuples(Tuples::new(formats)))
    }

    fn composite_format(&self, source: &CompositeSource) -> Result<ValueFormat, EvaluationError> {
        match &source.values {
            CompositeValues::Terms => self.format(&source.source),
            CompositeValues::Histogram(_) => self
                .numeric(&source.source, "composite")
                .map(formats::of_fractions),
            CompositeValues::DateHistogram { time_zone, .. } => {
                let mut format = self.numeric(&source.source, "composite")?;
                format.time_zone.clone_from(time_zone);
                bounds::zone(time_zone.as_deref())?;
                Ok(format)
            }
            CompositeValues::GeoTile { .. } => {
                self.points(&source.source.field, "composite")?;
                Ok(ValueFormat::default())
            }
        }
    }

    fn points(&self, field: &str, what: &str) -> Result<(), EvaluationError> {
        formats::check_points(self.mapping, field, what)
    }

    /// Describes what has no types or formats of a field, once its field is known to fit.
    fn other(&self, kind: &AggregationKind) -> Result<Partial, EvaluationError> {
        match kind {
            AggregationKind::IpRange(request) => {
                let format = self.format(&request.source)?;
                formats::check_addresses(&format, &request.source.field, "ip_range")?;
                missing_address(&request.source)?;
            }
            AggregationKind::IpPrefix(request) => {
                let format = format(self.mapping, &request.field, None)?;
                formats::check_addresses(&format, &request.field, "ip_prefix")?;
            }
            AggregationKind::GeoGrid(request) => {
                self.points(&request.field, request.grid.type_name())?;
            }
            AggregationKind::GeoBounds { field, .. } => self.points(field, "geo_bounds")?,
            AggregationKind::GeoCentroid { field } => self.points(field, "geo_centroid")?,
            AggregationKind::GeoDistance(request) => {
                self.points(&request.range.source.field, "geo_distance")?;
            }
            _ => return self.metric(kind),
        }
        Ok(Partial::empty(kind))
    }

    /// Describes what has no buckets of its own, or fixed ones.
    fn metric(&self, kind: &AggregationKind) -> Result<Partial, EvaluationError> {
        let described = match kind {
            AggregationKind::Metric(Metric::ValueCount, source) => {
                formats::of_value_count(self.mapping, source)?
            }
            AggregationKind::Metric(metric, source) => {
                self.numeric(source, formats::metric_name(*metric))?
            }
            AggregationKind::Percentiles { source, .. } => self.numeric(source, "percentiles")?,
            AggregationKind::PercentileRanks { source, .. } => {
                self.numeric(source, "percentile_ranks")?
            }
            AggregationKind::MedianAbsoluteDeviation(source) => {
                self.numeric(source, "median_absolute_deviation")?
            }
            AggregationKind::WeightedAverage(request) => {
                self.numeric(&request.weight, "weighted_avg")?;
                formats::of_weighted(self.numeric(&request.value, "weighted_avg")?, request)?
            }
            AggregationKind::MatrixStats(request) => {
                for source in &request.sources {
                    self.numeric(source, "matrix_stats")?;
                }
                ValueFormat::default()
            }
            AggregationKind::AutoDate(request) => {
                bounds::zone(request.time_zone.as_deref())?;
                let mut format = self.numeric(&request.source, "date_histogram")?;
                format.time_zone.clone_from(&request.time_zone);
                format
            }
            AggregationKind::Cardinality { source, .. } => {
                match EncodedValues::of(self.mapping, source, "cardinality")? {
                    Some(_) => ValueFormat::default(),
                    None => self.format(source)?,
                }
            }
            _ => ValueFormat::default(),
        };
        let mut partial = Partial::empty(kind);
        if let Partial::Numbers { format, .. }
        | Partial::Percentiles { format, .. }
        | Partial::Hdr { format, .. }
        | Partial::Weighted(Weighted { format, .. })
        | Partial::Dates(Dates { format, .. }) = &mut partial
        {
            *format = described;
        }
        Ok(partial)
    }

    fn format(&self, source: &ValueSource) -> Result<ValueFormat, EvaluationError> {
        format_of_source(self.mapping, source)
    }

    /// Returns the format of what intervals count: numbers, and ranges of them.
    fn intervals(&self, source: &ValueSource, what: &str) -> Result<ValueFormat, EvaluationError> {
        match formats::of_ranges(self.mapping, source, what)? {
            Some(format) => Ok(format),
            None => self.numeric(source, what),
        }
    }

    fn numeric(&self, source: &ValueSource, what: &str) -> Result<ValueFormat, EvaluationError> {
        let format = self.format(source)?;
        check_numeric(&format, &source.field, what)?;
        // Its values are dates wherever the field is known.
        if format.kind == ValueKind::Unmapped && what.starts_with("date_") {
            bounds::formatter(format.pattern.as_deref())?;
        }
        Ok(format)
    }
}
