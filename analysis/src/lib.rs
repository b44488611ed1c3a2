//! Text to tokens: analyzers, normalizers, and the registry an index's settings make of them.
//!
//! Does: split, fold, stem and expand text as the dialect's `analysis` settings say; the same code
//! serves documents, queries and `_analyze`. Does not: read files (so no `*_path` settings), know
//! mappings, or store anything. It is pure: no I/O, no clock; the same text gives the same tokens.
//! Called by `engine` (documents), `root` (queries) and `api` (`_analyze`).
//! Read [`Analyzer`] first, then [`AnalyzerRegistry`].
//!
//! ```
//! use gleaner_analysis::{AnalyzerRegistry, Meter};
//!
//! let registry = AnalyzerRegistry::builtin();
//! let english = registry.analyzer("english").expect("it is built in");
//! let tokens = english.analyze("The foxes' jumping", &Meter::for_request()).expect("it is short");
//! let terms: Vec<String> = tokens.into_iter().map(|t| t.text).collect();
//! assert_eq!(terms, ["fox", "jump"]);
//! ```
//!
//! # Where we differ from Elasticsearch
//! - Stemmers are Snowball's: `english` and `porter2` are Porter2, `porter_stem` and `porter` the stemmer of
//!   Porter's paper, without what Lucene adds (`-logi`, `-bli`); the language analyzers use Snowball where
//!   Elasticsearch uses "light" stemmers (French, German, Italian, ...). `kstem` and `light_*` are refused by name.
//! - The tokenizer `classic` is `standard`: e-mail addresses, host names and acronyms are split. It is not
//!   refused, or an index that declares it could not be opened.
//! - Patterns are Rust regexes: no look-around, no back-references (refused with the reason), hence no
//!   exponential matching. `\w`, `\d`, `\s` are ASCII as in Java.
//! - Lengths (`max_token_length`, n-grams) count characters, not UTF-16 units.
//! - An offset at the edge of deleted text (`html_strip`) stays outside of the deletion.

mod analyzer;
mod buffer;
mod char_filter;
mod error;
mod explanation;
mod filter;
mod language;
mod limits;
mod meter;
mod normalizer;
mod pattern;
mod places;
mod registry;
mod settings;
mod stemmer;
mod token;
mod tokenizer;
mod unicode;

pub use analyzer::{Analyzer, POSITION_INCREMENT_GAP, Values};
pub use buffer::{Term, TokenBuffer};
pub use error::{AnalysisError, Component};
pub use explanation::{Explanation, StageText, StageTokens};
pub use limits::Limits;
pub use meter::{Meter, TooMuch};
pub use normalizer::Normalizer;
pub use places::Places;
pub use registry::{AdHoc, AnalyzerRegistry, CustomAnalysis};
pub use token::{Token, TokenKind, TokenList, TokenRef};
