//! Token filters out of settings.

use super::Filter;
use crate::{analyzer::Chain, error::AnalysisError, limits::Limits, settings::Params};

mod several;
mod single;
mod stemmers;
mod words;

pub(crate) use single::stop_words;
pub(crate) use stemmers::algorithm as stemmer_algorithm;

/// What a filter may need to know beside its own settings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FilterContext<'a> {
    pub(crate) limits: &'a Limits,
    /// The parts before the filter: synonym rules are analyzed with them.
    pub(crate) preceding: &'a Chain,
}

/// Filter types of the dialect that Gleaner does not have.
const UNSUPPORTED: [&str; 16] = [
    "bengali_normalization",
    "brazilian_stem",
    "bengali_stem",
    "czech_stem",
    "condition",
    "hunspell",
    "hyphenation_decompounder",
    "icu_collation",
    "icu_folding",
    "icu_normalizer",
    "icu_transform",
    "kstem",
    "min_hash",
    "persian_stem",
    "phonetic",
    "predicate_token_filter",
];

type Built = Result<Option<Filter>, AnalysisError>;

/// Returns the filter of a type, or `None` when there is no such type in the dialect.
///
/// # Errors
/// A setting is refused, or the dialect has the type and Gleaner does not.
pub(crate) fn build(kind: &str, params: &Params<'_>, context: FilterContext<'_>) -> Built {
    if UNSUPPORTED.contains(&kind) {
        return Err(params.unsupported(kind));
    }
    if kind == "delimited_payload_filter" {
        return Err(AnalysisError::IllegalArgument(
            "[delimited_payload_filter] is not supported for new indices, use [delimited_payload] instead"
                .to_owned(),
        ));
    }
    for family in [
        single::characters,
        single::words,
        words::pieces,
        stemmers::stemmers,
    ] {
        if let Some(filter) = family(kind, params)? {
            return Ok(Some(filter));
        }
    }
    several::several(kind, params, context)
}
