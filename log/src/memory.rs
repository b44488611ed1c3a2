//! A log in memory: the same promises but durability. For tests, simulation and examples.

use std::collections::{HashMap, VecDeque};
use std::future::ready;

use async_trait::async_trait;
use gleaner_model::{PrimaryTerm, SeqNo, ShardKey};
use parking_lot::Mutex;

use crate::error::LogError;
use crate::ledger::{Admission, Ledger, Limits};
use crate::options::LogOptions;
use crate::shard_log::{
    Append, Appended, LogStart, ProducerSequence, ReadBatch, Record, ShardLog, Ticket,
};

/// A [`ShardLog`] that forgets everything when it is dropped.
///
/// Nothing bounds its size but [`ShardLog::trim`].
#[derive(Debug)]
pub struct MemoryLog {
    limits: Limits,
    shards: Mutex<HashMap<ShardKey, Shard>>,
}

#[derive(Debug)]
struct Shard {
    ledger: Ledger,
    first: u64,
    /// Records from `first` on, each with the chain hash after it.
    records: VecDeque<(Record, u64)>,
}

impl MemoryLog {
    /// Returns an empty log that applies the limits of `options` (its other fields are not used).
    pub fn new(options: &LogOptions) -> Self {
        Self {
            limits: options.limits(),
            shards: Mutex::default(),
        }
    }
}

impl Default for MemoryLog {
    fn default() -> Self {
        Self::new(&LogOptions::default())
    }
}

impl Shard {
    fn new(begin: LogStart, limits: Limits) -> Self {
        Self {
            ledger: Ledger::new(begin.at.0, PrimaryTerm(0), begin.chain, limits),
            first: begin.at.0,
            records: VecDeque::new(),
        }
    }

    fn append(&mut self, append: &Append, limits: Limits) -> Result<Appended, LogError> {
        if let Admission::Duplicate(appended) = self.ledger.admit(append, limits)? {
            return Ok(appended);
        }
        let mut chain = self.ledger.chain();
        let appended = self.ledger.accept(append);
        self.ledger.commit();
        for (seq_no, payload) in (appended.first.0..).zip(&append.batch) {
            let record = Record {
                seq_no: SeqNo(seq_no),
                term: append.term,
                payload: payload.clone(),
            };
            chain = crate::ledger::chain_after(chain, record.seq_no, record.term, payload);
            self.records.push_back((record, chain));
        }
        Ok(appended)
    }

    fn read(&self, from: SeqNo, max_bytes: usize) -> ReadBatch {
        let mut records = Vec::new();
        let mut bytes = 0;
        let mut at = from;
        while let Some((record, _)) = self.get(at) {
            bytes += record.payload.len();
            if bytes > max_bytes && !records.is_empty() {
                break;
            }
            records.push(record.clone());
            at = at.next();
        }
        ReadBatch {
            records,
            first_available: SeqNo(self.first),
            next: at.max(SeqNo(self.first)),
        }
    }

    fn get(&self, at: SeqNo) -> Option<&(Record, u64)> {
        let index = at.0.checked_sub(self.first)?;
        self.records.get(usize::try_from(index).ok()?)
    }

    fn trim(&mut self, below: SeqNo) -> SeqNo {
        while self.first < below.0 && self.records.pop_front().is_some() {
            self.first += 1;
        }
        SeqNo(self.first)
    }
}

#[async_trait]
impl ShardLog for MemoryLog {
    fn queue(&self, append: Append) -> Result<Ticket, LogError> {
        let mut shards = self.shards.lock();
        let shard = shards.entry(append.shard);
        let shard = shard.or_insert_with(|| Shard::new(LogStart::FIRST, self.limits));
        match shard.append(&append, self.limits) {
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
        let shards = self.shards.lock();
        Ok(match shards.get(&shard) {
            Some(shard) => shard.read(from, max_bytes),
            None => ReadBatch {
                records: Vec::new(),
                first_available: SeqNo(0),
                next: from,
            },
        })
    }

    async fn read_one(&self, shard: ShardKey, seq_no: SeqNo) -> Result<Option<Record>, LogError> {
        let shards = self.shards.lock();
        let found = shards.get(&shard).and_then(|shard| shard.get(seq_no));
        Ok(found.map(|(record, _)| record.clone()))
    }

    async fn tail(&self, shard: ShardKey) -> Result<Option<SeqNo>, LogError> {
        let shards = self.shards.lock();
        Ok(shards.get(&shard).and_then(|shard| shard.ledger.tail()))
    }

    async fn produced(
        &self,
        shard: ShardKey,
        producer: ProducerSequence,
    ) -> Result<Option<Appended>, LogError> {
        let shards = self.shards.lock();
        let shard = shards.get(&shard);
        Ok(shard.and_then(|shard| shard.ledger.produced(producer)))
    }

    async fn fence(&self, shard: ShardKey, term: PrimaryTerm) -> Result<Option<SeqNo>, LogError> {
        let mut shards = self.shards.lock();
        let shard = shards
            .entry(shard)
            .or_insert_with(|| Shard::new(LogStart::FIRST, self.limits));
        shard.ledger.raise_fence(term)?;
        Ok(shard.ledger.tail())
    }

    async fn trim(&self, shard: ShardKey, below: SeqNo) -> Result<SeqNo, LogError> {
        let mut shards = self.shards.lock();
        Ok(shards
            .get_mut(&shard)
            .map_or(SeqNo(0), |shard| shard.trim(below)))
    }

    async fn remove(&self, shard: ShardKey) -> Result<(), LogError> {
        self.shards.lock().remove(&shard);
        Ok(())
    }

    async fn begin_at(&self, shard: ShardKey, begin: LogStart) -> Result<(), LogError> {
        let begun = Shard::new(begin, self.limits);
        self.shards.lock().insert(shard, begun);
        Ok(())
    }

    async fn chain(&self, shard: ShardKey, at: SeqNo) -> Result<Option<u64>, LogError> {
        let shards = self.shards.lock();
        let found = shards.get(&shard).and_then(|shard| shard.get(at));
        Ok(found.map(|(_, chain)| *chain))
    }
}
