//! Lines as container runtimes write them, around what a program wrote.
//!
//! ```text
//! 2026-03-01T12:30:05.25Z stdout F {"level":"info"}                                    CRI, of Kubernetes
//! {"log":"{\"level\":\"info\"}\n","stream":"stdout","time":"2026-03-01T12:30:05.25Z"}  json-file, of Docker
//! ```
//!
//! Both cut a long line into parts. CRI marks all but the last with `P` in place of `F`; Docker ends only the last with
//! a line end. The first form is `node/kubelet-cri-logging.md` of
//! <https://github.com/kubernetes/design-proposals-archive>.

use chrono::DateTime;
use serde_json::{Map, Value};

use crate::record::Record;
use crate::time;

/// Bytes of a part, but for the last one of a line, as Docker writes them.
const DOCKER_PART: usize = 16 << 10;

/// Most bytes of a line that is put together.
const MAX_LINE_BYTES: usize = 256 << 10;

/// Where a program wrote a line to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    fn parse(word: &str) -> Option<Self> {
        match word {
            "stdout" => Some(Self::Stdout),
            "stderr" => Some(Self::Stderr),
            _ => None,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// What a runtime writes around a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrapper {
    /// When the program wrote the line (RFC 3339).
    time: String,
    pub(crate) stream: Stream,
}

impl Wrapper {
    /// Adds the time and the stream to the record of a line; a time or a stream that the program wrote goes before
    /// them.
    pub(crate) fn complete(&self, mut record: Record) -> Record {
        record.time = record.time.or_else(|| time::parse(&self.time));
        let stream = record.labels.entry("stream");
        stream.or_insert_with(|| self.stream.as_str().into());
        record
    }
}

/// A line, or a part of one, that a program wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) wrapper: Wrapper,
    /// The line goes on with the next one of its stream?
    is_part: bool,
    /// Without a line end.
    pub(crate) text: String,
}

/// Reads a line that a runtime wrapped.
pub(crate) fn read(line: &str) -> Option<Line> {
    read_cri(line).or_else(|| read_docker(line))
}

fn read_cri(line: &str) -> Option<Line> {
    let (time, rest) = line.split_once(' ')?;
    let (stream, rest) = rest.split_once(' ')?;
    let stream = Stream::parse(stream)?;
    let (tags, text) = rest.split_once(' ').unwrap_or((rest, ""));
    let is_part = match tags.split(':').next() {
        Some("P") => true,
        Some("F") => false,
        _ => return None,
    };
    is_time(time).then(|| Line {
        wrapper: Wrapper {
            time: time.to_owned(),
            stream,
        },
        is_part,
        text: text.to_owned(),
    })
}

/// A line with more than these three, such as the labels of its container, is left as it is.
fn read_docker(line: &str) -> Option<Line> {
    // Docker writes the names in this order. Other JSON is not parsed twice.
    if !line.starts_with("{\"log\":\"") {
        return None;
    }
    let object: Map<String, Value> = serde_json::from_str(line).ok()?;
    let text_of = |name: &str| object.get(name)?.as_str();
    let (log, time) = (text_of("log")?, text_of("time")?);
    let stream = Stream::parse(text_of("stream")?)?;
    let text = log.strip_suffix('\n');
    let text = text.map(|text| text.strip_suffix('\r').unwrap_or(text));
    (object.len() == 3 && is_time(time)).then(|| Line {
        wrapper: Wrapper {
            time: time.to_owned(),
            stream,
        },
        is_part: text.is_none() && log.len() >= DOCKER_PART,
        text: text.unwrap_or(log).to_owned(),
    })
}

fn is_time(word: &str) -> bool {
    DateTime::parse_from_rfc3339(word).is_ok()
}

/// Lines whose last part has not come yet, at most one of each stream.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    lines: Vec<Line>,
}

impl Parts {
    /// Takes a line or a part of one, and returns the line once it is whole, with the time of its first part. One that
    /// would be too long ends early.
    pub(crate) fn push(&mut self, part: Line) -> Option<Line> {
        let is_of_stream = |line: &Line| line.wrapper.stream == part.wrapper.stream;
        let line = match self.lines.iter().position(is_of_stream) {
            Some(at) => {
                let mut line = self.lines.remove(at);
                line.text.push_str(&part.text);
                line.is_part = part.is_part;
                line
            }
            None => part,
        };
        if line.is_part && line.text.len() < MAX_LINE_BYTES {
            self.lines.push(line);
            return None;
        }
        Some(line)
    }

    /// Returns what there is of a line: its last part does not come.
    pub(crate) fn pop(&mut self) -> Option<Line> {
        (!self.lines.is_empty()).then(|| self.lines.remove(0))
    }
}
