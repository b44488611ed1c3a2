//! Access logs of web servers: the common and the combined format.

use std::sync::LazyLock;

use regex::Regex;

use crate::level::Level;
use crate::record::Record;
use crate::time;

/// `host ident user [time] "request" status bytes`, and perhaps `"referrer" "agent"` and more.
static LINE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let quoted = r#""((?:[^"\\]|\\.)*)""#;
    let pattern = format!(
        r#"^(?:(\S+:\d+) )?(\S+) (\S+) (.+?) \[([^\]]+)\] {quoted} (\d{{3}}) (\d+|-)(?: {quoted} {quoted})?(?: (.*))?$"#
    );
    Regex::new(&pattern).ok()
});

/// Reads a line of either format; a virtual host may stand in front.
pub(crate) fn read(line: &str) -> Option<Record> {
    let parts = LINE.as_ref()?.captures(line.trim())?;
    let part = |at: usize| parts.get(at).map_or("", |part| part.as_str());
    let time = time::parse_access(part(5))?;
    let status: u16 = part(7).parse().ok()?;
    let mut record = Record {
        time: Some(time),
        level: Some(match status {
            500.. => Level::Error,
            400.. => Level::Warn,
            _ => Level::Info,
        }),
        message: part(6).to_owned(),
        format: "access",
        ..Record::default()
    };
    record.add("url.domain", part(1));
    record.add("source.address", part(2));
    record.add("user.name", part(4));
    let mut request = part(6).splitn(3, ' ');
    if let (Some(method), Some(target), version) = (request.next(), request.next(), request.next())
    {
        record.add("http.request.method", method);
        record.add("url.original", target);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        record.add("url.path", path);
        record.add("url.query", query);
        let version = version.unwrap_or_default();
        record.add(
            "http.version",
            version.strip_prefix("HTTP/").unwrap_or(version),
        );
    }
    record
        .fields
        .insert("http.response.status_code".to_owned(), status.into());
    if let Ok(bytes) = part(8).parse::<u64>() {
        record
            .fields
            .insert("http.response.body.bytes".to_owned(), bytes.into());
    }
    record.add("http.request.referrer", part(9));
    record.add("user_agent.original", part(10));
    let rest = part(11);
    if !rest.is_empty() {
        record.labels.insert("rest".to_owned(), rest.into());
    }
    Some(record)
}
