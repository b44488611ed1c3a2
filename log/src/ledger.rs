//! The rules of admission to one shard's log, without any file: who may append, where, and whether
//! it was appended before. Shared by all implementations, so that they cannot disagree.

use std::cmp::Ordering;

use bytes::Bytes;
use gleaner_model::{PrimaryTerm, SeqNo};
use twox_hash::XxHash3_64;

use crate::base::{LogBase, LogStart, ProducerSpan};
use crate::batch::{RecordBatch, payload_bytes};
use crate::error::LogError;
use crate::format::BatchHeader;
use crate::producers::Producers;
use crate::shard_log::{Append, Appended, ProducerSequence};
use crate::terms::TermTable;

/// Limits every implementation applies before anything else.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Most payload bytes of one batch.
    pub(crate) max_batch_bytes: usize,
    /// Producers remembered per shard.
    pub(crate) num_producers: usize,
}

/// What admission decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Write the batch, starting at this position.
    Fresh(SeqNo),
    /// It is already there.
    Duplicate(Appended),
}

/// What admission decided about a batch of another copy's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CopyAdmission {
    /// Write it, it goes on where the log ends.
    Fresh,
    /// It begins below the end: compare it with what is held there.
    Held,
}

/// Position, fence, terms, chain and producers of one shard.
///
/// Changes since the last [`Ledger::commit`] can be taken back by [`Ledger::rollback`], for a
/// write that failed.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    next: u64,
    fence: PrimaryTerm,
    terms: TermTable,
    chain: u64,
    producers: Producers,
    undo: Option<Undo>,
}

#[derive(Debug, Clone)]
struct Undo {
    next: u64,
    fence: PrimaryTerm,
    chain: u64,
    producers: Vec<(u128, Option<ProducerSpan>)>,
}

impl Ledger {
    /// Starts a log without records.
    pub(crate) fn new(begin: &LogStart, limits: Limits) -> Self {
        let mut producers = Producers::new(limits.num_producers);
        for span in &begin.base.producers {
            producers.insert(*span);
        }
        producers.evict();
        Self {
            next: begin.at.0,
            fence: begin.fence.max(begin.base.term.unwrap_or_default()),
            terms: TermTable::new(begin.base.term),
            chain: begin.base.chain,
            producers,
            undo: None,
        }
    }

    /// Position of the next record: as many records as were ever accepted.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// The last seq_no, `None` for an empty log.
    pub(crate) fn tail(&self) -> Option<SeqNo> {
        self.next.checked_sub(1).map(SeqNo)
    }

    /// The term below which appends are refused.
    pub(crate) fn fence(&self) -> PrimaryTerm {
        self.fence
    }

    /// Hash over all records accepted so far.
    pub(crate) fn chain(&self) -> u64 {
        self.chain
    }

    /// Where terms begin.
    pub(crate) fn terms(&self) -> &TermTable {
        &self.terms
    }

    /// Returns what is known of the records before `at`, when the chain hash over them is `chain`.
    pub(crate) fn base_at(&self, at: SeqNo, chain: u64) -> LogBase {
        LogBase {
            term: self.terms.before(at),
            chain,
            producers: self.producers.before(at),
        }
    }

    /// Returns where a producer's append stands, if it is remembered.
    pub(crate) fn produced(&self, producer: ProducerSequence) -> Option<Appended> {
        let span = self.producers.get(producer.id)?;
        (span.sequence == producer.sequence).then(|| span.appended())
    }

    /// Decides about an append without changing anything.
    pub(crate) fn admit(&self, append: &Append, limits: Limits) -> Result<Admission, LogError> {
        check_size(&append.batch, limits)?;
        self.check_term(append.term)?;
        if let Some(producer) = append.producer
            && let Some(span) = self.producers.get(producer.id)
        {
            if producer.sequence == span.sequence {
                return Ok(Admission::Duplicate(span.appended()));
            }
            if producer.sequence < span.sequence {
                return Err(LogError::StaleProducer {
                    sequence: producer.sequence,
                    last: span.sequence,
                });
            }
        }
        if append.expected_last.is_some() && append.expected_last != self.tail() {
            return Err(LogError::SeqMismatch { last: self.tail() });
        }
        Ok(Admission::Fresh(SeqNo(self.next)))
    }

    /// Decides about a batch of another copy's log, whose primary has the term `under`, without changing anything.
    pub(crate) fn admit_copy(
        &self,
        batch: &RecordBatch,
        under: PrimaryTerm,
        limits: Limits,
    ) -> Result<CopyAdmission, LogError> {
        check_size(&batch.payloads, limits)?;
        self.check_term(under)?;
        if under > self.fence {
            let (term, fence) = (under, self.fence);
            return Err(LogError::NotAdopted { term, fence });
        }
        let (first, next) = (batch.first, SeqNo(self.next));
        match first.cmp(&next) {
            Ordering::Less => return Ok(CopyAdmission::Held),
            Ordering::Greater => return Err(LogError::Gap { first, next }),
            Ordering::Equal => {}
        }
        let (term, last) = (batch.term, self.terms.last());
        if term > under || Some(term) < last {
            return Err(LogError::TermOrder { term, last, under });
        }
        Ok(CopyAdmission::Fresh)
    }

    /// Takes an admitted batch in: moves position and chain, raises the fence to its term and
    /// remembers its producer.
    pub(crate) fn accept(
        &mut self,
        term: PrimaryTerm,
        producer: Option<ProducerSequence>,
        payloads: &[Bytes],
    ) -> Appended {
        let first = self.next;
        self.begin();
        for payload in payloads {
            self.chain = chain_after(self.chain, SeqNo(self.next), term, payload);
            self.next += 1;
        }
        self.fence = self.fence.max(term);
        self.terms.push(term, SeqNo(first));
        let last = self.next - 1;
        if let Some(producer) = producer {
            let span = span(producer, first, last);
            let before = self.producers.insert(span);
            if let Some(undo) = &mut self.undo {
                undo.producers.push((producer.id, before));
            }
        }
        Appended {
            first: SeqNo(first),
            last: SeqNo(last),
            duplicate: false,
        }
    }

    /// Takes in a batch found in a file; `chain` is the hash after it.
    pub(crate) fn replay(&mut self, batch: &BatchHeader, chain: u64) {
        self.next = batch.next();
        self.chain = chain;
        self.fence = self.fence.max(batch.term);
        self.terms.push(batch.term, SeqNo(batch.first));
        if let Some(producer) = batch.producer {
            let span = span(producer, batch.first, self.next - 1);
            self.producers.insert(span);
            self.producers.evict();
        }
    }

    /// Sets the fence as found in a file.
    pub(crate) fn restore_fence(&mut self, term: PrimaryTerm) {
        self.fence = term;
    }

    /// Makes what was accepted final.
    pub(crate) fn commit(&mut self) {
        self.undo = None;
        self.producers.evict();
    }

    /// Takes back everything accepted since the last commit.
    pub(crate) fn rollback(&mut self) {
        let Some(undo) = self.undo.take() else { return };
        self.next = undo.next;
        self.terms.truncate(SeqNo(undo.next));
        self.fence = undo.fence;
        self.chain = undo.chain;
        for (id, before) in undo.producers.into_iter().rev() {
            self.producers.restore(id, before);
        }
    }

    /// Forgets the records behind those of `rest`, which has read again what is left. The fence stays.
    pub(crate) fn cut(&mut self, rest: Self) {
        self.terms.truncate(SeqNo(rest.next));
        self.next = rest.next;
        self.chain = rest.chain;
        self.producers = rest.producers;
    }

    /// Forgets the records before `first`.
    pub(crate) fn trim(&mut self, first: SeqNo) {
        self.terms.trim(first);
    }

    /// Raises the fence.
    pub(crate) fn raise_fence(&mut self, term: PrimaryTerm) -> Result<(), LogError> {
        self.check_term(term)?;
        self.fence = term;
        Ok(())
    }

    fn check_term(&self, term: PrimaryTerm) -> Result<(), LogError> {
        if term < self.fence {
            return Err(LogError::Fenced {
                current: self.fence,
            });
        }
        Ok(())
    }

    fn begin(&mut self) {
        if self.undo.is_none() {
            self.undo = Some(Undo {
                next: self.next,
                fence: self.fence,
                chain: self.chain,
                producers: Vec::new(),
            });
        }
    }
}

fn span(producer: ProducerSequence, first: u64, last: u64) -> ProducerSpan {
    ProducerSpan {
        id: producer.id,
        sequence: producer.sequence,
        first: SeqNo(first),
        last: SeqNo(last),
    }
}

fn check_size(payloads: &[Bytes], limits: Limits) -> Result<(), LogError> {
    let bytes = payload_bytes(payloads);
    if bytes > limits.max_batch_bytes {
        return Err(LogError::TooLarge {
            bytes,
            limit: limits.max_batch_bytes,
        });
    }
    if payloads.is_empty() {
        return Err(LogError::EmptyBatch);
    }
    Ok(())
}

/// Returns the chain hash after one more record: XXH3-64 over its payload, seeded with XXH3-64
/// over its position and term, seeded with the hash before. Frozen by the golden file.
pub(crate) fn chain_after(chain: u64, seq_no: SeqNo, term: PrimaryTerm, payload: &[u8]) -> u64 {
    let mut head = [0; 16];
    head[..8].copy_from_slice(&seq_no.0.to_le_bytes());
    head[8..].copy_from_slice(&term.0.to_le_bytes());
    let seed = XxHash3_64::oneshot_with_seed(chain, &head);
    XxHash3_64::oneshot_with_seed(seed, payload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard_log::ProducerSequence;
    use gleaner_model::{IndexUuid, ShardKey, ShardNumber};

    const LIMITS: Limits = Limits {
        max_batch_bytes: 1000,
        num_producers: 2,
    };

    fn append(producer: u128, sequence: u64) -> Append {
        Append {
            shard: ShardKey {
                index: IndexUuid([0; 16]),
                shard: ShardNumber(0),
            },
            term: PrimaryTerm(1),
            expected_last: None,
            producer: Some(ProducerSequence {
                id: producer,
                sequence,
            }),
            batch: vec![Bytes::from_static(b"x")],
        }
    }

    fn accept(ledger: &mut Ledger, append: &Append) {
        ledger.accept(append.term, append.producer, &append.batch);
    }

    #[test]
    fn rollback_forgets_position_chain_fence_and_producer() {
        let mut ledger = Ledger::new(&LogStart::FIRST, LIMITS);
        accept(&mut ledger, &append(1, 1));
        ledger.commit();
        let chain = ledger.chain();
        let mut later = append(1, 2);
        later.term = PrimaryTerm(9);
        accept(&mut ledger, &later);
        accept(&mut ledger, &append(2, 1));
        ledger.rollback();
        assert_eq!(ledger.next(), 1);
        assert_eq!(ledger.chain(), chain);
        assert_eq!(ledger.fence(), PrimaryTerm(1));
        assert_eq!(
            ledger.admit(&append(1, 2), LIMITS).unwrap(),
            Admission::Fresh(SeqNo(1))
        );
        assert!(matches!(
            ledger.admit(&append(1, 1), LIMITS).unwrap(),
            Admission::Duplicate(_)
        ));
        assert_eq!(
            ledger.admit(&append(2, 1), LIMITS).unwrap(),
            Admission::Fresh(SeqNo(1))
        );
    }

    #[test]
    fn commit_forgets_the_producer_that_was_silent_longest() {
        let mut ledger = Ledger::new(&LogStart::FIRST, LIMITS);
        for producer in [1, 2, 1, 3] {
            let sequence = ledger.next();
            accept(&mut ledger, &append(producer, sequence));
        }
        ledger.commit();
        assert!(matches!(
            ledger.admit(&append(1, 2), LIMITS).unwrap(),
            Admission::Duplicate(_)
        ));
        assert!(matches!(
            ledger.admit(&append(2, 1), LIMITS).unwrap(),
            Admission::Fresh(_)
        ));
    }
}
