//! `histogram` and `date_histogram`: gaps are filled, then buckets are ordered.

use std::collections::BTreeMap;

use gleaner_query::aggregation::{
    Aggregation, BucketOrder, DateHistogramAggregation, HistogramAggregation,
};
use gleaner_query::answer::AggregationValue;

use super::{Finalizer, order};
use crate::error::EvaluationError;
use crate::key::{Fraction, Key, ValueFormat, ValueKind};
use crate::request::rounding::Rounding;
use crate::{Bucket, Histogram};

/// How buckets are ordered and returned.
struct Shape<'a> {
    format: &'a ValueFormat,
    order: &'a [(BucketOrder, bool)],
    min_doc_count: u64,
    keyed: bool,
}

impl Finalizer<'_> {
    pub(super) fn histogram(
        &mut self,
        request: &HistogramAggregation,
        partial: &Histogram,
        sub: &[Aggregation],
    ) -> Result<AggregationValue, EvaluationError> {
        let number = |value: f64| ((value - request.offset) / request.interval).floor();
        let key =
            |number: f64| Key::F64(Fraction::from(number * request.interval + request.offset));
        let mut filled: BTreeMap<Key, &Bucket> = BTreeMap::new();
        let empty = Bucket::default();
        if request.min_doc_count == 0 {
            let bounds = request.extended_bounds;
            let (min, max) = bounds.unwrap_or((f64::INFINITY, f64::NEG_INFINITY));
            let keys = partial.buckets.keys().filter_map(fraction);
            let (first, last) = extent(keys, (number(min), number(max)));
            self.check_room(last - first)?;
            filled.extend(steps(first, last).map(|at| (key(at), &empty)));
        }
        for (number, bucket) in &partial.buckets {
            filled.insert(fraction(number).map_or_else(|| number.clone(), key), bucket);
        }
        let shape = Shape {
            format: &partial.format,
            order: &request.order,
            min_doc_count: request.min_doc_count,
            keyed: request.keyed,
        };
        self.intervals(&shape, &filled, sub)
    }

    pub(super) fn date_histogram(
        &mut self,
        request: &DateHistogramAggregation,
        partial: &Histogram,
        sub: &[Aggregation],
    ) -> Result<AggregationValue, EvaluationError> {
        let rounding = Rounding::new(request)?;
        let mut filled: BTreeMap<Key, &Bucket> = BTreeMap::new();
        let empty = Bucket::default();
        if request.min_doc_count == 0 {
            let keys = partial.buckets.keys().filter_map(whole);
            let (first, last) = stretch(keys, partial.extended, &rounding);
            let width = rounding.min_width_ms() as f64;
            self.check_room((last as f64 - first as f64) / width / 2.0)?;
            let mut at = first;
            while at <= last {
                filled.insert(Key::I64(at), &empty);
                self.check_room(filled.len() as f64)?;
                let next = rounding.next(at);
                if next <= at {
                    // Time ends here.
                    break;
                }
                at = next;
            }
        }
        for (key, bucket) in &partial.buckets {
            filled.insert(key.clone(), bucket);
        }
        let mut format = partial.format.clone();
        if format.kind == ValueKind::Unmapped {
            // What stands for missing values is a date.
            format.kind = ValueKind::Date;
        }
        let shape = Shape {
            format: &format,
            order: &request.order,
            min_doc_count: request.min_doc_count,
            keyed: request.keyed,
        };
        self.intervals(&shape, &filled, sub)
    }

    fn intervals(
        &mut self,
        shape: &Shape<'_>,
        filled: &BTreeMap<Key, &Bucket>,
        sub: &[Aggregation],
    ) -> Result<AggregationValue, EvaluationError> {
        let pairs = filled.iter().map(|(key, bucket)| (key, *bucket));
        let mut buckets: Vec<(&Key, &Bucket)> = pairs
            .filter(|(_, bucket)| bucket.doc_count >= shape.min_doc_count)
            .collect();
        if !shape.order.is_empty() {
            order::sort(&mut buckets, shape.order, sub)?;
        }
        Ok(AggregationValue::Buckets {
            buckets: self.keyed_buckets(shape.format, &buckets, sub)?,
            keyed: shape.keyed,
            terms: None,
            beside: Vec::new(),
        })
    }

    /// Refuses a filling before it is made.
    fn check_room(&self, num_buckets: f64) -> Result<(), EvaluationError> {
        let limit = self.context.max_buckets;
        if num_buckets.is_nan() || num_buckets > limit as f64 {
            return Err(EvaluationError::TooManyBuckets { limit });
        }
        Ok(())
    }
}

/// Smallest and largest of the numbers and the bounds; an empty extent where there are no numbers and
/// not both bounds, of which an infinite one was not given.
fn extent(numbers: impl Iterator<Item = f64>, bounds: (f64, f64)) -> (f64, f64) {
    numbers.fold(bounds, |(min, max), n| (min.min(n), max.max(n)))
}

/// Starts of the first and the last bucket of dates: of these and of what the bounds are in. The first
/// is behind the last where there are none and not both bounds.
fn stretch(
    starts: impl Iterator<Item = i64>,
    extended: Option<(i64, i64)>,
    rounding: &Rounding,
) -> (i64, i64) {
    let (min, max) = extended.unwrap_or((i64::MAX, i64::MIN));
    // Ends of time were not given: every start replaces them.
    let first = if min == i64::MAX {
        min
    } else {
        rounding.round(min)
    };
    let last = if max == i64::MIN {
        max
    } else {
        rounding.round(max)
    };
    starts.fold((first, last), |(first, last), at| {
        (first.min(at), last.max(at))
    })
}

/// Returns the numbers from `first` to `last`, a whole one apart; where these are too large to be told
/// apart, those that can be.
fn steps(first: f64, last: f64) -> impl Iterator<Item = f64> {
    let next = |at: &f64| Some((at + 1.0).max(at.next_up()));
    std::iter::successors(Some(first), next).take_while(move |at| *at <= last)
}

fn fraction(key: &Key) -> Option<f64> {
    match key {
        Key::F64(value) => Some(value.get()),
        _ => None,
    }
}

fn whole(key: &Key) -> Option<i64> {
    match key {
        Key::I64(value) => Some(*value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_end_wherever_they_begin() {
        assert_eq!(steps(-1.0, 2.0).collect::<Vec<_>>(), [-1.0, 0.0, 1.0, 2.0]);
        assert_eq!(steps(3.4e38, 3.4e38).collect::<Vec<_>>(), [3.4e38]);
        let large = 9_007_199_254_740_992.0;
        assert_eq!(steps(large, large + 4.0).count(), 3);
        assert_eq!(steps(f64::INFINITY, f64::NEG_INFINITY).count(), 0);
    }
}
