//! What writes need of a copy, whatever applies its operations.
//!
//! Does: tell planning and carrying out from the engine, so that simulations run both as they are. Does not: plan, or
//! queue. Implemented by: [`Shard`], and by the model copy of the simulation. Read first: [`WritableCopy`].

use std::sync::Arc;

use gleaner_engine::copy::ShardIndex;
use gleaner_engine::{EngineError, View};
use gleaner_log::{LogError, ShardLog};
use gleaner_model::{DocumentId, SeqNo, ShardKey};
use gleaner_proto::LeafFault;

use super::condition::KnownDocument;
use super::versions::Content;
use crate::agree::CopyDriver;
use crate::copy::applier::{Applier, ApplyTarget};
use crate::copy::pipeline::{Pipeline, PipelineState};
use crate::copy::schema::CopySchema;
use crate::copy::shard::Shard;
use crate::fault::copy_fault;

/// The part of the version map's bound up to which it keeps documents: what is read or updated again
/// soon after it was written.
const KEPT_SHARE: usize = 16;

/// The documents that searches see.
pub(crate) trait VisibleDocuments {
    /// Returns what is known of the live document of `id`.
    fn find_known(&self, id: &DocumentId) -> Result<Option<KnownDocument>, EngineError>;

    /// Returns the live document of `id`, and what is known of it.
    fn find_document(
        &self,
        id: &DocumentId,
    ) -> Result<Option<(KnownDocument, Content)>, EngineError>;
}

/// What searches of a shard saw when writes began to be planned.
struct ViewOf<'a> {
    engine: &'a ShardIndex,
    view: Arc<View>,
}

impl VisibleDocuments for ViewOf<'_> {
    fn find_known(&self, id: &DocumentId) -> Result<Option<KnownDocument>, EngineError> {
        let found = self.view.find_version(id)?;
        self.engine.check_uncut()?;
        Ok(found.map(|found| KnownDocument::live(found.seq_no, found.term, found.version)))
    }

    fn find_document(
        &self,
        id: &DocumentId,
    ) -> Result<Option<(KnownDocument, Content)>, EngineError> {
        let found = self.view.find(id)?;
        self.engine.check_uncut()?;
        Ok(found.map(|found| {
            let known = KnownDocument::live(found.seq_no, found.term, found.version);
            let content = Content {
                routing: found.routing,
                source: found.source,
            };
            (known, content)
        }))
    }
}

/// A copy whose writes can be planned and carried out.
pub(crate) trait WritableCopy: Send + Sync + 'static {
    /// What applies its operations.
    type Target: ApplyTarget;

    fn key(&self) -> ShardKey;

    /// Returns the log that the copy is a view of.
    fn log(&self) -> &Arc<dyn ShardLog>;

    /// Returns what agrees with the other copies, where they agree through the shard's entry.
    fn driver(&self) -> Option<&Arc<CopyDriver>>;

    fn schema(&self) -> &CopySchema;

    fn applier(&self) -> &Applier<Self::Target>;

    fn pipeline(&self) -> &Arc<Pipeline>;

    /// Returns what searches see by now.
    fn visible_documents(&self) -> impl VisibleDocuments;

    /// Returns the fault of a document that could not be read.
    fn read_fault(&self, error: &EngineError) -> LeafFault;

    /// Returns the bytes of documents that the version map keeps: the log has the others.
    fn kept_bytes(&self) -> usize;

    /// Has what is due applied where blocking is allowed.
    fn drain(self: &Arc<Self>);

    /// Stops the copy because its log takes nothing any more until the process is started again: it
    /// goes on to serve what it shows, and is not opened anew.
    fn lose_log(&self, error: &LogError) {
        self.pipeline().lose();
        self.applier()
            .stop(&format!("{error}; it serves what it shows until a restart"));
    }

    /// Waits until it is known what becomes of the operations that were ordered below `ordered` when the
    /// log had been read again `num_readings` times; returns whether all of them are durable and applied.
    fn has_settled(&self, ordered: SeqNo, num_readings: u64) -> impl Future<Output = bool> + Send {
        async move {
            let is_applied = || self.applier().next() >= ordered;
            let is_same = |state: PipelineState| state.num_readings == num_readings;
            // A batch is applied, or the shard stopped, before it is counted out.
            let is_known = |state: PipelineState| {
                let is_lost = state.is_uncertain || self.applier().failure().is_some();
                is_applied() || is_lost || !is_same(state)
            };
            self.pipeline().wait_for(is_known).await;
            // In this order: others may have taken their positions since.
            is_applied() && is_same(self.pipeline().state())
        }
    }
}

impl WritableCopy for Shard {
    type Target = ShardIndex;

    fn key(&self) -> ShardKey {
        self.key
    }

    fn log(&self) -> &Arc<dyn ShardLog> {
        self.log()
    }

    fn driver(&self) -> Option<&Arc<CopyDriver>> {
        self.driver()
    }

    fn schema(&self) -> &CopySchema {
        &self.schema
    }

    fn applier(&self) -> &Applier {
        &self.applier
    }

    fn pipeline(&self) -> &Arc<Pipeline> {
        &self.pipeline
    }

    fn visible_documents(&self) -> impl VisibleDocuments {
        ViewOf {
            engine: self.engine(),
            view: self.engine().view(),
        }
    }

    fn read_fault(&self, error: &EngineError) -> LeafFault {
        copy_fault(self, error)
    }

    fn kept_bytes(&self) -> usize {
        self.node.options.unseen_bytes / KEPT_SHARE
    }

    fn drain(self: &Arc<Self>) {
        self.drain();
    }
}
