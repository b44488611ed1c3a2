//! Calls that write to one shard's primary.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use gleaner_model::{ChosenTemplates, DocumentId, PrimaryTerm, SeqNo, ShardKey, Version};
use gleaner_query::search::SourceFilter;

/// Writes for one shard, applied in order.
#[derive(Debug, Clone)]
pub struct WriteCall {
    /// The shard.
    pub shard: ShardKey,
    /// Primary term the sender believes in.
    pub term: PrimaryTerm,
    /// The writes.
    pub items: Vec<WriteItem>,
    /// Identity of this request for answering it again instead of applying it twice.
    pub idempotency: Option<Idempotency>,
    /// Time left.
    pub remaining: Duration,
    /// Whether a batch is not written of which documents bring fields that the mapping lacks, but answered with
    /// [`WriteFault::Unagreed`]: documents of other shards may bring the same ones before. Without it the
    /// primary adds the fields to the mapping.
    pub asks_fields: bool,
    /// Items that the mapping refused when their turn came: they are answered so.
    pub refused: Vec<RefusedItem>,
}

/// An item that was refused before its shard was asked to write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedItem {
    /// Its place among the call's items.
    pub at: u32,
    /// Why.
    pub fault: WriteFault,
}

/// Identity of a write request: the same key and shard is the same request, sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Idempotency {
    /// Hash of the client's key (and of the sender's identity, where there is one).
    pub producer: u128,
    /// Part of the request, when it is split: 0, 1, 2 …
    pub sequence: u64,
}

/// One write.
#[derive(Debug, Clone, PartialEq)]
pub struct WriteItem {
    /// The document.
    pub id: DocumentId,
    /// Routing value, when one was given.
    pub routing: Option<String>,
    /// What to do.
    pub action: WriteAction,
    /// What must hold before.
    pub condition: Condition,
    /// Templates for fields that the document brings; of documents that are put whole.
    pub templates: ChosenTemplates,
}

/// What a write does.
#[derive(Debug, Clone, PartialEq)]
pub enum WriteAction {
    /// Puts the whole document: a JSON object.
    Index {
        /// The document as received.
        source: Bytes,
        /// Whether it must not exist (`op_type=create`).
        create: bool,
    },
    /// Changes the document.
    Update(Update),
    /// Removes the document.
    Delete,
}

/// A partial update.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Update {
    /// Merged into the document: a JSON object.
    pub doc: Option<Bytes>,
    /// The document when there is none.
    pub upsert: Option<Bytes>,
    /// Whether `doc` is the document when there is none.
    pub doc_as_upsert: bool,
    /// Whether a merge that changes nothing writes nothing; default true.
    pub detect_noop: bool,
    /// How often to try again after a conflict with another writer.
    pub retry_on_conflict: u32,
    /// What of the new `_source` to return.
    pub returned_source: Option<SourceFilter>,
}

/// What must hold for a write to be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Condition {
    /// Nothing.
    #[default]
    None,
    /// The document's latest write has this number and term.
    Is {
        /// `if_seq_no`.
        seq_no: SeqNo,
        /// `if_primary_term`.
        term: PrimaryTerm,
    },
    /// The given version is larger than the document's (`version_type=external`).
    ExternalGreater(Version),
    /// The given version is larger or equal (`external_gte`).
    ExternalGreaterOrEqual(Version),
    /// The document has this internal version (deletes and updates of old clients).
    InternalVersion(Version),
}

/// Answers in the order of the items.
#[derive(Debug, Clone, PartialEq)]
pub struct WriteAnswer {
    /// One per item.
    pub items: Vec<Result<WriteOutcome, WriteFault>>,
    /// Whether the request had been applied before and is only answered again.
    pub duplicate: bool,
}

/// What a write did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteOutcome {
    /// What happened.
    pub result: WriteResult,
    /// The document's version now.
    pub version: Version,
    /// The number of the operation.
    pub seq_no: SeqNo,
    /// The term it was ordered under.
    pub term: PrimaryTerm,
    /// The new `_source`, where an update asked for it.
    pub source: Option<Bytes>,
}

/// What happened to the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteResult {
    /// It is new.
    Created,
    /// It was replaced or changed.
    Updated,
    /// It was removed.
    Deleted,
    /// There was nothing to remove; a tombstone was written.
    NotFound,
    /// The update changed nothing.
    Noop,
}

/// Why one item was refused; the others are not affected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteFault {
    /// The condition does not hold.
    #[error("[{id}]: version conflict, {reason}")]
    VersionConflict {
        /// The document.
        id: DocumentId,
        /// What was wanted and what is there.
        reason: String,
    },
    /// An update found no document.
    #[error("[{id}]: document missing")]
    DocumentMissing {
        /// The document.
        id: DocumentId,
    },
    /// The document does not fit the mapping.
    #[error("{reason}")]
    Document {
        /// The dialect's error type, for example `mapper_parsing_exception`.
        kind: Cow<'static, str>,
        /// What is wrong, with field and value.
        reason: String,
        /// The cause: type and reason.
        cause: Option<(Cow<'static, str>, String)>,
    },
    /// The shard could not take the item now.
    #[error("{reason}")]
    Rejected {
        /// Reason code, for example `write_queue_full`.
        code: Cow<'static, str>,
        /// For people.
        reason: String,
    },
    /// The index refuses writes.
    #[error("{reason}")]
    Blocked {
        /// Which block.
        reason: String,
    },
    /// It was not written, as documents of its batch bring fields: they are to be agreed on first.
    #[error("the fields that documents bring are not agreed on yet")]
    Unagreed {
        /// The document as it would be written, of an item that brings fields.
        document: Option<Bytes>,
    },
    /// The whole shard failed.
    #[error("{0}")]
    Shard(#[from] crate::LeafFault),
}
