//! A coordinator in memory whose entries are those of a test.

use std::sync::Arc;

use async_trait::async_trait;
use gleaner_coordinator::{Coordinator, CoordinatorError, Embedded, ShardEntries};
use gleaner_model::ClusterState;
use tokio::sync::watch;

/// A state in memory, with entries of a test.
pub(crate) struct WithEntries<E> {
    pub(crate) state: Arc<Embedded>,
    pub(crate) entries: Arc<E>,
}

#[async_trait]
impl<E: ShardEntries + 'static> Coordinator for WithEntries<E> {
    fn state(&self) -> Arc<ClusterState> {
        self.state.state()
    }

    async fn latest(&self) -> Result<Arc<ClusterState>, CoordinatorError> {
        self.state.latest().await
    }

    fn watch(&self) -> watch::Receiver<Arc<ClusterState>> {
        self.state.watch()
    }

    fn entries(&self) -> Option<Arc<dyn ShardEntries>> {
        Some(Arc::clone(&self.entries) as _)
    }

    async fn compare_and_swap(
        &self,
        expected: u64,
        next: ClusterState,
    ) -> Result<Arc<ClusterState>, CoordinatorError> {
        self.state.compare_and_swap(expected, next).await
    }
}
