//! Lines of JSON, as structured loggers write them.

use serde_json::{Map, Value};

use crate::level::Level;
use crate::record::Record;
use crate::time;

const TIMES: [&str; 6] = ["@timestamp", "timestamp", "time", "ts", "t", "datetime"];
const LEVELS: [&str; 6] = [
    "level",
    "log.level",
    "severity",
    "lvl",
    "levelname",
    "loglevel",
];
const MESSAGES: [&str; 4] = ["message", "msg", "event", "log"];

/// Reads a line that is an object.
pub(crate) fn read(line: &str) -> Option<Record> {
    let line = line.trim();
    if !line.starts_with('{') {
        return None;
    }
    let object: Map<String, Value> = serde_json::from_str(line).ok()?;
    Some(of_pairs(object, "json"))
}

/// Makes a record of named values.
pub(crate) fn of_pairs(mut pairs: Map<String, Value>, format: &'static str) -> Record {
    let mut record = Record {
        format,
        ..Record::default()
    };
    for name in TIMES {
        let found = pairs.get(name).and_then(|value| match value {
            Value::String(text) => time::parse(text),
            Value::Number(number) => number.as_f64().and_then(time::from_number),
            _ => None,
        });
        if found.is_some() {
            record.time = found;
            pairs.shift_remove(name);
            break;
        }
    }
    // `{"log": {"level": …}}` is how the schema itself writes it.
    let nested = pairs
        .get("log")
        .and_then(|log| log.get("level")?.as_str())
        .and_then(Level::parse);
    record.level = nested;
    if nested.is_some()
        && let Some(Value::Object(log)) = pairs.get_mut("log")
    {
        log.shift_remove("level");
        if log.is_empty() {
            pairs.shift_remove("log");
        }
    }
    for name in LEVELS {
        let found = pairs.get(name).and_then(|value| match value {
            Value::String(text) => Level::parse(text),
            Value::Number(number) => Level::parse(&number.to_string()),
            _ => None,
        });
        if found.is_some() {
            record.level = found;
            pairs.shift_remove(name);
            break;
        }
    }
    for name in MESSAGES {
        if let Some(Value::String(_)) = pairs.get(name) {
            if let Some(Value::String(message)) = pairs.shift_remove(name) {
                record.message = message;
            }
            break;
        }
    }
    for (name, value) in pairs {
        match value {
            // Objects of the schema stay as they are.
            Value::Object(inner) if SCHEMA.contains(&name.as_str()) => {
                for (part, value) in inner {
                    record.fields.insert(format!("{name}.{part}"), value);
                }
            }
            value => record.add_any(&name, value),
        }
    }
    record
}

/// Objects that the schema has at its top.
const SCHEMA: [&str; 16] = [
    "agent",
    "client",
    "container",
    "destination",
    "error",
    "event",
    "host",
    "http",
    "log",
    "process",
    "server",
    "service",
    "source",
    "url",
    "user",
    "user_agent",
];
