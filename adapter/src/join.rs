//! The lines of a stack trace, joined to the record that they belong to.
//!
//! Of lines that a container runtime wrapped, the text counts. A record of them keeps what the runtime wrote in front
//! of its first line, in the form of CRI.

use std::sync::LazyLock;

use regex::Regex;

use crate::container::{self, Line, Parts, Stream};
use crate::format::Format;

/// Most lines of a record.
const MAX_LINES: usize = 1_000;

/// Most bytes of a record.
const MAX_BYTES: usize = 256 << 10;

/// How the record that is being read goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Kind {
    /// Indented lines and those that name a cause belong to it.
    #[default]
    Ordinary,
    /// A traceback of Python: up to the first line that is not indented, and that one too.
    Traceback,
    /// A panic of Go: with its routines and blank lines.
    Panic,
}

/// The line of an exception of Java or .NET that begins a trace without being indented.
static EXCEPTION: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let java = r"(?:[a-z_$][\w$]*\.)+(?:[A-Z][\w$]*)?(?:Exception|Error|Throwable)(?::|$)";
    let dotnet = r"(?:[A-Z]\w*\.)+(?:[A-Z]\w*)?Exception(?::| \(0x|$)";
    Regex::new(&format!("^(?:{java}|{dotnet})")).ok()
});

/// Joins lines to records.
#[derive(Debug, Default)]
pub struct Joiner {
    held: String,
    lines: usize,
    /// Where the container runtime read the record, if it did.
    stream: Option<Stream>,
    /// Bytes of what the runtime wrote in front of it.
    prefix: usize,
    parts: Parts,
    kind: Kind,
}

impl Joiner {
    /// Takes the next line, and returns the record before it once the line does not belong to that.
    pub fn push(&mut self, line: &str) -> Option<String> {
        match container::read(line) {
            None => self.push_text(line, None),
            Some(part) => {
                let line = self.parts.push(part)?;
                self.push_text(&line.text, Some(&line))
            }
        }
    }

    /// Takes the next line without what the runtime wrote in front of it, which `wrapped` says.
    fn push_text(&mut self, line: &str, wrapped: Option<&Line>) -> Option<String> {
        let stream = wrapped.map(|wrapped| wrapped.stream);
        let has_room = self.lines < MAX_LINES && self.held.len() + line.len() < MAX_BYTES;
        if self.lines > 0 && has_room && self.stream == stream && self.takes(line) {
            self.held.push('\n');
            self.held.push_str(line);
            self.lines += 1;
            return None;
        }
        let ended = self.take_held();
        self.stream = stream;
        if let Some(wrapped) = wrapped {
            self.held.push_str(&wrapped.prefix());
            self.prefix = self.held.len();
        }
        self.held.push_str(line);
        self.lines = 1;
        self.kind = if line.starts_with("Traceback (most recent call last)") {
            Kind::Traceback
        } else if line.starts_with("panic: ")
            || line.starts_with("fatal error: ")
            || line.starts_with("goroutine ")
        {
            Kind::Panic
        } else {
            Kind::Ordinary
        };
        ended
    }

    /// Returns a record that is held, if there is one: no line came for a while, or none will. Several are held where a
    /// container runtime wrote lines in parts, so it is to be called until it returns `None`.
    pub fn flush(&mut self) -> Option<String> {
        loop {
            let held = self.take_held();
            if held.is_some() {
                return held;
            }
            let line = self.parts.pop()?;
            // Nothing is held that it could belong to.
            self.push_text(&line.text, Some(&line));
        }
    }

    fn take_held(&mut self) -> Option<String> {
        self.kind = Kind::Ordinary;
        self.lines = 0;
        let held = std::mem::take(&mut self.held);
        let prefix = std::mem::take(&mut self.prefix);
        // A blank line is no record, wrapped or not.
        let is_blank = held[prefix..].trim_end().is_empty();
        (!is_blank).then(|| held.trim_end().to_owned())
    }

    /// Does `line` belong to the record that is held?
    fn takes(&mut self, line: &str) -> bool {
        let is_indented = line.starts_with([' ', '\t']) && !line.trim().is_empty();
        if line.starts_with("Traceback (most recent call last)") {
            // The logger's own line is in front, or another traceback that this one came of.
            self.kind = Kind::Traceback;
            return true;
        }
        match self.kind {
            Kind::Traceback if is_indented => true,
            Kind::Traceback if line.trim().is_empty() || is_link(line) => true,
            // The exception itself ends it.
            Kind::Traceback => {
                self.kind = Kind::Ordinary;
                !looks_structured(line)
            }
            Kind::Panic => {
                is_indented
                    || line.is_empty()
                    || [
                        "goroutine ",
                        "created by ",
                        "exit status ",
                        "[signal ",
                        "\tpanic: ",
                    ]
                    .iter()
                    .any(|start| line.starts_with(start))
                    || (line.ends_with(')') && line.contains('(') && !looks_structured(line))
            }
            Kind::Ordinary => {
                is_indented || is_cause(line) || is_link(line) || self.takes_exception(line)
            }
        }
    }

    /// Is `line` the exception that the one line which is held logs? JSON and logfmt hold theirs themselves.
    fn takes_exception(&self, line: &str) -> bool {
        let is_exception = || EXCEPTION.as_ref().is_some_and(|regex| regex.is_match(line));
        if self.lines != 1 || !is_exception() {
            return false;
        }
        let record = Format::Auto.read_unwrapped(&self.held[self.prefix..]);
        let has_head = record.time.is_some() || record.level.is_some();
        matches!(record.format, "plain" | "syslog") && has_head
    }
}

/// Lines of Java, .NET, Ruby and Rust that go on with a trace without being indented.
fn is_cause(line: &str) -> bool {
    [
        "Caused by:",
        "Suppressed:",
        "stack backtrace:",
        "note: run with `RUST_BACKTRACE",
        "--- End of ",
    ]
    .iter()
    .any(|start| line.starts_with(start))
        || (line.starts_with("... ") && line.ends_with(" more"))
}

/// Lines between two tracebacks of Python.
fn is_link(line: &str) -> bool {
    line.starts_with("During handling of the above exception")
        || line.starts_with("The above exception was the direct cause")
}

/// Does a line begin a record of its own?
fn looks_structured(line: &str) -> bool {
    line.starts_with(['{', '<', '['])
        || line
            .bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_digit())
        || line.starts_with("level=")
        || line.starts_with("time=")
}
