//! What partial results take in memory.

use super::key::Key;
use super::top_hits::TopHit;
use super::{Aggregations, Bucket, Partial};

impl Aggregations {
    pub(super) fn num_bytes(&self) -> usize {
        self.0.iter().map(Partial::num_bytes).sum()
    }
}

impl Bucket {
    /// Returns the memory that it takes with all below, roughly, in bytes.
    pub(super) fn num_bytes(&self) -> usize {
        size_of::<Self>() + self.sub.num_bytes()
    }
}

impl Partial {
    fn num_bytes(&self) -> usize {
        let inside: usize = match self {
            Self::Terms(terms) => {
                let lists = std::iter::once(terms).chain(&terms.apart);
                let buckets = lists.flat_map(|list| &list.buckets);
                let sizes = buckets.map(|(key, term)| key.num_bytes() + term.bucket.num_bytes());
                sizes.sum()
            }
            Self::Histogram(histogram) => {
                let buckets = histogram.buckets.iter();
                let sizes = buckets.map(|(key, bucket)| key.num_bytes() + bucket.num_bytes());
                sizes.sum()
            }
            Self::Ranges(ranges) => {
                let ranges = ranges.ranges.iter();
                ranges.map(|range| range.bucket.num_bytes()).sum()
            }
            Self::Filters(buckets) => buckets.iter().map(Bucket::num_bytes).sum(),
            Self::Single(bucket) => bucket.num_bytes(),
            Self::Tuples(tuples) => {
                let key = |parts: &[Option<Key>]| -> usize {
                    parts.iter().flatten().map(Key::num_bytes).sum()
                };
                let buckets = tuples.buckets.iter();
                let sizes = buckets.map(|(parts, bucket)| key(parts) + bucket.num_bytes());
                sizes.sum()
            }
            Self::Dates(dates) => dates.buckets.values().map(Bucket::num_bytes).sum(),
            Self::Distinct(distinct) => distinct.num_bytes(),
            Self::Percentiles { sketch, .. } => sketch.num_bytes(),
            Self::Hdr { histogram, .. } => histogram.num_bytes(),
            Self::Matrix(matrix) => matrix.num_bytes(),
            Self::Sample(sample) => sample.num_bytes(),
            Self::TopHits(hits) => hits.hits.iter().map(TopHit::num_bytes).sum(),
            Self::Numbers { .. } | Self::Weighted(_) | Self::Extent(_) => 0,
        };
        size_of::<Self>() + inside
    }
}

impl Key {
    pub(super) fn num_bytes(&self) -> usize {
        let text = match self {
            Self::Text(text) => text.len(),
            Self::I64(_) | Self::U64(_) | Self::F64(_) | Self::Ip(_) => 0,
        };
        size_of::<Self>() + text
    }
}

impl TopHit {
    fn num_bytes(&self) -> usize {
        let content = self.content.as_ref().map_or(0, |content| {
            let fragments = content
                .highlight
                .iter()
                .flat_map(|(_, fragments)| fragments);
            // A clone shares the source.
            content.fields.len() + fragments.map(String::len).sum::<usize>()
        });
        size_of::<Self>() + content
    }
}
