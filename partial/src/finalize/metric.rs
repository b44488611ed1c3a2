//! Metrics: numbers with their formatted forms.

use gleaner_query::aggregation::{AggregationKind, Metric};
use gleaner_query::answer::{AggregationValue, Figure, Spread, Stats};
use serde_json::{Value, json};

use super::format::number_text;
use super::top_hits;
use crate::Partial;
use crate::extent::GeoExtent;
use crate::key::{ValueFormat, ValueKind};
use crate::numbers::Numbers;
use crate::sketch::Sketch;

/// Returns the value of a metric; `None` where the partial result is of another kind.
pub(super) fn value(kind: &AggregationKind, partial: &Partial) -> Option<AggregationValue> {
    match (kind, partial) {
        (AggregationKind::Metric(metric, _), Partial::Numbers { format, numbers }) => {
            Some(numbers_value(*metric, format, numbers))
        }
        (AggregationKind::Cardinality { .. }, Partial::Distinct(distinct)) => {
            Some(AggregationValue::Number {
                value: Some(distinct.count() as f64),
                as_string: None,
            })
        }
        (
            AggregationKind::Percentiles {
                percents, keyed, ..
            },
            Partial::Percentiles { format, sketch },
        ) => {
            let at = |percent| percentile(sketch, format, percent);
            Some(several(percents, *keyed, format, at))
        }
        (
            AggregationKind::Percentiles {
                percents, keyed, ..
            },
            Partial::Hdr { format, histogram },
        ) => {
            let at = |percent| histogram.percentile(percent);
            Some(several(percents, *keyed, format, at))
        }
        (
            AggregationKind::PercentileRanks { values, keyed, .. },
            Partial::Percentiles { format, sketch },
        ) => Some(several(values, *keyed, format, |value| sketch.rank(value))),
        (
            AggregationKind::PercentileRanks { values, keyed, .. },
            Partial::Hdr { format, histogram },
        ) => {
            let at = |value| histogram.rank(value);
            Some(several(values, *keyed, format, at))
        }
        (AggregationKind::MedianAbsoluteDeviation(_), Partial::Percentiles { format, sketch }) => {
            Some(formatted(format, sketch.median_deviation()))
        }
        (AggregationKind::WeightedAverage(_), Partial::Weighted(weighted)) => {
            Some(formatted(&weighted.format, weighted.mean()))
        }
        (AggregationKind::GeoBounds { wraps, .. }, Partial::Extent(extent)) => {
            Some(AggregationValue::Shown(shown_box(extent, *wraps)))
        }
        (AggregationKind::GeoCentroid { .. }, Partial::Extent(extent)) => {
            Some(AggregationValue::Shown(shown_middle(extent)))
        }
        _ => None,
    }
}

fn formatted(format: &ValueFormat, value: Option<f64>) -> AggregationValue {
    AggregationValue::Number {
        value,
        as_string: value.and_then(|value| number_text(format, value)),
    }
}

/// Returns values by percent, or percentages by value. The texts of both are formatted as the values are, as in
/// Elasticsearch.
fn several(
    asked: &[f64],
    keyed: bool,
    format: &ValueFormat,
    at: impl Fn(f64) -> Option<f64>,
) -> AggregationValue {
    let values: Vec<(f64, Option<f64>)> = asked.iter().map(|one| (*one, at(*one))).collect();
    let texts = values
        .iter()
        .map(|(_, found)| number_text(format, (*found)?));
    AggregationValue::Percentiles {
        as_strings: texts.collect(),
        values,
        keyed,
    }
}

fn shown_point(latitude: f64, longitude: f64) -> Value {
    json!({"lat": latitude, "lon": longitude})
}

fn shown_box(extent: &GeoExtent, wraps: bool) -> Vec<(&'static str, Value)> {
    let corners = extent.corners(wraps).map(|corners| {
        let [top_left, bottom_right] = corners.map(|corner| {
            let (latitude, longitude) = corner.degrees();
            shown_point(latitude, longitude)
        });
        json!({"top_left": top_left, "bottom_right": bottom_right})
    });
    corners
        .map(|corners| ("bounds", corners))
        .into_iter()
        .collect()
}

fn shown_middle(extent: &GeoExtent) -> Vec<(&'static str, Value)> {
    let place = extent
        .middle()
        .map(|(latitude, longitude)| shown_point(latitude, longitude));
    let place = place.map(|place| ("location", place)).into_iter();
    place
        .chain([("count", Value::from(extent.count))])
        .collect()
}

fn percentile(sketch: &Sketch, format: &ValueFormat, percent: f64) -> Option<f64> {
    match format.kind {
        ValueKind::Date => sketch.percentile_in_proportion(percent),
        _ => sketch.percentile(percent),
    }
}

fn numbers_value(metric: Metric, format: &ValueFormat, numbers: &Numbers) -> AggregationValue {
    match single(metric, numbers) {
        Some(value) => AggregationValue::Number {
            value,
            as_string: match metric {
                Metric::ValueCount => None,
                _ => value.and_then(|value| number_text(format, value)),
            },
        },
        None => AggregationValue::Stats(stats(metric, format, numbers)),
    }
}

/// Returns the number of a metric that has one.
fn single(metric: Metric, numbers: &Numbers) -> Option<Option<f64>> {
    let some = (numbers.count > 0).then_some(());
    match metric {
        Metric::Avg => Some(numbers.mean()),
        Metric::Min => Some(some.map(|()| numbers.min)),
        Metric::Max => Some(some.map(|()| numbers.max)),
        Metric::Sum => Some(Some(numbers.sum.value())),
        Metric::ValueCount => Some(Some(numbers.count as f64)),
        Metric::Stats | Metric::ExtendedStats { .. } => None,
    }
}

fn stats(metric: Metric, format: &ValueFormat, numbers: &Numbers) -> Stats {
    let sum = numbers.sum.value();
    let as_strings = numbers.mean().and_then(|mean| {
        let text = |value| number_text(format, value);
        Some([
            text(numbers.min)?,
            text(numbers.max)?,
            text(mean)?,
            text(sum)?,
        ])
    });
    let spread = match metric {
        Metric::ExtendedStats { sigma } => spread(format, numbers, sigma),
        _ => None,
    };
    Stats {
        count: numbers.count,
        min: numbers.min,
        max: numbers.max,
        sum,
        spread: spread.map(Box::new),
        as_strings,
    }
}

/// Returns what `extended_stats` tells; `None` where squares were not summed.
fn spread(format: &ValueFormat, numbers: &Numbers, sigma: f64) -> Option<Spread> {
    let figure = |name: &str| {
        let value = stats_property(numbers, name, sigma)?;
        Some(Figure {
            value,
            text: number_text(format, value),
        })
    };
    Some(Spread {
        sum_of_squares: figure("sum_of_squares")?,
        variance: [figure("variance_population")?, figure("variance_sampling")?],
        deviation: [
            figure("std_deviation_population")?,
            figure("std_deviation_sampling")?,
        ],
        bounds: [
            [
                figure("std_upper_population")?,
                figure("std_lower_population")?,
            ],
            [figure("std_upper_sampling")?, figure("std_lower_sampling")?],
        ],
    })
}

/// Returns a number below an aggregation by which buckets can be ordered, such as `max` of `stats`.
pub(super) fn property(partial: &Partial, kind: &AggregationKind, name: &str) -> Option<f64> {
    match (kind, partial) {
        (AggregationKind::Metric(metric, _), Partial::Numbers { numbers, .. }) => {
            match single(*metric, numbers) {
                Some(value) => is_value(name).then(|| value.unwrap_or_else(|| of_nothing(*metric))),
                None => stats_property(numbers, name, sigma_of(*metric)),
            }
        }
        (AggregationKind::PercentileRanks { .. }, Partial::Percentiles { sketch, .. }) => {
            let value: f64 = name.parse().ok()?;
            Some(sketch.rank(value).unwrap_or(f64::NAN))
        }
        (AggregationKind::PercentileRanks { .. }, Partial::Hdr { histogram, .. }) => {
            let value: f64 = name.parse().ok()?;
            Some(histogram.rank(value).unwrap_or(f64::NAN))
        }
        (AggregationKind::Percentiles { .. }, Partial::Hdr { histogram, .. }) => {
            let percent: f64 = name.parse().ok()?;
            Some(histogram.percentile(percent).unwrap_or(f64::NAN))
        }
        (AggregationKind::MedianAbsoluteDeviation(_), Partial::Percentiles { sketch, .. }) => {
            is_value(name).then(|| sketch.median_deviation().unwrap_or(f64::NAN))
        }
        (AggregationKind::WeightedAverage(_), Partial::Weighted(weighted)) => {
            is_value(name).then(|| weighted.mean().unwrap_or(f64::NAN))
        }
        (AggregationKind::Cardinality { .. }, Partial::Distinct(distinct)) => {
            is_value(name).then(|| distinct.count() as f64)
        }
        (AggregationKind::TopMetrics(request), Partial::TopHits(hits)) => {
            // What is no number comes last, as what is missing.
            let is_asked = request.metrics.iter().any(|metric| metric == name);
            is_asked.then(|| top_hits::metric(request, hits, name).unwrap_or(f64::NAN))
        }
        (AggregationKind::Percentiles { .. }, Partial::Percentiles { format, sketch }) => {
            let percent: f64 = name.parse().ok()?;
            Some(percentile(sketch, format, percent).unwrap_or(f64::NAN))
        }
        _ => None,
    }
}

/// Returns whether a name is that of the only number there is.
fn is_value(name: &str) -> bool {
    name == "value" || name.is_empty()
}

/// Returns the deviations between the mean and the bounds of a metric that has them.
fn sigma_of(metric: Metric) -> f64 {
    match metric {
        Metric::ExtendedStats { sigma } => sigma,
        _ => 0.0,
    }
}

/// Returns the number that buckets without values are ordered by: what their statistics begin with.
fn of_nothing(metric: Metric) -> f64 {
    match metric {
        Metric::Min => f64::INFINITY,
        Metric::Max => f64::NEG_INFINITY,
        _ => f64::NAN,
    }
}

fn stats_property(numbers: &Numbers, name: &str, sigma: f64) -> Option<f64> {
    let mean = numbers.mean().unwrap_or(f64::NAN);
    match name {
        "count" => Some(numbers.count as f64),
        "min" => Some(numbers.min),
        "max" => Some(numbers.max),
        "sum" => Some(numbers.sum.value()),
        "avg" => Some(mean),
        _ => spread_property(numbers, mean, sigma, name),
    }
}

/// Returns a number that `extended_stats` alone has.
fn spread_property(numbers: &Numbers, mean: f64, sigma: f64, name: &str) -> Option<f64> {
    let squares = numbers.squares.as_ref()?.value();
    let (count, sum) = (numbers.count as f64, numbers.sum.value());
    // Without values it is no number; with one, the sampled spread is none.
    let deviation = squares - sum * sum / count;
    let over = |divisor: f64| {
        let variance = deviation / divisor;
        if variance < 0.0 { 0.0 } else { variance }
    };
    let (population, sampling) = (over(count), over(count - 1.0));
    let bound = |variance: f64, sign: f64| mean + sign * sigma * variance.sqrt();
    Some(match name {
        "sum_of_squares" => squares,
        "variance" | "variance_population" => population,
        "variance_sampling" => sampling,
        "std_deviation" | "std_deviation_population" => population.sqrt(),
        "std_deviation_sampling" => sampling.sqrt(),
        "std_upper" | "std_upper_population" => bound(population, 1.0),
        "std_lower" | "std_lower_population" => bound(population, -1.0),
        "std_upper_sampling" => bound(sampling, 1.0),
        "std_lower_sampling" => bound(sampling, -1.0),
        _ => return None,
    })
}
