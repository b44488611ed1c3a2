//! Indices that are deleted, or closed, while they are read or written.
//!
//! A leaf says then that a shard is not there, as one does that has not heard of a new index. Whether it
//! is the client's affair tells the cluster state; where the one known here has the index, who keeps the
//! state is asked: leaves may hear of a change first.

use std::sync::Arc;
use std::time::Duration;

use gleaner_model::{ClusterState, IndexUuid};
use gleaner_proto::LeafFault;
use tokio::time::timeout;

use crate::RootError;
use crate::cluster::ClusterView;
use crate::deadline::Deadline;
use crate::response::ShardFailure;

/// Longest wait for who keeps the cluster state: without it the failure is told as it is.
const STORE_PATIENCE: Duration = Duration::from_secs(1);

/// What a name stands for that is not to be read any more.
pub(crate) type Refusal = fn(String) -> RootError;

impl ClusterView {
    /// Returns how to refuse the name of an index of which a leaf answered `fault`; `None` where the index
    /// is there, as far as can be told in time.
    pub(crate) async fn refusal(&self, fault: &LeafFault, deadline: Deadline) -> Option<Refusal> {
        // A copy that is being removed says that it is closed, or has stopped, to who waits for it.
        let (LeafFault::NotHere { shard }
        | LeafFault::Recovering { shard, .. }
        | LeafFault::Stopped { shard, .. }) = fault
        else {
            return None;
        };
        let known = refusal_by(&self.state(), shard.index);
        if known.is_some() || !self.is_told(fault) {
            return known;
        }
        let latest = Box::pin(self.latest(deadline)).await?;
        refusal_by(&latest, shard.index)
    }

    /// Returns whether an index of which shards failed is not to be read any more: what the request names
    /// should be looked up again.
    pub(crate) async fn has_vanished(&self, failures: &[ShardFailure], deadline: Deadline) -> bool {
        if failures.is_empty() {
            return false;
        }
        if has_refused(&self.state(), failures) {
            return true;
        }
        if !failures.iter().any(|failure| self.is_told(&failure.fault)) {
            return false;
        }
        match self.latest(deadline).await {
            Some(latest) => has_refused(&latest, failures),
            None => false,
        }
    }

    /// Returns `answer`; where it failed because an index vanished, what looking its name up again fails
    /// with, if it does.
    pub(crate) async fn unless_vanished<T>(
        &self,
        answer: Result<T, RootError>,
        deadline: Deadline,
        look_up: impl FnOnce() -> Result<(), RootError>,
    ) -> Result<T, RootError> {
        if let Err(error) = &answer
            && self.has_vanished(error.failures(), deadline).await
        {
            look_up()?;
        }
        answer
    }

    /// Returns whether a leaf says that a shard is not there. Of one that no leaf is to hold nobody said so:
    /// each of its searches would ask who keeps the state.
    fn is_told(&self, fault: &LeafFault) -> bool {
        match fault {
            LeafFault::NotHere { shard } => !self.leaves.copies(*shard).is_empty(),
            _ => false,
        }
    }

    /// Returns the cluster state in force, where who keeps it answers in time.
    pub(crate) async fn latest(&self, deadline: Deadline) -> Option<Arc<ClusterState>> {
        let patience = deadline.remaining().min(STORE_PATIENCE);
        let asked = timeout(patience, self.coordinator.latest()).await;
        asked.ok()?.ok()
    }
}

fn has_refused(state: &ClusterState, failures: &[ShardFailure]) -> bool {
    let mut failures = failures.iter();
    failures.any(|failure| refusal_by(state, failure.shard.index).is_some())
}

fn refusal_by(state: &ClusterState, index: IndexUuid) -> Option<Refusal> {
    match state.indices.get(&index) {
        None => Some(RootError::IndexNotFound),
        Some(index) if index.is_closed => Some(RootError::IndexClosed),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests;
