//! What is marked in a text: single words, and whole matches of phrases.

use std::mem;

use gleaner_analysis::Token;

use super::matcher::{Span, merge};

/// How a match of several words is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Marking {
    /// A phrase from its first word to its last, and only clauses that match (Lucene's
    /// `WEIGHT_MATCHES`).
    Matches,
    /// Each word by itself, of every clause.
    Words,
}

/// Marks among the tokens of a text.
pub(super) struct Marks<'t> {
    tokens: &'t [Token],
    marking: Marking,
    /// Per token: which of the query's terms marks it. Empty until one is marked.
    words: Vec<Option<usize>>,
    /// Matches of phrases. Those that overlap are joined when they are many.
    matches: Vec<Span>,
    /// How many are gathered before that.
    most_matches: usize,
}

impl<'t> Marks<'t> {
    pub(super) fn new(tokens: &'t [Token], marking: Marking) -> Self {
        Self {
            tokens,
            marking,
            words: Vec::new(),
            matches: Vec::new(),
            most_matches: tokens.len().max(64),
        }
    }

    /// Marks a token; of several terms the first counts.
    pub(super) fn mark(&mut self, token: usize, term: usize) {
        if self.words.is_empty() {
            self.words = vec![None; self.tokens.len()];
        }
        let marked = self.words[token].get_or_insert(term);
        *marked = term.min(*marked);
    }

    /// Marks a match of a phrase: the token of each slot, whose terms are numbered from `first`.
    pub(super) fn mark_phrase(&mut self, tokens: impl Iterator<Item = usize>, first: usize) {
        if self.marking == Marking::Words {
            for (number, token) in tokens.enumerate() {
                self.mark(token, first + number);
            }
            return;
        }
        let mut span = Span {
            start: usize::MAX,
            end: 0,
            term: first,
        };
        for token in tokens {
            span.start = span.start.min(self.tokens[token].start);
            span.end = span.end.max(self.tokens[token].end);
        }
        self.matches.push(span);
        if self.matches.len() > self.most_matches {
            self.matches = merge(mem::take(&mut self.matches));
            self.most_matches = self.most_matches.max(2 * self.matches.len());
        }
    }

    /// Returns what is marked, in no order; spans may overlap.
    pub(super) fn into_spans(self) -> Vec<Span> {
        let words = self.tokens.iter().zip(&self.words);
        let words = words.filter_map(|(token, term)| {
            Some(Span {
                start: token.start,
                end: token.end,
                term: (*term)?,
            })
        });
        let mut spans: Vec<Span> = words.collect();
        spans.extend(self.matches);
        spans
    }
}
