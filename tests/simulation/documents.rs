//! Documents in memory, and how a log makes them.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use gleaner_model::hash::tie_break_hash;
use gleaner_model::operation::{Operation, OperationKind};
use gleaner_model::{DocumentId, SeqNo, Version};
use serde_json::Value;

/// A version of a document.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) id: DocumentId,
    /// Its place among documents of one score.
    pub(crate) tie: u64,
    pub(crate) seq_no: SeqNo,
    pub(crate) version: Version,
    pub(crate) source: Bytes,
    /// The tokens of `body`.
    pub(crate) words: Vec<String>,
}

/// What a shard knows of an id.
#[derive(Debug, Clone)]
pub(crate) enum Known {
    Live(Arc<Stored>),
    Deleted(SeqNo, Version),
}

impl Known {
    pub(crate) fn version(&self) -> Version {
        match self {
            Self::Live(stored) => stored.version,
            Self::Deleted(_, version) => *version,
        }
    }
}

/// What a log makes of its ids.
pub(crate) type Ids = BTreeMap<DocumentId, Known>;

/// The live documents at one moment, in the order of their numbers.
pub(crate) type Documents = Vec<Arc<Stored>>;

/// Applies the operation at a position of the log.
pub(crate) fn apply(ids: &mut Ids, seq_no: SeqNo, operation: &Operation) {
    match &operation.kind {
        OperationKind::Index {
            id,
            version,
            source,
            ..
        } => {
            let stored = Stored {
                id: id.clone(),
                tie: tie_break_hash(id.as_str()),
                seq_no,
                version: *version,
                source: source.clone(),
                words: words(source),
            };
            ids.insert(id.clone(), Known::Live(Arc::new(stored)));
        }
        OperationKind::Delete { id, version, .. } => {
            ids.insert(id.clone(), Known::Deleted(seq_no, *version));
        }
        OperationKind::Refresh | OperationKind::NoOp => {}
    }
}

/// Returns the live documents.
pub(crate) fn live(ids: &Ids) -> Documents {
    let live = ids.values().filter_map(|known| match known {
        Known::Live(stored) => Some(Arc::clone(stored)),
        Known::Deleted(..) => None,
    });
    let mut live: Documents = live.collect();
    live.sort_by_key(|stored| stored.seq_no);
    live
}

fn words(source: &Bytes) -> Vec<String> {
    let source: Value = serde_json::from_slice(source).expect("documents are JSON");
    let body = source["body"].as_str().unwrap_or_default();
    body.split(' ').map(str::to_owned).collect()
}
