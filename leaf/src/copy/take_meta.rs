//! Taking a newer cluster state over, so that metadata, parser and engine of a copy agree.
//!
//! Does not: change the mapping ([`crate::write`]). Called by every task that hears of a newer state. Read first:
//! [`Shard::take_meta`].

use std::sync::Arc;
use std::time::Instant;

use gleaner_coordinator::Coordinator;
use gleaner_document::DocumentParser;
use gleaner_model::{ClusterState, FieldPath, IndexMeta};

use crate::copy::schema::analyzers_of;
use crate::copy::shard::Shard;

impl Shard {
    /// Returns whether `state` has a newer mapping than the one that documents are read under here. Who changed
    /// it may have been answered already, before the shard heard of it.
    pub(crate) fn lacks_mapping_of(&self, state: &ClusterState) -> bool {
        let agreed = state.indices.get(&self.key.index);
        agreed.is_some_and(|index| {
            index.mapping.version > self.schema.parser.load().mapping_version()
        })
    }

    /// Returns whether documents would be read here under an older mapping than that of `state`, or under its mapping and
    /// other settings than its own. A state that this copy is ahead of leaves it as it is.
    pub(crate) fn is_behind(&self, state: &ClusterState) -> bool {
        let Some(agreed) = state.indices.get(&self.key.index) else {
            return false;
        };
        let read_under = self.schema.parser.load().mapping_version();
        if agreed.mapping.version != read_under {
            return agreed.mapping.version > read_under;
        }
        let known = self.schema.index.load();
        !Arc::ptr_eq(agreed, &known) && agreed.settings != known.settings
    }

    /// Takes a newer mapping over by `deadline` where it sets a constant that searches do not know here: all shards show
    /// it of all documents, also those that no document came to since.
    pub(crate) async fn take_constants(self: &Arc<Self>, deadline: Instant) {
        if self.lacks_constant_of(&self.node.coordinator.state()) {
            // Where that comes too late, the search sees what is known here.
            drop(tokio::time::timeout_at(deadline.into(), self.take_meta()).await);
        }
    }

    fn lacks_constant_of(&self, state: &ClusterState) -> bool {
        if !self.lacks_mapping_of(state) {
            return false;
        }
        let Some(index) = state.indices.get(&self.key.index) else {
            return false;
        };
        let view = self.engine().view();
        let known = |path: &FieldPath| view.mapping().fields.get(path)?.kind.constant();
        let mut fields = index.mapping.fields.iter();
        fields.any(|(path, field)| field.kind.constant() != known(path))
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
        let (was, is) = (&known.settings, &index.settings);
        let is_refreshed_alike = was.refresh_interval_ms == is.refresh_interval_ms
            && was.search_idle_after_ms == is.search_idle_after_ms
            && was.has_own_refresh_interval() == is.has_own_refresh_interval()
            && known.copies_of(self.key.shard) == index.copies_of(self.key.shard);
        if !is_refreshed_alike {
            self.refreshes.note_settings();
        }
    }
}
