//! A term's posting list by document numbers: what a root that combines lists itself asks for.
//!
//! Lists name documents by seq_no, which is the same on every copy of the shard, and hold live
//! documents only. They are handed out in pages, so that the leaf holds no more than one at a time.
//! What a root finds by numbers is turned back into places of this view by [`locate`].
//! Does not: score, combine.

mod gather;
mod locate;
mod runs;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use gleaner_model::{FieldKind, FieldPath, SeqNo};
use gleaner_partial::control::{Control, MemoryAccount};
use gleaner_query::postings::{PostingList, Weights};
use roaring::RoaringTreemap;
use tantivy::fieldnorm::FieldNormReader;
use tantivy::postings::{Postings, TermInfo};
use tantivy::schema::IndexRecordOption;
use tantivy::{DocSet, InvertedIndexReader, Term};

pub use locate::{DocumentPlace, locate, places_of};
pub(crate) use runs::Runs;

use crate::length::Length;
use crate::schema::FieldHandle;
use crate::view::SegmentView;
use crate::{EngineError, View, lower};
use gather::{Posting, SmallestPostings};
use runs::Run;

/// Postings or documents between two looks at the clock.
const PER_CHECK: u32 = 4_096;

/// What taking a posting into a page counts as, of those that are only looked at: it is put in order, and its length read.
const TAKING: u64 = 4;

/// Which part of which list.
#[derive(Debug, Clone, Copy)]
pub struct PageOf<'a> {
    /// A text or keyword field.
    pub field: &'a FieldPath,
    /// The term after analysis.
    pub term: &'a str,
    /// Only documents behind this one.
    pub after: Option<SeqNo>,
    /// Documents at most, ≥ 1.
    pub limit: usize,
    /// Whether frequencies and lengths are wanted, of a field that counts its terms; others have none.
    pub is_weighted: bool,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// Documents in order, at most as many as asked for.
    pub list: PostingList,
    /// Whether no more follow.
    pub is_last: bool,
}

/// Returns the first live documents of a term behind `wanted.after`, by seq_no.
///
/// A field or term that the shard does not have is an empty list.
///
/// # Errors
/// `EvaluationError::Clause` for fields of other types and fields that are not indexed,
/// `EvaluationError::CircuitBreaking`, and when the index cannot be read or `control` stops.
pub fn page(
    view: &View,
    wanted: &PageOf<'_>,
    control: &Control,
    memory: &Arc<MemoryAccount>,
) -> Result<Page, EngineError> {
    let Some(handle) = view.field(wanted.field.as_str()) else {
        return Ok(finish(&[], wanted.is_weighted, true));
    };
    lower::require_index(wanted.field, handle)?;
    if !matches!(
        handle.kind,
        FieldKind::Text { .. } | FieldKind::Keyword { .. }
    ) {
        let reason = format!("field [{}] is neither text nor keyword", wanted.field);
        return Err(EngineError::clause(reason));
    }
    let is_weighted = wanted.is_weighted && handle.kind.counts_occurrences();
    let lists = open(view, handle, wanted.term, is_weighted)?;
    let num_postings = num_postings(&lists);
    let mut gathered = SmallestPostings::new(wanted.limit.max(1), num_postings, memory)?;
    let mut walk = Walk {
        after: wanted.after,
        control,
        num_seen: 0,
    };
    for (list, run) in in_order(&lists, wanted.after) {
        // What has been cut off lies before everything in the runs that are left.
        if run.first > gathered.cutoff() {
            break;
        }
        walk.take(list, run, &mut gathered)?;
    }
    let (postings, is_last) = gathered.into_sorted();
    Ok(finish(&postings, is_weighted, is_last))
}

/// Estimates how long it takes to read a page of `limit` postings of each of the views, by numbers at hand: a term may be
/// rarer.
pub fn length<'v>(views: impl Iterator<Item = &'v View>, limit: usize) -> Length {
    let in_view = |view: &View| view.num_documents().min(limit as u64);
    let num_taken = views.map(in_view).fold(0, u64::saturating_add);
    Length::of_work(num_taken.saturating_mul(TAKING))
}

fn num_postings(lists: &[List<'_>]) -> u64 {
    lists.iter().map(|list| u64::from(list.info.doc_freq)).sum()
}

/// A term's postings in one segment.
struct List<'v> {
    segment: &'v SegmentView,
    inverted: Arc<InvertedIndexReader>,
    info: TermInfo,
    /// Lengths, where they are wanted.
    norms: Option<FieldNormReader>,
}

fn open<'v>(
    view: &'v View,
    handle: &FieldHandle,
    term: &str,
    is_weighted: bool,
) -> Result<Vec<List<'v>>, EngineError> {
    let term = Term::from_field_text(handle.column, term);
    let mut lists = Vec::new();
    for segment in view.segments() {
        let inverted = segment.reader().inverted_index(handle.column)?;
        let info = inverted
            .get_term_info(&term)
            .map_err(EngineError::io("looking a term up"))?;
        let Some(info) = info else {
            continue;
        };
        let norms = match is_weighted {
            true => Some(segment.reader().get_fieldnorms_reader(handle.column)?),
            false => None,
        };
        lists.push(List {
            segment,
            inverted,
            info,
            norms,
        });
    }
    Ok(lists)
}

/// Returns the runs that reach beyond `after`, by their first seq_no.
fn in_order<'l, 'v>(lists: &'l [List<'v>], after: Option<SeqNo>) -> Vec<(&'l List<'v>, &'v Run)> {
    let is_behind = |run: &&Run| after.is_none_or(|after| run.last > after.0);
    let of_list = |list: &'l List<'v>| {
        let runs = list.segment.runs().iter().filter(is_behind);
        runs.map(move |run| (list, run))
    };
    let mut runs: Vec<_> = lists.iter().flat_map(of_list).collect();
    runs.sort_by_key(|(_, run)| run.first);
    runs
}

/// The way through a list's runs.
struct Walk<'a> {
    after: Option<SeqNo>,
    control: &'a Control,
    num_seen: u32,
}

impl Walk<'_> {
    fn take(
        &mut self,
        list: &List<'_>,
        run: &Run,
        gathered: &mut SmallestPostings,
    ) -> Result<(), EngineError> {
        let option = match list.norms {
            Some(_) => IndexRecordOption::WithFreqs,
            None => IndexRecordOption::Basic,
        };
        let seq_nos = list.segment.seq_nos().as_ref();
        let least = self.after.map_or(0, |after| after.0.saturating_add(1));
        let start = match run.is_sorted {
            true => run.find(seq_nos, run.docs.start, least),
            false => run.docs.start,
        };
        let mut postings = list
            .inverted
            .read_postings_from_terminfo(&list.info, option)
            .map_err(EngineError::io("reading postings"))?;
        if postings.doc() < start {
            postings.seek(start);
        }
        let mut doc = postings.doc();
        while doc < run.docs.end {
            self.num_seen += 1;
            if self.num_seen.is_multiple_of(PER_CHECK) {
                self.control.check()?;
            }
            if list.segment.is_alive(doc) {
                let seq_no = seq_nos.get_val(doc);
                if seq_no > gathered.cutoff() && run.is_sorted {
                    return Ok(());
                }
                if (least..=gathered.cutoff()).contains(&seq_no) {
                    let (frequency, norm_id) = match &list.norms {
                        Some(norms) => (postings.term_freq(), norms.fieldnorm_id(doc)),
                        None => (1, 0),
                    };
                    gathered.push(Posting {
                        seq_no,
                        frequency,
                        norm_id,
                    });
                }
            }
            doc = postings.advance();
        }
        Ok(())
    }
}

fn finish(postings: &[Posting], is_weighted: bool, is_last: bool) -> Page {
    let seq_nos = postings.iter().map(|posting| posting.seq_no);
    // Two live documents never share a number, so each is larger than the one before.
    let documents = RoaringTreemap::from_sorted_iter(seq_nos)
        .unwrap_or_else(|_| postings.iter().map(|posting| posting.seq_no).collect());
    let weights = is_weighted.then(|| {
        let mut weights = Weights::default();
        for posting in postings {
            weights.push(posting.frequency, posting.norm_id);
        }
        weights
    });
    Page {
        list: PostingList { documents, weights },
        is_last,
    }
}
