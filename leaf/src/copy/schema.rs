//! What a copy knows of its index: metadata, analyzers, and the parser of its documents.
//!
//! Does: takes a newer cluster state over, so that metadata, parser and engine agree. Does not: change the
//! mapping ([`crate::write::fields`]). Called by: whoever hears of a newer state. Read first:
//! [`Shard::take_meta`].

use std::sync::Arc;

use arc_swap::ArcSwap;
use gleaner_analysis::{AnalyzerRegistry, Limits};
use gleaner_coordinator::Coordinator;
use gleaner_engine::schema::document::DocumentParser;
use gleaner_model::{ClusterState, IndexMeta};
use parking_lot::Mutex;

use crate::copy::shard::Shard;

/// The index as a copy reads and writes it.
pub(crate) struct CopySchema {
    pub(crate) index: ArcSwap<IndexMeta>,
    pub(crate) analyzers: ArcSwap<AnalyzerRegistry>,
    /// Reads documents under the mapping in force.
    pub(crate) parser: ArcSwap<DocumentParser>,
    /// Held while a newer state is taken over.
    taking_over: Mutex<()>,
    /// Held by the one caller that waits for that on a thread that may block.
    turn: tokio::sync::Mutex<()>,
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

impl Shard {
    /// Returns whether `state` has a newer mapping than the one that documents are read under here. Who changed
    /// it may have been answered already, before the shard heard of it.
    pub(crate) fn lacks_mapping_of(&self, state: &ClusterState) -> bool {
        let agreed = state.indices.get(&self.key.index);
        agreed.is_some_and(|index| {
            index.mapping.version > self.schema.parser.load().mapping_version()
        })
    }

    /// Takes over what the newest cluster state says of the index.
    ///
    /// A newer mapping waits for the engine's writer, which a merge may hold for long, so that
    /// happens off the runtime's threads.
    pub(crate) async fn take_meta(self: &Arc<Self>) {
        // One thread that may block is enough, however many wait.
        let _turn = self.schema.turn.lock().await;
        let shard = Arc::clone(self);
        let taking =
            tokio::task::spawn_blocking(move || shard.take_meta_now(&*shard.node.coordinator));
        if let Err(error) = taking.await {
            self.applier
                .stop(&format!("a new mapping could not be taken over: {error}"));
        }
    }

    fn take_meta_now(&self, coordinator: &dyn Coordinator) {
        let _taking = self.schema.taking_over.lock();
        // Read under the lock, so that an older state never follows a newer one.
        let state = coordinator.state();
        let Some(index) = state.indices.get(&self.key.index) else {
            return;
        };
        let known = self.schema.index.load_full();
        let mut copies = known.copies_of(self.key.shard).iter();
        let remaining = index.copies_of(self.key.shard);
        if copies.any(|node| !remaining.contains(node)) {
            self.applier.leases.outlast_others();
        }
        if Arc::ptr_eq(&known, index) || known.mapping.version > index.mapping.version {
            return;
        }
        if known.mapping.version == index.mapping.version {
            self.show_meta(&known, index);
            return;
        }
        if known.settings.analysis != index.settings.analysis {
            match analyzers_of(index) {
                Ok(analyzers) => self.schema.analyzers.store(analyzers),
                Err(reason) => {
                    tracing::error!(shard = %self.key, reason, "analyzers stay as they were");
                }
            }
        }
        let analyzers = self.schema.analyzers.load_full();
        let parser = Arc::new(DocumentParser::new(&index.mapping, &analyzers));
        // The engine first: it must know the mapping of any record that is ordered. The parser
        // last: see `write::plan`.
        self.engine()
            .set_mapping(Arc::clone(&index.mapping), Arc::clone(&analyzers));
        self.show_meta(&known, index);
        self.schema.parser.store(parser);
    }

    fn show_meta(&self, known: &IndexMeta, index: &Arc<IndexMeta>) {
        self.schema.index.store(Arc::clone(index));
        if known.settings.refresh_interval_ms != index.settings.refresh_interval_ms {
            self.refreshes.interval_changed.notify_one();
        }
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
