//! The body that creates an index.

use std::collections::BTreeMap;

use gleaner_model::{Alias, IndexName, IndexSettings, Mapping};
use serde_json::Value;

use super::{check_groups, declare_numbers, flat, parse_some_settings, sort};
use crate::alias::{parse_aliases, parse_kept_aliases};
use crate::error::{ErrorType, QueryError};
use crate::limits::Limits;
use crate::mapping::{Declaration, MappingRules, parse_mapping};

/// What `index.codec` may be in Elasticsearch or OpenSearch. It has no effect here.
const CODECS: [&str; 9] = [
    "default",
    "lz4",
    "best_compression",
    "zlib",
    "legacy_default",
    "legacy_best_compression",
    "lucene_default",
    "zstd",
    "zstd_no_dict",
];

/// What a new index is to be.
#[derive(Debug, Clone, PartialEq)]
pub struct NewIndex {
    /// Its settings.
    pub settings: IndexSettings,
    /// Whether its settings say how many replicas; else the cluster's default counts.
    pub says_replicas: bool,
    /// Its mapping.
    pub mapping: Mapping,
    /// Its aliases.
    pub aliases: BTreeMap<IndexName, Alias>,
    /// The name that it gets once it is whole, where that is another.
    pub final_name: Option<IndexName>,
}

impl Default for NewIndex {
    fn default() -> Self {
        let mut settings = IndexSettings::default();
        declare_numbers(&mut settings);
        Self {
            settings,
            says_replicas: false,
            mapping: Mapping::default(),
            aliases: BTreeMap::new(),
            final_name: None,
        }
    }
}

impl NewIndex {
    /// Refuses settings that do not go together.
    ///
    /// # Errors
    /// `illegal_argument_exception` naming them.
    pub fn check_settings(&self) -> Result<(), QueryError> {
        check_groups(&self.settings)
    }

    /// Returns it, where an index can be made of it.
    ///
    /// # Errors
    /// As [`Self::check_settings`], and for settings that do not go together with the mapping.
    pub fn checked(self) -> Result<Self, QueryError> {
        self.check_settings()?;
        sort::check_fields(&self.settings, &self.mapping)?;
        Ok(self)
    }
}

/// Reads `{"settings": …, "mappings": …, "aliases": …}`; null and `{}` are all defaults.
///
/// # Errors
/// `parse_exception` for any other key, and whatever its parts refuse.
pub fn parse_create_index(body: &Value, limits: &Limits) -> Result<NewIndex, QueryError> {
    parse_part_of_index(body, limits)?.checked()
}

/// As [`parse_create_index`], of an index that templates complete.
///
/// # Errors
/// As [`parse_create_index`], but for what is missing.
pub fn parse_part_of_index(body: &Value, limits: &Limits) -> Result<NewIndex, QueryError> {
    parse_part(body, limits, Declaration::New)
}

/// As [`parse_part_of_index`], of templates that were taken before, perhaps by an older version: what has no effect is not
/// checked.
///
/// # Errors
/// As [`parse_part_of_index`].
pub fn parse_kept_part_of_index(body: &Value, limits: &Limits) -> Result<NewIndex, QueryError> {
    parse_part(body, limits, Declaration::Kept)
}

fn parse_part(
    body: &Value,
    limits: &Limits,
    declaration: Declaration,
) -> Result<NewIndex, QueryError> {
    let entries = match body {
        Value::Null => return Ok(NewIndex::default()),
        Value::Object(entries) => entries,
        _ => return Err(QueryError::parsing("the body must be an object")),
    };
    if let Some(key) = entries
        .keys()
        .find(|key| !matches!(key.as_str(), "settings" | "mappings" | "aliases"))
    {
        let reason = format!("unknown key [{key}] for create index");
        // The dialect's `parse_exception`.
        return Err(QueryError::new(ErrorType::DateParse, reason));
    }
    let given = entries.get("settings").unwrap_or(&Value::Null);
    let settings = parse_some_settings(given)?;
    if declaration == Declaration::New {
        check_codec(&settings)?;
    }
    let replicas = flat::flatten(given)?;
    let replicas = replicas.get("index.number_of_replicas");
    let mapping = match entries.get("mappings") {
        None | Some(Value::Null) => Mapping::default(),
        Some(mappings) => {
            check_untyped(mappings)?;
            let rules = MappingRules {
                declaration,
                ..MappingRules::from(&settings)
            };
            parse_mapping(mappings, None, &rules)?
        }
    };
    let aliases = match entries.get("aliases") {
        None | Some(Value::Null) => BTreeMap::new(),
        Some(aliases) => match declaration {
            Declaration::New => parse_aliases(aliases, limits)?,
            Declaration::Kept => parse_kept_aliases(aliases, limits)?,
        },
    };
    Ok(NewIndex {
        settings,
        says_replicas: replicas.is_some_and(|replicas| !replicas.is_null()),
        mapping,
        aliases,
        final_name: None,
    })
}

/// Refuses a codec that nobody has: it is most likely a slip.
fn check_codec(settings: &IndexSettings) -> Result<(), QueryError> {
    let codec = settings.declared.get("index.codec").and_then(Value::as_str);
    match codec {
        Some(other) if !CODECS.contains(&other) => Err(QueryError::illegal(format!(
            "unknown value for [index.codec] must be one of [default, lz4, best_compression, zlib] but was: {other}"
        ))),
        _ => Ok(()),
    }
}

/// Refuses a mapping under the one type that there was.
fn check_untyped(mappings: &Value) -> Result<(), QueryError> {
    let entries = mappings.as_object();
    match entries.is_some_and(|entries| entries.len() == 1 && entries.contains_key("_doc")) {
        true => Err(QueryError::illegal(
            "The mapping definition cannot be nested under a type [_doc] unless include_type_name is \
             set to true.",
        )),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(body: &Value) -> QueryError {
        parse_create_index(body, &Limits::default()).expect_err("refused")
    }

    #[test]
    fn an_unknown_key_is_a_parse_exception() {
        let error = refused(&json!({"bogus": {}}));
        assert_eq!(error.kind.name(), "parse_exception");
        assert_eq!(error.reason, "unknown key [bogus] for create index");
    }

    #[test]
    fn a_codec_is_one_of_those_there_are() {
        let body = |codec: &str| json!({"settings": {"index": {"codec": codec}}});
        for codec in CODECS {
            let new = parse_create_index(&body(codec), &Limits::default()).expect(codec);
            assert_eq!(new.settings.declared["index.codec"], codec);
        }
        let error = refused(&body("bogus"));
        assert_eq!(error.kind, ErrorType::IllegalArgument);
        assert_eq!(
            error.reason,
            "unknown value for [index.codec] must be one of [default, lz4, best_compression, zlib] but was: bogus"
        );
    }
}
