//! Synonyms without a graph, as Lucene's `SynonymFilter`: the words of a longer synonym lie over
//! the positions that follow.

use std::collections::VecDeque;

use super::rules::{Entry, SynonymMap};
use crate::meter::{Made, Meter};
use crate::token::{Token, TokenKind, TokenList};

/// A synonym's word that waits for its position.
struct PendingWord {
    text: String,
    /// Where the match ended, for a synonym of one word; others take the offsets of their place.
    end: Option<usize>,
    position_length: u32,
}

pub(super) fn apply(map: &SynonymMap, list: &TokenList, meter: &Meter<'_>) -> TokenList {
    let mut flat = Flat {
        tokens: Made::new(meter),
        waiting: VecDeque::new(),
        next: 0,
        next_input: 0,
    };
    let mut matched_until = 0;
    let mut keeps_original = true;
    for (at, token) in list.tokens.iter().enumerate() {
        if at >= matched_until {
            keeps_original = true;
            if let Some((length, entry)) = map.longest_match(&list.tokens[at..]) {
                if !meter.take(entry.made_bytes) {
                    break;
                }
                flat.wait(entry, &list.tokens[at..at + length]);
                keeps_original = entry.keeps_original;
                matched_until = at + length;
            }
        }
        flat.push_place(token, keeps_original);
    }
    flat.push_trailing();
    let num_trailing = list.num_positions.saturating_sub(flat.next_input);
    TokenList {
        tokens: flat.tokens.into_tokens(),
        num_positions: flat.next + num_trailing,
    }
}

struct Flat<'m> {
    tokens: Made<'m>,
    /// By distance from the token that is read next.
    waiting: VecDeque<Vec<PendingWord>>,
    /// The position after all that was written.
    next: u32,
    /// The position after all that was read.
    next_input: u32,
}

impl Flat<'_> {
    fn wait(&mut self, entry: &Entry, matched: &[Token]) {
        let end = matched.iter().map(|token| token.end).max();
        let matched_length = u32::try_from(matched.len()).unwrap_or(u32::MAX);
        for words in &entry.outputs {
            let is_single = words.len() == 1;
            for (at, text) in words.iter().enumerate() {
                if self.waiting.len() <= at {
                    self.waiting.push_back(Vec::new());
                }
                self.waiting[at].push(PendingWord {
                    text: text.clone(),
                    end: if is_single { end } else { None },
                    position_length: if is_single && entry.keeps_original {
                        matched_length
                    } else {
                        1
                    },
                });
            }
        }
    }

    /// Writes what belongs to the place of `token`: itself if it stays, and waiting synonyms.
    fn push_place(&mut self, token: &Token, keeps_original: bool) {
        let waiting = self.waiting.pop_front().unwrap_or_default();
        if keeps_original || !waiting.is_empty() {
            let gap = i64::from(token.position) - i64::from(self.next_input);
            let position = u32::try_from((i64::from(self.next) + gap).max(0)).unwrap_or(u32::MAX);
            if keeps_original {
                self.tokens.push(Token {
                    position,
                    ..token.clone()
                });
            }
            self.push_waiting(waiting, position, (token.start, token.end));
            self.next = position + 1;
        }
        self.next_input = token.position + 1;
    }

    /// Writes what reaches beyond the last token.
    fn push_trailing(&mut self) {
        let span = self
            .tokens
            .tokens()
            .last()
            .map_or((0, 0), |token| (token.start, token.end));
        while let Some(waiting) = self.waiting.pop_front() {
            self.push_waiting(waiting, self.next, span);
            self.next += 1;
        }
    }

    fn push_waiting(
        &mut self,
        waiting: Vec<PendingWord>,
        position: u32,
        (start, end): (usize, usize),
    ) {
        // There was room for them when they began to wait.
        for word in waiting {
            self.tokens.put(Token {
                text: word.text,
                position,
                position_length: word.position_length,
                start,
                end: word.end.unwrap_or(end),
                kind: TokenKind::Synonym,
                is_keyword: false,
            });
        }
    }
}
