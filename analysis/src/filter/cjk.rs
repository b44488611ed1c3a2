//! `cjk_bigram`: pairs of adjacent Han, Hiragana, Katakana and Hangul characters.

use super::ListFilter;
use crate::meter::{Made, Meter};
use crate::token::{Token, TokenKind, TokenList};

/// Pairs the characters of the listed scripts; other tokens pass.
#[derive(Debug)]
pub(crate) struct CjkBigram {
    /// Kinds of tokens whose characters are paired.
    pub(crate) kinds: Vec<TokenKind>,
    /// Also emit each character by itself.
    pub(crate) outputs_unigrams: bool,
}

/// One character of a run without gaps.
struct Unit {
    text: String,
    start: usize,
    end: usize,
}

impl CjkBigram {
    fn flush(&self, run: &mut Vec<Unit>, position: &mut u32, tokens: &mut Made<'_>) {
        let mut push = |text: String, kind, span: (usize, usize), position| {
            let (start, end) = span;
            let position_length = if kind == TokenKind::Double && self.outputs_unigrams {
                2
            } else {
                1
            };
            let is_keyword = false;
            tokens.push(Token {
                text,
                position,
                position_length,
                start,
                end,
                kind,
                is_keyword,
            });
        };
        for (at, unit) in run.iter().enumerate() {
            let next = run.get(at + 1);
            if self.outputs_unigrams || run.len() == 1 {
                push(
                    unit.text.clone(),
                    TokenKind::Single,
                    (unit.start, unit.end),
                    *position,
                );
            }
            if let Some(next) = next {
                let text = [unit.text.as_str(), &next.text].concat();
                push(text, TokenKind::Double, (unit.start, next.end), *position);
            }
            let is_last_pair = next.is_none() && !self.outputs_unigrams && run.len() > 1;
            *position += u32::from(!is_last_pair);
        }
        run.clear();
    }
}

/// Returns the characters of a token, with their own offsets where the text is as in the original.
fn units(token: &Token) -> impl Iterator<Item = Unit> {
    let is_verbatim = token.end - token.start == token.text.len();
    token.text.char_indices().map(move |(at, c)| Unit {
        text: c.to_string(),
        start: if is_verbatim {
            token.start + at
        } else {
            token.start
        },
        end: if is_verbatim {
            token.start + at + c.len_utf8()
        } else {
            token.end
        },
    })
}

impl ListFilter for CjkBigram {
    fn apply(&self, list: TokenList, meter: &Meter<'_>) -> TokenList {
        let mut tokens = Made::new(meter);
        let mut run: Vec<Unit> = Vec::new();
        let mut position = 0;
        let mut next_input = 0;
        for token in &list.tokens {
            let is_paired = self.kinds.contains(&token.kind);
            let is_adjacent = run.last().is_some_and(|last| last.end == token.start);
            if !is_paired || !is_adjacent {
                self.flush(&mut run, &mut position, &mut tokens);
            }
            // A gap of the input stays; a token at its predecessor's position stays there.
            position += token.position.saturating_sub(next_input);
            if is_paired {
                run.extend(units(token));
            } else {
                let is_stacked = token.position + 1 == next_input;
                let place = position.saturating_sub(u32::from(is_stacked));
                tokens.push(Token {
                    position: place,
                    ..token.clone()
                });
                position = place + 1;
            }
            next_input = token.position + 1;
        }
        self.flush(&mut run, &mut position, &mut tokens);
        let num_trailing = list.num_positions.saturating_sub(next_input);
        TokenList {
            tokens: tokens.into_tokens(),
            num_positions: position + num_trailing,
        }
    }

    fn growth(&self) -> u64 {
        3
    }
}
