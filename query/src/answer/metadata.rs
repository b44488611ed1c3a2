//! Metadata that `fields` names: it is shown among the fields of a hit.

use serde_json::Value;

use super::Hit;
use crate::search::FieldFormat;

impl Hit {
    /// Adds `_id`, `_index` and `_version` to the fields of the hit where `asked` names them; patterns stand for none of
    /// them. `_ignored` and `_routing` stand in the hit itself, asked for or not.
    pub fn add_metadata(&mut self, asked: &[FieldFormat]) {
        for FieldFormat { field, .. } in asked {
            let value = match field.as_str() {
                "_id" => Value::from(self.content.id.as_str()),
                "_index" => Value::from(self.index.as_str()),
                "_version" => Value::from(self.content.version.0),
                _ => continue,
            };
            self.content.fields.insert(field.clone(), vec![value]);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use gleaner_model::{DocumentId, PrimaryTerm, SeqNo, Version};
    use serde_json::json;

    use super::*;
    use crate::answer::FetchedHit;
    use crate::search::parse_field_formats;

    #[test]
    fn metadata_is_shown_where_it_is_named_whole() {
        let mut hit = Hit {
            index: "books".to_owned(),
            score: None,
            sort: Vec::new(),
            content: FetchedHit {
                id: DocumentId::parse("7").expect("a good id"),
                routing: Some("r".to_owned()),
                seq_no: SeqNo(4),
                term: PrimaryTerm(1),
                version: Version(3),
                source: Bytes::new(),
                ignored: Vec::new(),
                ignored_values: Default::default(),
                matched_queries: Vec::new(),
                fields: [("n".to_owned(), vec![json!(1)])].into_iter().collect(),
                highlight: Default::default(),
                explanation: None,
            },
            source: None,
            shard: 0,
            group: None,
            is_group_of_nanos: false,
            inner_hits: Default::default(),
        };
        for (asked, expected) in [
            (json!(["n", "*", "_*", "_routing"]), json!({"n": [1]})),
            (
                json!(["_version", "_id", {"field": "_index"}]),
                json!({"n": [1], "_id": ["7"], "_index": ["books"], "_version": [3]}),
            ),
        ] {
            let asked = parse_field_formats(&asked, "fields").expect("good fields");
            hit.add_metadata(&asked);
            assert_eq!(json!(hit.content.fields), expected);
        }
    }
}
