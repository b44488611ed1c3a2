//! How many lists hold each document of a window.

use std::cell::Cell;

use crate::blocks::BLOCK;

/// Documents of a window; fewer in tests, whose lists are shorter. A power of two. With a byte for each they
/// stay in the processor's nearest cache.
pub(super) const WIDTH: u32 = if cfg!(test) { 256 } else { 32_768 };

const LEN: usize = WIDTH as usize;

thread_local! {
    static SPARE: Cell<Option<Box<Marks>>> = const { Cell::new(None) };
}

/// A number for each document of a window, by the last bits of the document's.
///
/// A window need not be empty when the next one begins: its numbers count from `base`, which is not below
/// any earlier one. So what a window costs depends on its documents alone.
pub(super) struct Marks {
    base: u8,
    /// By how much marks exceed `base`, at most.
    num_lists: u8,
    marks: [u8; LEN],
}

impl Marks {
    /// Returns marks that the thread has used last, if there are any.
    pub(super) fn take() -> Box<Self> {
        SPARE.take().unwrap_or_else(|| {
            Box::new(Self {
                base: 0,
                num_lists: 0,
                marks: [0; LEN],
            })
        })
    }

    /// Leaves the marks to the thread's next query.
    pub(super) fn give_back(self: Box<Self>) {
        SPARE.set(Some(self));
    }

    /// Begins a window of up to `num_lists` lists: no document is marked.
    pub(super) fn open(&mut self, num_lists: u8) {
        let base = self.base.checked_add(self.num_lists);
        let base = base.filter(|base| base.checked_add(num_lists).is_some());
        self.base = base.unwrap_or_else(|| {
            self.marks.fill(0);
            0
        });
        self.num_lists = num_lists;
    }

    /// Marks documents of the window's first list.
    #[inline]
    pub(super) fn set(&mut self, documents: &[u32]) {
        let first = self.base + 1;
        for &doc in documents {
            self.marks[place(doc)] = first;
        }
    }

    /// Marks documents of a further list.
    #[inline]
    pub(super) fn add(&mut self, documents: &[u32]) {
        for &doc in documents {
            self.raise(doc);
        }
    }

    /// Marks documents of a further list; returns of how many it is the `least`-th.
    #[inline]
    pub(super) fn count(&mut self, documents: &[u32], least: u8) -> usize {
        let wanted = self.base + least;
        let mut num_reaching = 0_u32;
        for &doc in documents {
            let is_reached = self.raise(doc) == wanted;
            num_reaching = num_reaching.wrapping_add(u32::from(is_reached));
        }
        num_reaching as usize
    }

    /// Marks documents of a further list, a block at most; leaves in `selected` those of which it is the
    /// `least`-th, ascending, and returns how many they are.
    #[inline]
    pub(super) fn select(
        &mut self,
        documents: &[u32],
        least: u8,
        selected: &mut [u32; BLOCK],
    ) -> usize {
        let wanted = self.base + least;
        let mut num_selected = 0;
        for &doc in documents {
            // Has no branches to mispredict.
            selected[num_selected % BLOCK] = doc;
            let is_reached = self.raise(doc) == wanted;
            num_selected = num_selected.wrapping_add(usize::from(is_reached));
        }
        num_selected
    }

    /// Marks a document; returns its new mark.
    #[inline]
    fn raise(&mut self, doc: u32) -> u8 {
        let mark = &mut self.marks[place(doc)];
        *mark = (*mark).max(self.base).wrapping_add(1);
        *mark
    }
}

/// Returns the place of a document's mark.
#[inline]
fn place(doc: u32) -> usize {
    doc as usize % LEN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_earlier_windows_do_not_count() {
        let mut marks = Marks::take();
        // More windows than a byte has numbers, of changing heights.
        for window in 0..1_000_u32 {
            marks.open(2 + (window % 5) as u8);
            let start = window * 7;
            let in_window = |offsets: [u32; 3]| offsets.map(|offset| start + offset);
            marks.set(&in_window([0, 3, 100]));
            assert_eq!(marks.count(&in_window([3, 4, 101]), 2), 1, "{window}");
        }
        marks.give_back();
    }

    #[test]
    fn documents_are_told_once_by_the_list_that_reaches_the_number() {
        let mut marks = Marks::take();
        marks.open(4);
        marks.set(&[10, 20, 30]);
        marks.add(&[20, 40]);
        let mut selected = [0; BLOCK];
        assert_eq!(marks.select(&[10, 30, 40, 50], 2, &mut selected), 3);
        assert_eq!(selected[..3], [10, 30, 40]);
        assert_eq!(marks.count(&[10, 20, 50], 2), 1, "only 50 is new");
    }
}
