//! Who asked for something, and with which words: for the list of tasks and the slow log.

use bytes::Bytes;

/// Bytes of a request's body that a description shows.
const SHOWN_BYTES: usize = 1_024;

/// Who asked, and how: what a list shows of a task.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// The client's own name for the request (`X-Opaque-Id`).
    pub opaque_id: Option<String>,
    /// Id of the key that asked; `None` where the cluster has no keys.
    pub owner: Option<String>,
    /// The body as received.
    pub source: Bytes,
}

/// Returns the start of a text, on one line.
pub(crate) fn shown(text: &[u8]) -> String {
    let start = &text[..text.len().min(SHOWN_BYTES)];
    let start = String::from_utf8_lossy(start);
    start.split_whitespace().collect::<Vec<_>>().join(" ")
}
