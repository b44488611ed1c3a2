//! Fields that came after a mapping was made, and which documents have values of them.
//!
//! Called by: `engine::View::lacking_fields`.

use std::collections::HashSet;

use gleaner_model::{Dynamic, FieldPath, Mapping};

use super::DocumentParser;
use super::plan::{NodeKind, Plan, ROOT};

/// A field that came after the mapping was made, and takes its values from documents alone.
pub struct LateField {
    /// Its number in what [`DocumentParser::fields_of`] returns.
    pub number: u32,
    /// Its full path.
    pub path: FieldPath,
    /// Whether documents add such fields to the mapping. Then each document with a value has the field: it was
    /// there, or the document brought it.
    pub is_dynamic: bool,
}

impl DocumentParser {
    /// Returns the late fields of `mapping`, the one that documents are read under here. Left out is what takes
    /// values from other fields: that may have been declared when documents with those values were there. So are constants, of
    /// which nothing is indexed.
    pub fn late_fields(&self, mapping: &Mapping) -> Vec<LateField> {
        let copies = mapping.fields.values().flat_map(|field| &field.copy_to);
        let copies: HashSet<&FieldPath> = copies.collect();
        let mut late = Vec::new();
        for (number, _) in self.plan.leaves() {
            let path = &self.plan.node(number as u32).path;
            let field = mapping.field(path.as_str());
            let field = field.filter(|field| field.is_late() && !field.is_multi_field);
            let field = field.filter(|field| !field.kind.is_constant());
            if field.is_some() && !copies.contains(path) {
                late.push(LateField {
                    number: number as u32,
                    path: path.clone(),
                    is_dynamic: rule_above(&self.plan, path.as_str()) == Dynamic::True,
                });
            }
        }
        late
    }

    /// Returns the numbers of the fields of which a document has values, as far as the mapping takes it, in their
    /// order.
    pub fn fields_of(&self, source: &[u8]) -> Vec<u32> {
        let values = self.walk_leniently(source).values;
        let mut numbers: Vec<u32> = values.into_iter().map(|(number, _)| number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }
}

/// Returns what the object that holds `path` says of unknown fields.
fn rule_above(plan: &Plan, path: &str) -> Dynamic {
    let (mut node, mut rule) = (ROOT, Dynamic::True);
    for name in path.split('.') {
        if let NodeKind::Object { dynamic, .. } = &plan.node(node).kind {
            rule = *dynamic;
        }
        match plan.child(node, name) {
            Some(child) => node = child,
            None => break,
        }
    }
    rule
}
