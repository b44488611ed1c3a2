//! The leaves that hold the views of a point in time: kept alive there, and released.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use gleaner_model::{NodeId, ShardKey};
use gleaner_proto::LeafFault;
use gleaner_proto::search::PinnedView;
use tokio::runtime::Handle;
use tokio::time::{timeout, timeout_at};

use crate::RootError;
use crate::deadline::Deadline;
use crate::leaves::LeafHandle;
use crate::point_in_time::Contexts;
use crate::token::PointInTimeState;

/// Longest wait for a leaf to let go of views. One that is not reached lets go by itself when their
/// time is over.
const RELEASE_PATIENCE: Duration = Duration::from_secs(5);

/// Views pinned for a request: when it fails, or its client goes away, they are let go of in the
/// background.
pub(crate) struct ContextGuard<'a> {
    contexts: &'a Contexts,
    state: Option<PointInTimeState>,
}

impl ContextGuard<'_> {
    /// Returns what is pinned.
    pub(crate) fn state(&self) -> &PointInTimeState {
        self.state.as_ref().expect("it is taken by `keep` alone")
    }

    /// Leaves the views pinned: their id is given away.
    pub(crate) fn keep(mut self) {
        self.state = None;
    }
}

impl Drop for ContextGuard<'_> {
    fn drop(&mut self) {
        // Without a runtime the process ends, and the leaves let go of them by themselves.
        if let (Some(state), Ok(runtime)) = (&self.state, Handle::try_current()) {
            runtime.spawn(release_all(self.contexts.holders(state)));
        }
    }
}

/// Releases views; returns how many were still there.
pub(super) async fn release_all(holders: Vec<(LeafHandle, Vec<PinnedView>)>) -> usize {
    let releases = holders.into_iter().map(|(leaf, views)| async move {
        timeout(RELEASE_PATIENCE, leaf.client.release_views(views)).await
    });
    join_all(releases).await.into_iter().flatten().sum()
}

impl Contexts {
    /// Keeps the views of `state` for another `keep_alive`, by one call per leaf.
    ///
    /// # Errors
    /// [`RootError::ContextMissing`] when one of them was released, has expired, or did not survive
    /// a restart: an answer without it would be of another state. Shards that do not answer are left
    /// to the search, which reports them.
    pub(crate) async fn renew(
        &self,
        state: &PointInTimeState,
        deadline: Deadline,
    ) -> Result<(), RootError> {
        // The id says how long; who made it up gets no more than anyone.
        let keep_alive =
            Duration::from_millis(state.keep_alive_ms).min(self.cluster.max_keep_alive());
        let renewals = self.holders(state).into_iter().map(|(leaf, views)| {
            let patience = deadline.gather_by();
            async move { timeout_at(patience, leaf.client.renew_views(views, keep_alive)).await }
        });
        let outcomes = join_all(renewals).await;
        for outcome in outcomes.into_iter().flatten().flatten() {
            if let Err(LeafFault::ViewMissing { shard, .. }) = outcome {
                return Err(RootError::ContextMissing(gleaner_model::names::shown(
                    &shard.index,
                )));
            }
        }
        Ok(())
    }

    /// Releases the views of `state`; returns whether any was still there.
    pub(crate) async fn release(&self, state: &PointInTimeState) -> bool {
        release_all(self.holders(state)).await > 0
    }

    /// Holds the views of `state` for a request.
    pub(crate) fn hold(&self, state: PointInTimeState) -> ContextGuard<'_> {
        ContextGuard {
            contexts: self,
            state: Some(state),
        }
    }

    /// Returns the leaves that hold the views of `state`, each with what it holds. A leaf that is no
    /// member any more is left out.
    fn holders(&self, state: &PointInTimeState) -> Vec<(LeafHandle, Vec<PinnedView>)> {
        let mut holders: BTreeMap<NodeId, (LeafHandle, Vec<PinnedView>)> = BTreeMap::new();
        let views = state.indices.iter().flat_map(|views| state.pinned(views));
        for (shard, node, view) in views {
            let Some(located) = self.holder_of(shard, node.as_ref()) else {
                continue;
            };
            let holder = holders.entry(located.node.clone());
            let holder = holder.or_insert_with(|| (located, Vec::new()));
            holder.1.push(PinnedView {
                shard,
                view,
                holder: state.holder,
                may_be_stale: false,
            });
        }
        holders.into_values().collect()
    }

    /// Returns the copy of `shard` on `node`; the primary where none is named.
    pub(crate) fn holder_of(&self, shard: ShardKey, node: Option<&NodeId>) -> Option<LeafHandle> {
        let copies = self.cluster.leaves.copies(shard);
        let mut copies = copies.iter();
        let is_named = |copy: &&LeafHandle| node.is_none_or(|node| copy.node == *node);
        copies.find(is_named).cloned()
    }
}
