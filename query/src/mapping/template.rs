//! `dynamic_templates`: reading them, and the one that applies to a new field: chosen by its name, or the first that
//! matches.

use gleaner_model::mapping::matches_pattern;
use gleaner_model::{ChosenTemplates, DynamicTemplate};
use regex_automata::meta::Regex;
use serde_json::{Map, Value};

use super::analyzers::{AnalysisName, named};
use super::{Declaration, MappingRules, malformed, properties};
use crate::error::{ErrorType, QueryError};

/// Largest compiled pattern of a template, in bytes.
const MAX_REGEX_BYTES: usize = 1 << 20;
/// Types a template may speak of.
const MATCH_TYPES: &[&str] = &[
    "*", "object", "string", "long", "double", "boolean", "date", "binary",
];

/// What values of each of these types become where a template names no type; strings first, as what
/// templates say is mostly of text.
const DEFAULT_TYPES: [(&str, &str); 6] = [
    ("string", "text"),
    ("object", "object"),
    ("long", "long"),
    ("double", "float"),
    ("boolean", "boolean"),
    ("date", "date"),
];

/// Reads the list: each element is an object with the template's name as its only key.
pub(super) fn read_all(
    value: &Value,
    declaration: Declaration,
) -> Result<Vec<DynamicTemplate>, QueryError> {
    let list = value.as_array().ok_or_else(|| {
        malformed("Dynamic template syntax error. An array of named objects is expected.")
    })?;
    let templates = list.iter().map(|template| read(template, declaration));
    templates.collect()
}

fn read(value: &Value, declaration: Declaration) -> Result<DynamicTemplate, QueryError> {
    let named = value.as_object().filter(|named| named.len() == 1);
    let entry = named.and_then(|named| named.iter().next());
    let Some((name, body)) = entry.and_then(|(name, body)| Some((name, body.as_object()?))) else {
        return Err(malformed(
            "A dynamic template must be defined with a name and an object of conditions",
        ));
    };
    let mut template = DynamicTemplate {
        name: name.clone(),
        match_mapping_type: Vec::new(),
        unmatch_mapping_type: Vec::new(),
        name_match: Vec::new(),
        name_unmatch: Vec::new(),
        path_match: Vec::new(),
        path_unmatch: Vec::new(),
        is_regex: false,
        mapping: Map::new(),
    };
    for (key, value) in body {
        apply(&mut template, key, value)?;
    }
    check(&template, body.contains_key("mapping"))?;
    if template.is_regex {
        check_regexes(&template, declaration)?;
    }
    Ok(template)
}

fn apply(template: &mut DynamicTemplate, key: &str, value: &Value) -> Result<(), QueryError> {
    let name = &template.name;
    let texts = || match value {
        Value::String(text) => Ok(vec![text.clone()]),
        Value::Array(items) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or_else(|| wrong(name, key, "must be a list of strings")),
        _ => Err(wrong(name, key, "must be a string or a list of strings")),
    };
    match key {
        "match_mapping_type" => template.match_mapping_type = texts()?,
        "unmatch_mapping_type" => template.unmatch_mapping_type = texts()?,
        "match" => template.name_match = texts()?,
        "unmatch" => template.name_unmatch = texts()?,
        "path_match" => template.path_match = texts()?,
        "path_unmatch" => template.path_unmatch = texts()?,
        "match_pattern" => match value.as_str() {
            Some("simple") => template.is_regex = false,
            Some("regex") => template.is_regex = true,
            _ => return Err(wrong(name, key, "must be simple or regex")),
        },
        "mapping" => match value.as_object() {
            Some(mapping) => template.mapping = mapping.clone(),
            None => return Err(wrong(name, key, "must be an object")),
        },
        "runtime" => return Err(wrong(name, key, "is not supported")),
        _ => {
            return Err(malformed(format!(
                "Illegal dynamic template parameter: [{key}]"
            )));
        }
    }
    Ok(())
}

fn check(template: &DynamicTemplate, has_mapping: bool) -> Result<(), QueryError> {
    let name = &template.name;
    if !has_mapping {
        return Err(malformed(format!(
            "template [{name}] must have either mapping or runtime set"
        )));
    }
    let types = template.match_mapping_type.iter();
    for wanted in types.chain(&template.unmatch_mapping_type) {
        if !MATCH_TYPES.contains(&wanted.as_str()) {
            return Err(malformed(format!(
                "No field type matched on [{wanted}], possible values are {MATCH_TYPES:?}"
            )));
        }
    }
    Ok(())
}

/// Refuses patterns that are no regular expressions. Those of paths may have been kept: earlier versions took `*` alone
/// for special in them.
fn check_regexes(template: &DynamicTemplate, declaration: Declaration) -> Result<(), QueryError> {
    let (names, paths) = (
        [
            ("match", &template.name_match),
            ("unmatch", &template.name_unmatch),
        ],
        [
            ("path_match", &template.path_match),
            ("path_unmatch", &template.path_unmatch),
        ],
    );
    let is_new = declaration == Declaration::New;
    let paths = paths.into_iter().filter(|_| is_new);
    for (key, patterns) in names.into_iter().chain(paths) {
        if patterns.iter().any(|pattern| regex(pattern).is_none()) {
            return Err(wrong(&template.name, key, "is not a valid regex"));
        }
    }
    Ok(())
}

fn wrong(name: &str, key: &str, why: &str) -> QueryError {
    malformed(format!("[{key}] of dynamic template [{name}] {why}"))
}

fn regex(pattern: &str) -> Option<Regex> {
    Regex::builder()
        .configure(Regex::config().nfa_size_limit(Some(MAX_REGEX_BYTES)))
        .build(&format!("^(?:{pattern})$"))
        .ok()
}

/// Refuses a template of which no field can be made, whatever value brings one. With `{name}` in it,
/// only the field's name says what it is.
pub(super) fn check_mappings(
    templates: &[DynamicTemplate],
    rules: &MappingRules,
    is_known: &dyn Fn(AnalysisName<'_>) -> bool,
) -> Result<(), QueryError> {
    let fixed = |template: &&DynamicTemplate| {
        let mapping = Value::Object(template.mapping.clone());
        !mapping.to_string().contains("{name}")
    };
    for template in templates.iter().filter(fixed) {
        let mut refused = None;
        let mut is_usable = false;
        for (json_type, default_type) in DEFAULT_TYPES {
            if !speaks_of(template, json_type) {
                continue;
            }
            match check_mapping(template, default_type, rules, is_known) {
                Ok(()) => is_usable = true,
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        if let Some(error) = refused.filter(|_| !is_usable) {
            return Err(malformed(format!(
                "dynamic template [{}] has invalid content: {}",
                template.name, error.reason
            )));
        }
    }
    Ok(())
}

/// Makes a field as a value would that becomes `default_type` without a template.
fn check_mapping(
    template: &DynamicTemplate,
    default_type: &str,
    rules: &MappingRules,
    is_known: &dyn Fn(AnalysisName<'_>) -> bool,
) -> Result<(), QueryError> {
    // A dot would put the field deeper than the fields it stands for.
    let name = format!("__dynamic__{}", template.name.replace('.', "_"));
    let declared = declaration(template, &name, default_type);
    for draft in properties::read_field(&name, &declared, rules)? {
        if let Some(missing) = named(&draft.kind, &draft.declared).find(|name| !is_known(*name)) {
            return Err(missing.missing(&draft.path));
        }
    }
    Ok(())
}

/// Returns the declaration that a template gives a new field of `json_type`: the template that is chosen for it, else
/// the first that matches.
///
/// # Errors
/// `document_parsing_exception` when the template that is chosen is not among `templates`.
pub(super) fn find(
    templates: &[DynamicTemplate],
    chosen: &ChosenTemplates,
    path: &str,
    json_type: &str,
    default_type: &str,
) -> Result<Option<Map<String, Value>>, QueryError> {
    let name = path.rsplit('.').next().unwrap_or(path);
    let mut all = templates.iter();
    let template = match chosen.of(path) {
        Some(wanted) => {
            let found = all.find(|template| template.name == wanted);
            Some(found.ok_or_else(|| missing(wanted, path))?)
        }
        None => all.find(|template| matches(template, name, path, json_type)),
    };
    Ok(template.map(|template| declaration(template, name, default_type)))
}

fn missing(template: &str, path: &str) -> QueryError {
    QueryError::new(
        ErrorType::DocumentParsing,
        format!(
            "Can't find dynamic template for dynamic template name [{template}] of field [{path}]"
        ),
    )
}

/// Returns what a template declares for a field called `name`.
fn declaration(template: &DynamicTemplate, name: &str, default_type: &str) -> Map<String, Value> {
    let mut declared = Map::new();
    for (key, value) in &template.mapping {
        let key = substitute(key, name, default_type);
        declared.insert(key, fill(value, name, default_type));
    }
    if !declared.contains_key("type") {
        declared.insert("type".to_owned(), Value::from(default_type));
    }
    declared
}

/// Returns whether a template may apply to values of a type.
fn speaks_of(template: &DynamicTemplate, json_type: &str) -> bool {
    let of_type = |wanted: &String| wanted == "*" || wanted == json_type;
    let wanted = &template.match_mapping_type;
    (wanted.is_empty() || wanted.iter().any(of_type))
        && !template.unmatch_mapping_type.iter().any(of_type)
}

/// Returns whether a template says which fields it is for; one that does not is for those that it is chosen for
/// (Elasticsearch, `DynamicTemplate.parse`).
fn has_condition(template: &DynamicTemplate) -> bool {
    let conditions = [
        &template.match_mapping_type,
        &template.unmatch_mapping_type,
        &template.name_match,
        &template.path_match,
    ];
    conditions.iter().any(|list| !list.is_empty())
}

fn matches(template: &DynamicTemplate, name: &str, path: &str, json_type: &str) -> bool {
    let is_like = |pattern: &str, text: &str| {
        let regex = template.is_regex.then(|| regex(pattern)).flatten();
        match regex {
            Some(regex) => regex.is_match(text),
            // Also what an earlier version took for the pattern of a path, though it is no regular expression.
            None => matches_pattern(pattern, text),
        }
    };
    let of_name = |pattern: &String| is_like(pattern, name);
    let of_path = |pattern: &String| is_like(pattern, path);
    let holds =
        |list: &[String], test: &dyn Fn(&String) -> bool| list.is_empty() || list.iter().any(test);
    has_condition(template)
        && speaks_of(template, json_type)
        && holds(&template.name_match, &of_name)
        && !template.name_unmatch.iter().any(of_name)
        && holds(&template.path_match, &of_path)
        && !template.path_unmatch.iter().any(of_path)
}

fn fill(value: &Value, name: &str, default_type: &str) -> Value {
    match value {
        Value::String(text) => Value::from(substitute(text, name, default_type)),
        Value::Array(items) => items
            .iter()
            .map(|item| fill(item, name, default_type))
            .collect(),
        Value::Object(entries) => entries
            .iter()
            .map(|(key, value)| {
                let key = substitute(key, name, default_type);
                (key, fill(value, name, default_type))
            })
            .collect(),
        _ => value.clone(),
    }
}

fn substitute(text: &str, name: &str, default_type: &str) -> String {
    text.replace("{name}", name)
        .replace("{dynamic_type}", default_type)
        .replace("{dynamicType}", default_type)
}
