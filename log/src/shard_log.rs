//! The promise every log keeps: [`ShardLog`], and the values it takes and returns.

use std::fmt;
use std::path::PathBuf;
use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use gleaner_model::{PrimaryTerm, SeqNo, ShardKey};

use crate::agreement::Agreement;
use crate::base::{LogBase, LogStart};
use crate::batch::{BatchPage, RecordBatch};
use crate::error::LogError;
use crate::terms::TermTable;

/// Names one append of one producer, so that sending it again cannot double it.
///
/// A producer numbers its appends to one shard upwards and waits for the answer of one before it
/// sends the next; gaps are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProducerSequence {
    /// The producer: random, or the hash of an idempotency key.
    pub id: u128,
    /// Its append, growing per shard.
    pub sequence: u64,
}

/// A batch to append to one shard's log.
#[derive(Debug, Clone)]
pub struct Append {
    /// The shard whose log grows.
    pub shard: ShardKey,
    /// The term of the primary that orders this batch. A term above the fence raises the fence.
    pub term: PrimaryTerm,
    /// The seq_no the caller believes to be the last: the append is refused when another one is.
    /// `None` accepts any tail, also an empty one.
    pub expected_last: Option<SeqNo>,
    /// Makes a repeated append harmless; `None` gives no such protection.
    pub producer: Option<ProducerSequence>,
    /// One payload per seq_no, opaque to the log; at least one.
    pub batch: Vec<Bytes>,
}

impl Append {
    /// Returns the bytes of all payloads together.
    pub fn payload_bytes(&self) -> usize {
        crate::batch::payload_bytes(&self.batch)
    }
}

/// Where a batch stands in its shard's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// seq_no of the first payload.
    pub first: SeqNo,
    /// seq_no of the last payload.
    pub last: SeqNo,
    /// The batch was already in the log under this producer sequence; nothing was written now.
    pub duplicate: bool,
}

/// A batch that a log has queued: its place among the batches of its shard is fixed.
///
/// Whether the batch got there is known once it is [`durable`](Ticket::durable). A ticket that is dropped does not
/// take its batch back: treat its outcome as [`LogError::Indeterminate`].
#[must_use = "only the ticket knows whether the batch becomes durable"]
pub struct Ticket(Pin<Box<dyn Future<Output = Result<Appended, LogError>> + Send>>);

impl Ticket {
    /// Makes the ticket of a batch whose outcome is that of `outcome`, which need not be polled for the batch to get
    /// its place.
    pub fn new(outcome: impl Future<Output = Result<Appended, LogError>> + Send + 'static) -> Self {
        Self(Box::pin(outcome))
    }

    /// Waits until the batch is durable; returns where it stands.
    ///
    /// # Errors
    /// Nothing was appended: [`LogError::EmptyBatch`], [`LogError::Fenced`], [`LogError::StaleProducer`],
    /// [`LogError::SeqMismatch`], [`LogError::DiskFull`]. The batch may or may not be in the log:
    /// [`LogError::Indeterminate`]; send it again with the same producer sequence.
    pub async fn durable(self) -> Result<Appended, LogError> {
        self.0.await
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Ticket")
    }
}

/// One payload of the log with its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its position: 0 for the first ever (or where the log began), then one more per payload,
    /// without gaps.
    pub seq_no: SeqNo,
    /// The term of the primary that ordered it; never falls along the log.
    pub term: PrimaryTerm,
    /// The bytes given to [`ShardLog::queue`].
    pub payload: Bytes,
}

/// A page of consecutive records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadBatch {
    /// Consecutive from the asked position on; empty at the tail, and when that position was
    /// trimmed (then `first_available` is above it: a gap is never skipped in silence).
    pub records: Vec<Record>,
    /// The oldest position still held; the position after the tail when nothing is held.
    pub first_available: SeqNo,
    /// Where the next page starts: ask for it to go on, also when `records` is empty.
    pub next: SeqNo,
}

/// The durable, ordered record of the operations of many shards.
///
/// *Order*: batches of one shard take effect in the order in which they were queued, whoever waits for them first;
/// positions are 0, 1, 2, … without gaps (from another one on after [`ShardLog::begin_at`]), and are used again only
/// after [`ShardLog::truncate`]. *Durability*: what an `Ok` of `durable`, `append`, `fence`, `trim` or `truncate` says
/// survives a crash of the machine. *Atomicity*: after a crash a batch is there whole or not at all. *Visibility*:
/// readers see durable records only. *Damage*: no wrong byte is served and nothing acknowledged is dropped in silence;
/// a shard that cannot hold this answers [`LogError::Corrupt`] to every call but `remove` and `begin_at`, and other
/// shards go on.
///
/// Implementations are shared between threads and must pass
/// [`crate::conformance::suite`].
#[async_trait]
pub trait ShardLog: Send + Sync {
    /// Queues a batch behind all that were queued before, without waiting for anything.
    ///
    /// It is checked when its turn comes, in this order: term against the fence, repeated producer sequence,
    /// expected tail. A shard that was never named is created.
    ///
    /// # Errors
    /// The log does not take the batch, and nothing was appended: [`LogError::TooLarge`], [`LogError::Busy`],
    /// [`LogError::Closed`].
    fn queue(&self, append: Append) -> Result<Ticket, LogError>;

    /// Appends a batch after the last record; returns once it is durable.
    ///
    /// # Errors
    /// Those of [`ShardLog::queue`] and [`Ticket::durable`].
    ///
    /// # Cancel safety
    /// A dropped future may still append: treat its outcome as indeterminate.
    async fn append(&self, append: Append) -> Result<Appended, LogError> {
        self.queue(append)?.durable().await
    }

    /// Queues a batch of another copy's log, to stand here at the same position under the same term, with its
    /// producer. It takes its place among what [`ShardLog::queue`] takes.
    ///
    /// `under` is the term of the primary whose log is copied. It must be the fence, neither below nor above, when
    /// the batch's turn comes; the batch's own term may be an earlier one. A batch that is held already is answered
    /// as a duplicate.
    ///
    /// # Errors
    /// As for [`ShardLog::queue`]. The ticket has those of [`Ticket::durable`] that are not about producers or the
    /// tail, and [`LogError::NotAdopted`], [`LogError::Gap`], [`LogError::TermOrder`], [`LogError::Differs`],
    /// [`LogError::Trimmed`]: nothing was appended.
    fn queue_copy(
        &self,
        shard: ShardKey,
        batch: RecordBatch,
        under: PrimaryTerm,
    ) -> Result<Ticket, LogError>;

    /// Appends a batch of another copy's log; returns once it is durable.
    ///
    /// # Errors
    /// Those of [`ShardLog::queue_copy`] and its ticket.
    ///
    /// # Cancel safety
    /// A dropped future may still append: treat its outcome as indeterminate.
    async fn append_copy(
        &self,
        shard: ShardKey,
        batch: RecordBatch,
        under: PrimaryTerm,
    ) -> Result<Appended, LogError> {
        self.queue_copy(shard, batch, under)?.durable().await
    }

    /// Returns records from `from` on, up to `max_bytes` of payload but at least one if there is one.
    ///
    /// # Errors
    /// [`LogError::Corrupt`] and [`LogError::Io`].
    async fn read(
        &self,
        shard: ShardKey,
        from: SeqNo,
        max_bytes: usize,
    ) -> Result<ReadBatch, LogError>;

    /// Returns whole batches from the one that holds `from` on, up to `max_bytes` of payload but at least one if there
    /// is one. For a copy's log, which must not hold half of a batch.
    ///
    /// # Errors
    /// [`LogError::Corrupt`] and [`LogError::Io`].
    async fn read_batches(
        &self,
        shard: ShardKey,
        from: SeqNo,
        max_bytes: usize,
    ) -> Result<BatchPage, LogError>;

    /// Returns the record at `seq_no`; `None` when it was trimmed or not yet written.
    ///
    /// # Errors
    /// [`LogError::Corrupt`] and [`LogError::Io`].
    async fn read_one(&self, shard: ShardKey, seq_no: SeqNo) -> Result<Option<Record>, LogError>;

    /// Returns the last seq_no, trimmed or not; `None` when nothing was ever appended.
    ///
    /// # Errors
    /// [`LogError::Corrupt`].
    async fn tail(&self, shard: ShardKey) -> Result<Option<SeqNo>, LogError>;

    /// Refuses every later append below `term`, durably; returns the tail.
    ///
    /// Fencing again with the same term is allowed. A shard that was never named is created.
    ///
    /// # Errors
    /// [`LogError::Fenced`] when a newer term already stands.
    async fn fence(&self, shard: ShardKey, term: PrimaryTerm) -> Result<Option<SeqNo>, LogError>;

    /// Gives up records below `below`; returns the oldest position still held.
    ///
    /// That may be less than `below`: an implementation frees what it can free cheaply. Positions
    /// are not used again.
    ///
    /// # Errors
    /// [`LogError::Corrupt`] and [`LogError::Io`].
    async fn trim(&self, shard: ShardKey, below: SeqNo) -> Result<SeqNo, LogError>;

    /// Cuts off the records from `from` on, which another primary has not: durably, and after all that was queued
    /// before. Returns the position of the next record: `from`, or less where a batch stands across it, as that goes
    /// whole; the position after the tail when nothing stands there.
    ///
    /// Terms, producers and the hash are as if those records had never been; the fence stays. After a crash in the
    /// middle the log has them all or none.
    ///
    /// # Errors
    /// Nothing was cut: [`LogError::BelowAgreed`], [`LogError::Trimmed`], [`LogError::Corrupt`],
    /// [`LogError::Poisoned`]; [`LogError::Io`] when the log could not let go of other copies of these records, try
    /// again. The log may be cut or not, and takes no more appends until it is opened again:
    /// [`LogError::Indeterminate`].
    async fn truncate(&self, shard: ShardKey, from: SeqNo) -> Result<SeqNo, LogError>;

    /// Forgets a shard and all of its records: its index was deleted. Also for corrupt shards.
    ///
    /// # Errors
    /// [`LogError::Io`]; the shard may then come back at the next start.
    async fn remove(&self, shard: ShardKey) -> Result<(), LogError>;

    /// Makes the log of `shard` begin at `begin`, without records; what it held is forgotten, fence and producers
    /// too, but not the greatest entry version seen, if the shard could be read.
    ///
    /// For a copy whose files were made elsewhere and hold everything before: with the base that the other log has
    /// there, it knows what that one knows.
    ///
    /// What a damaged shard held may be kept beside for people, until the shard is damaged again or removed.
    ///
    /// Afterwards [`ShardLog::tail`] is the position before it and the next append gets that position.
    /// After a crash in the middle the shard has no log, the one before, or the new one.
    ///
    /// # Errors
    /// [`LogError::DiskFull`] and [`LogError::Io`].
    async fn begin_at(&self, shard: ShardKey, begin: LogStart) -> Result<(), LogError>;

    /// Returns where an append stands that this producer made before; `None` when the log does not
    /// know it, or not any more. Appends queued before the call are counted.
    ///
    /// # Errors
    /// [`LogError::Corrupt`].
    async fn produced(
        &self,
        shard: ShardKey,
        producer: ProducerSequence,
    ) -> Result<Option<Appended>, LogError>;

    /// Notes what the copy has come to know of the agreement with the others; what is less than noted before changes
    /// nothing, and of a shard that was never named nothing is kept.
    ///
    /// It becomes durable beside what does so anyway (an append, a fence, a trim), without a sync of its own: after a
    /// crash an earlier one may be found. Only what the copy has in common with the others may be noted: not before
    /// its log was compared with that of the primary.
    fn note_agreement(&self, shard: ShardKey, agreement: Agreement);

    /// Returns what was noted. Its point is not above the position after the tail; a log that begins at a position
    /// agrees up to there.
    ///
    /// # Errors
    /// [`LogError::Corrupt`].
    fn agreement(&self, shard: ShardKey) -> Result<Agreement, LogError>;

    /// Returns the folder that was put aside, for people, when the shard was damaged. One of them may have removed it since. A log
    /// without files has none.
    fn put_aside(&self, _shard: ShardKey) -> Option<PathBuf> {
        None
    }

    /// Returns what the log knows of the records before `at`, for another log that is to begin there; `None` when
    /// `at` is not between where this log begins and its end.
    ///
    /// Of producers it has those that are remembered and made their last append before `at`.
    ///
    /// # Errors
    /// [`LogError::Corrupt`] and [`LogError::Io`].
    async fn base_at(&self, shard: ShardKey, at: SeqNo) -> Result<Option<LogBase>, LogError>;

    /// Returns where terms begin in the log. Appends queued before the call are counted.
    ///
    /// # Errors
    /// [`LogError::Corrupt`].
    async fn terms(&self, shard: ShardKey) -> Result<TermTable, LogError>;

    /// Returns the hash over all records up to `at`, that one included; `None` when it is not held.
    ///
    /// Two logs that agree on it at some position agree on every record up to there.
    ///
    /// # Errors
    /// [`LogError::Corrupt`] and [`LogError::Io`].
    async fn chain(&self, shard: ShardKey, at: SeqNo) -> Result<Option<u64>, LogError>;
}
