//! One shard of a log in memory: its batches, and the ledgers before the first and after the last of them.

use std::collections::VecDeque;

use gleaner_model::{PrimaryTerm, SeqNo};

use crate::batch::{BatchPage, RecordBatch};
use crate::error::LogError;
use crate::ledger::{Admission, Ledger, Limits, chain_after};
use crate::shard_log::{Append, Appended, LogStart, ReadBatch, Record};

#[derive(Debug)]
pub(super) struct Shard {
    pub(super) ledger: Ledger,
    first: SeqNo,
    batches: VecDeque<StoredBatch>,
}

#[derive(Debug)]
struct StoredBatch {
    batch: RecordBatch,
    /// The chain hash after each record.
    chains: Vec<u64>,
}

impl StoredBatch {
    fn record(&self, index: usize) -> Option<Record> {
        Some(Record {
            seq_no: SeqNo(self.batch.first.0 + index as u64),
            term: self.batch.term,
            payload: self.batch.payloads.get(index)?.clone(),
        })
    }
}

impl Shard {
    pub(super) fn new(begin: LogStart, limits: Limits) -> Self {
        Self {
            ledger: Ledger::new(begin.at.0, PrimaryTerm(0), begin.chain, limits),
            first: begin.at,
            batches: VecDeque::new(),
        }
    }

    pub(super) fn append(&mut self, append: &Append, limits: Limits) -> Result<Appended, LogError> {
        if let Admission::Duplicate(appended) = self.ledger.admit(append, limits)? {
            return Ok(appended);
        }
        let mut chain = self.ledger.chain();
        let appended = self.ledger.accept(append);
        self.ledger.commit();
        let batch = RecordBatch {
            first: appended.first,
            term: append.term,
            producer: append.producer,
            payloads: append.batch.clone(),
        };
        let chained = (batch.first.0..).zip(&batch.payloads);
        let chains = chained.map(|(seq_no, payload)| {
            chain = chain_after(chain, SeqNo(seq_no), batch.term, payload);
            chain
        });
        let chains = chains.collect();
        self.batches.push_back(StoredBatch { batch, chains });
        Ok(appended)
    }

    pub(super) fn read(&self, from: SeqNo, max_bytes: usize) -> ReadBatch {
        let mut records = Vec::new();
        let mut bytes = 0;
        let mut at = from;
        while let Some(record) = self.record(at) {
            bytes += record.payload.len();
            if bytes > max_bytes && !records.is_empty() {
                break;
            }
            records.push(record);
            at = at.next();
        }
        ReadBatch {
            records,
            first_available: self.first,
            next: at.max(self.first),
        }
    }

    pub(super) fn read_batches(&self, from: SeqNo, mut max_bytes: usize) -> BatchPage {
        let mut page = BatchPage {
            batches: Vec::new(),
            first_available: self.first,
            next: from.max(self.first),
        };
        if let Some((index, _)) = self.find(from) {
            let batches = self.batches.range(index..);
            for StoredBatch { batch, .. } in batches {
                if !page.take(batch.clone(), &mut max_bytes) {
                    break;
                }
            }
        }
        page
    }

    pub(super) fn record(&self, at: SeqNo) -> Option<Record> {
        let (index, offset) = self.find(at)?;
        self.batches[index].record(offset)
    }

    pub(super) fn chain(&self, at: SeqNo) -> Option<u64> {
        let (index, offset) = self.find(at)?;
        self.batches[index].chains.get(offset).copied()
    }

    /// Gives up whole batches below a position.
    pub(super) fn trim(&mut self, below: SeqNo) -> SeqNo {
        while let Some(stored) = self.batches.front()
            && stored.batch.next() <= below
        {
            self.first = stored.batch.next();
            self.batches.pop_front();
        }
        self.first
    }

    /// Returns the batch that holds a position, and where it stands in it.
    fn find(&self, at: SeqNo) -> Option<(usize, usize)> {
        let after = self.batches.partition_point(|s| s.batch.first <= at);
        let index = after.checked_sub(1)?;
        let batch = &self.batches[index].batch;
        let offset = usize::try_from(at.0 - batch.first.0).ok()?;
        (offset < batch.payloads.len()).then_some((index, offset))
    }
}
