//! Where the bytes of filtered text came from.

use crate::meter::Meter;

/// Text after character filters.
#[derive(Debug)]
pub(crate) struct FilteredText {
    pub(crate) text: String,
    pub(crate) offsets: Offsets,
}

impl FilteredText {
    pub(crate) fn unchanged(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            offsets: Offsets::default(),
        }
    }
}

/// The maps of all filters, in the order of application.
#[derive(Debug, Default)]
pub(crate) struct Offsets(Vec<OffsetMap>);

impl Offsets {
    pub(crate) fn push(&mut self, map: OffsetMap) {
        self.0.push(map);
    }

    /// Returns the range of the original text that became the range of the filtered text.
    pub(crate) fn correct(&self, start: usize, end: usize) -> (usize, usize) {
        self.0
            .iter()
            .rev()
            .fold((start, end), |(start, end), map| map.correct(start, end))
    }
}

/// The way back through one filter: pieces of output, each copied or put in place of input.
#[derive(Debug, Default)]
pub(crate) struct OffsetMap {
    /// Sorted by `out_start`; several may start at one place (deletions have no output).
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, Copy)]
struct Piece {
    out_start: usize,
    in_start: usize,
    in_end: usize,
    is_copy: bool,
}

impl OffsetMap {
    /// Returns offsets on character boundaries; ends do not reach over a deletion that follows.
    fn correct(&self, start: usize, end: usize) -> (usize, usize) {
        let new_start = match self.pieces[..self.num_before(start + 1)].last() {
            None => start,
            Some(piece) if piece.is_copy => piece.in_start + (start - piece.out_start),
            Some(piece) => piece.in_start,
        };
        if start == end {
            return (new_start, new_start);
        }
        let new_end = match self.pieces[..self.num_before(end)].last() {
            None => end,
            Some(piece) if piece.is_copy => piece.in_start + (end - piece.out_start),
            Some(piece) => piece.in_end,
        };
        (new_start, new_end.max(new_start))
    }

    /// Returns the number of pieces that start below `offset`.
    fn num_before(&self, offset: usize) -> usize {
        self.pieces
            .partition_point(|piece| piece.out_start < offset)
    }
}

/// Writes filtered text and its map together. The input is to be passed from front to back,
/// without leaving anything out.
pub(crate) struct FilterOutput<'a> {
    input: &'a str,
    meter: &'a Meter<'a>,
    text: String,
    map: OffsetMap,
    /// How much of the input is done, in bytes.
    at: usize,
}

impl<'a> FilterOutput<'a> {
    pub(crate) fn new(input: &'a str, meter: &'a Meter) -> Self {
        let text = String::with_capacity(input.len());
        Self {
            input,
            meter,
            text,
            map: OffsetMap::default(),
            at: 0,
        }
    }

    /// Copies the input up to `end`.
    pub(crate) fn copy_to(&mut self, end: usize) {
        if self.at < end && self.has_room(end - self.at) {
            self.push_piece(end, true);
            self.text.push_str(&self.input[self.at..end]);
            self.at = end;
        }
    }

    /// Puts `text` in place of the input up to `end`.
    pub(crate) fn replace_to(&mut self, end: usize, text: &str) {
        if self.has_room(text.len()) {
            self.push_piece(end, false);
            self.text.push_str(text);
            self.at = end;
        }
    }

    /// Returns whether nothing more is written.
    pub(crate) fn is_spent(&self) -> bool {
        self.meter.is_spent()
    }

    fn has_room(&self, num_bytes: usize) -> bool {
        self.meter.take_len(size_of::<Piece>() + num_bytes)
    }

    /// Copies the rest and returns text and map.
    pub(crate) fn finish(mut self) -> (String, OffsetMap) {
        self.copy_to(self.input.len());
        (self.text, self.map)
    }

    fn push_piece(&mut self, in_end: usize, is_copy: bool) {
        self.map.pieces.push(Piece {
            out_start: self.text.len(),
            in_start: self.at,
            in_end,
            is_copy,
        });
    }
}
