//! `_terms_enum` of indices that are deleted while it asks for pages, and without time for a page.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::FutureExt as _;
use gleaner_coordinator::{Coordinator as _, Embedded};
use gleaner_model::{ClusterState, NodeId, ShardKey};
use gleaner_proto::{GrpcLeaf, Peer};
use gleaner_root::leaves::Copies;
use gleaner_root::{LeafHandle, Leaves, Root, RootOptions};
use http::StatusCode;
use serde_json::{Value, json};

use crate::testing::{create, sent};
use crate::{ApiOptions, Dialect};

/// A leaf that is away. Once it is `armed`, an index is deleted when a root looks for copies of its shards.
struct Deleting {
    leaf: LeafHandle,
    coordinator: Arc<Embedded>,
    is_armed: AtomicBool,
}

impl Leaves for Deleting {
    fn copies(&self, shard: ShardKey) -> Copies {
        if !self.is_armed.load(Ordering::Relaxed) {
            return Arc::new([self.leaf.clone()]);
        }
        let known = self.coordinator.state();
        let mut next = ClusterState::clone(&known);
        next.delete_index(&shard.index);
        let swapped = self.coordinator.compare_and_swap(known.version, next);
        let swapped = swapped.now_or_never().expect("it does not wait");
        swapped.expect("nobody else changes it");
        Arc::from([])
    }

    fn all(&self) -> Vec<LeafHandle> {
        vec![self.leaf.clone()]
    }

    fn are_here(&self) -> bool {
        true
    }
}

/// Returns a dialect with one index, `books`, and what deletes that.
async fn with_an_index() -> (Dialect, Arc<Deleting>) {
    let peer = Peer::new("127.0.0.1:1").expect("an address");
    let coordinator = Arc::new(Embedded::in_memory(ClusterState::default()));
    let leaves = Arc::new(Deleting {
        leaf: LeafHandle {
            node: NodeId("away".into()),
            client: Arc::new(GrpcLeaf::new(peer)),
        },
        coordinator: Arc::clone(&coordinator),
        is_armed: AtomicBool::new(false),
    });
    let options = RootOptions::default();
    let root = Root::new(coordinator, Arc::clone(&leaves) as _, options, || 0);
    let dialect = crate::dialect(Arc::new(root), ApiOptions::default(), None);
    let body = json!({"mappings": {"properties": {"tag": {"type": "keyword"}}}});
    create(&dialect, "books", &body).await;
    (dialect, leaves)
}

/// Asks for terms of indices that the first page finds deleted.
async fn asked_of_deleted(path: &str) -> (StatusCode, Value) {
    let (dialect, leaves) = with_an_index().await;
    leaves.is_armed.store(true, Ordering::Relaxed);
    let answer = sent(&dialect, ("POST", path), &json!({"field": "tag"})).await;
    let state = leaves.coordinator.state();
    assert!(state.index_named("books").is_none(), "it was asked");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_deleted_meanwhile_is_left_out_unless_it_was_named() {
    let nothing = json!({
        "_shards": {"total": 0, "successful": 0, "failed": 0}, "terms": [], "complete": true,
    });
    for path in [
        "/bo*/_terms_enum",
        "/_all/_terms_enum",
        "/books/_terms_enum?ignore_unavailable=true",
    ] {
        let (status, answer) = asked_of_deleted(path).await;
        assert_eq!((status, &answer), (StatusCode::OK, &nothing), "{path}");
    }
    let (status, answer) = asked_of_deleted("/books/_terms_enum").await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{answer}");
    let kind = &answer["error"]["type"];
    assert_eq!(kind, "index_not_found_exception", "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_there_was_no_time_for_is_missing_and_the_answer_says_so() {
    let (dialect, _) = with_an_index().await;
    let body = json!({"field": "tag", "timeout": "0s"});
    let (status, answer) = sent(&dialect, ("POST", "/books/_terms_enum"), &body).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(answer["complete"], false, "{answer}");
    assert_eq!(answer["terms"], json!([]), "{answer}");
}
