//! `top_hits` and `top_metrics`: the hits of a bucket.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use gleaner_model::mapping::Mapping;
use gleaner_model::{FieldKind, IndexUuid};
use gleaner_query::aggregation::{TopHitsAggregation, TopMetricsAggregation};
use gleaner_query::answer::{AggregationValue, FetchedHit, Hit, SortValue};
use gleaner_query::search::{SortKey, SortTarget};
use gleaner_query::sort_value::{Format, all_shown, formats, narrow_keys};
use serde_json::{Map, Value, json};

use super::FinalizeContext;
use crate::error::EvaluationError;
use crate::top_hits::{ShownValues, TopHit, TopHits};

/// How the values of each sort key are shown, per index.
type Formats = BTreeMap<IndexUuid, Vec<Format>>;

pub(super) fn value(
    request: &TopHitsAggregation,
    hits: &TopHits,
    context: &FinalizeContext<'_>,
) -> Result<AggregationValue, EvaluationError> {
    let formats = formats_of(request, context, |key, _| key.clone())?;
    let window = hits.hits.iter().skip(request.from).take(request.size);
    Ok(AggregationValue::TopHits {
        total: hits.total,
        max_score: hits.max_score,
        hits: window
            .map(|hit| returned(hit, &formats, context))
            .collect::<Result<_, _>>()?,
        has_version: request.version,
        has_seq_no: request.seq_no_primary_term,
        is_bare: request.is_bare(),
    })
}

/// Returns the answer of `top_metrics`: the values that hits are sorted by, asked for and then returned.
pub(super) fn metrics(
    request: &TopMetricsAggregation,
    hits: &TopHits,
    context: &FinalizeContext<'_>,
) -> Result<AggregationValue, EvaluationError> {
    let formats = formats_of(&request.hits, context, dated)?;
    let num_sorted = num_sorted(request);
    let shown = |hit: &TopHit| {
        let formats = formats.get(&hit.shard.index).map_or(&[][..], Vec::as_slice);
        let mut values = all_shown(&hit.keys, formats);
        let metrics = values.split_off(num_sorted.min(values.len()));
        let keys = hit.keys.iter().skip(num_sorted);
        let metrics = keys
            .zip(metrics)
            .map(|(key, value)| match stands_for_none(key) {
                true => Value::Null,
                false => value,
            });
        let named = request.metrics.iter().cloned().zip(metrics);
        json!({"sort": values, "metrics": named.collect::<Map<String, Value>>()})
    };
    let top = hits.hits.iter().take(request.hits.size).map(shown);
    let numbers = request.metrics.iter();
    let numbers = numbers.map(|name| (name.clone(), metric(request, hits, name)));
    Ok(AggregationValue::TopMetrics {
        top: top.collect(),
        numbers: numbers.collect(),
    })
}

/// Returns how many keys hits are sorted by as asked; those of the metrics follow.
fn num_sorted(request: &TopMetricsAggregation) -> usize {
    request.hits.sort.len() - request.metrics.len()
}

/// Returns a metric of the first hit; NaN where it has no value, `None` where that is no number.
pub(super) fn metric(request: &TopMetricsAggregation, hits: &TopHits, name: &str) -> Option<f64> {
    let at = request.metrics.iter().position(|metric| metric == name)?;
    let key = |hit: &TopHit| hit.keys.get(num_sorted(request) + at).cloned();
    match hits.hits.first().and_then(key) {
        None => Some(f64::NAN),
        Some(key) if stands_for_none(&key) => Some(f64::NAN),
        Some(SortValue::I64(number)) => Some(number as f64),
        Some(SortValue::U64(number)) => Some(number as f64),
        Some(SortValue::F64(number)) => Some(number),
        Some(SortValue::Text(_) | SortValue::Ip(_) | SortValue::Missing) => None,
    }
}

/// Returns a key whose dates are shown in the format of their field, where the request has none.
fn dated(key: &SortKey, mapping: &Mapping) -> SortKey {
    let mut key = key.clone();
    if let (SortTarget::Field(path), None) = (&key.target, &key.format)
        && let Some(FieldKind::Date { format, .. }) = mapping.field(path).map(|field| &field.kind)
    {
        key.format = Some(format.0.clone());
    }
    key
}

/// Returns whether a metric says that there was none. Fractions are never infinite: leaves of older versions send
/// what stands for a missing one.
fn stands_for_none(key: &SortValue) -> bool {
    match key {
        SortValue::F64(value) => value.is_infinite(),
        other => *other == SortValue::Missing,
    }
}

/// Returns how the values of sort keys are shown; `key_of` makes each into the one of an index.
fn formats_of(
    request: &TopHitsAggregation,
    context: &FinalizeContext<'_>,
    key_of: impl Fn(&SortKey, &Mapping) -> SortKey,
) -> Result<Formats, EvaluationError> {
    let mappings = context.mappings.values().map(|mapping| &**mapping);
    let narrow = narrow_keys(&request.sort, &mappings);
    let formats_of = |(index, mapping): (&IndexUuid, &Arc<Mapping>)| {
        let keys: Vec<SortKey> = request
            .sort
            .iter()
            .map(|key| key_of(key, mapping))
            .collect();
        formats(&keys, mapping, &narrow).map(|formats| (*index, formats))
    };
    let formats = context.mappings.iter().map(formats_of);
    formats
        .collect::<Result<_, _>>()
        .map_err(|error| EvaluationError::Query(error.reason))
}

fn returned(
    hit: &TopHit,
    formats: &Formats,
    context: &FinalizeContext<'_>,
) -> Result<Hit, EvaluationError> {
    let missing =
        || EvaluationError::Internal("a hit of `top_hits` came without content".to_owned());
    let content = hit.content.as_ref().ok_or_else(missing)?;
    let ShownValues {
        fields,
        explanation,
        matched_queries,
    } = ShownValues::of_text(&content.fields)?;
    let formats = formats.get(&hit.shard.index).map_or(&[][..], Vec::as_slice);
    Ok(Hit {
        index: context
            .names
            .get(&hit.shard.index)
            .cloned()
            .unwrap_or_default(),
        score: hit.score,
        sort: all_shown(&hit.keys, formats),
        content: FetchedHit {
            ignored: Vec::new(),
            ignored_values: indexmap::IndexMap::new(),
            matched_queries,
            id: content.id.clone(),
            routing: content.routing.clone(),
            seq_no: content.seq_no,
            term: content.term,
            version: content.version,
            source: Bytes::new(),
            fields,
            highlight: content.highlight.iter().cloned().collect(),
            explanation,
        },
        source: content.source.clone(),
        shard: hit.shard.shard.0,
        group: None,
        is_group_of_nanos: false,
        inner_hits: indexmap::IndexMap::new(),
    })
}
