//! A document as the oracle keeps it: its fields, analysed.

use std::collections::{BTreeMap, HashMap, HashSet};

use gleaner_analysis::Meter;
use serde_json::Value;

use super::FieldType;
use super::norm::quantised;

/// A document, analysed once.
#[derive(Debug, Clone)]
pub(super) struct Analysed {
    pub(super) source: Value,
    texts: BTreeMap<String, Text>,
}

/// The terms of one field.
#[derive(Debug, Clone)]
pub(super) struct Text {
    /// Length as the norm keeps it; of whole values their number.
    pub(super) length: u32,
    /// Position of every occurrence, by term.
    occurrences: HashMap<String, Vec<u32>>,
}

impl Analysed {
    /// Analyses `source`; a field without any token counts as absent.
    pub(super) fn new(fields: &BTreeMap<String, FieldType>, source: Value) -> Self {
        let mut texts = BTreeMap::new();
        for (name, kind) in fields {
            let Some(value) = source.get(name) else {
                continue;
            };
            let mut tokens = all_tokens(kind, value);
            if let FieldType::TextOnce(_) = kind {
                let mut seen = HashSet::new();
                tokens.retain(|(_, term)| seen.insert(term.clone()));
            }
            if !tokens.is_empty() {
                texts.insert(name.clone(), Text::new(&tokens));
            }
        }
        Self { source, texts }
    }

    pub(super) fn text(&self, field: &str) -> Option<&Text> {
        self.texts.get(field)
    }

    pub(super) fn integer(&self, field: &str) -> Option<i64> {
        self.source.get(field).and_then(Value::as_i64)
    }
}

impl Text {
    fn new(tokens: &[(u32, String)]) -> Self {
        let mut occurrences: HashMap<String, Vec<u32>> = HashMap::new();
        for (position, term) in tokens {
            occurrences.entry(term.clone()).or_default().push(*position);
        }
        Self {
            length: quantised(tokens.len() as u32),
            occurrences,
        }
    }

    pub(super) fn frequency(&self, term: &str) -> usize {
        self.occurrences.get(term).map_or(0, Vec::len)
    }

    /// Returns how often the terms stand at these distances from each other.
    pub(super) fn phrase_frequency(&self, phrase: &[(u32, String)]) -> usize {
        let Some((first, rest)) = phrase.split_first() else {
            return 0;
        };
        let at = |term: &str| self.occurrences.get(term).map_or(&[][..], Vec::as_slice);
        let continues = |start: &&u32| {
            rest.iter()
                .all(|(position, term)| at(term).contains(&(**start + position - first.0)))
        };
        at(&first.1).iter().filter(continues).count()
    }
}

/// Returns position and term of every token of a text, or of a list of whole values.
fn all_tokens(kind: &FieldType, value: &Value) -> Vec<(u32, String)> {
    match (kind, value) {
        (FieldType::KeywordCounted, Value::Array(values)) => {
            let values = values.iter().filter_map(Value::as_str);
            values.flat_map(|value| tokens(kind, value)).collect()
        }
        (_, value) => value
            .as_str()
            .map_or_else(Vec::new, |text| tokens(kind, text)),
    }
}

/// Returns position and term of every token of `value`.
pub(super) fn tokens(kind: &FieldType, value: &str) -> Vec<(u32, String)> {
    match kind {
        FieldType::Text(analyzer)
        | FieldType::TextOnce(analyzer)
        | FieldType::TextWithoutNorms(analyzer) => {
            let tokens = analyzer.analyze(value, &Meter::unlimited());
            let tokens = tokens.expect("no bound").into_iter();
            tokens.map(|token| (token.position, token.text)).collect()
        }
        FieldType::Keyword | FieldType::KeywordCounted => vec![(0, value.to_owned())],
        FieldType::Integer => Vec::new(),
    }
}
