//! What can be wrong with a file of documents, always with the place where it was seen.

use std::{fmt, io, path::PathBuf, sync::Arc};

/// A line of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file as it was named, or `stdin`.
    pub input: Arc<str>,
    /// Line number, from 1.
    pub line: u64,
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
    },
    /// The text is not the JSON that was expected.
    #[error("{place}: not a JSON object: {source}")]
    Json {
        /// Where it starts.
        place: Place,
        /// What the parser said.
        #[source]
        source: serde_json::Error,
    },
    /// A document has no usable identifier where one was asked for.
    #[error("{place}: field `{field}` is absent or empty, or neither a string nor a number")]
    NoId {
        /// Where the document starts.
        place: Place,
        /// The field that should hold the identifier.
        field: String,
    },
    /// A row of a table is unlike its header, or not quoted as it should be.
    #[error("{place}: {source}")]
    Table {
        /// The row.
        place: Place,
        /// What the parser said.
        #[source]
        source: csv::Error,
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

impl DatasetError {
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
