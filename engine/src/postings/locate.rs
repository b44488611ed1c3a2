//! From numbers back to places of a view, in the order of the tie-break.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use gleaner_model::SeqNo;
use gleaner_partial::control::Control;
use gleaner_query::resolved::TieBreak;
use roaring::RoaringTreemap;
use tantivy::DocId;

use super::PER_CHECK;
use super::runs::{Run, each_value};
use crate::score::top::Heap;
use crate::view::{SegmentView, place};
use crate::{EngineError, View};

/// Documents of a run from which reading all of its numbers is cheaper than searching for some: a
/// search reads some twenty values.
const SEARCHES_PER_SCAN: u64 = 16;

/// A live document by its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentPlace {
    /// The number.
    pub seq_no: SeqNo,
    /// Place in the view.
    pub place: u64,
    /// Last key of the order; with the id where the hash does not decide among those returned.
    pub tie: TieBreak,
}

/// Returns the places of the documents of these numbers, in the order of the numbers; `None` when one
/// of them is not live in `view`.
///
/// # Errors
/// When the index cannot be read, or `control` stops.
pub fn places_of(
    view: &View,
    numbers: &[u64],
    control: &Control,
) -> Result<Option<Vec<u64>>, EngineError> {
    let documents: RoaringTreemap = numbers.iter().copied().collect();
    let mut finder = Finder::new(view, documents.len() as usize, control);
    finder.search_all(&documents)?;
    let found = finder.best.into_entries();
    let by_number: BTreeMap<u64, u64> = found
        .iter()
        .map(|found| (found.seq_no, found.place))
        .collect();
    let place_of = |number| by_number.get(number).copied();
    Ok(numbers.iter().map(place_of).collect())
}

/// Returns the first `top` of `documents` in the order of the tie-break (hash of `_id`, `_id`).
///
/// # Errors
/// `EvaluationError::Internal` when one of them is not live in `view`: it was found in another
/// generation. When the index cannot be read, or `control` stops.
pub fn locate(
    view: &View,
    documents: &RoaringTreemap,
    top: usize,
    control: &Control,
) -> Result<Vec<DocumentPlace>, EngineError> {
    let mut finder = Finder::new(view, top, control);
    finder.search_all(documents)?;
    if finder.num_found != documents.len() {
        return Err(EngineError::internal(format!(
            "{} of {} documents are in this view",
            finder.num_found,
            documents.len()
        )));
    }
    finder.into_located()
}

#[derive(Debug, Clone, Copy)]
struct Found {
    hash: u64,
    seq_no: u64,
    place: u64,
}

struct Finder<'a> {
    view: &'a View,
    control: &'a Control,
    best: Heap<Found>,
    num_found: u64,
}

impl<'a> Finder<'a> {
    /// Returns one that keeps the first `top` of what it finds.
    fn new(view: &'a View, top: usize, control: &'a Control) -> Self {
        Self {
            view,
            control,
            best: Heap::new(top),
            num_found: 0,
        }
    }
}

impl Finder<'_> {
    fn search_all(&mut self, documents: &RoaringTreemap) -> Result<(), EngineError> {
        for segment in self.view.segments() {
            for run in segment.runs().iter() {
                self.search(segment, run, documents)?;
            }
        }
        Ok(())
    }

    fn search(
        &mut self,
        segment: &SegmentView,
        run: &Run,
        documents: &RoaringTreemap,
    ) -> Result<(), EngineError> {
        let num_wanted = documents.range_cardinality(run.first..=run.last);
        if num_wanted == 0 {
            return Ok(());
        }
        self.control.check()?;
        let is_few = num_wanted * SEARCHES_PER_SCAN < run.docs.len() as u64;
        if !run.is_sorted || !is_few {
            return self.scan(segment, run, documents);
        }
        let seq_nos = segment.seq_nos().as_ref();
        let mut wanted = documents.iter();
        wanted.advance_to(run.first);
        let mut doc = run.docs.start;
        for seq_no in wanted.take_while(|seq_no| *seq_no <= run.last) {
            doc = run.find(seq_nos, doc, seq_no);
            if doc < run.docs.end && seq_nos.get_val(doc) == seq_no {
                self.found(segment, doc, seq_no);
            }
        }
        Ok(())
    }

    fn scan(
        &mut self,
        segment: &SegmentView,
        run: &Run,
        documents: &RoaringTreemap,
    ) -> Result<(), EngineError> {
        let mut start = run.docs.start;
        while start < run.docs.end {
            self.control.check()?;
            let end = start.saturating_add(PER_CHECK).min(run.docs.end);
            each_value(segment.seq_nos().as_ref(), start..end, |doc, seq_no| {
                if documents.contains(seq_no) {
                    self.found(segment, doc, seq_no);
                }
                true
            });
            start = end;
        }
        Ok(())
    }

    fn found(&mut self, segment: &SegmentView, doc: DocId, seq_no: u64) {
        if !segment.is_alive(doc) {
            return;
        }
        self.num_found += 1;
        let found = Found {
            hash: segment.id_hashes().get_val(doc),
            seq_no,
            place: place(segment.ord(), doc),
        };
        let view = self.view;
        self.best.offer(found, |a, b| compare(view, a, b));
    }

    fn into_located(self) -> Result<Vec<DocumentPlace>, EngineError> {
        let view = self.view;
        let mut best = self.best.into_entries();
        best.sort_by(|a, b| compare(view, a, b));
        let hash = |at: Option<usize>| at.and_then(|at| best.get(at)).map(|found| found.hash);
        let mut located = Vec::with_capacity(best.len());
        for (at, found) in best.iter().enumerate() {
            let is_tied = [at.checked_sub(1), Some(at + 1)]
                .into_iter()
                .any(|other| hash(other) == Some(found.hash));
            let id = match is_tied {
                true => Some(view.document(found.place)?.id),
                false => None,
            };
            located.push(DocumentPlace {
                seq_no: SeqNo(found.seq_no),
                place: found.place,
                tie: TieBreak {
                    hash: found.hash,
                    id,
                },
            });
        }
        Ok(located)
    }
}

/// Orders by hash, then by id, which is only read for that.
fn compare(view: &View, a: &Found, b: &Found) -> Ordering {
    let by_hash = a.hash.cmp(&b.hash);
    if by_hash != Ordering::Equal || a.place == b.place {
        return by_hash;
    }
    match (view.document(a.place), view.document(b.place)) {
        (Ok(a), Ok(b)) => a.id.cmp(&b.id),
        // What cannot be read here will fail to be fetched, with its reason.
        _ => a.place.cmp(&b.place),
    }
}
