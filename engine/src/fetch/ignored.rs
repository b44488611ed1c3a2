//! `_ignored`: the fields of a document that left out a value.

use gleaner_model::FieldPath;
use hashbrown::HashMap;
use tantivy::postings::SegmentPostings;
use tantivy::schema::{IndexRecordOption, Term};
use tantivy::{DocSet, TERMINATED};

use crate::error::EngineError;
use crate::schema::names;
use crate::view::{View, split_place};

/// Reads the names document by document, which come in order of their places.
pub(super) struct Plan<'v> {
    view: &'v View,
    /// The segment that was read last, with the documents of each field that ignored something there.
    opened: Option<(u32, Vec<(&'v FieldPath, SegmentPostings)>)>,
}

impl<'v> Plan<'v> {
    pub(super) fn new(view: &'v View) -> Self {
        Self { view, opened: None }
    }

    /// Returns the paths of the fields for the document at `place`, by the alphabet.
    pub(super) fn read(&mut self, place: u64) -> Result<Vec<String>, EngineError> {
        let (segment, doc) = split_place(place);
        let lists = match &mut self.opened {
            Some((opened, lists)) if *opened == segment => lists,
            opened => &mut opened.insert((segment, open(self.view, segment)?)).1,
        };
        let mut fields = Vec::new();
        for (path, list) in lists {
            if list.doc() < doc {
                list.seek(doc);
            }
            if list.doc() == doc && doc != TERMINATED {
                fields.push(path.to_string());
            }
        }
        fields.sort_unstable();
        Ok(fields)
    }
}

/// Opens the lists of a segment: one look into its dictionary where nothing was ignored.
fn open(view: &View, segment: u32) -> Result<Vec<(&FieldPath, SegmentPostings)>, EngineError> {
    let io = EngineError::io("reading ignored fields");
    let Some(segment) = view.segments().get(segment as usize) else {
        return Ok(Vec::new());
    };
    let column = view.fields().system().present;
    let inverted = segment.reader().inverted_index(column)?;
    let first = Term::from_field_u64(column, names::IGNORED);
    let range = inverted.terms().range();
    let mut terms = range
        .ge(first.serialized_value_bytes())
        .into_stream()
        .map_err(io)?;
    let mut lists = Vec::new();
    let mut by_ordinal: HashMap<u64, &FieldPath> = HashMap::new();
    while terms.advance() {
        if by_ordinal.is_empty() {
            let fields = view.fields().iter();
            by_ordinal = fields
                .map(|(path, field)| (u64::from(field.ordinal), path))
                .collect();
        }
        let bytes: Option<[u8; 8]> = terms.key().try_into().ok();
        let ordinal = bytes.map(|bytes| u64::from_be_bytes(bytes) & !names::IGNORED);
        if let Some(path) = ordinal.and_then(|ordinal| by_ordinal.get(&ordinal)) {
            let postings = inverted
                .read_postings_from_terminfo(terms.value(), IndexRecordOption::Basic)
                .map_err(EngineError::io("reading ignored fields"))?;
            lists.push((*path, postings));
        }
    }
    Ok(lists)
}
