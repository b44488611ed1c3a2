//! What leaves call each other through in these tests: it counts, cuts off, corrupts and holds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use gleaner_model::{NodeId, ShardKey};
use gleaner_proto::node::NodeFault;
use gleaner_proto::replicate::{
    FileCall, FollowerMessages, PrimaryMessages, Snapshot, SnapshotCall,
};
use gleaner_proto::{LeafFault, ReplicationClient};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::replicate::peers::{InProcess, Peers};

/// The network.
pub(super) struct Wires {
    pub(super) leaves: InProcess,
    pub(super) wire: Arc<Wire>,
}

/// What every call passes through.
pub(super) struct Wire {
    /// Nobody is reached.
    pub(super) is_away: watch::Sender<bool>,
    /// Bytes of files that still pass.
    pub(super) budget: Mutex<usize>,
    /// Pages of files whose first byte is to be changed.
    pub(super) wrong_pages: AtomicUsize,
    /// Largest page of a file.
    pub(super) page_bytes: AtomicUsize,
    /// Bytes of files that have passed, by name.
    pub(super) fetched: Mutex<BTreeMap<String, usize>>,
    /// Calls refused.
    pub(super) refused: watch::Sender<usize>,
}

impl Default for Wires {
    fn default() -> Self {
        let wire = Wire {
            is_away: watch::Sender::new(false),
            budget: Mutex::new(usize::MAX),
            wrong_pages: AtomicUsize::new(0),
            page_bytes: AtomicUsize::new(usize::MAX),
            fetched: Mutex::default(),
            refused: watch::Sender::new(0),
        };
        Self {
            leaves: InProcess::default(),
            wire: Arc::new(wire),
        }
    }
}

impl Peers for Wires {
    fn replication(&self, node: &NodeId) -> Option<Arc<dyn ReplicationClient>> {
        Some(Arc::new(Line {
            to: self.leaves.replication(node)?,
            wire: Arc::clone(&self.wire),
        }))
    }
}

struct Line {
    to: Arc<dyn ReplicationClient>,
    wire: Arc<Wire>,
}

impl Line {
    /// Makes a call that fails when the network does.
    async fn call<T>(
        &self,
        shard: ShardKey,
        call: impl Future<Output = Result<T, LeafFault>>,
    ) -> Result<T, LeafFault> {
        let mut away = self.wire.is_away.subscribe();
        tokio::select! {
            biased;
            _ = away.wait_for(|is_away| *is_away) => Err(self.refuse(shard)),
            answer = call => answer,
        }
    }

    fn refuse(&self, shard: ShardKey) -> LeafFault {
        self.wire.refused.send_modify(|refused| *refused += 1);
        LeafFault::Unreachable {
            shard,
            reason: "as a test asks".to_owned(),
        }
    }
}

#[async_trait]
impl ReplicationClient for Line {
    async fn open_snapshot(&self, call: SnapshotCall) -> Result<Snapshot, LeafFault> {
        self.call(call.shard, self.to.open_snapshot(call)).await
    }

    async fn read_file(&self, mut call: FileCall) -> Result<Bytes, LeafFault> {
        let (shard, name) = (call.shard, call.name.clone());
        let page_bytes = self.wire.page_bytes.load(Ordering::Relaxed);
        call.max_bytes = call.max_bytes.min(page_bytes);
        let page = self.call(shard, self.to.read_file(call)).await?;
        let left = self.wire.budget.lock().checked_sub(page.len());
        let Some(left) = left else {
            return Err(self.refuse(shard));
        };
        *self.wire.budget.lock() = left;
        *self.wire.fetched.lock().entry(name).or_default() += page.len();
        let one_less = |wrong: usize| wrong.checked_sub(1);
        let wrong = &self.wire.wrong_pages;
        if wrong
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less)
            .is_err()
        {
            return Ok(page);
        }
        let mut page = page.to_vec();
        page[0] ^= 1;
        Ok(page.into())
    }

    async fn follow(&self, said: FollowerMessages) -> Result<PrimaryMessages, NodeFault> {
        let mut away = self.wire.is_away.subscribe();
        if *away.borrow() {
            self.wire.refused.send_modify(|refused| *refused += 1);
            let reason = "as a test asks".to_owned();
            return Err(NodeFault::Unreachable { reason });
        }
        let answers = self.to.follow(said).await?;
        let wire = Arc::clone(&self.wire);
        let cut = async move {
            drop(away.wait_for(|is_away| *is_away).await);
            wire.refused.send_modify(|refused| *refused += 1);
        };
        Ok(answers.take_until(Box::pin(cut)).boxed())
    }

    async fn close_snapshot(&self, shard: ShardKey, snapshot: u64) -> Result<(), LeafFault> {
        self.call(shard, self.to.close_snapshot(shard, snapshot))
            .await
    }
}
