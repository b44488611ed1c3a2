//! A batch on its way: queued in the log in order, durable, applied to the index.
//!
//! Does: what needs no lock on the primary, after [`queue`]. Does not: plan, or remember versions.
//! Called by: [`crate::write`]. Read first: [`queue`].

use std::sync::Arc;

use gleaner_engine::schema::document::PreparedDocument;
use gleaner_log::{Append, Appended, LogError, ProducerSequence, Ticket};
use gleaner_model::{Operation, PrimaryTerm, SeqNo};
use gleaner_proto::LeafFault;

use super::writable::WritableCopy;
use super::{SMALL_BYTES, SMALL_ITEMS, WriteOrder, stopped};
use crate::agree::driver::{NotOrdered, Ordered};
use crate::agree::rules::Rule;
use crate::copy::applier::{Left, OnApplied};
use crate::copy::bytes_of;
use crate::fault::log_fault;

/// Queues the batch in the log, while the order is locked: batches follow one another there by seq_no.
///
/// # Errors
/// When the log does not take it, or the copy does not lead any more.
pub(super) fn queue(
    copy: &impl WritableCopy,
    order: &WriteOrder,
    operations: &[Operation],
    producer: Option<ProducerSequence>,
) -> Result<Queued, LeafFault> {
    let shard = copy.key();
    let append = Append {
        shard,
        term: order.term,
        expected_last: order.next.0.checked_sub(1).map(SeqNo),
        producer,
        batch: operations.iter().map(Operation::encode).collect(),
    };
    let log_fault = |error: LogError| log_fault(shard, &error);
    let Some(driver) = copy.driver() else {
        let ticket = copy.log().queue(append).map_err(log_fault)?;
        return Ok(Queued::Alone(ticket));
    };
    match driver.order(order.term, append) {
        Ok(ordered) => Ok(Queued::Agreeing(ordered, order.term)),
        Err(NotOrdered::NotPrimary) => Err(LeafFault::NotHere { shard }),
        Err(NotOrdered::Log(error)) => Err(log_fault(error)),
    }
}

/// A batch that is queued in the log.
pub(crate) enum Queued {
    /// No other copy has to confirm it.
    Alone(Ticket),
    /// It is written when it is agreed under this term.
    Agreeing(Ordered, PrimaryTerm),
}

/// Why a batch is not known to be written.
pub(crate) enum Unwritten {
    /// The log did not make it durable.
    Log(LogError),
    /// It is durable elsewhere than it should be, or not agreed: its outcome is unknown.
    Unknown(LeafFault),
}

impl Queued {
    /// Waits until the batch, which is to begin at `first`, is durable and, where other copies have to confirm it, agreed:
    /// from then on it stays.
    pub(crate) async fn written(
        self,
        copy: &impl WritableCopy,
        first: SeqNo,
    ) -> Result<Appended, Unwritten> {
        let (durable, term) = match self {
            Self::Alone(ticket) => (ticket.durable().await, None),
            Self::Agreeing(ordered, term) => (ordered.durable().await, Some(term)),
        };
        let appended = durable.map_err(Unwritten::Log)?;
        if appended.first != first {
            let found = appended.first;
            let reason = format!("the log took the batch at {found} instead of {first}");
            return Err(Unwritten::Unknown(LeafFault::Indeterminate {
                shard: copy.key(),
                reason,
            }));
        }
        if let (Some(term), Some(driver)) = (term, copy.driver())
            && !driver.omits(Rule::AnswerWhenAgreed)
        {
            let agreed = driver.wait_agreed(term, appended.last.next()).await;
            agreed.map_err(Unwritten::Unknown)?;
        }
        Ok(appended)
    }
}

/// Bytes of operations waiting to be applied up to which a small batch is answered as soon as it is
/// durable. Beyond them writers wait, so they are not faster than indexing for long.
const BACKLOG_BYTES: u64 = 8 << 20;

/// A batch on its way, from the log to the index.
pub(super) struct Batch {
    pub(super) queued: Queued,
    pub(super) first: SeqNo,
    pub(super) operations: Vec<Operation>,
    /// What was prepared of their documents, at their places; may be shorter.
    pub(super) prepared: Vec<Option<PreparedDocument>>,
    /// Told once whether they are applied.
    pub(super) applied: OnApplied,
    /// Answered when applied, however small.
    pub(super) is_awaited: bool,
}

/// Waits until the batch is durable, and hands it on to be applied. A small batch is done then; of a
/// large one it is waited for that it is applied.
pub(super) async fn finish(copy: &Arc<impl WritableCopy>, batch: Batch) -> Result<(), LeafFault> {
    let Batch {
        queued,
        first,
        operations,
        prepared,
        applied,
        is_awaited,
    } = batch;
    let written = queued.written(&**copy, first).await;
    let appended = match written {
        Ok(appended) => appended,
        Err(unwritten) => {
            if let Unwritten::Log(error @ LogError::Poisoned { .. }) = &unwritten {
                copy.lose_log(error);
            }
            applied(false);
            return Err(match unwritten {
                Unwritten::Unknown(fault) => fault,
                Unwritten::Log(error) => log_fault(copy.key(), &error),
            });
        }
    };
    // From here on the write is durable; only this copy may not be able to show it.
    let is_small = operations.len() <= SMALL_ITEMS
        && operations.iter().map(bytes_of).sum::<u64>() <= SMALL_BYTES as u64;
    let offered = copy
        .applier()
        .offer_now(first, operations, prepared, applied);
    let stopped = |reason: Arc<str>| stopped(copy.key(), &reason);
    if offered.map_err(stopped)? == Left::ToThread {
        copy.drain();
    }
    if is_small && !is_awaited && copy.applier().waiting_bytes() <= BACKLOG_BYTES {
        return Ok(());
    }
    let applied = copy.applier().wait_applied(appended.last.next());
    applied.await.map_err(stopped)
}
