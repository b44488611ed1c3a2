//! `top_hits` and `top_metrics`: the hits of a bucket.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use gleaner_model::IndexUuid;
use gleaner_model::mapping::Mapping;
use gleaner_query::aggregation::{TopHitsAggregation, TopMetricsAggregation};
use gleaner_query::answer::{AggregationValue, FetchedHit, Hit, SortValue};
use gleaner_query::sort_value::{Format, all_shown, formats, narrow_keys};
use serde_json::{Map, Value, json};

use super::FinalizeContext;
use crate::error::EvaluationError;
use crate::top_hits::{TopHit, TopHits};

/// How the values of each sort key are shown, per index.
type Formats = BTreeMap<IndexUuid, Vec<Format>>;

pub(super) fn value(
    request: &TopHitsAggregation,
    hits: &TopHits,
    context: &FinalizeContext<'_>,
) -> Result<AggregationValue, EvaluationError> {
    let formats = formats_of(request, context)?;
    let window = hits.hits.iter().skip(request.from).take(request.size);
    Ok(AggregationValue::TopHits {
        total: hits.total,
        max_score: hits.max_score,
        hits: window
            .map(|hit| returned(hit, &formats, context))
            .collect::<Result<_, _>>()?,
        has_version: request.version,
        has_seq_no: request.seq_no_primary_term,
    })
}

/// Returns the answer of `top_metrics`: the values that hits are sorted by, asked for and then returned.
pub(super) fn metrics(
    request: &TopMetricsAggregation,
    hits: &TopHits,
    context: &FinalizeContext<'_>,
) -> Result<AggregationValue, EvaluationError> {
    let formats = formats_of(&request.hits, context)?;
    let num_sorted = request.hits.sort.len() - request.metrics.len();
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
    Ok(AggregationValue::Shown(vec![("top", top.collect())]))
}

/// Returns whether a sort value says that there was none: it is beyond all others then.
fn stands_for_none(key: &SortValue) -> bool {
    match key {
        SortValue::I64(value) => *value == i64::MAX,
        SortValue::U64(value) => *value == u64::MAX,
        SortValue::F64(value) => value.is_infinite(),
        other => *other == SortValue::Missing,
    }
}

/// Returns how the values of sort keys are shown.
fn formats_of(
    request: &TopHitsAggregation,
    context: &FinalizeContext<'_>,
) -> Result<Formats, EvaluationError> {
    let mappings = context.mappings.values().map(|mapping| &**mapping);
    let narrow = narrow_keys(&request.sort, &mappings);
    let formats_of = |(index, mapping): (&IndexUuid, &Arc<Mapping>)| {
        formats(&request.sort, mapping, &narrow).map(|formats| (*index, formats))
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
    let fields = serde_json::from_str(&content.fields)
        .map_err(|error| EvaluationError::Unreadable(format!("fields of `top_hits`: {error}")))?;
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
            matched_queries: Vec::new(),
            id: content.id.clone(),
            routing: content.routing.clone(),
            seq_no: content.seq_no,
            term: content.term,
            version: content.version,
            source: Bytes::new(),
            fields,
            highlight: content.highlight.iter().cloned().collect(),
            explanation: None,
        },
        source: content.source.clone(),
        shard: hit.shard.shard.0,
        group: None,
        inner_hits: indexmap::IndexMap::new(),
    })
}
