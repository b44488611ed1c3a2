//! A call that writes, on its way in: to an open shard, into the room for it, alone or with others.
//!
//! Does not: order what it writes. Called by: [`crate::client`]. Read first: [`Leaf::write_call`].

use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use gleaner_log::ProducerSequence;
use gleaner_proto::LeafFault;
use gleaner_proto::write::{WriteAction, WriteAnswer, WriteCall, WriteItem};

use super::answer::{answer_of, count};
use super::queue::Taken;
use super::{WriteBatches, gather};
use crate::Leaf;
use crate::shard::Shard;

impl Leaf {
    /// Applies the writes of a call; see the module above. While its shard is being opened, the call waits
    /// as one does that finds no room, and what waits is bounded together.
    pub(crate) async fn write_call(&self, call: WriteCall) -> Result<WriteAnswer, LeafFault> {
        if call.items.is_empty() {
            return Box::pin(self.settle_writes(&call)).await;
        }
        let bytes = call.items.iter().map(item_bytes).sum();
        let mut opening = std::pin::pin!(self.primary_shard(call.shard, call.remaining));
        let shard = match futures::poll!(&mut opening) {
            Poll::Ready(shard) => shard?,
            Poll::Pending => {
                let _waiting = self.writes.wait(bytes)?;
                opening.await?
            }
        };
        let room = self.writes.enter(&shard.room, bytes, call.remaining);
        let room = room.await?;
        if gather::is_small(&call, bytes)
            && let Some(leaf) = self.me.upgrade()
        {
            return leaf.write_together(&shard, call, (bytes, room)).await;
        }
        // In a box: it is large, and who writes a single document would carry it along.
        Box::pin(self.write_alone(&shard, call, (bytes, room))).await
    }

    /// Applies the writes of a call by itself.
    async fn write_alone(
        &self,
        shard: &Arc<Shard>,
        call: WriteCall,
        (bytes, room): (usize, Taken),
    ) -> Result<WriteAnswer, LeafFault> {
        let started = Instant::now();
        let call = WriteBatches {
            items: Arc::new(call.items),
            term: call.term,
            producer: call.idempotency.map(|known| ProducerSequence {
                id: known.producer,
                sequence: known.sequence,
            }),
            bytes,
            room: Arc::new(vec![room]),
            is_own_task: false,
            asks_fields: call.asks_fields,
            refused: call.refused,
        };
        let mut outcomes = Vec::with_capacity(call.items.len());
        let fault = match self.write_batches(shard, &call, None, &mut outcomes).await {
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) => None,
            Err(fault) => Some(fault),
        };
        let answer = answer_of(outcomes, call.items.len(), fault.as_ref());
        count(shard, &answer, started);
        answer
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
