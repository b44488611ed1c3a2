//! Documents that were indexed without fields they have values of.
//!
//! Earlier programs could leave out fields that several documents brought together. Here each document's
//! source is held against what the index has of it. Does not: index anything again. Called by: `leaf`, once for a
//! copy that an earlier program wrote. Read first: [`View::lacking_fields`].

use std::collections::BTreeSet;

use gleaner_document::{DocumentParser, LateField};
use gleaner_model::FieldPath;
use tantivy::query::{EnableScoring, ExistsQuery, Query};
use tantivy::schema::IndexRecordOption;
use tantivy::{DocId, DocSet, Term};

use super::{CachePolicy, SegmentView, View, place};
use crate::EngineError;
use crate::schema::names;

/// Documents between two looks at whether the search for them goes on.
const STEP: DocId = 1 << 10;

/// What a segment's documents lack.
#[derive(Debug, Default)]
pub struct LackingDocuments {
    /// The places of documents that brought a field and were indexed without it, in order.
    pub places: Vec<u64>,
    /// Fields of which documents have values that were not indexed, perhaps rightly: documents do not add
    /// such fields, and these may have come before they were declared.
    pub unsure: BTreeSet<FieldPath>,
}

/// A late field, with the documents of a segment that it was indexed for.
struct FieldDocuments {
    field: LateField,
    /// `None`: for none.
    documents: Option<Box<dyn DocSet>>,
}

impl View {
    /// Returns whether the mapping has fields of which documents might lack some.
    pub fn has_late_fields(&self) -> bool {
        let mut fields = self.mapping.fields.values();
        fields.any(gleaner_model::Field::is_late)
    }

    /// Returns which live documents of segment `ord` lack fields; reads them all. `None` when `goes_on` said no,
    /// which is asked from time to time.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn lacking_fields(
        &self,
        ord: usize,
        goes_on: &dyn Fn() -> bool,
    ) -> Result<Option<LackingDocuments>, EngineError> {
        let mut lacking = LackingDocuments::default();
        let Some(segment) = self.segments.get(ord) else {
            return Ok(Some(lacking));
        };
        let parser = DocumentParser::new(&self.mapping, &self.analyzers);
        let mut late = Vec::new();
        for field in parser.late_fields(&self.mapping) {
            let documents = self.documents_with(segment, &field.path)?;
            late.push(FieldDocuments { field, documents });
        }
        if late.is_empty() {
            return Ok(Some(lacking));
        }
        for doc in 0..segment.reader().max_doc() {
            if doc % STEP == 0 && !goes_on() {
                return Ok(None);
            }
            if !segment.is_alive(doc) {
                continue;
            }
            let place = place(segment.ord(), doc);
            let document = self.read(place, CachePolicy::Nothing)?;
            let fields = parser.fields_of(&document.source);
            let mut is_lacking = false;
            for indexed in &mut late {
                if fields.binary_search(&indexed.field.number).is_err() || indexed.has(doc) {
                    continue;
                }
                is_lacking |= indexed.field.is_dynamic;
                if !indexed.field.is_dynamic {
                    lacking.unsure.insert(indexed.field.path.clone());
                }
            }
            if is_lacking {
                lacking.places.push(place);
            }
        }
        Ok(Some(lacking))
    }

    /// Returns the documents of a segment that `path` was indexed for, in order.
    fn documents_with(
        &self,
        segment: &SegmentView,
        path: &FieldPath,
    ) -> Result<Option<Box<dyn DocSet>>, EngineError> {
        let Some(handle) = self.field(path.as_str()) else {
            return Ok(None);
        };
        if names::is_listed(&handle.kind) {
            let present = self.fields.system().present;
            let term = Term::from_field_u64(present, u64::from(handle.ordinal));
            let inverted = segment.reader().inverted_index(present)?;
            let postings = inverted
                .read_postings(&term, IndexRecordOption::Basic)
                .map_err(EngineError::io("looking a field up"))?;
            return Ok(postings.map(|postings| Box::new(postings) as Box<dyn DocSet>));
        }
        let query = ExistsQuery::new(handle.name.clone(), false);
        let scoring = EnableScoring::disabled_from_searcher(&self.searcher);
        let documents = query.weight(scoring)?.scorer(segment.reader(), 1.0)?;
        Ok(Some(Box::new(documents)))
    }
}

impl FieldDocuments {
    /// Returns whether the field was indexed for `doc`, which is never less than the one asked for before.
    fn has(&mut self, doc: DocId) -> bool {
        let Some(documents) = &mut self.documents else {
            return false;
        };
        if documents.doc() < doc {
            documents.seek(doc);
        }
        documents.doc() == doc
    }
}
