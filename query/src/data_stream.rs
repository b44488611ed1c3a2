//! Actions on data streams: the body of `_data_stream/_modify`.

use serde_json::Value;

use crate::error::{ErrorType, QueryError};
use crate::json::ObjectReader;

/// Actions of one request at most: each is held against all data streams.
const MAX_ACTIONS: usize = 1_000;

/// What becomes of an index of a data stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamChange {
    /// An index becomes one of the data stream.
    Add,
    /// An index of the data stream becomes one of none.
    Remove,
}

/// One action of `_data_stream/_modify`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamAction {
    /// What it does.
    pub change: StreamChange,
    /// The data stream.
    pub stream: String,
    /// The index.
    pub index: String,
}

/// Reads the body of `_data_stream/_modify`.
///
/// # Errors
/// A body without actions, keys that are unknown or missing: by name.
pub fn parse_stream_actions(body: &Value) -> Result<Vec<StreamAction>, QueryError> {
    let mut reader = ObjectReader::part("data_stream_actions", body)?;
    let actions = reader.take("actions");
    reader.finish()?;
    let Some(actions) = actions.and_then(Value::as_array) else {
        return Err(QueryError::illegal("Required [actions]"));
    };
    if actions.is_empty() {
        let reason =
            "Validation Failed: 1: must specify at least one data stream modification action;";
        return Err(QueryError::new(ErrorType::Validation, reason));
    }
    if actions.len() > MAX_ACTIONS {
        return Err(QueryError::illegal(format!(
            "[actions] has [{}] entries, more than [{MAX_ACTIONS}] in a request",
            actions.len()
        )));
    }
    actions.iter().map(read_action).collect()
}

fn read_action(action: &Value) -> Result<StreamAction, QueryError> {
    let entry = action.as_object().filter(|named| named.len() == 1);
    let Some((kind, body)) = entry.and_then(|named| named.iter().next()) else {
        return Err(QueryError::parsing(
            "an action on a data stream must be an object with one of [add_backing_index], [remove_backing_index]",
        ));
    };
    let change = match kind.as_str() {
        "add_backing_index" => StreamChange::Add,
        "remove_backing_index" => StreamChange::Remove,
        _ => {
            let reason = format!("[data_stream_actions] unknown field [{kind}]");
            return Err(QueryError::new(ErrorType::XContentParse, reason));
        }
    };
    let mut reader = ObjectReader::part(kind, body)?;
    let (stream, index) = (reader.text("data_stream")?, reader.text("index")?);
    reader.finish()?;
    let given = |key: &str, text: Option<String>| {
        let text = text.filter(|text| !text.is_empty());
        text.ok_or_else(|| QueryError::illegal(format!("Required [{key}] in action [{kind}]")))
    };
    Ok(StreamAction {
        change,
        stream: given("data_stream", stream)?,
        index: given("index", index)?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn actions_are_read_in_their_order() {
        let body = json!({"actions": [
            {"remove_backing_index": {"data_stream": "logs", "index": "one"}},
            {"add_backing_index": {"data_stream": "logs", "index": "two"}},
        ]});
        let read = parse_stream_actions(&body).expect("read");
        let action = |change, index: &str| StreamAction {
            change,
            stream: "logs".to_owned(),
            index: index.to_owned(),
        };
        let expected = [
            action(StreamChange::Remove, "one"),
            action(StreamChange::Add, "two"),
        ];
        assert_eq!(read, expected);
    }

    #[test]
    fn what_is_missing_or_unknown_is_named() {
        let whole = json!({"data_stream": "a", "index": "b"});
        for (body, named) in [
            (json!({}), "[actions]"),
            (json!({"actions": []}), "at least one"),
            (json!({"actions": [{}]}), "[add_backing_index]"),
            (json!({"actions": [{"rename": whole}]}), "[rename]"),
            (
                json!({"actions": [{"add_backing_index": {"index": "b"}}]}),
                "[data_stream]",
            ),
            (
                json!({"actions": [{"add_backing_index": {"data_stream": "a"}}]}),
                "[index]",
            ),
            (
                json!({"actions": [{"add_backing_index": {"data_stream": "a", "index": "b", "c": 1}}]}),
                "[c]",
            ),
            (json!({"actions": [], "other": 1}), "[other]"),
        ] {
            let refused = parse_stream_actions(&body).expect_err("refused");
            assert!(refused.reason.contains(named), "{body}: {refused}");
        }
    }
}
