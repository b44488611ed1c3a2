//! `_ignored` of documents that are read by their ids: worked out from what they say, as a shard has it only of documents
//! that searches see.
//!
//! Read first: [`IgnoringMapping::fields_of`].

use std::collections::HashMap;
use std::sync::Arc;

use gleaner_document::DocumentParser;
use gleaner_model::{FieldKind, IndexMeta, IndexUuid, Mapping, MappingVersion};
use gleaner_query::mapping::may_ignore;
use parking_lot::Mutex;

use super::Reader;

/// Mappings above which all are forgotten: they are prepared again soon.
const MAX_MAPPINGS: usize = 256;

/// What mappings of indices leave out of documents, while the mappings are the same.
#[derive(Default)]
pub(crate) struct IgnoringMappings {
    known: Mutex<HashMap<IndexUuid, (MappingVersion, Arc<IgnoringMapping>)>>,
}

/// A mapping with fields that may leave out values.
pub struct IgnoringMapping {
    parser: DocumentParser,
    /// Documents of fewer bytes have nothing that is left out.
    least_bytes: usize,
}

impl Reader {
    /// Returns what finds the fields that leave out values of documents of `index`; `None` where none does.
    pub fn ignoring(&self, index: &IndexMeta) -> Option<Arc<IgnoringMapping>> {
        let version = index.mapping.version;
        if let Some((known, ignoring)) = self.ignoring.known.lock().get(&index.uuid)
            && *known == version
        {
            return Some(Arc::clone(ignoring));
        }
        let least_bytes = least_bytes(&index.mapping)?;
        // Settings that were taken can be used.
        let analyzers = self.planner.analyzers_of(index).ok()?;
        let ignoring = Arc::new(IgnoringMapping {
            parser: DocumentParser::new(&index.mapping, &analyzers),
            least_bytes,
        });
        let mut known = self.ignoring.known.lock();
        if known.len() >= MAX_MAPPINGS {
            known.clear();
        }
        known.insert(index.uuid, (version, Arc::clone(&ignoring)));
        Some(ignoring)
    }
}

/// Returns the least length of a document of which something may be left out; `None` where nothing is.
fn least_bytes(mapping: &Mapping) -> Option<usize> {
    let kinds = mapping.fields.values().map(|field| &field.kind);
    let least = kinds
        .filter(|kind| may_ignore(kind))
        .map(|kind| match kind {
            FieldKind::Keyword { ignore_above, .. } => {
                ignore_above.map_or(0, |characters| characters as usize)
            }
            _ => 0,
        });
    least.min()
}

impl IgnoringMapping {
    /// Returns the paths of the fields that left out a value of the document, by the alphabet.
    pub fn fields_of(&self, source: &[u8]) -> Vec<String> {
        if source.len() <= self.least_bytes {
            return Vec::new();
        }
        let mut numbers = self.parser.walk_leniently(source).ignored;
        numbers.sort_unstable();
        numbers.dedup();
        if numbers.is_empty() {
            return Vec::new();
        }
        let fields = self.parser.fields();
        let fields = fields.filter(|field| numbers.binary_search(&field.number).is_ok());
        let mut paths: Vec<String> = fields.map(|field| field.path.to_string()).collect();
        paths.sort_unstable();
        paths
    }
}
