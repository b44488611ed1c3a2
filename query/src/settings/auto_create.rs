//! Which indices a write may make by naming them: `action.auto_create_index`.

use gleaner_model::ClusterSettings;
use gleaner_model::mapping::matches_pattern;
use serde_json::Value;

use crate::error::QueryError;

/// `true`, `false`, or patterns of names after `+` (or nothing) and `-`, of which the first that matches decides; a name
/// that none matches is not made. What a template says of its own (`allow_auto_create`) comes before.
pub const AUTO_CREATE_INDEX: &str = "action.auto_create_index";

/// Returns whether `settings` let a write make the index `name`; `None` where they leave it to the node.
pub fn may_create(settings: ClusterSettings<'_>, name: &str) -> Option<bool> {
    let said = settings.get(AUTO_CREATE_INDEX)?.as_str()?;
    if let Ok(said) = said.parse::<bool>() {
        return Some(said);
    }
    let mut rules = said.split(',').map(rule);
    let decides = rules.find(|(_, pattern)| matches_pattern(pattern, name));
    Some(decides.is_some_and(|(is_allowed, _)| is_allowed))
}

/// Returns whether a part of the setting allows, and the names that it is about.
fn rule(part: &str) -> (bool, &str) {
    let part = part.trim();
    match part.strip_prefix('-') {
        Some(pattern) => (false, pattern),
        None => (true, part.strip_prefix('+').unwrap_or(part)),
    }
}

/// Returns the value as it is kept and shown.
///
/// # Errors
/// `illegal_argument_exception` when it is neither of the two words nor a list of patterns.
pub(super) fn checked(value: &Value) -> Result<String, QueryError> {
    let text = match value {
        Value::Bool(flag) => flag.to_string(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let is_list = matches!(value, Value::Bool(_) | Value::String(_))
        && text.split(',').all(|part| !rule(part).1.is_empty());
    match is_list {
        true => Ok(text),
        false => Err(QueryError::illegal(format!(
            "Can't parse [{text}] for setting [{AUTO_CREATE_INDEX}] must be either [true, false, or a comma separated \
             list of index patterns]"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    fn may(value: &Value, name: &str) -> Option<bool> {
        let mut settings = Map::new();
        let kept = checked(value).expect("taken");
        settings.insert(AUTO_CREATE_INDEX.to_owned(), kept.into());
        may_create(ClusterSettings::new(&settings, &Map::new()), name)
    }

    #[test]
    fn the_first_pattern_that_matches_decides() {
        assert_eq!(may(&json!(true), "a"), Some(true));
        assert_eq!(may(&json!("false"), "a"), Some(false));
        let list = json!("+logs-old-1, -logs-old-*,logs-*,+x");
        for (name, is_made) in [
            ("logs-old-1", true),
            ("logs-old-2", false),
            ("logs-new", true),
            ("x", true),
            ("y", false),
        ] {
            assert_eq!(may(&list, name), Some(is_made), "{name}");
        }
        let none = Map::new();
        assert_eq!(may_create(ClusterSettings::new(&none, &none), "a"), None);
    }

    #[test]
    fn what_is_no_list_is_refused_by_name() {
        for bad in [json!(""), json!("a,,b"), json!("-"), json!(1), json!(["a"])] {
            let fault = checked(&bad).expect_err("refused");
            assert!(fault.reason.contains(AUTO_CREATE_INDEX), "{fault}");
        }
    }
}
