//! Lines of prose, with perhaps a time and a level in front.

use std::sync::LazyLock;

use regex::Regex;

use crate::level::Level;
use crate::record::Record;
use crate::time;

/// A time at the beginning, perhaps in brackets.
static TIME: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^\[?(\d{4}[-/]\d{2}[-/]\d{2}[T ]\d{2}:\d{2}:\d{2}(?:[.,]\d{1,9})?(?: ?[+-]\d{2}:?\d{2}|Z| UTC\b| GMT\b)?)\]?[\s:]*").ok()
});

/// A level near the beginning, in capitals or in brackets.
static LEVEL: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"^(?:\[[^\]\s]*\]\s?|\S+\s)??(?:\[?(TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|SEVERE|FATAL|CRITICAL|PANIC)\]?|\[((?i:trace|debug|info|note|notice|warn|warning|error|crit|alert|emerg))\])(?:[\s:\-]|$)",
    )
    .ok()
});

/// A level in small letters, which is one where a colon is behind it, or a time before it.
static SMALL: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^(trace|debug|info|warn|warning|error|fatal|critical)(:|\s|$)").ok()
});

/// Does a line begin with a time?
pub(crate) fn has_time(line: &str) -> bool {
    TIME.as_ref().is_some_and(|pattern| pattern.is_match(line))
}

/// Reads any line: the message is the line without its time.
pub(crate) fn read(line: &str) -> Record {
    let mut record = Record {
        message: line.to_owned(),
        format: "plain",
        ..Record::default()
    };
    let mut rest = line;
    if let Some(found) = TIME.as_ref().and_then(|pattern| pattern.captures(line))
        && let (Some(whole), Some(text)) = (found.get(0), found.get(1))
        && let Some(time) = time::parse(text.as_str())
    {
        record.time = Some(time);
        rest = &line[whole.end()..];
        record.message = rest.to_owned();
    }
    if let Some(found) = LEVEL.as_ref().and_then(|pattern| pattern.captures(rest)) {
        let word = found.get(1).or(found.get(2));
        record.level = word.and_then(|word| Level::parse(word.as_str()));
    } else if let Some(found) = SMALL.as_ref().and_then(|pattern| pattern.captures(rest))
        && (&found[2] == ":" || record.time.is_some())
    {
        record.level = Level::parse(&found[1]);
    }
    record
}
