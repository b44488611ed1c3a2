//! How many of each kind the indices of a cluster declare: types of fields, and of what analyzers are made of.

use std::collections::BTreeMap;

use gleaner_model::IndexMeta;
use serde_json::{Value, json};

/// The parts of analysis settings, and what their section is called.
const PARTS: [(&str, &str); 4] = [
    ("char_filter", "char_filter_types"),
    ("tokenizer", "tokenizer_types"),
    ("filter", "filter_types"),
    ("analyzer", "analyzer_types"),
];

/// Sections of what indices use without declaring it, which is not counted.
const BUILT_IN: [&str; 4] = [
    "built_in_char_filters",
    "built_in_tokenizers",
    "built_in_filters",
    "built_in_analyzers",
];

/// How often kinds occur.
#[derive(Default)]
struct Kinds<'a>(BTreeMap<&'a str, Count>);

/// How often one occurs.
#[derive(Default)]
struct Count {
    all: usize,
    indices: usize,
}

impl<'a> Kinds<'a> {
    /// Adds those of one index.
    fn add(&mut self, of_index: impl Iterator<Item = &'a str>) {
        let mut own: BTreeMap<&str, usize> = BTreeMap::new();
        for kind in of_index {
            *own.entry(kind).or_default() += 1;
        }
        for (kind, number) in own {
            let count = self.0.entry(kind).or_default();
            count.all += number;
            count.indices += 1;
        }
    }

    fn shown(&self) -> Value {
        let shown = |(kind, count): (&&str, &Count)| json!({"name": kind, "count": count.all, "index_count": count.indices});
        self.0.iter().map(shown).collect()
    }
}

/// Returns how many fields of each type there are, and in how many indices. How documents are kept is not counted.
pub(super) fn of_mappings(indices: &[&IndexMeta]) -> Value {
    json!({"field_types": of_fields(indices), "runtime_field_types": [], "source_modes": {}})
}

fn of_fields(indices: &[&IndexMeta]) -> Value {
    let mut kinds = Kinds::default();
    for index in indices {
        let fields = index.mapping.fields.values();
        kinds.add(fields.map(|field| field.kind.type_name()));
    }
    kinds.shown()
}

/// Returns how many analyzers, tokenizers and filters of each type are declared, and in how many indices.
pub(super) fn of_analysis(indices: &[&IndexMeta]) -> Value {
    let mut sections = json!({});
    for (part, section) in PARTS {
        let mut kinds = Kinds::default();
        for index in indices {
            let declared = index.settings.analysis.get(part).and_then(Value::as_object);
            let declared = declared.into_iter().flat_map(serde_json::Map::values);
            // An analyzer without a type is made of parts.
            kinds.add(declared.map(|it| it["type"].as_str().unwrap_or("custom")));
        }
        sections[section] = kinds.shown();
    }
    for section in BUILT_IN {
        sections[section] = json!([]);
    }
    // They are kept in the settings of indices, not for all indices.
    sections["synonyms"] = json!({});
    sections
}

#[cfg(test)]
mod tests {
    use gleaner_model::{IndexName, IndexUuid};
    use gleaner_query::settings::parse_index_settings;

    use super::*;

    #[test]
    fn types_are_counted_by_use_and_by_index() {
        let index = |number: u8, settings: &Value| {
            let name = IndexName::parse(&format!("books-{number}")).expect("a name");
            IndexMeta {
                settings: parse_index_settings(settings).expect("settings"),
                ..IndexMeta::new(IndexUuid([number; 16]), name)
            }
        };
        let few = json!({"type": "length", "max": 3});
        let first = json!({"analysis": {
            "filter": {"few": few, "fewer": few},
            "analyzer": {"mine": {"tokenizer": "standard", "filter": ["few"]}},
        }});
        let second = json!({"analysis": {"filter": {"few": few}}});
        let indices = [index(1, &first), index(2, &second)];
        let shown = of_analysis(&indices.iter().collect::<Vec<_>>());
        let counted = |name: &str, count: u32, index_count: u32| json!([{"name": name, "count": count, "index_count": index_count}]);
        assert_eq!(shown["filter_types"], counted("length", 3, 2));
        assert_eq!(shown["analyzer_types"], counted("custom", 1, 1));
        assert_eq!(shown["tokenizer_types"], json!([]));
        assert_eq!(shown["built_in_analyzers"], json!([]));
        assert_eq!(shown["synonyms"], json!({}));
    }
}
