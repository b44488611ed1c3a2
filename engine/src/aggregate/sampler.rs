//! `sampler` and `diversified_sampler`: a bucket of the best documents.
//!
//! A segment keeps places and scores; sub-aggregations see its winners at the end, each in a bucket of its own.

use std::cmp::Ordering;

use gleaner_model::ShardKey;
use gleaner_partial::key::Key;
use gleaner_partial::request::keys::missing_key;
use gleaner_partial::sample::{Sample, SampleLimit, Sampled, SampledDoc};
use gleaner_partial::{Aggregations, Bucket, Partial};
use gleaner_query::aggregation::{Aggregation, SamplerAggregation, ValueSource};
use tantivy::DocId;

use super::BLOCK;
use super::metrics::grow;
use super::node::{Block, Buckets, Node, SegmentContext};
use super::source::Source;
use super::tuples::{Column, FIRST, Gathered, Part, Side};
use crate::error::EngineError;
use crate::view::SegmentView;

pub(super) fn build<'a>(
    request: &'a SamplerAggregation,
    sub: &'a [Aggregation],
    context: &mut SegmentContext<'a>,
) -> Result<Box<dyn Node + 'a>, EngineError> {
    let diversity = request.diversity.as_ref();
    let values = diversity.map(|diversity| Values::open(&diversity.source, context));
    Ok(Box::new(SamplerNode {
        request,
        limit: SampleLimit::of(request),
        values: values.transpose()?,
        segment: context.segment,
        shard: context.shard,
        owners: Vec::new(),
        buckets: Buckets::build(sub, context)?,
    }))
}

/// The values of which a sample has so many documents each.
struct Values {
    side: Side,
    /// The value of documents without one, where no document of the segment has it.
    missing: Option<Key>,
}

impl Values {
    fn open(source: &ValueSource, context: &SegmentContext<'_>) -> Result<Self, EngineError> {
        let opened = Source::open(source, context)?;
        let missing = source.missing.as_ref();
        let missing = missing.map(|value| missing_key(value, &opened.format, context.now_ms));
        let missing = missing.transpose()?;
        let column = Column::of_values(opened.values);
        // A document without a value and one that has what stands for it are alike in the segment already: a
        // document that is left out here does not come back.
        let held = match &missing {
            Some(key) => column.held_number(key)?,
            None => None,
        };
        let mut side = Side {
            column,
            missing: None,
            descending: false,
        };
        side.missing = Some(held.map_or(FIRST, |number| side.part(number)));
        Ok(Self { side, missing })
    }

    /// Returns the one value of a document.
    fn of(gathered: &Gathered, i: usize) -> Result<Part, EngineError> {
        match gathered.of(i) {
            [one] => Ok(*one),
            _ => Err(EngineError::query(
                "Sample diversifying key must be a single valued-field",
            )),
        }
    }
}

struct SamplerNode<'a> {
    request: &'a SamplerAggregation,
    limit: SampleLimit,
    values: Option<Values>,
    segment: &'a SegmentView,
    shard: ShardKey,
    /// Per owner, the best documents.
    owners: Vec<Vec<Candidate>>,
    buckets: Buckets<'a>,
}

/// A document that may be among the best.
#[derive(Clone, Copy)]
struct Candidate {
    score: f32,
    hash: u64,
    doc: DocId,
    value: Part,
}

impl Sampled for Candidate {
    /// The order of a sample, but for ids of one hash: inside a shard they stand as they were written.
    fn compare(&self, other: &Self) -> Ordering {
        (other.score.total_cmp(&self.score))
            .then_with(|| self.hash.cmp(&other.hash))
            .then_with(|| self.doc.cmp(&other.doc))
    }

    fn is_like(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl SamplerNode<'_> {
    /// Puts each candidate into a bucket, in the order of documents. Returns the candidates in the order of the
    /// buckets, with their owners.
    fn put_all(
        buckets: &mut Buckets<'_>,
        owners: Vec<Vec<Candidate>>,
    ) -> Result<Vec<(usize, Candidate)>, EngineError> {
        let numbered = owners.into_iter().enumerate();
        let mut all: Vec<(usize, Candidate)> = numbered
            .flat_map(|(owner, taken)| taken.into_iter().map(move |candidate| (owner, candidate)))
            .collect();
        all.sort_unstable_by_key(|(owner, candidate)| (candidate.doc, *owner));
        for part in all.chunks(BLOCK) {
            let docs: Vec<DocId> = part.iter().map(|(_, candidate)| candidate.doc).collect();
            let scores: Vec<f32> = part.iter().map(|(_, candidate)| candidate.score).collect();
            let block = Block {
                docs: &docs,
                owners: &vec![0; docs.len()],
                scores: Some(&scores),
            };
            for i in 0..docs.len() {
                let bucket = buckets.open()?;
                buckets.put(&block, i, bucket)?;
            }
            buckets.hand_on()?;
        }
        Ok(all)
    }
}

impl Node for SamplerNode<'_> {
    fn collect(&mut self, block: &Block<'_>) -> Result<(), EngineError> {
        grow(&mut self.owners, block, self.buckets.meter(), Vec::new)?;
        let gathered = self.values.as_mut();
        let gathered = gathered.map(|values| values.side.gather(block.docs));
        for (i, doc) in block.docs.iter().enumerate() {
            let value = gathered.as_ref().map(|gathered| Values::of(gathered, i));
            let candidate = Candidate {
                score: block.score(i).unwrap_or(0.0),
                hash: self.segment.id_hashes().get_val(*doc),
                doc: *doc,
                value: value.transpose()?.unwrap_or(FIRST),
            };
            let taken = &mut self.owners[block.owners[i] as usize];
            let num_before = taken.len();
            self.limit.offer(taken, candidate);
            if taken.len() > num_before {
                self.buckets.meter().charge(size_of::<Candidate>())?;
            }
        }
        Ok(())
    }

    fn finish(self: Box<Self>, num_owners: usize) -> Result<Vec<Partial>, EngineError> {
        let Self {
            request,
            values,
            shard,
            owners,
            mut buckets,
            ..
        } = *self;
        let all = Self::put_all(&mut buckets, owners)?;
        let keys = values.as_ref().map(|values| {
            let parts = all.iter().map(|(_, candidate)| candidate.value);
            values.side.keys(parts)
        });
        let keys = keys.transpose()?.unwrap_or_default();
        let missing = values.and_then(|values| values.missing);
        let mut samples = vec![Sample::new(request, Aggregations::default()); num_owners];
        let buckets: Vec<Bucket> = buckets.finish()?;
        for ((owner, candidate), bucket) in all.into_iter().zip(buckets) {
            let value = keys.get(&candidate.value).cloned().flatten();
            samples[owner].offer(SampledDoc {
                score: candidate.score,
                hash: candidate.hash,
                shard,
                value: value.or_else(|| missing.clone()),
                bucket,
            });
        }
        Ok(samples.into_iter().map(Partial::Sample).collect())
    }
}
