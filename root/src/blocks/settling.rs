//! Until a block that was set holds: no write comes any more that was taken before.
//!
//! Does: has the primaries wait for the writes under way, and words what they refuse. Does not: set blocks.
//! Called by: `api` after it set one, and by [`crate::ingest`]. Read first: [`Admin::settle_writes`].

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use gleaner_model::{IndexMeta, PrimaryTerm, ShardKey};
use gleaner_proto::LeafFault;
use gleaner_proto::write::{WriteCall, WriteFault};
use tokio::time::timeout;

use super::{Level, check};
use crate::RootError;
use crate::admin::Admin;
use crate::cluster::ClusterView;
use crate::deadline::Deadline;
use crate::visibility::CopyOutcome;

impl Admin {
    /// Waits until no write to `indices` is under way that was taken before the cluster state in force, up to
    /// `limit`; returns what became of that on each primary. Of one that failed, writes under way may still come;
    /// others are refused as soon as it knows the state. Indices that are closed take none.
    pub async fn settle_writes(
        &self,
        indices: &[Arc<IndexMeta>],
        limit: Duration,
    ) -> Vec<CopyOutcome> {
        let deadline = Deadline::after(limit);
        let open = indices.iter().filter(|index| !index.is_closed);
        let settled = open.flat_map(|index| index.shards());
        join_all(settled.map(|shard| self.settle_shard(shard, deadline))).await
    }

    async fn settle_shard(&self, shard: ShardKey, deadline: Deadline) -> CopyOutcome {
        let Some(primary) = self.cluster.leaves.primary(shard) else {
            return CopyOutcome {
                shard,
                node: None,
                outcome: Err(LeafFault::NotHere { shard }),
            };
        };
        let remaining = deadline.remaining();
        let call = WriteCall {
            shard,
            term: PrimaryTerm::default(),
            items: Vec::new(),
            idempotency: None,
            remaining,
            asks_fields: false,
            refused: Vec::new(),
        };
        let settled = timeout(remaining, primary.client.write(call)).await;
        let outcome = match settled {
            Ok(answer) => answer.map(|_| ()),
            Err(_) => Err(LeafFault::DeadlinePassed { shard }),
        };
        CopyOutcome {
            shard,
            node: Some(primary.node.clone()),
            outcome,
        }
    }
}

impl ClusterView {
    /// Returns the index where one of `faults` says that its leaf found it blocked: as the cluster state in
    /// force has it, which may be newer than what is known here.
    pub(crate) async fn blocked(
        &self,
        index: &Arc<IndexMeta>,
        mut faults: impl Iterator<Item = &WriteFault>,
        deadline: Deadline,
    ) -> Option<Arc<IndexMeta>> {
        if !faults.any(|fault| matches!(fault, WriteFault::Blocked { .. })) {
            return None;
        }
        // In a box, as what is rare makes the future of each write large.
        let latest = Box::pin(self.latest(deadline)).await?;
        latest.indices.get(&index.uuid).cloned()
    }
}

/// Returns how a write is refused, in the words of the block where `blocked` still has it.
pub(crate) fn refused_by(blocked: Option<&IndexMeta>, fault: WriteFault) -> RootError {
    let is_blocked = matches!(fault, WriteFault::Blocked { .. });
    let refused = blocked
        .filter(|_| is_blocked)
        .map(|index| check(index, Level::Write));
    match refused {
        Some(Err(error)) => error,
        _ => RootError::from(fault),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{Fixture, index, shard};

    #[tokio::test]
    async fn each_primary_of_an_open_index_is_asked_and_who_fails_is_named() {
        let closed = IndexMeta {
            is_closed: true,
            ..index(2, &json!({}))
        };
        let indices = [index(1, &json!({})), closed];
        let fixture = Fixture::new(indices.clone());
        let fault = LeafFault::NotHere { shard: shard(1, 1) };
        let faults = [(shard(1, 1), fault.clone())];
        fixture.leaf.faults.lock().extend(faults);
        let (indices, hour) = (indices.map(Arc::new), Duration::from_secs(3_600));
        let settled = fixture.root.admin().settle_writes(&indices, hour).await;
        let settled: Vec<_> = settled.into_iter().map(|copy| copy.outcome).collect();
        assert_eq!(settled, [Ok(()), Err(fault)]);
        let asked = fixture.leaf.written.lock();
        let asked: Vec<_> = asked
            .iter()
            .map(|call| (call.shard, call.items.len()))
            .collect();
        assert_eq!(asked, [(shard(1, 0), 0), (shard(1, 1), 0)]);
    }

    #[tokio::test]
    async fn what_a_leaf_found_blocked_is_told_in_the_words_of_the_block() {
        let mut index = index(1, &json!({}));
        let fixture = Fixture::new([index.clone()]);
        let found = || WriteFault::Blocked {
            reason: "by a leaf".to_owned(),
        };
        let deadline = Deadline::after(Duration::from_secs(3_600));
        let of = |faults: Vec<WriteFault>| {
            let (root, index) = (&fixture.root, Arc::new(index.clone()));
            async move {
                root.cluster()
                    .blocked(&index, faults.iter(), deadline)
                    .await
            }
        };
        assert!(of(vec![found()]).await.is_some());
        assert!(of(Vec::new()).await.is_none());
        let lifted = refused_by(Some(&index), found()).to_string();
        assert_eq!(lifted, refused_by(None, found()).to_string());
        index.settings.blocks.read_only = true;
        let told = refused_by(Some(&index), found()).to_string();
        assert!(told.contains("FORBIDDEN/5/index read-only (api)"), "{told}");
    }
}
