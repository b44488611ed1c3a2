//! Exact numbers of a field: how many postings its terms have, and how often they occur, in live documents.
//!
//! Does: count. Does not: rank by them; lengths in norms are quantised, these are not. Called by: [`super::statistics`].

use std::collections::{BTreeMap, BTreeSet};

use gleaner_partial::control::Control;
use gleaner_query::resolved::FieldTotals;
use tantivy::postings::{Postings, SegmentPostings};
use tantivy::schema::IndexRecordOption;
use tantivy::{DocSet, TERMINATED};

use super::indexed;
use crate::schema::FieldHandle;
use crate::view::SegmentView;
use crate::{EngineError, View};

/// Postings between two looks at the clock.
const POSTINGS_PER_CHECK: u32 = 65_536;

/// Terms between two looks at the clock.
const TERMS_PER_CHECK: u32 = 4_096;

/// Postings, and occurrences.
pub(crate) type Counts = (u64, u64);

/// Returns the numbers of a field that the shard does not have.
pub(super) fn none(terms: &BTreeSet<String>) -> FieldTotals {
    FieldTotals {
        terms: terms.iter().map(|term| (term.clone(), 0)).collect(),
        ..FieldTotals::default()
    }
}

/// Counts a field and the terms asked for in the live documents of `view`.
///
/// # Errors
/// When the index cannot be read, or `control` stops the count.
pub(super) fn of_field(
    view: &View,
    handle: &FieldHandle,
    terms: &BTreeSet<String>,
    control: &Control,
) -> Result<FieldTotals, EngineError> {
    let mut totals = none(terms);
    if !handle.kind.is_indexed() {
        return Ok(totals);
    }
    for segment in view.segments() {
        control.check()?;
        let (postings, occurrences) = segment.totals(handle, control)?;
        totals.postings += postings;
        totals.occurrences += occurrences;
        of_terms(segment, handle, &mut totals.terms, control)?;
    }
    Ok(totals)
}

fn of_terms(
    segment: &SegmentView,
    handle: &FieldHandle,
    sums: &mut BTreeMap<String, u64>,
    control: &Control,
) -> Result<(), EngineError> {
    let inverted = segment.reader().inverted_index(handle.column)?;
    let option = record_option(handle);
    for (term, sum) in sums {
        let Some(term) = indexed(handle, term) else {
            break;
        };
        let postings = inverted.read_postings(&term, option);
        let postings = postings.map_err(EngineError::io("reading postings"))?;
        if let Some(postings) = postings {
            *sum += count_alive(segment, postings, control)?.1;
        }
    }
    Ok(())
}

/// Counts a segment. Its dictionary has the postings of a field without frequencies, where nothing is deleted; else
/// every posting is read, as the number of tokens that tantivy keeps is an estimate after a merge.
///
/// # Errors
/// When the index cannot be read, or `control` stops the count.
pub(crate) fn of_segment(
    segment: &SegmentView,
    handle: &FieldHandle,
    control: &Control,
) -> Result<Counts, EngineError> {
    let reader = segment.reader();
    let inverted = reader.inverted_index(handle.column)?;
    let is_in_dictionary = !handle.kind.counts_occurrences() && !reader.has_deletes();
    let (mut num_postings, mut num_occurrences) = (0, 0);
    let terms = inverted.terms().stream();
    let mut terms = terms.map_err(EngineError::io("reading terms"))?;
    let mut until_check = TERMS_PER_CHECK;
    while terms.advance() {
        until_check -= 1;
        if until_check == 0 {
            control.check()?;
            until_check = TERMS_PER_CHECK;
        }
        let info = terms.value();
        if is_in_dictionary {
            num_postings += u64::from(info.doc_freq);
            num_occurrences += u64::from(info.doc_freq);
            continue;
        }
        let postings = inverted.read_postings_from_terminfo(info, record_option(handle));
        let postings = postings.map_err(EngineError::io("reading postings"))?;
        let counts = count_alive(segment, postings, control)?;
        num_postings += counts.0;
        num_occurrences += counts.1;
    }
    Ok((num_postings, num_occurrences))
}

/// Not every field counts how often a term occurs.
fn record_option(handle: &FieldHandle) -> IndexRecordOption {
    match handle.kind.counts_occurrences() {
        true => IndexRecordOption::WithFreqs,
        false => IndexRecordOption::Basic,
    }
}

fn count_alive(
    segment: &SegmentView,
    mut postings: SegmentPostings,
    control: &Control,
) -> Result<Counts, EngineError> {
    let (mut num_postings, mut num_occurrences) = (0, 0);
    let mut until_check = POSTINGS_PER_CHECK;
    let mut doc = postings.doc();
    while doc != TERMINATED {
        if segment.is_alive(doc) {
            num_postings += 1;
            num_occurrences += u64::from(postings.term_freq());
        }
        until_check -= 1;
        if until_check == 0 {
            control.check()?;
            until_check = POSTINGS_PER_CHECK;
        }
        doc = postings.advance();
    }
    Ok((num_postings, num_occurrences))
}
