//! The tree of `properties` → a flat list of fields, parents first.

mod as_you_type;

pub use as_you_type::{INDEX_PREFIX, MAX_PREFIX_CHARS};

use gleaner_model::mapping::{Included, KEYED, KeywordKind};
use gleaner_model::{Dynamic, FieldKind, FieldPath};
use serde_json::{Map, Value};

use super::metadata::is_metadata;
use super::parameters::Parameters;
use super::{Declaration, MappingRules, check_depth, field_type, malformed, too_many_fields};
use crate::error::QueryError;
use crate::json::scalar_text;

/// Prefix of the paths of [`ignored_path`]: no field can be declared there.
const IGNORED: &str = "_ignored.";

/// Returns the path under which `exists` finds the documents of which `field` has ignored a value.
pub fn ignored_path(field: &FieldPath) -> FieldPath {
    FieldPath::new(format!("{IGNORED}{field}"))
}

/// Returns the field of a path that [`ignored_path`] made.
pub fn ignored_field(path: &str) -> Option<&str> {
    path.strip_prefix(IGNORED)
}

/// Returns whether a field leaves out some values of documents that it takes.
pub fn may_ignore(kind: &FieldKind) -> bool {
    match kind {
        FieldKind::Keyword { ignore_above, .. } => ignore_above.is_some(),
        FieldKind::Number {
            ignore_malformed, ..
        }
        | FieldKind::Date {
            ignore_malformed, ..
        }
        | FieldKind::Ip {
            ignore_malformed, ..
        }
        | FieldKind::Encoded {
            ignore_malformed, ..
        } => *ignore_malformed,
        FieldKind::Text { .. }
        | FieldKind::Boolean { .. }
        | FieldKind::Alias { .. }
        | FieldKind::Binary { .. }
        | FieldKind::Object { .. } => false,
        // An input of white space alone.
        FieldKind::Completion => true,
    }
}

/// Fields that one declaration brings beside the objects above it, at most.
const MOST_BROUGHT: usize = 8;

/// A field as declared, before it is merged and numbered.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) path: String,
    pub(super) kind: FieldKind,
    pub(super) is_multi_field: bool,
    pub(super) copy_to: Vec<FieldPath>,
    pub(super) declared: Map<String, Value>,
}

/// Reads the value of `properties` at the root.
pub(super) fn read(tree: &Value, rules: &MappingRules) -> Result<Vec<Draft>, QueryError> {
    let mut reader = Reader {
        rules,
        drafts: Vec::new(),
    };
    reader.properties(None, tree)?;
    Ok(reader.drafts)
}

/// Reads one field declared at `path`; objects above it are not part of the result.
pub(super) fn read_field(
    path: &str,
    declared: &Map<String, Value>,
    rules: &MappingRules,
) -> Result<Vec<Draft>, QueryError> {
    let mut reader = Reader {
        rules,
        drafts: Vec::new(),
    };
    reader.field(path, declared)?;
    Ok(reader.drafts)
}

/// Checks the parts of a name between dots.
pub(super) fn check_name(name: &str) -> Result<(), QueryError> {
    if name.is_empty() {
        return Err(QueryError::illegal("field name cannot be an empty string"));
    }
    if name.split('.').any(|part| part.trim().is_empty()) {
        return Err(malformed(format!(
            "field name [{name}] cannot contain an empty or blank part between dots"
        )));
    }
    Ok(())
}

struct Reader<'a> {
    rules: &'a MappingRules,
    drafts: Vec<Draft>,
}

impl Reader<'_> {
    fn properties(&mut self, parent: Option<&str>, tree: &Value) -> Result<(), QueryError> {
        let Some(fields) = tree.as_object() else {
            // Elasticsearch takes an empty list for no properties.
            if tree.as_array().is_some_and(Vec::is_empty) {
                return Ok(());
            }
            return Err(malformed("properties must be a map type"));
        };
        for (name, declared) in fields {
            check_name(name)?;
            let Some(declared) = declared.as_object() else {
                return Err(malformed(format!(
                    "Expected map for property [fields] on field [{name}] but got a value"
                )));
            };
            self.dotted(parent, name, declared)?;
        }
        Ok(())
    }

    /// Reads a field whose name may hold dots: the parts before the last are objects.
    fn dotted(
        &mut self,
        parent: Option<&str>,
        name: &str,
        declared: &Map<String, Value>,
    ) -> Result<(), QueryError> {
        let mut path = parent.map(str::to_owned).unwrap_or_default();
        let mut parts = name.split('.').peekable();
        while let Some(part) = parts.next() {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(part);
            if parts.peek().is_some() {
                self.check_depth(&path)?;
                self.drafts.push(implicit_object(&path));
            }
        }
        let name = path.as_str();
        if is_metadata(name) {
            return Err(malformed(format!(
                "Field [{path}] is defined more than once"
            )));
        }
        self.field(&path, declared)
    }

    fn field(&mut self, path: &str, declared: &Map<String, Value>) -> Result<(), QueryError> {
        self.check_number()?;
        match declared.get("type").map(type_name) {
            Some(None) => Err(malformed(format!(
                "The [type] of field [{path}] must be a string"
            ))),
            Some(Some(name @ ("object" | "nested"))) => self.object(path, name, declared),
            Some(Some(name)) => self.leaf(path, name, declared),
            None if is_object(declared, self.rules.declaration) => {
                self.object(path, "object", declared)
            }
            None => Err(malformed(format!("No type specified for field [{path}]"))),
        }
    }

    fn object(
        &mut self,
        path: &str,
        type_name: &str,
        declared: &Map<String, Value>,
    ) -> Result<(), QueryError> {
        self.check_depth(path)?;
        let mut from = Parameters::new(path, type_name, declared, self.rules.declaration);
        let nested = type_name == "nested";
        let included = match nested {
            true => included(&mut from)?,
            false => Included::Nowhere,
        };
        let dynamic = declared.get("dynamic").map(read_dynamic).transpose()?;
        from.accept(&["dynamic"]);
        if !from.bool("subobjects", true)? {
            return Err(from.unsupported("subobjects", "false"));
        }
        let enabled = from.bool("enabled", true)?;
        let mut kept = from.finish()?;
        if let Some(dynamic) = dynamic {
            kept.insert("dynamic".to_owned(), Value::from(dynamic_name(dynamic)));
        }
        self.drafts.push(Draft {
            path: path.to_owned(),
            kind: FieldKind::Object {
                dynamic,
                enabled,
                nested,
                included,
            },
            is_multi_field: false,
            copy_to: Vec::new(),
            declared: kept,
        });
        match declared.get("properties") {
            Some(tree) => self.properties(Some(path), tree),
            None => Ok(()),
        }
    }

    fn leaf(
        &mut self,
        path: &str,
        type_name: &str,
        declared: &Map<String, Value>,
    ) -> Result<(), QueryError> {
        let draft = self.value_field(path, type_name, declared)?;
        self.drafts.extend(with_brought(type_name, draft)?);
        let Some(multi) = declared.get("fields") else {
            return Ok(());
        };
        if matches!(type_name, "flattened" | "rank_features") {
            return Err(malformed(format!(
                "unknown parameter [fields] on mapper [{path}] of type [{type_name}]"
            )));
        }
        let Some(fields) = multi.as_object() else {
            return Err(malformed(format!(
                "expected map for property [fields] on field [{path}]"
            )));
        };
        for (name, declared) in fields {
            self.check_number()?;
            let multi = self.multi_field(path, name, declared)?;
            self.drafts.extend(multi);
        }
        Ok(())
    }

    fn multi_field(
        &self,
        path: &str,
        name: &str,
        declared: &Value,
    ) -> Result<Vec<Draft>, QueryError> {
        check_name(name)?;
        let wrong = |why: &str| malformed(format!("{why}: multi-field [{name}] of [{path}]"));
        let entries = declared
            .as_object()
            .ok_or_else(|| wrong("expected a map"))?;
        let type_name = entries.get("type").and_then(type_name);
        let type_name = type_name.ok_or_else(|| wrong("No type specified"))?;
        if name.contains('.') {
            return Err(wrong("Field name which can't contain '.'"));
        }
        if ["object", "nested", "alias", "flattened", "rank_features"].contains(&type_name) {
            return Err(wrong(&format!(
                "Type [{type_name}] cannot be used in multi field"
            )));
        }
        if entries.contains_key("fields") {
            return Err(wrong("Defining chained multi-fields is not supported"));
        }
        if entries.contains_key("copy_to") {
            return Err(wrong("copy_to in multi fields is not allowed"));
        }
        let mut draft = self.value_field(&format!("{path}.{name}"), type_name, entries)?;
        draft.is_multi_field = true;
        with_brought(type_name, draft)
    }

    fn value_field(
        &self,
        path: &str,
        type_name: &str,
        declared: &Map<String, Value>,
    ) -> Result<Draft, QueryError> {
        let mut from = Parameters::new(path, type_name, declared, self.rules.declaration);
        let kind = field_type::read(type_name, &mut from, self.rules)?;
        let copy_to = from.strings("copy_to")?;
        if (kind.is_flattened() || kind.is_of_features()) && !copy_to.is_empty() {
            return Err(malformed(format!(
                "unknown parameter [copy_to] on mapper [{path}] of type [{type_name}]"
            )));
        }
        Ok(Draft {
            path: path.to_owned(),
            kind,
            is_multi_field: false,
            copy_to: copy_to.into_iter().map(FieldPath::new).collect(),
            declared: from.finish()?,
        })
    }

    /// Refuses more declarations than a mapping within its limit can have, before more of them are read.
    fn check_number(&self) -> Result<(), QueryError> {
        let most_of_field = self.rules.depth.saturating_add(MOST_BROUGHT);
        let most = self.rules.total_fields.saturating_mul(most_of_field);
        match self.drafts.len() > most {
            true => Err(too_many_fields(self.rules)),
            false => Ok(()),
        }
    }

    /// Refuses objects nested too deep before anything inside them is read.
    fn check_depth(&self, path: &str) -> Result<(), QueryError> {
        check_depth(path, self.rules)
    }
}

/// Returns a field with those that its type brings.
fn with_brought(type_name: &str, draft: Draft) -> Result<Vec<Draft>, QueryError> {
    let brought = match type_name {
        "search_as_you_type" => as_you_type::fields_below(&draft)?,
        "flattened" => vec![keyed(&draft)],
        _ => Vec::new(),
    };
    Ok(std::iter::once(draft).chain(brought).collect())
}

/// Returns the field of a `flattened` field's values behind their keys, which is not shown as declared.
fn keyed(root: &Draft) -> Draft {
    Draft {
        path: format!("{}.{KEYED}", root.path),
        kind: FieldKind::Keyword {
            family: KeywordKind::Keyed {
                key: String::new(),
                has_columns: root.kind.has_doc_values(),
            },
            ignore_above: None,
            normalizer: None,
            null_value: None,
            index: root.kind.is_indexed(),
            // What is sorted and aggregated is a column for each key.
            doc_values: false,
        },
        is_multi_field: true,
        copy_to: Vec::new(),
        declared: Map::new(),
    }
}

fn included(from: &mut Parameters) -> Result<Included, QueryError> {
    let in_parent = from.bool("include_in_parent", false)?;
    let in_root = from.bool("include_in_root", false)?;
    Ok(match (in_parent, in_root) {
        (false, false) => Included::Nowhere,
        (true, false) => Included::Parent,
        (false, true) => Included::Root,
        (true, true) => Included::ParentAndRoot,
    })
}

fn type_name(value: &Value) -> Option<&str> {
    value.as_str()
}

/// Returns whether a declaration without `type` is an object, as Elasticsearch guesses
/// (`ObjectMapper.TypeParser.parseProperties`). Of one that was taken before parameters of objects are enough.
fn is_object(declared: &Map<String, Value>, declaration: Declaration) -> bool {
    let is_of_object = |key: &String| ["dynamic", "enabled", "subobjects"].contains(&key.as_str());
    let is_enabled_alone = declared.len() == 1 && declared.contains_key("enabled");
    is_enabled_alone
        || declared.contains_key("properties")
        || declaration == Declaration::Kept && declared.keys().all(is_of_object)
}

/// Returns the object that a dotted name stands for.
pub(super) fn implicit_object(path: &str) -> Draft {
    Draft {
        path: path.to_owned(),
        kind: FieldKind::Object {
            dynamic: None,
            enabled: true,
            nested: false,
            included: Included::Nowhere,
        },
        is_multi_field: false,
        copy_to: Vec::new(),
        declared: Map::new(),
    }
}

/// Reads `dynamic`.
pub(super) fn read_dynamic(value: &Value) -> Result<Dynamic, QueryError> {
    let text = scalar_text(value).unwrap_or_default();
    match text.as_str() {
        "true" => Ok(Dynamic::True),
        "false" => Ok(Dynamic::False),
        "strict" => Ok(Dynamic::Strict),
        "runtime" => Err(malformed("[dynamic] of [runtime] is not supported")),
        _ => Err(malformed(format!(
            "Could not convert [dynamic] to boolean: [{text}] is none of true, false, strict"
        ))),
    }
}

/// Returns how the dialect writes `dynamic`.
pub(super) fn dynamic_name(dynamic: Dynamic) -> &'static str {
    match dynamic {
        Dynamic::True => "true",
        Dynamic::False => "false",
        Dynamic::Strict => "strict",
    }
}
