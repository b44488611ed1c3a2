//! Access logs of web servers: the common and the combined format.

use std::sync::LazyLock;

use regex::Regex;

use crate::level::Level;
use crate::record::Record;
use crate::time;

/// `host ident user [time] "request" status bytes`, and perhaps `"referrer" "agent"` and more. A virtual host in front
/// has a port; an address of version 6 has it behind brackets, so that one without is the client's.
static LINE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let quoted = r#""((?:[^"\\]|\\.)*)""#;
    let host = r"(?:[^\s:\[\]]+|\[[0-9A-Fa-f:.%\w]+\]):\d+";
    let pattern = format!(
        r#"^(?:({host}) )?(\S+) (\S+) (.+?) \[([^\]]+)\] {quoted} (\d{{3}}) (\d+|-)(?: {quoted} {quoted})?(?: (.*))?$"#
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
    if part(3) != "-" {
        record.labels.insert("ident".to_owned(), part(3).into());
    }
    record.add("user.name", part(4));
    if let Some((method, target, version)) = request_of(part(6)) {
        record.add("http.request.method", method);
        record.add("url.original", target);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        record.add("url.path", path);
        record.add("url.query", query);
        record.add("http.version", version);
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

/// Reads method, target and version of a request. Whatever else clients send, such as the greeting of TLS, has none.
fn request_of(request: &str) -> Option<(&str, &str, &str)> {
    let (method, rest) = request.split_once(' ')?;
    let is_method = (1..=32).contains(&method.len())
        && method.starts_with(|first: char| first.is_ascii_uppercase())
        && method
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_'));
    if !is_method {
        return None;
    }
    let is_version = |version: &&str| {
        let digits = version.strip_prefix("HTTP/");
        let is_digit = |byte: u8| byte.is_ascii_digit() || byte == b'.';
        digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(is_digit))
    };
    match rest.rsplit_once(' ') {
        Some((target, version)) => {
            let version = Some(version).filter(is_version)?;
            Some((method, target, version.trim_start_matches("HTTP/")))
        }
        // HTTP/0.9 says no version.
        None => (method == "GET" && rest.starts_with('/')).then_some((method, rest, "")),
    }
}
