//! Keys that no document of a bucket has: `min_doc_count: 0` of `terms` below other buckets.
//!
//! Does: ask for such keys beside the request ([`with_live_keys`]), take them from the answer
//! ([`Aggregations::split_live_keys`]), put them into a bucket ([`LiveKeys::fill`]).
//! Does not: look at documents.
//! Called by `root`.
//!
//! A segment without a bucket cannot put its keys into it. So all keys are asked for once, at the
//! top, where every segment gives those of its live documents, and the root puts them into each
//! bucket: the answer is the same for any layout.

use std::borrow::Cow;

use gleaner_query::aggregation::{Aggregation, AggregationKind, TermsAggregation, ValueSource};

use super::terms::{TermBucket, Terms};
use super::{Aggregations, Partial};
use crate::error::EngineError;

/// More keys than a shard has: its list is not cut.
const ALL_KEYS: usize = i32::MAX as usize;

/// All keys of each `terms` below another aggregation that wants those without documents; none by
/// default.
#[derive(Debug, Default)]
pub struct LiveKeys<'a>(Vec<(&'a TermsAggregation, Terms)>);

/// Returns `aggregations` as shards are asked, followed by what [`Aggregations::split_live_keys`]
/// takes off the answer.
pub fn with_live_keys(aggregations: &[Aggregation]) -> Vec<Aggregation> {
    let beside = wanting(aggregations).into_iter().map(|terms| Aggregation {
        name: String::new(),
        meta: None,
        kind: AggregationKind::Terms(TermsAggregation {
            source: ValueSource {
                missing: None,
                ..terms.source.clone()
            },
            order: Vec::new(),
            shard_size: Some(ALL_KEYS),
            ..terms.clone()
        }),
        sub: Vec::new(),
        pipelines: Vec::new(),
    });
    aggregations.iter().cloned().chain(beside).collect()
}

impl Aggregations {
    /// Takes off what [`with_live_keys`] has added to `aggregations`.
    pub fn split_live_keys<'a>(&mut self, aggregations: &'a [Aggregation]) -> LiveKeys<'a> {
        let at = aggregations.len().min(self.0.len());
        let terms = self.0.split_off(at).into_iter();
        let terms = terms.filter_map(|partial| match partial {
            Partial::Terms(terms) => Some(terms),
            _ => None,
        });
        LiveKeys(wanting(aggregations).into_iter().zip(terms).collect())
    }
}

impl LiveKeys<'_> {
    /// Returns the keys of a bucket with those that none of its documents has, where they are wanted.
    pub(super) fn fill<'t>(
        &self,
        request: &TermsAggregation,
        terms: &'t Terms,
    ) -> Result<Cow<'t, Terms>, EngineError> {
        let is_it = |(other, _): &&(&TermsAggregation, Terms)| std::ptr::eq(*other, request);
        let Some((_, live)) = self.0.iter().find(is_it) else {
            return Ok(Cow::Borrowed(terms));
        };
        let keys = live.buckets.keys();
        let mut filled = Terms {
            format: live.format.clone(),
            buckets: keys
                .map(|key| (key.clone(), TermBucket::default()))
                .collect(),
            ..Terms::default()
        };
        filled.merge(terms.clone())?;
        Ok(Cow::Owned(filled))
    }
}

/// Returns the `terms` below others that want keys without documents, depth first.
fn wanting(aggregations: &[Aggregation]) -> Vec<&TermsAggregation> {
    let mut found = Vec::new();
    for aggregation in aggregations {
        collect(&aggregation.sub, &mut found);
    }
    found
}

fn collect<'a>(aggregations: &'a [Aggregation], found: &mut Vec<&'a TermsAggregation>) {
    for aggregation in aggregations {
        if let AggregationKind::Terms(terms) = &aggregation.kind
            && terms.min_doc_count == 0
        {
            found.push(terms);
        }
        collect(&aggregation.sub, found);
    }
}
