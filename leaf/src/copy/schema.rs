//! What a copy knows of its index: metadata, analyzers, and the parser of its documents.
//!
//! Does not: take a newer state over ([`super::take_meta`]), or change the mapping ([`crate::write`]).

use std::sync::Arc;

use arc_swap::ArcSwap;
use gleaner_analysis::{AnalyzerRegistry, Limits};
use gleaner_document::DocumentParser;
use gleaner_model::IndexMeta;
use parking_lot::Mutex;

/// The index as a copy reads and writes it.
pub(crate) struct CopySchema {
    pub(crate) index: ArcSwap<IndexMeta>,
    pub(crate) analyzers: ArcSwap<AnalyzerRegistry>,
    /// Reads documents under the mapping in force.
    pub(crate) parser: ArcSwap<DocumentParser>,
    /// Held while a newer state is taken over.
    pub(super) taking_over: Mutex<()>,
    /// Held by the one caller that waits for that on a thread that may block.
    pub(super) turn: tokio::sync::Mutex<()>,
}

impl CopySchema {
    /// Returns the schema of a copy that is opened under `index`.
    pub(crate) fn new(index: Arc<IndexMeta>, analyzers: Arc<AnalyzerRegistry>) -> Self {
        let parser = DocumentParser::new(&index.mapping, &analyzers);
        Self {
            index: ArcSwap::new(index),
            analyzers: ArcSwap::new(analyzers),
            parser: ArcSwap::from_pointee(parser),
            taking_over: Mutex::new(()),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// Returns the analyzers of `index`, which may be newer than what the copy has taken over.
    pub(crate) fn analyzers_for(&self, index: &IndexMeta) -> Arc<AnalyzerRegistry> {
        let known = self.analyzers.load_full();
        if self.index.load().settings.analysis == index.settings.analysis {
            return known;
        }
        analyzers_of(index).unwrap_or(known)
    }
}

/// Builds the analyzers that an index's settings declare, within its limits.
pub(crate) fn analyzers_of(index: &IndexMeta) -> Result<Arc<AnalyzerRegistry>, String> {
    let limits = Limits {
        max_ngram_diff: index.settings.max_ngram_diff,
        max_shingle_diff: index.settings.max_shingle_diff(),
        ..Limits::default()
    };
    AnalyzerRegistry::with_limits(&index.settings.analysis, limits)
        .map(Arc::new)
        .map_err(|error| error.to_string())
}
