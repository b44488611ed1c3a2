//! One shard of a log in memory: its batches, and the ledgers before the first and after the last of them.

use std::collections::VecDeque;

use gleaner_model::{PrimaryTerm, SeqNo};

use crate::agreement::{Agreement, AgreementCell};
use crate::base::{LogBase, LogStart};
use crate::batch::{BatchPage, RecordBatch};
use crate::error::LogError;
use crate::ledger::{Admission, CopyAdmission, Ledger, Limits, chain_after};
use crate::shard_log::{Append, Appended, ReadBatch, Record};

#[derive(Debug)]
pub(super) struct Shard {
    pub(super) ledger: Ledger,
    pub(super) agreement: AgreementCell,
    /// The ledger before the first batch.
    base: Ledger,
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
    pub(super) fn new(begin: &LogStart, limits: Limits) -> Self {
        Self {
            ledger: Ledger::new(begin, limits),
            agreement: AgreementCell::default(),
            base: Ledger::new(begin, limits),
            batches: VecDeque::new(),
        }
    }

    pub(super) fn agreement(&self) -> Agreement {
        self.agreement.get(SeqNo(self.ledger.next()))
    }

    fn first(&self) -> SeqNo {
        SeqNo(self.base.next())
    }

    pub(super) fn append(&mut self, append: &Append, limits: Limits) -> Result<Appended, LogError> {
        if let Admission::Duplicate(appended) = self.ledger.admit(append, limits)? {
            return Ok(appended);
        }
        let batch = RecordBatch {
            first: SeqNo(self.ledger.next()),
            term: append.term,
            producer: append.producer,
            payloads: append.batch.clone(),
        };
        Ok(self.push(batch))
    }

    pub(super) fn append_copy(
        &mut self,
        batch: RecordBatch,
        under: PrimaryTerm,
        limits: Limits,
    ) -> Result<Appended, LogError> {
        match self.ledger.admit_copy(&batch, under, limits)? {
            CopyAdmission::Held => batch.compare(&self.read_batches(batch.first, 0)),
            CopyAdmission::Fresh => Ok(self.push(batch)),
        }
    }

    /// Takes in a batch that is admitted.
    fn push(&mut self, batch: RecordBatch) -> Appended {
        let mut chain = self.ledger.chain();
        let (term, producer) = (batch.term, batch.producer);
        let appended = self.ledger.accept(term, producer, &batch.payloads);
        self.ledger.commit();
        let chained = (batch.first.0..).zip(&batch.payloads);
        let chains = chained.map(|(seq_no, payload)| {
            chain = chain_after(chain, SeqNo(seq_no), term, payload);
            chain
        });
        let chains = chains.collect();
        self.batches.push_back(StoredBatch { batch, chains });
        appended
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
            first_available: self.first(),
            next: at.max(self.first()),
        }
    }

    pub(super) fn read_batches(&self, from: SeqNo, mut max_bytes: usize) -> BatchPage {
        let mut page = BatchPage {
            batches: Vec::new(),
            first_available: self.first(),
            next: from.max(self.first()),
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

    /// Returns what is known of the records before a position.
    pub(super) fn base_at(&self, at: SeqNo) -> Option<LogBase> {
        let chain = match at.0.checked_sub(1).map(SeqNo) {
            _ if at.0 == self.ledger.next() => Some(self.ledger.chain()),
            Some(last) if at > self.first() => self.chain(last),
            _ if at == self.first() => Some(self.base.chain()),
            _ => None,
        };
        chain.map(|chain| self.ledger.base_at(at, chain))
    }

    /// Gives up whole batches below a position.
    pub(super) fn trim(&mut self, below: SeqNo) -> SeqNo {
        while let Some(StoredBatch { batch, .. }) = self.batches.front()
            && batch.next() <= below
        {
            let (term, producer) = (batch.term, batch.producer);
            self.base.accept(term, producer, &batch.payloads);
            self.base.commit();
            self.batches.pop_front();
        }
        self.ledger.trim(self.first());
        self.first()
    }

    /// Cuts off whole batches from the one on that holds a position.
    pub(super) fn truncate(&mut self, from: SeqNo) -> Result<SeqNo, LogError> {
        let first = self.first();
        if from < first && from.0 < self.ledger.next() {
            return Err(LogError::Trimmed { first });
        }
        let Some((index, _)) = self.find(from) else {
            return Ok(SeqNo(self.ledger.next()));
        };
        let (at, agreed) = (self.batches[index].batch.first, self.agreement().point);
        if at < agreed {
            return Err(LogError::BelowAgreed { at, agreed });
        }
        self.batches.truncate(index);
        let mut rest = self.base.clone();
        for StoredBatch { batch, .. } in &self.batches {
            rest.accept(batch.term, batch.producer, &batch.payloads);
            rest.commit();
        }
        self.ledger.cut(rest);
        Ok(at)
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
