//! `auto_date_histogram` and `variable_width_histogram`: at most so many buckets, as wide as they must be.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use gleaner_query::aggregation::{Aggregation, AutoDateAggregation, VariableWidthAggregation};
use gleaner_query::answer::AggregationValue;
use serde_json::Value;

use super::{Finalizer, mismatch};
use crate::error::EngineError;
use crate::partial::dates::Dates;
use crate::partial::key::{Fraction, Key, ValueFormat, ValueKind};
use crate::partial::{Bucket, Histogram};

impl Finalizer<'_> {
    pub(super) fn auto_dates(
        &mut self,
        request: &AutoDateAggregation,
        dates: &Dates,
        sub: &[Aggregation],
    ) -> Result<AggregationValue, EngineError> {
        let mut format = dates.format.clone();
        if format.kind == ValueKind::Unmapped {
            // What stands for missing values is a date.
            format.kind = ValueKind::Date;
        }
        let mut dates = dates.clone();
        dates.format.time_zone.clone_from(&request.time_zone);
        let (buckets, interval) = dates.finished(request.buckets)?;
        let keyed: Vec<(Key, Bucket)> = buckets
            .into_iter()
            .map(|(start, bucket)| (Key::I64(start), bucket))
            .collect();
        let pairs: Vec<(&Key, &Bucket)> = keyed.iter().map(|(key, bucket)| (key, bucket)).collect();
        Ok(AggregationValue::Buckets {
            buckets: self.keyed_buckets(&format, &pairs, sub)?,
            keyed: false,
            terms: None,
            beside: vec![("interval", Value::from(interval))],
        })
    }

    pub(super) fn variable_widths(
        &mut self,
        request: &VariableWidthAggregation,
        values: &Histogram,
        sub: &[Aggregation],
    ) -> Result<AggregationValue, EngineError> {
        let clusters = clustered(values, request.buckets)?;
        let keyed: Vec<(Key, &Bucket)> = clusters
            .iter()
            .map(|cluster| (Key::F64(Fraction::from(cluster.center())), &cluster.bucket))
            .collect();
        let pairs: Vec<(&Key, &Bucket)> =
            keyed.iter().map(|(key, bucket)| (key, *bucket)).collect();
        let format = ValueFormat {
            kind: match values.format.kind {
                ValueKind::Date => ValueKind::Date,
                _ => ValueKind::Double,
            },
            ..values.format.clone()
        };
        let mut buckets = self.keyed_buckets(&format, &pairs, sub)?;
        for (bucket, cluster) in buckets.iter_mut().zip(&clusters) {
            bucket.beside = vec![
                ("min", Value::from(cluster.min)),
                ("max", Value::from(cluster.max)),
            ];
        }
        Ok(AggregationValue::Buckets {
            buckets,
            keyed: false,
            terms: None,
            beside: Vec::new(),
        })
    }
}

/// Neighbouring values.
#[derive(Clone)]
struct Cluster {
    min: f64,
    max: f64,
    /// Sum of the values, each as often as there are documents of it.
    sum: f64,
    bucket: Bucket,
}

impl Cluster {
    fn center(&self) -> f64 {
        // Rounding must not lead out of the bucket.
        let mean = self.sum / self.bucket.doc_count as f64;
        mean.clamp(self.min, self.max)
    }

    fn join(&mut self, next: Self) -> Result<(), EngineError> {
        self.max = next.max;
        self.sum += next.sum;
        self.bucket.merge(next.bucket)
    }
}

/// Joins the two neighbours whose centers are closest, the first of them where several are, until there are no
/// more than `wanted`.
fn clustered(values: &Histogram, wanted: usize) -> Result<Vec<Cluster>, EngineError> {
    let mut clusters: BTreeMap<usize, Cluster> = BTreeMap::new();
    for (at, (key, bucket)) in values.buckets.iter().enumerate() {
        let Key::F64(value) = key else {
            return Err(mismatch());
        };
        let value = value.get();
        let cluster = Cluster {
            min: value,
            max: value,
            sum: value * bucket.doc_count as f64,
            bucket: bucket.clone(),
        };
        clusters.insert(at, cluster);
    }
    let distance = |a: &Cluster, b: &Cluster| Fraction::from(b.center() - a.center());
    let mut closest: BinaryHeap<Reverse<(Fraction, usize, usize)>> = BinaryHeap::new();
    let neighbours = clusters.iter().zip(clusters.iter().skip(1));
    closest.extend(neighbours.map(|((i, a), (j, b))| Reverse((distance(a, b), *i, *j))));
    while clusters.len() > wanted {
        let Some(Reverse((known, one, other))) = closest.pop() else {
            break;
        };
        let is_current = match (clusters.get(&one), clusters.get(&other)) {
            (Some(a), Some(b)) => {
                let next = clusters.range(one + 1..).next().map(|(at, _)| *at);
                next == Some(other) && distance(a, b) == known
            }
            _ => false,
        };
        // Of what has been joined since, a newer entry speaks.
        if !is_current {
            continue;
        }
        let Some(joined) = clusters.remove(&other) else {
            continue;
        };
        if let Some(cluster) = clusters.get_mut(&one) {
            cluster.join(joined)?;
        }
        let before = clusters.range(..one).next_back();
        let after = clusters.range(one + 1..).next();
        let own = clusters.get(&one).map(|own| (&one, own));
        for (a, b) in [before.zip(own), own.zip(after)].into_iter().flatten() {
            closest.push(Reverse((distance(a.1, b.1), *a.0, *b.0)));
        }
    }
    Ok(clusters.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closest_neighbours_are_joined_first() {
        let key = |value: f64| Key::F64(Fraction::from(value));
        let count = |doc_count| Bucket {
            doc_count,
            ..Bucket::default()
        };
        let values = [-3.0, -2.0, 1.0, 4.0, 5.0];
        let values = Histogram {
            buckets: values.map(|value| (key(value), count(1))).into(),
            ..Histogram::default()
        };
        let shown = |wanted| {
            let clusters = clustered(&values, wanted).expect("numbers");
            let of = |c: &Cluster| (c.center(), c.bucket.doc_count);
            clusters.iter().map(of).collect::<Vec<_>>()
        };
        assert_eq!(shown(3), [(-2.5, 2), (1.0, 1), (4.5, 2)]);
        assert_eq!(shown(1), [(1.0, 5)]);
        assert_eq!(shown(9).len(), 5);
    }
}
