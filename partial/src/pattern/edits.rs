//! Edit distances without tables, for terms whose tables would be large.
//!
//! A table of every state takes a kilobyte for each character, place and shape: some 50 kB a character at
//! distance 2, and many times that where characters have several bytes. Here a state is the part of a row of
//! the dynamic programme that can still count (Ukkonen 1985), worked out when it is asked for: some ten
//! nanoseconds a character, and no memory.
//!
//! Distances are those of the tables: a transposition of neighbours is one edit, of which no part is edited
//! again (optimal string alignment).

/// Cells of a row at distance 2: two on each side of the diagonal.
const CELLS: usize = 5;

/// A distance beyond all that are looked for.
const FAR: u8 = 3;

/// The terms within a distance of one.
pub struct Edits {
    term: Vec<char>,
    distance: u8,
    transpositions: bool,
}

/// What of a term was read, and how far it is from what was looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Characters read.
    read: u32,
    /// Distances of what was read from the first `read - 2 + n` characters, by n.
    cells: [u8; CELLS],
    /// Those before the last character.
    before: [u8; CELLS],
    last: char,
    /// Bits of a character that is not whole yet, and bytes that it lacks.
    bits: u32,
    lacking: u8,
}

impl Edits {
    /// Returns the terms within `distance` of `term`, at most 2.
    pub(super) fn new(term: &str, distance: u8, transpositions: bool) -> Self {
        Self {
            term: term.chars().collect(),
            distance,
            transpositions,
        }
    }

    pub(super) fn start(&self) -> Row {
        let cell = |at: usize| match at.checked_sub(2) {
            Some(read) if read <= self.term.len() => self.near(read as u8),
            _ => FAR,
        };
        Row {
            read: 0,
            cells: std::array::from_fn(cell),
            before: [FAR; CELLS],
            last: '\0',
            bits: 0,
            lacking: 0,
        }
    }

    /// Returns the state after one more byte; `None` when nothing that begins so is near enough.
    pub(super) fn accept(&self, row: &Row, byte: u8) -> Option<Row> {
        let (bits, lacking) = match (row.lacking, byte) {
            (0, 0..0x80) => (u32::from(byte), 0),
            (0, 0xC0..0xE0) => (u32::from(byte & 0x1F), 1),
            (0, 0xE0..0xF0) => (u32::from(byte & 0x0F), 2),
            (0, 0xF0..0xF8) => (u32::from(byte & 0x07), 3),
            (1.., 0x80..0xC0) => (row.bits << 6 | u32::from(byte & 0x3F), row.lacking - 1),
            _ => return None,
        };
        if lacking > 0 {
            return Some(Row {
                bits,
                lacking,
                ..*row
            });
        }
        let next = self.read(row, char::from_u32(bits)?);
        next.cells
            .iter()
            .any(|cell| *cell <= self.distance)
            .then_some(next)
    }

    /// Returns the distance of what was read, if it is near enough.
    pub(super) fn distance(&self, row: &Row) -> Option<u8> {
        let at = (self.term.len() + 2).checked_sub(row.read as usize)?;
        let cell = *row.cells.get(at)?;
        (row.lacking == 0 && cell <= self.distance).then_some(cell)
    }

    fn near(&self, edits: u8) -> u8 {
        if edits <= self.distance { edits } else { FAR }
    }

    fn read(&self, row: &Row, read: char) -> Row {
        let mut cells = [FAR; CELLS];
        for at in 0..CELLS {
            // Characters of the term that this cell stands for.
            let Some(length) = (row.read as usize + 1 + at).checked_sub(2) else {
                continue;
            };
            if length > self.term.len() {
                break;
            }
            let mut least = row
                .cells
                .get(at + 1)
                .copied()
                .unwrap_or(FAR)
                .saturating_add(1);
            if at > 0 {
                least = least.min(cells[at - 1].saturating_add(1));
            }
            if let Some(last) = length.checked_sub(1) {
                let is_same = self.term[last] == read;
                least = least.min(row.cells[at].saturating_add(u8::from(!is_same)));
                let is_swapped = self.transpositions
                    && row.read > 0
                    && last > 0
                    && self.term[last - 1] == read
                    && self.term[last] == row.last;
                if is_swapped {
                    least = least.min(row.before[at].saturating_add(1));
                }
            }
            cells[at] = self.near(least);
        }
        Row {
            read: row.read + 1,
            cells,
            before: row.cells,
            last: read,
            bits: 0,
            lacking: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use levenshtein_automata::{Distance, LevenshteinAutomatonBuilder};
    use proptest::prelude::*;

    use super::*;

    fn distance(edits: &Edits, term: &str) -> Option<u8> {
        let mut row = edits.start();
        for byte in term.bytes() {
            row = edits.accept(&row, byte)?;
        }
        edits.distance(&row)
    }

    proptest! {
        #[test]
        fn distances_are_those_of_tables(
            term in "[abé漢😀]{0,9}",
            other in "[abé漢😀]{0,9}",
            most in 0_u8..3,
            transpositions: bool,
        ) {
            let table = LevenshteinAutomatonBuilder::new(most, transpositions).build_dfa(&term);
            let expected = match table.eval(&other) {
                Distance::Exact(distance) => Some(distance),
                Distance::AtLeast(_) => None,
            };
            let edits = Edits::new(&term, most, transpositions);
            prop_assert_eq!(distance(&edits, &other), expected, "{} {}", term, other);
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_near_nothing() {
        let edits = Edits::new("ab", 2, true);
        for bytes in [&b"\x80"[..], b"\xFF", b"\xC3a", b"\xED\xA0\x80"] {
            let read = bytes
                .iter()
                .try_fold(edits.start(), |row, byte| edits.accept(&row, *byte));
            assert_eq!(read, None, "{bytes:?}");
        }
    }
}
