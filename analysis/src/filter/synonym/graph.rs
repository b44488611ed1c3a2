//! Synonyms as a graph, numbered as Lucene's `SynonymGraphFilter` does: all first words, synonyms
//! before the original; then the other words of each path, each at a position of its own.

use super::rules::{Entry, SynonymMap};
use crate::meter::{Made, Meter};
use crate::token::{Token, TokenKind, TokenList};

pub(super) fn apply(map: &SynonymMap, list: &TokenList, meter: &Meter<'_>) -> TokenList {
    let mut graph = Graph {
        tokens: Made::new(meter),
        next: 0,
        next_input: 0,
    };
    let mut rest = list.tokens.as_slice();
    while let Some(token) = rest.first() {
        let num_matched = match map.longest_match(rest) {
            Some((length, entry)) => {
                if !meter.take(entry.made_bytes) {
                    break;
                }
                graph.push_paths(&rest[..length], entry);
                length
            }
            None => {
                graph.push_token(token);
                1
            }
        };
        rest = &rest[num_matched..];
    }
    let num_trailing = list.num_positions.saturating_sub(graph.next_input);
    TokenList {
        tokens: graph.tokens.into_tokens(),
        num_positions: graph.next + num_trailing,
    }
}

struct Graph<'m> {
    tokens: Made<'m>,
    /// The position after all that was written.
    next: u32,
    /// The position after all that was read.
    next_input: u32,
}

impl Graph<'_> {
    /// Returns the position for a token that is read next: gaps stay gaps, and a token stacked on
    /// the one before stays stacked.
    fn place(&mut self, token: &Token) -> u32 {
        let gap = i64::from(token.position) - i64::from(self.next_input);
        u32::try_from((i64::from(self.next) + gap).max(0)).unwrap_or(u32::MAX)
    }

    fn push_token(&mut self, token: &Token) {
        let position = self.place(token);
        self.tokens.push(Token {
            position,
            ..token.clone()
        });
        self.next = position + 1;
        self.next_input = token.position + 1;
    }

    fn push_paths(&mut self, matched: &[Token], entry: &Entry) {
        let (Some(first), Some(last)) = (matched.first(), matched.last()) else {
            return;
        };
        let start = self.place(first);
        let end_offset = matched
            .iter()
            .map(|token| token.end)
            .max()
            .unwrap_or(last.end);
        let word = |text: &String| Token {
            text: text.clone(),
            position: 0,
            position_length: 1,
            start: first.start,
            end: end_offset,
            kind: TokenKind::Synonym,
            is_keyword: false,
        };
        let mut paths: Vec<Vec<Token>> = entry
            .outputs
            .iter()
            .map(|words| words.iter().map(word).collect())
            .collect();
        if entry.keeps_original {
            paths.push(matched.to_vec());
        }
        self.next = self.push_numbered(paths, start);
        self.next_input = last.position + 1;
    }

    /// Writes the paths from `start`; returns the position where they meet again.
    fn push_numbered(&mut self, paths: Vec<Vec<Token>>, start: u32) -> u32 {
        let inner = |path: &Vec<Token>| u32::try_from(path.len() - 1).unwrap_or(u32::MAX);
        let end = start + 1 + paths.iter().map(inner).sum::<u32>();
        let mut later = Vec::new();
        let mut node = start + 1;
        for path in paths {
            let num_words = path.len();
            for (at, token) in path.into_iter().enumerate() {
                let position = if at == 0 { start } else { node - 1 };
                let target = if at + 1 == num_words { end } else { node };
                node += u32::from(at + 1 < num_words);
                let token = Token {
                    position,
                    position_length: target - position,
                    ..token
                };
                if at == 0 {
                    self.tokens.put(token);
                } else {
                    later.push(token);
                }
            }
        }
        // There was room for the words of the paths, and there is for those of the text.
        later.into_iter().for_each(|token| self.tokens.put(token));
        end
    }
}
