//! Small writes of many callers as one batch.
//!
//! Does: gathers the calls that a shard gets while the runtime has other work, and writes them together:
//! the primary is locked once, the log gets one batch, the index one hand-over. Does not: wait for calls to
//! come; one that is alone goes at once. Called by: [`crate::write`]. Read first: [`Gathering::join`].
//!
//! A task takes the calls, so that a caller who goes away takes no other's along; its own is left out, unless it
//! was ordered already. It lets everything that is
//! ready run once before it looks: on a runtime that is idle that takes a microsecond, on a busy one the
//! requests that wait to be read are in the batch too.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use gleaner_model::PrimaryTerm;
use gleaner_proto::LeafFault;
use gleaner_proto::write::{WriteAction, WriteAnswer, WriteCall, WriteItem};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::answer::{answer_of, count};
use super::queue::Taken;
use super::{SMALL_BYTES, SMALL_ITEMS, WriteBatches};
use crate::Leaf;
use crate::shard::Shard;

/// The small calls of a shard that no task has taken yet. While there are any, a task is about to.
#[derive(Default)]
pub(crate) struct Gathering(Mutex<VecDeque<Small>>);

/// A small call, with who waits for it.
struct Small {
    items: Vec<WriteItem>,
    term: PrimaryTerm,
    asks_fields: bool,
    bytes: usize,
    room: Taken,
    began: Instant,
    reply: oneshot::Sender<Result<WriteAnswer, LeafFault>>,
}

impl Gathering {
    /// Adds a call; returns whether the caller is to start the task that takes it.
    fn join(&self, call: Small) -> bool {
        let mut calls = self.0.lock();
        calls.push_back(call);
        calls.len() == 1
    }

    /// Takes the oldest calls of one term, that agree in whether they ask about fields, that make a small batch, without those that nobody waits for
    /// any more; returns whether there are more, for
    /// which the caller is to start another task.
    fn take(&self) -> (Vec<Small>, bool) {
        let mut calls = self.0.lock();
        let mut taken: Vec<Small> = Vec::new();
        let (mut num_items, mut bytes) = (0, 0);
        while let Some(call) = calls.front() {
            if call.reply.is_closed() {
                calls.pop_front();
                continue;
            }
            num_items += call.items.len();
            bytes += call.bytes;
            let is_full = num_items > SMALL_ITEMS || bytes > SMALL_BYTES;
            let is_other = taken.first().is_some_and(|first| {
                (first.term, first.asks_fields) != (call.term, call.asks_fields)
            });
            if !taken.is_empty() && (is_full || is_other) {
                break;
            }
            taken.extend(calls.pop_front());
        }
        (taken, !calls.is_empty())
    }
}

/// Returns whether a call may be written together with others. One that updates may not: what it reads,
/// makes and returns is bounded for each call. Nor may one that can be sent again, which is known by a
/// batch of its own, or of which items are refused by their places.
pub(super) fn is_small(call: &WriteCall, bytes: usize) -> bool {
    let is_update = |item: &WriteItem| matches!(item.action, WriteAction::Update(_));
    call.idempotency.is_none()
        && call.refused.is_empty()
        && call.items.len() <= SMALL_ITEMS
        && bytes <= SMALL_BYTES
        && !call.items.iter().any(is_update)
}

impl Leaf {
    /// Writes a small call, with others that come meanwhile.
    pub(super) async fn write_together(
        self: &Arc<Self>,
        shard: &Arc<Shard>,
        call: WriteCall,
        (bytes, room): (usize, Taken),
    ) -> Result<WriteAnswer, LeafFault> {
        let (reply, answer) = oneshot::channel();
        let call = Small {
            items: call.items,
            term: call.term,
            asks_fields: call.asks_fields,
            bytes,
            room,
            began: Instant::now(),
            reply,
        };
        if shard.gathering.join(call) {
            self.gather(Arc::clone(shard));
        }
        let lost = |_| {
            let reason = "the write's task failed".to_owned();
            let shard = shard.key;
            Err(LeafFault::Indeterminate { shard, reason })
        };
        answer.await.unwrap_or_else(lost)
    }

    /// Starts a task that takes what has gathered.
    fn gather(self: &Arc<Self>, shard: Arc<Shard>) {
        let leaf = Arc::clone(self);
        // In a box: the runtime moves a task several times before and after it runs, and this one is large.
        self.spawn(Box::pin(async move {
            tokio::task::yield_now().await;
            let (calls, has_more) = shard.gathering.take();
            if has_more {
                leaf.gather(Arc::clone(&shard));
            }
            leaf.write_gathered(&shard, calls).await;
        }));
    }

    /// Writes calls as one, and answers each. Who went away before it was ordered, as at its deadline, was
    /// told that it may not be written: it is not.
    async fn write_gathered(&self, shard: &Arc<Shard>, mut calls: Vec<Small>) {
        let Some(first) = calls.first() else {
            return;
        };
        let (term, asks_fields) = (first.term, first.asks_fields);
        let ordering = self.primary_to_order(shard, term).await;
        calls.retain(|call| !call.reply.is_closed());
        if calls.is_empty() {
            return;
        }
        let mut items = Vec::with_capacity(calls.iter().map(|call| call.items.len()).sum());
        let mut rooms = Vec::with_capacity(calls.len());
        let mut waiting = Vec::with_capacity(calls.len());
        let bytes = calls.iter().map(|call| call.bytes).sum();
        for call in calls {
            waiting.push((call.items.len(), call.began, call.reply));
            items.extend(call.items);
            rooms.push(call.room);
        }
        let batches = WriteBatches {
            items: Arc::new(items),
            term,
            producer: None,
            bytes,
            room: Arc::new(rooms),
            is_own_task: true,
            asks_fields,
            refused: Vec::new(),
        };
        let mut outcomes = Vec::with_capacity(batches.items.len());
        let fault = match ordering {
            Ok(primary) => {
                let written = self.write_batches(shard, &batches, Some(primary), &mut outcomes);
                written.await.err()
            }
            Err(fault) => Some(fault),
        };
        // The room first, of what does not wait to be applied: who is answered may write the next at once.
        drop(batches);
        let mut outcomes = outcomes.into_iter();
        for (num_items, began, reply) in waiting {
            let told = outcomes.by_ref().take(num_items).collect();
            let answer = answer_of(told, num_items, fault.as_ref());
            count(shard, &answer, began);
            // Who went away needs no answer.
            drop(reply.send(answer));
        }
    }
}

#[cfg(test)]
mod tests;
