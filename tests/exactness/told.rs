//! What is compared of an answer: all but where documents lie.

use gleaner_model::{PrimaryTerm, SeqNo, Version};
use gleaner_query::answer::{AggregationResult, AggregationValue, Hit};
use gleaner_root::SearchResponse;
use serde_json::Value;

/// What is compared of an answer.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    total: Option<(u64, bool)>,
    max_score: Option<u32>,
    pub(crate) hits: Vec<ToldHit>,
    /// As they are shown for debugging: all their numbers, to the last digit.
    aggregations: String,
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
}

/// Returns what is compared of an answer.
pub(crate) fn told(response: &SearchResponse) -> Answer {
    let hits = response.hits.iter().map(|hit| {
        // The last value tells the next page where this one ended, by index and shard too.
        let asked = hit.sort.split_last().map_or(&[][..], |(_, asked)| asked);
        let content = &hit.content;
        ToldHit {
            id: content.id.to_string(),
            score: hit.score.map(f32::to_bits),
            sort: asked.to_vec(),
            shown: format!(
                "{:?} {:?} {:?}",
                content.matched_queries, content.fields, content.explanation
            ),
        }
    });
    let mut aggregations = response.aggregations.clone();
    leave_places_out(&mut aggregations);
    Answer {
        total: response.total.map(|total| (total.value, total.is_exact)),
        max_score: response.max_score.map(f32::to_bits),
        hits: hits.collect(),
        aggregations: format!("{aggregations:?}"),
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
