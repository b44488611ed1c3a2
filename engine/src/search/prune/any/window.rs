//! Sums of bounds over a range of documents.

use std::cell::Cell;

use crate::EngineError;
use crate::search::prune::leaf::Postings;

/// Documents of a window; fewer in tests, whose lists are shorter.
pub(super) const WIDTH: u32 = if cfg!(test) { 256 } else { 4_096 };

thread_local! {
    static SPARE: Cell<Option<Box<Window>>> = const { Cell::new(None) };
}

/// A sum per document, and which documents have one.
pub(super) struct Window {
    sums: [f32; WIDTH as usize],
    present: [u64; WIDTH as usize / 64],
}

impl Window {
    /// Returns an empty window; the one that the thread has used last, if there is one.
    pub(super) fn take() -> Box<Self> {
        SPARE.take().unwrap_or_else(|| {
            Box::new(Self {
                sums: [0.0; WIDTH as usize],
                present: [0; WIDTH as usize / 64],
            })
        })
    }

    /// Leaves a window, which must be empty, to the thread's next query.
    pub(super) fn give_back(self: Box<Self>) {
        debug_assert!(self.present.iter().all(|word| *word == 0));
        SPARE.set(Some(self));
    }

    /// Adds a term's documents, which lie in the window that begins with `start`.
    pub(super) fn add(&mut self, start: u32, postings: &Postings<'_, '_>) {
        let Postings {
            documents,
            frequencies,
            scale,
        } = *postings;
        for (&doc, &frequency) in documents.iter().zip(frequencies) {
            let at = (doc - start) as usize;
            self.sums[at] += scale.of_document(doc, frequency);
            self.present[at / 64] |= 1 << (at % 64);
        }
    }

    /// Hands each document with its sum to `take`, ascending, and leaves the window empty, unless
    /// `take` fails.
    pub(super) fn drain(
        &mut self,
        start: u32,
        mut take: impl FnMut(u32, f32) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        for (word, present) in self.present.iter_mut().enumerate() {
            let mut rest = std::mem::take(present);
            while rest != 0 {
                let at = word * 64 + rest.trailing_zeros() as usize;
                rest &= rest - 1;
                take(start + at as u32, std::mem::take(&mut self.sums[at]))?;
            }
        }
        Ok(())
    }
}
