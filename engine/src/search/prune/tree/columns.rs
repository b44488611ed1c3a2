//! What leading terms say of the documents of a window.

use std::cell::Cell;

use crate::search::prune::leaf::Postings;

/// Documents of a window; fewer in tests, whose lists are shorter.
pub(super) const WIDTH: u32 = if cfg!(test) { 256 } else { 2_048 };

const LEN: usize = WIDTH as usize;

/// Columns that a thread keeps for its next query, at most: 128 KiB.
const MOST_SPARE: usize = 16;

thread_local! {
    static SPARE: Cell<Option<Box<Columns>>> = const { Cell::new(None) };
}

/// A frequency per term and document, the sum of their bounds, and which documents are to be taken out.
pub(super) struct Columns {
    /// Documents of one term after those of the other.
    frequencies: Vec<u32>,
    sums: [f32; LEN],
    present: [u64; LEN / 64],
    /// Which word of `present` comes next.
    word: usize,
}

impl Columns {
    /// Returns so many empty columns; those that the thread has used last, if there are any.
    pub(super) fn take(num_columns: usize) -> Box<Self> {
        let mut columns = SPARE.take().unwrap_or_else(|| {
            Box::new(Self {
                frequencies: Vec::new(),
                sums: [0.0; LEN],
                present: [0; LEN / 64],
                word: 0,
            })
        });
        if columns.frequencies.len() < num_columns * LEN {
            columns.frequencies.resize(num_columns * LEN, 0);
        }
        columns
    }

    /// Leaves the columns, which must be empty, to the thread's next query.
    pub(super) fn give_back(self: Box<Self>) {
        debug_assert!(self.present.iter().all(|word| *word == 0));
        debug_assert!(self.frequencies.iter().all(|frequency| *frequency == 0));
        if self.frequencies.len() <= MOST_SPARE * LEN {
            SPARE.set(Some(self));
        }
    }

    /// Adds documents of the window that begins with `start`, with their frequencies, to `column`.
    pub(super) fn add(&mut self, start: u32, column: usize, postings: &Postings<'_, '_>) {
        let Postings {
            documents,
            frequencies,
            scale,
        } = *postings;
        let own = &mut self.frequencies[column * LEN..][..LEN];
        for (&doc, &frequency) in documents.iter().zip(frequencies) {
            let at = (doc - start) as usize;
            own[at] = frequency;
            self.sums[at] += scale.of_document(doc, frequency);
        }
    }

    /// Lets documents of the window that begins with `start` be taken out.
    pub(super) fn mark(&mut self, start: u32, documents: &[u32]) {
        for &doc in documents {
            let at = (doc - start) as usize;
            self.present[at / 64] |= 1 << (at % 64);
        }
    }

    /// Takes out the next document: its place in the window, and the sum of the bounds of its terms;
    /// `None` when all are taken out.
    pub(super) fn take_next(&mut self) -> Option<(u32, f32)> {
        while self.present.get(self.word) == Some(&0) {
            self.word += 1;
        }
        let Some(present) = self.present.get_mut(self.word) else {
            self.word = 0;
            return None;
        };
        let at = self.word * 64 + present.trailing_zeros() as usize;
        *present &= *present - 1;
        Some((at as u32, self.sums[at]))
    }

    /// Returns how often the term of `column` occurs in the document at a place of the window.
    pub(super) fn frequency(&self, column: usize, at: u32) -> u32 {
        self.frequencies[column * LEN + at as usize]
    }

    /// Empties the first columns, whose documents must be taken out.
    pub(super) fn clear(&mut self, num_columns: usize) {
        self.frequencies[..num_columns * LEN].fill(0);
        self.sums.fill(0.0);
    }
}
