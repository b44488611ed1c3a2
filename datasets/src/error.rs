//! What can be wrong with a file of documents, always with the place where it was seen.

use std::{fmt, io, path::PathBuf, sync::Arc};

/// A line of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file as it was named, or `stdin`.
    pub input: Arc<str>,
    /// Line number, from 1.
    pub line: u64,
    /// Where in the line the text begins, in bytes from 1. Not displayed: only faults inside of a text say
    /// how far into the line they stand.
    pub column: u64,
}

impl Place {
    /// Returns where a fault of `error` stands in the input, when the text that was parsed begins here.
    fn of_json(&self, error: &serde_json::Error) -> (u64, u64) {
        let (line, column) = (error.line() as u64, error.column() as u64);
        match line {
            0 | 1 => (self.line, (self.column + column).saturating_sub(1).max(1)),
            _ => (self.line + line - 1, column),
        }
    }
}

/// Words what a parser of JSON says without the place, which counts from where its text begins.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.input, self.line)
    }
}

/// A fault in the data or in reading it.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// A file or folder cannot be opened. In a stream over many files, the next one follows.
    #[error("cannot open `{path}`")]
    Open {
        /// What was to be opened.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Reading stopped, or the compressed stream is damaged; nothing follows.
    #[error("{place}: cannot read on")]
    Read {
        /// The line that was being read.
        place: Place,
        /// What the system or the decoder said.
        #[source]
        source: io::Error,
    },
    /// A line or element is longer than the reader may hold; it was skipped.
    #[error("{place}: longer than {limit_bytes} bytes")]
    TooLong {
        /// Where it starts.
        place: Place,
        /// The limit, in bytes.
        limit_bytes: usize,
    },
    /// The text is not UTF-8.
    #[error("{place}: not UTF-8")]
    NotUtf8 {
        /// Where it stands.
        place: Place,
        /// The text, with `\u{fffd}` for what is not UTF-8; empty where it is not known.
        text: String,
    },
    /// The text is not the JSON that was expected.
    #[error("{}:{line}:{column}: not a JSON object: {}", place.input, without_place(fault))]
    Json {
        /// Where it starts.
        place: Place,
        /// The line of the fault, from 1.
        line: u64,
        /// Where in that line, in bytes from 1.
        column: u64,
        /// What the parser said; its own place counts from where the text begins.
        fault: serde_json::Error,
        /// The text, as it was read.
        text: String,
    },
    /// A document has no usable identifier where one was asked for.
    #[error("{place}: field `{field}` is absent or empty, or neither a string nor a number")]
    NoId {
        /// Where the document starts.
        place: Place,
        /// The field that should hold the identifier.
        field: String,
        /// The document, as it was read.
        text: String,
    },
    /// A row of a table is unlike its header, or not quoted as it should be.
    #[error("{place}: {}", unlike(fault))]
    Table {
        /// The row.
        place: Place,
        /// What the parser said.
        fault: csv::Error,
        /// The row; empty where it is not known.
        text: String,
    },
    /// The file breaks the rules of its layout; nothing follows.
    #[error("{place}: {seen}")]
    Layout {
        /// Where it was seen.
        place: Place,
        /// What was seen, and what was wanted.
        seen: String,
    },
    /// A name that stands for nothing here.
    #[error("no {what} `{name}`; there are: {known}")]
    Unknown {
        /// The kind of thing: `format`, `dataset`.
        what: &'static str,
        /// The name as given.
        name: String,
        /// The names there are.
        known: String,
    },
    /// A collection that is not on this machine.
    #[error("dataset `{name}` is not here: {looked}")]
    Absent {
        /// The collection.
        name: String,
        /// Where it was looked for.
        looked: String,
    },
}

/// Words a fault of a row without the place, which the row's own has said.
fn unlike(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => format!("the row has {len} cells, the header has {expected_len}"),
        _ => error.to_string(),
    }
}

impl DatasetError {
    /// Words what a parser says of a JSON `text` that begins at `place`.
    pub(crate) fn json(place: Place, fault: serde_json::Error, text: &str) -> Self {
        let (line, column) = place.of_json(&fault);
        Self::Json {
            place,
            line,
            column,
            fault,
            text: text.to_owned(),
        }
    }

    /// Returns the text of the document that is lost, where it is known.
    pub fn text(&self) -> Option<&str> {
        let (Self::NotUtf8 { text, .. }
        | Self::Json { text, .. }
        | Self::NoId { text, .. }
        | Self::Table { text, .. }) = self
        else {
            return None;
        };
        (!text.is_empty()).then_some(text)
    }

    /// Does this end the stream? Otherwise only one document is lost and the next may be asked for.
    pub fn is_fatal(&self) -> bool {
        !matches!(
            self,
            Self::Open { .. }
                | Self::TooLong { .. }
                | Self::NotUtf8 { .. }
                | Self::Json { .. }
                | Self::NoId { .. }
                | Self::Table { .. }
        )
    }
}
