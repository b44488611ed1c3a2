//! Clients of other nodes: the domain's traits over one connection per peer.
//!
//! A call fails within its deadline plus [`GRACE`], whatever the network does; a dropped call is
//! cancelled on the peer. Nothing is sent twice.

mod fault;
mod leaf;
mod leases;
mod line;
mod node;
mod peer;
mod replication;

use std::future::Future;
use std::time::Duration;

use futures::future::BoxFuture;
use gleaner_model::ShardKey;
use tonic::{Response, Status};

pub use leaf::GrpcLeaf;
pub use leases::GrpcGrantor;
pub use node::GrpcNode;
pub use peer::{BadAddress, Peer};

pub(crate) use fault::CallFault;
pub(crate) use peer::over_tcp;

use crate::LeafFault;
use crate::wire::{MAX_MESSAGE_BYTES, Wire};

/// How much longer than its deadline a call is waited for, so that a leaf that answers in time what
/// it has is heard: two trips over a slow network.
pub const GRACE: Duration = Duration::from_millis(25);

/// Time for calls that have no deadline of their own and little to do.
const SHORT_CALL: Duration = Duration::from_secs(10);

/// Time for calls that write what is in memory to disk.
const LONG_CALL: Duration = Duration::from_secs(600);

/// Time for a merge of all segments.
const MERGE_CALL: Duration = Duration::from_secs(6 * 3_600);

/// Returns the status of a call that is larger than the peer would take.
fn too_large(num_bytes: usize) -> Status {
    Status::out_of_range(format!(
        "the call has {num_bytes} bytes, a message at most {MAX_MESSAGE_BYTES}"
    ))
}

/// Returns the place of a call in a trace that is recorded, as it travels.
fn trace_text() -> Option<String> {
    let recorded = gleaner_telemetry::current().recorded();
    recorded.map(|context| context.to_string())
}

/// Waits for an answer.
///
/// In a box: a call of gRPC is some kilobytes, and futures that hold one would be as large.
fn ask<'a, M: Send + 'a>(
    limit: Duration,
    call: impl Future<Output = Result<Response<M>, Status>> + Send + 'a,
) -> BoxFuture<'a, Result<M, CallFault>> {
    Box::pin(async move {
        match tokio::time::timeout(limit, call).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(CallFault::of(&status)),
            Err(_elapsed) => Err(CallFault::Late),
        }
    })
}

/// Returns the answer for one shard.
fn of_shard<T>(
    shard: ShardKey,
    answer: Result<<Result<T, LeafFault> as Wire>::Message, CallFault>,
) -> Result<T, LeafFault>
where
    Result<T, LeafFault>: Wire,
{
    match answer {
        Ok(message) => {
            Result::from_message(message).unwrap_or_else(|error| Err(error.into_fault(shard)))
        }
        Err(fault) => Err(fault.of_shard(shard)),
    }
}

/// Returns the answer for each shard; all fail when the call did.
fn per_shard<T>(
    shards: &[ShardKey],
    answers: Result<Vec<<Result<T, LeafFault> as Wire>::Message>, CallFault>,
) -> Vec<Result<T, LeafFault>>
where
    Result<T, LeafFault>: Wire,
{
    let answers = answers.and_then(|answers| {
        let (num_answers, num_shards) = (answers.len(), shards.len());
        if num_answers == num_shards {
            Ok(answers)
        } else {
            let reason = format!("{num_answers} answers for {num_shards} shards");
            Err(CallFault::Internal(reason))
        }
    });
    match answers {
        Ok(answers) => {
            let both = shards.iter().zip(answers);
            both.map(|(shard, answer)| of_shard(*shard, Ok(answer)))
                .collect()
        }
        Err(fault) => {
            let faults = shards
                .iter()
                .map(|shard| Err(fault.clone().of_shard(*shard)));
            faults.collect()
        }
    }
}
