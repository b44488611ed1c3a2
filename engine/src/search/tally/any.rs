//! Documents with at least so many of some words.

use std::cmp::Reverse;

use tantivy::TERMINATED;

use super::counter::Counter;
use super::marks::{Marks, WIDTH};
use super::{List, seek};
use crate::EngineError;
use crate::blocks::{BLOCK, Cursor};
use crate::view::SegmentView;

/// A list that is so many times as long as all others together is not marked: their documents are looked up
/// in it. Estimated: a look-up takes some 15 ns, and 40 ns for a block that must be decoded, marking a block
/// some 90 ns. Between 6 and 32 no difference was measured.
const SOUGHT_FROM: u64 = 32;

/// Counts the live documents that at least `least` of `lists` hold.
pub(super) fn count(
    least: usize,
    mut lists: Vec<List<'_>>,
    segment: &SegmentView,
    counter: &mut Counter<'_, '_>,
) -> Result<(), EngineError> {
    if lists.len() < least {
        return Ok(());
    }
    lists.sort_by_key(|list| Reverse(list.num_documents()));
    let reached = if segment.reader().has_deletes() {
        ReachedDocuments::Alive(segment)
    } else if least == 1 && has_giant(&lists) {
        let giant = lists.remove(0);
        counter.add(giant.num_documents() as usize);
        ReachedDocuments::Outside(giant.cursor())
    } else {
        ReachedDocuments::All
    };
    let mut any = Any {
        cursors: lists.iter().map(List::cursor).collect(),
        least: least as u8,
        reached,
        found: Vec::new(),
        marks: Marks::take(),
    };
    while !counter.is_enough() && any.take_window(counter)? {}
    any.recycle();
    Ok(())
}

/// Returns whether the longest list is so long that the documents of all others are better looked up there.
fn has_giant(lists: &[List<'_>]) -> bool {
    let [longest, others @ ..] = lists else {
        return false;
    };
    let num_others: u64 = others.iter().map(List::num_documents).sum();
    num_others.saturating_mul(SOUGHT_FROM) <= longest.num_documents()
}

/// Which documents that enough lists hold are counted.
enum ReachedDocuments<'s, 'a> {
    /// All of them.
    All,
    /// Those that live.
    Alive(&'s SegmentView),
    /// Those that one more list, which was counted as a whole, does not hold.
    Outside(Cursor<'a>),
}

struct Any<'s, 'a> {
    /// By length, the longest first.
    cursors: Vec<Cursor<'a>>,
    least: u8,
    reached: ReachedDocuments<'s, 'a>,
    /// Documents of a window to be looked up.
    found: Vec<u32>,
    marks: Box<Marks>,
}

impl Any<'_, '_> {
    /// Counts the documents of the next window; returns whether there was one.
    fn take_window(&mut self, counter: &mut Counter<'_, '_>) -> Result<bool, EngineError> {
        let mut start = TERMINATED;
        for cursor in &mut self.cursors {
            start = start.min(cursor.next_document()?);
        }
        if start == TERMINATED {
            return Ok(false);
        }
        let end = start.saturating_add(WIDTH).min(TERMINATED);
        self.marks.open(self.cursors.len() as u8);
        self.found.clear();
        let mut selected = [0; BLOCK];
        for (at, cursor) in self.cursors.iter_mut().enumerate() {
            while let Some(documents) = cursor.take_documents_below(end)? {
                counter.passed(documents.len() as u32)?;
                match &self.reached {
                    ReachedDocuments::All if at == 0 => {
                        self.marks.set(documents);
                        counter.add(if self.least == 1 { documents.len() } else { 0 });
                    }
                    ReachedDocuments::All => counter.add(self.marks.count(documents, self.least)),
                    ReachedDocuments::Alive(segment) => {
                        let found = self.marks.select(documents, self.least, &mut selected);
                        let found = selected[..found].iter();
                        counter.add(found.filter(|&&doc| segment.is_alive(doc)).count());
                    }
                    ReachedDocuments::Outside(_) => {
                        let found = self.marks.select(documents, self.least, &mut selected);
                        self.found.extend_from_slice(&selected[..found]);
                    }
                }
            }
        }
        self.look_up_found(counter)?;
        Ok(true)
    }

    fn look_up_found(&mut self, counter: &mut Counter<'_, '_>) -> Result<(), EngineError> {
        let ReachedDocuments::Outside(giant) = &mut self.reached else {
            return Ok(());
        };
        // They ascend list by list.
        self.found.sort();
        for &doc in &self.found {
            let is_new = seek(giant, doc, counter)? != doc;
            counter.add(usize::from(is_new));
        }
        Ok(())
    }

    /// Leaves the memory to the thread's next query.
    fn recycle(self) {
        self.marks.give_back();
        self.cursors.into_iter().for_each(Cursor::recycle);
        if let ReachedDocuments::Outside(giant) = self.reached {
            giant.recycle();
        }
    }
}
