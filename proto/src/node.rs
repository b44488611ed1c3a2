//! What every node says about itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use gleaner_model::{NodeId, Role};
use tokio::sync::watch;

use crate::version::Versions;

/// Who a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeInfo {
    /// Its name.
    pub id: NodeId,
    /// What it does.
    pub role: Role,
    /// Version of the program, for people.
    pub build_version: String,
    /// Wire versions it speaks.
    pub wire: Versions,
}

/// Whether a node serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// It does.
    Ready,
    /// Not yet, or not any more.
    NotReady {
        /// Why, for people.
        reason: String,
    },
}

/// Why a node did not answer for itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodeFault {
    /// It could not be reached, or did not answer in time.
    #[error("the node cannot be reached: {reason}")]
    Unreachable {
        /// Why.
        reason: String,
    },
    /// It answered something that this version does not understand.
    #[error("the node's answer cannot be read: {reason}")]
    Unreadable {
        /// What is wrong with it.
        reason: String,
    },
}

/// What every node answers, whatever its role and wire version.
#[async_trait]
pub trait NodeClient: Send + Sync {
    /// Returns who the node is.
    async fn hello(&self) -> Result<NodeInfo, NodeFault>;

    /// Returns whether it serves.
    async fn readiness(&self) -> Result<Readiness, NodeFault>;

    /// Hears that another node calls this one, for anything but the log of its shards.
    fn note_call(&self) {}
}

/// When roots called a process last. It counts from when one first asked whether the process serves: roots that do ask again
/// and again. Clones share it.
#[derive(Debug, Clone)]
pub struct LastCall {
    began: Instant,
    /// Milliseconds from there to the last call; [`u64::MAX`] before it counts.
    at_ms: Arc<AtomicU64>,
}

impl Default for LastCall {
    /// Of a process that begins now.
    fn default() -> Self {
        Self {
            began: Instant::now(),
            at_ms: Arc::new(AtomicU64::new(u64::MAX)),
        }
    }
}

impl LastCall {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Notes that a root asks whether the process serves.
    fn note_look(&self) {
        self.at_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    /// Notes a call.
    fn note(&self) {
        if self.at_ms.load(Ordering::Relaxed) != u64::MAX {
            self.note_look();
        }
    }

    /// Returns whether it was less than `patience` ago, or does not count yet.
    pub fn is_within(&self, patience: Duration) -> bool {
        let at_ms = self.at_ms.load(Ordering::Relaxed);
        let since = self.now_ms().saturating_sub(at_ms);
        at_ms == u64::MAX || Duration::from_millis(since) < patience
    }
}

/// This process as its peers see it.
#[derive(Debug, Clone)]
pub struct LocalNode {
    info: NodeInfo,
    readiness: watch::Receiver<Readiness>,
    last_call: LastCall,
}

impl LocalNode {
    /// Returns a node that speaks [`Versions::OURS`] and is as ready as `readiness` says.
    pub fn new(
        id: NodeId,
        role: Role,
        build_version: impl Into<String>,
        readiness: watch::Receiver<Readiness>,
    ) -> Self {
        let info = NodeInfo {
            id,
            role,
            build_version: build_version.into(),
            wire: Versions::OURS,
        };
        Self {
            info,
            readiness,
            last_call: LastCall::default(),
        }
    }

    /// Returns when others called the node last.
    pub fn last_call(&self) -> LastCall {
        self.last_call.clone()
    }
}

#[async_trait]
impl NodeClient for LocalNode {
    async fn hello(&self) -> Result<NodeInfo, NodeFault> {
        Ok(self.info.clone())
    }

    async fn readiness(&self) -> Result<Readiness, NodeFault> {
        self.last_call.note_look();
        Ok(self.readiness.borrow().clone())
    }

    fn note_call(&self) {
        self.last_call.note();
    }
}
