//! Partial result of aggregations whose keys are several values: `composite`, `multi_terms` and
//! `adjacency_matrix`.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use gleaner_query::aggregation::{CompositeAggregation, CompositeSource, MissingOrder};
use serde::{Deserialize, Serialize};

use super::Bucket;
use super::key::{Fraction, Key, ValueFormat, ValueKind};
use crate::error::EvaluationError;

/// Buckets by several values.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Tuples {
    /// How the values of each place are shown.
    pub formats: Vec<ValueFormat>,
    /// Buckets; `None` is a missing value.
    pub buckets: BTreeMap<Vec<Option<Key>>, Bucket>,
}

impl Tuples {
    /// Returns no buckets.
    pub fn new(formats: Vec<ValueFormat>) -> Self {
        Self {
            formats,
            buckets: BTreeMap::new(),
        }
    }

    /// Adds the buckets of another segment or shard. Whole numbers of one index and fractions of another meet
    /// as fractions; what stands for missing values in an index without the field meets the values of another as
    /// one of them, where it can be read so.
    pub(super) fn merge(&mut self, mut other: Self) -> Result<(), EvaluationError> {
        if self.formats.is_empty() {
            std::mem::swap(&mut self.formats, &mut other.formats);
        }
        for (at, theirs) in std::mem::take(&mut other.formats).into_iter().enumerate() {
            let Some(mine) = self.formats.get(at).map(|format| format.kind) else {
                return Err(crate::aggregations::mismatch());
            };
            match (mine, theirs.kind) {
                (a, b) if a == b => {}
                (ValueKind::Unmapped, _) => self.retype(at, &theirs)?,
                (_, ValueKind::Unmapped) => other.retype(at, &self.formats[at])?,
                (a, b) if is_number(a) && is_number(b) => {
                    self.widen(at)?;
                    other.widen(at)?;
                    self.formats[at].kind = ValueKind::Double;
                }
                (a, b) => {
                    return Err(EvaluationError::Query(format!(
                        "the values of one key are [{a:?}] in one index and [{b:?}] in another"
                    )));
                }
            }
            self.formats[at].merge(theirs);
        }
        for (key, bucket) in other.buckets {
            self.buckets.entry(key).or_default().merge(bucket)?;
        }
        Ok(())
    }

    /// Turns whole numbers at a place into fractions.
    fn widen(&mut self, at: usize) -> Result<(), EvaluationError> {
        self.rekey(at, |value| match value {
            Key::I64(value) => Key::F64(Fraction::from(value as f64)),
            Key::U64(value) => Key::F64(Fraction::from(value as f64)),
            other => other,
        })
    }

    /// Turns texts at a place into values of `format`.
    fn retype(&mut self, at: usize, format: &ValueFormat) -> Result<(), EvaluationError> {
        self.rekey(at, |value| match &value {
            Key::Text(text) => format.read(text, false).unwrap_or(value),
            _ => value,
        })
    }

    /// Gives buckets other values at a place; two may become one.
    fn rekey(&mut self, at: usize, convert: impl Fn(Key) -> Key) -> Result<(), EvaluationError> {
        for (mut key, bucket) in std::mem::take(&mut self.buckets) {
            if let Some(value) = key.get_mut(at) {
                *value = value.take().map(&convert);
            }
            self.buckets.entry(key).or_default().merge(bucket)?;
        }
        Ok(())
    }

    /// Returns the first buckets of a page, in its order.
    pub(super) fn page(&self, request: &CompositeAggregation) -> Vec<(&Vec<Option<Key>>, &Bucket)> {
        let mut page: Vec<_> = self.buckets.iter().collect();
        page.sort_by(|(a, _), (b, _)| compare(&request.sources, a, b));
        page.truncate(request.size);
        page
    }

    /// Leaves out what is not on a page.
    pub fn keep_page(&mut self, request: &CompositeAggregation) {
        if self.buckets.len() <= request.size {
            return;
        }
        let page = self.page(request).into_iter();
        let page = page.map(|(key, bucket)| (key.clone(), bucket.clone()));
        self.buckets = page.collect();
    }
}

fn is_number(kind: ValueKind) -> bool {
    matches!(
        kind,
        ValueKind::Long | ValueKind::UnsignedLong | ValueKind::Double
    )
}

/// The order of the keys of `composite`.
fn compare(sources: &[CompositeSource], a: &[Option<Key>], b: &[Option<Key>]) -> Ordering {
    let mut pairs = sources.iter().zip(a.iter().zip(b));
    pairs
        .find_map(|(source, (a, b))| Some(compare_one(source, a, b)).filter(|order| order.is_ne()))
        .unwrap_or(Ordering::Equal)
}

fn compare_one(source: &CompositeSource, a: &Option<Key>, b: &Option<Key>) -> Ordering {
    if let (Some(a), Some(b)) = (a, b) {
        return match source.descending {
            true => b.cmp(a),
            false => a.cmp(b),
        };
    }
    let is_first = match source.missing_order {
        MissingOrder::First => true,
        MissingOrder::Last => false,
        MissingOrder::Default => !source.descending,
    };
    match is_first {
        true => a.is_some().cmp(&b.is_some()),
        false => b.is_some().cmp(&a.is_some()),
    }
}
