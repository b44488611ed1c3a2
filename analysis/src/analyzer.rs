//! An analyzer: character filters, one tokenizer, token filters.
//!
//! When every filter looks at one token at a time (all but synonyms, shingles and a few more),
//! tokens stream through one reused buffer: nothing is allocated per token. Otherwise the tokens
//! are collected at the first filter that needs to see several.

use std::sync::Arc;

use crate::{
    buffer::TokenBuffer,
    char_filter::{self, CharFilter},
    filter::{Filter, Word},
    places::Places,
    token::{Token, TokenList, TokenRef},
    tokenizer::{Standard, Tokenizer},
};

/// Positions between two values of one field, so that no phrase matches across them;
/// Elasticsearch's `position_increment_gap` default.
pub const POSITION_INCREMENT_GAP: u32 = 100;

/// A named chain from text to tokens. Cheap to clone; shared by threads.
#[derive(Debug, Clone)]
pub struct Analyzer {
    name: Arc<str>,
    chain: Arc<Chain>,
    position_increment_gap: u32,
    is_custom: bool,
}

/// A building block with the name the user knows it by.
#[derive(Debug, Clone)]
pub(crate) struct NamedBlock<T> {
    pub(crate) name: String,
    pub(crate) part: T,
}

/// The parts of an analyzer, in the order in which text meets them.
#[derive(Debug, Clone)]
pub(crate) struct Chain {
    pub(crate) char_filters: Vec<NamedBlock<Arc<dyn CharFilter>>>,
    pub(crate) tokenizer: NamedBlock<Arc<dyn Tokenizer>>,
    pub(crate) filters: Vec<NamedBlock<Filter>>,
}

impl Analyzer {
    /// Returns whether its tokenizer is known to end tokens at white space, so that none is longer than
    /// the longest run of other characters; filters may still lengthen them.
    pub fn splits_at_white_space(&self) -> bool {
        let name = self.chain.tokenizer.name.as_str();
        let is_splitting = matches!(name, "standard" | "whitespace" | "letter" | "lowercase");
        is_splitting && self.chain.char_filters.is_empty()
    }

    /// Returns an analyzer that the dialect knows by one name (`standard`, `english`).
    pub(crate) fn built_in(name: &str, chain: Chain) -> Self {
        Self {
            name: name.into(),
            chain: Arc::new(chain),
            position_increment_gap: POSITION_INCREMENT_GAP,
            is_custom: false,
        }
    }

    /// Returns an analyzer that a user put together.
    pub(crate) fn custom(name: &str, chain: Chain, position_increment_gap: u32) -> Self {
        Self {
            is_custom: true,
            ..Self::built_in(name, chain).with_gap(position_increment_gap)
        }
    }

    /// Returns this analyzer with one more filter, under another name.
    pub(crate) fn followed_by(&self, name: &str, filter: Filter) -> Self {
        let filter = NamedBlock {
            name: name.to_owned(),
            part: filter,
        };
        let filters = self.chain.filters.iter().cloned();
        Self {
            name: name.into(),
            chain: Arc::new(Chain {
                char_filters: self.chain.char_filters.clone(),
                tokenizer: self.chain.tokenizer.clone(),
                filters: filters.chain([filter]).collect(),
            }),
            ..self.clone()
        }
    }

    pub(crate) fn with_gap(self, position_increment_gap: u32) -> Self {
        Self {
            position_increment_gap,
            ..self
        }
    }

    /// Returns the name it is registered under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// True when it was put together from named parts: `_analyze?explain` then lists each part.
    pub fn is_custom(&self) -> bool {
        self.is_custom
    }

    /// Returns the positions to leave between two values of a field.
    pub fn position_increment_gap(&self) -> u32 {
        self.position_increment_gap
    }

    pub(crate) fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Returns the tokens of one value.
    pub fn analyze(&self, text: &str) -> Vec<Token> {
        let mut tokens = Vec::new();
        self.analyze_into(text, &mut |token| tokens.push(token.to_token()));
        tokens
    }

    /// Calls `sink` for each token, in order; returns the number of positions of the value.
    ///
    /// Positions are non-decreasing. Start offsets are non-decreasing too, unless the chain has
    /// filters that emit several tokens for one place (synonyms, n-grams with a preserved original).
    pub fn analyze_into(&self, text: &str, sink: &mut dyn FnMut(TokenRef<'_>)) -> u32 {
        self.chain.run(text, sink)
    }

    /// Returns where a token of `text` ends that nothing follows: at its end, or before what character
    /// filters take away there.
    pub fn end_of(&self, text: &str) -> usize {
        if self.chain.char_filters.is_empty() {
            return text.len();
        }
        let filters = self.chain.char_filters.iter().map(|f| &*f.part);
        let filtered = char_filter::apply_all(filters, text);
        filtered.offsets.correct(0, filtered.text.len()).1
    }

    /// Puts the tokens of one value into `buffer`, in order, in place of what it held.
    pub fn analyze_to(&self, text: &str, buffer: &mut TokenBuffer) {
        buffer.clear();
        if let Some(tokenizer) = self.chain.lowercase_words() {
            return buffer.fill_lowercase(tokenizer, text);
        }
        let num_positions = self.analyze_into(text, &mut |token| {
            buffer.push(token.text, token.position, token.position_length);
        });
        buffer.set_num_positions(num_positions);
    }

    /// Returns the tokens of a field with several values; see [`Analyzer::analyze_values_into`].
    pub fn analyze_values(&self, values: &[&str], gap: u32) -> Vec<Token> {
        let mut tokens = Vec::new();
        self.analyze_values_into(values, gap, &mut |token| tokens.push(token.to_token()));
        tokens
    }

    /// As [`Self::analyze_values`], for callers that bound what they keep: `None` when there are more than
    /// `most` tokens.
    pub fn analyze_values_within(
        &self,
        values: &[&str],
        gap: u32,
        most: usize,
    ) -> Option<Vec<Token>> {
        let mut tokens = Vec::new();
        let mut num_tokens = 0_usize;
        self.analyze_values_into(values, gap, &mut |token| {
            num_tokens += 1;
            if num_tokens <= most {
                tokens.push(token.to_token());
            }
        });
        (num_tokens <= most).then_some(tokens)
    }

    /// Returns whether some part of it looks at all tokens of a value together, as filters of synonyms and
    /// shingles do: it takes memory for all of them, and not for one at a time.
    pub fn gathers_tokens(&self) -> bool {
        let is_list = |filter: &NamedBlock<Filter>| matches!(filter.part, Filter::List(_));
        self.chain.filters.iter().any(is_list)
    }

    /// Calls `sink` for each token of all values.
    ///
    /// Between two values lie `gap` positions and one byte of offset: offsets are those in the
    /// values joined by one character.
    pub fn analyze_values_into(
        &self,
        values: &[&str],
        gap: u32,
        sink: &mut dyn FnMut(TokenRef<'_>),
    ) {
        let mut places = Places::new(gap);
        for value in values {
            let num_positions = self.analyze_into(value, &mut |token| {
                sink(TokenRef {
                    position: places.position().saturating_add(token.position),
                    start: places.offset() + token.start,
                    end: places.offset() + token.end,
                    ..token
                });
            });
            places.pass(num_positions, value.len());
        }
    }

    /// Returns `text` as one term, changed only by the parts that work on characters (lowercase,
    /// folding, ...): what the dialect does to the text of wildcard, prefix and fuzzy queries.
    pub fn normalize(&self, text: &str) -> String {
        self.chain.normalize(text)
    }
}

impl Chain {
    /// Returns the tokenizer when the chain is the `standard` analyzer's: words in lower case.
    fn lowercase_words(&self) -> Option<&Standard> {
        let [filter] = self.filters.as_slice() else {
            return None;
        };
        let is_plain = self.char_filters.is_empty() && filter.part.is_plain_lowercase();
        self.tokenizer.part.as_standard().filter(|_| is_plain)
    }

    /// Runs all parts; returns the number of positions.
    pub(crate) fn run(&self, text: &str, sink: &mut dyn FnMut(TokenRef<'_>)) -> u32 {
        if self.char_filters.is_empty() {
            return self.run_filtered(text, sink);
        }
        let filtered = char_filter::apply_all(self.char_filters.iter().map(|f| &*f.part), text);
        self.run_filtered(&filtered.text, &mut |token| {
            let (start, end) = filtered.offsets.correct(token.start, token.end);
            sink(TokenRef {
                start,
                end,
                ..token
            });
        })
    }

    /// Runs the tokenizer and all filters on text that has passed the character filters.
    fn run_filtered(&self, text: &str, sink: &mut dyn FnMut(TokenRef<'_>)) -> u32 {
        let is_list = |filter: &NamedBlock<Filter>| matches!(filter.part, Filter::List(_));
        let num_streaming = self
            .filters
            .iter()
            .position(is_list)
            .unwrap_or(self.filters.len());
        let (streaming, rest) = self.filters.split_at(num_streaming);
        if rest.is_empty() {
            return self.stream(streaming, text, sink);
        }
        let mut list = TokenList::default();
        list.num_positions = self.stream(streaming, text, &mut |token| {
            list.tokens.push(token.to_token());
        });
        for filter in rest {
            list = filter.part.apply_to_list(list);
        }
        for token in &list.tokens {
            // A filter that cuts words does not see the text: it may have become one as long of other characters.
            let whole = |at: usize| (0..=at).rev().find(|at| text.is_char_boundary(*at));
            sink(TokenRef {
                start: whole(token.start).unwrap_or(0),
                end: whole(token.end).unwrap_or(0),
                ..token.as_ref()
            });
        }
        list.num_positions
    }

    /// Runs the tokenizer and filters that look at single tokens.
    fn stream(
        &self,
        filters: &[NamedBlock<Filter>],
        text: &str,
        sink: &mut dyn FnMut(TokenRef<'_>),
    ) -> u32 {
        if filters.is_empty() {
            return self.tokenizer.part.tokenize(text, sink);
        }
        let mut word = Word::default();
        self.tokenizer.part.tokenize(text, &mut |token| {
            word.load(token);
            if filters.iter().all(|filter| filter.part.keep(&mut word)) {
                sink(word.as_token(token));
            }
        })
    }

    /// Returns the tokens of `text`, ending before the part that is being built (synonym rules are
    /// analyzed with the parts before the synonym filter).
    pub(crate) fn tokens(&self, text: &str) -> Vec<Token> {
        let mut tokens = Vec::new();
        self.run(text, &mut |token| tokens.push(token.to_token()));
        tokens
    }

    fn normalize(&self, text: &str) -> String {
        let chars = self
            .char_filters
            .iter()
            .map(|f| &*f.part)
            .filter(|f| f.is_normalizing());
        let mut word = Word::default();
        word.set(&char_filter::apply_all(chars, text).text);
        if self.tokenizer.part.lowercases() {
            crate::filter::case::lowercase(&mut word);
        }
        for filter in &self.filters {
            filter.part.normalize(&mut word);
        }
        word.into_text()
    }
}
