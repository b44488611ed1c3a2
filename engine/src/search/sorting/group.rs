//! Hits put together by a value (`collapse`): which value a document has, and the best of each.

use std::cmp::Ordering;
use std::sync::Arc;

use gleaner_model::{FieldKind, FieldPath};
use gleaner_partial::control::{Control, MemoryAccount};
use gleaner_query::answer::SortValue;
use gleaner_query::mapping::is_metadata;
use gleaner_query::search::{SortKey, SortTarget};
use tantivy::DocId;
use tantivy::columnar::Cardinality;

use super::key::{KeyReader, Raw};
use crate::EngineError;
use crate::doc_values::DocValues;
use crate::search::Target;
use crate::view::SegmentView;

/// Reads the value by which hits of a segment are put together.
pub(super) struct GroupReader {
    reader: KeyReader,
    values: Option<DocValues>,
    field: FieldPath,
}

/// The value of a document, within its segment; `None`: it has none.
pub(super) type RawGroup = Option<Raw>;

impl GroupReader {
    /// Opens the field.
    ///
    /// # Errors
    /// `EvaluationError::Query` for fields that hits cannot be put together by.
    pub(super) fn open(
        field: &FieldPath,
        target: &Target,
        segment: &SegmentView,
        memory: &Arc<MemoryAccount>,
    ) -> Result<Self, EngineError> {
        let path = field.as_str();
        let known = target.view.mapping().field(path);
        // The name of the index is no field that hits are shown with.
        let Some(declared) = known.filter(|_| !is_metadata(path)) else {
            return Err(EngineError::query(format!(
                "no mapping found for `{path}` in order to collapse on"
            )));
        };
        let kind = &declared.kind;
        let is_fit = matches!(
            kind,
            FieldKind::Keyword { .. } | FieldKind::Number { .. } | FieldKind::Date { .. }
        );
        if !is_fit || !kind.has_doc_values() {
            return Err(EngineError::query(format!(
                "unknown type for collapse field `{path}`, only keywords and numbers with doc values are \
                 accepted, not [{}]",
                kind.type_name()
            )));
        }
        let key = SortKey::ascending(SortTarget::Field(path.to_owned()));
        let values = DocValues::of_path(&target.view, segment, path)?;
        Ok(Self {
            reader: KeyReader::open(&key, &target.view, target.key, segment, memory)?,
            values,
            field: field.clone(),
        })
    }

    /// Returns whether some document of the segment may have several values.
    pub(super) fn may_have_several(&self) -> bool {
        let cardinality = self.values.as_ref().map(DocValues::cardinality);
        cardinality == Some(Cardinality::Multivalued)
    }

    /// Returns the value of a document.
    ///
    /// # Errors
    /// `EvaluationError::Query` where it has several.
    pub(super) fn read(&self, doc: DocId, control: &Control) -> Result<RawGroup, EngineError> {
        let num_values = self.values.as_ref().map_or(0, |all| all.num_values(doc));
        match num_values {
            0 => Ok(None),
            1 => Ok(Some(self.reader.read(doc, None, control)?)),
            _ => Err(EngineError::query(format!(
                "failed to collapse: field [{}] has [{num_values}] values in a document, and must have one",
                self.field
            ))),
        }
    }

    /// Returns the value that `raw`, read here, stands for.
    pub(super) fn resolve(&self, raw: RawGroup) -> Result<SortValue, EngineError> {
        raw.map_or(Ok(SortValue::Missing), |raw| self.reader.resolve(raw))
    }
}

/// The best hits, one of each value, at most so many.
pub(super) struct BestOfGroups<T> {
    most: usize,
    /// The best first.
    best: Vec<(RawGroup, T)>,
}

impl<T> BestOfGroups<T> {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            best: Vec::new(),
        }
    }

    /// Returns the worst, if no other hit enters without one leaving.
    pub(super) fn worst(&self) -> Option<&T> {
        let is_full = self.best.len() >= self.most;
        let worst = self.best.last().filter(|_| is_full);
        worst.map(|(_, hit)| hit)
    }

    /// Offers a hit of a value: it stays if it is better than the one of that value, or than the worst.
    pub(super) fn offer(&mut self, group: RawGroup, hit: T, compare: impl Fn(&T, &T) -> Ordering) {
        let at = self
            .best
            .partition_point(|(_, other)| compare(other, &hit).is_lt());
        let known = self.best.iter().position(|(other, _)| *other == group);
        match known {
            Some(known) if known < at => return,
            Some(known) => {
                self.best.remove(known);
            }
            None if at >= self.most => return,
            None => {}
        }
        self.best.insert(at, (group, hit));
        self.best.truncate(self.most);
    }

    pub(super) fn into_entries(self) -> Vec<(RawGroup, T)> {
        self.best
    }
}
