//! Aliases: their bodies, and the actions of `_aliases` applied to a cluster state.

mod agreement;
mod apply;
mod bounds;
mod kinds;
mod targets;

use std::collections::BTreeMap;

use gleaner_model::{Alias, ClusterState, IndexName, NameError};
use serde_json::{Map, Value};

pub use apply::{AliasChanges, apply_alias_actions, check_free};
pub use targets::check_of_stream;

use agreement::check_agreement;
use bounds::{check_number_of_actions, check_numbers};
use kinds::check_kinds;

use crate::dsl::{Query, parse_query};
use crate::error::{ErrorType, QueryError};
use crate::json::scalar_text;
use crate::limits::Limits;
use crate::mapping::Declaration;

/// One action of `_aliases`.
#[derive(Debug, Clone, PartialEq)]
pub enum AliasAction {
    /// Gives each alias to each index.
    Add {
        /// Index expressions.
        indices: Vec<String>,
        /// Names.
        aliases: Vec<IndexName>,
        /// What the alias is.
        alias: Box<Alias>,
    },
    /// Takes aliases from indices.
    Remove {
        /// Index expressions.
        indices: Vec<String>,
        /// Names or patterns.
        aliases: Vec<String>,
        /// Whether each must be borne by an index; `None`: one of them, unless another action of the
        /// request does something.
        must_exist: Option<bool>,
    },
    /// Deletes indices in the same step.
    RemoveIndex {
        /// Index expressions.
        indices: Vec<String>,
        /// Whether an index that is missing is an error (default true).
        must_exist: bool,
    },
}

/// Refuses a change that leaves more aliases than there may be, or one that points to data streams and to other indices,
/// has two write indices, or is hidden on some of its indices alone.
///
/// # Errors
/// `illegal_argument_exception` naming the limit, or the alias.
pub fn check_change(before: &ClusterState, next: &ClusterState) -> Result<(), QueryError> {
    check_numbers(before, next)?;
    check_kinds(before, next)?;
    check_agreement(before, next)
}

/// Checks the name of an alias.
///
/// # Errors
/// `invalid_alias_name_exception` naming the rule that is broken.
pub fn parse_alias_name(name: &str) -> Result<IndexName, QueryError> {
    let invalid = |rule: &str| {
        let reason = format!("Invalid alias name [{name}]: {rule}");
        QueryError::new(ErrorType::InvalidAliasName, reason)
    };
    IndexName::parse_alias(name).map_err(|fault| match fault {
        NameError::Index { rule, .. } => invalid(rule),
        other => invalid(&other.to_string()),
    })
}

/// Reads `{"name": {…}, …}`.
///
/// # Errors
/// As [`parse_alias_name`] and [`parse_alias`].
pub fn parse_aliases(
    value: &Value,
    limits: &Limits,
) -> Result<BTreeMap<IndexName, Alias>, QueryError> {
    read_aliases(value, limits, Declaration::New)
}

/// As [`parse_aliases`], of templates that were taken before, perhaps by an older version: a filter may name a document,
/// and writes may have several routings, so that an index can still be made. What goes through such an alias is refused.
///
/// # Errors
/// As [`parse_aliases`], but for filters that name documents and for several routings.
pub fn parse_kept_aliases(
    value: &Value,
    limits: &Limits,
) -> Result<BTreeMap<IndexName, Alias>, QueryError> {
    read_aliases(value, limits, Declaration::Kept)
}

fn read_aliases(
    value: &Value,
    limits: &Limits,
    declaration: Declaration,
) -> Result<BTreeMap<IndexName, Alias>, QueryError> {
    let Some(entries) = value.as_object() else {
        return Err(QueryError::parsing("key [aliases] must be an object"));
    };
    let read = |(name, body): (&String, &Value)| {
        let name = parse_alias_name(name)?;
        let alias = read_alias(&name, body, limits, declaration)?;
        Ok((name, alias))
    };
    entries.iter().map(read).collect()
}

/// Reads the body of the alias `name`; null is an alias without conditions.
///
/// # Errors
/// `parsing_exception` for an unknown key, `illegal_argument_exception` for a filter that names a document and for
/// several routings of writes, or what the filter's query refuses.
pub fn parse_alias(name: &IndexName, value: &Value, limits: &Limits) -> Result<Alias, QueryError> {
    read_alias(name, value, limits, Declaration::New)
}

fn read_alias(
    name: &IndexName,
    value: &Value,
    limits: &Limits,
    declaration: Declaration,
) -> Result<Alias, QueryError> {
    let mut alias = Alias::default();
    match value {
        Value::Null => {}
        Value::Object(entries) => {
            for (key, value) in entries {
                if !read_part(&mut alias, key, value, limits, declaration)? {
                    let reason = format!("Unknown field [{key}] in alias");
                    return Err(QueryError::parsing(reason));
                }
            }
        }
        _ => return Err(QueryError::parsing("an alias must be an object")),
    }
    settle_routing(&mut alias, value);
    if declaration == Declaration::New {
        check_routing(name, &alias)?;
    }
    Ok(alias)
}

/// Refuses a filter that names a document: none is read when a search goes through an alias.
fn check_filter(filter: &Query) -> Result<(), QueryError> {
    match filter.named_document() {
        None => Ok(()),
        Some(name) => Err(QueryError::illegal(format!(
            "{name} cannot be in the filter of an alias"
        ))),
    }
}

/// Reads one key of an alias; `false` where there is no such key.
fn read_part(
    alias: &mut Alias,
    key: &str,
    value: &Value,
    limits: &Limits,
    declaration: Declaration,
) -> Result<bool, QueryError> {
    match key {
        "filter" if !value.is_null() => {
            let filter = parse_query(value, limits)?;
            if declaration == Declaration::New {
                check_filter(&filter)?;
            }
            alias.filter = Some(value.clone());
        }
        "filter" | "routing" => {}
        "index_routing" | "indexRouting" | "index-routing" => {
            alias.index_routing = given(text(key, value)?);
        }
        "search_routing" | "searchRouting" | "search-routing" => {
            alias.search_routing = given(text(key, value)?);
        }
        "is_write_index" => alias.is_write_index = flag(key, value)?,
        "is_hidden" => alias.is_hidden = flag(key, value)?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// Returns a routing value; an empty one is none.
fn given(routing: Option<String>) -> Option<String> {
    routing.filter(|routing| !routing.is_empty())
}

/// `routing` stands for whichever of the two is not given.
fn settle_routing(alias: &mut Alias, value: &Value) {
    let Some(routing) = given(value.get("routing").and_then(scalar_text)) else {
        return;
    };
    alias.index_routing.get_or_insert_with(|| routing.clone());
    alias.search_routing.get_or_insert(routing);
}

/// Refuses several routings of writes: a document has one.
fn check_routing(name: &IndexName, alias: &Alias) -> Result<(), QueryError> {
    match &alias.index_routing {
        Some(routing) if routing.contains(',') => Err(QueryError::illegal(format!(
            "alias [{name}] has several index routing values associated with it"
        ))),
        _ => Ok(()),
    }
}

/// Reads the body of `_aliases`.
///
/// # Errors
/// `parsing_exception` for unknown actions and keys, `illegal_argument_exception` where there are no actions, and
/// whatever aliases refuse.
pub fn parse_alias_actions(body: &Value, limits: &Limits) -> Result<Vec<AliasAction>, QueryError> {
    let no_list = || QueryError::parsing("[aliases] needs a list of [actions]");
    let entries = body.as_object().ok_or_else(no_list)?;
    if let Some(key) = entries.keys().find(|key| *key != "actions") {
        let reason = format!("[aliases] unknown field [{key}]");
        return Err(QueryError::new(ErrorType::XContentParse, reason));
    }
    let actions: &[Value] = match entries.get("actions") {
        None => &[],
        Some(actions) => actions.as_array().ok_or_else(no_list)?,
    };
    if actions.is_empty() {
        return Err(QueryError::illegal("No action specified"));
    }
    check_number_of_actions(actions.len())?;
    actions
        .iter()
        .map(|action| parse_action(action, limits))
        .collect()
}

fn parse_action(action: &Value, limits: &Limits) -> Result<AliasAction, QueryError> {
    let entry = action.as_object().filter(|named| named.len() == 1);
    let entry = entry.and_then(|named| named.iter().next());
    let Some((kind, body)) = entry.and_then(|(kind, body)| Some((kind, body.as_object()?))) else {
        return Err(QueryError::parsing(
            "an alias action must be an object with one of [add], [remove], [remove_index]",
        ));
    };
    let is_add = match kind.as_str() {
        "add" => true,
        "remove" | "remove_index" => false,
        _ => {
            let reason = format!("[alias_action] unknown field [{kind}]");
            return Err(QueryError::new(ErrorType::XContentParse, reason));
        }
    };
    let mut alias = Alias::default();
    let declaration = Declaration::New;
    for (key, value) in body {
        let is_target = matches!(key.as_str(), "index" | "indices" | "alias" | "aliases");
        let is_known = match key.as_str() {
            "must_exist" => !is_add,
            _ => is_target || is_add && read_part(&mut alias, key, value, limits, declaration)?,
        };
        if is_known {
            continue;
        }
        let reason = format!("[{kind}] unknown field [{key}]");
        return Err(QueryError::new(ErrorType::XContentParse, reason));
    }
    let indices = names(kind, body, "index", "indices")?;
    let must_exist = match body.get("must_exist") {
        Some(value) => flag("must_exist", value)?,
        None => None,
    };
    if kind == "remove_index" {
        let must_exist = must_exist.unwrap_or(true);
        return Ok(AliasAction::RemoveIndex {
            indices,
            must_exist,
        });
    }
    let aliases = names(kind, body, "alias", "aliases")?;
    if !is_add {
        return Ok(AliasAction::Remove {
            indices,
            aliases,
            must_exist,
        });
    }
    settle_routing(&mut alias, &Value::Object(body.clone()));
    let mut names = Vec::with_capacity(aliases.len());
    for name in &aliases {
        let name = parse_alias_name(name)?;
        check_routing(&name, &alias)?;
        names.push(name);
    }
    Ok(AliasAction::Add {
        indices,
        aliases: names,
        alias: Box::new(alias),
    })
}

/// Reads the names under a singular or plural key.
fn names(
    kind: &str,
    body: &Map<String, Value>,
    one: &str,
    several: &str,
) -> Result<Vec<String>, QueryError> {
    let read = |value: &Value| value.as_str().map(str::to_owned);
    let found: Option<Vec<String>> = match (body.get(one), body.get(several)) {
        (Some(value), None) => read(value).map(|name| vec![name]),
        (None, Some(Value::Array(items))) => items.iter().map(read).collect(),
        (None, Some(value)) => read(value).map(|name| vec![name]),
        _ => None,
    };
    let found = found.filter(|names| !names.is_empty()).ok_or_else(|| {
        let reason = format!("One of [{one}] or [{several}] is required, in action [{kind}]");
        QueryError::illegal(reason)
    })?;
    match found.iter().any(String::is_empty) {
        true => Err(QueryError::illegal(format!(
            "[{one}] can't be empty string"
        ))),
        false => Ok(found),
    }
}

fn text(key: &str, value: &Value) -> Result<Option<String>, QueryError> {
    match (value, scalar_text(value)) {
        (Value::Null, _) => Ok(None),
        (_, Some(text)) => Ok(Some(text)),
        _ => Err(QueryError::parsing(format!("[{key}] must be a string"))),
    }
}

fn flag(key: &str, value: &Value) -> Result<Option<bool>, QueryError> {
    match value {
        Value::Null => Ok(None),
        Value::Bool(flag) => Ok(Some(*flag)),
        Value::String(text) if text == "true" => Ok(Some(true)),
        Value::String(text) if text == "false" => Ok(Some(false)),
        _ => Err(QueryError::parsing(format!("[{key}] must be a boolean"))),
    }
}

#[cfg(test)]
mod tests;
