//! The life of a write: order → log → durable → answer, and apply.
//!
//! ```text
//! gather     small calls that come together are written as one     (gather.rs)
//! lock the primary
//!   map      take a mapping over that was agreed meanwhile, first     (mapping.rs)
//!   block    refuse what a block of the index keeps out by now          (blocks.rs)
//!   plan     decide versions and conflicts, build the operations        (plan.rs)
//!   queue    hand the batch to the log, in order; remember the versions
//! unlock     the next request may be ordered while this one becomes durable
//!   await    the log's fsync, shared by all who wait
//!   apply    in the order of seq_nos; a refresh that is under way is not waited for
//! answer     a small batch; a large one, and any when much waits, once it is applied
//! ```
//!
//! From `queue` on the work is a task of its own, and for gathered calls all of it is: a client that goes
//! away leaves no gap between log and index. A client that goes away before that cancels its write. When an append fails, what the log holds is read again before
//! the next write. The mark that asks for it is set without the primary's lock: whoever reads the log
//! again holds that lock and waits until nobody is in flight.

mod again;
mod answer;
mod append;
mod blocks;
pub(crate) mod condition;
mod contents;
mod enter;
mod gather;
mod learnt;
mod plan;
mod queue;

use std::sync::Arc;

use gleaner_log::ProducerSequence;
use gleaner_model::{Operation, OperationKind, PrimaryTerm, SeqNo};
use gleaner_proto::LeafFault;
use gleaner_proto::write::{RefusedItem, WriteAnswer, WriteFault, WriteItem, WriteOutcome};
use tokio::sync::OwnedMutexGuard;

use crate::Leaf;
use crate::fault::log_fault;
use crate::idempotency::EarlierAnswer;
use crate::pipeline::InFlight;
use crate::shard::{Primary, Shard};
pub(crate) use again::MAX_AGAIN;
use append::{Batch, finish};
pub(crate) use gather::Gathering;
pub(crate) use learnt::{Bringing, Learnt};
use plan::{Plan, PlanStep};
use queue::Taken;
pub(crate) use queue::{ShardRoom, WriteQueue};

/// Times that a request is planned: its documents may bring new fields, and what it updates may have
/// to be read from the log.
const MAX_ROUNDS: usize = 32;

/// Bytes of documents up to which a batch is small: planning stays on the calling thread, and it is answered
/// when it is durable.
const SMALL_BYTES: usize = 32 << 10;

/// Items up to which it is: each may look its id up in every segment, some microseconds.
const SMALL_ITEMS: usize = 32;

/// Bytes of documents after which a batch ends: updates of a few bytes may make large documents.
pub(crate) const BATCH_BYTES: usize = 32 << 20;

/// Bytes of documents that the one batch of a request with an idempotency key may make: the log takes no
/// larger one.
const WHOLE_BYTES: usize = 4 * BATCH_BYTES;

/// The part of the version map's bound up to which it keeps documents: what is read or updated again
/// soon after it was written.
const KEPT_SHARE: usize = 16;

impl Leaf {
    /// Writes items, in one batch or several, and adds what became of them to `outcomes`; returns the
    /// answer of a request that was answered before. `first` is the primary, where the caller has locked it
    /// to order the first batch.
    async fn write_batches(
        &self,
        shard: &Arc<Shard>,
        call: &WriteBatches,
        mut first: Option<OwnedMutexGuard<Primary>>,
        outcomes: &mut Vec<Result<WriteOutcome, WriteFault>>,
    ) -> Result<Option<WriteAnswer>, LeafFault> {
        let items = &call.items;
        let mut learnt = Learnt::of(&call.refused);
        let mut num_rounds = 0;
        while num_rounds < MAX_ROUNDS {
            num_rounds += 1;
            let mut primary = match first.take() {
                Some(primary) => primary,
                None => self.primary_to_order(shard, call.term).await?,
            };
            if let Some(producer) = call.producer {
                let asked = self.answered_before(shard, primary, producer, items);
                match asked.await? {
                    EarlierAnswer::Before(answer) => return Ok(Some(answer)),
                    EarlierAnswer::New(guard) => primary = guard,
                }
            }
            if let Some(fault) = self.block_of(shard) {
                outcomes.resize(items.len(), Err(fault));
                return Ok(None);
            }
            let work = Work {
                items: Arc::clone(items),
                from: outcomes.len(),
                is_whole: call.producer.is_some(),
                learnt: learnt.clone(),
                bytes: call.bytes,
            };
            let (guard, planned) = plan(shard, primary, work, self.options.clock).await?;
            let num_before = outcomes.len();
            match planned {
                PlanStep::NeedsFields(unmapped) if call.asks_fields => {
                    outcomes.extend(unmapped.unagreed(items.len() - num_before));
                    return Ok(None);
                }
                PlanStep::NeedsFields(unmapped) => {
                    drop(guard);
                    let refused = self.agree_on_fields(shard, call, unmapped.documents);
                    learnt.refused.extend(refused.await?);
                }
                PlanStep::NeedsContents(positions) => {
                    drop(guard);
                    let contents = self.contents_at(shard, &positions, BATCH_BYTES).await?;
                    learnt.contents.extend(contents);
                }
                PlanStep::Ready(plan) if plan.operations.is_empty() && call.producer.is_none() => {
                    let ordered = guard.next;
                    let num_readings = shard.pipeline.state().num_readings;
                    drop(guard);
                    // The answer rests on writes that may not be durable yet.
                    if shard.has_settled(ordered, num_readings).await {
                        outcomes.extend(plan.outcomes);
                    }
                }
                PlanStep::Ready(mut plan) => {
                    if let Some(producer) = call.producer {
                        self.name_batch(shard, &guard, (producer, &items[..]), &mut plan)?;
                    }
                    let how = CarryOptions {
                        producer: call.producer,
                        room: Some(Arc::clone(&call.room)),
                        is_awaited: false,
                        is_own_task: call.is_own_task,
                    };
                    outcomes.extend(self.carry_out(shard, guard, plan, how).await?);
                }
            }
            if outcomes.len() == items.len() {
                return Ok(None);
            }
            if outcomes.len() > num_before {
                learnt.note_answered(outcomes);
                num_rounds = 0;
            }
        }
        let reason = "the mapping, or the documents to update, kept changing while it was planned";
        Err(LeafFault::Internal {
            shard: shard.key,
            reason: reason.to_owned(),
        })
    }

    /// Adds the fields of documents to the mapping; returns those that are refused.
    async fn agree_on_fields(
        &self,
        shard: &Arc<Shard>,
        call: &WriteBatches,
        documents: Vec<Bringing>,
    ) -> Result<Vec<(Bringing, WriteFault)>, LeafFault> {
        match call.producer {
            // What is answered would be answered again.
            Some(_) => self.add_fields(shard, &documents).await,
            None => self.bring_fields(shard, documents).await,
        }
    }

    /// Makes the batch of a request one that is answered again: its answer is noted, and the log gets
    /// something to know it by, also when there is nothing to write.
    ///
    /// # Errors
    /// When the plan leaves out some of the request's items: it is known by one batch.
    fn name_batch(
        &self,
        shard: &Arc<Shard>,
        primary: &Primary,
        (producer, items): (ProducerSequence, &[WriteItem]),
        plan: &mut Plan,
    ) -> Result<(), LeafFault> {
        if plan.outcomes.len() < items.len() {
            return Err(LeafFault::TooLarge {
                reason: format!(
                    "updates under one idempotency key make more than [{WHOLE_BYTES}] bytes of documents, \
                     none of them was written: send fewer in one request"
                ),
            });
        }
        if plan.operations.is_empty() {
            let nothing = self.own_operation(shard, primary.term, OperationKind::NoOp);
            plan.operations.push(nothing);
        }
        self.answers
            .note((shard.key, producer), primary.next, items, &plan.outcomes);
        Ok(())
    }

    /// Returns an operation that no client asked for.
    fn own_operation(&self, shard: &Shard, term: PrimaryTerm, kind: OperationKind) -> Operation {
        Operation {
            term,
            mapping: shard.index.load().mapping.version,
            timestamp_ms: (self.options.clock)(),
            kind,
        }
    }

    /// Locks the primary when it is fit to order writes, under no older mapping than the newest that is known
    /// here.
    pub(crate) async fn primary_to_order(
        &self,
        shard: &Arc<Shard>,
        asked: PrimaryTerm,
    ) -> Result<OwnedMutexGuard<Primary>, LeafFault> {
        loop {
            let mut primary = self.primary_with_room(shard).await?;
            self.prepare(shard, &mut primary, asked).await?;
            if !shard.lacks_mapping_of(&self.coordinator.state()) {
                return Ok(primary);
            }
            drop(primary);
            // One that cannot be taken over stops the shard.
            shard.take_meta(&self.coordinator).await;
        }
    }

    /// Locks the primary when its version map has room for more; a map far beyond its bound is
    /// first made visible, at the writer's cost.
    async fn primary_with_room(
        &self,
        shard: &Arc<Shard>,
    ) -> Result<OwnedMutexGuard<Primary>, LeafFault> {
        let bound = self.options.unseen_bytes;
        let primary = Arc::clone(&shard.primary).lock_owned().await;
        if primary.versions.bytes() > bound {
            shard.refresh_wanted.notify_one();
        }
        if primary.versions.bytes() <= bound.saturating_mul(4) {
            return Ok(primary);
        }
        drop(primary);
        self.refresh_shard(shard).await?;
        Ok(Arc::clone(&shard.primary).lock_owned().await)
    }

    /// Makes the primary fit to order writes: open, right term, known tail.
    async fn prepare(
        &self,
        shard: &Arc<Shard>,
        primary: &mut Primary,
        asked: PrimaryTerm,
    ) -> Result<(), LeafFault> {
        if let Some(reason) = shard.applier.failure() {
            return Err(stopped(shard, &reason));
        }
        if primary.is_closed {
            return Err(LeafFault::Recovering {
                shard: shard.key,
                progress: "its copy here is being closed".to_owned(),
            });
        }
        if asked > primary.term {
            return Err(LeafFault::Fenced {
                shard: shard.key,
                current: primary.term,
                asked,
            });
        }
        if shard.pipeline.state().is_uncertain {
            self.resync(shard, primary).await?;
        }
        Ok(())
    }

    /// Queues a plan in the log, waits until it is durable and hands it on to be applied, in a task that outlives the
    /// caller, and so do its operations: the room for them is held until they are applied.
    async fn carry_out(
        &self,
        shard: &Arc<Shard>,
        mut primary: OwnedMutexGuard<Primary>,
        plan: Plan,
        how: CarryOptions,
    ) -> Result<Vec<Result<WriteOutcome, WriteFault>>, LeafFault> {
        let Plan {
            operations,
            prepared,
            outcomes,
            latest,
        } = plan;
        let first = primary.next;
        // What the log did not even take leaves nothing behind.
        let ticket = append::queue(shard, &primary, &operations, how.producer)
            .map_err(|error| log_fault(shard.key, &error))?;
        let in_flight = InFlight::begin(shard);
        primary.next = SeqNo(first.0 + operations.len() as u64);
        for (id, latest) in latest {
            primary.versions.put(id, latest);
        }
        let limit = self.options.unseen_bytes / KEPT_SHARE;
        let durable = shard.applier.next();
        primary.versions.leave_to_log(limit, durable);
        drop(primary);
        let room = how.room;
        let applied = move |is_applied| {
            // First the room: who waits until nothing is in flight may write the next at once.
            drop(room);
            in_flight.end(is_applied);
        };
        let batch = Batch {
            ticket,
            first,
            operations,
            prepared,
            applied: Box::new(applied),
            is_awaited: how.is_awaited,
        };
        if how.is_own_task {
            return finish(shard, batch).await.map(|()| outcomes);
        }
        let finishing = Arc::clone(shard);
        let task = tokio::spawn(async move { finish(&finishing, batch).await });
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
        kind: OperationKind,
    ) -> Result<(), LeafFault> {
        let term = primary.term;
        self.prepare(shard, &mut primary, term).await?;
        let plan = Plan {
            operations: vec![self.own_operation(shard, term, kind)],
            prepared: Vec::new(),
            outcomes: Vec::new(),
            latest: Default::default(),
        };
        let how = CarryOptions {
            producer: None,
            room: None,
            is_awaited: true,
            is_own_task: false,
        };
        let carried = self.carry_out(shard, primary, plan, how);
        carried.await.map(|_| ())
    }
}

/// Returns the fault of a shard that takes no more writes.
pub(crate) fn stopped(shard: &Shard, reason: &str) -> LeafFault {
    LeafFault::Stopped {
        shard: shard.key,
        reason: reason.to_owned(),
    }
}

/// A call, as its batches share it.
struct WriteBatches {
    items: Arc<Vec<WriteItem>>,
    term: PrimaryTerm,
    /// The request's name, when it may be sent again.
    producer: Option<ProducerSequence>,
    /// Of its items, as they were sent.
    bytes: usize,
    room: Arc<Vec<Taken>>,
    /// Who writes them is a task that no caller takes along.
    is_own_task: bool,
    /// A batch that brings fields is not written.
    asks_fields: bool,
    /// Items that the mapping refused before.
    refused: Vec<RefusedItem>,
}

/// How a plan is carried out.
struct CarryOptions {
    producer: Option<ProducerSequence>,
    /// Held until its operations are applied.
    room: Option<Arc<Vec<Taken>>>,
    /// It is answered when applied, not when durable.
    is_awaited: bool,
    /// Who carries it out is a task that no caller takes along.
    is_own_task: bool,
}

/// What is to be planned.
struct Work {
    items: Arc<Vec<WriteItem>>,
    /// Items before it are done.
    from: usize,
    /// They go into one batch: what is sent again is known by one.
    is_whole: bool,
    learnt: Learnt,
    bytes: usize,
}

async fn plan(
    shard: &Arc<Shard>,
    mut primary: OwnedMutexGuard<Primary>,
    work: Work,
    clock: fn() -> i64,
) -> Result<(OwnedMutexGuard<Primary>, PlanStep), LeafFault> {
    let key = shard.key;
    let shard = Arc::clone(shard);
    let is_new =
        |item: &WriteItem| item.is_fresh_id && primary.makers.is_new(&item.id).unwrap_or_default();
    let is_small = work.bytes + work.learnt.content_bytes() <= SMALL_BYTES
        && work.items.len() <= SMALL_ITEMS
        && (work.items.iter().all(is_new) || shard.engine().view().finds_ids_at_once());
    let work = move || {
        let limit = if work.is_whole {
            WHOLE_BYTES
        } else {
            BATCH_BYTES
        };
        let items = (&work.items[work.from..], limit);
        let builder = is_small.then(|| shard.engine().builder());
        let builder = builder.as_deref();
        let planned = plan::plan(
            (&shard, builder),
            &mut primary,
            items,
            &work.learnt,
            clock(),
        );
        planned.map(|planned| (primary, planned))
    };
    if is_small {
        return work();
    }
    let planned = tokio::task::spawn_blocking(work).await;
    planned.unwrap_or_else(|error| {
        Err(LeafFault::Internal {
            shard: key,
            reason: format!("planning the write failed: {error}"),
        })
    })
}

#[cfg(test)]
mod tests;
