//! Values that documents give to `constant_keyword` fields declared without one.
//!
//! Does: put them into the mapping. Does not: find them; which values of a document reach a field, through multi-fields and
//! `copy_to` too, the walk over the document knows (`gleaner_document::Growth`).

use std::collections::BTreeMap;

use gleaner_model::mapping::KeywordKind;
use gleaner_model::{FieldKind, FieldPath, Mapping, MappingVersion};

/// Returns `mapping` as its version `since`, in which the constants at the paths of `values` have these values: for all
/// documents, those before it too. A constant that has a value keeps it; other fields stay as they are.
pub fn set_constants(
    mapping: &Mapping,
    values: BTreeMap<FieldPath, String>,
    since: MappingVersion,
) -> Mapping {
    let mut grown = mapping.clone();
    grown.version = since;
    for (path, value) in values {
        let Some(field) = grown.fields.get_mut(&path) else {
            continue;
        };
        if let FieldKind::Keyword { family, .. } = &mut field.kind
            && *family == KeywordKind::Unset
        {
            *family = KeywordKind::Constant(value.clone());
            field.declared.insert("value".to_owned(), value.into());
        }
    }
    grown
}
