//! A log in memory: the same promises but durability. For tests, simulation and examples.

use std::collections::HashMap;
use std::future::ready;

use async_trait::async_trait;
use gleaner_model::{PrimaryTerm, SeqNo, ShardKey};
use parking_lot::Mutex;

use crate::agreement::Agreement;
use crate::base::{LogBase, LogStart};
use crate::batch::{BatchPage, RecordBatch};
use crate::error::LogError;
use crate::ledger::Limits;
use crate::options::LogOptions;
use crate::shard_log::{Append, Appended, ProducerSequence, ReadBatch, Record, ShardLog, Ticket};
use crate::terms::TermTable;
use shard::Shard;

mod shard;

/// A [`ShardLog`] that forgets everything when it is dropped.
///
/// Nothing bounds its size but [`ShardLog::trim`].
#[derive(Debug)]
pub struct MemoryLog {
    limits: Limits,
    shards: Mutex<HashMap<ShardKey, Shard>>,
}

impl MemoryLog {
    /// Returns an empty log that applies the limits of `options` (its other fields are not used).
    pub fn new(options: &LogOptions) -> Self {
        Self {
            limits: options.limits(),
            shards: Mutex::default(),
        }
    }

    /// Looks something up in a shard; `None` for one that was never named.
    fn with<T>(&self, shard: ShardKey, look: impl FnOnce(&Shard) -> T) -> Option<T> {
        self.shards.lock().get(&shard).map(look)
    }

    /// Changes a shard, which is created if need be.
    fn change<T>(&self, shard: ShardKey, change: impl FnOnce(&mut Shard) -> T) -> T {
        let mut shards = self.shards.lock();
        let shard = shards.entry(shard);
        change(shard.or_insert_with(|| Shard::new(&LogStart::FIRST, self.limits)))
    }
}

impl Default for MemoryLog {
    fn default() -> Self {
        Self::new(&LogOptions::default())
    }
}

#[async_trait]
impl ShardLog for MemoryLog {
    fn queue(&self, append: Append) -> Result<Ticket, LogError> {
        let appended = self.change(append.shard, |shard| shard.append(&append, self.limits));
        match appended {
            Err(error @ LogError::TooLarge { .. }) => Err(error),
            outcome => Ok(Ticket::new(ready(outcome))),
        }
    }

    fn queue_copy(
        &self,
        shard: ShardKey,
        batch: RecordBatch,
        under: PrimaryTerm,
    ) -> Result<Ticket, LogError> {
        let limits = self.limits;
        match self.change(shard, |shard| shard.append_copy(batch, under, limits)) {
            Err(error @ LogError::TooLarge { .. }) => Err(error),
            outcome => Ok(Ticket::new(ready(outcome))),
        }
    }

    async fn read(
        &self,
        shard: ShardKey,
        from: SeqNo,
        max_bytes: usize,
    ) -> Result<ReadBatch, LogError> {
        let page = self.with(shard, |shard| shard.read(from, max_bytes));
        Ok(page.unwrap_or(ReadBatch {
            records: Vec::new(),
            first_available: SeqNo(0),
            next: from,
        }))
    }

    async fn read_batches(
        &self,
        shard: ShardKey,
        from: SeqNo,
        max_bytes: usize,
    ) -> Result<BatchPage, LogError> {
        let page = self.with(shard, |shard| shard.read_batches(from, max_bytes));
        Ok(page.unwrap_or_else(|| BatchPage::of_unknown_shard(from)))
    }

    async fn read_one(&self, shard: ShardKey, seq_no: SeqNo) -> Result<Option<Record>, LogError> {
        Ok(self.with(shard, |shard| shard.record(seq_no)).flatten())
    }

    async fn tail(&self, shard: ShardKey) -> Result<Option<SeqNo>, LogError> {
        Ok(self.with(shard, |shard| shard.ledger.tail()).flatten())
    }

    async fn produced(
        &self,
        shard: ShardKey,
        producer: ProducerSequence,
    ) -> Result<Option<Appended>, LogError> {
        let produced = self.with(shard, |shard| shard.ledger.produced(producer));
        Ok(produced.flatten())
    }

    async fn fence(&self, shard: ShardKey, term: PrimaryTerm) -> Result<Option<SeqNo>, LogError> {
        self.change(shard, |shard| {
            shard.ledger.raise_fence(term)?;
            Ok(shard.ledger.tail())
        })
    }

    async fn trim(&self, shard: ShardKey, below: SeqNo) -> Result<SeqNo, LogError> {
        let mut shards = self.shards.lock();
        let shard = shards.get_mut(&shard);
        Ok(shard.map_or(SeqNo(0), |shard| shard.trim(below)))
    }

    async fn truncate(&self, shard: ShardKey, from: SeqNo) -> Result<SeqNo, LogError> {
        let mut shards = self.shards.lock();
        let shard = shards.get_mut(&shard);
        shard.map_or(Ok(SeqNo(0)), |shard| shard.truncate(from))
    }

    async fn remove(&self, shard: ShardKey) -> Result<(), LogError> {
        self.shards.lock().remove(&shard);
        Ok(())
    }

    async fn begin_at(&self, shard: ShardKey, begin: LogStart) -> Result<(), LogError> {
        let begun = Shard::new(&begin, self.limits);
        let mut shards = self.shards.lock();
        let before = shards.get(&shard).map(Shard::agreement);
        begun.agreement.note(Agreement {
            point: begin.at,
            ..before.unwrap_or_default()
        });
        shards.insert(shard, begun);
        Ok(())
    }

    fn note_agreement(&self, shard: ShardKey, agreement: Agreement) {
        self.with(shard, |shard| shard.agreement.note(agreement));
    }

    fn agreement(&self, shard: ShardKey) -> Result<Agreement, LogError> {
        let agreement = self.with(shard, Shard::agreement);
        Ok(agreement.unwrap_or_default())
    }

    async fn base_at(&self, shard: ShardKey, at: SeqNo) -> Result<Option<LogBase>, LogError> {
        let base = self.with(shard, |shard| shard.base_at(at));
        let nothing = (at == SeqNo(0)).then_some(LogBase::NOTHING);
        Ok(base.unwrap_or(nothing))
    }

    async fn terms(&self, shard: ShardKey) -> Result<TermTable, LogError> {
        let terms = self.with(shard, |shard| shard.ledger.terms().clone());
        Ok(terms.unwrap_or_else(|| TermTable::new(LogBase::NOTHING.term)))
    }

    async fn chain(&self, shard: ShardKey, at: SeqNo) -> Result<Option<u64>, LogError> {
        Ok(self.with(shard, |shard| shard.chain(at)).flatten())
    }
}
