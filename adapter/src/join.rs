//! The lines of a stack trace, joined to the record that they belong to.
//!
//! Does: unwrap the lines of container runtimes, put the parts of a long line together, and join lines by their text.
//! Does not: read what a record says; [`Format::read`] does. `gleaner adapter logs` calls it with each line. Read
//! first: [`Joiner::push`], and [`Joined::single`] where lines are not joined.

use std::sync::LazyLock;

use regex::Regex;

use crate::container::{self, Line, Parts, Stream, Wrapper};
use crate::format::Format;

/// Most lines of a record.
const MAX_LINES: usize = 1_000;

/// Most bytes of a record.
const MAX_BYTES: usize = 256 << 10;

/// The lines of one record, as the program wrote them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Joined {
    /// What a container runtime wrote around the first line, if one did.
    pub(crate) wrapper: Option<Wrapper>,
    /// The lines, without what a container runtime wrote around them.
    pub(crate) text: String,
}

impl Joined {
    /// Returns the record of a line that is joined to no other, such as a part of a long line of a container runtime;
    /// `None` where the line is blank.
    #[must_use]
    pub fn single(line: &str) -> Option<Self> {
        let wrapped = container::read(line).map(Self::of_container);
        wrapped.unwrap_or_else(|| Self::of_program(line)).trimmed()
    }

    /// A line that a container runtime wrote.
    fn of_container(line: Line) -> Self {
        Self {
            wrapper: Some(line.wrapper),
            text: line.text,
        }
    }

    /// A line that no container runtime wrote.
    fn of_program(line: &str) -> Self {
        Self {
            wrapper: None,
            text: line.to_owned(),
        }
    }

    /// Cuts space and blank lines off the end. Nothing remains of a blank line, wrapped or not: it is no record.
    fn trimmed(mut self) -> Option<Self> {
        self.text.truncate(self.text.trim_end().len());
        (!self.text.is_empty()).then_some(self)
    }

    /// Returns the stream that a container runtime read the record from, if one did.
    fn stream(&self) -> Option<Stream> {
        self.wrapper.as_ref().map(|wrapper| wrapper.stream)
    }
}

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

impl Kind {
    /// Returns how a record goes on that begins with a line.
    fn of(line: &str) -> Self {
        let panics = ["panic: ", "fatal error: ", "goroutine "];
        if line.starts_with("Traceback (most recent call last)") {
            Self::Traceback
        } else if panics.iter().any(|start| line.starts_with(start)) {
            Self::Panic
        } else {
            Self::Ordinary
        }
    }
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
    held: Joined,
    lines: usize,
    parts: Parts,
    kind: Kind,
}

impl Joiner {
    /// Takes the next line, and returns the record before it once the line does not belong to that.
    pub fn push(&mut self, line: &str) -> Option<Joined> {
        match container::read(line) {
            None => self.push_line(Joined::of_program(line)),
            Some(part) => {
                let line = self.parts.push(part)?;
                self.push_line(Joined::of_container(line))
            }
        }
    }

    /// Takes the next line, which is whole.
    fn push_line(&mut self, line: Joined) -> Option<Joined> {
        let num_bytes = self.held.text.len() + line.text.len();
        let has_room = self.lines < MAX_LINES && num_bytes < MAX_BYTES;
        let is_of_stream = self.held.stream() == line.stream();
        if self.lines > 0 && has_room && is_of_stream && self.takes(&line.text) {
            self.held.text.push('\n');
            self.held.text.push_str(&line.text);
            self.lines += 1;
            return None;
        }
        let ended = self.take_held();
        self.kind = Kind::of(&line.text);
        self.held = line;
        self.lines = 1;
        ended
    }

    /// Returns a record that is held, if there is one: no line came for a while, or none will. Several are held where a
    /// container runtime wrote lines in parts, so it is to be called until it returns `None`.
    pub fn flush(&mut self) -> Option<Joined> {
        loop {
            let held = self.take_held();
            if held.is_some() {
                return held;
            }
            let line = self.parts.pop()?;
            // Nothing is held that it could belong to.
            self.push_line(Joined::of_container(line));
        }
    }

    fn take_held(&mut self) -> Option<Joined> {
        self.kind = Kind::Ordinary;
        self.lines = 0;
        std::mem::take(&mut self.held).trimmed()
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
        let record = Format::Auto.read_text(&self.held.text);
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
