//! Partial result of `sampler` and `diversified_sampler`: the best documents, with what is computed of each.
//!
//! Which documents belong to the sample is known when all shards have answered. So each shard sends its own
//! best ones, each with the sub-aggregations of that document alone, and the root merges those of the
//! documents that are left ([`Aggregations::settle`]). Elasticsearch takes `shard_size` documents of each shard:
//! there, the answer depends on how many there are.

use std::cmp::Ordering;

use gleaner_model::ShardKey;
use gleaner_query::aggregation::SamplerAggregation;
use serde::{Deserialize, Serialize};

use super::key::Key;
use super::{Aggregations, Bucket, Partial};
use crate::control::Control;
use crate::error::EvaluationError;

/// The best documents of a segment, a shard or all shards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    limit: SampleLimit,
    /// The sub-aggregations of no documents, with the types and formats of the mapping.
    empty: Aggregations,
    /// The documents, best first.
    docs: Vec<SampledDoc>,
}

/// A document of a sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampledDoc {
    /// Its score.
    pub score: f32,
    /// The hash of its id, for documents of one score.
    pub hash: u64,
    /// Where it lies, for documents of one score and one hash: ids of several indices may be equal.
    pub shard: ShardKey,
    /// The value of which a sample has so many documents; `None` without one.
    pub value: Option<Key>,
    /// The document alone, with its sub-aggregations.
    pub bucket: Bucket,
}

/// How many documents are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleLimit {
    size: u32,
    per_value: Option<u32>,
}

/// A document that may be taken.
pub trait Sampled {
    /// Returns [`Ordering::Less`] for the better one. No two documents are equal.
    fn compare(&self, other: &Self) -> Ordering;

    /// Returns whether both have the same value.
    fn is_like(&self, other: &Self) -> bool;
}

impl SampleLimit {
    /// Returns the limits of a request.
    pub fn of(request: &SamplerAggregation) -> Self {
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let diversity = request.diversity.as_ref();
        Self {
            size: number(request.size),
            per_value: diversity.map(|diversity| number(diversity.max_docs_per_value)),
        }
    }

    /// Puts a document in its place among those taken, best first, where it belongs to them, and takes those
    /// out that do not any more.
    ///
    /// A document is taken where fewer than `per_value` better ones have its value, and fewer than `size`
    /// better ones are taken. Better ones only become more as documents are added: one that was left out stays
    /// out, so the result is the same in any order and grouping.
    pub fn offer<T: Sampled>(self, taken: &mut Vec<T>, doc: T) {
        let at = taken.partition_point(|other| other.compare(&doc) == Ordering::Less);
        if at >= self.size as usize {
            return;
        }
        if let Some(most) = self.per_value {
            let (better, others) = taken.split_at(at);
            let num_better = better.iter().filter(|other| other.is_like(&doc)).count();
            if num_better >= most as usize {
                return;
            }
            let mut worse = others.iter().enumerate();
            let surplus = worse
                .by_ref()
                .filter(|(_, other)| other.is_like(&doc))
                .nth(most as usize - num_better - 1);
            if let Some((behind, _)) = surplus {
                taken.remove(at + behind);
            }
        }
        taken.insert(at, doc);
        taken.truncate(self.size as usize);
    }
}

impl Sampled for SampledDoc {
    fn compare(&self, other: &Self) -> Ordering {
        (other.score.total_cmp(&self.score))
            .then_with(|| self.hash.cmp(&other.hash))
            .then_with(|| self.shard.cmp(&other.shard))
    }

    fn is_like(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Sample {
    /// Returns a sample without documents; `empty` is what is computed of none.
    pub fn new(request: &SamplerAggregation, empty: Aggregations) -> Self {
        Self {
            limit: SampleLimit::of(request),
            empty,
            docs: Vec::new(),
        }
    }

    /// Adds a document, if it belongs to the sample.
    pub fn offer(&mut self, doc: SampledDoc) {
        self.limit.offer(&mut self.docs, doc);
    }

    pub(super) fn merge(&mut self, other: Self) -> Result<(), EvaluationError> {
        self.empty.merge(other.empty)?;
        other.docs.into_iter().for_each(|doc| self.offer(doc));
        Ok(())
    }

    /// Returns the bucket of the sample; no more documents may come.
    fn settle(self, control: &Control) -> Result<Bucket, EvaluationError> {
        let mut bucket = Bucket {
            doc_count: 0,
            sub: self.empty,
        };
        for doc in self.docs {
            control.check()?;
            bucket.merge(doc.bucket)?;
        }
        // Samples below keys of several types would be passed over.
        bucket.sub.settle_terms()?;
        Ok(bucket)
    }

    pub(super) fn try_for_each_bucket<E>(
        &mut self,
        f: &mut dyn FnMut(&mut Bucket) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut docs = self.docs.iter_mut();
        docs.try_for_each(|doc| f(&mut doc.bucket))
    }

    /// Returns the memory that it takes with all below, roughly, in bytes.
    pub(super) fn num_bytes(&self) -> usize {
        let of_doc = |doc: &SampledDoc| {
            let value = doc.value.as_ref().map_or(0, Key::num_bytes);
            size_of::<SampledDoc>() + value + doc.bucket.num_bytes()
        };
        self.empty.num_bytes() + self.docs.iter().map(of_doc).sum::<usize>()
    }
}

impl Aggregations {
    /// Puts the bucket of its documents in the place of each sample, at any depth; to be called once all
    /// shards are merged.
    ///
    /// # Errors
    /// When `control` stops; when the documents are of different requests.
    pub(super) fn settle(&mut self, control: &Control) -> Result<(), EvaluationError> {
        for partial in &mut self.0 {
            if let Partial::Sample(sample) = partial {
                let empty = Sample {
                    limit: sample.limit,
                    empty: Self::default(),
                    docs: Vec::new(),
                };
                *partial = Partial::Single(std::mem::replace(sample, empty).settle(control)?);
            }
            partial.try_for_each_bucket(&mut |bucket| bucket.sub.settle(control))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq)]
    struct Doc {
        rank: u32,
        value: u8,
    }

    impl Sampled for Doc {
        fn compare(&self, other: &Self) -> Ordering {
            self.rank.cmp(&other.rank)
        }

        fn is_like(&self, other: &Self) -> bool {
            self.value == other.value
        }
    }

    /// Takes documents from the best on, as the definition says.
    fn expected(limit: SampleLimit, values: &[u8]) -> Vec<Doc> {
        let mut taken: Vec<Doc> = Vec::new();
        for (rank, value) in (0..).zip(values.iter().copied()) {
            let alike = taken.iter().filter(|doc| doc.value == value).count();
            let has_room = taken.len() < limit.size as usize;
            if has_room && limit.per_value.is_none_or(|most| alike < most as usize) {
                taken.push(Doc { rank, value });
            }
        }
        taken
    }

    proptest! {
        #[test]
        fn the_best_are_taken_in_any_order_and_grouping(
            values in prop::collection::vec(0_u8..5, 0..40),
            size in 1_u32..20,
            per_value in prop::option::of(1_u32..4),
            groups in prop::collection::vec(0_usize..3, 40),
            order in Just((0..40).collect::<Vec<usize>>()).prop_shuffle(),
        ) {
            let limit = SampleLimit { size, per_value };
            let mut taken = vec![Vec::new(); 3];
            for rank in order.into_iter().filter(|rank| *rank < values.len()) {
                let doc = Doc { rank: rank as u32, value: values[rank] };
                limit.offer(&mut taken[groups[rank]], doc);
            }
            let mut merged = Vec::new();
            taken.into_iter().flatten().for_each(|doc| limit.offer(&mut merged, doc));
            prop_assert_eq!(merged, expected(limit, &values));
        }
    }
}
