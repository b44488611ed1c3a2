//! The tokens of one value in one text: what the writer of an index reads, reused from value to
//! value, so that nothing is allocated per token.

use crate::{filter::case, tokenizer::Standard};

/// Bytes of text up to which a buffer's memory is kept for the next value.
const MAX_KEPT_BYTES: usize = 1 << 20;

/// Tokens of one value.
#[derive(Debug, Clone, Default)]
pub struct TokenBuffer {
    /// Texts of the tokens, and whatever stands between them.
    text: String,
    tokens: Vec<BufferedToken>,
    num_positions: u32,
}

/// Where a token stands in its buffer, and in its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct BufferedToken {
    start: usize,
    end: usize,
    position: u32,
    position_length: u32,
}

/// A token of a buffer; the fields are those of [`crate::TokenRef`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term<'a> {
    /// The term to index.
    pub text: &'a str,
    /// Position in the value, from 0.
    pub position: u32,
    /// How many positions it spans.
    pub position_length: u32,
}

impl TokenBuffer {
    /// Returns the token at `at`, counted from 0; `None` after the last.
    pub fn get(&self, at: usize) -> Option<Term<'_>> {
        let token = self.tokens.get(at)?;
        Some(Term {
            text: &self.text[token.start..token.end],
            position: token.position,
            position_length: token.position_length,
        })
    }

    /// Returns the number of positions of the value.
    pub fn num_positions(&self) -> u32 {
        self.num_positions
    }

    pub(crate) fn clear(&mut self) {
        if self.text.capacity() > MAX_KEPT_BYTES {
            *self = Self::default();
        }
        self.text.clear();
        self.tokens.clear();
        self.num_positions = 0;
    }

    pub(crate) fn set_num_positions(&mut self, num_positions: u32) {
        self.num_positions = num_positions;
    }

    /// Appends a token.
    pub(crate) fn push(&mut self, text: &str, position: u32, position_length: u32) {
        let start = self.text.len();
        self.text.push_str(text);
        self.tokens.push(BufferedToken {
            start,
            end: self.text.len(),
            position,
            position_length,
        });
    }

    /// Fills an empty buffer with the words of `text` in lower case: the standard tokenizer and the
    /// plain lowercase filter at once.
    ///
    /// The text is put into lower case as a whole, as far as it is ASCII: that changes neither the
    /// length of a word nor where it ends. Words with other characters are appended behind it.
    pub(crate) fn fill_lowercase(&mut self, tokenizer: &Standard, text: &str) {
        self.text.push_str(text);
        self.text.make_ascii_lowercase();
        let (buffer, tokens) = (&mut self.text, &mut self.tokens);
        self.num_positions = tokenizer.words(text, |word| {
            let (start, end) = if word.is_ascii || text[word.start..word.end].is_ascii() {
                (word.start, word.end)
            } else {
                let start = buffer.len();
                case::push_lowercase(&text[word.start..word.end], buffer);
                (start, buffer.len())
            };
            tokens.push(BufferedToken {
                start,
                end,
                position: word.position,
                position_length: 1,
            });
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{AnalyzerRegistry, Meter};

    proptest! {
        #[test]
        fn the_buffer_holds_what_the_analyzer_emits(
            text in "([aB1_.,:'ÉßİΣя語ก한😀-]\u{301}?|[ \n]|[a-zA-Z]{250,260}){0,40}",
            name in prop_oneof!["standard", "english", "whitespace"],
        ) {
            let analyzer = AnalyzerRegistry::builtin().analyzer(&name).expect("built in");
            let mut buffer = TokenBuffer::default();
            // What an earlier value left must not be seen.
            let meter = Meter::unlimited();
            analyzer.analyze_to("an earlier Value", &meter, &mut buffer).expect("no bound");
            analyzer.analyze_to(&text, &meter, &mut buffer).expect("no bound");
            let mut emitted = Vec::new();
            let num_positions = analyzer.analyze_into(&text, &meter, &mut |token| {
                emitted.push((token.text.to_owned(), token.position, token.position_length));
            });
            let buffered: Vec<_> = (0..)
                .map_while(|at| buffer.get(at))
                .map(|term| (term.text.to_owned(), term.position, term.position_length))
                .collect();
            prop_assert_eq!(buffered, emitted);
            prop_assert_eq!(Ok(buffer.num_positions()), num_positions);
        }
    }
}
