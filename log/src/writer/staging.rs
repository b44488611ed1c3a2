//! The beginning of a round: batches are admitted and their bytes laid ready.

use bytes::Bytes;
use gleaner_model::{PrimaryTerm, SeqNo};

use super::{Reply, ShardWriter, StagedBatches, answer};
use crate::batch::{RecordBatch, payload_bytes};
use crate::error::LogError;
use crate::format::{BATCH_HEADER_BYTES, BatchHeader, RECORD_HEADER_BYTES, encode_batch};
use crate::lane::Write;
use crate::ledger::{Admission, CopyAdmission};
use crate::segment::Entry;
use crate::shard_log::{Append, Appended, ProducerSequence};

impl ShardWriter {
    /// Checks a batch and lays its bytes ready; answers at once what needs no write.
    pub(crate) fn stage(&mut self, write: &Write, reply: Reply<Appended>) {
        let staged = match write {
            Write::Append(append) => self.stage_append(append),
            Write::Copy { batch, under, .. } => self.stage_copy(batch, *under),
        };
        match staged {
            Ok(appended) if appended.duplicate && appended.last.0 < self.committed => {
                answer(reply, Ok(appended));
            }
            // Also a repetition of a batch of this very round waits for its sync.
            Ok(appended) => self.staged.replies.push((reply, appended)),
            Err(error) => answer(reply, Err(error)),
        }
    }

    /// Returns whether a position is staged, and not written yet.
    pub(crate) fn has_staged(&self, position: SeqNo) -> bool {
        (self.committed..self.ledger.next()).contains(&position.0)
    }

    fn stage_append(&mut self, append: &Append) -> Result<Appended, LogError> {
        self.check()?;
        match self.ledger.admit(append, self.options.limits())? {
            Admission::Duplicate(appended) => Ok(appended),
            Admission::Fresh(_) => self.lay(append.term, append.producer, &append.batch),
        }
    }

    fn stage_copy(
        &mut self,
        batch: &RecordBatch,
        under: PrimaryTerm,
    ) -> Result<Appended, LogError> {
        self.check()?;
        match self
            .ledger
            .admit_copy(batch, under, self.options.limits())?
        {
            CopyAdmission::Held => batch.compare(&self.view.read_batches(batch.first, 0)?),
            CopyAdmission::Fresh => self.lay(batch.term, batch.producer, &batch.payloads),
        }
    }

    /// Lays the bytes of an admitted batch ready behind those that are staged.
    fn lay(
        &mut self,
        term: PrimaryTerm,
        producer: Option<ProducerSequence>,
        payloads: &[Bytes],
    ) -> Result<Appended, LogError> {
        let base = self.prepare()?;
        let header = BatchHeader {
            num_records: payloads.len() as u32,
            first: self.ledger.next(),
            term,
            body_bytes: (payload_bytes(payloads) + RECORD_HEADER_BYTES * payloads.len()) as u64,
            acknowledged: self.committed,
            chain: self.ledger.chain(),
            producer,
        };
        let StagedBatches { bytes, entries, .. } = &mut self.staged;
        let salt = self.active.as_ref().map_or(0, |active| active.salt);
        bytes.reserve(BATCH_HEADER_BYTES + header.body_bytes as usize);
        entries.push(Entry {
            seq_no: header.first,
            offset: base + bytes.len() as u64,
            left: 0,
        });
        encode_batch(bytes, &header, payloads, salt, |index, at| {
            if index > 0 {
                entries.push(Entry {
                    seq_no: header.first + u64::from(index),
                    offset: base + at as u64,
                    left: header.num_records - index,
                });
            }
        });
        Ok(self.ledger.accept(term, producer, payloads))
    }
}
