//! `auto_date_histogram` and `variable_width_histogram`: at most so many buckets, as wide as they must be.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::ops::Range;

use gleaner_query::aggregation::{Aggregation, AutoDateAggregation, VariableWidthAggregation};
use gleaner_query::answer::AggregationValue;
use serde_json::Value;

use super::{Finalizer, mismatch};
use crate::dates::Dates;
use crate::error::EvaluationError;
use crate::key::{Fraction, Key, ValueFormat, ValueKind};
use crate::{Bucket, Histogram};

impl Finalizer<'_> {
    pub(super) fn auto_dates(
        &mut self,
        request: &AutoDateAggregation,
        dates: &Dates,
        sub: &[Aggregation],
    ) -> Result<AggregationValue, EvaluationError> {
        let mut format = dates.format.clone();
        if format.kind == ValueKind::Unmapped {
            // What stands for missing values is a date.
            format.kind = ValueKind::Date;
        }
        self.charge(dates.buckets.values().map(Bucket::num_bytes).sum())?;
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
    ) -> Result<AggregationValue, EvaluationError> {
        let format = ValueFormat {
            kind: match values.format.kind {
                ValueKind::Date => ValueKind::Date,
                _ => ValueKind::Double,
            },
            ..values.format.clone()
        };
        self.charge(values.buckets.len() * VALUE_BYTES)?;
        let single: Vec<&Bucket> = values.buckets.values().collect();
        let mut buckets = Vec::new();
        for cluster in clustered(values, request.buckets)? {
            let joined = self.joined(&single[cluster.places.clone()])?;
            let key = Key::F64(Fraction::from(cluster.center()));
            let mut answers = self.keyed_buckets(&format, &[(&key, &joined)], sub)?;
            for answer in &mut answers {
                answer.beside = vec![
                    ("min", Value::from(cluster.min)),
                    ("max", Value::from(cluster.max)),
                ];
            }
            buckets.extend(answers);
        }
        Ok(AggregationValue::Buckets {
            buckets,
            keyed: false,
            terms: None,
            beside: Vec::new(),
        })
    }

    /// Returns buckets as one; what is copied for that is charged.
    fn joined<'b>(&mut self, buckets: &[&'b Bucket]) -> Result<Cow<'b, Bucket>, EvaluationError> {
        let (first, others) = buckets.split_first().ok_or_else(mismatch)?;
        let mut joined = Cow::Borrowed(*first);
        if !others.is_empty() {
            self.charge(first.num_bytes())?;
        }
        for other in others {
            self.charge(other.num_bytes())?;
            joined.to_mut().merge(Bucket::clone(other))?;
        }
        Ok(joined)
    }
}

/// What a value takes while neighbours are joined: its cluster, and two entries by distance.
const VALUE_BYTES: usize = size_of::<Cluster>() + 2 * size_of::<(Fraction, usize, usize)>();

/// Neighbouring values.
#[derive(Clone)]
struct Cluster {
    min: f64,
    max: f64,
    /// Sum of the values, each as often as there are documents of it.
    sum: f64,
    doc_count: u64,
    /// Places of the values among all.
    places: Range<usize>,
}

impl Cluster {
    fn center(&self) -> f64 {
        // Rounding must not lead out of the bucket.
        let mean = self.sum / self.doc_count as f64;
        mean.clamp(self.min, self.max)
    }

    fn join(&mut self, next: &Self) {
        self.max = next.max;
        self.sum += next.sum;
        self.doc_count += next.doc_count;
        self.places.end = next.places.end;
    }
}

/// Joins the two neighbours whose centers are closest, the first of them where several are, until there are no
/// more than `wanted`.
fn clustered(values: &Histogram, wanted: usize) -> Result<Vec<Cluster>, EvaluationError> {
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
            doc_count: bucket.doc_count,
            places: at..at + 1,
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
            cluster.join(&joined);
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
            let of = |c: &Cluster| (c.center(), c.doc_count);
            clusters.iter().map(of).collect::<Vec<_>>()
        };
        assert_eq!(shown(3), [(-2.5, 2), (1.0, 1), (4.5, 2)]);
        assert_eq!(shown(1), [(1.0, 5)]);
        assert_eq!(shown(9).len(), 5);
    }
}
