//! Versions of the mapping that fields came with, as a stored mapping tells them.
//!
//! Does: lowers those that cannot be true. Earlier programs could store a field that names a version after the
//! mapping's own, where several documents had brought fields together: documents that were ordered under the
//! mapping would then be indexed without the field. Called by: whatever reads an index's metadata.

use std::cmp::Reverse;
use std::sync::Arc;

use serde::{Deserialize, Deserializer};

use super::{Field, Mapping};

/// Reads a mapping, in which then no field came later than the mapping, or than a field of a greater ordinal.
pub(crate) fn read<'de, D: Deserializer<'de>>(reader: D) -> Result<Arc<Mapping>, D::Error> {
    let mut mapping = Mapping::deserialize(reader)?;
    lower(&mut mapping);
    Ok(Arc::new(mapping))
}

fn lower(mapping: &mut Mapping) {
    let late = mapping.fields.values_mut().filter(|field| field.is_late());
    let mut late: Vec<&mut Field> = late.collect();
    late.sort_unstable_by_key(|field| Reverse(field.ordinal));
    let mut latest = mapping.version;
    for field in late {
        field.since = field.since.min(latest);
        latest = field.since;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::MappingVersion;
    use crate::mapping::{FieldKind, FieldPath};

    /// Returns a mapping whose fields, by ordinal, came with these versions.
    fn mapping(version: u64, since: &[u64]) -> Mapping {
        let field = |(ordinal, since): (usize, &u64)| Field {
            ordinal: ordinal as u32,
            kind: FieldKind::Text {
                analyzer: "standard".to_owned(),
                search_analyzer: None,
                index: true,
                fielddata: false,
            },
            is_multi_field: false,
            copy_to: Vec::new(),
            declared: serde_json::Map::new(),
            since: MappingVersion(*since),
        };
        let fields = since.iter().enumerate().map(field);
        // The order of names is not that of ordinals.
        let named = fields.map(|field| (FieldPath::new(format!("f{}", 90 - field.ordinal)), field));
        Mapping {
            version: MappingVersion(version),
            fields: named.collect(),
            ..Mapping::default()
        }
    }

    #[test]
    fn no_field_is_read_as_later_than_its_mapping_or_the_fields_behind_it() {
        for (version, since, expected) in [
            (1, &[0, 0][..], &[0, 0][..]),
            (3, &[0, 2, 2, 3], &[0, 2, 2, 3]),
            // Three documents brought a field each to a mapping of version 1.
            (2, &[0, 2, 3, 4], &[0, 2, 2, 2]),
            // And one more to that of version 2.
            (3, &[0, 2, 3, 4, 3], &[0, 2, 3, 3, 3]),
            // A field without a version tells nothing of those before it.
            (5, &[4, 0, 5], &[4, 0, 5]),
        ] {
            let stored = serde_json::to_value(mapping(version, since)).expect("it is JSON");
            let read = read(stored).expect("it is a mapping");
            assert_eq!(*read, mapping(version, expected), "{since:?}");
        }
    }
}
