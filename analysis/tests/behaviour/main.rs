//! What users see: tables of examples, most of them from the dialect's documentation and its
//! REST tests; refusals with their wording; laws that hold for any text.

mod analyzers;
mod bounds;
mod char_filters;
mod filters;
mod laws;
mod refusals;
mod registry;
mod synonyms;
mod tokenizers;
mod words;

use gleaner_analysis::{AnalyzerRegistry, CustomAnalysis, Meter, Token};
use serde_json::{Value, json};

/// Analyzes with parts named or defined in place.
fn analyze(tokenizer: &Value, filters: &Value, text: &str) -> Vec<Token> {
    let filters = filters.as_array().expect("a list of filters");
    let parts = CustomAnalysis {
        tokenizer: Some(tokenizer),
        filters,
        char_filters: &[],
    };
    AnalyzerRegistry::builtin()
        .custom(parts)
        .expect("good settings")
        .analyzer
        .analyze(text, &Meter::unlimited())
        .expect("no bound")
}

/// The texts of [`analyze`].
fn terms(tokenizer: &Value, filters: &Value, text: &str) -> Vec<String> {
    analyze(tokenizer, filters, text)
        .into_iter()
        .map(|token| token.text)
        .collect()
}

/// The text that one filter makes of a whole text.
fn filtered(filter: &Value, text: &str) -> String {
    terms(&json!("keyword"), &json!([filter]), text).join("|")
}

/// Text and position of each token.
fn places(tokens: &[Token]) -> Vec<(&str, u32)> {
    tokens
        .iter()
        .map(|token| (token.text.as_str(), token.position))
        .collect()
}

/// Text, position and position length of each token.
fn arcs(tokens: &[Token]) -> Vec<(&str, u32, u32)> {
    let arc = |token: &'_ Token| (token.position, token.position_length);
    tokens
        .iter()
        .map(|token| (token.text.as_str(), arc(token).0, arc(token).1))
        .collect()
}
