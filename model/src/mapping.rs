//! What an index knows of its fields: a flat table from full path to [`Field`].
//!
//! Objects and multi-fields stand in the same table (`user`, `user.name`, `user.name.raw`), so a
//! look-up is one step. The dialect's JSON is parsed in `query::mapping` and rendered in `api`;
//! what the user declared is kept as it came in [`Field::declared`].

mod keyword;
mod number;
pub(crate) mod since;
mod template;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use keyword::{KEY_END, KEYED, KeywordKind};
pub use number::{NumberKind, round_half_up, round_to};
pub use template::DynamicTemplate;

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
    /// Returns the field at `path`, the one that an alias there stands for, or the `flattened` field that `path`
    /// is a key of.
    pub fn field(&self, path: &str) -> Option<&Field> {
        self.resolved(path).map(|(_, field)| field)
    }

    /// As [`Self::field`], with the field's own path.
    pub fn resolved(&self, path: &str) -> Option<(&FieldPath, &Field)> {
        let Some((own, field)) = self.fields.get_key_value(path) else {
            return self.flattened(path).map(|(root, _)| root);
        };
        match &field.kind {
            FieldKind::Alias { path } => self.fields.get_key_value(path),
            _ => Some((own, field)),
        }
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

    /// Returns the `flattened` field above `path`, and the key that `path` is in it.
    pub fn flattened<'p>(&self, path: &'p str) -> Option<((&FieldPath, &Field), &'p str)> {
        path.match_indices('.').find_map(|(dot, _)| {
            let (own, field) = self.fields.get_key_value(&path[..dot])?;
            field
                .kind
                .is_flattened()
                .then_some(((own, field), &path[dot + 1..]))
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

/// Type of a field with its options; defaults are the dialect's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum FieldKind {
    /// Analysed text, ranked by BM25.
    Text {
        /// Analyzer for documents, and for queries unless `search_analyzer` is given.
        analyzer: String,
        /// Analyzer for queries.
        search_analyzer: Option<String>,
        /// Whether the field can be searched.
        index: bool,
    },
    /// A term kept whole.
    Keyword {
        /// As which of its types it was declared.
        #[serde(default, skip_serializing_if = "KeywordKind::is_plain")]
        family: KeywordKind,
        /// Longer values (in characters) are neither indexed nor in doc values.
        ignore_above: Option<u32>,
        /// Normalizer applied to values and query terms.
        normalizer: Option<String>,
        /// Stands for an explicit `null`.
        null_value: Option<String>,
        /// Whether the field can be searched.
        index: bool,
        /// Whether it can be sorted and aggregated.
        doc_values: bool,
    },
    /// A number.
    Number {
        /// Width and signedness.
        number: NumberKind,
        /// Stands for an explicit `null`. Of types of whole numbers it is one; where it was stored by
        /// earlier versions, it may be a fraction without a rest.
        null_value: Option<serde_json::Number>,
        /// Whether strings and fractions are converted (default true).
        coerce: bool,
        /// Whether a malformed value is skipped instead of refusing the document.
        ignore_malformed: bool,
        /// Whether the field can be searched.
        index: bool,
        /// Whether it can be sorted and aggregated.
        doc_values: bool,
    },
    /// `true` or `false`.
    Boolean {
        /// Stands for an explicit `null`.
        null_value: Option<bool>,
        /// Whether the field can be searched.
        index: bool,
        /// Whether it can be sorted and aggregated.
        doc_values: bool,
    },
    /// An instant, kept as milliseconds since the epoch.
    Date {
        /// Whether it was declared as `date_nanos`, which is kept to the millisecond too.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        nanos: bool,
        /// How text is read and keys are written.
        format: DateFormat,
        /// Stands for an explicit `null`, in the field's format.
        null_value: Option<String>,
        /// Whether a malformed value is skipped instead of refusing the document.
        ignore_malformed: bool,
        /// Whether the field can be searched.
        index: bool,
        /// Whether it can be sorted and aggregated.
        doc_values: bool,
    },
    /// An IPv4 or IPv6 address.
    Ip {
        /// Stands for an explicit `null`.
        null_value: Option<String>,
        /// Whether a malformed value is skipped instead of refusing the document.
        ignore_malformed: bool,
        /// Whether the field can be searched.
        index: bool,
        /// Whether it can be sorted and aggregated.
        doc_values: bool,
    },
    /// A JSON object; its properties are fields of their own.
    Object {
        /// Rule for unknown fields below; `None` inherits.
        dynamic: Option<Dynamic>,
        /// Whether its content is looked at (false: kept in `_source` only).
        enabled: bool,
        /// Whether its content is documents of their own, which ordinary queries do not find: they are kept
        /// in `_source` only.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        nested: bool,
    },
    /// Ranges and points, kept as whole terms whose order is that of the values.
    Encoded {
        /// What they are.
        codec: Codec,
        /// Whether a malformed value is skipped instead of refusing the document.
        ignore_malformed: bool,
        /// Whether the field can be searched.
        index: bool,
    },
    /// Another name of a field. It takes no values.
    Alias {
        /// The field, which is no alias.
        path: FieldPath,
    },
    /// Bytes in base64, kept in `_source` only.
    Binary {
        /// Whether `exists` finds documents that have it.
        doc_values: bool,
    },
}

/// What the terms of a [`FieldKind::Encoded`] are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Codec {
    /// A latitude and a longitude.
    GeoPoint,
    /// From a 32-bit whole number to another.
    IntegerRange,
    /// From a 64-bit whole number to another.
    LongRange,
    /// From a 32-bit fraction to another.
    FloatRange,
    /// From a 64-bit fraction to another.
    DoubleRange,
    /// From an instant to another, read by a format.
    DateRange(DateFormat),
    /// From an address to another.
    IpRange,
}

impl Codec {
    /// Returns the dialect's name of the type.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::GeoPoint => "geo_point",
            Self::IntegerRange => "integer_range",
            Self::LongRange => "long_range",
            Self::FloatRange => "float_range",
            Self::DoubleRange => "double_range",
            Self::DateRange(_) => "date_range",
            Self::IpRange => "ip_range",
        }
    }
}

impl FieldKind {
    /// Returns the dialect's name of the type.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Text { .. } => "text",
            Self::Keyword { family, .. } => family.type_name(),
            Self::Alias { .. } => "alias",
            Self::Number { number, .. } => number.type_name(),
            Self::Boolean { .. } => "boolean",
            Self::Date { nanos: true, .. } => "date_nanos",
            Self::Date { .. } => "date",
            Self::Ip { .. } => "ip",
            Self::Object { nested: true, .. } => "nested",
            Self::Object { .. } => "object",
            Self::Encoded { codec, .. } => codec.type_name(),
            Self::Binary { .. } => "binary",
        }
    }

    /// Returns whether it is a `flattened` field, whose keys are no fields.
    pub fn is_flattened(&self) -> bool {
        let Self::Keyword { family, .. } = self else {
            return false;
        };
        matches!(family, KeywordKind::Flattened { .. })
    }

    /// Returns whether it holds the values of a `flattened` field behind their keys: clients do not see it.
    pub fn is_keyed(&self) -> bool {
        let Self::Keyword { family, .. } = self else {
            return false;
        };
        matches!(family, KeywordKind::Keyed { .. })
    }

    /// Returns whether the field can be searched: by its index, or, more slowly, by the doc values of
    /// numbers, dates and addresses.
    pub fn is_searchable(&self) -> bool {
        let is_numeric = matches!(
            self,
            Self::Number { .. } | Self::Date { .. } | Self::Ip { .. }
        );
        self.is_indexed() || (is_numeric && self.has_doc_values())
    }

    /// Returns whether the field has an index.
    pub fn is_indexed(&self) -> bool {
        match self {
            Self::Text { index, .. }
            | Self::Keyword { index, .. }
            | Self::Number { index, .. }
            | Self::Boolean { index, .. }
            | Self::Date { index, .. }
            | Self::Ip { index, .. }
            | Self::Encoded { index, .. } => *index,
            Self::Object { .. } | Self::Alias { .. } | Self::Binary { .. } => false,
        }
    }

    /// Returns whether the field can be sorted and aggregated.
    pub fn has_doc_values(&self) -> bool {
        match self {
            Self::Keyword { doc_values, .. }
            | Self::Number { doc_values, .. }
            | Self::Boolean { doc_values, .. }
            | Self::Date { doc_values, .. }
            | Self::Ip { doc_values, .. } => *doc_values,
            Self::Text { .. }
            | Self::Object { .. }
            | Self::Alias { .. }
            | Self::Encoded { .. }
            | Self::Binary { .. } => false,
        }
    }
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
