//! The analyzers and normalizers that fields and templates name, checked against those that exist.
//!
//! Does not: know which exist; who asks says so. Called by `root` for a mapping that is put, and by
//! `engine` for the fields that a document brings.

use gleaner_model::{FieldKind, Mapping, NumberKind};
use serde_json::{Map, Value};

use super::{MappingRules, malformed, template};
use crate::error::QueryError;

/// What a field is analysed with, by name. An analyzer and a normalizer of one name are two things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnalysisName<'a> {
    /// Of a `text` field, for documents or for queries.
    Analyzer(&'a str),
    /// Of a `keyword` field.
    Normalizer(&'a str),
    /// How either is scored.
    Similarity(&'a str),
}

impl AnalysisName<'_> {
    /// Returns the refusal of a field that names what is not there.
    pub(super) fn missing(self, path: &str) -> QueryError {
        malformed(match self {
            Self::Analyzer(name) => {
                format!("analyzer [{name}] has not been configured in mappings: [{path}]")
            }
            Self::Normalizer(name) => format!("normalizer [{name}] not found for field [{path}]"),
            Self::Similarity(name) => {
                format!("Unknown Similarity type [{name}] for field [{path}]")
            }
        })
    }
}

/// Returns the analyzer whose tokens a `token_count` field counts.
pub fn counted_by(declared: &Map<String, Value>) -> Option<&str> {
    declared.get("analyzer").and_then(Value::as_str)
}

/// Returns what a field of `kind` names, and the similarity that it was declared with.
pub(super) fn named<'a>(
    kind: &'a FieldKind,
    declared: &'a Map<String, Value>,
) -> impl Iterator<Item = AnalysisName<'a>> {
    let similarity = declared.get("similarity").and_then(Value::as_str);
    let similarity = similarity.map(AnalysisName::Similarity);
    let names = match kind {
        FieldKind::Text {
            analyzer,
            search_analyzer,
            ..
        } => [
            Some(AnalysisName::Analyzer(analyzer.as_str())),
            search_analyzer.as_deref().map(AnalysisName::Analyzer),
        ],
        FieldKind::Keyword { normalizer, .. } => {
            [normalizer.as_deref().map(AnalysisName::Normalizer), None]
        }
        FieldKind::Number {
            number: NumberKind::TokenCount { .. },
            ..
        } => [counted_by(declared).map(AnalysisName::Analyzer), None],
        FieldKind::Completion => ["analyzer", "search_analyzer"].map(|key| {
            let name = declared.get(key).and_then(Value::as_str);
            name.map(AnalysisName::Analyzer)
        }),
        _ => [None, None],
    };
    names.into_iter().chain([similarity]).flatten()
}

/// Checks the analyzers and normalizers that `mapping` names where it differs from `before`: what an
/// index has been made with is not asked again.
///
/// # Errors
/// `mapper_parsing_exception` for a field, or a template of which no field could be made, that names
/// what is not known.
pub fn check_analyzers(
    mapping: &Mapping,
    before: Option<&Mapping>,
    rules: &MappingRules,
    is_known: &dyn Fn(AnalysisName<'_>) -> bool,
) -> Result<(), QueryError> {
    for (path, field) in &mapping.fields {
        let known = before.and_then(|before| before.fields.get(path));
        if known.is_some_and(|known| known.kind == field.kind && known.declared == field.declared) {
            continue;
        }
        if let Some(name) = named(&field.kind, &field.declared).find(|name| !is_known(*name)) {
            return Err(name.missing(path.as_str()));
        }
    }
    let templates = &mapping.dynamic_templates;
    if before.is_some_and(|before| before.dynamic_templates == *templates) {
        return Ok(());
    }
    template::check_mappings(templates, rules, is_known)
}
