//! The lines of a stack trace, joined to the record that they belong to.
//!
//! Does: unwrap the lines of container runtimes, put the parts of a long line together, and join lines by their text.
//! Does not: read what a record says; [`Format::read`] does. `gleaner adapter logs` calls it with each line. Read
//! first: [`Joiner::push`], and [`Joined::single`] where lines are not joined.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use regex::Regex;

use crate::container::{self, Line, Parts, Stream, Wrapper};
use crate::format::Format;
use crate::{plain, programs};

/// Most lines of a record.
const MAX_LINES: usize = 1_000;

/// Most bytes of a record.
const MAX_BYTES: usize = 256 << 10;

/// Most records that have ended and wait for one that began before them.
const MAX_ENDED: usize = 1_000;

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
        let line = without_mark(line);
        let wrapped = container::read(line).map(Self::of_container);
        wrapped.unwrap_or_else(|| Self::of_program(line)).trimmed()
    }

    /// A line that a container runtime wrote.
    fn of_container(line: Line) -> Self {
        Self {
            wrapper: Some(line.wrapper),
            text: without_mark(&line.text).to_owned(),
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

/// Cuts off the mark of the order of bytes, which some programs begin a file with.
fn without_mark(line: &str) -> &str {
    line.strip_prefix('\u{feff}').unwrap_or(line)
}

/// How the record that is being read goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Kind {
    /// Indented lines and those that name a cause belong to it.
    #[default]
    Ordinary,
    /// A traceback of Python: up to the first line that is not indented, and that one too.
    Traceback,
    /// A traceback of Python that has named its exception: another one belongs to it where a line says so.
    Raised,
    /// A traceback of Python is announced that came of the one before.
    Linked,
    /// A panic of Go: with its routines and blank lines.
    Panic,
    /// A panic of Rust whose message is the next line.
    Panicked,
    /// The first of the two lines that Java's own logger writes.
    Java,
}

impl Kind {
    /// Returns how a record goes on that begins with a line.
    fn of(line: &str) -> Self {
        let panics = ["panic: ", "fatal error: ", "goroutine "];
        if line.starts_with(TRACEBACK) {
            Self::Traceback
        } else if panics.iter().any(|start| line.starts_with(start)) {
            Self::Panic
        } else if line.starts_with("thread '")
            && line.contains(" panicked at ")
            && line.ends_with(':')
        {
            Self::Panicked
        } else if programs::begins_java(line) {
            Self::Java
        } else {
            Self::Ordinary
        }
    }
}

/// How a traceback of Python begins.
const TRACEBACK: &str = "Traceback (most recent call last)";

/// The line of an exception of Java or .NET that begins a trace without being indented.
static EXCEPTION: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let java = r"(?:[a-z_$][\w$]*\.)+(?:[A-Z][\w$]*)?(?:Exception|Error|Throwable)(?::|$)";
    let dotnet = r"(?:[A-Z]\w*\.)+(?:[A-Z]\w*)?Exception(?::| \(0x|$)";
    Regex::new(&format!("^(?:{java}|{dotnet})")).ok()
});

/// A place in a program of Ruby, as its traces name them: ``a.rb:5:in `f'``, with what was raised there or without.
static RUBY: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^\S+:\d+:in [`'].*'(: .+ \([A-Z][\w:]*\))?$").ok());

/// Joins lines to records. Those of each stream of a container are joined apart, and records come in the order in which
/// they began.
#[derive(Debug, Default)]
pub struct Joiner {
    /// Of a program, of standard output, of standard error.
    lanes: [Lane; 3],
    parts: Parts,
    /// Records that have ended, by their numbers.
    ended: BTreeMap<u64, Joined>,
    /// Number of the next record.
    next: u64,
}

/// The lines of one stream.
#[derive(Debug, Default)]
struct Lane {
    held: Joined,
    /// Number of the record that is held.
    number: u64,
    /// When its last line came.
    touched: Option<Instant>,
    lines: usize,
    kind: Kind,
}

impl Joiner {
    /// Takes the next line, which came `at` this moment. [`Self::pop`] returns what has ended by it.
    pub fn push(&mut self, line: &str, at: Instant) {
        let line = without_mark(line);
        let whole = match container::read(line) {
            None => Some(Joined::of_program(line)),
            Some(part) => self.parts.push(part).map(Joined::of_container),
        };
        if let Some(line) = whole {
            self.push_line(line, at);
        }
        if self.ended.len() > MAX_ENDED
            && let Some(oldest) = self.oldest()
        {
            self.end(oldest);
        }
    }

    /// Takes the next line, which is whole.
    fn push_line(&mut self, line: Joined, at: Instant) {
        let lane_at = match line.stream() {
            None => 0,
            Some(Stream::Stdout) => 1,
            Some(Stream::Stderr) => 2,
        };
        let lane = &mut self.lanes[lane_at];
        lane.touched = Some(at);
        if lane.takes(&line.text) {
            lane.held.text.push('\n');
            lane.held.text.push_str(&line.text);
            lane.lines += 1;
            return;
        }
        self.end(lane_at);
        let lane = &mut self.lanes[lane_at];
        lane.kind = Kind::of(&line.text);
        lane.held = line;
        lane.lines = 1;
        lane.number = self.next;
        self.next += 1;
    }

    /// Ends records to which no line has come for `within` by `now`.
    pub fn end_older(&mut self, now: Instant, within: Duration) {
        for at in 0..self.lanes.len() {
            let touched = self.lanes[at].touched;
            if touched.is_some_and(|touched| now.duration_since(touched) >= within) {
                self.end(at);
            }
        }
    }

    /// Returns a record that has ended, and that none which is still held began before.
    pub fn pop(&mut self) -> Option<Joined> {
        let (&number, _) = self.ended.first_key_value()?;
        let oldest = self.oldest().map(|at| self.lanes[at].number);
        if oldest.is_some_and(|oldest| oldest < number) {
            return None;
        }
        self.ended.pop_first().map(|(_, record)| record)
    }

    /// Ends all records: no line came for a while, or none will. [`Self::pop`] returns them.
    pub fn flush(&mut self) {
        // Whatever a part of a long line belongs to has come before it.
        while let Some(line) = self.parts.pop() {
            self.push_line(Joined::of_container(line), Instant::now());
        }
        for at in 0..self.lanes.len() {
            self.end(at);
        }
    }

    /// Returns the stream whose record began first.
    fn oldest(&self) -> Option<usize> {
        let held = (0..self.lanes.len()).filter(|at| self.lanes[*at].lines > 0);
        held.min_by_key(|at| self.lanes[*at].number)
    }

    fn end(&mut self, at: usize) {
        let lane = std::mem::take(&mut self.lanes[at]);
        if lane.lines > 0
            && let Some(record) = lane.held.trimmed()
        {
            self.ended.insert(lane.number, record);
        }
    }
}

impl Lane {
    /// Does `line` belong to the record that is held?
    fn takes(&mut self, line: &str) -> bool {
        let num_bytes = self.held.text.len() + line.len();
        let has_room = self.lines < MAX_LINES && num_bytes < MAX_BYTES;
        // Nothing belongs to a blank line.
        if self.lines == 0 || !has_room || self.held.text.trim().is_empty() {
            return false;
        }
        let is_blank = line.trim().is_empty();
        let is_indented = line.starts_with([' ', '\t']) && !is_blank;
        match self.kind {
            Kind::Traceback if is_indented => true,
            // The exception itself.
            Kind::Traceback => {
                self.kind = Kind::Raised;
                !is_blank && !line.starts_with(TRACEBACK) && !looks_structured(line)
            }
            Kind::Raised if is_link(line) => {
                self.kind = Kind::Linked;
                true
            }
            Kind::Raised => is_indented || is_blank,
            Kind::Linked if line.starts_with(TRACEBACK) => {
                self.kind = Kind::Traceback;
                true
            }
            Kind::Linked => is_indented || is_blank,
            Kind::Panic => is_indented || line.is_empty() || is_of_go(line),
            Kind::Panicked => {
                self.kind = Kind::Ordinary;
                is_indented || !(is_blank || line.starts_with('{') || plain::has_time(line))
            }
            Kind::Java => {
                self.kind = Kind::Ordinary;
                is_indented || programs::goes_on_java(line)
            }
            Kind::Ordinary if line.starts_with(TRACEBACK) => {
                // The logger's own line is in front.
                self.kind = Kind::Traceback;
                true
            }
            Kind::Ordinary => {
                is_indented
                    || is_cause(line)
                    || is_link(line)
                    || self.takes_exception(line)
                    || self.takes_ruby(line)
                    || self.takes_end(line)
            }
        }
    }

    /// Is `line` the exception that the head which is held logs? JSON and logfmt hold theirs themselves.
    fn takes_exception(&self, line: &str) -> bool {
        let is_exception = || EXCEPTION.as_ref().is_some_and(|regex| regex.is_match(line));
        let is_java = || programs::begins_java(self.held.text.lines().next().unwrap_or_default());
        let is_head = self.lines == 1 || self.lines == 2 && is_java();
        if !is_head || !is_exception() {
            return false;
        }
        let record = Format::Auto.read_text(&self.held.text);
        let has_head = record.time.is_some() || record.level.is_some();
        matches!(record.format, "plain" | "syslog") && has_head
    }

    /// Is `line` a place of Ruby's below another one, or below the line that logs what was raised? What was raised first
    /// is named last, with its place.
    fn takes_ruby(&self, line: &str) -> bool {
        let Some(found) = RUBY.as_ref().and_then(|regex| regex.captures(line)) else {
            return false;
        };
        let last = self.held.text.lines().next_back().unwrap_or_default();
        let is_below = last.trim_start().starts_with("from ")
            || RUBY.as_ref().is_some_and(|regex| regex.is_match(last));
        let is_logged = || self.lines == 1 && last.contains(" -- ") && last.ends_with(')');
        match found.get(1) {
            Some(_) => is_below && self.lines > 1,
            None => is_below || is_logged(),
        }
    }

    /// Does `line` close the fields of an error that Node shows below its trace?
    fn takes_end(&self, line: &str) -> bool {
        line == "}" && self.held.text.contains("\n    at ") && self.held.text.contains(" {\n")
    }
}

/// Lines of a panic of Go that are not indented.
fn is_of_go(line: &str) -> bool {
    ["goroutine ", "created by ", "exit status ", "[signal "]
        .iter()
        .any(|start| line.starts_with(start))
        || (line.ends_with(')') && line.contains('(') && !looks_structured(line))
}

/// Lines of Java, .NET, Ruby and Rust that go on with a trace without being indented.
fn is_cause(line: &str) -> bool {
    [
        "Caused by:",
        "Suppressed:",
        "stack backtrace:",
        "note: run with `RUST_BACKTRACE",
        "note: Some details are omitted, run with `RUST_BACKTRACE",
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
