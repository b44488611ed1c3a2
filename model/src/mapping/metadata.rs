//! Metadata that every document has a value of, as a field: no mapping declares it.
//!
//! Does: say of which type it is, for what sorts and aggregates by fields. Does not: know the values (the engine's views
//! do).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Map;

use super::{Field, FieldKind, FieldPath};
use crate::id::MappingVersion;

/// The name of the index that a document is of. All documents of an index have one value of it, as of a
/// `constant_keyword`; queries on it are answered by the root, so that it has no index.
pub const INDEX: &str = "_index";

/// Metadata by path.
static FIELDS: LazyLock<BTreeMap<FieldPath, Field>> = LazyLock::new(|| {
    let field = Field {
        // It has no column that a number would name.
        ordinal: u32::MAX,
        kind: FieldKind::COLUMN_OF_TERMS,
        is_multi_field: false,
        copy_to: Vec::new(),
        declared: Map::new(),
        since: MappingVersion(0),
    };
    BTreeMap::from([(FieldPath::new(INDEX), field)])
});

/// Returns the metadata at `path` with its own path; `None` for paths that a mapping has to declare.
pub(super) fn resolved(path: &str) -> Option<(&'static FieldPath, &'static Field)> {
    let is_metadata = path.starts_with('_');
    is_metadata.then(|| FIELDS.get_key_value(path)).flatten()
}

#[cfg(test)]
mod tests {
    use crate::Mapping;

    use super::*;

    #[test]
    fn every_mapping_knows_the_name_of_the_index_without_declaring_it() {
        let mapping = Mapping::default();
        let field = mapping.field(INDEX).expect("it is known");
        assert!(field.kind.has_doc_values() && !field.kind.is_searchable());
        assert!(field.kind.constant().is_none());
        assert_eq!(mapping.matching("*").count(), 0);
        assert_eq!(mapping.num_fields(), 0);
        let mut older = Mapping::default();
        let declared = Field {
            ordinal: 0,
            ..field.clone()
        };
        older.fields.insert(FieldPath::new(INDEX), declared);
        let found = older.field(INDEX).map(|field| field.ordinal);
        assert_eq!(found, Some(u32::MAX), "what was declared is no metadata");
        for path in ["_id", "_index.x", "_indices", "index"] {
            assert!(mapping.field(path).is_none(), "{path}");
        }
    }
}
