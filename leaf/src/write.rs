//! The life of a write: order → log → durable → answer, and apply.
//!
//! ```text
//! wait       for room; small calls that come together are written as one  (pending.rs)
//! lock the order of writes                                                 (primary.rs)
//!   map      take a mapping over that was agreed meanwhile, first     (copy/schema.rs)
//!   block    refuse what a block of the index keeps out by now          (blocks.rs)
//!   plan     decide versions and conflicts, build the operations        (plan.rs)
//!   queue    hand the batch to the log, in order; remember the versions (append.rs)
//! unlock     the next request may be ordered while this one becomes durable
//!   await    the log's fsync, shared by all who wait
//!   apply    in the order of seq_nos; a refresh that is under way is not waited for
//! answer     a small batch; a large one, and any when much waits, once it is applied
//! ```
//!
//! A plan may find that the mapping lacks fields ([`fields`]), or that it needs documents that only the log
//! has ([`contents`]): then nothing is decided, what is needed is brought, and the request is planned again.
//!
//! All of it runs in a task of the primary: a client that goes away leaves no gap between log and index. A client
//! that goes away before its write was ordered cancels it. When an append fails, what the log holds is read again
//! before the next write ([`resync`]). The mark that asks for it is set without the lock on the order: whoever
//! reads the log again holds that lock and waits until nobody is in flight.

mod again;
mod answer;
pub(crate) mod append;
mod blocks;
pub(crate) mod condition;
pub(crate) mod contents;
mod fields;
pub(crate) mod idempotency;
pub(crate) mod inherited;
pub(crate) mod learnt;
mod pending;
pub(crate) mod plan;
mod primary;
mod queue;
pub(crate) mod refresh;
mod resync;
pub(crate) mod update;
pub(crate) mod versions;
pub(crate) mod writable;

use std::sync::Arc;
use std::time::{Duration, Instant};

use gleaner_log::ProducerSequence;
use gleaner_model::{OperationKind, PrimaryTerm, SeqNo, ShardKey};
use gleaner_proto::LeafFault;
use gleaner_proto::write::{RefusedItem, WriteAnswer, WriteFault, WriteItem, WriteOutcome};
use tokio::sync::OwnedMutexGuard;

use crate::agree::rules::Rule;
use crate::copy::pipeline::InFlight;
pub(crate) use again::MAX_AGAIN;
use append::{Batch, finish};
use idempotency::EarlierAnswer;
use learnt::PlanContext;
pub(crate) use pending::item_bytes;
use plan::{Plan, PlanStep};
pub(crate) use primary::{Primary, WriteOrder, WriteResources};
use queue::Room;
use writable::WritableCopy;

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

/// How long an answer that needs no record of its own waits until it may be told.
const TELLING_PATIENCE: Duration = Duration::from_secs(10);

/// A call, or small calls together, as their batches share it.
struct WriteRequest {
    items: Arc<Vec<WriteItem>>,
    term: PrimaryTerm,
    /// The request's name, when it may be sent again.
    producer: Option<ProducerSequence>,
    /// Of its items, as they were sent.
    bytes: usize,
    room: Arc<Vec<Room>>,
    /// A batch that brings fields is not written.
    asks_fields: bool,
    /// Items that the mapping refused before.
    refused: Vec<RefusedItem>,
}

/// How a plan is carried out.
#[derive(Default)]
pub(crate) struct CarryOptions {
    pub(crate) producer: Option<ProducerSequence>,
    /// Held until its operations are applied.
    pub(crate) room: Arc<Vec<Room>>,
    /// It is answered when applied, not when durable.
    pub(crate) is_awaited: bool,
}

pub(crate) type Outcomes = Vec<Result<WriteOutcome, WriteFault>>;

impl Primary {
    /// Writes items, in one batch or several, and adds what became of them to `outcomes`; returns the
    /// answer of a request that was answered before. The first batch is ordered under `order`; once the
    /// client `has_gone`, no further one is.
    async fn write_batches(
        &self,
        request: &WriteRequest,
        order: OwnedMutexGuard<WriteOrder>,
        outcomes: &mut Outcomes,
        has_gone: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<WriteAnswer>, LeafFault> {
        let items = &request.items;
        let mut learnt = PlanContext::of(&request.refused);
        let mut first = Some(order);
        let mut num_rounds = 0;
        while num_rounds < MAX_ROUNDS {
            num_rounds += 1;
            let mut order = match first.take() {
                Some(order) => order,
                None if has_gone() => return Ok(None),
                None => self.to_order(request.term).await?,
            };
            if let Some(producer) = request.producer {
                match self.answered_before(order, producer, items).await? {
                    EarlierAnswer::Before(answer) => return Ok(Some(answer)),
                    EarlierAnswer::New(guard) => order = guard,
                }
            }
            if let Some(fault) = self.block() {
                outcomes.resize(items.len(), Err(fault));
                return Ok(None);
            }
            let work = Work {
                items: Arc::clone(items),
                from: outcomes.len(),
                is_whole: request.producer.is_some(),
                learnt: learnt.clone(),
                bytes: request.bytes,
            };
            let (order, planned) = self.plan(order, work).await?;
            let num_before = outcomes.len();
            match planned {
                PlanStep::NeedsFields(unmapped) if request.asks_fields => {
                    outcomes.extend(unmapped.unagreed(items.len() - num_before));
                    return Ok(None);
                }
                PlanStep::NeedsFields(unmapped) => {
                    drop(order);
                    let refused = match request.producer {
                        // What is answered would be answered again.
                        Some(_) => self.add_fields(&unmapped.documents).await?,
                        None => self.bring_fields(unmapped.documents).await?,
                    };
                    learnt.refused.extend(refused);
                }
                PlanStep::NeedsContents(positions) => {
                    drop(order);
                    let contents = self.contents_at(&positions, BATCH_BYTES).await?;
                    learnt.contents.extend(contents);
                }
                PlanStep::Ready(plan)
                    if plan.operations.is_empty() && request.producer.is_none() =>
                {
                    // The answer rests on writes that may not be durable yet.
                    if let Some(ordered) = self.settled(order).await {
                        self.wait_to_tell(ordered).await?;
                        outcomes.extend(plan.outcomes);
                    }
                }
                PlanStep::Ready(plan) => {
                    outcomes.extend(self.write_batch(order, request, plan).await?);
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
            shard: self.shard.key,
            reason: reason.to_owned(),
        })
    }

    /// Waits until every write ordered before the call is in the index, or is known not to come there: a small
    /// one is acknowledged once the log has it.
    pub(crate) async fn wait_indexed(&self) {
        let order = self.lock_order().await;
        self.settled(order).await;
    }

    /// Waits until it is known what becomes of all that is in `order`; returns where that ends, if the index has
    /// all of it.
    async fn settled(&self, order: OwnedMutexGuard<WriteOrder>) -> Option<SeqNo> {
        let ordered = order.next;
        let num_readings = self.shard.pipeline.state().num_readings;
        drop(order);
        let has_settled = self.shard.has_settled(ordered, num_readings).await;
        has_settled.then_some(ordered)
    }

    /// Waits until what rests on all that was ordered below `ordered` may be told.
    ///
    /// # Errors
    /// That it is not known in time whether another copy leads.
    async fn wait_to_tell(&self, ordered: SeqNo) -> Result<(), LeafFault> {
        let Some(driver) = self.shard.driver() else {
            return Ok(());
        };
        let until = Instant::now() + TELLING_PATIENCE;
        driver.wait_to_tell(self.term(), ordered, until).await
    }

    /// Carries out a batch of a request.
    async fn write_batch(
        &self,
        order: OwnedMutexGuard<WriteOrder>,
        request: &WriteRequest,
        mut plan: Plan,
    ) -> Result<Outcomes, LeafFault> {
        if let Some(producer) = request.producer {
            self.name_batch(&order, producer, &request.items, &mut plan)?;
        }
        let how = CarryOptions {
            producer: request.producer,
            room: Arc::clone(&request.room),
            is_awaited: false,
        };
        carry_out(&self.shard, order, plan, how).await
    }

    /// Makes the batch of a request one that is answered again: its answer is noted, and the log gets
    /// something to know it by, also when there is nothing to write.
    ///
    /// # Errors
    /// When the plan leaves out some of the request's items: it is known by one batch.
    fn name_batch(
        &self,
        order: &WriteOrder,
        producer: ProducerSequence,
        items: &[WriteItem],
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
            let nothing = self.own_operation(order.term, OperationKind::NoOp);
            plan.operations.push(nothing);
        }
        let request = (self.shard.key, producer);
        (self.shared.answers).note(request, order.next, items, &plan.outcomes);
        Ok(())
    }

    /// Orders one operation that no client asked for, and waits until it is applied.
    async fn write_own(
        &self,
        mut order: OwnedMutexGuard<WriteOrder>,
        kind: OperationKind,
    ) -> Result<(), LeafFault> {
        let term = order.term;
        self.prepare(&mut order, term).await?;
        let plan = Plan {
            operations: vec![self.own_operation(term, kind)],
            ..Plan::default()
        };
        let shard = Arc::clone(&self.shard);
        let carried = tokio::spawn(async move {
            let how = CarryOptions {
                is_awaited: true,
                ..CarryOptions::default()
            };
            carry_out(&shard, order, plan, how).await.map(drop)
        });
        carried.await.unwrap_or_else(|error| {
            let reason = format!("the write's task failed: {error}");
            let shard = self.shard.key;
            Err(LeafFault::Indeterminate { shard, reason })
        })
    }

    /// Plans what comes next of a request, on a thread that may block unless it is small.
    async fn plan(
        &self,
        order: OwnedMutexGuard<WriteOrder>,
        work: Work,
    ) -> Result<(OwnedMutexGuard<WriteOrder>, PlanStep), LeafFault> {
        let shard = Arc::clone(&self.shard);
        let (key, now_ms) = (shard.key, self.node().now_ms());
        let is_small = work.bytes + work.learnt.content_bytes() <= SMALL_BYTES
            && work.items.len() <= SMALL_ITEMS
            && shard.engine().view().finds_ids_at_once();
        let planning = move || {
            let builder = is_small.then(|| shard.engine().builder());
            let batch = plan::PlanBatch {
                items: &work.items[work.from..],
                limit: match work.is_whole {
                    true => WHOLE_BYTES,
                    false => BATCH_BYTES,
                },
                learnt: &work.learnt,
                builder: builder.as_deref(),
                now_ms,
            };
            let planned = plan::plan(&*shard, &order, &batch);
            planned.map(|planned| (order, planned))
        };
        if is_small {
            return planning();
        }
        let planned = tokio::task::spawn_blocking(planning).await;
        planned.unwrap_or_else(|error| {
            Err(LeafFault::Internal {
                shard: key,
                reason: format!("planning the write failed: {error}"),
            })
        })
    }
}

/// Queues a plan in the log, waits until it is durable and hands it on to be applied. It is called in a
/// task that outlives the client. The room for its operations is held until they are applied.
pub(crate) async fn carry_out(
    copy: &Arc<impl WritableCopy>,
    mut order: OwnedMutexGuard<WriteOrder>,
    plan: Plan,
    how: CarryOptions,
) -> Result<Outcomes, LeafFault> {
    let Plan {
        operations,
        prepared,
        outcomes,
        latest,
    } = plan;
    let first = order.next;
    // What the log did not even take leaves nothing behind.
    let queued = append::queue(&**copy, &order, &operations, how.producer)?;
    let in_flight = InFlight::begin(copy.pipeline());
    order.next = SeqNo(first.0 + operations.len() as u64);
    let remembers = !copy
        .driver()
        .is_some_and(|driver| driver.omits(Rule::RememberOrdered));
    if remembers {
        order.versions.put_all(latest);
    }
    let applied = copy.applier().next();
    order.versions.leave_to_log(copy.kept_bytes(), applied);
    drop(order);
    let room = how.room;
    let applied = move |is_applied| {
        // First the room: a write that waits until nothing is in flight may go on at once.
        drop(room);
        in_flight.end(is_applied);
    };
    let batch = Batch {
        queued,
        first,
        operations,
        prepared,
        applied: Box::new(applied),
        is_awaited: how.is_awaited,
    };
    finish(copy, batch).await.map(|()| outcomes)
}

/// How long until batches are looked for again that wait for one that nobody brings.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Waits until the writes under way of a copy that leads no longer have ended: it applies from the log from then on.
pub(crate) async fn end_writes(copy: &impl WritableCopy) {
    // What waits for a batch whose writer was told that nobody knows is applied from the log.
    loop {
        copy.applier().drop_waiting();
        tokio::select! {
            biased;
            () = copy.pipeline().wait_idle() => break,
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
    }
    copy.pipeline().read_again();
}

/// Returns the fault of a shard that takes no more writes.
pub(crate) fn stopped(shard: ShardKey, reason: &str) -> LeafFault {
    LeafFault::Stopped {
        shard,
        reason: reason.to_owned(),
    }
}

/// What is to be planned.
struct Work {
    items: Arc<Vec<WriteItem>>,
    /// Items before it are done.
    from: usize,
    /// They go into one batch: what is sent again is known by one.
    is_whole: bool,
    learnt: PlanContext,
    bytes: usize,
}

#[cfg(test)]
mod tests;
