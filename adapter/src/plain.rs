//! Lines of prose, with perhaps a time and a level in front.

use std::sync::LazyLock;

use regex::Regex;

use crate::level::Level;
use crate::record::Record;
use crate::time;

/// A time at the beginning, perhaps in brackets.
static TIME: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^\[?(\d{4}[-/]\d{2}[-/]\d{2}[T ]\d{2}:\d{2}:\d{2}(?:[.,]\d{1,9})?(?: ?[+-]\d{2}:?\d{2}|Z)?)\]?[ :]*").ok()
});

/// A level near the beginning, in capitals or in brackets.
static LEVEL: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"^(?:\[[^\]\s]*\] ?|\S+ )??(?:\[?(TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|SEVERE|FATAL|CRITICAL|PANIC)\]?|\[(trace|debug|info|notice|warn|warning|error|crit|alert|emerg)\])(?:[\s:\-]|$)",
    )
    .ok()
});

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
    }
    record
}
