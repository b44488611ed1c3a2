//! A copy whose engine is a map in memory, around the real driver, applier and write path.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use gleaner_analysis::AnalyzerRegistry;
use gleaner_engine::EngineError;
use gleaner_leases::Grants;
use gleaner_log::ShardLog;
use gleaner_model::{
    Dynamic, Generation, Incarnation, IndexMeta, Mapping, Operation, PrimaryTerm, SeqNo, ShardKey,
};
use gleaner_proto::LeafFault;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::engine::{Commit, ModelEngine, Shown};
use super::history::{History, Life};
use crate::agree::CopyDriver;
use crate::agree::driver::Reign;
use crate::agree::host::CopyHost;
use crate::copy::applier::Applier;
use crate::copy::lease::{LeaseTerms, Leases};
use crate::copy::pipeline::Pipeline;
use crate::copy::schema::CopySchema;
use crate::fault::engine_fault;
use crate::replicate::halt::Halt;
use crate::write::idempotency::RequestAnswers;
use crate::write::inherited::{InheritError, inherited_versions};
use crate::write::versions::VersionMap;
use crate::write::writable::{VisibleDocuments, WritableCopy};
use crate::write::{WriteOrder, end_writes};

/// Documents are left to the log beyond so many bytes: some updates find theirs here, some there.
const KEPT_BYTES: usize = 60;

/// A copy.
pub(super) struct ModelCopy {
    pub(super) driver: Arc<CopyDriver>,
    pub(super) log: Arc<dyn ShardLog>,
    pub(super) history: Arc<Mutex<History>>,
    pub(super) incarnation: Incarnation,
    pub(super) applier: Applier<ModelEngine>,
    pub(super) pipeline: Arc<Pipeline>,
    schema: CopySchema,
    pub(super) order: Arc<tokio::sync::Mutex<WriteOrder>>,
    /// Answers to requests that may be sent again.
    pub(super) answers: RequestAnswers,
    standing: Mutex<Standing>,
}

/// What the copy is for clients.
#[derive(Debug, Clone, Copy, Default)]
struct Standing {
    is_serving: bool,
    leads: Option<PrimaryTerm>,
}

impl ModelCopy {
    /// Opens a copy on its last commit.
    pub(super) fn open(
        driver: Arc<CopyDriver>,
        log: Arc<dyn ShardLog>,
        history: Arc<Mutex<History>>,
        incarnation: Incarnation,
        commit: Commit,
    ) -> Arc<Self> {
        let next = SeqNo(commit.next);
        let (shard, copy) = (driver.shard, driver.copy);
        let engine = ModelEngine::open(shard, copy, Arc::clone(&history), commit);
        let leases = LeaseTerms {
            length: Duration::ZERO,
            quiet: Duration::ZERO,
        };
        let leases = Leases::new(leases, None);
        let order = WriteOrder {
            term: PrimaryTerm::default(),
            next,
            versions: VersionMap::default(),
        };
        Arc::new(Self {
            driver,
            log,
            history,
            incarnation,
            applier: Applier::new(
                Arc::new(engine),
                next,
                u64::MAX,
                leases,
                Arc::new(Grants::default()),
            ),
            pipeline: Arc::new(Pipeline::new()),
            schema: schema(),
            order: Arc::new(tokio::sync::Mutex::new(order)),
            answers: RequestAnswers::default(),
            standing: Mutex::default(),
        })
    }

    pub(super) fn life(&self) -> Life {
        (self.driver.copy, self.incarnation)
    }

    /// Returns the term under which it takes writes.
    pub(super) fn leads(&self) -> Option<PrimaryTerm> {
        self.standing.lock().leads
    }

    pub(super) fn is_serving(&self) -> bool {
        self.standing.lock().is_serving
    }

    /// Returns what a commit would hold; `None` while more is applied than shown.
    pub(super) fn commit(&self) -> Option<Commit> {
        self.applier.engine.commit()
    }
}

impl WritableCopy for ModelCopy {
    type Target = ModelEngine;

    fn key(&self) -> ShardKey {
        self.driver.shard
    }

    fn log(&self) -> &Arc<dyn ShardLog> {
        &self.log
    }

    fn driver(&self) -> Option<&Arc<CopyDriver>> {
        Some(&self.driver)
    }

    fn schema(&self) -> &CopySchema {
        &self.schema
    }

    fn applier(&self) -> &Applier<ModelEngine> {
        &self.applier
    }

    fn pipeline(&self) -> &Arc<Pipeline> {
        &self.pipeline
    }

    fn visible_documents(&self) -> impl VisibleDocuments {
        Shown(self.applier.engine.state().shown)
    }

    fn read_fault(&self, error: &EngineError) -> LeafFault {
        engine_fault(self.driver.shard, error)
    }

    fn kept_bytes(&self) -> usize {
        KEPT_BYTES
    }

    fn drain(self: &Arc<Self>) {
        let long = Instant::now() + Duration::from_secs(3_600);
        while !self.applier.drain(long) {}
    }
}

impl CopyHost for ModelCopy {
    fn next(&self) -> SeqNo {
        self.applier.next()
    }

    fn visible(&self) -> watch::Receiver<Generation> {
        self.applier.visible()
    }

    async fn apply(&self, payloads: Vec<Bytes>) -> Result<(), Halt> {
        let operations = payloads.iter().map(Operation::decode);
        let operations: Result<Vec<_>, _> = operations.collect();
        let operations = operations.map_err(|error| Halt::Files(error.to_string()))?;
        let applied = self.applier.offer(self.applier.next(), operations);
        applied.map_err(|reason| Halt::Broken(reason.to_string()))
    }

    async fn serve(&self) -> bool {
        self.standing.lock().is_serving = true;
        true
    }

    async fn lead(&self, reign: Reign) -> Result<(), Halt> {
        self.pipeline.read_again();
        let seen = self.applier.visible().borrow().visible;
        let versions = inherited_versions(&self.log, &self.driver, seen..reign.start).await;
        let versions = versions.map_err(|error| match error {
            InheritError::Gap(position) => {
                Halt::Broken(format!("its log lacks operation {position}"))
            }
            InheritError::Broken(reason) => Halt::Broken(reason),
        })?;
        *self.order.lock().await = WriteOrder {
            term: reign.term,
            next: reign.start,
            versions,
        };
        self.history.lock().lead(self.life(), reign.term);
        *self.standing.lock() = Standing {
            is_serving: true,
            leads: Some(reign.term),
        };
        Ok(())
    }

    async fn step_down(&self) {
        self.standing.lock().leads = None;
        end_writes(self).await;
    }

    async fn damaged(&self, damage: String) -> Halt {
        Halt::Broken(damage)
    }

    async fn closed(&self) {
        self.applier.stopped().await;
    }
}

/// Returns the schema of an index that takes any document as it is.
fn schema() -> CopySchema {
    static META: LazyLock<(Arc<IndexMeta>, Arc<AnalyzerRegistry>)> = LazyLock::new(|| {
        let mut index = crate::testing::index(7);
        index.mapping = Arc::new(Mapping {
            dynamic: Dynamic::False,
            ..Mapping::default()
        });
        (Arc::new(index), Arc::new(AnalyzerRegistry::builtin()))
    });
    let (index, analyzers) = &*META;
    CopySchema::new(Arc::clone(index), Arc::clone(analyzers))
}
