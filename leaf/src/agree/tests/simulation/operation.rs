//! What the documents and operations of a simulation are.

use bytes::Bytes;

/// An operation: the write of a document, or a refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Operation {
    /// Tells it from all others of a run.
    pub(super) number: u64,
    /// What it writes; `None` for a refresh.
    pub(super) document: Option<u8>,
}

/// A document as its last write left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Document {
    pub(super) position: u64,
    pub(super) operation: Operation,
}

/// A byte that stands for no document.
const NO_DOCUMENT: u8 = u8::MAX;

impl Operation {
    pub(super) fn encode(self) -> Bytes {
        let mut bytes = self.number.to_be_bytes().to_vec();
        bytes.push(self.document.unwrap_or(NO_DOCUMENT));
        bytes.into()
    }

    pub(super) fn decode(payload: &Bytes) -> Self {
        let (number, document) = payload.split_first_chunk().expect("a number");
        Self {
            number: u64::from_be_bytes(*number),
            document: document
                .first()
                .copied()
                .filter(|byte| *byte != NO_DOCUMENT),
        }
    }
}
