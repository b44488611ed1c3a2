//! How often terms occur in the documents of a window.

use std::cell::Cell;

/// Documents of a window; fewer in tests, whose lists are shorter.
pub(super) const WIDTH: u32 = if cfg!(test) { 256 } else { 2_048 };

const LEN: usize = WIDTH as usize;

/// Columns that a thread keeps for its next query, at most: 128 KiB.
const MOST_SPARE: usize = 16;

thread_local! {
    static SPARE: Cell<Option<Columns>> = const { Cell::new(None) };
}

/// A frequency per column and document, and which documents have one.
pub(super) struct Columns {
    /// Documents of one column after those of the other.
    frequencies: Vec<u32>,
    present: [u64; LEN / 64],
    /// Which word of `present` comes next.
    word: usize,
}

impl Columns {
    /// Returns so many empty columns; those that the thread has used last, if there are any.
    pub(super) fn take(num_columns: usize) -> Self {
        let mut columns = SPARE.take().unwrap_or_else(|| Self {
            frequencies: Vec::new(),
            present: [0; LEN / 64],
            word: 0,
        });
        if columns.frequencies.len() < num_columns * LEN {
            columns.frequencies.resize(num_columns * LEN, 0);
        }
        columns
    }

    /// Leaves the columns, which must be empty, to the thread's next query.
    pub(super) fn give_back(self) {
        debug_assert!(self.present.iter().all(|word| *word == 0));
        if self.frequencies.len() <= MOST_SPARE * LEN {
            SPARE.set(Some(self));
        }
    }

    /// Notes how often the term of `column` occurs in documents of the window that begins with `start`.
    pub(super) fn fill(
        &mut self,
        column: usize,
        start: u32,
        documents: &[u32],
        frequencies: &[u32],
    ) {
        let own = &mut self.frequencies[column * LEN..][..LEN];
        for (&doc, &frequency) in documents.iter().zip(frequencies) {
            let at = (doc - start) as usize;
            own[at] = frequency;
            self.present[at / 64] |= 1 << (at % 64);
        }
    }

    /// Takes out the next document that one of the first columns holds: leaves its frequencies in
    /// `frequencies` and returns its place in the window; `None` when all are taken out.
    pub(super) fn take_next(&mut self, frequencies: &mut [u32]) -> Option<u32> {
        while self.present.get(self.word) == Some(&0) {
            self.word += 1;
        }
        let Some(present) = self.present.get_mut(self.word) else {
            self.word = 0;
            return None;
        };
        let at = self.word * 64 + present.trailing_zeros() as usize;
        *present &= *present - 1;
        for (column, frequency) in frequencies.iter_mut().enumerate() {
            *frequency = std::mem::take(&mut self.frequencies[column * LEN + at]);
        }
        Some(at as u32)
    }
}
