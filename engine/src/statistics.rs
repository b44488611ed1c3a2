//! Numbers that BM25 needs, over live documents only.
//!
//! Merges must not change a number: lengths are summed as quantised in the norms, N counts live
//! documents that have the field, and a term's document frequency is corrected against the live
//! set where a segment has deletes. What is computed about a segment is kept beside it
//! ([`SegmentNumbers`]) as long as its live documents stay the same.

mod segment;
pub(crate) mod totals;

use std::borrow::Cow;
use std::collections::BTreeMap;

use gleaner_model::{FieldKind, FieldPath};
use gleaner_partial::control::Control;
use gleaner_query::resolved::{FieldStatistics, Statistics, StatisticsRequest};
use tantivy::Term;

pub use segment::{FieldNumbers, SegmentNumbers};

use crate::schema::FieldHandle;
use crate::{EngineError, View};

/// Counts what `request` asks for in the live documents of `view`.
///
/// Every field and term asked for is in the answer, with zeros where the shard has none, so that a
/// missing number always means a mistake.
///
/// # Errors
/// When the index cannot be read, or `control` stops the count.
pub fn statistics(
    view: &View,
    request: &StatisticsRequest,
    control: &Control,
) -> Result<Statistics, EngineError> {
    let mut answer = Statistics::default();
    for (path, terms) in &request.fields {
        let handle = view.field(path.as_str());
        let numbers = match (feature(view, path), handle) {
            (Some(feature), _) => feature_statistics(view, &feature, control)?,
            (None, Some(handle)) => field_statistics(view, handle, control)?,
            (None, None) => FieldStatistics::default(),
        };
        answer.fields.insert(path.clone(), numbers);
        let mut counts = BTreeMap::new();
        for term in terms {
            let documents = match handle {
                Some(handle) => live_frequency(view, handle, term, control)?,
                None => 0,
            };
            counts.insert(term.clone(), documents);
        }
        answer.terms.insert(path.clone(), counts);
        if request.totals {
            let totals = match handle {
                Some(handle) => totals::of_field(view, handle, terms, control)?,
                None => totals::none(terms),
            };
            answer.totals.insert(path.clone(), totals);
        }
    }
    Ok(answer)
}

/// A field that `rank_feature` queries read, or a feature of one.
struct Feature<'a> {
    handle: Cow<'a, FieldHandle>,
    /// Do larger values score more?
    is_positive: bool,
}

fn feature<'a>(view: &'a View, path: &FieldPath) -> Option<Feature<'a>> {
    let handle = view.values(path.as_str())?;
    let FieldKind::Number { number, .. } = &handle.kind else {
        return None;
    };
    let is_positive = number.positive_score_impact()?;
    Some(Feature {
        handle,
        is_positive,
    })
}

fn feature_statistics(
    view: &View,
    feature: &Feature<'_>,
    control: &Control,
) -> Result<FieldStatistics, EngineError> {
    let mut sum = FieldStatistics::default();
    for segment in view.segments() {
        control.check()?;
        let numbers = segment.numbers();
        sum.add(numbers.of_feature(segment, &feature.handle, feature.is_positive)?);
    }
    Ok(sum)
}

fn field_statistics(
    view: &View,
    handle: &FieldHandle,
    control: &Control,
) -> Result<FieldStatistics, EngineError> {
    let mut sum = FieldStatistics::default();
    for segment in view.segments() {
        control.check()?;
        let numbers = match handle.kind.counts_occurrences() {
            true => segment.numbers().of_text(segment, handle.column)?.live,
            false => segment.numbers().of_values(segment, handle)?.live,
        };
        sum.add(numbers);
    }
    Ok(sum)
}

/// Returns how many live documents of `view` hold `term`.
///
/// # Errors
/// When the index cannot be read, or `control` stops the count.
pub(crate) fn live_frequency(
    view: &View,
    handle: &FieldHandle,
    term: &str,
    control: &Control,
) -> Result<u64, EngineError> {
    if !handle.kind.is_indexed() {
        return Ok(0);
    }
    let is_counted = handle.kind.counts_occurrences();
    let mut documents = 0;
    for segment in view.segments() {
        if is_counted
            && !segment.reader().has_deletes()
            && let Some(column) = segment.text_column(handle.column)?
        {
            documents += u64::from(column.frequency(term)?);
            continue;
        }
        let Some(term) = indexed(handle, term) else {
            break;
        };
        documents += segment.numbers().live_frequency(segment, &term, control)?;
    }
    Ok(documents)
}

/// Returns what `term` is in the index; `None` where the field cannot hold it. Values of a boolean
/// are the terms of [`Scalar::scored_term`](gleaner_query::resolved::Scalar::scored_term).
fn indexed(handle: &FieldHandle, term: &str) -> Option<Term> {
    match handle.kind {
        FieldKind::Boolean { .. } => {
            let value = term.parse().ok()?;
            Some(Term::from_field_bool(handle.column, value))
        }
        _ => Some(Term::from_field_text(handle.column, term)),
    }
}
