//! A mapping that grows by the fields of documents, and by the constants that they set.
//!
//! Does: adds what documents bring, one after the other, and leaves out those that the mapping cannot
//! take. Does not: agree on the result with the coordinator. Called by: `leaf` and `root`, which do.
//! Read first: [`Growth`].

use gleaner_analysis::AnalyzerRegistry;
use gleaner_model::{ChosenTemplates, Mapping, MappingVersion};
use gleaner_query::mapping::{
    AnalysisName, MappingRules, check_analyzers, infer_document, set_constants,
};
use serde_json::{Map, Value};

use super::types::Types;
use super::{DocumentError, DocumentParser, numerals};

/// The next version of a mapping while documents add their fields to it and set its constants.
///
/// There is one next version, however many documents add to it, and each new field came with that version:
/// all of those documents are ordered under it, and a field that named a later one would be kept from them.
pub struct Growth<'a> {
    base: &'a Mapping,
    since: MappingVersion,
    rules: MappingRules,
    analyzers: &'a AnalyzerRegistry,
    grown: Option<Mapping>,
    /// Of the mapping that grew, or of `base`, once it was needed; most documents that come with others bring what
    /// those have brought.
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

    /// Adds the fields that the document `id` brings, by the templates that are `chosen` for some of them, and sets the
    /// constants that its values reach. A document that is refused changes nothing, and one that is taken is taken as a
    /// whole: read under the mapping that grew, it sets no constant again. Where the mapping looks into no documents,
    /// none brings anything, and none is read here.
    ///
    /// # Errors
    /// [`DocumentError::Json`]; [`DocumentError::TooManyFields`]; [`DocumentError::Mapping`] for fields that the mapping
    /// cannot take, or whose analyzer or chosen template does not exist; what [`DocumentParser::parse`] refuses under the mapping
    /// that grew.
    pub fn add(
        &mut self,
        id: &str,
        source: &[u8],
        chosen: &ChosenTemplates,
    ) -> Result<(), DocumentError> {
        if !self.base.is_enabled() {
            return Ok(());
        }
        let parser = self.parser.as_ref();
        if parser.is_some_and(|parser| matches!(parser.has_new_fields(id, source), Ok(false))) {
            return Ok(());
        }
        let document = types_of(source).map_err(|error| DocumentError::Json {
            reason: error.to_string(),
        })?;
        let current = self.grown.as_ref().unwrap_or(self.base);
        let mut grown = infer_document(&document, chosen, current, &self.rules, self.since)?;
        let mut parser = match (&grown, &self.parser) {
            (Some(grown), _) => {
                self.check_analyzers(grown, current)?;
                self.parser_of(grown)
            }
            (None, Some(parser)) => parser.clone(),
            (None, None) => {
                let parser = self.parser_of(current);
                self.parser = Some(parser.clone());
                parser
            }
        };
        let constants = parser.new_constants(id, source)?;
        if !constants.is_empty() {
            let known = grown.as_ref().unwrap_or(current);
            let set = set_constants(known, constants, self.since);
            parser = self.parser_of(&set);
            // The document may hold a second value, which is another one.
            parser.has_new_fields(id, source)?;
            grown = Some(set);
        }
        if grown.is_some() {
            self.grown = grown;
            self.parser = Some(parser);
        }
        Ok(())
    }

    fn parser_of(&self, mapping: &Mapping) -> DocumentParser {
        DocumentParser::new(mapping, self.analyzers).within(self.rules.nested_objects)
    }

    /// Refuses fields of `grown` that `current` lacks and whose analyzer does not exist.
    fn check_analyzers(&self, grown: &Mapping, current: &Mapping) -> Result<(), DocumentError> {
        let is_known = |name: AnalysisName<'_>| match name {
            AnalysisName::Analyzer(name) => self.analyzers.analyzer(name).is_some(),
            AnalysisName::Normalizer(name) => self.analyzers.normalizer(name).is_some(),
            // Templates are checked when they are put.
            AnalysisName::Similarity(_) => true,
        };
        check_analyzers(grown, Some(current), &self.rules, &is_known)
            .map_err(DocumentError::Mapping)
    }

    /// Returns the mapping with all fields that were added and all constants that were set, one version after the mapping
    /// in force; `None` when that has them all.
    pub fn into_mapping(self) -> Option<Mapping> {
        self.grown
    }
}

/// Reads a document of which only the types of values count. A whole number is one also where 64 bits do not hold it
/// (Elasticsearch, `DynamicFieldsBuilder`): its new field is a `long`, which refuses it.
fn types_of(source: &[u8]) -> Result<Map<String, Value>, serde_json::Error> {
    let Types(document) = serde_json::from_slice(source)?;
    if !document.values().any(may_be_rounded) {
        return Ok(document);
    }
    drop(document);
    let Types(document) = numerals::read_types(&String::from_utf8_lossy(source))?;
    Ok(document)
}

/// Returns whether a number in a value may be a whole one that 64 bits do not hold.
fn may_be_rounded(value: &Value) -> bool {
    match value {
        Value::Number(number) => {
            let fraction = number.as_f64().filter(|_| number.is_f64());
            fraction.is_some_and(|fraction| fraction.abs() >= -(i64::MIN as f64))
        }
        Value::Array(items) => items.iter().any(may_be_rounded),
        Value::Object(entries) => entries.values().any(may_be_rounded),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}
