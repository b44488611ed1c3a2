//! Partial result of `top_hits`: the best hits of a bucket, with their content.

mod shown;

use std::cmp::Ordering;

use bytes::Bytes;
use gleaner_model::{DocumentId, PrimaryTerm, SeqNo, ShardKey, Version};
use gleaner_query::aggregation::TopHitsAggregation;
use gleaner_query::answer::SortValue;
use gleaner_query::order::compare_values;
use gleaner_query::resolved::TieBreak;
use gleaner_query::search::{Missing, SortKey};
use serde::{Deserialize, Serialize};

pub use shown::ShownValues;

/// The best hits of a bucket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopHits {
    /// Hits kept: `from` + `size`.
    limit: u32,
    /// Direction of each sort key.
    directions: Vec<Direction>,
    /// Documents in the bucket.
    pub total: u64,
    /// Largest score, where scores were computed.
    pub max_score: Option<f32>,
    /// In order.
    pub hits: Vec<TopHit>,
}

/// How a sort key is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Direction {
    descending: bool,
    missing_first: bool,
}

/// A hit of a bucket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopHit {
    /// Score, where computed.
    pub score: Option<f32>,
    /// Values of the sort keys; empty when ordered by score.
    pub keys: Vec<SortValue>,
    /// Last key of the order.
    pub tie: TieBreak,
    /// Where it is.
    pub shard: ShardKey,
    /// Place in the shard's view; of no use once `content` is there.
    pub place: u64,
    /// What is returned of it; filled in when the shard's winners are known.
    pub content: Option<TopHitContent>,
}

/// What is returned of a hit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopHitContent {
    /// The document's id.
    pub id: DocumentId,
    /// Routing value.
    pub routing: Option<String>,
    /// Number.
    pub seq_no: SeqNo,
    /// Term of the primary that wrote it.
    pub term: PrimaryTerm,
    /// Version.
    pub version: Version,
    /// `_source` after filtering; `None` where it is not returned.
    pub source: Option<Bytes>,
    /// Values per field, the explanation and named queries, as text of [`ShownValues`].
    pub fields: String,
    /// Highlighted fragments per field.
    pub highlight: Vec<(String, Vec<String>)>,
}

impl TopHits {
    /// Returns the hits of no documents.
    pub fn new(request: &TopHitsAggregation) -> Self {
        Self {
            limit: u32::try_from(request.from.saturating_add(request.size)).unwrap_or(u32::MAX),
            directions: request.sort.iter().map(Direction::of).collect(),
            total: 0,
            max_score: None,
            hits: Vec::new(),
        }
    }

    /// Adds a hit in its place, dropping the worst one beyond the limit. Does not count it.
    pub fn insert(&mut self, hit: TopHit) {
        let at = self
            .hits
            .partition_point(|other| self.compare(other, &hit) == Ordering::Less);
        if at < self.limit as usize {
            self.hits.insert(at, hit);
            self.hits.truncate(self.limit as usize);
        }
    }

    /// Adds the hits of another segment or shard.
    pub(super) fn merge(&mut self, other: Self) {
        self.total = self.total.saturating_add(other.total);
        let scores = [self.max_score, other.max_score];
        self.max_score = scores.into_iter().flatten().reduce(f32::max);
        other.hits.into_iter().for_each(|hit| self.insert(hit));
    }

    fn compare(&self, a: &TopHit, b: &TopHit) -> Ordering {
        self.compare_keys(a, b)
            .then_with(|| a.tie.cmp(&b.tie))
            .then_with(|| a.shard.cmp(&b.shard))
    }

    fn compare_keys(&self, a: &TopHit, b: &TopHit) -> Ordering {
        if self.directions.is_empty() {
            let of = |hit: &TopHit| hit.score.unwrap_or(0.0);
            return of(b).total_cmp(&of(a));
        }
        let values = a.keys.iter().zip(&b.keys).zip(&self.directions);
        values
            .map(|((a, b), direction)| direction.compare(a, b))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}

impl Direction {
    fn of(key: &SortKey) -> Self {
        Self {
            descending: key.descending,
            missing_first: key.missing == Missing::First,
        }
    }

    fn compare(self, a: &SortValue, b: &SortValue) -> Ordering {
        let (a_missing, b_missing) = (*a == SortValue::Missing, *b == SortValue::Missing);
        if a_missing || b_missing {
            let order = a_missing.cmp(&b_missing);
            return if self.missing_first {
                order.reverse()
            } else {
                order
            };
        }
        let order = compare_values(a, b);
        if self.descending {
            order.reverse()
        } else {
            order
        }
    }
}
