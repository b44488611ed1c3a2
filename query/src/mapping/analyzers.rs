//! The analyzers and normalizers that fields and templates name, checked against those that exist.
//!
//! Does not: know which exist; who asks says so. Called by `root` for a mapping that is put, and by
//! `engine` for the fields that a document brings.

use gleaner_model::{FieldKind, Mapping};

use super::{MappingRules, malformed, template};
use crate::error::QueryError;

/// What a field is analysed with, by name. An analyzer and a normalizer of one name are two things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnalysisName<'a> {
    /// Of a `text` field, for documents or for queries.
    Analyzer(&'a str),
    /// Of a `keyword` field.
    Normalizer(&'a str),
}

impl AnalysisName<'_> {
    /// Returns the refusal of a field that names what is not there.
    pub(super) fn missing(self, path: &str) -> QueryError {
        malformed(match self {
            Self::Analyzer(name) => {
                format!("analyzer [{name}] has not been configured in mappings: [{path}]")
            }
            Self::Normalizer(name) => format!("normalizer [{name}] not found for field [{path}]"),
        })
    }
}

/// Returns what a field of `kind` names.
pub(super) fn named(kind: &FieldKind) -> impl Iterator<Item = AnalysisName<'_>> {
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
        _ => [None, None],
    };
    names.into_iter().flatten()
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
        if known.is_some_and(|known| known.kind == field.kind) {
            continue;
        }
        if let Some(name) = named(&field.kind).find(|name| !is_known(*name)) {
            return Err(name.missing(path.as_str()));
        }
    }
    let templates = &mapping.dynamic_templates;
    if before.is_some_and(|before| before.dynamic_templates == *templates) {
        return Ok(());
    }
    template::check_mappings(templates, rules, is_known)
}
