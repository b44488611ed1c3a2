//! Tokenizers: text to tokens.

use std::{fmt, sync::Arc};

use crate::{
    error::AnalysisError, limits::Limits, meter::Meter, settings::Params, token::TokenRef,
};

mod ascii;
mod chars;
mod ngram;
mod path;
mod pattern;
mod standard;

pub(crate) use chars::{CharTokenizer, Keyword};
pub(crate) use ngram::{CharClass, check_ngram_limits, sum_of_sizes};
pub(crate) use pattern::PatternTokenizer;
pub(crate) use standard::Standard;

/// Longest token of the standard tokenizer, in characters; Lucene's default.
pub(crate) const MAX_TOKEN_LENGTH: usize = 255;

/// Splits text.
pub(crate) trait Tokenizer: fmt::Debug + Send + Sync {
    /// Calls `sink` for each token, in order of start offset; returns the number of positions.
    ///
    /// `sink` charges the meter; a tokenizer that may make far more than it reads stops when that is spent.
    fn tokenize(&self, text: &str, meter: &Meter<'_>, sink: &mut dyn FnMut(TokenRef<'_>)) -> u32;

    /// Returns how many bytes it makes of one at most, of usual texts.
    fn growth(&self) -> u64 {
        1
    }

    /// Returns the standard tokenizer if it is one, for the fast way through `standard`.
    fn as_standard(&self) -> Option<&Standard> {
        None
    }

    /// True when it also lowercases, so that `normalize` must.
    fn lowercases(&self) -> bool {
        false
    }
}

/// Returns the tokenizer of a type, or `None` when there is no such type in the dialect.
///
/// # Errors
/// A setting is refused, or the dialect has the type and Gleaner does not.
pub(crate) fn build(
    kind: &str,
    params: &Params<'_>,
    limits: &Limits,
) -> Result<Option<Arc<dyn Tokenizer>>, AnalysisError> {
    Ok(Some(match kind {
        // Lucene's `classic` differs from `standard` in e-mail addresses, hosts and acronyms only.
        "standard" | "classic" => Arc::new(Standard::new(
            params.positive("max_token_length", MAX_TOKEN_LENGTH)?,
        )),
        "whitespace" => Arc::new(CharTokenizer::whitespace(
            params.positive("max_token_length", MAX_TOKEN_LENGTH)?,
        )),
        "letter" => Arc::new(CharTokenizer::letter()),
        "lowercase" => Arc::new(CharTokenizer::lowercase()),
        "keyword" => {
            // Lucene reads in blocks of this size; it has no effect on the tokens.
            params.positive("buffer_size", 256)?;
            Arc::new(Keyword)
        }
        "ngram" | "nGram" => Arc::new(ngram::NGram::sliding(params, limits)?),
        "edge_ngram" | "edgeNGram" => Arc::new(ngram::NGram::edge(params)?),
        "pattern" => Arc::new(PatternTokenizer::from_params(params)?),
        "simple_pattern" => Arc::new(PatternTokenizer::simple(params, false)?),
        "simple_pattern_split" => Arc::new(PatternTokenizer::simple(params, true)?),
        "char_group" => Arc::new(CharTokenizer::group(params)?),
        "path_hierarchy" | "PathHierarchy" => Arc::new(path::PathHierarchy::from_params(params)?),
        "uax_url_email" | "thai" | "icu_tokenizer" | "kuromoji_tokenizer" | "nori_tokenizer"
        | "smartcn_tokenizer" => {
            return Err(params.unsupported(kind));
        }
        _ => return Ok(None),
    }))
}
