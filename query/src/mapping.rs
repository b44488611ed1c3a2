//! Mappings: the dialect's JSON ⇄ [`Mapping`], and the fields inferred from documents.
//!
//! Does: read the tree of `properties` into the flat table ([`parse_mapping`]), merge it into the
//! mapping in force by Elasticsearch's rules, infer fields of documents ([`infer_document`]), set
//! constants by them ([`set_constants`]), build the tree back ([`mapping_tree`]).
//! Does not: know which analyzers exist ([`check_analyzers`] asks who does).
//! Ordinals of fields in force never change; new ones count on from [`Mapping::next_ordinal`].

mod aliases;
mod analyzers;
mod constants;
mod copies;
mod field_type;
mod infer;
mod merge;
mod metadata;
mod parameters;
mod properties;
mod root;
mod template;
mod tree;

use gleaner_model::mapping::matches_pattern;
use gleaner_model::{FieldKind, FieldPath, IndexSettings, Mapping, MappingVersion};
use serde_json::{Map, Value};

pub use analyzers::{AnalysisName, check_analyzers, counted_by};
pub use constants::set_constants;
pub use field_type::is_field_type;
pub use infer::infer_document;
pub(crate) use merge::has_norms;
pub use merge::{has_frequencies, has_positions, is_match_only};
pub use metadata::{
    DERIVED_METADATA, DOCUMENT_METADATA, ValuesAsked, check_values_of, is_metadata,
};
pub use properties::{INDEX_PREFIX, MAX_PREFIX_CHARS, ignored_field, ignored_path, may_ignore};
pub use tree::mapping_tree;

use crate::error::{ErrorType, QueryError};

/// Characters of a path that an error message shows.
const SHOWN_CHARS: usize = 256;

/// Bytes of a field's path, at most: those of a term, as which Lucene keeps it (`IndexWriter.MAX_TERM_LENGTH`).
const MAX_PATH_BYTES: usize = 32_766;

/// Templates of a mapping, at most: each new field is held against all of them.
const MAX_TEMPLATES: usize = 1_000;

/// What the index's settings say about its mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MappingRules {
    /// Most fields, objects and multi-fields together; default 1,000.
    pub total_fields: usize,
    /// Most levels of objects; a field at the root is on level 1; default 20.
    pub depth: usize,
    /// Most objects that are nested; default 50.
    pub nested_fields: usize,
    /// Most nested objects of a document; default 10,000.
    pub nested_objects: usize,
    /// Whether the index has an order (`index.sort.field`), which nested objects would break; default false.
    pub is_sorted: bool,
    /// Most characters of a field's name; default unlimited.
    pub name_length: usize,
    /// Analyzer of text fields that name none: `default` where the settings define it, else
    /// `standard`.
    pub default_analyzer: &'static str,
    /// Search analyzer of text fields that name none: `default_search` where it is defined.
    pub default_search_analyzer: Option<&'static str>,
    /// Where what is read comes from; default [`Declaration::New`].
    pub declaration: Declaration,
}

/// Where a declaration comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Declaration {
    /// From a request: all of it is checked.
    #[default]
    New,
    /// It was taken before, perhaps by an older version, as a template's mapping was: what has no effect is not checked.
    Kept,
}

impl From<&IndexSettings> for MappingRules {
    fn from(settings: &IndexSettings) -> Self {
        let is_defined = |name| {
            let analyzers = settings.analysis.get("analyzer");
            analyzers.is_some_and(|analyzers| analyzers.get(name).is_some())
        };
        Self {
            total_fields: settings.total_fields_limit,
            depth: settings.depth_limit,
            nested_fields: settings.nested_fields_limit(),
            nested_objects: settings.nested_objects_limit(),
            is_sorted: settings.is_sorted(),
            name_length: settings.field_name_length_limit,
            default_analyzer: if is_defined("default") {
                "default"
            } else {
                "standard"
            },
            default_search_analyzer: is_defined("default_search").then_some("default_search"),
            declaration: Declaration::New,
        }
    }
}

impl Default for MappingRules {
    fn default() -> Self {
        Self::from(&IndexSettings::default())
    }
}

/// Reads a mapping and merges it into `existing`; the version grows when anything changed.
///
/// # Errors
/// `mapper_parsing_exception` for what cannot be read or is not supported;
/// `illegal_argument_exception` for what cannot be merged and for rules.
pub fn parse_mapping(
    value: &Value,
    existing: Option<&Mapping>,
    rules: &MappingRules,
) -> Result<Mapping, QueryError> {
    let mapping = read(value, existing, rules)?;
    aliases::check(&mapping)?;
    Ok(mapping)
}

/// Checks a mapping that others complete: they may declare the fields that its aliases stand for.
///
/// # Errors
/// As [`parse_mapping`], but for such aliases.
pub(crate) fn check_part_of_mapping(value: &Value, rules: &MappingRules) -> Result<(), QueryError> {
    read(value, None, rules).map(drop)
}

fn read(
    value: &Value,
    existing: Option<&Mapping>,
    rules: &MappingRules,
) -> Result<Mapping, QueryError> {
    let Some(entries) = value.as_object() else {
        return Err(malformed("Expected map for property [mappings]"));
    };
    let mut mapping = existing.cloned().unwrap_or_default();
    root::apply(entries, rules.declaration, existing, &mut mapping)?;
    if let Some(tree) = entries.get("properties") {
        let drafts = properties::read(tree, rules)?;
        let since = existing.map_or(MappingVersion(0), |existing| existing.version.next());
        merge::into(&mut mapping, drafts, since)?;
    }
    if entries.contains_key("dynamic_templates") {
        template::check_mappings(&mapping.dynamic_templates, rules, &|_| true)?;
    }
    check_limits(&mapping, rules)?;
    copies::check(&mapping, existing)?;
    if let Some(existing) = existing.filter(|existing| **existing != mapping) {
        mapping.version = existing.version.next();
    }
    Ok(mapping)
}

/// Returns the fields declared with `"store": true` that any of the names or patterns stands for.
pub fn stored_fields<'a>(
    mapping: &'a Mapping,
    wanted: &'a [String],
) -> impl Iterator<Item = &'a FieldPath> {
    let is_wanted = |path: &FieldPath| {
        let mut patterns = wanted.iter();
        patterns.any(|pattern| matches_pattern(pattern, path.as_str()))
    };
    let stored = mapping.fields.iter();
    stored
        .filter(move |(path, field)| is_stored(&field.declared) && is_wanted(path))
        .map(|(path, _)| path)
}

/// Returns whether a field's parameters have `"store": true`.
fn is_stored(declared: &Map<String, Value>) -> bool {
    let store = declared.get("store");
    store.is_some_and(|store| *store == true || store == "true")
}

/// Refuses a mapping that outgrew its rules: with [`ErrorType::TooManyFields`] where it has more fields than it may.
fn check_limits(mapping: &Mapping, rules: &MappingRules) -> Result<(), QueryError> {
    if mapping.num_fields() > rules.total_fields {
        return Err(too_many_fields(rules));
    }
    if rules.is_sorted && mapping.num_nested() > 0 {
        return Err(QueryError::illegal(
            "cannot have nested fields when index sort is activated",
        ));
    }
    if mapping.num_nested() > rules.nested_fields {
        return Err(QueryError::illegal(format!(
            "Limit of nested fields [{}] has been exceeded",
            rules.nested_fields
        )));
    }
    let num_templates = mapping.dynamic_templates.len();
    if num_templates > MAX_TEMPLATES {
        return Err(QueryError::illegal(format!(
            "[dynamic_templates] has [{num_templates}] templates, more than [{MAX_TEMPLATES}]"
        )));
    }
    for (path, field) in &mapping.fields {
        let path = path.as_str();
        if path.len() > MAX_PATH_BYTES {
            return Err(too_long(path));
        }
        if matches!(field.kind, FieldKind::Object { .. }) {
            check_depth(path, rules)?;
        }
        let name = path.rsplit('.').next().unwrap_or(path);
        if name.chars().count() > rules.name_length {
            return Err(QueryError::illegal(format!(
                "Field name [{name}] is longer than the limit of [{}] characters",
                rules.name_length
            )));
        }
    }
    Ok(())
}

fn too_many_fields(rules: &MappingRules) -> QueryError {
    let limit = rules.total_fields;
    let reason = format!("Limit of total fields [{limit}] has been exceeded");
    QueryError::new(ErrorType::TooManyFields, reason)
}

fn too_long(path: &str) -> QueryError {
    let shown: String = path.chars().take(SHOWN_CHARS).collect();
    QueryError::illegal(format!(
        "field name of [{}] bytes is longer than [{MAX_PATH_BYTES}] bytes: [{shown}…]",
        path.len()
    ))
}

/// Refuses an object at `path` whose fields would lie deeper than allowed: fields of the mapping itself
/// have depth 1, those of an object in it depth 2.
fn check_depth(path: &str, rules: &MappingRules) -> Result<(), QueryError> {
    if path.split('.').count() + 1 > rules.depth {
        return Err(too_deep(path, rules.depth));
    }
    Ok(())
}

fn too_deep(path: &str, depth: usize) -> QueryError {
    let start: String = path.chars().take(SHOWN_CHARS).collect();
    QueryError::illegal(format!(
        "Limit of mapping depth [{depth}] has been exceeded due to object field [{start}]"
    ))
}

/// Returns a `mapper_parsing_exception`.
fn malformed(reason: impl Into<String>) -> QueryError {
    QueryError::new(ErrorType::MapperParsing, reason)
}

#[cfg(test)]
pub(crate) mod tests;
