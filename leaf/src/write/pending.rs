//! Calls that write, on their way in: each waits for room, then a task writes it, with others if it is small.
//!
//! Does: gathers the small calls that a shard gets while the runtime has other work, and writes them
//! together: the order is locked once, the log gets one batch, the index one hand-over. Does not: wait for
//! calls to come; one that is alone goes at once. Called by: the leaf. Read first: [`Primary::write`].
//!
//! A task takes the calls, so that a client that goes away takes no other's along; its own is left out, unless it
//! was ordered already. The task lets everything that is ready run once before it looks: on a runtime that is
//! idle that takes a microsecond, on a busy one the requests that wait to be read are in the batch too.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use gleaner_log::ProducerSequence;
use gleaner_proto::LeafFault;
use gleaner_proto::write::{WriteAction, WriteAnswer, WriteCall, WriteItem};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::answer::{SentCall, answer_of, count};
use super::queue::Room;
use super::{Primary, SMALL_BYTES, SMALL_ITEMS, WriteRequest};
use crate::copy::counters::UnderWay;

/// The calls of a shard that no task has taken yet. While there are any, a task is about to.
#[derive(Default)]
pub(crate) struct PendingWrites(Mutex<VecDeque<PendingWrite>>);

/// A call, with the client that waits for it.
struct PendingWrite {
    call: WriteCall,
    bytes: usize,
    room: Room,
    began: Instant,
    reply: oneshot::Sender<Result<WriteAnswer, LeafFault>>,
}

impl PendingWrite {
    /// Returns whether the call may be written together with others. One that updates may not: what it reads,
    /// makes and returns is bounded for each call. Nor may one that can be sent again, which is known by a
    /// batch of its own, or of which items are refused by their places.
    fn is_small(&self) -> bool {
        let is_update = |item: &WriteItem| matches!(item.action, WriteAction::Update(_));
        let call = &self.call;
        call.idempotency.is_none()
            && call.refused.is_empty()
            && call.items.len() <= SMALL_ITEMS
            && self.bytes <= SMALL_BYTES
            && !call.items.iter().any(is_update)
    }

    fn has_gone(&self) -> bool {
        self.reply.is_closed()
    }
}

impl PendingWrites {
    /// Returns whether tasks have taken all calls.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }

    /// Adds a call; returns whether the caller is to start the task that takes it.
    fn push(&self, write: PendingWrite) -> bool {
        let mut calls = self.0.lock();
        calls.push_back(write);
        calls.len() == 1
    }

    /// Takes the oldest call, and those behind it that may be written with it: small ones, of one term, that
    /// agree in whether they ask about fields. Leaves out those that nobody waits for any more. Returns whether
    /// there are more, for which the caller is to start another task.
    fn take(&self) -> (Vec<PendingWrite>, bool) {
        let mut calls = self.0.lock();
        let mut taken: Vec<PendingWrite> = Vec::new();
        let (mut num_items, mut bytes) = (0, 0);
        while let Some(next) = calls.front() {
            if next.has_gone() {
                calls.pop_front();
                continue;
            }
            num_items += next.call.items.len();
            bytes += next.bytes;
            if let Some(first) = taken.first() {
                let is_full = num_items > SMALL_ITEMS || bytes > SMALL_BYTES;
                let is_alike = first.call.term == next.call.term
                    && first.call.asks_fields == next.call.asks_fields;
                if is_full || !is_alike || !first.is_small() || !next.is_small() {
                    break;
                }
            }
            taken.extend(calls.pop_front());
        }
        (taken, !calls.is_empty())
    }
}

impl Primary {
    /// Applies the writes of a call of `bytes`.
    ///
    /// # Errors
    /// Why nothing of it was written, or why that is not known.
    ///
    /// # Cancel safety
    /// A dropped future leaves the writes undone that were not ordered yet.
    pub(crate) async fn write(
        self: &Arc<Self>,
        call: WriteCall,
        bytes: usize,
    ) -> Result<WriteAnswer, LeafFault> {
        let _running = UnderWay::begin(&self.shard.counters.writes_now);
        let room = self.shared.queue.enter(&self.room, bytes, call.remaining);
        let (reply, answer) = oneshot::channel();
        let write = PendingWrite {
            call,
            bytes,
            room: room.await?,
            began: Instant::now(),
            reply,
        };
        if self.pending.push(write) {
            self.take_pending();
        }
        let lost = |_| {
            let reason = "the write's task failed".to_owned();
            let shard = self.shard.key;
            Err(LeafFault::Indeterminate { shard, reason })
        };
        answer.await.unwrap_or_else(lost)
    }

    /// Starts a task that takes what is pending.
    fn take_pending(self: &Arc<Self>) {
        let primary = Arc::clone(self);
        // In a box: the runtime moves a task several times before and after it runs, and this one is large.
        self.node().spawn(Box::pin(async move {
            tokio::task::yield_now().await;
            let (calls, has_more) = primary.pending.take();
            if has_more {
                primary.take_pending();
            }
            primary.write_together(calls).await;
        }));
    }

    /// Writes calls as one, and answers each. A client that went away before its call was ordered, as at its
    /// deadline, was answered that it may not be written: it is not.
    async fn write_together(&self, mut calls: Vec<PendingWrite>) {
        let Some(first) = calls.first() else {
            return;
        };
        let mut request = WriteRequest::of(&first.call);
        let order = self.to_order(request.term).await;
        calls.retain(|call| !call.has_gone());
        if calls.is_empty() {
            return;
        }
        let mut items = Vec::with_capacity(calls.iter().map(|call| call.call.items.len()).sum());
        let mut rooms = Vec::with_capacity(calls.len());
        let mut clients = Vec::with_capacity(calls.len());
        request.bytes = calls.iter().map(|call| call.bytes).sum();
        for PendingWrite {
            call,
            bytes,
            room,
            began,
            reply,
        } in calls
        {
            clients.push((call.items.len(), SentCall { bytes, began }, reply));
            items.extend(call.items);
            rooms.push(room);
        }
        request.items = Arc::new(items);
        request.room = Arc::new(rooms);
        let mut outcomes = Vec::with_capacity(request.items.len());
        let has_gone = || clients.iter().all(|(_, _, reply)| reply.is_closed());
        let written = match order {
            Ok(order) => {
                let written = self.write_batches(&request, order, &mut outcomes, &has_gone);
                written.await
            }
            Err(fault) => Err(fault),
        };
        // The room first, of what does not wait to be applied: the client that is answered may write the next at once.
        drop(request);
        let fault = match written {
            Ok(None) => None,
            // It is a call by itself, which a client that went away needs no answer to.
            Ok(Some(earlier)) => {
                return clients.into_iter().for_each(|(_, _, reply)| {
                    drop(reply.send(Ok(earlier.clone())));
                });
            }
            Err(fault) => Some(fault),
        };
        let mut outcomes = outcomes.into_iter();
        for (num_items, sent, reply) in clients {
            let outcomes = outcomes.by_ref().take(num_items).collect();
            let answer = answer_of(outcomes, num_items, fault.as_ref());
            count(&self.shard, &answer, sent);
            drop(reply.send(answer));
        }
    }
}

impl WriteRequest {
    /// Returns the request of a call, without its items.
    fn of(call: &WriteCall) -> Self {
        Self {
            items: Arc::default(),
            term: call.term,
            producer: call.idempotency.as_ref().map(|known| ProducerSequence {
                id: known.producer,
                sequence: known.sequence,
            }),
            bytes: 0,
            room: Arc::default(),
            asks_fields: call.asks_fields,
            refused: call.refused.clone(),
        }
    }
}

/// Returns what an item takes of the room for writes, in bytes.
pub(crate) fn item_bytes(item: &WriteItem) -> usize {
    let content = match &item.action {
        WriteAction::Index { source, .. } => source.len(),
        WriteAction::Update(update) => {
            let bytes = |part: &Option<bytes::Bytes>| part.as_ref().map_or(0, bytes::Bytes::len);
            bytes(&update.doc) + bytes(&update.upsert)
        }
        WriteAction::Delete => 0,
    };
    let templates = item.templates.by_field();
    let templates: usize = templates.map(|(path, name)| path.len() + name.len()).sum();
    content + templates + item.id.as_str().len() + 64
}

#[cfg(test)]
mod tests;
