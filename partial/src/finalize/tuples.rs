//! `composite`, `multi_terms` and `adjacency_matrix`: keys of several values.

use gleaner_query::aggregation::{
    AdjacencyAggregation, Aggregation, CompositeAggregation, CompositeSource, CompositeValues,
    GeoGrid, MultiTermsAggregation,
};
use gleaner_query::answer::{AggregationValue, Bucket as Answer, BucketKey, TermsTotals};
use serde_json::{Map, Value};

use super::format::part_value;
use super::{Finalizer, mismatch, order};
use crate::Bucket;
use crate::cells::cell_text;
use crate::error::EvaluationError;
use crate::key::{Key, ValueFormat, ValueKind};
use crate::request::keys::after_key;
use crate::tuples::Tuples;

impl Finalizer<'_> {
    pub(super) fn composite(
        &mut self,
        request: &CompositeAggregation,
        tuples: &Tuples,
        sub: &[Aggregation],
    ) -> Result<AggregationValue, EvaluationError> {
        let page = tuples.page(request);
        self.count_buckets(page.len())?;
        let mut buckets = Vec::with_capacity(page.len());
        for (key, bucket) in page {
            let mut shown = Map::new();
            for (at, source) in request.sources.iter().enumerate() {
                let value = key.get(at).and_then(Option::as_ref);
                let value = match (tuples.formats.get(at), value) {
                    (Some(format), Some(key)) => {
                        composite_value(source, format, key, self.context.now_ms)?
                    }
                    _ => Value::Null,
                };
                shown.insert(source.name.clone(), value);
            }
            buckets.push(Answer {
                key: BucketKey::Several {
                    shown: Value::Object(shown),
                    numbers: key.iter().map(|value| number(value.as_ref()?)).collect(),
                },
                key_as_string: None,
                doc_count: bucket.doc_count,
                beside: Vec::new(),
                sub: self.list(&bucket.sub, sub)?,
            });
        }
        let after = buckets.last().and_then(|bucket| match &bucket.key {
            BucketKey::Several { shown, .. } => Some(("after_key", shown.clone())),
            _ => None,
        });
        Ok(AggregationValue::Buckets {
            beside: after.into_iter().collect(),
            buckets,
            keyed: false,
            terms: None,
        })
    }

    pub(super) fn multi_terms(
        &mut self,
        request: &MultiTermsAggregation,
        tuples: &Tuples,
        sub: &[Aggregation],
    ) -> Result<AggregationValue, EvaluationError> {
        let pairs = tuples.buckets.iter();
        let (candidates, rare): (Vec<_>, Vec<_>) =
            pairs.partition(|(_, bucket)| bucket.doc_count >= request.min_doc_count);
        let rare: u64 = rare.iter().map(|(_, bucket)| bucket.doc_count).sum();
        let mut candidates: Vec<(&Vec<Option<Key>>, &Bucket)> = candidates;
        order::sort(&mut candidates, &request.order, sub)?;
        let (winners, others) = candidates.split_at(request.size.min(candidates.len()));
        let sum_other = others
            .iter()
            .fold(rare, |sum, (_, bucket)| sum + bucket.doc_count);
        self.count_buckets(winners.len())?;
        let mut buckets = Vec::with_capacity(winners.len());
        for (key, bucket) in winners {
            let values: Vec<Value> = key
                .iter()
                .zip(&tuples.formats)
                .map(|(value, format)| term_value(format, value.as_ref()))
                .collect();
            let texts: Vec<String> = values.iter().map(text).collect();
            buckets.push(Answer {
                key: BucketKey::Several {
                    shown: Value::Array(values),
                    numbers: Vec::new(),
                },
                key_as_string: Some(texts.join("|")),
                doc_count: bucket.doc_count,
                beside: Vec::new(),
                sub: self.list(&bucket.sub, sub)?,
            });
        }
        Ok(AggregationValue::Buckets {
            buckets,
            keyed: false,
            terms: Some(TermsTotals {
                error_upper_bound: 0,
                sum_other,
                show_error: request.show_term_doc_count_error,
            }),
            beside: Vec::new(),
        })
    }

    pub(super) fn adjacency(
        &mut self,
        request: &AdjacencyAggregation,
        tuples: &Tuples,
        sub: &[Aggregation],
    ) -> Result<AggregationValue, EvaluationError> {
        self.count_buckets(tuples.buckets.len())?;
        let name = |part: &Option<Key>| match part {
            Some(Key::I64(at)) => request
                .filters
                .get(*at as usize)
                .map(|(name, _)| name.as_str()),
            _ => None,
        };
        let mut buckets = Vec::with_capacity(tuples.buckets.len());
        for (key, bucket) in &tuples.buckets {
            let names: Option<Vec<&str>> = key.iter().map(name).collect();
            let names = names.ok_or_else(mismatch)?;
            buckets.push((names.join(&request.separator), bucket));
        }
        buckets.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut finished = Vec::with_capacity(buckets.len());
        for (key, bucket) in buckets {
            finished.push(Answer {
                key: BucketKey::Text(key),
                key_as_string: None,
                doc_count: bucket.doc_count,
                beside: Vec::new(),
                sub: self.list(&bucket.sub, sub)?,
            });
        }
        Ok(AggregationValue::Buckets {
            buckets: finished,
            keyed: false,
            terms: None,
            beside: Vec::new(),
        })
    }
}

/// Returns a value as a number, if it is one.
fn number(key: &Key) -> Option<f64> {
    match key {
        Key::I64(number) => Some(*number as f64),
        Key::U64(number) => Some(*number as f64),
        Key::F64(number) => Some(number.get()),
        Key::Ip(_) | Key::Text(_) => None,
    }
}

/// Returns a value as the keys of a page have it.
///
/// # Errors
/// [`EvaluationError::Query`] for a value that cannot be read back from what its source's format shows: a page could
/// not begin after it. So does Elasticsearch since 7.14.
fn composite_value(
    source: &CompositeSource,
    format: &ValueFormat,
    key: &Key,
    now_ms: i64,
) -> Result<Value, EvaluationError> {
    if let (CompositeValues::GeoTile { zoom, .. }, Key::I64(cell)) = (&source.values, key) {
        return Ok(Value::from(cell_text(GeoGrid::Geotile(*zoom), *cell)));
    }
    let Some(pattern) = source.source.format.as_deref() else {
        return Ok(part_value(format, key, false));
    };
    let shown = part_value(format, key, true);
    match after_key(source, &shown, format, now_ms) {
        Ok(read) if read == *key => Ok(shown),
        _ => Err(EvaluationError::Query(format!(
            "Format [{pattern}] created output it couldn't parse for value [{}]. formatted value: [{}]",
            text(&part_value(format, key, false)),
            text(&shown),
        ))),
    }
}

/// Returns a value of `multi_terms`: dates are shown as texts.
fn term_value(format: &ValueFormat, value: Option<&Key>) -> Value {
    let is_date = format.kind == ValueKind::Date;
    value.map_or(Value::Null, |key| {
        part_value(format, key, is_date || format.pattern.is_some())
    })
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
