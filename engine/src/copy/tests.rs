//! A shard copy as a whole, on a disk in memory.

mod content;
mod crash;
mod damage;
mod growth;
mod life;
mod model;
mod pinned;
mod positions;
mod seats;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use gleaner_analysis::AnalyzerRegistry;
use gleaner_log::files::SimulatedFiles;
use gleaner_model::{
    DocumentId, IndexName, IndexUuid, Mapping, MappingVersion, Operation, OperationKind,
    PrimaryTerm, SeqNo, ShardKey, ShardNumber, Version,
};
use gleaner_query::mapping::{MappingRules, parse_mapping};
use serde_json::{Value, json};

use super::{Checkpoint, ShardIndex, ShardMeta, ShardOptions};
use crate::EngineError;
use crate::directory::{Reading, Verification};
use crate::document_cache::DocumentCache;
use crate::writer::{IndexingMemory, MergeOptions};

const FOLDER: &str = "/shard";

/// A copy with the log it is fed from.
struct Copy {
    files: SimulatedFiles,
    mapping: Arc<Mapping>,
    analyzers: Arc<AnalyzerRegistry>,
    merges: MergeOptions,
    memory: Arc<IndexingMemory>,
    /// Outlives openings, as that of a node does.
    documents: Arc<DocumentCache>,
    log: Vec<Operation>,
    index: Option<ShardIndex>,
}

fn mapping(declared: &Value) -> Arc<Mapping> {
    Arc::new(parse_mapping(declared, None, &MappingRules::default()).expect("a good mapping"))
}

fn text_mapping() -> Arc<Mapping> {
    mapping(&json!({"properties": {"title": {"type": "text"}, "n": {"type": "long"}}}))
}

fn id(text: &str) -> DocumentId {
    DocumentId::parse(text).expect("a good id")
}

impl Copy {
    /// Opens an empty copy that never merges by itself.
    fn new(mapping: Arc<Mapping>) -> Self {
        let merges = MergeOptions {
            is_enabled: false,
            ..MergeOptions::default()
        };
        Self::with_merges(mapping, merges)
    }

    fn with_merges(mapping: Arc<Mapping>, merges: MergeOptions) -> Self {
        Self::with_analyzers(mapping, AnalyzerRegistry::builtin(), merges)
    }

    fn with_analyzers(
        mapping: Arc<Mapping>,
        analyzers: AnalyzerRegistry,
        merges: MergeOptions,
    ) -> Self {
        let files = SimulatedFiles::new();
        let mut copy = Self {
            files,
            mapping,
            analyzers: Arc::new(analyzers),
            merges,
            memory: ShardOptions::default().memory,
            documents: Arc::default(),
            log: Vec::new(),
            index: None,
        };
        copy.open().expect("an empty folder opens");
        copy
    }

    fn open(&mut self) -> Result<Checkpoint, EngineError> {
        self.index = None;
        let key = ShardKey {
            index: IndexUuid([1; 16]),
            shard: ShardNumber(0),
        };
        let meta = ShardMeta {
            key,
            name: IndexName::parse("library").expect("a good name"),
            mapping: Arc::clone(&self.mapping),
            analyzers: Arc::clone(&self.analyzers),
        };
        let options = ShardOptions {
            marks: None,
            history: gleaner_model::HistoryId::FIRST,
            merges: self.merges.clone(),
            memory: Arc::clone(&self.memory),
            documents: Arc::clone(&self.documents),
            files: Arc::new(self.files.clone()),
            reading: Reading::Copied,
            verification: Verification::Content,
        };
        let (index, checkpoint) = ShardIndex::open(Path::new(FOLDER), meta, options)?;
        self.index = Some(index);
        Ok(checkpoint)
    }

    fn index(&self) -> &ShardIndex {
        self.index.as_ref().expect("it is open")
    }

    /// Appends an operation to the log and applies it.
    fn order(&mut self, kind: OperationKind) {
        let mapping = self.mapping.version;
        self.log.push(Operation {
            term: PrimaryTerm(1),
            mapping,
            timestamp_ms: 0,
            kind,
        });
        self.apply(self.log.len() - 1).expect("it is in order");
    }

    fn apply(&self, at: usize) -> Result<(), EngineError> {
        self.index().apply(SeqNo(at as u64), &self.log[at])
    }

    fn put(&mut self, id_text: &str, version: u64, source: &Value) {
        let source = Bytes::from(source.to_string());
        let version = Version(version);
        self.order(OperationKind::Index {
            id: id(id_text),
            routing: None,
            version,
            source,
        });
    }

    fn delete(&mut self, id_text: &str, version: u64) {
        self.order(OperationKind::Delete {
            id: id(id_text),
            routing: None,
            version: Version(version),
        });
    }

    /// Applies what the log holds from `from` on.
    fn replay(&self, from: SeqNo) {
        for at in from.0 as usize..self.log.len() {
            self.apply(at).expect("it is in order");
        }
    }

    fn refresh(&self) {
        self.index()
            .refresh(SeqNo(self.log.len() as u64))
            .expect("all was applied");
    }

    fn grow(&mut self, declared: &Value) {
        let grown = parse_mapping(declared, Some(&self.mapping), &MappingRules::default());
        self.mapping = Arc::new(grown.expect("it can grow"));
        self.index()
            .set_mapping(Arc::clone(&self.mapping), Arc::clone(&self.analyzers));
    }

    /// Returns `id:version:source` of every live document that searches see, sorted.
    fn visible(&self) -> Vec<String> {
        let view = self.index().view();
        let mut found = Vec::new();
        for segment in view.segments() {
            for doc in segment.reader().doc_ids_alive() {
                let place = crate::view::place(segment.ord(), doc);
                let document = view.document(place).expect("it can be read");
                let source = String::from_utf8_lossy(&document.source).into_owned();
                found.push(format!("{}:{}:{source}", document.id, document.version));
            }
        }
        assert_eq!(found.len() as u64, view.num_documents());
        found.sort();
        found
    }
}

/// What the documents of a log are after its first `len` operations, as [`Copy::visible`] shows
/// them.
fn expected(log: &[Operation], len: u64) -> Vec<String> {
    let mut documents = std::collections::BTreeMap::new();
    for operation in &log[..len as usize] {
        match &operation.kind {
            OperationKind::Index {
                id,
                version,
                source,
                ..
            } => {
                let source = String::from_utf8_lossy(source).into_owned();
                documents.insert(id.clone(), format!("{id}:{version}:{source}"));
            }
            OperationKind::Delete { id, .. } => {
                documents.remove(id);
            }
            OperationKind::Refresh | OperationKind::NoOp => {}
        }
    }
    let mut documents: Vec<String> = documents.into_values().collect();
    documents.sort();
    documents
}
