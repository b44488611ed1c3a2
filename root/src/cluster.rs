//! What all parts of a root stand on: the cluster state, the leaves, the clock, and what holds by the
//! cluster's settings, or else by this node's options.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gleaner_coordinator::{Coordinator, StoreProblem};
use gleaner_model::{ClusterState, NodeId, NodeMeta};
use gleaner_query::limits::Limits;
use gleaner_query::search::SearchRequest;
use gleaner_query::settings::cluster;

use crate::deadline::Deadline;
use crate::{Leaves, RootOptions};

/// The cluster as a root sees it.
pub struct ClusterView {
    pub(crate) coordinator: Arc<dyn Coordinator>,
    pub(crate) leaves: Arc<dyn Leaves>,
    pub(crate) options: RootOptions,
    pub(crate) clock: fn() -> i64,
    /// When this root began.
    pub(crate) begun: Instant,
}

impl ClusterView {
    /// Returns the newest cluster state known here.
    pub fn state(&self) -> Arc<ClusterState> {
        self.coordinator.state()
    }

    /// Returns what is wrong with where the state is kept, worst first.
    pub fn store_problems(&self) -> Vec<StoreProblem> {
        self.coordinator.store_problems()
    }

    /// Returns where a node is called: as it has registered, else as the state says.
    pub fn address_of(&self, node: &NodeId, meta: &NodeMeta) -> String {
        let entries = self.coordinator.entries();
        let table = entries.map(|entries| Arc::clone(&entries.watch().borrow()));
        let registered = table.and_then(|table| table.address_of(node).cloned());
        registered.map_or_else(|| meta.address.clone(), |address| address.to_string())
    }

    /// Returns the options in force.
    pub fn options(&self) -> &RootOptions {
        &self.options
    }

    /// Returns the leaves.
    pub fn leaves(&self) -> &Arc<dyn Leaves> {
        &self.leaves
    }

    /// Returns the coordinator.
    pub fn coordinator(&self) -> &Arc<dyn Coordinator> {
        &self.coordinator
    }

    /// Returns the time of a request: milliseconds since the epoch.
    pub fn now_ms(&self) -> i64 {
        (self.clock)()
    }

    /// Returns the clock that requests get their time from.
    pub fn clock(&self) -> fn() -> i64 {
        self.clock
    }

    /// Deadline of searches that name none.
    pub fn default_timeout(&self) -> Duration {
        self.time(cluster::DEFAULT_SEARCH_TIMEOUT)
            .unwrap_or(self.options.default_timeout)
    }

    /// Returns by when a search that begins now is to be answered.
    pub(crate) fn deadline_of(&self, request: &SearchRequest) -> Deadline {
        Deadline::after(request.timeout.unwrap_or_else(|| self.default_timeout()))
    }

    /// Longest `keep_alive` of scrolls and points in time.
    pub(crate) fn max_keep_alive(&self) -> Duration {
        self.time(cluster::MAX_KEEP_ALIVE)
            .unwrap_or(self.options.max_keep_alive)
    }

    /// Largest number of buckets in one answer.
    pub(crate) fn max_buckets(&self) -> usize {
        cluster::number(self.state().settings(), cluster::MAX_BUCKETS)
            .unwrap_or(cluster::DEFAULT_MAX_BUCKETS)
    }

    /// Limits on requests.
    pub fn limits(&self) -> Limits {
        cluster::limits(self.state().settings(), self.options.limits)
    }

    fn time(&self, key: &str) -> Option<Duration> {
        cluster::time(self.state().settings(), key)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::admin::{ClusterSettingChanges, SettingChanges};
    use crate::testing::{Fixture, index};

    fn persistent(persistent: SettingChanges) -> ClusterSettingChanges {
        ClusterSettingChanges {
            persistent,
            ..ClusterSettingChanges::default()
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn settings_of_the_cluster_stand_over_the_nodes() {
        let fixture = Fixture::new([index(1, &json!({}))]);
        let root = &fixture.root;
        assert_eq!(root.cluster().max_buckets(), cluster::DEFAULT_MAX_BUCKETS);
        let changes = BTreeMap::from([
            (cluster::MAX_BUCKETS.to_owned(), json!("3")),
            (cluster::MAX_KEEP_ALIVE.to_owned(), json!("1m")),
            (cluster::DEFAULT_SEARCH_TIMEOUT.to_owned(), json!("2s")),
        ]);
        root.admin()
            .put_cluster_settings(&persistent(changes))
            .await
            .expect("put");
        assert_eq!(root.cluster().max_buckets(), 3);
        assert_eq!(root.cluster().default_timeout(), Duration::from_secs(2));
        assert!(
            root.contexts()
                .checked_keep_alive(Duration::from_secs(60))
                .is_ok()
        );
        assert!(
            root.contexts()
                .checked_keep_alive(Duration::from_secs(61))
                .is_err()
        );
        assert_eq!(root.cluster().limits(), Limits::default());
        let changes = BTreeMap::from([(cluster::MAX_CLAUSES.to_owned(), json!("7"))]);
        root.admin()
            .put_cluster_settings(&persistent(changes))
            .await
            .expect("put");
        assert_eq!(root.cluster().limits().clauses, 7);
        let transient = BTreeMap::from([(cluster::MAX_CLAUSES.to_owned(), json!("9"))]);
        let changes = ClusterSettingChanges {
            transient,
            ..ClusterSettingChanges::default()
        };
        let put = root.admin().put_cluster_settings(&changes);
        put.await.expect("put");
        assert_eq!(root.cluster().limits().clauses, 9);
    }
}
