//! Lines of programs that have a format of their own: Redis, etcd before its JSON, Ruby's and Java's own loggers.

use std::sync::LazyLock;

use chrono::{DateTime, NaiveDateTime, Utc};
use regex::Regex;

use crate::level::Level;
use crate::record::Record;
use crate::time;

/// `1:M 29 Nov 2026 21:55:57.549 * Ready`: process, role, time, level.
static REDIS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"^(\d+):([XCSM]) (\d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2}\.\d{3}) ([.\-*#]) (.*)$",
    )
    .ok()
});

/// `1:signal-handler (1795989360) Received SIGTERM`: what Redis writes while it must not format a date.
static REDIS_SIGNAL: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^(\d+):(signal-handler) \((\d{9,10})\) (.*)$").ok());

/// `2026-11-29 21:56:00.546805 I | etcdmain: etcd Version: 3.4.23`.
static ETCD: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"^(\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}\.\d{1,9}) (([CEWNIDT]) \| (?:([\w./-]+): )?.*)$",
    )
    .ok()
});

/// `E, [2026-11-29T21:56:04.750760 #30969] ERROR -- app: outer`, of Ruby's `Logger`.
static RUBY: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"^[DIWEFA], \[(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{1,9}) #(\d+)\] +([A-Z]+) -- (.*?): ?(.*)$",
    )
    .ok()
});

/// `Nov 29, 2026 9:55:56 PM com.example.A main`: the first of the two lines of `java.util.logging`. Newer ones have a
/// narrow space.
static JAVA: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"^([A-Z][a-z]{2} \d{1,2}, \d{4},? \d{1,2}:\d{2}:\d{2}[ \x{202f}][AP]M) ([\w.$]+)(?: (\S+))?$",
    )
    .ok()
});

/// The second one.
static JAVA_LEVEL: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^(SEVERE|WARNING|INFO|CONFIG|FINE|FINER|FINEST): ").ok());

/// Is it the first of the two lines of a record of `java.util.logging`?
pub(crate) fn begins_java(line: &str) -> bool {
    JAVA.as_ref().is_some_and(|regex| regex.is_match(line))
}

/// Is it the second one?
pub(crate) fn goes_on_java(line: &str) -> bool {
    JAVA_LEVEL
        .as_ref()
        .is_some_and(|regex| regex.is_match(line))
}

/// Reads a line of one of these programs.
pub(crate) fn read(line: &str) -> Option<Record> {
    redis(line).or_else(|| etcd(line)).or_else(|| ruby(line))
}

/// Reads the two lines of a record of `java.util.logging`.
pub(crate) fn read_java(first: &str, second: &str) -> Option<Record> {
    let found = JAVA.as_ref()?.captures(first)?;
    let level = JAVA_LEVEL.as_ref()?.captures(second)?;
    let text = found[1].replace('\u{202f}', " ").replacen(", ", " ", 1);
    let text = text.replace(',', "");
    let time = NaiveDateTime::parse_from_str(&text, "%b %e %Y %I:%M:%S %p").ok()?;
    let mut record = Record {
        time: Some(time.and_utc()),
        level: Level::parse(&level[1]),
        message: second.to_owned(),
        format: "plain",
        ..Record::default()
    };
    record.add("log.logger", &found[2]);
    record.add(
        "log.origin.function",
        found.get(3).map_or("", |part| part.as_str()),
    );
    Some(record)
}

fn redis(line: &str) -> Option<Record> {
    if let Some(found) = REDIS_SIGNAL.as_ref()?.captures(line) {
        let seconds: i64 = found[3].parse().ok()?;
        let time = DateTime::from_timestamp(seconds, 0);
        return Some(of_redis(&found[1], &found[2], time, Level::Warn, &found[4]));
    }
    let found = REDIS.as_ref()?.captures(line)?;
    let time = NaiveDateTime::parse_from_str(&found[3], "%d %b %Y %H:%M:%S%.f").ok()?;
    let level = match &found[4] {
        "#" => Level::Warn,
        "*" => Level::Info,
        _ => Level::Debug,
    };
    let time = Some(time.and_utc());
    Some(of_redis(&found[1], &found[2], time, level, &found[5]))
}

fn of_redis(
    process: &str,
    role: &str,
    time: Option<DateTime<Utc>>,
    level: Level,
    message: &str,
) -> Record {
    let mut record = Record {
        time,
        level: Some(level),
        message: message.to_owned(),
        format: "redis",
        ..Record::default()
    };
    record.add_number("process.pid", process);
    record.labels.insert("role".to_owned(), role.into());
    record
}

fn etcd(line: &str) -> Option<Record> {
    let found = ETCD.as_ref()?.captures(line)?;
    let level = match &found[3] {
        "C" => Level::Fatal,
        "E" => Level::Error,
        "W" => Level::Warn,
        "D" => Level::Debug,
        "T" => Level::Trace,
        _ => Level::Info,
    };
    let mut record = Record {
        time: Some(time::parse(&found[1])?),
        level: Some(level),
        message: found[2].to_owned(),
        format: "plain",
        ..Record::default()
    };
    record.add("log.logger", found.get(4).map_or("", |part| part.as_str()));
    Some(record)
}

fn ruby(line: &str) -> Option<Record> {
    let found = RUBY.as_ref()?.captures(line)?;
    let mut record = Record {
        time: Some(time::parse(&found[1])?),
        level: Some(Level::parse(&found[3]).unwrap_or(Level::Info)),
        message: line.to_owned(),
        format: "plain",
        ..Record::default()
    };
    record.add_number("process.pid", &found[2]);
    record.add("log.logger", &found[4]);
    Some(record)
}
