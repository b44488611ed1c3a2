//! Order of buckets: by count, key, or a number below them.

use std::cmp::Ordering;

use gleaner_query::aggregation::{Aggregation, BucketOrder};

use super::metric;
use crate::error::EvaluationError;
use crate::{Bucket, Partial};

/// Sorts buckets by `order`, the key breaking ties upwards.
///
/// # Errors
/// [`EvaluationError::Query`] for a metric that is not below the buckets.
pub(super) fn sort<'a, K: Ord>(
    buckets: &mut Vec<(&'a K, &'a Bucket)>,
    order: &[(BucketOrder, bool)],
    sub: &[Aggregation],
) -> Result<(), EvaluationError> {
    let mut ranked = Vec::with_capacity(buckets.len());
    for (key, bucket) in buckets.drain(..) {
        let numbers = order.iter().map(|(by, _)| number(by, bucket, sub));
        ranked.push((numbers.collect::<Result<Vec<f64>, _>>()?, key, bucket));
    }
    ranked.sort_by(|a, b| {
        let mut keys = order
            .iter()
            .enumerate()
            .map(|(i, (by, descending))| match by {
                BucketOrder::Key => directed(a.1.cmp(b.1), *descending),
                BucketOrder::Count => directed(a.2.doc_count.cmp(&b.2.doc_count), *descending),
                BucketOrder::Metric(_) => compare_numbers(a.0[i], b.0[i], *descending),
            });
        keys.find(|order| order.is_ne())
            .unwrap_or_else(|| a.1.cmp(b.1))
    });
    buckets.extend(ranked.into_iter().map(|(_, key, bucket)| (key, bucket)));
    Ok(())
}

fn directed(order: Ordering, descending: bool) -> Ordering {
    if descending { order.reverse() } else { order }
}

/// Numbers of no values come last in both directions.
fn compare_numbers(a: f64, b: f64, descending: bool) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (false, false) => directed(a.total_cmp(&b), descending),
        (a, b) => a.cmp(&b),
    }
}

fn number(by: &BucketOrder, bucket: &Bucket, sub: &[Aggregation]) -> Result<f64, EvaluationError> {
    match by {
        BucketOrder::Metric(path) => at_path(bucket, sub, path).ok_or_else(|| invalid_path(path)),
        BucketOrder::Count | BucketOrder::Key => Ok(0.0),
    }
}

/// Follows `filter>stats.max`, `stats[max]`, `load.99.9`.
fn at_path(bucket: &Bucket, sub: &[Aggregation], path: &str) -> Option<f64> {
    if let Some((name, rest)) = path.split_once('>') {
        let position = sub.iter().position(|a| a.name == name.trim())?;
        let empty = Bucket::default();
        let inner = match bucket.sub.0.get(position) {
            Some(Partial::Single(inner)) => inner,
            None => &empty,
            Some(_) => return None,
        };
        return at_path(inner, &sub[position].sub, rest.trim());
    }
    let named = sub.iter().enumerate().filter_map(|(position, a)| {
        let rest = path.strip_prefix(a.name.as_str())?;
        let property = match rest.chars().next() {
            None => "",
            Some('.') => &rest[1..],
            Some('[') => rest[1..].strip_suffix(']')?,
            Some(_) => return None,
        };
        Some((a, position, property))
    });
    // Names may hold points: of `a` and `a.b`, the path `a.b` is the latter.
    let (aggregation, position, property) = named.max_by_key(|(a, ..)| a.name.len())?;
    match bucket.sub.0.get(position) {
        Some(Partial::Single(inner)) => {
            matches!(property, "" | "_count" | "doc_count").then_some(inner.doc_count as f64)
        }
        Some(partial) => metric::property(partial, &aggregation.kind, property),
        None => {
            let empty = Partial::empty(&aggregation.kind);
            metric::property(&empty, &aggregation.kind, property)
        }
    }
}

fn invalid_path(path: &str) -> EvaluationError {
    EvaluationError::Query(format!(
        "Invalid aggregation order path [{path}]. The provided aggregation [{path}] either does \
         not exist, or is a pipeline aggregation and cannot be used to sort the buckets."
    ))
}
