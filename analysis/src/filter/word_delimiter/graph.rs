//! `word_delimiter_graph`: parts at positions of their own, joined ones as long as what they are made of.

use super::parts::Part;
use super::{Joined, WordDelimiter};
use crate::meter::{Made, Meter};
use crate::token::{Token, TokenList};

pub(super) fn apply(filter: &WordDelimiter, list: TokenList, meter: &Meter<'_>) -> TokenList {
    let mut tokens = Made::new(meter);
    // Positions that parts took beside those of their words.
    let mut num_added = 0;
    for mut token in list.tokens {
        token.position += num_added;
        let parts = filter.splitting.parts(&token.text);
        let is_whole = parts.is_whole(&token.text) || filter.is_kept_whole(&token);
        let has_parts = !parts.parts.is_empty();
        if is_whole || (!has_parts && filter.outputs.original) {
            tokens.push(token);
        } else if has_parts {
            let mut word = Word::new(filter, &token);
            word.read(&parts.parts, parts.is_single);
            num_added += word.next.saturating_sub(1);
            tokens.extend(word.tokens.into_iter().map(|(_, token)| token));
        }
    }
    TokenList {
        tokens: tokens.into_tokens(),
        num_positions: list.num_positions + num_added,
    }
}

/// One word that is cut.
struct Word<'a> {
    filter: &'a WordDelimiter,
    token: &'a Token,
    /// Each with the place in the word where it begins.
    tokens: Vec<(usize, Token)>,
    joined: Joined,
    all: Joined,
    /// Position of the next part among those of the word.
    next: u32,
    num_last_joined: usize,
}

impl<'a> Word<'a> {
    fn new(filter: &'a WordDelimiter, token: &'a Token) -> Self {
        Self {
            filter,
            token,
            tokens: Vec::new(),
            joined: Joined::default(),
            all: Joined::default(),
            next: 0,
            num_last_joined: 0,
        }
    }

    fn read(&mut self, parts: &[Part], is_single: bool) {
        let outputs = self.filter.outputs;
        let text = &self.token.text;
        for part in parts {
            let (place, kind) = part;
            if !is_single {
                if self.joined.ends_before(*kind) {
                    self.flush();
                }
                if outputs.joins(*kind) {
                    self.joined.add(text, part.clone(), self.next);
                }
                if outputs.joined_all {
                    self.all.add(text, part.clone(), self.next);
                }
            }
            if is_single || outputs.gives(*kind) {
                let own = text[place.clone()].to_owned();
                let part = self.filter.part(self.token, own, place.clone());
                self.push((place.start, part), self.next, self.next + 1);
                self.next += 1;
            }
        }
        if !self.joined.is_empty() {
            self.flush();
        }
        if self.all.num_parts > self.num_last_joined {
            let all = std::mem::take(&mut self.all);
            self.push_joined(all);
        }
        if outputs.original {
            self.next = self.next.max(1);
            self.push((0, self.token.clone()), 0, self.next);
        }
        // The longest first.
        self.tokens.sort_by_key(|(place, token)| {
            (
                token.position,
                std::cmp::Reverse(token.position_length),
                *place,
            )
        });
    }

    /// Writes what was joined, unless it is one part that stands by itself.
    fn flush(&mut self) {
        let joined = std::mem::take(&mut self.joined);
        self.num_last_joined = joined.num_parts;
        if joined.num_parts != 1 || !self.filter.outputs.gives(joined.kind) {
            self.push_joined(joined);
        } else if self.next == joined.position {
            self.next += 1;
        }
    }

    fn push_joined(&mut self, joined: Joined) {
        if self.next == joined.position {
            // Its parts took no positions.
            self.next += 1;
        }
        let begins = joined.place.start;
        let part = self.filter.part(self.token, joined.text, joined.place);
        self.push((begins, part), joined.position, self.next);
    }

    fn push(&mut self, (place, token): (usize, Token), from: u32, to: u32) {
        let token = Token {
            position: self.token.position + from,
            position_length: to - from,
            ..token
        };
        self.tokens.push((place, token));
    }
}
