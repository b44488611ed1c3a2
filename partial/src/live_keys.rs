//! What buckets need to know of documents that are not in them: all keys, for `min_doc_count: 0` of `terms` below
//! other buckets, and the counts that `significant_terms` and `significant_text` compare with.
//!
//! Does: ask for them beside the request ([`with_live_keys`]), take them from the answer
//! ([`Aggregations::split_live_keys`]), put keys into a bucket ([`LiveKeys::fill`]).
//! Does not: look at documents.
//! Called by `root`.
//!
//! A segment without a bucket cannot put its keys into it. So all keys are asked for once, at the
//! top, where every segment gives those of its live documents, and the root puts them into each
//! bucket: the answer is the same for any layout.

use std::borrow::Cow;

use gleaner_query::aggregation::{
    self, Aggregation, AggregationKind, SignificantTermsAggregation, TermsAggregation, ValueSource,
};
use gleaner_query::dsl::Query;

use super::terms::{TermBucket, Terms};
use super::{Aggregations, Bucket, Partial};
use crate::error::EvaluationError;
use crate::key::ValueKind;

/// All keys of each `terms` below another aggregation that wants those without documents; none by
/// default.
#[derive(Debug, Default)]
pub struct LiveKeys<'a> {
    terms: Vec<(&'a TermsAggregation, Terms)>,
    /// Documents that each `significant_terms` compares with, with their terms inside.
    backgrounds: Vec<(&'a SignificantTermsAggregation, Bucket)>,
}

/// Returns `aggregations` as shards are asked, followed by what [`Aggregations::split_live_keys`]
/// takes off the answer.
pub fn with_live_keys(aggregations: &[Aggregation]) -> Vec<Aggregation> {
    let terms = wanting(aggregations).into_iter().map(|terms| {
        unnamed(AggregationKind::Terms(TermsAggregation {
            source: ValueSource {
                missing: None,
                ..terms.source.clone()
            },
            order: Vec::new(),
            shard_size: Some(TermsAggregation::ALL_KEYS),
            ..terms.clone()
        }))
    });
    let queries = aggregation::queries(aggregations);
    let backgrounds = comparing(aggregations).into_iter().map(|request| {
        let background = request.background.as_ref();
        let is_it = |query: &&Query| background.is_some_and(|own| std::ptr::eq(*query, own));
        let sub = match request.text {
            None => vec![unnamed(AggregationKind::Terms(request.terms()))],
            Some(_) => Vec::new(),
        };
        Aggregation {
            sub,
            ..unnamed(AggregationKind::Background {
                filter: queries.iter().position(is_it),
                words: request.text.as_ref().and_then(|text| text.compared.clone()),
            })
        }
    });
    let beside = terms.chain(backgrounds);
    aggregations.iter().cloned().chain(beside).collect()
}

fn unnamed(kind: AggregationKind) -> Aggregation {
    Aggregation {
        name: String::new(),
        meta: None,
        kind,
        sub: Vec::new(),
        pipelines: Vec::new(),
    }
}

impl Aggregations {
    /// Takes off what [`with_live_keys`] has added to `aggregations`.
    pub fn split_live_keys<'a>(&mut self, aggregations: &'a [Aggregation]) -> LiveKeys<'a> {
        let at = aggregations.len().min(self.0.len());
        let (mut terms, mut backgrounds) = (Vec::new(), Vec::new());
        for partial in self.0.split_off(at) {
            match partial {
                Partial::Terms(found) => terms.push(found),
                Partial::Single(found) => backgrounds.push(found),
                _ => {}
            }
        }
        LiveKeys {
            terms: wanting(aggregations).into_iter().zip(terms).collect(),
            backgrounds: comparing(aggregations)
                .into_iter()
                .zip(backgrounds)
                .collect(),
        }
    }
}

impl LiveKeys<'_> {
    /// Returns the keys of a bucket with those that none of its documents has, where they are wanted.
    pub(super) fn fill<'t>(
        &self,
        request: &TermsAggregation,
        terms: &'t Terms,
    ) -> Result<Cow<'t, Terms>, EvaluationError> {
        let Some(live) = self.of(request) else {
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
        filled.settle()?;
        Ok(Cow::Owned(filled))
    }

    /// Returns the type that all keys of a bucket can be read as, with those that [`LiveKeys::fill`] adds.
    pub(super) fn kind(&self, request: &TermsAggregation, terms: &Terms) -> ValueKind {
        let live = self.of(request).and_then(Terms::last_key);
        terms.format.kind.of_all(terms.last_key().max(live))
    }

    /// Returns all keys of a request that wants those without documents.
    fn of(&self, request: &TermsAggregation) -> Option<&Terms> {
        let mut all = self.terms.iter();
        let found = all.find(|(other, _)| std::ptr::eq(*other, request));
        found.map(|(_, live)| live)
    }
}

impl LiveKeys<'_> {
    /// Returns the documents that a request compares with, with their terms inside.
    pub(super) fn background(&self, request: &SignificantTermsAggregation) -> Option<&Bucket> {
        let mut all = self.backgrounds.iter();
        let found = all.find(|(other, _)| std::ptr::eq(*other, request));
        found.map(|(_, background)| background)
    }
}

/// Returns all `significant_terms` and `significant_text`, depth first.
pub(super) fn comparing(aggregations: &[Aggregation]) -> Vec<&SignificantTermsAggregation> {
    let mut found = Vec::new();
    for aggregation in aggregations {
        if let AggregationKind::SignificantTerms(request) = &aggregation.kind {
            found.push(request);
        }
        found.extend(comparing(&aggregation.sub));
    }
    found
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
