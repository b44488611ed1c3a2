//! The life of a write: order → log → durable → apply → answer.
//!
//! ```text
//! lock the primary
//!   plan     decide versions and conflicts, build the operations        (plan.rs)
//!   enqueue  hand the batch to the log, in order; remember the versions
//! unlock     the next request may be ordered while this one becomes durable
//!   await    the log's fsync, shared by all who wait
//!   apply    in the order of seq_nos
//! answer
//! ```
//!
//! From `enqueue` on the work is a task of its own: a client that goes away leaves no gap between
//! log and index. When an append fails, what the log holds is read again before the next write.

mod plan;

use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use futures::future::BoxFuture;
use gleaner_log::{Append, Appended, LogError, ProducerSequence};
use gleaner_model::{Operation, PrimaryTerm, SeqNo};
use gleaner_proto::LeafFault;
use gleaner_proto::write::{
    WriteAction, WriteAnswer, WriteCall, WriteFault, WriteItem, WriteOutcome,
};
use tokio::sync::OwnedMutexGuard;

use crate::Leaf;
use crate::fault::log_fault;
use crate::shard::{Primary, Shard};
use plan::{Plan, Planned};

/// Times that a request is planned again because its documents bring new fields.
const MAX_MAPPING_ROUNDS: usize = 32;

/// Bytes of documents below which planning stays on the calling thread.
const INLINE_BYTES: usize = 16 * 1024;

impl Leaf {
    /// Applies writes to one shard; see the module's head.
    pub(crate) async fn write_shard(
        &self,
        shard: &Arc<Shard>,
        call: WriteCall,
    ) -> Result<WriteAnswer, LeafFault> {
        let bytes: usize = call.items.iter().map(item_bytes).sum();
        let capacity = self.options.write_queue_bytes;
        let permits = (bytes.min(capacity) / 64).max(1) as u32;
        let permits = Arc::clone(&self.write_permits).try_acquire_many_owned(permits);
        let Ok(_permits) = permits else {
            metrics::counter!("gleaner_write_rejected_total").increment(1);
            return Err(LeafFault::Rejected {
                queue: "write",
                capacity,
            });
        };
        let started = Instant::now();
        let items = Arc::new(call.items);
        let mut refused = Vec::new();
        for _ in 0..MAX_MAPPING_ROUNDS {
            let mut primary = Arc::clone(&shard.primary).lock_owned().await;
            self.prepare(shard, &mut primary, call.term).await?;
            if let Some(known) = call.idempotency {
                let answered = self.answered_before(shard, known, &items).await?;
                if let Some(answer) = answered {
                    return Ok(answer);
                }
            }
            let work = Work {
                items: Arc::clone(&items),
                refused: refused.clone(),
                bytes,
            };
            let (guard, planned) = plan(shard, primary, work, self.options.clock).await;
            match planned? {
                Planned::NeedsFields(documents) => {
                    drop(guard);
                    refused.extend(self.add_fields(shard, &documents).await?);
                }
                Planned::Ready(plan) => {
                    let producer = call.idempotency.map(|known| ProducerSequence {
                        id: known.producer,
                        sequence: known.sequence,
                    });
                    let items = self.carry_out(shard, guard, plan, producer).await?;
                    count(shard, &items, started);
                    return Ok(WriteAnswer {
                        items,
                        duplicate: false,
                    });
                }
            }
        }
        let reason = "the mapping kept changing while documents with new fields were written";
        Err(LeafFault::Internal {
            shard: shard.key,
            reason: reason.to_owned(),
        })
    }

    /// Makes the primary fit to order writes: right term, known tail.
    async fn prepare(
        &self,
        shard: &Arc<Shard>,
        primary: &mut Primary,
        asked: PrimaryTerm,
    ) -> Result<(), LeafFault> {
        if let Some(reason) = shard.applier.failure() {
            return Err(LeafFault::Stopped {
                shard: shard.key,
                reason,
            });
        }
        if asked > primary.term {
            return Err(LeafFault::Fenced {
                shard: shard.key,
                current: primary.term,
                asked,
            });
        }
        if primary.needs_resync {
            self.resync(shard, primary).await?;
        }
        Ok(())
    }

    /// Enqueues, awaits and applies a plan in a task that outlives the caller.
    async fn carry_out(
        &self,
        shard: &Arc<Shard>,
        mut primary: OwnedMutexGuard<Primary>,
        plan: Plan,
        producer: Option<ProducerSequence>,
    ) -> Result<Vec<Result<WriteOutcome, WriteFault>>, LeafFault> {
        let Plan {
            operations,
            outcomes,
            latest,
        } = plan;
        if operations.is_empty() {
            return Ok(outcomes);
        }
        let first = primary.next;
        let append = enqueue(shard, &primary, &operations, producer);
        primary.next = SeqNo(first.0 + operations.len() as u64);
        for (id, latest) in latest {
            primary.versions.put(id, latest);
        }
        shard.in_flight.send_modify(|count| *count += 1);
        drop(primary);
        let task = {
            let shard = Arc::clone(shard);
            tokio::spawn(async move {
                let outcome = finish(&shard, append, first, operations).await;
                if outcome.is_err() {
                    shard.primary.lock().await.needs_resync = true;
                }
                shard.in_flight.send_modify(|count| *count -= 1);
                outcome
            })
        };
        match task.await {
            Ok(outcome) => outcome.map(|()| outcomes),
            Err(error) => {
                let reason = format!("the write's task failed: {error}");
                Err(LeafFault::Indeterminate {
                    shard: shard.key,
                    reason,
                })
            }
        }
    }

    /// Orders one operation that no client asked for, and waits until it is applied.
    pub(crate) async fn write_own(
        &self,
        shard: &Arc<Shard>,
        mut primary: OwnedMutexGuard<Primary>,
        kind: gleaner_model::OperationKind,
    ) -> Result<(), LeafFault> {
        let term = primary.term;
        self.prepare(shard, &mut primary, term).await?;
        let operation = Operation {
            term,
            mapping: shard.index.load().mapping.version,
            timestamp_ms: (self.options.clock)(),
            kind,
        };
        let plan = Plan {
            operations: vec![operation],
            outcomes: Vec::new(),
            latest: Default::default(),
        };
        self.carry_out(shard, primary, plan, None).await.map(|_| ())
    }
}

type Appending = BoxFuture<'static, Result<Appended, LogError>>;

/// Hands the batch to the log in order: the first poll queues it, before the primary is unlocked.
fn enqueue(
    shard: &Arc<Shard>,
    primary: &Primary,
    operations: &[Operation],
    producer: Option<ProducerSequence>,
) -> Appending {
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
        Poll::Ready(outcome) => Box::pin(async move { outcome }),
        Poll::Pending => appending,
    }
}

async fn finish(
    shard: &Arc<Shard>,
    append: Appending,
    first: SeqNo,
    operations: Vec<Operation>,
) -> Result<(), LeafFault> {
    let appended = append.await.map_err(|error| log_fault(shard.key, &error))?;
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
    let next = appended.last.next();
    let (applying, stopped) = (Arc::clone(shard), shard.key);
    let applied = tokio::task::spawn_blocking(move || applying.applier.offer(first, operations));
    let applied = match applied.await {
        Ok(Ok(())) => shard.applier.wait_applied(next).await,
        Ok(Err(reason)) => Err(reason),
        Err(error) => Err(error.to_string()),
    };
    // The write is durable; only this copy cannot show it.
    applied.map_err(|reason| LeafFault::Stopped {
        shard: stopped,
        reason,
    })
}

/// What is to be planned.
struct Work {
    items: Arc<Vec<WriteItem>>,
    /// Documents whose new fields the mapping could not take.
    refused: Vec<(bytes::Bytes, WriteFault)>,
    bytes: usize,
}

async fn plan(
    shard: &Arc<Shard>,
    primary: OwnedMutexGuard<Primary>,
    work: Work,
    clock: fn() -> i64,
) -> (OwnedMutexGuard<Primary>, Result<Planned, LeafFault>) {
    let shard = Arc::clone(shard);
    let bytes = work.bytes;
    let work = move || {
        let planned = plan::plan(&shard, &primary, &work.items, &work.refused, clock());
        (primary, planned)
    };
    if bytes <= INLINE_BYTES {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(planned) => planned,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

fn item_bytes(item: &WriteItem) -> usize {
    let content = match &item.action {
        WriteAction::Index { source, .. } => source.len(),
        WriteAction::Update(update) => {
            let bytes = |part: &Option<bytes::Bytes>| part.as_ref().map_or(0, bytes::Bytes::len);
            bytes(&update.doc) + bytes(&update.upsert)
        }
        WriteAction::Delete => 0,
    };
    content + item.id.as_str().len() + 64
}

fn count(shard: &Shard, items: &[Result<WriteOutcome, WriteFault>], started: Instant) {
    use std::sync::atomic::Ordering::Relaxed;

    use gleaner_proto::write::WriteResult;
    let counters = &shard.counters;
    for item in items {
        let counter = match item.as_ref().map(|outcome| outcome.result) {
            Ok(WriteResult::Created | WriteResult::Updated) => &counters.index,
            Ok(WriteResult::Deleted | WriteResult::NotFound) => &counters.delete,
            Ok(WriteResult::Noop) => &counters.noop,
            Err(_) => &counters.index_failed,
        };
        counter.fetch_add(1, Relaxed);
    }
    counters
        .index_us
        .fetch_add(started.elapsed().as_micros() as u64, Relaxed);
}
