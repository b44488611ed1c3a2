//! A term on its way through a segment: its posting list, and what its documents may score.

use smallvec::SmallVec;

use super::sink::Sink;
use crate::EngineError;
use crate::blocks::{BLOCK, Block, Cursor, Place, PostingList};
use crate::score::bound::Scale;

/// Postings of a list that follow one another, as columns.
pub(super) struct Postings<'l, 'a> {
    pub(super) documents: &'l [u32],
    /// How often the term occurs in each of the documents.
    pub(super) frequencies: &'l [u32],
    /// What scores them.
    pub(super) scale: &'l Scale<'a>,
}

/// A term's posting list with its scale.
pub(super) struct Leaf<'a> {
    cursor: Cursor<'a>,
    scale: Scale<'a>,
    /// Place in the order in which scores are added up.
    order: usize,
    /// Bound of the block of this number.
    block_bound: (u32, f32),
    /// No document before this one is to come.
    head: u32,
}

impl<'a> Leaf<'a> {
    pub(super) fn new(list: PostingList<'a>, scale: Scale<'a>, order: usize) -> Self {
        Self {
            cursor: Cursor::new(list),
            scale,
            order,
            block_bound: (u32::MAX, 0.0),
            head: 0,
        }
    }

    /// Returns a leaf of the same list at its beginning, in another order.
    pub(super) fn again(&self, order: usize) -> Self {
        Self::new(*self.list(), self.scale, order)
    }

    /// Leaves the leaf's memory to the thread's next one.
    pub(super) fn recycle(self) {
        self.cursor.recycle();
    }

    pub(super) fn list(&self) -> &PostingList<'a> {
        self.cursor.list()
    }

    pub(super) fn num_documents(&self) -> u32 {
        self.list().num_documents()
    }

    pub(super) fn order(&self) -> usize {
        self.order
    }

    pub(super) fn scale(&self) -> &Scale<'a> {
        &self.scale
    }

    pub(super) fn cursor(&mut self) -> &mut Cursor<'a> {
        &mut self.cursor
    }

    pub(super) fn place(&self) -> &Place {
        self.cursor.place()
    }

    /// Returns the block the cursor stands on, decoded, with the scale.
    pub(super) fn decoded(&mut self) -> Result<(&Block, &Scale<'a>), EngineError> {
        Ok((self.cursor.decoded()?, &self.scale))
    }

    /// Returns a bound of what the documents of the block score that the cursor stands on.
    #[inline]
    pub(super) fn block_bound(&mut self) -> f32 {
        let place = self.cursor.place();
        if self.block_bound.0 != place.index {
            self.block_bound = (place.index, self.scale.of_block(place.best));
        }
        self.block_bound.1
    }

    /// Returns a bound of what the documents score from the block on that the cursor stands on, up
    /// to `end`.
    pub(super) fn bound_below(&mut self, end: u32) -> f32 {
        let mut bound = self.block_bound();
        let mut place = *self.cursor.place();
        while place.last < end - 1 {
            place = self.cursor.list().next(&place);
            if place.len == 0 {
                break;
            }
            bound = bound.max(self.scale.of_block(place.best));
        }
        bound
    }

    /// Stands on the block that would hold `target`.
    #[inline]
    pub(super) fn approach(
        &mut self,
        target: u32,
        sink: &mut Sink<'_, '_>,
    ) -> Result<(), EngineError> {
        while !self.cursor.approach(target) {
            sink.passed(BLOCK as u32)?;
        }
        Ok(())
    }

    /// Stands on the first document from `target` on and returns it, the largest number at the end.
    #[inline]
    pub(super) fn seek(
        &mut self,
        target: u32,
        sink: &mut Sink<'_, '_>,
    ) -> Result<u32, EngineError> {
        self.approach(target, sink)?;
        self.cursor.find(target)
    }

    /// Returns the document the cursor stands on.
    pub(super) fn document(&self) -> u32 {
        self.cursor.document()
    }

    /// Returns a bound of the score of the document the cursor stands on.
    pub(super) fn document_bound(&mut self) -> Result<f32, EngineError> {
        let frequency = self.cursor.frequency()?;
        Ok(self.scale.of_document(self.cursor.document(), frequency))
    }

    /// Returns the canonical contribution of the document the cursor stands on.
    pub(super) fn score(&mut self) -> Result<f64, EngineError> {
        let frequency = self.cursor.frequency()?;
        Ok(self.scale.score(self.cursor.document(), frequency))
    }

    /// Returns a document before which none is to come; the largest number at the end.
    pub(super) fn head(&self) -> u32 {
        self.head
    }

    /// Leaves all documents below `end` behind. Does not decode a full block for that.
    pub(super) fn go_behind(
        &mut self,
        end: u32,
        sink: &mut Sink<'_, '_>,
    ) -> Result<(), EngineError> {
        self.approach(end, sink)?;
        let place = self.cursor.place();
        self.head = if self.cursor.is_decoded() || place.best.is_none() {
            self.cursor.find(end)?
        } else {
            end.max(place.before.saturating_add(1))
        };
        Ok(())
    }

    /// Returns documents below `end` with their frequencies, as many as the block has, and goes on
    /// behind them; `None` when the next document is not below. A document must have been sought.
    pub(super) fn take_below(&mut self, end: u32) -> Result<Option<Postings<'_, 'a>>, EngineError> {
        let taken = self.cursor.take_below(end)?;
        let scale = &self.scale;
        Ok(taken.map(|(documents, frequencies)| Postings {
            documents,
            frequencies,
            scale,
        }))
    }

    /// Goes on to the next block when all of this one was taken.
    pub(super) fn leave_taken_block(&mut self) {
        self.cursor.leave_taken_block();
    }

    /// Returns whether no document below `end` is to come.
    pub(super) fn is_behind(&self, end: u32) -> bool {
        self.cursor.is_over() || self.cursor.place().before >= end
    }

    /// Stands on the first document from `target` on in the block that would hold it.
    pub(super) fn seek_in_block(&mut self, target: u32) -> Result<u32, EngineError> {
        self.cursor.find(target)
    }

    /// Leaves in `selected` the documents of the block the cursor stands on, with their frequencies,
    /// whose contribution may be `need` or more.
    pub(super) fn select(
        &mut self,
        need: f32,
        selected: &mut SmallVec<[(u32, u32); BLOCK]>,
    ) -> Result<(), EngineError> {
        let (block, scale) = self.decoded()?;
        let postings = Postings {
            documents: block.documents(),
            frequencies: block.frequencies(),
            scale,
        };
        postings.select(need, selected);
        Ok(())
    }

    /// Takes documents below `end` as [`Leaf::take_below`] and leaves in `selected` those, with their
    /// frequencies, whose contribution may be `need` or more; false when none is below `end`.
    pub(super) fn select_below(
        &mut self,
        end: u32,
        need: f32,
        selected: &mut SmallVec<[(u32, u32); BLOCK]>,
    ) -> Result<bool, EngineError> {
        selected.clear();
        let Some(postings) = self.take_below(end)? else {
            return Ok(false);
        };
        postings.select(need, selected);
        Ok(true)
    }
}

impl Postings<'_, '_> {
    /// Adds to `selected` those whose contribution may be `need` or more.
    fn select(&self, need: f32, selected: &mut SmallVec<[(u32, u32); BLOCK]>) {
        let Self {
            documents,
            frequencies,
            scale,
        } = *self;
        let mut positions = [0; BLOCK];
        let num_selected = scale.select(documents, frequencies, need, &mut positions);
        let positions = positions[..num_selected].iter();
        selected.extend(
            positions.map(|&at| (documents[usize::from(at)], frequencies[usize::from(at)])),
        );
    }
}

/// Stands on `doc` in all of `leaves` and returns it, or a later document that comes next in one of them.
#[inline]
pub(super) fn seek_all(
    leaves: &mut [Leaf<'_>],
    doc: u32,
    sink: &mut Sink<'_, '_>,
) -> Result<u32, EngineError> {
    for leaf in leaves {
        let found = leaf.seek(doc, sink)?;
        if found != doc {
            return Ok(found);
        }
    }
    Ok(doc)
}
