//! One record, in the words of the Elastic Common Schema.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value};

use crate::level::Level;

/// What a line, or the lines of a stack trace, say.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Record {
    /// When, as the line says it.
    pub time: Option<DateTime<Utc>>,
    /// How bad.
    pub level: Option<Level>,
    /// What.
    pub message: String,
    /// Fields of the schema by their dotted names, such as `http.response.status_code`.
    pub fields: Map<String, Value>,
    /// Fields that the schema has no name for.
    pub labels: Map<String, Value>,
    /// The lines of a stack trace.
    pub stack_trace: Option<String>,
    /// How the line was written: `json`, `logfmt`, `access`, `syslog`, `plain`.
    pub format: &'static str,
}

impl Record {
    /// Returns the record as one object; `dataset` names where it comes from. A record without a time has none.
    #[must_use]
    pub fn to_json(&self, dataset: Option<&str>) -> Value {
        let mut object = Map::new();
        if let Some(time) = self.time {
            let text = time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
            object.insert("@timestamp".to_owned(), text.into());
        }
        if let Some(level) = self.level {
            put(&mut object, "log.level", level.as_str().into());
        }
        object.insert("message".to_owned(), self.message.as_str().into());
        for (name, value) in &self.fields {
            put(&mut object, name, value.clone());
        }
        if let Some(trace) = &self.stack_trace {
            put(&mut object, "error.stack_trace", trace.as_str().into());
        }
        if !self.labels.is_empty() {
            object.insert("labels".to_owned(), self.labels.clone().into());
        }
        put(&mut object, "event.kind", "event".into());
        put(&mut object, "event.module", self.format.into());
        if let Some(dataset) = dataset {
            put(&mut object, "event.dataset", dataset.into());
        }
        object.into()
    }

    /// Adds a field of the schema, unless it is empty or a dash, as access logs write what they do not know.
    pub(crate) fn add(&mut self, name: &str, text: &str) {
        if !matches!(text, "" | "-") {
            self.fields.insert(name.to_owned(), text.into());
        }
    }

    /// Adds a field that is a number; one that would be written otherwise stays text.
    pub(crate) fn add_number(&mut self, name: &str, digits: &str) {
        match digits.parse::<u64>() {
            Ok(number) if number.to_string() == digits => {
                self.fields.insert(name.to_owned(), number.into());
            }
            _ => self.add(name, digits),
        }
    }

    /// Adds a field under the schema's name for it where there is one that is free, and as a label otherwise.
    pub(crate) fn add_any(&mut self, name: &str, value: Value) {
        match known_name(name).filter(|known| !self.fields.contains_key(*known)) {
            Some(known) => self.fields.insert(known.to_owned(), value),
            None => self.labels.insert(name.to_owned(), value),
        };
    }
}

/// Puts a value at a dotted name. Where a part of the name already holds something else than an object, the whole name
/// becomes one key: nothing is lost.
fn put(object: &mut Map<String, Value>, name: &str, value: Value) {
    let Some((first, rest)) = name.split_once('.') else {
        object.insert(name.to_owned(), value);
        return;
    };
    let inner = object.entry(first).or_insert_with(|| Map::new().into());
    match inner {
        Value::Object(inner) => put(inner, rest, value),
        _ => {
            object.insert(name.to_owned(), value);
        }
    }
}

/// Names that programs give to what the schema has a name for.
fn known_name(name: &str) -> Option<&'static str> {
    let known = match name {
        "logger" | "logger_name" | "loggerName" | "log.logger" | "target" | "name" => "log.logger",
        "thread" | "thread_name" | "threadName" | "process.thread.name" => "process.thread.name",
        "pid" | "process_id" | "process.pid" => "process.pid",
        "host" | "hostname" | "host.name" => "host.hostname",
        "service" | "service_name" | "service.name" | "app" => "service.name",
        "trace_id" | "traceId" | "trace.id" => "trace.id",
        "span_id" | "spanId" | "span.id" => "span.id",
        "method" | "http_method" => "http.request.method",
        "status" | "status_code" => "http.response.status_code",
        "path" | "uri" | "request_uri" => "url.path",
        "url" => "url.original",
        "user_agent" | "userAgent" => "user_agent.original",
        "remote_addr" | "client_ip" | "clientIp" => "client.address",
        "stack" | "stack_trace" | "stacktrace" | "exception" => "error.stack_trace",
        "error" | "err" | "error.message" => "error.message",
        "caller" | "file" => "log.origin.file.name",
        "line" => "log.origin.file.line",
        _ => return None,
    };
    Some(known)
}
