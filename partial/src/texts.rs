//! `significant_text`: which terms are to be compared, when those of all documents are known.
//!
//! A shard cannot say in one answer how many of its documents have a term that only another shard has found. To send
//! the counts of all terms of a text would be to send its dictionary. So shards are asked once more, for the terms
//! that are frequent enough in some bucket.

use std::collections::BTreeSet;

use gleaner_query::aggregation::{
    Aggregation, AggregationKind, SignificantTermsAggregation, TextTerms, Words,
};

use super::key::Key;
use super::live_keys::comparing;
use super::terms::Terms;
use super::{Aggregations, Partial};
use crate::control::Control;
use crate::error::EvaluationError;

/// Sets in `again` which terms are to be compared, where that is not known yet; returns whether any are.
pub(super) fn compare(
    partials: &mut Aggregations,
    again: &mut [Aggregation],
) -> Result<bool, EvaluationError> {
    let is_open = |request: &&SignificantTermsAggregation| {
        let text = request.text.as_ref();
        text.is_some_and(|text| text.compared.is_none())
    };
    let open: Vec<_> = comparing(again).into_iter().filter(is_open).collect();
    if open.is_empty() {
        return Ok(false);
    }
    // A bucket of a sample has a document, not what it shares with others.
    partials.settle(&Control::unlimited())?;
    partials.settle_terms()?;
    let mut found = vec![BTreeSet::new(); open.len()];
    visit(partials, again, &mut |request, terms| {
        let mut all = open.iter();
        if let Some(at) = all.position(|other| std::ptr::eq(*other, request)) {
            let buckets = terms.buckets.iter();
            let frequent =
                buckets.filter(|(_, term)| term.bucket.doc_count >= request.min_doc_count);
            found[at].extend(frequent.filter_map(|(key, _)| match key {
                Key::Text(term) => Some(term.clone()),
                _ => None,
            }));
        }
    })?;
    let mut found = found.into_iter();
    for request in comparing_mut(again) {
        let field = &request.source.field;
        if let Some(text) = request.text.as_mut().filter(|text| is_unknown(text)) {
            text.compared = Some(Words {
                field: field.clone(),
                terms: found.next().unwrap_or_default().into_iter().collect(),
            });
        }
    }
    Ok(true)
}

/// Returns whether `asked`, which [`Aggregations::refine`] made, is for the counts that terms of `significant_text` are
/// compared with. Nothing else of its answers is used.
pub fn are_compared(asked: &[Aggregation]) -> bool {
    let texts = comparing(asked).into_iter();
    let mut texts = texts.filter_map(|request| request.text.as_ref());
    texts.any(|text| !is_unknown(text))
}

fn is_unknown(text: &TextTerms) -> bool {
    text.compared.is_none()
}

/// Calls `see` with the terms of each bucket of each `significant_text`.
fn visit<'a>(
    partials: &mut Aggregations,
    aggregations: &'a [Aggregation],
    see: &mut dyn FnMut(&'a SignificantTermsAggregation, &Terms),
) -> Result<(), EvaluationError> {
    for (partial, aggregation) in partials.0.iter_mut().zip(aggregations) {
        let holder = partial.holder(&aggregation.kind);
        if let (AggregationKind::SignificantTerms(request), Partial::Terms(terms)) =
            (&aggregation.kind, &*holder)
        {
            see(request, terms);
        }
        holder.try_for_each_bucket(&mut |bucket| visit(&mut bucket.sub, &aggregation.sub, see))?;
    }
    Ok(())
}

/// Returns what [`comparing`] does, to be changed.
fn comparing_mut(aggregations: &mut [Aggregation]) -> Vec<&mut SignificantTermsAggregation> {
    let mut found = Vec::new();
    for Aggregation { kind, sub, .. } in aggregations {
        if let AggregationKind::SignificantTerms(request) = kind {
            found.push(request);
        }
        found.extend(comparing_mut(sub));
    }
    found
}
