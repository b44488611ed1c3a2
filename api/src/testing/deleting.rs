//! A root whose one index is deleted while a request asks its shards.
//!
//! Does: say that a leaf holds the shards, which is away, and once it is armed delete the index as soon as a root looks
//! for their copies. Does not: hold documents.
//! Called by: tests of routes that search. Read first: [`with_an_index`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::FutureExt as _;
use gleaner_coordinator::{Coordinator as _, Embedded};
use gleaner_model::{ClusterState, NodeId, ShardKey};
use gleaner_proto::{GrpcLeaf, Peer};
use gleaner_root::leaves::Copies;
use gleaner_root::{LeafHandle, Leaves, Root, RootOptions};
use serde_json::json;

use super::create;
use crate::{ApiOptions, Dialect};

/// A leaf that is away. Once it is armed, an index is deleted when a root looks for copies of its shards.
pub(crate) struct Deleting {
    leaf: LeafHandle,
    coordinator: Arc<Embedded>,
    is_armed: AtomicBool,
}

impl Deleting {
    /// From now on an index is deleted when its shards are asked.
    pub(crate) fn arm(&self) {
        self.is_armed.store(true, Ordering::Relaxed);
    }

    /// Returns whether there is an index of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.coordinator.state().index_named(name).is_some()
    }
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
pub(crate) async fn with_an_index() -> (Dialect, Arc<Deleting>) {
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
