//! The lines of a stack trace, joined to the record that they belong to.

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

/// Joins lines to records.
#[derive(Debug, Default)]
pub struct Joiner {
    held: String,
    lines: usize,
    kind: Kind,
}

impl Joiner {
    /// Takes the next line, and returns the record before it once the line does not belong to that.
    pub fn push(&mut self, line: &str) -> Option<String> {
        let has_room = self.lines < MAX_LINES && self.held.len() + line.len() < MAX_BYTES;
        if self.lines > 0 && has_room && self.takes(line) {
            self.held.push('\n');
            self.held.push_str(line);
            self.lines += 1;
            return None;
        }
        let ended = self.flush();
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

    /// Returns the record that is held, if there is one: no line came for a while, or none will.
    pub fn flush(&mut self) -> Option<String> {
        self.kind = Kind::Ordinary;
        let had_lines = std::mem::take(&mut self.lines) > 0;
        let held = std::mem::take(&mut self.held);
        let trimmed = held.trim_end();
        (had_lines && !trimmed.is_empty()).then(|| trimmed.to_owned())
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
            Kind::Ordinary => is_indented || is_cause(line) || is_link(line),
        }
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
