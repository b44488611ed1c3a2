//! Errors put where a rule has its place, to show that lives of copies find them.

use gleaner_log::{LocalLog, LogError, RecordBatch, ShardLog};
use gleaner_model::{PrimaryTerm, SeqNo, ShardKey};

/// An error of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PlantedError {
    /// A fence is raised in memory only.
    FenceNotDurable,
    /// Producers are left behind when batches are copied.
    ProducersNotCopied,
    /// A cut inside of a batch leaves the first part of it.
    HalfABatchKept,
    /// The journal is not let go before a cut, and brings the bytes back.
    JournalKept,
}

impl PlantedError {
    pub(super) const ALL: [Self; 4] = [
        Self::FenceNotDurable,
        Self::ProducersNotCopied,
        Self::HalfABatchKept,
        Self::JournalKept,
    ];
}

/// A log as copies change it.
pub(super) struct Copier<'a> {
    log: &'a LocalLog,
    planted: Option<PlantedError>,
}

impl<'a> Copier<'a> {
    pub(super) fn new(log: &'a LocalLog, planted: Option<PlantedError>) -> Self {
        Self { log, planted }
    }

    pub(super) async fn append_copy(
        &self,
        key: ShardKey,
        mut batch: RecordBatch,
        under: PrimaryTerm,
    ) -> Result<(), LogError> {
        if self.planted == Some(PlantedError::ProducersNotCopied) {
            batch.producer = None;
        }
        self.log.append_copy(key, batch, under).await.map(|_| ())
    }

    pub(super) async fn truncate(&self, key: ShardKey, from: SeqNo) -> Result<(), LogError> {
        let page = self.log.read_batches(key, from, 1).await?;
        let at = self.log.truncate(key, from).await?;
        if self.planted == Some(PlantedError::HalfABatchKept)
            && let Some(mut batch) = page.batches.into_iter().next()
            && at < from
        {
            batch.payloads.truncate((from.0 - at.0) as usize);
            let under = batch.term;
            drop(self.log.append_copy(key, batch, under).await);
        }
        Ok(())
    }
}
