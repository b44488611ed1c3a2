//! Syslog, new (RFC 5424) and old (RFC 3164, and as rsyslog writes it to files).
//!
//! A header is proved before a line is taken for syslog: by a priority, or by a host and a tag that ends as tags do.
//! Otherwise each `TIME LEVEL text` would be one of a host that is called `ERROR`.

use std::sync::LazyLock;

use chrono::{DateTime, Datelike, NaiveDateTime, Utc};
use regex::{Captures, Regex};
use serde_json::{Map, Value};
use syslog_loose::{ProcId, SyslogFacility, SyslogSeverity, Variant, decompose_pri};

use crate::level::Level;
use crate::record::Record;
use crate::time;

/// The highest priority: 23 facilities, 8 severities.
const MAX_PRIORITY: u8 = 191;

/// `<34>` in front.
static PRIORITY: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^<(\d{1,3})>(\d{1,2} )?").ok());

/// A time, old or new.
static TIME: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let old = r"[A-Z][a-z]{2} [ \d]\d (?:\d{4} )?\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?";
    let new = r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:?\d{2})";
    Regex::new(&format!("^({old}|{new})(?: |$)")).ok()
});

/// A host and a tag, `HOST TAG:` or `HOST TAG[PID]:`.
static HOST_AND_TAG: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"^([A-Za-z0-9][\w.:%-]*) +([A-Za-z_(][^\s\[\]:]*)(?:\[([^\s\[\]]{1,64})\])?:(?: (.*)|$)",
    )
    .ok()
});

/// A tag without a host, as programs write it to the socket of their machine.
static TAG: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^([A-Za-z_(][^\s\[\]:]*)(?:\[([^\s\[\]]{1,64})\])?:(?: (.*)|$)").ok()
});

/// Reads a line that has a proved header.
pub(crate) fn read(line: &str) -> Option<Record> {
    let line = line.trim();
    let Some(found) = PRIORITY.as_ref()?.captures(line) else {
        return read_old(line, None);
    };
    let priority: u8 = found[1].parse().ok().filter(|it| *it <= MAX_PRIORITY)?;
    if found.get(2).is_some()
        && let Some(record) = read_new(line)
    {
        return Some(record);
    }
    read_old(&line[found[1].len() + 2..], Some(priority))
}

/// Reads the new format.
fn read_new(line: &str) -> Option<Record> {
    let parsed = syslog_loose::parse_message_with_year_exact(line, |_| 1970, Variant::RFC5424);
    let message = parsed.ok()?;
    let mut record = Record {
        time: message.timestamp.map(|time| time.to_utc()),
        level: message.severity.map(level_of),
        message: message.msg.to_owned(),
        format: "syslog",
        ..Record::default()
    };
    record.add("host.hostname", message.hostname.unwrap_or_default());
    record.add("process.name", message.appname.unwrap_or_default());
    match message.procid {
        Some(ProcId::PID(pid)) => {
            record.fields.insert("process.pid".to_owned(), pid.into());
        }
        Some(ProcId::Name(name)) => record.add("process.entity_id", name),
        None => {}
    }
    if let Some(facility) = message.facility {
        record.add("log.syslog.facility.name", SyslogFacility::as_str(facility));
    }
    record.add("event.code", message.msgid.unwrap_or_default());
    for element in message.structured_data {
        let known = record
            .labels
            .entry(element.id)
            .or_insert_with(|| Map::new().into());
        let Value::Object(params) = known else {
            continue;
        };
        for (name, value) in element.params() {
            // A name may stand twice.
            match params.get_mut(*name) {
                None => {
                    params.insert((*name).to_owned(), value.into());
                }
                Some(Value::Array(values)) => values.push(value.into()),
                Some(first) => *first = Value::Array(vec![first.take(), value.into()]),
            }
        }
    }
    Some(record)
}

/// Reads the old format, behind its priority if it has one.
fn read_old(line: &str, priority: Option<u8>) -> Option<Record> {
    let mut record = Record {
        format: "syslog",
        ..Record::default()
    };
    let mut rest = line;
    if let Some(found) = TIME.as_ref()?.captures(line) {
        record.time = Some(time_of(&found[1])?);
        rest = &line[found[0].len()..];
    }
    let host_and_tag = HOST_AND_TAG.as_ref()?.captures(rest);
    let host_and_tag = host_and_tag.filter(|found| is_host(&found[1]) && is_tag(&found[2]));
    match (priority, host_and_tag) {
        (None, None) => return None,
        (None, Some(_)) if record.time.is_none() => return None,
        (_, Some(found)) => {
            record.add("host.hostname", &found[1]);
            add_tag(&mut record, &found, 2);
        }
        (Some(_), None) => match TAG.as_ref()?.captures(rest) {
            Some(found) if is_tag(&found[1]) => add_tag(&mut record, &found, 1),
            _ => rest.clone_into(&mut record.message),
        },
    }
    if let Some(priority) = priority {
        let (facility, severity) = decompose_pri(priority);
        record.level = severity.map(level_of);
        if let Some(facility) = facility {
            record.add("log.syslog.facility.name", SyslogFacility::as_str(facility));
        }
    }
    Some(record)
}

/// Adds the tag that is group `at`, the process behind it, and the message.
fn add_tag(record: &mut Record, found: &Captures<'_>, at: usize) {
    let part = |at: usize| found.get(at).map_or("", |part| part.as_str());
    record.add("process.name", part(at));
    match part(at + 1).parse::<u32>() {
        // As it is written: what has another form is a name.
        Ok(pid) if pid.to_string() == part(at + 1) => {
            record.fields.insert("process.pid".to_owned(), pid.into());
        }
        _ => record.add("process.entity_id", part(at + 1)),
    }
    part(at + 2).clone_into(&mut record.message);
}

/// Could a machine be called that? No machine is called `ERROR`, `W` or `42`.
fn is_host(word: &str) -> bool {
    let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
    word.len() > 1 && !is_number && is_tag(word)
}

/// Could a program be called that?
fn is_tag(word: &str) -> bool {
    Level::parse(word).is_none() && !word.eq_ignore_ascii_case("log")
}

fn time_of(text: &str) -> Option<DateTime<Utc>> {
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        return time::parse(text);
    }
    let with_year = NaiveDateTime::parse_from_str(text, "%b %e %Y %H:%M:%S%.f");
    if let Ok(time) = with_year {
        return Some(time.and_utc());
    }
    // The old format has no year: a month that is still to come was last year's.
    let now = Utc::now();
    let of_year = |year: i32| {
        let text = format!("{year} {text}");
        let time = NaiveDateTime::parse_from_str(&text, "%Y %b %e %H:%M:%S%.f");
        time.ok().map(|time| time.and_utc())
    };
    let this = of_year(now.year()).or_else(|| of_year(now.year() - 1))?;
    if this.month() > now.month() && this.year() == now.year() {
        return of_year(now.year() - 1);
    }
    Some(this)
}

fn level_of(severity: SyslogSeverity) -> Level {
    match severity {
        SyslogSeverity::SEV_EMERG | SyslogSeverity::SEV_ALERT | SyslogSeverity::SEV_CRIT => {
            Level::Fatal
        }
        SyslogSeverity::SEV_ERR => Level::Error,
        SyslogSeverity::SEV_WARNING => Level::Warn,
        SyslogSeverity::SEV_NOTICE | SyslogSeverity::SEV_INFO => Level::Info,
        SyslogSeverity::SEV_DEBUG => Level::Debug,
    }
}
