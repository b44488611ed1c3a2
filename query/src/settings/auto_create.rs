//! Which indices a write may make by naming them: `action.auto_create_index`.

use gleaner_model::ClusterSettings;
use gleaner_model::mapping::matches_pattern;
use serde_json::Value;

use crate::error::{ErrorType, QueryError};

/// `true`, `false`, or patterns of names after `+` (or nothing) and `-`, of which the first that matches decides; a name
/// that none matches is not made. What a template says of its own (`allow_auto_create`) comes before.
pub const AUTO_CREATE_INDEX: &str = "action.auto_create_index";

/// Refuses to let a write make the index `name` where `settings` forbid it; where they say nothing, `by_node` says
/// whether it may.
///
/// # Errors
/// `index_not_found_exception` naming what forbids it.
pub fn check(settings: ClusterSettings<'_>, by_node: bool, name: &str) -> Result<(), QueryError> {
    let said = settings.get(AUTO_CREATE_INDEX).and_then(Value::as_str);
    let said = said.unwrap_or(if by_node { "true" } else { "false" });
    let why = match said.parse::<bool>() {
        Ok(true) => None,
        Ok(false) => Some("is [false]".to_owned()),
        Err(_) => forbidden_by(said, name),
    };
    match why {
        None => Ok(()),
        Some(why) => Err(refused(name, &format!("[{AUTO_CREATE_INDEX}] {why}"))),
    }
}

/// Returns why a list of patterns forbids a name; `None` where it does not.
fn forbidden_by(patterns: &str, name: &str) -> Option<String> {
    let mut rules = patterns.split(',').map(rule);
    match rules.find(|(_, pattern)| matches_pattern(pattern, name)) {
        Some((true, _)) => None,
        Some((false, pattern)) => Some(format!(
            "contains [-{pattern}] which forbids automatic creation of the index"
        )),
        None => Some(format!("([{patterns}]) doesn't match")),
    }
}

/// Returns the error for an index that is not there, and that a write may not make: `why` says what forbids it.
pub fn refused(name: &str, why: &str) -> QueryError {
    let reason = format!("no such index [{name}] and {why}");
    QueryError::new(ErrorType::IndexNotFound, reason)
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

    /// Returns why a write may not make `name`, after what all reasons have in common.
    fn refusal(value: &Value, name: &str) -> Option<String> {
        let (mut settings, none) = (Map::new(), Map::new());
        let kept = checked(value).expect("taken");
        settings.insert(AUTO_CREATE_INDEX.to_owned(), kept.into());
        refusal_by(ClusterSettings::new(&settings, &none), true, name)
    }

    fn refusal_by(settings: ClusterSettings<'_>, by_node: bool, name: &str) -> Option<String> {
        let refused = check(settings, by_node, name).err()?;
        assert_eq!(refused.kind, ErrorType::IndexNotFound);
        let start = format!("no such index [{name}] and [action.auto_create_index] ");
        let why = refused.reason.strip_prefix(&start);
        Some(why.expect("it says where to look").to_owned())
    }

    #[test]
    fn the_first_pattern_that_matches_decides() {
        assert_eq!(refusal(&json!(true), "a"), None);
        assert_eq!(refusal(&json!("false"), "a").as_deref(), Some("is [false]"));
        let list = json!("+logs-old-1, -logs-old-*,logs-*,+x");
        for (name, refused) in [
            ("logs-old-1", None),
            (
                "logs-old-2",
                Some("contains [-logs-old-*] which forbids automatic creation of the index"),
            ),
            ("logs-new", None),
            ("x", None),
            (
                "y",
                Some("([+logs-old-1, -logs-old-*,logs-*,+x]) doesn't match"),
            ),
        ] {
            assert_eq!(refusal(&list, name).as_deref(), refused, "{name}");
        }
        let none = Map::new();
        let unset = ClusterSettings::new(&none, &none);
        assert_eq!(refusal_by(unset, true, "a"), None);
        let refused = refusal_by(unset, false, "a");
        assert_eq!(refused.as_deref(), Some("is [false]"), "as the node says");
    }

    #[test]
    fn what_is_no_list_is_refused_by_name() {
        for bad in [json!(""), json!("a,,b"), json!("-"), json!(1), json!(["a"])] {
            let fault = checked(&bad).expect_err("refused");
            assert!(fault.reason.contains(AUTO_CREATE_INDEX), "{fault}");
        }
    }
}
