//! What documents are under one mapping: the values of their fields.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::sync::Arc;

use gleaner_analysis::AnalyzerRegistry;
use gleaner_model::{FieldKind, FieldPath, Mapping, MappingVersion};

use crate::DocumentError;
use crate::convert::MAX_TERM_BYTES;
use crate::disabled;
use crate::plan::{NodeKind, Plan};
use crate::walk::{self, WalkOutcome};

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
    /// `date_nanos`: nanoseconds since the epoch.
    DateNanos(i64),
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
    /// Whether it has fields that the mapping lacks and wants (`dynamic: true`), or sets a constant that has no
    /// value: the mapping may have to grow before the document can be ordered, see [`crate::Growth`].
    pub has_new_fields: bool,
}

/// A field that takes values, as documents are read for it.
#[derive(Debug, Clone, Copy)]
pub struct FieldNode<'a> {
    /// Its number in [`WalkOutcome`], below [`DocumentParser::num_nodes`].
    pub number: u32,
    /// Its full path.
    pub path: &'a FieldPath,
    /// Its ordinal in the mapping.
    pub ordinal: u32,
    /// Its type and options.
    pub kind: &'a FieldKind,
}

/// Reads documents under one mapping; made once per mapping version. Cheap to clone.
#[derive(Clone)]
pub struct DocumentParser {
    pub(crate) plan: Arc<Plan>,
    most_nested: usize,
    /// Whether the mapping looks into documents.
    is_enabled: bool,
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
            is_enabled: mapping.is_enabled(),
        }
    }

    /// Returns a parser of documents with at most so many nested objects (10,000 by default).
    #[must_use]
    pub fn within(&self, most_nested: usize) -> Self {
        Self {
            plan: Arc::clone(&self.plan),
            most_nested,
            is_enabled: self.is_enabled,
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
        let walked = self.walk(id, source)?;
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
    /// mapping lacks and wants, or sets a constant that has no value.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn has_new_fields(&self, id: &str, source: &[u8]) -> Result<bool, DocumentError> {
        Ok(self.walk(id, source)?.has_unknown)
    }

    /// As [`Self::parse`], for callers that want no values: returns those that the document gives to constants without
    /// one, the first of each.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub(crate) fn new_constants(
        &self,
        id: &str,
        source: &[u8],
    ) -> Result<BTreeMap<FieldPath, String>, DocumentError> {
        let constants = self.walk(id, source)?.constants.into_iter();
        let path = |node: u32| self.plan.node(node).path.clone();
        Ok(constants.map(|(node, value)| (path(node), value)).collect())
    }

    /// Returns how many nodes the mapping has; fields are among them.
    pub fn num_nodes(&self) -> usize {
        self.plan.len()
    }

    /// Returns the fields that take values, in the order of their numbers.
    pub fn fields(&self) -> impl Iterator<Item = FieldNode<'_>> {
        self.plan.leaves().map(|(number, leaf)| FieldNode {
            number: number as u32,
            path: &self.plan.node(number as u32).path,
            ordinal: leaf.ordinal,
            kind: &leaf.kind,
        })
    }

    /// Reads as much of a document as the mapping takes; of bytes that are no JSON what stands before.
    pub fn walk_leniently<'a>(&self, source: &'a [u8]) -> WalkOutcome<'a> {
        walk::leniently(&self.plan, self.seen_of(source))
    }

    /// As [`Self::parse`], with values by the numbers of their fields.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn walk<'a>(&self, id: &str, source: &'a [u8]) -> Result<WalkOutcome<'a>, DocumentError> {
        let by = walk::Strictness {
            id,
            most_nested: self.most_nested,
        };
        if !self.is_enabled {
            disabled::check(source)?;
        }
        let mut walked = walk::strictly(&self.plan, by, self.seen_of(source))?;
        // What is hidden is checked and kept nowhere.
        let hidden = std::mem::take(&mut walked.hidden);
        for (node, value) in walked.values.iter().chain(&hidden) {
            self.check_terms(*node, value)?;
        }
        Ok(walked)
    }

    /// Returns what the mapping sees of a document: nothing of it where it does not look into documents.
    fn seen_of<'a>(&self, source: &'a [u8]) -> &'a [u8] {
        match self.is_enabled {
            true => source,
            false => b"{}",
        }
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
