//! Partial results of aggregations: what a segment, a shard or all shards know so far.

use std::collections::BTreeMap;

use bytes::Bytes;
use gleaner_query::aggregation::{AggregationKind, Metric};
use serde::{Deserialize, Serialize};

use crate::dates::Dates;
use crate::distinct::Distinct;
use crate::error::EvaluationError;
use crate::extent::GeoExtent;
use crate::hdr::Hdr;
use crate::key::{Key, ValueFormat, ValueKind};
use crate::matrix::Matrix;
use crate::numbers::Numbers;
use crate::sample::Sample;
use crate::sketch::Sketch;
use crate::terms::Terms;
use crate::top_hits::TopHits;
use crate::tuples::Tuples;
use crate::weighted::Weighted;

/// Partial results of a list of aggregations, in the order of the request.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Aggregations(pub Vec<Partial>);

/// Partial result of one aggregation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Partial {
    /// `terms`, `rare_terms`.
    Terms(Terms),
    /// `histogram`, `date_histogram`, and others of one key: values of `variable_width_histogram`, networks of
    /// `ip_prefix`, cells of grids.
    Histogram(Histogram),
    /// `range`, `date_range`, `geo_distance`.
    Ranges(Ranges),
    /// `filters` and `ip_range`, in the order of the request; the bucket of the others is last.
    Filters(Vec<Bucket>),
    /// `filter`, `global`, `missing`; of `significant_terms` the documents, with their terms inside.
    Single(Bucket),
    /// Metrics of numbers.
    Numbers {
        /// How values are shown.
        format: ValueFormat,
        /// The numbers.
        numbers: Numbers,
    },
    /// `cardinality`.
    Distinct(Distinct),
    /// `percentiles`.
    Percentiles {
        /// How values are shown.
        format: ValueFormat,
        /// The distribution.
        sketch: Sketch,
    },
    /// `top_hits` and `top_metrics`.
    TopHits(TopHits),
    /// `composite`, `multi_terms`, `adjacency_matrix`.
    Tuples(Tuples),
    /// `weighted_avg`.
    Weighted(Weighted),
    /// `auto_date_histogram`.
    Dates(Dates),
    /// `geo_bounds`, `geo_centroid`.
    Extent(GeoExtent),
    /// `percentiles` and `percentile_ranks` with `hdr`.
    Hdr {
        /// How values are shown.
        format: ValueFormat,
        /// The distribution.
        histogram: Hdr,
    },
    /// `matrix_stats`.
    Matrix(Matrix),
    /// `sampler`, `diversified_sampler`.
    Sample(Sample),
}

/// Documents of a bucket and what was computed of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Bucket {
    /// Documents.
    pub doc_count: u64,
    /// Sub-aggregations; empty when no shard has had a document for them.
    pub sub: Aggregations,
}

/// Buckets of equal width.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// How keys are shown.
    pub format: ValueFormat,
    /// `extended_bounds` of dates in milliseconds, as the shard's mapping reads them; [`i64::MAX`] stands
    /// for no lower one, [`i64::MIN`] for no upper one.
    pub extended: Option<(i64, i64)>,
    /// Numbers: by bucket number (value − offset) / interval, rounded down. Dates: by start.
    pub buckets: BTreeMap<Key, Bucket>,
}

/// Buckets between bounds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ranges {
    /// How bounds are shown.
    pub format: ValueFormat,
    /// In the order of the request.
    pub ranges: Vec<RangeBucket>,
}

/// One range, its bounds read by the shard's mapping.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RangeBucket {
    /// Lower bound, included.
    pub from: Option<f64>,
    /// Upper bound, excluded.
    pub to: Option<f64>,
    /// What it holds.
    pub bucket: Bucket,
}

/// Reads and merges the partial results of all shards.
///
/// # Errors
/// Those of [`Aggregations::decode`] and [`Aggregations::merge`].
pub fn merge_encoded(partials: &[Bytes]) -> Result<Aggregations, EvaluationError> {
    let mut merged = Aggregations::default();
    for bytes in partials {
        merged.merge(Aggregations::decode(bytes)?)?;
    }
    merged.settle_terms()?;
    Ok(merged)
}

impl Aggregations {
    /// Adds the partial results of another segment or shard for the same request.
    ///
    /// # Errors
    /// [`EvaluationError::Internal`] when the two are of different requests.
    pub fn merge(&mut self, other: Self) -> Result<(), EvaluationError> {
        if self.0.is_empty() {
            *self = other;
            return Ok(());
        }
        if other.0.is_empty() {
            return Ok(());
        }
        if self.0.len() != other.0.len() {
            return Err(mismatch());
        }
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            mine.merge(theirs)?;
        }
        Ok(())
    }

    /// Gives the keys of each list of terms one type, at any depth; to be called once all segments or shards are
    /// merged. What is encoded before that lacks the keys of some types.
    ///
    /// # Errors
    /// As [`Aggregations::merge`].
    pub fn settle_terms(&mut self) -> Result<(), EvaluationError> {
        for partial in &mut self.0 {
            if let Partial::Terms(terms) = partial {
                terms.settle()?;
            }
            partial.try_for_each_bucket(&mut |bucket| bucket.sub.settle_terms())?;
        }
        Ok(())
    }
}

impl Partial {
    /// Returns the result of no documents.
    pub fn empty(kind: &AggregationKind) -> Self {
        match kind {
            AggregationKind::Terms(_) | AggregationKind::RareTerms(_) => {
                Self::Terms(Terms::default())
            }
            AggregationKind::SignificantTerms(_) => Self::Single(Bucket {
                doc_count: 0,
                sub: Aggregations(vec![Self::Terms(Terms::default())]),
            }),
            AggregationKind::Histogram(_)
            | AggregationKind::DateHistogram(_)
            | AggregationKind::VariableWidth(_)
            | AggregationKind::IpPrefix(_)
            | AggregationKind::GeoGrid(_) => Self::Histogram(Histogram::default()),
            AggregationKind::Range(_) | AggregationKind::GeoDistance(_) => {
                Self::Ranges(Ranges::default())
            }
            AggregationKind::Filters {
                filters,
                other_bucket,
                ..
            } => {
                let num_buckets = filters.len() + usize::from(other_bucket.is_some());
                Self::Filters(vec![Bucket::default(); num_buckets])
            }
            AggregationKind::IpRange(request) => {
                Self::Filters(vec![Bucket::default(); request.ranges.len()])
            }
            AggregationKind::Filter(_)
            | AggregationKind::Global
            | AggregationKind::Background { .. }
            | AggregationKind::MissingValue { .. } => Self::Single(Bucket::default()),
            AggregationKind::Composite(_)
            | AggregationKind::MultiTerms(_)
            | AggregationKind::Adjacency(_) => Self::Tuples(Tuples::default()),
            AggregationKind::Sampler(request) => {
                Self::Sample(Sample::new(request, Aggregations::default()))
            }
            AggregationKind::AutoDate(request) => Self::Dates(Dates {
                unit: request.minimum_unit,
                ..Dates::default()
            }),
            _ => Self::empty_metric(kind),
        }
    }

    /// Returns the result of no documents of what has no buckets.
    fn empty_metric(kind: &AggregationKind) -> Self {
        match kind {
            AggregationKind::Metric(metric, _) => Self::Numbers {
                format: ValueFormat::default(),
                numbers: Numbers::new(matches!(metric, Metric::ExtendedStats { .. })),
            },
            AggregationKind::Cardinality {
                precision_threshold,
                ..
            } => Self::Distinct(Distinct::new(*precision_threshold)),
            AggregationKind::TopHits(request) => Self::TopHits(TopHits::new(request)),
            AggregationKind::TopMetrics(request) => Self::TopHits(TopHits::new(&request.hits)),
            AggregationKind::WeightedAverage(_) => Self::Weighted(Weighted::default()),
            AggregationKind::GeoBounds { .. } | AggregationKind::GeoCentroid { .. } => {
                Self::Extent(GeoExtent::default())
            }
            AggregationKind::MatrixStats(request) => {
                Self::Matrix(Matrix::new(request.sources.len()))
            }
            AggregationKind::Percentiles {
                hdr_digits: Some(digits),
                ..
            }
            | AggregationKind::PercentileRanks {
                hdr_digits: Some(digits),
                ..
            } => Self::Hdr {
                format: ValueFormat::default(),
                histogram: Hdr::new(*digits),
            },
            // `percentiles` and what else is made of them.
            _ => Self::Percentiles {
                format: ValueFormat::default(),
                sketch: Sketch::default(),
            },
        }
    }

    fn merge(&mut self, other: Self) -> Result<(), EvaluationError> {
        match (self, other) {
            (Self::Terms(mine), Self::Terms(theirs)) => mine.merge(theirs),
            (Self::Histogram(mine), Self::Histogram(theirs)) => mine.merge(theirs),
            (Self::Ranges(mine), Self::Ranges(theirs)) => mine.merge(theirs),
            (Self::Filters(mine), Self::Filters(theirs)) => merge_lists(mine, theirs),
            (Self::Single(mine), Self::Single(theirs)) => mine.merge(theirs),
            (
                Self::Numbers { format, numbers },
                Self::Numbers {
                    format: their_format,
                    numbers: theirs,
                },
            ) => {
                format.merge(their_format);
                numbers.merge(&theirs);
                Ok(())
            }
            (Self::Distinct(mine), Self::Distinct(theirs)) => {
                mine.merge(theirs);
                Ok(())
            }
            (
                Self::Percentiles { format, sketch },
                Self::Percentiles {
                    format: their_format,
                    sketch: theirs,
                },
            ) => {
                format.merge(their_format);
                sketch.merge(theirs);
                Ok(())
            }
            (
                Self::Hdr { format, histogram },
                Self::Hdr {
                    format: their_format,
                    histogram: theirs,
                },
            ) => {
                format.merge(their_format);
                histogram.merge(theirs)
            }
            (Self::Matrix(mine), Self::Matrix(theirs)) => mine.merge(&theirs),
            (Self::TopHits(mine), Self::TopHits(theirs)) => {
                mine.merge(theirs);
                Ok(())
            }
            (Self::Tuples(mine), Self::Tuples(theirs)) => mine.merge(theirs),
            (Self::Dates(mine), Self::Dates(theirs)) => mine.merge(theirs),
            (Self::Sample(mine), Self::Sample(theirs)) => mine.merge(theirs),
            (Self::Weighted(mine), Self::Weighted(theirs)) => {
                mine.merge(theirs);
                Ok(())
            }
            (Self::Extent(mine), Self::Extent(theirs)) => {
                mine.merge(&theirs);
                Ok(())
            }
            _ => Err(mismatch()),
        }
    }

    /// Calls `f` with each bucket that the result holds itself.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn try_for_each_bucket<E>(
        &mut self,
        f: &mut dyn FnMut(&mut Bucket) -> Result<(), E>,
    ) -> Result<(), E> {
        match self {
            Self::Terms(terms) => {
                let mut terms = terms.buckets.values_mut();
                terms.try_for_each(|term| f(&mut term.bucket))
            }
            Self::Histogram(histogram) => histogram.buckets.values_mut().try_for_each(f),
            Self::Ranges(ranges) => {
                let mut ranges = ranges.ranges.iter_mut();
                ranges.try_for_each(|range| f(&mut range.bucket))
            }
            Self::Filters(buckets) => buckets.iter_mut().try_for_each(f),
            Self::Single(bucket) => f(bucket),
            Self::Tuples(tuples) => tuples.buckets.values_mut().try_for_each(f),
            Self::Dates(dates) => dates.buckets.values_mut().try_for_each(f),
            Self::Sample(sample) => sample.try_for_each_bucket(f),
            Self::Numbers { .. }
            | Self::Distinct(_)
            | Self::Percentiles { .. }
            | Self::Hdr { .. }
            | Self::Matrix(_)
            | Self::Weighted(_)
            | Self::Extent(_)
            | Self::TopHits(_) => Ok(()),
        }
    }

    /// Returns what holds the buckets in which sub-aggregations are: of `significant_terms` it is inside.
    pub fn holder(&mut self, kind: &AggregationKind) -> &mut Self {
        let is_inside = matches!(kind, AggregationKind::SignificantTerms(_))
            && matches!(self, Self::Single(all) if !all.sub.0.is_empty());
        if !is_inside {
            return self;
        }
        match self {
            Self::Single(all) => &mut all.sub.0[0],
            own => own,
        }
    }
}

impl Bucket {
    /// Adds the documents of another segment or shard.
    ///
    /// # Errors
    /// As [`Aggregations::merge`].
    pub fn merge(&mut self, other: Self) -> Result<(), EvaluationError> {
        self.doc_count = self.doc_count.saturating_add(other.doc_count);
        self.sub.merge(other.sub)
    }
}

impl Histogram {
    /// Bounds are those of a shard that knows the field: another cannot know their format.
    fn merge(&mut self, other: Self) -> Result<(), EvaluationError> {
        let is_unknown = |format: &ValueFormat| format.kind == ValueKind::Unmapped;
        self.extended = match is_unknown(&self.format) && !is_unknown(&other.format) {
            true => other.extended.or(self.extended),
            false => self.extended.or(other.extended),
        };
        self.format.merge(other.format);
        for (key, bucket) in other.buckets {
            self.buckets.entry(key).or_default().merge(bucket)?;
        }
        Ok(())
    }
}

impl Ranges {
    /// Bounds are those of a shard that knows the field: another cannot know their format.
    fn merge(&mut self, mut other: Self) -> Result<(), EvaluationError> {
        let is_unknown = |ranges: &Self| ranges.format.kind == ValueKind::Unmapped;
        if self.ranges.is_empty() || (is_unknown(self) && !is_unknown(&other)) {
            std::mem::swap(self, &mut other);
        }
        if other.ranges.is_empty() {
            return Ok(());
        }
        if self.ranges.len() != other.ranges.len() {
            return Err(mismatch());
        }
        for (mine, theirs) in self.ranges.iter_mut().zip(other.ranges) {
            mine.bucket.merge(theirs.bucket)?;
        }
        Ok(())
    }
}

fn merge_lists(mine: &mut [Bucket], theirs: Vec<Bucket>) -> Result<(), EvaluationError> {
    if mine.len() != theirs.len() {
        return Err(mismatch());
    }
    for (mine, theirs) in mine.iter_mut().zip(theirs) {
        mine.merge(theirs)?;
    }
    Ok(())
}

pub(crate) fn mismatch() -> EvaluationError {
    EvaluationError::Internal("partial aggregations of two requests met".to_owned())
}
