//! An index in memory, in the place of the engine.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use gleaner_engine::EngineError;
use gleaner_engine::schema::document::PreparedDocument;
use gleaner_model::{
    CopyId, DocumentId, Generation, MappingVersion, Operation, OperationKind, SeqNo, ShardKey,
    Version,
};
use parking_lot::Mutex;

use super::history::History;
use super::operation::{Record, document_of};
use crate::copy::applier::ApplyTarget;
use crate::write::condition::KnownDocument;
use crate::write::versions::Content;
use crate::write::writable::VisibleDocuments;

/// Documents by their numbers.
pub(super) type Documents = BTreeMap<u8, Document>;

/// A document as its last write left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Document {
    pub(super) position: u64,
    pub(super) record: Record,
    version: Version,
    routing: Option<String>,
    source: Bytes,
}

/// What was applied, and what of it is shown.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    pub(super) next: u64,
    pub(super) documents: Documents,
    pub(super) visible: u64,
    pub(super) shown: Arc<Documents>,
}

/// A commit, which outlives the process.
#[derive(Debug, Clone, Default)]
pub(super) struct Commit {
    pub(super) next: u64,
    pub(super) documents: Documents,
}

/// The index of a copy.
pub(super) struct ModelEngine {
    shard: ShardKey,
    copy: CopyId,
    history: Arc<Mutex<History>>,
    state: Mutex<State>,
}

impl ModelEngine {
    /// Opens it on its last commit.
    pub(super) fn open(
        shard: ShardKey,
        copy: CopyId,
        history: Arc<Mutex<History>>,
        commit: Commit,
    ) -> Self {
        let state = State {
            next: commit.next,
            visible: commit.next,
            shown: Arc::new(commit.documents.clone()),
            documents: commit.documents,
        };
        Self {
            shard,
            copy,
            history,
            state: Mutex::new(state),
        }
    }

    /// Returns what it is by now.
    pub(super) fn state(&self) -> State {
        self.state.lock().clone()
    }

    /// Returns what a commit would hold; `None` while more is applied than shown.
    pub(super) fn commit(&self) -> Option<Commit> {
        let state = self.state.lock();
        (state.visible == state.next).then(|| Commit {
            next: state.next,
            documents: state.documents.clone(),
        })
    }

    fn apply_one(&self, state: &mut State, operation: &Operation) {
        let position = state.next;
        let record = Record::of(operation);
        let mut history = self.history.lock();
        history.applied(self.copy, position, record);
        state.next += 1;
        match &operation.kind {
            OperationKind::Index {
                id,
                routing,
                version,
                source,
            } => {
                let document = Document {
                    position,
                    record,
                    version: *version,
                    routing: routing.clone(),
                    source: source.clone(),
                };
                let before = state.documents.insert(document_of(id), document);
                // The engine looks for no document that one of version 1 takes the place of.
                if let Some(before) = before.filter(|_| *version == Version(1)) {
                    history.break_promise(format!(
                        "{position} brings a first version over {before:?}"
                    ));
                }
            }
            OperationKind::Delete { id, .. } => {
                state.documents.remove(&document_of(id));
            }
            OperationKind::Refresh | OperationKind::NoOp => {}
        }
    }
}

impl ApplyTarget for ModelEngine {
    fn key(&self) -> ShardKey {
        self.shard
    }

    fn next_seq_no(&self) -> SeqNo {
        SeqNo(self.state.lock().next)
    }

    fn generation(&self) -> Generation {
        generation(self.state.lock().visible)
    }

    fn apply_all(
        &self,
        first: SeqNo,
        operations: &[Operation],
        _prepared: &mut [Option<PreparedDocument>],
    ) -> Result<(), EngineError> {
        let mut state = self.state.lock();
        let expected = SeqNo(state.next);
        if first > expected {
            let found = first;
            return Err(EngineError::Gap { expected, found });
        }
        let num_known = (expected.0 - first.0) as usize;
        for operation in operations.iter().skip(num_known) {
            self.apply_one(&mut state, operation);
        }
        Ok(())
    }

    fn try_apply_all(
        &self,
        first: SeqNo,
        operations: &[Operation],
        prepared: &mut [Option<PreparedDocument>],
    ) -> Option<Result<(), EngineError>> {
        // As if somebody used it, now and then.
        let is_free = !first.0.is_multiple_of(3);
        is_free.then(|| self.apply_all(first, operations, prepared))
    }

    fn refresh(&self, visible: SeqNo) -> Result<Generation, EngineError> {
        let mut state = self.state.lock();
        let expected = SeqNo(state.next);
        if expected < visible {
            let found = visible;
            return Err(EngineError::Gap { expected, found });
        }
        state.visible = state.next;
        state.shown = Arc::new(state.documents.clone());
        Ok(generation(state.visible))
    }
}

/// What searches see.
pub(super) struct Shown(pub(super) Arc<Documents>);

impl VisibleDocuments for Shown {
    fn find_known(&self, id: &DocumentId) -> Result<Option<KnownDocument>, EngineError> {
        let found = self.0.get(&document_of(id));
        Ok(found.map(|found| {
            let seq_no = SeqNo(found.position);
            KnownDocument::live(seq_no, found.record.term, found.version)
        }))
    }

    fn find_document(
        &self,
        id: &DocumentId,
    ) -> Result<Option<(KnownDocument, Content)>, EngineError> {
        let content = self.0.get(&document_of(id)).map(|found| Content {
            routing: found.routing.clone(),
            source: found.source.clone(),
        });
        Ok(self.find_known(id)?.zip(content))
    }
}

fn generation(visible: u64) -> Generation {
    Generation {
        mapping: MappingVersion(0),
        visible: SeqNo(visible),
        history: gleaner_model::HistoryId::FIRST,
    }
}
