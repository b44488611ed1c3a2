//! The commands of `_cluster/reroute`.

use gleaner_root::losses::{Forced, ForcedCopy, Forcing};
use serde_json::{Map, Value, json};

use super::held::copies_shown;
use crate::error::ApiError;

/// Commands that there are in the dialect, and not here.
const UNSUPPORTED: [&str; 3] = ["move", "cancel", "allocate_replica"];

/// Reads the commands of a body.
pub(super) fn of(body: Option<&Value>) -> Result<Vec<Forcing>, ApiError> {
    let Some(body) = body else {
        return Ok(Vec::new());
    };
    let body = object(body, "the body")?;
    if let Some(other) = body.keys().find(|key| *key != "commands") {
        let reason = format!("[cluster_reroute] unknown field [{other}]");
        return Err(ApiError::parse(reason));
    }
    let Some(commands) = body.get("commands") else {
        return Ok(Vec::new());
    };
    let commands = commands.as_array();
    let commands = commands.ok_or_else(|| ApiError::parse("[commands] must be an array"))?;
    commands.iter().map(command).collect()
}

fn object<'a>(value: &'a Value, what: &str) -> Result<&'a Map<String, Value>, ApiError> {
    let reason = || ApiError::parse(format!("{what} must be an object"));
    value.as_object().ok_or_else(reason)
}

fn command(command: &Value) -> Result<Forcing, ApiError> {
    let command = object(command, "a command")?;
    let mut named = command.iter();
    let (Some((name, fields)), None) = (named.next(), named.next()) else {
        return Err(ApiError::parse("a command must be an object with one name"));
    };
    let copies = [ForcedCopy::Stale, ForcedCopy::Empty];
    match copies.into_iter().find(|copy| copy.command() == name) {
        Some(copy) => forcing(copy, object(fields, &format!("[{name}]"))?),
        None if UNSUPPORTED.contains(&name.as_str()) => Err(ApiError::illegal(format!(
            "[{name}] is not supported yet: copies stay where they were placed. [allocate_stale_primary] and \
             [allocate_empty_primary] are"
        ))),
        None => Err(ApiError::parse(format!("unknown command [{name}]"))),
    }
}

fn forcing(copy: ForcedCopy, fields: &Map<String, Value>) -> Result<Forcing, ApiError> {
    let name = copy.command();
    let known = ["index", "shard", "node", "accept_data_loss"];
    if let Some(other) = fields.keys().find(|key| !known.contains(&key.as_str())) {
        let reason = format!("[{name}] unknown field [{other}]");
        return Err(ApiError::parse(reason));
    }
    let text = |field: &str| {
        let given = fields.get(field).and_then(Value::as_str);
        given
            .map(str::to_owned)
            .ok_or_else(|| missing(name, field, "a text"))
    };
    let number = |value: &Value| match value {
        Value::String(text) => text.parse().ok(),
        value => u32::try_from(value.as_u64()?).ok(),
    };
    let accepts = match fields.get("accept_data_loss") {
        None => Some(false),
        Some(Value::String(text)) => text.parse().ok(),
        Some(value) => value.as_bool(),
    };
    Ok(Forcing {
        copy,
        index: text("index")?,
        shard: fields
            .get("shard")
            .and_then(number)
            .ok_or_else(|| missing(name, "shard", "a number"))?,
        node: text("node")?,
        accepts_loss: accepts.ok_or_else(|| missing(name, "accept_data_loss", "true or false"))?,
    })
}

fn missing(command: &str, field: &str, what: &str) -> ApiError {
    ApiError::parse(format!("[{command}] needs [{field}], {what}"))
}

/// Shows what a command does, or would do.
pub(super) fn explained(forced: &Forced) -> Value {
    let asked = &forced.asked;
    json!({
        "command": asked.copy.command(),
        "parameters": {
            "index": asked.index,
            "shard": asked.shard,
            "node": asked.node,
            "accept_data_loss": asked.accepts_loss,
        },
        "decisions": [{
            "decider": format!("{} (lost)", asked.copy.command()),
            "decision": "YES",
            "explanation": format!("lost: {}", forced.loss),
        }],
        "copies": copies_shown(&forced.copies),
    })
}
