//! A stream of documents with a name, a size and a measure of how far it has come.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::DatasetError;

/// One document, ready to be indexed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its `_id`; `None` lets the server choose one.
    pub id: Option<String>,
    /// A JSON object, byte for byte as it was read where the input was JSON.
    pub source: String,
}

/// How much a corpus holds, in the unit in which its [`Progress`] counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// A known number of documents.
    Documents(u64),
    /// A known number of input bytes, compressed as they are stored.
    Bytes(u64),
    /// A pipe: nobody knows.
    Unknown,
}

/// How far a corpus has come; may be read from another thread while the corpus is consumed.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<AtomicU64>);

impl Progress {
    /// Returns the documents or bytes consumed so far, in the unit of the corpus' [`Size`].
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }
}

/// Documents in a fixed order, one at a time.
///
/// After an error that [`is_fatal`](DatasetError::is_fatal) the iterator ends; after another one it
/// goes on with the next document. Memory is bounded by the longest document allowed.
pub struct Corpus {
    name: String,
    size: Size,
    progress: Progress,
    documents: Box<dyn Iterator<Item = Result<Document, DatasetError>> + Send>,
    has_ended: bool,
}

impl Corpus {
    /// Makes a corpus whose size and progress count documents.
    pub fn of_documents(
        name: impl Into<String>,
        num_documents: u64,
        documents: impl Iterator<Item = Document> + Send + 'static,
    ) -> Self {
        let progress = Progress::default();
        let counter = progress.clone();
        let counted = documents.inspect(move |_| counter.add(1)).map(Ok);
        Self::new(
            name.into(),
            Size::Documents(num_documents),
            progress,
            counted,
        )
    }

    pub(crate) fn new(
        name: String,
        size: Size,
        progress: Progress,
        documents: impl Iterator<Item = Result<Document, DatasetError>> + Send + 'static,
    ) -> Self {
        Self {
            name,
            size,
            progress,
            documents: Box::new(documents),
            has_ended: false,
        }
    }

    /// Returns the name of the collection or file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns how much there is in all.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Returns a handle that tells how far this corpus has come.
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

impl Iterator for Corpus {
    type Item = Result<Document, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_ended {
            return None;
        }
        let next = self.documents.next();
        self.has_ended = match &next {
            None => true,
            Some(result) => result.as_ref().is_err_and(DatasetError::is_fatal),
        };
        next
    }
}

impl fmt::Debug for Corpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Corpus")
            .field("name", &self.name)
            .field("size", &self.size)
            .finish()
    }
}
