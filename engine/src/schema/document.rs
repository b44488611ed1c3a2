//! From a document's JSON to the values of its fields, in one pass over the bytes.
//!
//! Before an operation is ordered, [`DocumentParser::parse`] says what is wrong with a document or
//! which fields are new. When it is applied, the same walk runs leniently: whatever the mapping does
//! not take is left out, so applying cannot fail for a document's content.
//!
//! Objects and arrays are flattened: `{"a": [{"b": 1}, {"b": 2}]}` gives `a.b` the values 1 and 2.
//! A key with dots is a path.

mod completion;
mod convert;
mod depth;
mod error;
mod fill;
mod growth;
mod late;
mod plan;
mod reader;
mod walk;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::net::Ipv6Addr;
use std::sync::Arc;

use gleaner_analysis::AnalyzerRegistry;
use gleaner_model::{FieldPath, Mapping, MappingVersion};

pub use convert::{MAX_TERM_BYTES, quantise};
pub use error::DocumentError;
pub(crate) use fill::Identity;
pub use fill::{DocumentBuilder, PreparedDocument};
pub use growth::Growth;
pub(crate) use late::LateField;
pub(crate) use reader::FieldReader;

use plan::{NodeKind, Plan};

/// A value of a field as the index takes it.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldValue<'a> {
    /// `text` before analysis; `keyword` after its normalizer.
    Text(Cow<'a, str>),
    /// `long`, `integer`, `short`, `byte`.
    I64(i64),
    /// `unsigned_long`.
    U64(u64),
    /// `double`, `float`, `half_float`, `scaled_float`, rounded to what the type can hold.
    F64(f64),
    /// `boolean`.
    Bool(bool),
    /// `date`: milliseconds since the epoch.
    Date(i64),
    /// `ip`, as IPv6.
    Ip(Ipv6Addr),
    /// One of `rank_features`.
    Feature {
        /// Its name.
        name: Box<str>,
        /// How much of it the document has, rounded to 32 bits.
        value: f64,
    },
}

/// A document, parsed under one mapping.
#[derive(Debug, Clone, PartialEq)]
pub struct ParsedDocument<'a> {
    /// Values in the order in which they stand; a path occurs once per value.
    pub values: Vec<(FieldPath, FieldValue<'a>)>,
    /// Whether it has fields that the mapping lacks and wants (`dynamic: true`): the mapping may have
    /// to grow before the document can be ordered, see [`Growth`].
    pub has_new_fields: bool,
}

/// What [`DocumentParser::read`] found.
#[derive(Debug)]
pub enum Read {
    /// Fields that the mapping lacks and wants.
    NewFields,
    /// A document that the mapping takes; prepared, where the builder knows that mapping.
    Known(Option<PreparedDocument>),
}

/// Reads documents under one mapping; made once per mapping version. Cheap to clone.
#[derive(Clone)]
pub struct DocumentParser {
    plan: Arc<Plan>,
    most_nested: usize,
}

/// Nested objects that a document may have where its index does not say so.
const MOST_NESTED: usize = 10_000;

impl DocumentParser {
    /// Prepares `mapping`.
    ///
    /// A format or normalizer that does not exist cannot be in a mapping that was checked when it
    /// was put; values of such a field are malformed.
    pub fn new(mapping: &Mapping, analyzers: &AnalyzerRegistry) -> Self {
        Self {
            plan: Arc::new(Plan::new(mapping, analyzers)),
            most_nested: MOST_NESTED,
        }
    }

    /// Returns a parser of documents with at most so many nested objects (10,000 by default).
    #[must_use]
    pub fn within(&self, most_nested: usize) -> Self {
        Self {
            plan: Arc::clone(&self.plan),
            most_nested,
        }
    }

    /// Returns the version of the mapping that documents are read under.
    pub fn mapping_version(&self) -> MappingVersion {
        self.plan.version
    }

    /// Reads the document `id`, strictly.
    ///
    /// # Errors
    /// [`DocumentError`] naming the field and the value that the mapping refuses.
    pub fn parse<'a>(
        &self,
        id: &str,
        source: &'a [u8],
    ) -> Result<ParsedDocument<'a>, DocumentError> {
        let walked = self.walked(id, source)?;
        let path = |node: u32| self.plan.node(node).path.clone();
        let values = walked
            .values
            .into_iter()
            .map(|(node, value)| (path(node), value))
            .collect();
        Ok(ParsedDocument {
            values,
            has_new_fields: walked.has_unknown,
        })
    }

    /// As [`Self::parse`], for callers that want no values: returns whether the document has fields that the
    /// mapping lacks and wants.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn has_new_fields(&self, id: &str, source: &[u8]) -> Result<bool, DocumentError> {
        Ok(self.walked(id, source)?.has_unknown)
    }

    /// As [`Self::has_new_fields`]; a document that has none is prepared for `builder`, so that it need
    /// not be read again to be applied under the same mapping.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn read(
        &self,
        id: &str,
        source: &[u8],
        builder: &DocumentBuilder,
    ) -> Result<Read, DocumentError> {
        let walked = self.walked(id, source)?;
        if walked.has_unknown {
            return Ok(Read::NewFields);
        }
        let is_same = builder.mapping_version() == self.plan.version;
        Ok(Read::Known(
            is_same.then(|| builder.prepare(walked, source)),
        ))
    }

    fn walked<'a>(
        &self,
        id: &str,
        source: &'a [u8],
    ) -> Result<walk::WalkOutcome<'a>, DocumentError> {
        let by = walk::Strictness {
            id,
            most_nested: self.most_nested,
        };
        let mut walked = walk::strictly(&self.plan, by, source)?;
        // What is hidden is checked and kept nowhere.
        let hidden = std::mem::take(&mut walked.hidden);
        for (node, value) in walked.values.iter().chain(&hidden) {
            self.check_terms(*node, value)?;
        }
        Ok(walked)
    }

    /// Refuses text of which the index could not hold a term. Only text that is longer than such a
    /// term is analysed for it; what is applied is not looked at again.
    fn check_terms(&self, node: u32, value: &FieldValue<'_>) -> Result<(), DocumentError> {
        let node = self.plan.node(node);
        let (NodeKind::Leaf(leaf), FieldValue::Text(text)) = (&node.kind, value) else {
            return Ok(());
        };
        let Some(analyzer) = leaf
            .analyzer
            .as_ref()
            .filter(|_| text.len() > MAX_TERM_BYTES)
        else {
            return Ok(());
        };
        // Long texts are mostly prose, which need not be analysed to know.
        let mut runs = text.as_bytes().split(u8::is_ascii_whitespace);
        if analyzer.splits_at_white_space() && runs.all(|run| run.len() <= MAX_TERM_BYTES) {
            return Ok(());
        }
        let mut is_immense = false;
        analyzer.analyze_into(text, &mut |token| {
            is_immense |= token.text.len() > MAX_TERM_BYTES;
        });
        if is_immense {
            let field = node.path.to_string();
            return Err(DocumentError::ImmenseTerm { field });
        }
        Ok(())
    }
}
