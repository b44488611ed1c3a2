//! Dynamic templates: rules that choose the mapping of a field met for the first time.

use serde::{Deserialize, Serialize};

/// One rule of `dynamic_templates`; it applies when all of its conditions hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DynamicTemplate {
    /// Name, unique in the mapping.
    pub name: String,
    /// Types inferred from JSON (`string`, `long`, `*` …); empty is any.
    pub match_mapping_type: Vec<String>,
    /// Types that do not match.
    pub unmatch_mapping_type: Vec<String>,
    /// Patterns on the last part of the path; empty is any.
    pub name_match: Vec<String>,
    /// Patterns on the last part of the path that do not match.
    pub name_unmatch: Vec<String>,
    /// Patterns on the full path; empty is any.
    pub path_match: Vec<String>,
    /// Patterns on the full path that do not match.
    pub path_unmatch: Vec<String>,
    /// Whether name patterns are regular expressions instead of having `*` only.
    pub is_regex: bool,
    /// The field's mapping as declared; `{name}` and `{dynamic_type}` are put in when it applies.
    pub mapping: serde_json::Map<String, serde_json::Value>,
}
