//! `shingle`: adjacent tokens joined into one.

use super::ListFilter;
use crate::{
    meter::{Made, Meter},
    token::{Token, TokenKind, TokenList},
    tokenizer::sum_of_sizes,
};

/// Joins `min..=max` adjacent tokens.
#[derive(Debug)]
pub(crate) struct Shingle {
    /// In tokens, 2 ≤ `min` ≤ `max`.
    pub(crate) min: usize,
    pub(crate) max: usize,
    pub(crate) unigrams: Unigrams,
    pub(crate) separator: String,
    /// Stands for a position without token (a stop word).
    pub(crate) filler: String,
}

/// When single tokens are kept beside shingles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unigrams {
    Always,
    Never,
    /// Only when the value is too short for any shingle.
    WithoutShingles,
}

/// A token, or the place of a missing one.
struct Slot<'a> {
    token: Option<&'a Token>,
    position: u32,
    start: usize,
    end: usize,
}

impl Shingle {
    /// Returns the tokens with fillers between them; at most `max - 1` at a place, since a shingle
    /// of fillers only is never made.
    fn slots<'a>(&self, list: &'a TokenList) -> Vec<Slot<'a>> {
        let mut slots: Vec<Slot<'a>> = Vec::with_capacity(list.tokens.len());
        let mut next_position = 0;
        for token in &list.tokens {
            self.push_fillers(&mut slots, next_position..token.position, token.start);
            slots.push(Slot {
                token: Some(token),
                position: token.position,
                start: token.start,
                end: token.end,
            });
            next_position = token.position + 1;
        }
        if let Some(end) = list.tokens.last().map(|token| token.end) {
            self.push_fillers(&mut slots, next_position..list.num_positions, end);
        }
        slots
    }

    fn push_fillers(&self, slots: &mut Vec<Slot<'_>>, gap: std::ops::Range<u32>, at: usize) {
        // A long gap needs fillers for shingles that end and that begin in it, not more.
        let edge = u32::try_from(self.max - 1).unwrap_or(u32::MAX);
        let near_start = gap.start..gap.end.min(gap.start.saturating_add(edge));
        let near_end = near_start.end.max(gap.end.saturating_sub(edge))..gap.end;
        for position in near_start.chain(near_end) {
            slots.push(Slot {
                token: None,
                position,
                start: at,
                end: at,
            });
        }
    }

    fn push_shingles(&self, slots: &[Slot<'_>], tokens: &mut Made<'_>) -> bool {
        let mut is_any = false;
        for size in self.min..=self.max.min(slots.len()) {
            let parts = &slots[..size];
            if parts.iter().all(|slot| slot.token.is_none()) {
                continue;
            }
            let texts: Vec<&str> = parts
                .iter()
                .map(|slot| slot.token.map_or(self.filler.as_str(), |token| &token.text))
                .collect();
            let separators = self.separator.len() * (size - 1);
            if !tokens.has_room(texts.iter().map(|text| text.len()).sum::<usize>() + separators) {
                return is_any;
            }
            let span = if self.unigrams == Unigrams::Always {
                size
            } else {
                size - self.min + 1
            };
            tokens.put(Token {
                text: texts.join(&self.separator),
                position: parts[0].position,
                position_length: u32::try_from(span).unwrap_or(u32::MAX),
                start: parts[0].start,
                end: parts[size - 1].end.max(parts[0].start),
                kind: TokenKind::Shingle,
                is_keyword: false,
            });
            is_any = true;
        }
        is_any
    }
}

impl ListFilter for Shingle {
    fn apply(&self, list: TokenList, meter: &Meter<'_>) -> TokenList {
        let slots = self.slots(&list);
        let mut tokens = Made::new(meter);
        let mut has_shingles = false;
        for (at, slot) in slots.iter().enumerate() {
            if meter.is_spent() {
                break;
            }
            if self.unigrams == Unigrams::Always {
                tokens.extend(slot.token.cloned());
            }
            has_shingles |= self.push_shingles(&slots[at..], &mut tokens);
        }
        if !has_shingles && self.unigrams == Unigrams::WithoutShingles {
            return list;
        }
        TokenList {
            tokens: tokens.into_tokens(),
            num_positions: list.num_positions,
        }
    }

    fn growth(&self) -> u64 {
        let separators = self.separator.len().max(self.filler.len()) as u64;
        sum_of_sizes(self.min, self.max).saturating_mul(1 + separators)
    }
}
