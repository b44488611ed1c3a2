//! `word_delimiter`: parts one after the other, joined ones stacked on the last part that they are made of.

use std::ops::Range;

use super::parts::Part;
use super::{Joined, WordDelimiter};
use crate::meter::{Made, Meter};
use crate::token::{Token, TokenList};

/// A token on its way out, and how far after the one before it stands.
type Spaced = (Token, u32);

pub(super) fn apply(filter: &WordDelimiter, list: TokenList, meter: &Meter<'_>) -> TokenList {
    let mut out = Output {
        tokens: Made::new(meter),
        last: None,
        pending: 0,
    };
    let mut read: Option<u32> = None;
    for token in list.tokens {
        let increment = match read {
            None => token.position + 1,
            Some(before) => token.position - before,
        };
        read = Some(token.position);
        out.pending += increment;
        let parts = filter.splitting.parts(&token.text);
        if parts.is_whole(&token.text) || filter.is_kept_whole(&token) {
            out.push_next(token);
        } else if !parts.parts.is_empty() {
            Word::new(filter, &token, &mut out).write(&parts.parts, parts.is_single);
        } else if filter.outputs.original {
            out.push_next(token);
        } else if increment == 1 && out.last.is_some() {
            out.pending -= 1;
        }
    }
    let num_read = read.map_or(0, |last| last + 1);
    let num_trailing = list.num_positions.saturating_sub(num_read) + out.pending;
    TokenList {
        num_positions: out.last.map_or(0, |last| last + 1) + num_trailing,
        tokens: out.tokens.into_tokens(),
    }
}

struct Output<'m> {
    tokens: Made<'m>,
    /// Position of the last token written.
    last: Option<u32>,
    /// Positions passed since.
    pending: u32,
}

impl Output<'_> {
    fn push(&mut self, mut token: Token, increment: u32) {
        let position = match self.last {
            // The first token stands somewhere, also where it is to be stacked.
            None => increment.saturating_sub(1),
            Some(last) => last + increment,
        };
        token.position = position;
        self.last = Some(position);
        self.tokens.push(token);
    }

    fn push_next(&mut self, token: Token) {
        let increment = std::mem::take(&mut self.pending);
        self.push(token, increment);
    }
}

/// One word that is cut.
struct Word<'a, 'm> {
    filter: &'a WordDelimiter,
    token: &'a Token,
    out: &'a mut Output<'m>,
    buffered: Vec<Spaced>,
    joined: Joined,
    all: Joined,
    has_output: bool,
    /// Whether the next token is the first after the whole word, which it is stacked on.
    is_after_original: bool,
    num_last_joined: usize,
}

impl<'a, 'm> Word<'a, 'm> {
    fn new(filter: &'a WordDelimiter, token: &'a Token, out: &'a mut Output<'m>) -> Self {
        Self {
            filter,
            token,
            out,
            buffered: Vec::new(),
            joined: Joined::default(),
            all: Joined::default(),
            has_output: false,
            is_after_original: false,
            num_last_joined: 0,
        }
    }

    fn write(mut self, parts: &[Part], is_single: bool) {
        let outputs = self.filter.outputs;
        if outputs.original {
            self.out.push_next(self.token.clone());
            self.is_after_original = true;
        }
        let text = &self.token.text;
        if is_single {
            let place = parts[0].0.clone();
            let increment = self.increment(false);
            let part = self
                .filter
                .part(self.token, text[place.clone()].to_owned(), place);
            self.out.push(part, increment);
            return;
        }
        for (place, kind) in parts {
            if self.joined.ends_before(*kind) {
                self.flush();
                self.has_output = false;
            }
            if outputs.joins(*kind) {
                self.joined.add(text, (place.clone(), *kind), 0);
            }
            if outputs.joined_all {
                self.all.add(text, (place.clone(), *kind), 0);
            }
            if outputs.gives(*kind) {
                self.buffer(text[place.clone()].to_owned(), place.clone(), false);
            }
        }
        if !self.joined.is_empty() {
            self.flush();
        }
        if self.all.num_parts > self.num_last_joined {
            let all = std::mem::take(&mut self.all);
            self.buffer(all.text, all.place, true);
        }
        // As places go; those that are stacked after what they are stacked on.
        self.buffered
            .sort_by_key(|(token, increment)| (token.start, std::cmp::Reverse(*increment)));
        for (token, increment) in self.buffered {
            let is_first = self.out.last.is_none();
            let increment = if is_first {
                increment.max(1)
            } else {
                increment
            };
            self.out.push(token, increment);
        }
    }

    /// Writes what was joined, unless it is one part that stands by itself.
    fn flush(&mut self) {
        let joined = std::mem::take(&mut self.joined);
        self.num_last_joined = joined.num_parts;
        if joined.num_parts != 1 || !self.filter.outputs.gives(joined.kind) {
            self.buffer(joined.text, joined.place, true);
        }
    }

    fn buffer(&mut self, text: String, place: Range<usize>, is_joined: bool) {
        let increment = self.increment(is_joined);
        let part = self.filter.part(self.token, text, place);
        self.buffered.push((part, increment));
    }

    /// Returns how far after the token before the next one stands.
    fn increment(&mut self, is_joined: bool) -> u32 {
        if self.has_output {
            let pending = std::mem::take(&mut self.out.pending);
            return if is_joined { 0 } else { pending.max(1) };
        }
        self.has_output = true;
        if self.is_after_original {
            self.is_after_original = false;
            return 0;
        }
        std::mem::take(&mut self.out.pending).max(1)
    }
}
