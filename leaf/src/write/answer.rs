//! What a call to write is answered, and what of it is counted.
//!
//! Called by: [`crate::write`], for a call alone and for calls that were gathered.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use gleaner_proto::LeafFault;
use gleaner_proto::write::{WriteAnswer, WriteFault, WriteOutcome, WriteResult};

use crate::copy::shard::Shard;

/// Returns the answer to a call of `num_items` of which `told` is known, and for the others that `fault`
/// kept them from being written.
pub(super) fn answer_of(
    mut told: Vec<Result<WriteOutcome, WriteFault>>,
    num_items: usize,
    fault: Option<&LeafFault>,
) -> Result<WriteAnswer, LeafFault> {
    if let Some(fault) = fault {
        if told.is_empty() {
            return Err(fault.clone());
        }
        // What batches before it did stays done, and is told.
        told.resize(num_items, Err(WriteFault::Shard(fault.clone())));
    }
    Ok(WriteAnswer {
        items: told,
        duplicate: false,
    })
}

/// A call, as far as it is counted.
#[derive(Clone, Copy)]
pub(super) struct SentCall {
    /// Of its items, as they were sent.
    pub(super) bytes: usize,
    pub(super) began: Instant,
}

/// Counts what a call came to; one that the shard did not take is none.
pub(super) fn count(shard: &Shard, answer: &Result<WriteAnswer, LeafFault>, sent: SentCall) {
    let Ok(answer) = answer else {
        return;
    };
    let counters = &shard.counters;
    let mut is_over = false;
    for item in &answer.items {
        let counter = match item.as_ref().map(|outcome| outcome.result) {
            Ok(WriteResult::Created | WriteResult::Updated) => &counters.index,
            Ok(WriteResult::Deleted | WriteResult::NotFound) => &counters.delete,
            Ok(WriteResult::Noop) => &counters.noop,
            // It is sent again.
            Err(WriteFault::Unagreed { .. }) => continue,
            Err(_) => &counters.index_failed,
        };
        counter.fetch_add(1, Relaxed);
        is_over = true;
    }
    if is_over {
        counters.bulk.fetch_add(1, Relaxed);
        counters.bulk_bytes.fetch_add(sent.bytes as u64, Relaxed);
    }
    counters
        .index_us
        .fetch_add(sent.began.elapsed().as_micros() as u64, Relaxed);
}
