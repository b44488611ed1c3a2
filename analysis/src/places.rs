//! Where the values of a field begin: the one count of positions and offsets for the index, `_analyze`, term vectors and
//! highlights.
//!
//! Source: Lucene, `IndexingChain.invert`: behind the last word of a value, and the places of words removed there, stands
//! the gap; behind a value without words too.

/// Counts the positions and bytes of a field's values, one after the other.
#[derive(Debug, Clone, Copy)]
pub struct Places {
    gap: u32,
    position: u32,
    offset: usize,
}

impl Places {
    /// Returns the place of the first value, where `gap` positions lie between two.
    pub fn new(gap: u32) -> Self {
        Self {
            gap,
            position: 0,
            offset: 0,
        }
    }

    /// Returns the position at which the next value begins.
    pub fn position(&self) -> u32 {
        self.position
    }

    /// Returns the byte at which the next value begins: values are joined by one character.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Returns how many positions a value moves the next one.
    pub fn moved_by(&self, num_positions: u32) -> u32 {
        num_positions.saturating_add(self.gap)
    }

    /// Goes on behind a value of so many positions and bytes.
    pub fn pass(&mut self, num_positions: u32, num_bytes: usize) {
        self.position = self.position.saturating_add(self.moved_by(num_positions));
        self.offset += num_bytes + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_stands_behind_every_value_and_none_of_0_is_one() {
        for (gap, expected) in [
            (0, [0, 2, 2, 5]),
            (1, [0, 3, 4, 8]),
            (100, [0, 102, 202, 305]),
        ] {
            let mut places = Places::new(gap);
            let mut begins = vec![places.position()];
            for num_positions in [2, 0, 3] {
                places.pass(num_positions, 7);
                begins.push(places.position());
            }
            assert_eq!(begins, expected, "{gap}");
            assert_eq!(places.offset(), 24);
        }
        let mut places = Places::new(u32::MAX);
        places.pass(u32::MAX, 0);
        assert_eq!(places.position(), u32::MAX);
    }
}
