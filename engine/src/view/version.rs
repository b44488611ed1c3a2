//! What decides conflicts: number, term and version of a live document, from columns alone.

use gleaner_model::{DocumentId, PrimaryTerm, SeqNo, Version};

use super::{View, split_place};
use crate::{EngineError, schema::names};

/// The latest visible write of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DocumentVersion {
    /// Its number.
    pub seq_no: SeqNo,
    /// Term of the primary that ordered it.
    pub term: PrimaryTerm,
    /// Its version.
    pub version: Version,
}

impl View {
    /// Returns whether ids are looked up within some microseconds: the first look into a large segment
    /// reads all its hashes, which takes milliseconds.
    pub fn finds_ids_at_once(&self) -> bool {
        self.segments()
            .iter()
            .all(crate::SegmentView::finds_ids_at_once)
    }

    /// Returns the version of the live document of `id`, without reading the document.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn find_version(&self, id: &DocumentId) -> Result<Option<DocumentVersion>, EngineError> {
        let Some(place) = self.find_place(id)? else {
            return Ok(None);
        };
        let (ord, doc) = split_place(place);
        let segment = &self.segments()[ord as usize];
        let fast = segment.reader().fast_fields();
        let number =
            |name: &str| Ok::<u64, EngineError>(fast.column_first_or_default(name)?.get_val(doc));
        Ok(Some(DocumentVersion {
            seq_no: SeqNo(segment.seq_nos().get_val(doc)),
            term: PrimaryTerm(number(names::TERM)?),
            version: Version(number(names::VERSION)?),
        }))
    }
}
