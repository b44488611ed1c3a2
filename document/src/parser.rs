//! What documents are under one mapping: the values of their fields.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::sync::Arc;

use gleaner_analysis::{Analyzer, AnalyzerRegistry, Meter};
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
        self.check_terms(walked.values.iter().chain(&hidden))?;
        Ok(walked)
    }

    /// Returns what the mapping sees of a document: nothing of it where it does not look into documents.
    fn seen_of<'a>(&self, source: &'a [u8]) -> &'a [u8] {
        match self.is_enabled {
            true => source,
            false => b"{}",
        }
    }

    /// Refuses texts of which the index could not hold a term, or whose analysis makes more than a document may have.
    /// What is applied is not looked at again.
    fn check_terms<'a>(
        &self,
        values: impl Iterator<Item = &'a (u32, FieldValue<'a>)> + Clone,
    ) -> Result<(), DocumentError> {
        let analyzed = values.filter_map(|(number, value)| {
            let node = self.plan.node(*number);
            let (NodeKind::Leaf(leaf), FieldValue::Text(text)) = (&node.kind, value) else {
                return None;
            };
            Some((&node.path, leaf.analyzer.as_ref()?, &**text))
        });
        let cost = |(_, analyzer, text): (_, &Analyzer, &str)| {
            analyzer.cost_per_byte().saturating_mul(text.len() as u64)
        };
        let costs = analyzed.clone().map(cost);
        let is_dear = costs.fold(0, u64::saturating_add) > FREE_BYTES;
        let meter = Meter::for_document();
        for (path, analyzer, text) in analyzed {
            let is_checked = is_dear && analyzer.cost_per_byte() > 0;
            if is_checked || may_have_immense_terms(analyzer, text) {
                check_text(path, analyzer, text, &meter)?;
            }
        }
        Ok(())
    }
}

/// What analysis may take of a document's meter and need not be counted before: half of what the meter has for the
/// shortest text, as costs are estimates.
const FREE_BYTES: u64 = 8 << 20;

/// Returns whether some term of `text` may be longer than an index can hold. Long texts are mostly prose, which need
/// not be analysed to know.
fn may_have_immense_terms(analyzer: &Analyzer, text: &str) -> bool {
    let longest = analyzer.lengthening().saturating_mul(text.len() as u64);
    if longest <= MAX_TERM_BYTES as u64 {
        return false;
    }
    let mut runs = text.as_bytes().split(u8::is_ascii_whitespace);
    !analyzer.splits_at_white_space() || runs.any(|run| run.len() > MAX_TERM_BYTES)
}

fn check_text(
    path: &FieldPath,
    analyzer: &Analyzer,
    text: &str,
    meter: &Meter<'_>,
) -> Result<(), DocumentError> {
    let mut is_immense = false;
    let analyzed = analyzer.analyze_into(text, meter, &mut |token| {
        is_immense |= token.text.len() > MAX_TERM_BYTES;
    });
    let field = path.to_string();
    match analyzed {
        Err(fault) => Err(DocumentError::TooMuch { field, fault }),
        Ok(_) if is_immense => Err(DocumentError::ImmenseTerm { field }),
        Ok(_) => Ok(()),
    }
}
