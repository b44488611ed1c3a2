//! What is compared of an answer: all but where documents lie.

use gleaner_model::{PrimaryTerm, SeqNo, Version};
use gleaner_query::answer::{AggregationResult, AggregationValue, Hit};
use gleaner_root::SearchResponse;
use serde_json::Value;

/// The name of the aggregation of which an answer says whether it has found something.
pub(crate) const PROBE: &str = "probe";

/// What is compared of an answer.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    total: Option<(u64, bool)>,
    max_score: Option<u32>,
    pub(crate) hits: Vec<ToldHit>,
    /// As they are shown for debugging: all their numbers, to the last digit.
    aggregations: String,
    /// Whether a result called [`PROBE`] is not empty.
    pub(crate) has_probe: bool,
    /// Named queries that hits match.
    num_matched: usize,
    /// Those of them that tell a score.
    num_scored: usize,
}

impl Answer {
    /// Returns whether there are hits within a hit.
    pub(crate) fn has_inner_hits(&self) -> bool {
        let mut lists = self.hits.iter().flat_map(|hit| &hit.inner);
        lists.any(|list| !list.hits.is_empty())
    }

    /// Returns whether hits match named queries, of which all have scores or none has one.
    pub(crate) fn has_matched_queries(&self, have_scores: bool) -> bool {
        let wanted = if have_scores { self.num_matched } else { 0 };
        self.num_matched > 0 && self.num_scored == wanted
    }
}

/// What is compared of a hit.
#[derive(Debug, PartialEq)]
pub(crate) struct ToldHit {
    id: String,
    /// Its bits.
    score: Option<u32>,
    /// Values sorted by.
    sort: Vec<Value>,
    /// Named queries that it matches, fields, and how its score came about, as aggregations are told.
    shown: String,
    /// The hits that it stands for.
    inner: Vec<ToldList>,
}

/// What is compared of the hits within a hit.
#[derive(Debug, PartialEq)]
struct ToldList {
    name: String,
    total: Option<(u64, bool)>,
    max_score: Option<u32>,
    hits: Vec<ToldHit>,
}

/// Returns what is compared of an answer.
pub(crate) fn told(response: &SearchResponse) -> Answer {
    let mut aggregations = response.aggregations.clone();
    leave_places_out(&mut aggregations);
    let hits = response.hits.iter();
    let matched: Vec<_> = hits.flat_map(|hit| &hit.content.matched_queries).collect();
    let scored = matched.iter().filter(|matched| matched.score.is_some());
    Answer {
        total: response.total.map(|total| (total.value, total.is_exact)),
        max_score: response.max_score.map(f32::to_bits),
        hits: response.hits.iter().map(told_hit).collect(),
        has_probe: has_probe(&aggregations),
        aggregations: format!("{aggregations:?}"),
        num_scored: scored.count(),
        num_matched: matched.len(),
    }
}

fn told_hit(hit: &Hit) -> ToldHit {
    // The last value tells the next page where this one ended, by index and shard too.
    let asked = hit.sort.split_last().map_or(&[][..], |(_, asked)| asked);
    let content = &hit.content;
    let inner = hit.inner_hits.iter().map(|(name, list)| ToldList {
        name: name.clone(),
        total: list.total,
        max_score: list.max_score.map(f32::to_bits),
        hits: list.hits.iter().map(told_hit).collect(),
    });
    ToldHit {
        id: content.id.to_string(),
        score: hit.score.map(f32::to_bits),
        sort: asked.to_vec(),
        shown: format!(
            "{:?} {:?} {:?}",
            content.matched_queries, content.fields, content.explanation
        ),
        inner: inner.collect(),
    }
}

/// Returns whether a result called [`PROBE`] is not empty, there or within buckets.
fn has_probe(results: &[AggregationResult]) -> bool {
    let is_one = |result: &AggregationResult| result.name == PROBE && is_filled(&result.value);
    let has_one = |result: &AggregationResult| match &result.value {
        AggregationValue::Buckets { buckets, .. } => {
            buckets.iter().any(|bucket| has_probe(&bucket.sub))
        }
        AggregationValue::Single { sub, .. } => has_probe(sub),
        _ => false,
    };
    results
        .iter()
        .any(|result| is_one(result) || has_one(result))
}

/// Returns whether a result is of some documents; of numbers, whether one is another than 0, which many are of nothing.
fn is_filled(value: &AggregationValue) -> bool {
    match value {
        AggregationValue::Buckets { buckets, .. } => {
            buckets.iter().any(|bucket| bucket.doc_count > 0)
        }
        AggregationValue::Single { doc_count, .. } => *doc_count > 0,
        AggregationValue::Number { value, .. }
        | AggregationValue::OfBuckets { value, .. }
        | AggregationValue::Derivative { value, .. } => {
            value.is_some_and(|value| value.is_finite() && value != 0.0)
        }
        AggregationValue::Stats(stats) => stats.count > 0,
        AggregationValue::Percentiles { values, .. } => values
            .iter()
            .any(|(_, value)| value.is_some_and(|value| value.is_finite() && value != 0.0)),
        AggregationValue::TopHits { hits, .. } => !hits.is_empty(),
        AggregationValue::TopMetrics { top, .. } => !top.is_empty(),
        // Some show how many documents they are of, also where that is none.
        AggregationValue::Shown(parts) => parts.iter().any(|(_, part)| part.as_u64() != Some(0)),
    }
}

/// Leaves out where the hits in aggregations lie.
fn leave_places_out(results: &mut [AggregationResult]) {
    for result in results {
        match &mut result.value {
            AggregationValue::Buckets { buckets, .. } => {
                for bucket in buckets {
                    leave_places_out(&mut bucket.sub);
                }
            }
            AggregationValue::Single { sub, .. } => leave_places_out(sub),
            AggregationValue::TopHits { hits, .. } => hits.iter_mut().for_each(leave_place_out),
            _ => {}
        }
    }
}

fn leave_place_out(hit: &mut Hit) {
    hit.index.clear();
    hit.shard = 0;
    let content = &mut hit.content;
    content.routing = None;
    (content.seq_no, content.term, content.version) = (SeqNo(0), PrimaryTerm(0), Version(0));
}
