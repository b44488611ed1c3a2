//! A root that is cut off from the cluster state.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gleaner_coordinator::{Coordinator, CoordinatorError, Embedded};
use gleaner_model::ClusterState;
use gleaner_root::RootOptions;
use http::StatusCode;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::requests::sent;
use crate::Dialect;
use crate::dialect::tests::root_over;
use crate::options::ApiOptions;
use crate::security::secure;

const MAX_AGE: Duration = Duration::from_secs(300);

/// Keeps the cluster state, and says that it was last heard of a while ago.
struct Silent {
    kept: Embedded,
    unheard_for: Mutex<Duration>,
}

impl Silent {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            kept: Embedded::in_memory(ClusterState::default()),
            unheard_for: Mutex::default(),
        })
    }

    fn set(&self, unheard_for: Duration) {
        *self.unheard_for.lock() = unheard_for;
    }
}

#[async_trait]
impl Coordinator for Silent {
    fn state(&self) -> Arc<ClusterState> {
        self.kept.state()
    }

    async fn latest(&self) -> Result<Arc<ClusterState>, CoordinatorError> {
        self.kept.latest().await
    }

    fn watch(&self) -> watch::Receiver<Arc<ClusterState>> {
        self.kept.watch()
    }

    fn unheard_for(&self) -> Duration {
        *self.unheard_for.lock()
    }

    async fn compare_and_swap(
        &self,
        expected: u64,
        next: ClusterState,
    ) -> Result<Arc<ClusterState>, CoordinatorError> {
        self.kept.compare_and_swap(expected, next).await
    }
}

fn dialect(silent: &Arc<Silent>) -> Dialect {
    let root = root_over(Arc::clone(silent) as _, RootOptions::default());
    let options = ApiOptions {
        security_max_age: MAX_AGE,
        ..ApiOptions::default()
    };
    crate::dialect(root, options, None)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_that_hears_nothing_refuses_requests_with_and_without_a_key() {
    let silent = Silent::new();
    let first = secure(&*silent, 0).await.expect("made");
    let first = first.expect("the first one").encoded();
    let (key, dialect) = (first.as_str(), dialect(&silent));
    let who = ("GET", "/_security/_authenticate");

    silent.set(MAX_AGE);
    let (status, body, _) = sent(&dialect, key, who, "").await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let (status, ..) = sent(&dialect, "", who, "").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);

    silent.set(MAX_AGE + Duration::from_secs(12));
    let expected = "blocked by: [SERVICE_UNAVAILABLE/2/no master]; the cluster state was not heard of for [312s], and \
                    keys are taken for [300s] after it was";
    for (shown, path) in [
        (key, "/_security/_authenticate"),
        ("", "/_security/_authenticate"),
        ("bm9ib2R5OnNlY3JldA==", "/books/_search"),
        (key, "/metrics"),
        (key, "/not/known/at/all"),
    ] {
        let (status, body, _) = sent(&dialect, shown, ("GET", path), "").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(body["error"]["type"], "cluster_block_exception", "{path}");
        assert_eq!(body["error"]["reason"], expected, "{path}");
    }
    let (status, ..) = sent(&dialect, "", ("GET", "/_health/live"), "").await;
    assert_eq!(status, StatusCode::OK, "probes go on");

    silent.set(Duration::ZERO);
    let (status, body, _) = sent(&dialect, key, who, "").await;
    assert_eq!(status, StatusCode::OK, "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_of_a_cluster_without_keys_answers_however_long_it_hears_nothing() {
    let silent = Silent::new();
    silent.set(MAX_AGE * 1_000);
    let (status, body, _) = sent(&dialect(&silent), "", ("GET", "/"), "").await;
    assert_eq!(status, StatusCode::OK, "{body}");
}
