//! Dynamic templates: rules that choose the mapping of a field met for the first time.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// One rule of `dynamic_templates`; it applies when all of its conditions hold, and where it is chosen by its name.
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
    /// Whether the patterns of names and paths are regular expressions instead of having `*` only.
    pub is_regex: bool,
    /// The field's mapping as declared; `{name}` and `{dynamic_type}` are put in when it applies.
    pub mapping: serde_json::Map<String, serde_json::Value>,
}

/// The templates that the writer of a document chose for fields: their names by the fields' full paths.
///
/// A template that is chosen makes its field whatever its conditions say. What is chosen for a field that the mapping
/// has already, or that the document does not bring, has no effect. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ChosenTemplates(Option<Arc<BTreeMap<String, String>>>);

impl ChosenTemplates {
    /// Returns whether none is chosen.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Returns the name of the template that is chosen for the field at `path`.
    pub fn of(&self, path: &str) -> Option<&str> {
        let chosen = self.0.as_ref()?;
        chosen.get(path).map(String::as_str)
    }

    /// Returns the paths of fields, in their order, each with the name of its template.
    pub fn by_field(&self) -> impl Iterator<Item = (&str, &str)> {
        let chosen = self.0.as_deref().into_iter().flatten();
        chosen.map(|(path, name)| (path.as_str(), name.as_str()))
    }
}

impl FromIterator<(String, String)> for ChosenTemplates {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(chosen: I) -> Self {
        let chosen: BTreeMap<String, String> = chosen.into_iter().collect();
        Self((!chosen.is_empty()).then(|| Arc::new(chosen)))
    }
}
