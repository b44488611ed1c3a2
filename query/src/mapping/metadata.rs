//! Metadata: what stands beside a document under a name that no mapping declares, and what can be asked of each.
//!
//! The one list of such names. Source: Elasticsearch reference, *Metadata fields*. Where Elasticsearch has no values of a
//! field (`Fielddata is not supported`), or they are not kept here, requests for them are refused: they would be as empty
//! as those of a field that nobody knows.

use gleaner_model::mapping::INDEX;

use crate::error::QueryError;

/// Metadata that requests and answers name beside a document: no field of it, and no column.
pub const DOCUMENT_METADATA: [&str; 6] = [
    "_id", "_index", "_source", "_routing", "_version", "_seq_no",
];

/// Metadata that Elasticsearch derives from a document or counts it by: none of it stands in one here.
pub const DERIVED_METADATA: [&str; 4] = ["_doc_count", "_field_names", "_ignored", "_nested_path"];

/// Names of other metadata fields.
const OTHER_METADATA: [&str; 3] = ["_primary_term", "_type", "_tier"];

/// Metadata that `fields` cannot show.
const INTERNAL: [&str; 5] = [
    "_field_names",
    "_nested_path",
    "_seq_no",
    "_source",
    "_tier",
];

/// Metadata that documents are told apart by: counted, but not shown.
const ID: &str = "_id";

/// What is asked of a field's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValuesAsked {
    /// Buckets and metrics of them.
    Aggregation,
    /// How many there are.
    Count,
    /// Those of a hit, as columns keep them.
    DocValues,
    /// Those of a hit, as its `_source` has them.
    Fields,
    /// An order of hits.
    Sort,
    /// The first of all.
    FirstTerms,
}

impl ValuesAsked {
    fn serves(self, name: &str) -> bool {
        match self {
            Self::Aggregation | Self::FirstTerms => name == INDEX,
            Self::Count => [INDEX, ID].contains(&name),
            Self::DocValues => [INDEX, "_ignored", "_seq_no", "_version"].contains(&name),
            Self::Fields => !INTERNAL.contains(&name),
            Self::Sort => [INDEX, "_seq_no"].contains(&name),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Aggregation | Self::Count => "aggregations over",
            Self::DocValues => "doc values of",
            Self::Fields => "values of",
            Self::Sort => "orders by",
            Self::FirstTerms => "first terms of",
        }
    }
}

/// Returns whether `name` is that of a metadata field, which no mapping can declare.
pub fn is_metadata(name: &str) -> bool {
    names().any(|known| known == name)
}

fn names() -> impl Iterator<Item = &'static str> {
    let all = DOCUMENT_METADATA.into_iter().chain(DERIVED_METADATA);
    all.chain(OTHER_METADATA)
}

/// Refuses values of metadata that are not there to be asked; takes every other field.
///
/// # Errors
/// `illegal_argument_exception`.
pub fn check_values_of(field: &str, asked: ValuesAsked) -> Result<(), QueryError> {
    if !is_metadata(field) || asked.serves(field) {
        return Ok(());
    }
    Err(QueryError::illegal(match asked {
        ValuesAsked::Fields => format!("Cannot fetch values for internal field [{field}]."),
        ValuesAsked::Aggregation if field == ID => format!(
            "the metadata field [{ID}] can only be counted, by [value_count], [cardinality] and [missing]: for other \
             aggregations index a copy of it in a [keyword] field"
        ),
        _ => format!(
            "{} the metadata field [{field}] are not supported",
            asked.name()
        ),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_column_holds_is_refused_by_its_name_and_never_empty() {
        use ValuesAsked::{Aggregation, Count, DocValues, Fields, FirstTerms, Sort};
        for name in names() {
            let served = [Aggregation, Count, DocValues, Fields, FirstTerms, Sort]
                .map(|asked| check_values_of(name, asked).is_ok());
            let expected = match name {
                "_index" => [true; 6],
                "_id" => [false, true, false, true, false, false],
                "_ignored" => [false, false, true, true, false, false],
                "_seq_no" => [false, false, true, false, false, true],
                "_version" => [false, false, true, true, false, false],
                "_routing" | "_doc_count" | "_primary_term" | "_type" => {
                    [false, false, false, true, false, false]
                }
                _ => [false; 6],
            };
            assert_eq!(served, expected, "{name}");
            let refused = check_values_of(name, Aggregation).err();
            assert!(refused.is_none_or(|error| error.reason.contains(&format!("[{name}]"))));
        }
        for name in ["_", "_x", "id", "_ignored.n"] {
            assert!(check_values_of(name, Sort).is_ok(), "{name}");
        }
    }
}
