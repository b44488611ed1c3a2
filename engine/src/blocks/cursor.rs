//! A posting list walked forwards.
//!
//! A cursor stands on a block, of which only the skip entry is read, and, once a document is asked
//! for, on a document in it. Documents and frequencies are decoded when they are needed.

use std::ops::Range;

use tantivy::TERMINATED;

use super::block::{BLOCK, Block};
use super::list::{Place, PostingList};
use crate::EngineError;

/// Documents with their frequencies.
pub(crate) type Run<'b> = (&'b [u32], &'b [u32]);

/// Walks a list forwards.
pub(crate) struct Cursor<'a> {
    list: PostingList<'a>,
    place: Place,
    block: Box<Block>,
    has_documents: bool,
    has_frequencies: bool,
    position: usize,
    added_up: AddedUp,
}

/// How often a term occurs in the first documents of a block.
#[derive(Default)]
struct AddedUp {
    num_documents: usize,
    num_occurrences: u64,
}

impl<'a> Cursor<'a> {
    /// Returns a cursor on the first block of `list`.
    pub(crate) fn new(list: PostingList<'a>) -> Self {
        Self {
            place: list.first(),
            list,
            block: Block::take(),
            has_documents: false,
            has_frequencies: false,
            position: 0,
            added_up: AddedUp::default(),
        }
    }

    /// Leaves the cursor's memory to the thread's next one.
    pub(crate) fn recycle(self) {
        self.block.give_back();
    }

    /// Returns the list.
    pub(crate) fn list(&self) -> &PostingList<'a> {
        &self.list
    }

    /// Returns the block the cursor stands on.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// Returns whether the block's documents are decoded.
    pub(crate) fn is_decoded(&self) -> bool {
        self.has_documents
    }

    /// Returns whether all blocks are behind.
    pub(crate) fn is_over(&self) -> bool {
        self.place.len == 0
    }

    /// Goes on to the next block.
    pub(crate) fn next_block(&mut self) {
        self.jump(self.list.next(&self.place));
    }

    /// Stands on the block at `place`, of the same list.
    pub(crate) fn jump(&mut self, place: Place) {
        self.place = place;
        self.has_documents = false;
        self.has_frequencies = false;
        self.position = 0;
        self.added_up = AddedUp::default();
    }

    /// Returns whether the block is the one that would hold `target`, or goes on by one.
    ///
    /// Called until it says yes, it finds the block; the caller may stop in between.
    #[inline]
    pub(crate) fn approach(&mut self, target: u32) -> bool {
        if self.place.last >= target {
            return true;
        }
        self.next_block();
        false
    }

    /// Decodes the block's documents and frequencies and returns it.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`].
    pub(crate) fn decoded(&mut self) -> Result<&Block, EngineError> {
        self.read_documents()?;
        self.read_frequencies()?;
        Ok(&self.block)
    }

    /// Stands on the first document of the block from `target` on and returns it, [`TERMINATED`]
    /// when the list is over. The block must be the one that would hold `target`.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`].
    #[inline]
    pub(crate) fn find(&mut self, target: u32) -> Result<u32, EngineError> {
        debug_assert!(self.place.last >= target, "the block comes first");
        self.read_documents()?;
        if self.block.document(self.position) < target {
            self.position = self.block.position_of(target);
        }
        Ok(self.block.document(self.position))
    }

    /// Returns the document the cursor stands on, [`TERMINATED`] when the list is over. A document
    /// must have been found.
    pub(crate) fn document(&self) -> u32 {
        if self.has_documents {
            self.block.document(self.position)
        } else {
            TERMINATED
        }
    }

    /// Goes on to the next block when all of this one was taken.
    pub(crate) fn leave_taken_block(&mut self) {
        if self.position == BLOCK && !self.is_over() {
            self.next_block();
        }
    }

    /// Returns the next document that is to be taken, [`TERMINATED`] when the list is over.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`].
    #[inline]
    pub(crate) fn next_document(&mut self) -> Result<u32, EngineError> {
        self.leave_taken_block();
        self.read_documents()?;
        Ok(self.block.document(self.position))
    }

    /// Returns documents below `end` with their frequencies, as many as the block has, and goes on
    /// behind them; `None` when the next document is not below.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`].
    pub(crate) fn take_below(&mut self, end: u32) -> Result<Option<Run<'_>>, EngineError> {
        let Some(taken) = self.pass_below(end)? else {
            return Ok(None);
        };
        self.read_frequencies()?;
        let (documents, frequencies) = (self.block.documents(), self.block.frequencies());
        Ok(Some((&documents[taken.clone()], &frequencies[taken])))
    }

    /// Returns documents as [`Cursor::take_below`] does; their frequencies are not decoded.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`].
    #[inline]
    pub(crate) fn take_documents_below(&mut self, end: u32) -> Result<Option<&[u32]>, EngineError> {
        let taken = self.pass_below(end)?;
        Ok(taken.map(|taken| &self.block.documents()[taken]))
    }

    /// Goes on behind the block's documents below `end` and returns their positions; `None` when the
    /// next document is not below.
    #[inline]
    fn pass_below(&mut self, end: u32) -> Result<Option<Range<usize>>, EngineError> {
        let start_document = self.next_document()?;
        if start_document >= end {
            return Ok(None);
        }
        let start = self.position;
        self.position = if self.place.last < end {
            BLOCK
        } else {
            self.block.position_of(end)
        };
        Ok(Some(start..self.position))
    }

    /// Returns the frequency in the document the cursor stands on.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`].
    pub(crate) fn frequency(&mut self) -> Result<u32, EngineError> {
        self.read_frequencies()?;
        Ok(self.block.frequency(self.position))
    }

    /// Returns how often the term occurs in the documents of the block before the one the cursor
    /// stands on.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`].
    pub(super) fn num_occurrences_before(&mut self) -> Result<u64, EngineError> {
        self.read_frequencies()?;
        let AddedUp {
            num_documents,
            num_occurrences,
        } = &mut self.added_up;
        // A cursor goes forwards, so what was added up for the last document still counts.
        let since = &self.block.frequencies()[*num_documents..self.position];
        *num_occurrences += since.iter().copied().map(u64::from).sum::<u64>();
        *num_documents = self.position;
        Ok(*num_occurrences)
    }

    fn read_documents(&mut self) -> Result<(), EngineError> {
        if !self.has_documents {
            self.list.read_documents(&self.place, &mut self.block)?;
            self.has_documents = true;
        }
        Ok(())
    }

    fn read_frequencies(&mut self) -> Result<(), EngineError> {
        if !self.has_frequencies {
            self.list.read_frequencies(&self.place, &mut self.block)?;
            self.has_frequencies = true;
        }
        Ok(())
    }
}
