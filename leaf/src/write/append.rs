//! A batch on its way: queued in the log in order, durable, applied to the index.
//!
//! Does: what needs no lock on the primary, after [`enqueue`]. Does not: plan, or remember versions.
//! Called by: [`crate::write`]. Read first: [`enqueue`].

use std::sync::Arc;
use std::task::Poll;

use futures::future::BoxFuture;
use gleaner_log::{Append, Appended, LogError, ProducerSequence};
use gleaner_model::{Operation, SeqNo};
use gleaner_proto::LeafFault;

use super::{INLINE_BYTES, INLINE_ITEMS, stopped};
use crate::fault::log_fault;
use crate::growth::bytes_of;
use crate::shard::{Primary, Shard};

/// What becomes of a batch in the log.
pub(super) type Appending = BoxFuture<'static, Result<Appended, LogError>>;

/// Hands the batch to the log in order: the first poll queues it, before the primary is unlocked.
///
/// # Errors
/// When the log does not take it at all.
pub(super) fn enqueue(
    shard: &Arc<Shard>,
    primary: &Primary,
    operations: &[Operation],
    producer: Option<ProducerSequence>,
) -> Result<Appending, LogError> {
    let append = Append {
        shard: shard.key,
        term: primary.term,
        expected_last: primary.next.0.checked_sub(1).map(SeqNo),
        producer,
        batch: operations.iter().map(Operation::encode).collect(),
    };
    let log = Arc::clone(&shard.log);
    let mut appending: Appending = Box::pin(async move { log.append(append).await });
    let waker = futures::task::noop_waker_ref();
    match appending
        .as_mut()
        .poll(&mut std::task::Context::from_waker(waker))
    {
        Poll::Ready(Err(error @ (LogError::TooLarge { .. } | LogError::Busy))) => Err(error),
        Poll::Ready(outcome) => Ok(Box::pin(async move { outcome })),
        Poll::Pending => Ok(appending),
    }
}

/// Waits until the batch is durable, and applies it.
pub(super) async fn finish(
    shard: &Arc<Shard>,
    append: Appending,
    first: SeqNo,
    operations: Vec<Operation>,
) -> Result<(), LeafFault> {
    let appended = append.await.map_err(|error| {
        if let LogError::Poisoned { .. } = error {
            shard.lose_log(&error);
        }
        log_fault(shard.key, &error)
    })?;
    if appended.first != first {
        let reason = format!(
            "the log took the batch at {} instead of {first}",
            appended.first
        );
        return Err(LeafFault::Indeterminate {
            shard: shard.key,
            reason,
        });
    }
    let applied = apply(shard, first, operations, appended.last.next()).await;
    // The write is durable; only this copy cannot show it.
    applied.map_err(|reason| stopped(shard, &reason))
}

/// Applies durable operations that end before `next`: at once when they are few and nothing is in
/// the way, else on a thread that may block.
async fn apply(
    shard: &Arc<Shard>,
    first: SeqNo,
    operations: Vec<Operation>,
    next: SeqNo,
) -> Result<(), Arc<str>> {
    let is_small = operations.len() <= INLINE_ITEMS
        && operations.iter().map(bytes_of).sum::<u64>() <= INLINE_BYTES as u64;
    let left = if is_small {
        shard.applier.offer_now(first, operations)?
    } else {
        Some(operations)
    };
    if let Some(operations) = left {
        let applying = Arc::clone(shard);
        let offer = move || applying.applier.offer(first, operations);
        match tokio::task::spawn_blocking(offer).await {
            Ok(applied) => applied?,
            Err(error) => {
                return Err(shard.applier.stop(&format!("applying failed: {error}")));
            }
        }
    }
    shard.applier.wait_applied(next).await
}
