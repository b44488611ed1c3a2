//! Indices deleted or closed in the middle of a request.

use async_trait::async_trait;
use futures::FutureExt as _;
use gleaner_coordinator::{Coordinator, CoordinatorError, Embedded};
use gleaner_model::{NodeId, ShardKey};
use gleaner_query::search::SearchRequest;
use serde_json::json;
use tokio::sync::watch;

use super::*;
use crate::Root;
use crate::leaves::{Copies, Leaves, SingleLeaf};
use crate::plan::Target;
use crate::read::GetRequest;
use crate::response::SearchResponse;
use crate::search::SearchOptions;
use crate::testing::{FakeLeaf, Fixture, NOW_MS, index, shard, state, uuid};
use crate::{LeafHandle, RootOptions};

fn target(expression: &str) -> Target {
    Target {
        expression: Some(expression.to_owned()),
        ..Target::default()
    }
}

async fn searched(root: &Root, expression: &str) -> Result<SearchResponse, RootError> {
    let (target, options) = (target(expression), SearchOptions::default());
    let request = SearchRequest::default();
    root.search(&target, &request, &options).await
}

/// Says of the shards of the first index that they are not there.
fn lose(leaf: &FakeLeaf) {
    let shards = [shard(1, 0), shard(1, 1)];
    let lost = shards.map(|shard| (shard, LeafFault::NotHere { shard }));
    leaf.faults.lock().extend(lost);
}

/// Two indices, of which the first is changed when the leaf is asked, and is not there then.
fn changed_when_asked(change: fn(&mut ClusterState)) -> Fixture {
    let fixture = Fixture::new([index(1, &json!({})), index(2, &json!({}))]);
    let coordinator = Arc::clone(fixture.root.cluster().coordinator());
    let leaf = Arc::downgrade(&fixture.leaf);
    let drawn = move || {
        let known = coordinator.state();
        let mut next = ClusterState::clone(&known);
        change(&mut next);
        let swapped = coordinator.compare_and_swap(known.version, next);
        let swapped = swapped.now_or_never().expect("it does not wait");
        swapped.expect("nobody else changes it");
        lose(&leaf.upgrade().expect("it is asked"));
        Duration::ZERO
    };
    fixture.leaf.draw.lock().0 = Some(Box::new(drawn));
    fixture
}

fn delete(state: &mut ClusterState) {
    state.delete_index(&uuid(1));
}

fn close(state: &mut ClusterState) {
    if let Some(index) = state.indices.get_mut(&uuid(1)) {
        Arc::make_mut(index).is_closed = true;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_of_an_index_that_is_deleted_finds_no_such_index() {
    let fixture = changed_when_asked(delete);
    let refused = searched(&fixture.root, "index-1").await;
    let refused = refused.expect_err("deleted").to_string();
    assert_eq!(refused, "no such index [index-1]");
    let fixture = changed_when_asked(close);
    let refused = searched(&fixture.root, "index-1").await;
    let refused = refused.expect_err("closed").to_string();
    assert_eq!(refused, "closed [index-1]");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_of_a_pattern_goes_on_without_the_index_that_is_deleted() {
    let fixture = changed_when_asked(delete);
    let answer = searched(&fixture.root, "index-*").await;
    let shards = answer.expect("the other index answers").shards;
    assert_eq!((shards.total, shards.successful), (2, 2));
    assert!(shards.failures.is_empty(), "{:?}", shards.failures);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_an_index_that_is_deleted_finds_no_context() {
    let fixture = changed_when_asked(delete);
    let (target, keep_alive) = (target("index-1"), Duration::from_secs(60));
    let pit = fixture.root.contexts().open_pit(&target, keep_alive).await;
    let id = pit.expect("it is there still");
    let body = json!({"pit": {"id": id}}).to_string();
    let limits = crate::testing::limits();
    let request = gleaner_query::search::parse_search(body.as_bytes(), &limits);
    let request = request.expect("a good search");
    let (target, options) = (Target::default(), SearchOptions::default());
    let refused = fixture.root.search(&target, &request, &options).await;
    assert!(
        matches!(refused, Err(RootError::ContextMissing(_))),
        "{refused:?}"
    );
}

/// A coordinator that has not heard of the last change.
struct Late {
    known: Arc<ClusterState>,
    kept: Embedded,
}

#[async_trait]
impl Coordinator for Late {
    fn state(&self) -> Arc<ClusterState> {
        Arc::clone(&self.known)
    }

    async fn latest(&self) -> Result<Arc<ClusterState>, CoordinatorError> {
        self.kept.latest().await
    }

    fn watch(&self) -> watch::Receiver<Arc<ClusterState>> {
        self.kept.watch()
    }

    async fn compare_and_swap(
        &self,
        expected: u64,
        next: ClusterState,
    ) -> Result<Arc<ClusterState>, CoordinatorError> {
        self.kept.compare_and_swap(expected, next).await
    }
}

/// A root that has not heard that its index was deleted, over a leaf that has.
fn late(kept: ClusterState) -> Root {
    let leaf = Arc::new(FakeLeaf::default());
    lose(&leaf);
    let located = LeafHandle {
        node: NodeId("fake".into()),
        client: leaf,
    };
    late_over(Arc::new(SingleLeaf::new(located)), kept)
}

fn late_over(leaves: Arc<dyn Leaves>, kept: ClusterState) -> Root {
    let coordinator = Arc::new(Late {
        known: Arc::new(state([index(1, &json!({}))])),
        kept: Embedded::in_memory(kept),
    });
    Root::new(coordinator, leaves, RootOptions::default(), || NOW_MS)
}

#[tokio::test]
async fn who_keeps_the_state_is_asked_about_shards_that_are_not_there() {
    let deadline = Deadline::after(Duration::from_secs(60));
    let fault = LeafFault::NotHere { shard: shard(1, 0) };
    for (kept, is_there) in [(state([]), false), (state([index(1, &json!({}))]), true)] {
        let root = late(kept);
        let refusal = root.cluster().refusal(&fault, deadline).await;
        assert_eq!(refusal.is_none(), is_there);
        let other = LeafFault::DeadlinePassed { shard: shard(1, 0) };
        assert!(root.cluster().refusal(&other, deadline).await.is_none());
        let failed = searched(&root, "index-1").await.expect_err("not there");
        assert!(
            root.cluster()
                .has_vanished(failed.failures(), deadline)
                .await
                != is_there
        );
    }
}

#[tokio::test]
async fn a_copy_that_is_being_removed_is_of_an_index_that_is_gone() {
    let fixture = Fixture::new([index(2, &json!({}))]);
    let deadline = Deadline::after(Duration::from_secs(60));
    for (n, is_there) in [(1, false), (2, true)] {
        let shard = shard(n, 0);
        let text = || "it is being closed".to_owned();
        let (progress, reason) = (text(), text());
        for fault in [
            LeafFault::Recovering { shard, progress },
            LeafFault::Stopped { shard, reason },
        ] {
            let refusal = fixture.root.cluster().refusal(&fault, deadline).await;
            assert_eq!(refusal.is_none(), is_there, "{fault}");
        }
    }
}

/// No leaf holds anything.
struct Nobody;

impl Leaves for Nobody {
    fn copies(&self, _shard: ShardKey) -> Copies {
        Copies::default()
    }

    fn all(&self) -> Vec<LeafHandle> {
        Vec::new()
    }
}

#[tokio::test]
async fn nobody_is_asked_about_shards_that_no_leaf_is_to_hold() {
    let deadline = Deadline::after(Duration::from_secs(60));
    // Who keeps the state would say that there is no such index.
    let root = late_over(Arc::new(Nobody), state([]));
    let fault = LeafFault::NotHere { shard: shard(1, 0) };
    assert!(root.cluster().refusal(&fault, deadline).await.is_none());
    let failed = searched(&root, "index-1").await.expect_err("not there");
    assert!(!failed.failures().is_empty(), "{failed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_of_an_index_that_is_deleted_is_of_no_index() {
    let fixture = changed_when_asked(delete);
    let get = GetRequest {
        index: "index-1".to_owned(),
        id: "a".to_owned(),
        realtime: true,
        ..GetRequest::default()
    };
    let refused = fixture.root.reader().get(&get).await;
    assert!(
        matches!(&refused, Err(RootError::IndexNotFound(name)) if name == "index-1"),
        "{refused:?}"
    );
}
