//! A mapping that grows by the fields of documents.
//!
//! Does: adds what documents bring, one after the other, and leaves out those that the mapping cannot
//! take. Does not: agree on the result with the coordinator. Called by: `leaf` and `root`, which do.
//! Read first: [`Growth`].

use gleaner_analysis::AnalyzerRegistry;
use gleaner_model::{Mapping, MappingVersion};
use gleaner_query::mapping::{AnalysisName, MappingRules, check_analyzers, infer_document};
use serde_json::{Map, Value};

use super::{DocumentError, DocumentParser};

/// The next version of a mapping while documents add their fields to it.
///
/// There is one next version, however many documents add to it, and each new field came with that version:
/// all of those documents are ordered under it, and a field that named a later one would be kept from them.
pub struct Growth<'a> {
    base: &'a Mapping,
    since: MappingVersion,
    rules: MappingRules,
    analyzers: &'a AnalyzerRegistry,
    grown: Option<Mapping>,
    /// Of the mapping that grew; most documents that come with others bring what those have brought.
    parser: Option<DocumentParser>,
}

impl<'a> Growth<'a> {
    /// Begins with `base`, the mapping in force. `analyzers` are those of the index's settings.
    pub fn new(base: &'a Mapping, rules: MappingRules, analyzers: &'a AnalyzerRegistry) -> Self {
        Self {
            base,
            since: base.version.next(),
            rules,
            analyzers,
            grown: None,
            parser: None,
        }
    }

    /// Adds the fields that the document `id` brings. One that is refused adds none, and one whose fields are
    /// taken is a document that the mapping takes as a whole.
    ///
    /// # Errors
    /// [`DocumentError::Json`]; [`DocumentError::Mapping`] for fields that the mapping cannot take, or
    /// whose analyzer does not exist; what [`DocumentParser::parse`] refuses under the mapping
    /// that grew.
    pub fn add(&mut self, id: &str, source: &[u8]) -> Result<(), DocumentError> {
        let parser = self.parser.as_ref();
        if parser.is_some_and(|parser| matches!(parser.has_new_fields(id, source), Ok(false))) {
            return Ok(());
        }
        let document: Map<String, Value> =
            serde_json::from_slice(source).map_err(|error| DocumentError::Json {
                reason: error.to_string(),
            })?;
        let current = self.grown.as_ref().unwrap_or(self.base);
        let grown = infer_document(&document, current, &self.rules, self.since)
            .map_err(DocumentError::Mapping)?;
        if let Some(grown) = grown {
            let is_known = |name: AnalysisName<'_>| match name {
                AnalysisName::Analyzer(name) => self.analyzers.analyzer(name).is_some(),
                AnalysisName::Normalizer(name) => self.analyzers.normalizer(name).is_some(),
                // Templates are checked when they are put.
                AnalysisName::Similarity(_) => true,
            };
            check_analyzers(&grown, Some(current), &self.rules, &is_known)
                .map_err(DocumentError::Mapping)?;
            let parser =
                DocumentParser::new(&grown, self.analyzers).within(self.rules.nested_objects);
            parser.has_new_fields(id, source)?;
            self.parser = Some(parser);
            self.grown = Some(grown);
        }
        Ok(())
    }

    /// Returns the mapping with all fields that were added, one version after the mapping in force; `None` when
    /// that has them all.
    pub fn into_mapping(self) -> Option<Mapping> {
        self.grown
    }
}
