//! Calls to the primary of a shard, wherever that is meanwhile.
//!
//! Where the copies of a shard agree through an entry, another copy takes over when the primary's leaf is gone. A call
//! that surely had no effect is made again then, at the primary that the entry names, until the deadline. Does not:
//! repeat what may have had one. Read first: [`ClusterView::is_repeated`].

use std::time::Duration;

use gleaner_model::{NodeId, ShardKey};
use gleaner_proto::LeafFault;

use crate::cluster::ClusterView;
use crate::deadline::Deadline;
use crate::leaves::LeafHandle;

/// How long until a call that had no effect is made again: a change of primary takes some milliseconds where it is
/// handed over, and the lease of its node where that is gone.
const AGAIN_AFTER: Duration = Duration::from_millis(25);

/// How often it is looked whether a primary that has not answered yet is one still, and how long it has then.
const MOVED_AFTER: Duration = Duration::from_millis(500);

/// What is left of a deadline when a call is not made again: the answer is to come in time.
const LAST_CALL: Duration = Duration::from_millis(100);

impl ClusterView {
    /// Returns the leaf of a shard's primary.
    ///
    /// # Errors
    /// [`LeafFault::NotHere`] while there is none.
    pub(crate) fn primary(&self, shard: ShardKey) -> Result<LeafHandle, LeafFault> {
        let primary = self.leaves.primary(shard);
        primary.ok_or(LeafFault::NotHere { shard })
    }

    /// Waits until another leaf than `node` has been the primary's for a while: what `node` was asked it may never
    /// answer. Waits for ever where copies do not agree through an entry.
    pub(crate) async fn primary_moved(&self, shard: ShardKey, node: &NodeId) {
        if !self.leaves.copies_agree() {
            return std::future::pending().await;
        }
        loop {
            tokio::time::sleep(MOVED_AFTER).await;
            let primary = self.leaves.primary(shard);
            if primary.is_some_and(|primary| primary.node != *node) {
                return tokio::time::sleep(MOVED_AFTER).await;
            }
        }
    }

    /// Returns whether a call to the primary of a shard that failed is to be made again, after a pause: copies agree
    /// through an entry, it had no effect, and there is time.
    pub(crate) async fn is_repeated(
        &self,
        shard: ShardKey,
        fault: &LeafFault,
        deadline: Deadline,
    ) -> bool {
        let is_known = self.state().indices.contains_key(&shard.index);
        let has_time = deadline.remaining() > LAST_CALL;
        let is_repeated =
            self.leaves.copies_agree() && had_no_effect(fault) && is_known && has_time;
        if is_repeated {
            tokio::time::sleep(AGAIN_AFTER).await;
        }
        is_repeated
    }
}

/// Returns whether a call that failed so has surely changed nothing: nobody was reached, or it was not ordered.
fn had_no_effect(fault: &LeafFault) -> bool {
    matches!(
        fault,
        LeafFault::NotHere { .. }
            | LeafFault::Unreachable { .. }
            | LeafFault::Recovering { .. }
            | LeafFault::NotAgreed { .. }
    )
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use serde_json::json;

    use super::*;
    use crate::RootOptions;
    use crate::testing::{Cluster, index, shard};

    async fn is_repeated(fault: &LeafFault, copies_agree: bool, time: Duration) -> bool {
        let cluster = Cluster::new(2, [index(1, &json!({}))], RootOptions::default());
        cluster.leaves_agree.store(copies_agree, Ordering::Relaxed);
        let view = cluster.root.cluster();
        let deadline = Deadline::after(time);
        view.is_repeated(shard(1, 0), fault, deadline).await
    }

    #[tokio::test(start_paused = true)]
    async fn what_had_no_effect_is_asked_again_of_copies_that_agree_while_there_is_time() {
        let long = Duration::from_secs(10);
        let not_here = LeafFault::NotHere { shard: shard(1, 0) };
        assert!(is_repeated(&not_here, true, long).await);
        assert!(!is_repeated(&not_here, false, long).await);
        assert!(!is_repeated(&not_here, true, LAST_CALL).await);
        let unknown = LeafFault::Indeterminate {
            shard: shard(1, 0),
            reason: "the connection broke".to_owned(),
        };
        assert!(!is_repeated(&unknown, true, long).await);
        let deleted = LeafFault::NotHere { shard: shard(9, 0) };
        let cluster = Cluster::new(2, [index(1, &json!({}))], RootOptions::default());
        cluster.leaves_agree.store(true, Ordering::Relaxed);
        let deadline = Deadline::after(long);
        let repeated = cluster
            .root
            .cluster()
            .is_repeated(shard(9, 0), &deleted, deadline);
        assert!(!repeated.await, "there is no such index");
    }
}
