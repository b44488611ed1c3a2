//! Settings of the cluster that requests change (`PUT /_cluster/settings`), and what they are read as.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::error::QueryError;
use crate::units::parse_time;

/// Largest number of buckets of aggregations in one answer; a whole number, 0 or more.
pub const MAX_BUCKETS: &str = "search.max_buckets";
/// What holds where [`MAX_BUCKETS`] is not set.
pub const DEFAULT_MAX_BUCKETS: usize = 65_536;
/// Longest `keep_alive` of scrolls and points in time.
pub const MAX_KEEP_ALIVE: &str = "search.max_keep_alive";
/// Deadline of searches that name none; `-1` is what the node's own settings say.
pub const DEFAULT_SEARCH_TIMEOUT: &str = "search.default_search_timeout";

/// Returns the value of a setting as it is kept and shown: as text.
///
/// # Errors
/// `illegal_argument_exception` where nothing reads such a setting, or not such a value.
pub fn checked(key: &str, value: &Value) -> Result<Value, QueryError> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        other => return Err(refused(key, &other.to_string())),
    };
    match key {
        MAX_BUCKETS => {
            let most = text.parse::<u32>();
            most.map_err(|_| refused(key, &text))?;
        }
        MAX_KEEP_ALIVE => {
            parse_time(&text, key)?.ok_or_else(|| refused(key, &text))?;
        }
        DEFAULT_SEARCH_TIMEOUT => {
            parse_time(&text, key)?;
        }
        // What nothing would read must not be acknowledged.
        _ => {
            return Err(QueryError::illegal(format!(
                "persistent setting [{key}], not recognized"
            )));
        }
    }
    Ok(Value::String(text))
}

/// Returns the time that `settings` have under `key`, `None` where they leave it to the node.
pub fn time(settings: &Map<String, Value>, key: &str) -> Option<Duration> {
    parse_time(settings.get(key)?.as_str()?, key).ok().flatten()
}

/// Returns the number that `settings` have under `key`, `None` where they leave it to the node.
pub fn number(settings: &Map<String, Value>, key: &str) -> Option<usize> {
    settings.get(key)?.as_str()?.parse().ok()
}

fn refused(key: &str, text: &str) -> QueryError {
    QueryError::illegal(format!(
        "Failed to parse value [{text}] for setting [{key}]"
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_taken_can_be_read_and_nothing_else_is_taken() {
        let mut settings = Map::new();
        for (key, value) in [
            (MAX_BUCKETS, json!(12)),
            (MAX_KEEP_ALIVE, json!("2m")),
            (DEFAULT_SEARCH_TIMEOUT, json!("-1")),
        ] {
            let kept = checked(key, &value).expect("taken");
            settings.insert(key.to_owned(), kept);
        }
        assert_eq!(number(&settings, MAX_BUCKETS), Some(12));
        assert_eq!(
            time(&settings, MAX_KEEP_ALIVE),
            Some(Duration::from_secs(120))
        );
        assert_eq!(time(&settings, DEFAULT_SEARCH_TIMEOUT), None);
        for (key, value) in [
            (MAX_BUCKETS, json!(-1)),
            (MAX_BUCKETS, json!("many")),
            (MAX_BUCKETS, json!(true)),
            (MAX_KEEP_ALIVE, json!("-1")),
            (MAX_KEEP_ALIVE, json!("2")),
            (DEFAULT_SEARCH_TIMEOUT, json!("soon")),
            ("search.unheard_of", json!(1)),
        ] {
            let fault = checked(key, &value).expect_err("refused");
            assert!(fault.reason.contains(key), "{fault}");
        }
    }
}
