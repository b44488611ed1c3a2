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
    meter::{Made, Meter, PASSED_TOKEN, TooMuch},
    places::Places,
    token::{Token, TokenList, TokenRef},
    tokenizer::{Standard, Tokenizer},
};

/// Positions between two values of one field, so that no phrase matches across them;
/// Elasticsearch's `position_increment_gap` default.
pub const POSITION_INCREMENT_GAP: u32 = 100;

/// What a character filter takes beside the text it makes, for each byte that it replaces.
const REPLACED_BYTE: u64 = 40;

/// The values of one field.
#[derive(Debug, Clone, Copy)]
pub struct Values<'a> {
    /// Each value, in order.
    pub texts: &'a [&'a str],
    /// Positions between two of them.
    pub gap: u32,
}

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
    ///
    /// # Errors
    /// [`TooMuch`]: the chain makes more than the meter allows.
    pub fn analyze(&self, text: &str, meter: &Meter<'_>) -> Result<Vec<Token>, TooMuch> {
        let mut tokens = Made::new(meter);
        self.analyze_into(text, meter, &mut |token| tokens.push(token.to_token()))?;
        meter.check()?;
        Ok(tokens.into_tokens())
    }

    /// Calls `sink` for each token, in order; returns the number of positions of the value.
    ///
    /// # Errors
    /// [`TooMuch`]: the chain makes more than the meter allows; `sink` has seen some of its tokens.
    ///
    /// Positions are non-decreasing. Start offsets are non-decreasing too, unless the chain has
    /// filters that emit several tokens for one place (synonyms, n-grams with a preserved original).
    pub fn analyze_into(
        &self,
        text: &str,
        meter: &Meter<'_>,
        sink: &mut dyn FnMut(TokenRef<'_>),
    ) -> Result<u32, TooMuch> {
        meter.read(text);
        let num_positions = self.chain.run(text, meter, sink);
        meter.check()?;
        Ok(num_positions)
    }

    /// Returns where a token of `text` ends that nothing follows: at its end, or before what character
    /// filters take away there.
    ///
    /// # Errors
    /// [`TooMuch`]: the character filters make more than the meter allows.
    pub fn end_of(&self, text: &str, meter: &Meter<'_>) -> Result<usize, TooMuch> {
        if self.chain.char_filters.is_empty() {
            return Ok(text.len());
        }
        meter.read(text);
        let filters = self.chain.char_filters.iter().map(|f| &*f.part);
        let filtered = char_filter::apply_all(filters, text, meter);
        meter.check()?;
        Ok(filtered.offsets.correct(0, filtered.text.len()).1)
    }

    /// Puts the tokens of one value into `buffer`, in order, in place of what it held.
    ///
    /// # Errors
    /// [`TooMuch`]: the chain makes more than the meter allows; the buffer holds some of its tokens.
    pub fn analyze_to(
        &self,
        text: &str,
        meter: &Meter<'_>,
        buffer: &mut TokenBuffer,
    ) -> Result<(), TooMuch> {
        buffer.clear();
        if let Some(tokenizer) = self.chain.lowercase_words() {
            // It makes little more than it reads.
            buffer.fill_lowercase(tokenizer, text);
            return Ok(());
        }
        let num_positions = self.analyze_into(text, meter, &mut |token| {
            buffer.push(token.text, token.position, token.position_length);
        })?;
        buffer.set_num_positions(num_positions);
        Ok(())
    }

    /// Returns the tokens of a field with several values, see [`Analyzer::analyze_values_into`]; `None` when there are
    /// more than `most`, and the meter is spent then.
    ///
    /// # Errors
    /// [`TooMuch`]: the chain makes more than the meter allows.
    pub fn analyze_values_within(
        &self,
        values: &Values<'_>,
        most: usize,
        meter: &Meter<'_>,
    ) -> Result<Option<Vec<Token>>, TooMuch> {
        let mut tokens = Made::new(meter);
        let mut num_tokens = 0_usize;
        let analyzed = self.analyze_values_into(values, meter, &mut |token| {
            num_tokens += 1;
            match num_tokens <= most {
                true => tokens.push(token.to_token()),
                // The rest is not made.
                false => meter.spend(),
            }
        });
        if num_tokens > most {
            return Ok(None);
        }
        analyzed?;
        meter.check()?;
        Ok(Some(tokens.into_tokens()))
    }

    /// Calls `sink` for each token of all values.
    ///
    /// Between two values lie [`Values::gap`] positions and one byte of offset: offsets are those in the
    /// values joined by one character.
    ///
    /// # Errors
    /// [`TooMuch`]: the chain makes more than the meter allows; `sink` has seen some of its tokens.
    pub fn analyze_values_into(
        &self,
        values: &Values<'_>,
        meter: &Meter<'_>,
        sink: &mut dyn FnMut(TokenRef<'_>),
    ) -> Result<(), TooMuch> {
        let mut places = Places::new(values.gap);
        for value in values.texts {
            let num_positions = self.analyze_into(value, meter, &mut |token| {
                sink(TokenRef {
                    position: places.position().saturating_add(token.position),
                    start: places.offset() + token.start,
                    end: places.offset() + token.end,
                    ..token
                });
            })?;
            places.pass(num_positions, value.len());
        }
        Ok(())
    }

    /// Returns `text` as one term, changed only by the parts that work on characters (lowercase,
    /// folding, ...): what the dialect does to the text of wildcard, prefix and fuzzy queries.
    ///
    /// # Errors
    /// [`TooMuch`]: the parts make more than the meter allows.
    pub fn normalize(&self, text: &str, meter: &Meter<'_>) -> Result<String, TooMuch> {
        meter.read(text);
        let text = self.chain.normalize(text, meter);
        meter.check()?;
        Ok(text)
    }

    /// Returns what it takes of a document's meter for each byte of text at most; 0 where it takes so little that no
    /// text exceeds the meter, as all do that only change or drop words.
    pub fn cost_per_byte(&self) -> u64 {
        self.chain.cost_per_byte()
    }

    /// Returns how many bytes a term may have of each byte of a text, as far as characters are replaced.
    pub fn lengthening(&self) -> u64 {
        self.chain.lengthening()
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

    /// Returns how many bytes its parts make of one at most, of usual texts.
    pub(crate) fn growth(&self) -> u64 {
        let chars = self.char_filters.iter().map(|filter| filter.part.growth());
        let filters = self.filters.iter().map(|filter| filter.part.growth());
        let parts = chars.chain([self.tokenizer.part.growth()]).chain(filters);
        parts.fold(1, u64::saturating_mul)
    }

    /// As [`Analyzer::cost_per_byte`].
    fn cost_per_byte(&self) -> u64 {
        let growth = self.growth();
        let is_list = |filter: &&NamedBlock<Filter>| matches!(filter.part, Filter::List(_));
        let num_lists = self.filters.iter().filter(is_list).count() as u64;
        let num_chars = self.char_filters.len() as u64;
        if growth == 1 && num_lists == 0 && num_chars == 0 {
            return 0;
        }
        let kept = num_lists.saturating_mul(1 + size_of::<Token>() as u64);
        let replaced = num_chars.saturating_mul(REPLACED_BYTE);
        growth.saturating_mul(1 + PASSED_TOKEN + kept + replaced)
    }

    /// As [`Analyzer::lengthening`].
    fn lengthening(&self) -> u64 {
        let chars = self.char_filters.iter().map(|filter| filter.part.growth());
        let words = self.filters.iter().map(|filter| match &filter.part {
            Filter::Word(filter) => filter.growth(),
            Filter::List(_) => 1,
        });
        chars.chain(words).fold(1, u64::saturating_mul)
    }

    /// Runs all parts; returns the number of positions.
    fn run(&self, text: &str, meter: &Meter<'_>, sink: &mut dyn FnMut(TokenRef<'_>)) -> u32 {
        if self.char_filters.is_empty() {
            return self.run_filtered(text, meter, sink);
        }
        let chars = self.char_filters.iter().map(|f| &*f.part);
        let filtered = char_filter::apply_all(chars, text, meter);
        self.run_filtered(&filtered.text, meter, &mut |token| {
            let (start, end) = filtered.offsets.correct(token.start, token.end);
            sink(TokenRef {
                start,
                end,
                ..token
            });
        })
    }

    /// Runs the tokenizer and all filters on text that has passed the character filters.
    fn run_filtered(
        &self,
        text: &str,
        meter: &Meter<'_>,
        sink: &mut dyn FnMut(TokenRef<'_>),
    ) -> u32 {
        let is_list = |filter: &NamedBlock<Filter>| matches!(filter.part, Filter::List(_));
        let num_streaming = self
            .filters
            .iter()
            .position(is_list)
            .unwrap_or(self.filters.len());
        let (streaming, rest) = self.filters.split_at(num_streaming);
        if rest.is_empty() {
            return self.stream(streaming, text, meter, sink);
        }
        let mut tokens = Made::new(meter);
        let num_positions = self.stream(streaming, text, meter, &mut |token| {
            tokens.push(token.to_token());
        });
        let mut list = TokenList {
            tokens: tokens.into_tokens(),
            num_positions,
        };
        for filter in rest {
            list = filter.part.apply_to_list(list, meter);
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
        meter: &Meter<'_>,
        sink: &mut dyn FnMut(TokenRef<'_>),
    ) -> u32 {
        let mut word = Word::new(meter);
        self.tokenizer.part.tokenize(text, meter, &mut |token| {
            if !meter.take_token(token.text) {
                return;
            }
            if filters.is_empty() {
                return sink(token);
            }
            word.load(token);
            let is_kept = filters.iter().all(|filter| filter.part.keep(&mut word));
            if word.settle(meter) && is_kept {
                sink(word.as_token(token));
            }
        })
    }

    /// Returns the tokens of `text`, ending before the part that is being built (synonym rules are
    /// analyzed with the parts before the synonym filter).
    pub(crate) fn tokens(&self, text: &str, meter: &Meter<'_>) -> Result<Vec<Token>, TooMuch> {
        meter.read(text);
        let mut tokens = Made::new(meter);
        self.run(text, meter, &mut |token| tokens.push(token.to_token()));
        meter.check()?;
        Ok(tokens.into_tokens())
    }

    fn normalize(&self, text: &str, meter: &Meter<'_>) -> String {
        let chars = self
            .char_filters
            .iter()
            .map(|f| &*f.part)
            .filter(|f| f.is_normalizing());
        let mut word = Word::new(meter);
        word.set(&char_filter::apply_all(chars, text, meter).text);
        if self.tokenizer.part.lowercases() {
            crate::filter::case::lowercase(&mut word);
        }
        for filter in &self.filters {
            filter.part.normalize(&mut word);
        }
        word.settle(meter);
        word.into_text()
    }
}
