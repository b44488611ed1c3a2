//! What an index knows of its fields: a flat table from full path to [`Field`].
//!
//! Objects and multi-fields stand in the same table (`user`, `user.name`, `user.name.raw`), so a
//! look-up is one step. The dialect's JSON is parsed in `query::mapping` and rendered in `api`;
//! what the user declared is kept as it came in [`Field::declared`].

mod keyword;
mod kind;
mod metadata;
mod nested;
mod number;
mod resolution;
pub(crate) mod since;
mod template;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use keyword::{KEY_END, KEYED, KeywordKind};
pub use kind::{Codec, FieldKind};
pub use metadata::INDEX;
pub use nested::Included;
pub use number::{NumberKind, round_to};
pub use resolution::{NANOS_PER_MILLI, Resolution};
pub use template::{ChosenTemplates, DynamicTemplate};

use crate::id::MappingVersion;

/// Full dotted path of a field, for example `user.name.raw`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FieldPath(pub Arc<str>);

impl FieldPath {
    /// Returns the path of `text`, unchecked.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// Returns the path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for FieldPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// What happens to a field that the mapping does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Dynamic {
    /// It is added, its type inferred from its first value (the default).
    #[default]
    True,
    /// It stays in `_source` only.
    False,
    /// The document is refused.
    Strict,
}

/// The mapping of an index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mapping {
    /// Grows by one with each change.
    pub version: MappingVersion,
    /// Rule for unknown fields at the root.
    pub dynamic: Dynamic,
    /// Whether strings that look like dates become `date` when inferred (default true).
    pub date_detection: bool,
    /// Whether strings that look like numbers become numbers when inferred (default false).
    pub numeric_detection: bool,
    /// Formats tried by date detection, in the dialect's pattern language.
    pub dynamic_date_formats: Vec<String>,
    /// Rules for fields met for the first time; the first that applies wins.
    #[serde(default)]
    pub dynamic_templates: Vec<DynamicTemplate>,
    /// Whether answers show `_source` (default true); it is kept in any case.
    pub source_enabled: bool,
    /// Whether every write must carry a routing value (`_routing.required`).
    pub routing_required: bool,
    /// `_meta`, kept for the user.
    pub meta: Option<serde_json::Value>,
    /// The root's keys as declared (`dynamic`, `date_detection`, `_routing` …), for echoing.
    pub declared: serde_json::Map<String, serde_json::Value>,
    /// All fields by full path.
    pub fields: BTreeMap<FieldPath, Field>,
}

impl Default for Mapping {
    fn default() -> Self {
        Self {
            version: MappingVersion(1),
            dynamic: Dynamic::True,
            date_detection: true,
            numeric_detection: false,
            dynamic_date_formats: vec![
                DateFormat::DEFAULT.to_owned(),
                "yyyy/MM/dd HH:mm:ss||yyyy/MM/dd||epoch_millis".to_owned(),
            ],
            dynamic_templates: Vec::new(),
            source_enabled: true,
            routing_required: false,
            meta: None,
            declared: serde_json::Map::new(),
            fields: BTreeMap::new(),
        }
    }
}

impl Mapping {
    /// Returns the field at `path`, the one that an alias there stands for, or the `flattened` or `rank_features`
    /// field that `path` is a key of. The name of the index ([`INDEX`]) is a field too, though none of [`Self::fields`].
    pub fn field(&self, path: &str) -> Option<&Field> {
        self.resolved(path).map(|(_, field)| field)
    }

    /// As [`Self::field`], with the field's own path.
    pub fn resolved(&self, path: &str) -> Option<(&FieldPath, &Field)> {
        // No field of an older mapping stands in its way.
        if let Some(found) = metadata::resolved(path) {
            return Some(found);
        }
        if self.fields.contains_key(path) {
            return self.unaliased(path);
        }
        let of_key = self.flattened(path).or_else(|| self.features(path));
        of_key.map(|(root, _)| root)
    }

    /// Returns the field at exactly `path`, or the one that an alias there stands for.
    fn unaliased(&self, path: &str) -> Option<(&FieldPath, &Field)> {
        let (own, field) = self.fields.get_key_value(path)?;
        match &field.kind {
            FieldKind::Alias { path } => self.fields.get_key_value(path),
            _ => Some((own, field)),
        }
    }

    /// Returns `path` without aliases: the path of the field that an alias stands for, with the key behind it where
    /// `path` has one. Other paths stay as they are, also those that the mapping does not know.
    pub fn own_path(&self, path: &str) -> FieldPath {
        if let Some((own, _)) = self.unaliased(path) {
            return own.clone();
        }
        match self.flattened(path).or_else(|| self.features(path)) {
            Some(((root, _), key)) => FieldPath::new(format!("{root}.{key}")),
            None => FieldPath::new(path),
        }
    }

    /// Returns whether documents are looked into (`enabled` of the mapping, default true). Else they are kept in `_source`
    /// only: they bring no fields, and no field finds them.
    pub fn is_enabled(&self) -> bool {
        self.declared.get("enabled") != Some(&serde_json::Value::Bool(false))
    }

    /// Returns the path whose values feed the field at `path`: its own, or that of the field whose multi-field it is.
    pub fn fed_from<'a>(&self, path: &'a str) -> &'a str {
        let mut fed_from = path;
        while self
            .fields
            .get(fed_from)
            .is_some_and(|field| field.is_multi_field)
            && let Some((parent, _)) = fed_from.rsplit_once('.')
        {
            fed_from = parent;
        }
        fed_from
    }

    /// Returns the `flattened` field above `path`, which may begin with an alias of it, and the key that `path` is in it.
    pub fn flattened<'p>(&self, path: &'p str) -> Option<((&FieldPath, &Field), &'p str)> {
        self.with_keys(path, FieldKind::is_flattened)
    }

    /// Returns the `rank_features` field above `path`, and the feature that `path` is of it.
    pub fn features<'p>(&self, path: &'p str) -> Option<((&FieldPath, &Field), &'p str)> {
        self.with_keys(path, FieldKind::is_of_features)
    }

    fn with_keys<'p>(
        &self,
        path: &'p str,
        has_keys: impl Fn(&FieldKind) -> bool,
    ) -> Option<((&FieldPath, &Field), &'p str)> {
        path.match_indices('.').find_map(|(dot, _)| {
            let (own, field) = self.unaliased(&path[..dot])?;
            has_keys(&field.kind).then_some(((own, field), &path[dot + 1..]))
        })
    }

    /// Returns the ordinal for the next new field: one more than the largest in use.
    pub fn next_ordinal(&self) -> u32 {
        self.fields
            .values()
            .map(|field| field.ordinal + 1)
            .max()
            .unwrap_or(0)
    }

    /// Returns how many fields count against `index.mapping.total_fields.limit`: all of them,
    /// objects and multi-fields included.
    pub fn num_fields(&self) -> usize {
        self.fields.len()
    }

    /// Returns the fields whose path matches `pattern` (`*` matches any run of characters).
    pub fn matching<'a>(
        &'a self,
        pattern: &'a str,
    ) -> impl Iterator<Item = (&'a FieldPath, &'a Field)> {
        self.fields
            .iter()
            .filter(move |(path, _)| matches_pattern(pattern, path.as_str()))
    }
}

/// Returns whether `text` matches `pattern`, in which `*` stands for any run of characters.
pub fn matches_pattern(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

/// One field of a mapping.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// Number of the field, given at its birth and never used again: names its columns on disk.
    pub ordinal: u32,
    /// Type and options.
    pub kind: FieldKind,
    /// Whether this is a multi-field (`fields`), fed from its parent's value.
    pub is_multi_field: bool,
    /// Paths that receive a copy of this field's values.
    pub copy_to: Vec<FieldPath>,
    /// The field's keys as declared, without `properties` and `fields`, for echoing.
    pub declared: serde_json::Map<String, serde_json::Value>,
    /// Version of the mapping that it came with: documents that were ordered under an older one do not have it,
    /// whenever and wherever they are indexed. 0 for those that were there from the start, and for those of
    /// earlier programs.
    #[serde(default, skip_serializing_if = "is_from_the_start")]
    pub since: MappingVersion,
}

impl Field {
    /// Returns whether the field is known to have come after the mapping was made.
    pub fn is_late(&self) -> bool {
        self.since.0 > 0
    }
}

fn is_from_the_start(since: &MappingVersion) -> bool {
    since.0 == 0
}

/// A date format of the dialect: alternatives joined by `||`, each a name or a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DateFormat(pub String);

impl DateFormat {
    /// The default of `date` fields.
    pub const DEFAULT: &'static str = "strict_date_optional_time||epoch_millis";
}

impl Default for DateFormat {
    fn default() -> Self {
        Self(Self::DEFAULT.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_any_run_of_characters() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("*", "a.b", true),
            ("a*", "ab", true),
            ("a*", "ba", false),
            ("*b", "ab", true),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abde", false),
            ("a", "a", true),
            ("a", "ab", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(
                matches_pattern(pattern, text),
                expected,
                "{pattern} on {text}"
            );
        }
    }
}
